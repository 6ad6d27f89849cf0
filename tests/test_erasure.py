"""Erasing a labeller: nothing of them is left on disk, everybody else's work is, whatever crashes."""

import subprocess
import sys
from pathlib import Path

import pytest

from prefrl.errors import UsageError
from prefrl.feedback import Answer, Kind, Query, Remark, RemarkKind, Source
from prefrl.labellers.weights import labeller_weights, set_weight
from prefrl.store import feedback_store as store_module
from prefrl.store.backups import erase_everywhere, list_backups, make_backup
from prefrl.store.feedback_store import FeedbackStore
from prefrl.store.health import check_store
from prefrl.store.rebuild import rebuild_store

NAME = "Wilhelmina Ångström"
"""Long and odd enough to be found in any file that holds it."""
BY = {"by": "admin", "now": 9.0}


def pair(number: int) -> Query:
    return Query(f"q{number}", "run", Kind.PAIR, (f"l{number}", f"r{number}"), counter=number)


def say(number: int, labeller: str, **more: object) -> Answer:
    value = None if more.get("withdrawn") else 1.0
    return Answer(f"{labeller}-{number}-{len(more)}", f"q{number}", value, Source.PERSON, labeller, **more)  # type: ignore[arg-type]


def filled(folder: Path, count: int = 200) -> FeedbackStore:
    """A store in which two people have answered, and decided things."""
    store = FeedbackStore(folder / "feedback.sqlite")
    store.add([pair(number) for number in range(count)])
    store.add([say(number, who) for number in range(0, count, 2) for who in (NAME, "bob")])
    store.add([say(0, NAME, supersedes=f"{NAME}-0-0", withdrawn=True)])
    store.add(
        [
            Remark("flag", "run", RemarkKind.FLAG, "q1", NAME, "too dark for my eyes"),
            Remark("close", "run", RemarkKind.CLOSE, "q3", NAME),
            Remark("late", "run", RemarkKind.LATE, "q2", NAME),
        ]
    )
    set_weight(store, "run", NAME, 0.5, by="bob")
    set_weight(store, "run", "bob", 0.25, by=NAME)
    set_weight(store, "run", "bob", 0.75, by="eve")
    store.lease(["q5"], labeller=NAME, seconds=60, now=0.0)
    return store


def holds_name(folder: Path) -> list[str]:
    """The files under a folder in which the name, or something the person wrote, can be found."""
    wanted = [NAME.encode(), NAME.encode("utf-16-le"), b"Wilhelmina", b"\\u00c5ngstr", b"too dark"]
    return [
        path.name
        for path in folder.rglob("*")
        if path.is_file() and any(one in path.read_bytes() for one in wanted)
    ]


def test_nothing_of_the_person_is_left_in_any_file(tmp_path: Path) -> None:
    with filled(tmp_path) as store:
        make_backup(store, now=0.0)
        assert sorted(holds_name(tmp_path)) == [
            "feedback-19700101-000000.jsonl", "feedback.jsonl", "feedback.sqlite",
        ]  # fmt: skip
        erased = erase_everywhere(store, NAME, by="admin", now=9.0)
        assert (erased.answers, erased.remarks) == (101, 5)
        assert holds_name(tmp_path) == []
    assert check_store(tmp_path / "feedback.sqlite") == []


def test_everybody_elses_answers_and_decisions_stay(tmp_path: Path) -> None:
    with filled(tmp_path) as store:
        before = [one for one in store.answers("run") if one.labeller == "bob"]
        erased = store.erase(NAME, **BY)  # type: ignore[arg-type]
        assert store.answers("run") == before
        assert [one.event for one in store.answers("run")] == [one.event for one in before]
        assert len(store.queries("run")) == 200
        assert labeller_weights(store.remarks("run")) == {"bob": 0.75}  # the later decision, still
        assert [(one.id, one.labeller) for one in store.remarks("run", kind=RemarkKind.CLOSE)] == [
            ("close", erased.pseudonym)
        ]
        assert pair(3) not in store.open_queries("run", 300)
        assert store.counts("run").labels == 100


def test_the_erasure_is_on_record_without_the_name(tmp_path: Path) -> None:
    with filled(tmp_path) as store:
        erased = store.erase(NAME, **BY)  # type: ignore[arg-type]
        (note,) = store.remarks("run", kind=RemarkKind.ERASURE)
        assert (note.subject, note.labeller, note.made_at) == (erased.pseudonym, "admin", 9.0)
        assert note.content == "101 answers and 5 remarks in all"
        assert store.erase("nobody", **BY).answers == 0  # type: ignore[arg-type]
        assert len(store.remarks("run", kind=RemarkKind.ERASURE)) == 1
        store.erase("bob", by="bob", now=10.0)
        assert all("bob" not in (one.subject, one.labeller) for one in store.remarks("run"))


