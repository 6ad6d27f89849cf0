"""What is acknowledged stays: kills, two writers, full disks, torn and lost files."""

import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
from small_disk import files_limited_to

from prefrl.errors import UsageError
from prefrl.feedback import Answer, Kind, Query, Source
from prefrl.store.feedback_store import FeedbackStore
from prefrl.store.health import check_store
from prefrl.store.journal import Journal, encode_line
from prefrl.store.rebuild import rebuild_store

PRELUDE = """
import sys
from prefrl.errors import UsageError
from prefrl.feedback import Answer, Kind, Query, Source
from prefrl.store.feedback_store import FeedbackStore

def query(number):
    return Query(f"q{number}", "run", Kind.PAIR, (f"l{number}", f"r{number}"), counter=number)

def answer(number, labeller):
    return Answer(f"{labeller}-{number}", f"q{number}", 1.0, Source.PERSON, labeller)
"""
WRITE = """
store, labeller, count = FeedbackStore(sys.argv[1]), sys.argv[2], int(sys.argv[3])
for number in range(count):
    store.add([query(number), answer(number, labeller)])
    print(number, flush=True)
"""


def script(body: str, *arguments: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", PRELUDE + body, *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def pair(number: int) -> Query:
    return Query(f"q{number}", "run", Kind.PAIR, (f"l{number}", f"r{number}"), counter=number)


def answer(number: int, labeller: str = "ann") -> Answer:
    return Answer(f"{labeller}-{number}", f"q{number}", 1.0, Source.PERSON, labeller)


def filled(folder: Path, count: int = 5) -> FeedbackStore:
    store = FeedbackStore(folder / "feedback.sqlite")
    store.add([pair(number) for number in range(count)])
    store.add([answer(number) for number in range(count)])
    store.close()
    return store


def test_two_processes_writing_at_once_lose_nothing(tmp_path: Path) -> None:
    count, labellers = 40, ("trainer", "browser", "third")
    processes = [script(WRITE, tmp_path / "feedback.sqlite", labeller, count) for labeller in labellers]
    for process in processes:
        _, errors = process.communicate(timeout=120)
        assert process.returncode == 0, errors
    with FeedbackStore(tmp_path / "feedback.sqlite") as store:
        answers = store.answers("run")
        assert store.queries("run") == [pair(number) for number in range(count)]
    assert {one.id for one in answers} == {f"{who}-{number}" for who in labellers for number in range(count)}
    assert [one.event for one in answers] == list(range(1, len(answers) + 1))
    assert check_store(tmp_path / "feedback.sqlite") == []


def test_killing_the_writer_at_any_moment_loses_no_acknowledged_answer(tmp_path: Path) -> None:
    generator = random.Random(5)
    path = tmp_path / "feedback.sqlite"
    for round_number in range(6):
        labeller = f"labeller{round_number}"
        process = script(WRITE, path, labeller, 100_000)
        assert process.stdout is not None
        acknowledged = [int(process.stdout.readline())]
        time.sleep(generator.uniform(0.0, 0.15))
        os.kill(process.pid, signal.SIGKILL)
        acknowledged += [int(line) for line in process.communicate()[0].splitlines()]
        rebuild_store(path.with_suffix(".jsonl"), tmp_path / f"rebuilt{round_number}.sqlite")
        for copy in (path, tmp_path / f"rebuilt{round_number}.sqlite"):
            with FeedbackStore(copy) as store:
                found = [one for one in store.answers("run") if one.labeller == labeller]
            assert len(acknowledged) <= len(found) <= len(acknowledged) + 1
            assert found[: len(acknowledged)] == [answer(number, labeller) for number in acknowledged]
        assert check_store(path) == []


@pytest.mark.parametrize("moment", ["journaled", "torn"])
def test_a_death_between_journal_and_commit_is_made_good_by_the_next_writer(
    tmp_path: Path, moment: str
) -> None:
    filled(tmp_path)
    body = """
    import os, prefrl.store.journal
    honest = prefrl.store.journal.Journal.append
    def die(journal, records):
        if sys.argv[2] == "torn":
            with journal.path.open("ab") as file: file.write(b'{"record": "answer", "id": "bob-')
        else:
            honest(journal, records)
        os._exit(9)
    prefrl.store.journal.Journal.append = die
    FeedbackStore(sys.argv[1]).add([answer(0, "bob")])
    """
    process = script("\n".join(line[4:] for line in body.splitlines()), tmp_path / "feedback.sqlite", moment)
    process.communicate(timeout=60)
    assert process.returncode == 9
    assert len(check_store(tmp_path / "feedback.sqlite")) == 1
    with FeedbackStore(tmp_path / "feedback.sqlite") as store:
        assert len(store.answers("run")) == (6 if moment == "journaled" else 5)
        assert store.add([answer(0, "bob")]) == (0 if moment == "journaled" else 1)
        assert len(store.answers("run")) == 6
        assert store.repairs == ()
    assert check_store(tmp_path / "feedback.sqlite") == []


def test_a_store_that_stays_open_notices_that_another_writer_died(tmp_path: Path) -> None:
    filled(tmp_path)
    with FeedbackStore(tmp_path / "feedback.sqlite") as store:
        with (tmp_path / "feedback.jsonl").open("a") as journal:
            journal.write(encode_line(answer(0, "bob")) + "\n")
        store.add([answer(1, "bob")])
        assert [one.id for one in store.answers("run")][5:] == ["bob-0", "bob-1"]
    assert check_store(tmp_path / "feedback.sqlite") == []


def test_a_full_database_gives_a_clear_error_and_stays_intact(tmp_path: Path) -> None:
    filled(tmp_path)
    store = FeedbackStore(tmp_path / "feedback.sqlite")
    with store._engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA max_page_count = 1")
    many = [pair(number) for number in range(5, 2000)]
    with pytest.raises(UsageError, match="the disk is full: free some space and try again"):
        store.add(many)
    assert len(store.queries("run")) == 5
    store.close()
    assert check_store(tmp_path / "feedback.sqlite") == []
    assert filled(tmp_path).add(many) == 1995


@pytest.mark.parametrize("limit", [1_000, 60_000, 100_000])
def test_a_full_disk_gives_a_clear_error_and_every_acknowledged_answer_stays(
    tmp_path: Path, limit: int
) -> None:
    store = filled(tmp_path)
    acknowledged = {f"ann-{number}" for number in range(5)}

    def fill() -> None:
        for first in range(5, 5000, 50):
            numbers = range(first, first + 50)
            store.add([*map(pair, numbers), *map(answer, numbers)])
            acknowledged.update(f"ann-{number}" for number in numbers)

    with files_limited_to(limit), pytest.raises(UsageError, match=r"cannot .*: .*free some space") as caught:
        fill()
    assert len(str(caught.value).splitlines()) == 1
    assert acknowledged <= {one.id for one in store.answers("run")}
    store.add([pair(9999), answer(9999)])
    assert acknowledged | {"ann-9999"} <= {one.id for one in store.answers("run")}
    assert check_store(tmp_path / "feedback.sqlite") == []


def test_a_journal_that_the_disk_cuts_short_is_as_it_was_before(tmp_path: Path) -> None:
    store = filled(tmp_path)
    before = (tmp_path / "feedback.jsonl").read_bytes()
    journal = Journal(tmp_path / "feedback.jsonl")
    with files_limited_to(len(before) + 500), pytest.raises(UsageError, match="cannot write the journal"):
        journal.append([answer(number, "bob") for number in range(5)])
    assert (tmp_path / "feedback.jsonl").read_bytes() == before
    assert len(store.answers("run")) == 5


def test_a_journal_that_cannot_be_written_refuses_the_answer(tmp_path: Path) -> None:
    store = filled(tmp_path)
    (tmp_path / "feedback.jsonl").unlink()
    (tmp_path / "feedback.jsonl").mkdir()
    with pytest.raises(UsageError, match=r"journal|feedback\.jsonl"):
        store.add([answer(0, "bob")])
    assert len(store.answers("run")) == 5


def test_a_torn_last_journal_line_is_left_out_and_reported_and_rebuilding_twice_changes_nothing(
    tmp_path: Path,
) -> None:
    filled(tmp_path)
    journal, rebuilt = tmp_path / "feedback.jsonl", tmp_path / "rebuilt.sqlite"
    torn = journal.read_bytes()[:-20]
    (tmp_path / "torn.jsonl").write_bytes(torn)
    intake = rebuild_store(tmp_path / "torn.jsonl", rebuilt)
    assert (intake.added, intake.known, len(intake.problems)) == (9, 0, 1)
    assert intake.problems[0].startswith("line 10: torn, never acknowledged")
    assert (tmp_path / "torn.jsonl").read_bytes() == torn
    again = rebuild_store(tmp_path / "torn.jsonl", rebuilt)
    assert (again.added, again.known) == (0, 9)
    assert rebuild_store(journal, rebuilt).added == 1
    with FeedbackStore(rebuilt) as store, FeedbackStore(tmp_path / "feedback.sqlite") as original:
        assert store.answers("run") == original.answers("run")


def test_a_last_line_that_lacks_only_its_end_is_kept(tmp_path: Path) -> None:
    filled(tmp_path)
    with (tmp_path / "feedback.jsonl").open("a") as journal:
        journal.write(encode_line(answer(0, "bob")))
    with FeedbackStore(tmp_path / "feedback.sqlite") as store:
        store.add([answer(1, "bob")])
        assert [one.id for one in store.answers("run")][5:] == ["bob-0", "bob-1"]
    assert check_store(tmp_path / "feedback.sqlite") == []


def test_many_findings_are_counted_not_listed(tmp_path: Path) -> None:
    filled(tmp_path)
    with (tmp_path / "feedback.jsonl").open("a") as journal:
        journal.write("nonsense\n" * 30)
    findings = check_store(tmp_path / "feedback.sqlite")
    assert len(findings) == 21
    assert findings[-1] == "and 10 more of this kind"


def test_a_lost_database_is_rebuilt_from_the_journal_beside_it(tmp_path: Path) -> None:
    filled(tmp_path)
    (tmp_path / "feedback.sqlite").unlink()
    intake = rebuild_store(tmp_path / "feedback.jsonl", tmp_path / "feedback.sqlite")
    assert (intake.added, intake.known, intake.problems) == (10, 0, ())
    assert rebuild_store(tmp_path / "feedback.jsonl", tmp_path / "feedback.sqlite").added == 0
    with FeedbackStore(tmp_path / "feedback.sqlite") as store:
        assert store.answers("run") == [answer(number) for number in range(5)]
    assert check_store(tmp_path / "feedback.sqlite") == []
    with pytest.raises(UsageError, match="there is no journal"):
        rebuild_store(tmp_path / "none.jsonl", tmp_path / "new.sqlite")


def test_a_database_restored_from_an_old_backup_catches_up_with_its_journal(tmp_path: Path) -> None:
    store = filled(tmp_path)
    backup = (tmp_path / "feedback.sqlite").read_bytes()
    store.add([answer(number, "bob") for number in range(5)])
    store.close()
    (tmp_path / "feedback.sqlite").write_bytes(backup)
    with FeedbackStore(tmp_path / "feedback.sqlite") as restored:
        assert len(restored.answers("run")) == 10
    assert check_store(tmp_path / "feedback.sqlite") == []


def test_a_lost_or_shortened_journal_is_reported_and_written_anew(tmp_path: Path) -> None:
    filled(tmp_path)
    journal = tmp_path / "feedback.jsonl"
    whole = journal.read_bytes()
    for remains in (None, whole[:-100]):
        journal.unlink()
        if remains is not None:
            journal.write_bytes(remains)
        assert "the next answer writes it anew" in check_store(tmp_path / "feedback.sqlite")[0]
        FeedbackStore(tmp_path / "feedback.sqlite").close()
        assert journal.read_bytes() == whole
        assert check_store(tmp_path / "feedback.sqlite") == []


def test_what_a_journal_says_otherwise_than_the_store_is_found_and_warned_of(tmp_path: Path) -> None:
    filled(tmp_path)
    with (tmp_path / "feedback.jsonl").open("a") as journal:
        journal.write(encode_line(replace(answer(0), value=0.0)) + "\n" + "nonsense\n")
    findings = check_store(tmp_path / "feedback.sqlite")
    assert "answer ann-0 differs" in findings[0]
    assert "line 12" in findings[1]
    with pytest.warns(UserWarning, match=r"line 1: .*other content|not a record"):
        FeedbackStore(tmp_path / "feedback.sqlite").close()


def test_findings_name_what_is_damaged_unreadable_and_missing(tmp_path: Path) -> None:
    store = filled(tmp_path)
    assert store.path is not None
    with sqlite3.connect(store.path) as connection:
        for trigger in ("answers_no_UPDATE", "answers_no_DELETE", "queries_no_DELETE"):
            connection.execute(f"DROP TRIGGER {trigger}")
        connection.execute("UPDATE answers SET value = 'x' WHERE id = 'ann-0'")
        connection.execute("UPDATE answers SET value = '0.3' WHERE id = 'ann-1'")
        connection.execute("DELETE FROM queries WHERE id = 'q2'")
    findings = "\n".join(check_store(store.path))
    for symptom in (
        "refers to a missing row of queries",
        "record ann-0 cannot be read",
        "ann-1 to pair query q1 is 0.3",
        "answer ann-1 differs between the store and line 7",
        "query q2 is in the journal",
    ):
        assert symptom in findings
    content = bytearray(store.path.read_bytes())
    content[4096:20480] = os.urandom(16384)
    store.path.write_bytes(content)
    assert "rebuild" in check_store(store.path)[0]
    assert check_store(tmp_path / "none.sqlite")[0].startswith("there is no store at")
    with sqlite3.connect(tmp_path / "foreign.sqlite") as connection:
        connection.execute("CREATE TABLE recipes (name TEXT)")
    assert "is no store" in check_store(tmp_path / "foreign.sqlite")[0]
    store.path.write_text("text " * 1000)
    assert "it is not a store" in check_store(store.path)[0]


def test_a_locked_store_gives_up_with_a_clear_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    filled(tmp_path)
    monkeypatch.setattr("prefrl.store.engine.BUSY_SECONDS", 0.05)
    store = FeedbackStore(tmp_path / "feedback.sqlite")
    holder = sqlite3.connect(tmp_path / "feedback.sqlite", isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    with pytest.raises(UsageError, match="another process kept it locked"):
        store.add([answer(0, "bob")])
    assert len(store.answers("run")) == 5
    holder.execute("ROLLBACK")
    assert store.add([answer(0, "bob")]) == 1
    holder.close()


def test_a_journal_line_is_one_object_that_says_what_it_is(tmp_path: Path) -> None:
    filled(tmp_path, 1)
    lines = [json.loads(line) for line in (tmp_path / "feedback.jsonl").read_text().splitlines()]
    assert [line["record"] for line in lines] == ["query", "answer"]
    assert Journal(tmp_path / "feedback.jsonl").length() == (tmp_path / "feedback.jsonl").stat().st_size