def test_the_store_made_again_from_its_journal_knows_nothing_of_the_person(tmp_path: Path) -> None:
    with filled(tmp_path) as store:
        store.erase(NAME, **BY)  # type: ignore[arg-type]
        store.add([say(1, "bob")])
        stands = store.current_answers("run")
    rebuild_store(tmp_path / "feedback.jsonl", tmp_path / "rebuilt.sqlite")
    with FeedbackStore(tmp_path / "rebuilt.sqlite") as rebuilt:
        assert rebuilt.current_answers("run") == stands
        assert len(rebuilt.remarks("run", kind=RemarkKind.ERASURE)) == 1


def test_somebody_else_may_still_change_nothing_afterwards(tmp_path: Path) -> None:
    with filled(tmp_path) as store:
        store.erase(NAME, **BY)  # type: ignore[arg-type]
        for statement in ("DELETE FROM answers", "UPDATE remarks SET labeller = 'x'", "DELETE FROM remarks"):
            with (
                pytest.raises(UsageError, match="append-only"),
                store_module.writing(store._engine) as connection,
            ):
                connection.exec_driver_sql(statement)
        assert store.counts("run").labels == 100


DIE = """
import os, sys
from prefrl.store import feedback_store as module
from prefrl.store.journal import Journal
from prefrl.store.feedback_store import FeedbackStore

def die(*_): os._exit(9)

moment = sys.argv[3]
if moment == "deleted":
    honest = module.erase_labeller
    module.erase_labeller = lambda *a, **k: (honest(*a, **k), die())
elif moment == "committed":
    store = FeedbackStore(sys.argv[1])
    calls = []
    honest = FeedbackStore._meet_journal
    FeedbackStore._meet_journal = lambda self, c: die() if calls else (calls.append(1), honest(self, c))
elif moment == "journaled":
    store = FeedbackStore(sys.argv[1])
    honest = Journal.replace
    Journal.replace = lambda self, records: (honest(self, records), die())
elif moment == "uncompacted":
    module.compact = die
(store if "store" in globals() else FeedbackStore(sys.argv[1])).erase(sys.argv[2], by="admin", now=9.0)
"""


@pytest.mark.parametrize("moment", ["deleted", "committed", "journaled", "uncompacted"])
def test_a_death_at_any_moment_leaves_all_or_nothing_and_erasing_again_finishes(
    tmp_path: Path, moment: str
) -> None:
    filled(tmp_path, 20).close()
    command = [sys.executable, "-c", DIE, str(tmp_path / "feedback.sqlite"), NAME, moment]
    assert subprocess.run(command, timeout=120).returncode == 9
    with FeedbackStore(tmp_path / "feedback.sqlite") as store:
        left = sum(one.labeller == NAME for one in store.answers("run"))
        assert left == (11 if moment == "deleted" else 0)
        assert sum(one.labeller == "bob" for one in store.answers("run")) == 10
        assert check_store(tmp_path / "feedback.sqlite") == []
        store.erase(NAME, **BY)  # type: ignore[arg-type]
        assert holds_name(tmp_path) == []
        assert len(store.remarks("run", kind=RemarkKind.ERASURE)) == 1
        assert store.repairs == ()
    assert check_store(tmp_path / "feedback.sqlite") == []


def test_what_an_interrupted_write_left_aside_goes_too(tmp_path: Path) -> None:
    with filled(tmp_path, 10) as store:
        (tmp_path / ".feedback.jsonl.123.aside").write_bytes((tmp_path / "feedback.jsonl").read_bytes())
        store.erase(NAME, **BY)  # type: ignore[arg-type]
        assert holds_name(tmp_path) == []


def test_backups_are_whole_and_never_overwrite_each_other(tmp_path: Path) -> None:
    with filled(tmp_path, 10) as store:
        paths = [make_backup(store, now=1.0) for _ in range(3)]
        assert list_backups(store) == sorted(paths)
        assert len(set(paths)) == 3
        stands, remarks = store.current_answers("run"), store.remarks("run")
    rebuild_store(paths[0], tmp_path / "again.sqlite")
    with FeedbackStore(tmp_path / "again.sqlite") as again:
        assert (again.current_answers("run"), again.remarks("run")) == (stands, remarks)


def test_a_damaged_backup_stops_the_erasure_with_its_name(tmp_path: Path) -> None:
    with filled(tmp_path, 10) as store:
        path = make_backup(store, now=1.0)
        path.write_bytes(path.read_bytes() + b"{broken\n")
        with pytest.raises(
            UsageError, match=r"of the back-up .*feedback-19700101-000001.jsonl cannot be read"
        ):
            erase_everywhere(store, NAME, by="admin", now=9.0)


@pytest.mark.parametrize("name", ["", "x" * 201, "a\nb"])
def test_an_impossible_name_is_refused(tmp_path: Path, name: str) -> None:
    with filled(tmp_path, 10) as store, pytest.raises(UsageError, match="the labeller's name"):
        store.erase(name, **BY)  # type: ignore[arg-type]
