"""The store of feedback: what goes in comes out, once, and stays."""

import json
import os
import sqlite3
import subprocess
import sys
import uuid
import warnings
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from prefrl.errors import UsageError
from prefrl.feedback import (
    Answer,
    Kind,
    Purpose,
    Query,
    Remark,
    RemarkKind,
    Source,
    Value,
    newest_answers,
)
from prefrl.store import counts, schema
from prefrl.store.engine import writing
from prefrl.store.feedback_store import Counts, FeedbackStore
from prefrl.store.health import check_store
from prefrl.store.rebuild import rebuild_store


def pair(number: int, *, run: str = "run", purpose: Purpose = Purpose.TRAINING) -> Query:
    return Query(
        f"{run}-q{number}", run, Kind.PAIR, (f"l{number}", f"r{number}"), counter=number, purpose=purpose
    )


def answer(name: str, query: Query, value: Value = 1.0, labeller: str = "ann", **more: object) -> Answer:
    return Answer(name, query.id, value, Source.PERSON, labeller, **more)  # type: ignore[arg-type]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[FeedbackStore]:
    with FeedbackStore(tmp_path / "feedback.sqlite") as opened:
        yield opened


def full_answers() -> tuple[list[Query], list[Answer]]:
    """One query and one answer of every kind, every field filled."""
    values: dict[Kind, tuple[int, Value]] = {
        Kind.PAIR: (2, 0.75),
        Kind.RANKING: (3, (2, 0, 1)),
        Kind.LIKE: (1, False),
        Kind.RATING: (1, 7),
        Kind.MARKS: (1, (0.1, -2.0, 3.0)),
    }
    asked, given_answers = [], []
    for counter, (kind, (size, value)) in enumerate(values.items()):
        items = tuple(f"ü{counter}-{item}" for item in range(size))
        query = Query(f"q{counter}", "run", kind, items, "prompt 7", 10**12, 3, counter)
        asked.append(query)
        given_answers.append(
            Answer(
                f"a{counter}",
                query.id,
                value,
                Source.MODEL,
                "judge",
                1 / 3,
                tuple(range(size)),
                2,
                None,
                False,
                1e9,
            )
        )
    return asked, given_answers


def test_every_kind_comes_back_as_it_went_in(store: FeedbackStore) -> None:
    asked, answers = full_answers()
    assert store.add_queries(asked) == 5
    assert store.add_answers(answers) == 5
    assert store.queries("run") == asked
    found = store.answers("run")
    assert found == answers
    assert [type(one.value) for one in found] == [float, tuple, bool, int, tuple]
    assert [one.event for one in found] == [1, 2, 3, 4, 5]
    assert store.current_answers("run") == answers


def test_adding_the_same_again_changes_nothing(store: FeedbackStore) -> None:
    asked, answers = full_answers()
    store.add([*asked, *answers])
    journal = store.path.with_suffix(".jsonl").read_bytes()  # type: ignore[union-attr]
    assert store.add([*asked, *answers, *answers]) == 0
    assert store.answers("run") == answers
    assert store.path.with_suffix(".jsonl").read_bytes() == journal  # type: ignore[union-attr]


def test_one_batch_may_hold_the_same_record_twice(store: FeedbackStore) -> None:
    assert store.add([pair(0), pair(0), answer("a", pair(0)), answer("a", pair(0))]) == 2


def test_the_same_id_with_other_content_is_refused_and_nothing_of_the_batch_is_stored(
    store: FeedbackStore,
) -> None:
    store.add([pair(0), answer("a", pair(0))])
    for record in (
        replace(pair(0), items=("other", "items")),
        answer("a", pair(0), 0.0),
        answer("a", pair(0), labeller="bob"),
    ):
        with pytest.raises(UsageError, match="stored already with other content"):
            store.add([pair(1), record])
    assert store.queries("run") == [pair(0)]
    with pytest.raises(UsageError, match="other content"):
        store.add([answer("b", pair(0)), answer("b", pair(0), None)])
    assert len(store.answers("run")) == 1


def test_a_counter_is_used_once_in_a_run_but_again_in_another(store: FeedbackStore) -> None:
    store.add_queries([pair(0), pair(0, run="other")])
    with pytest.raises(UsageError, match=r"another query with counter 0: count on from next_counter"):
        store.add_queries([replace(pair(0), id="new")])
    with pytest.raises(UsageError, match="another query with counter 4"):
        store.add_queries([pair(4), replace(pair(4), id="new")])
    assert store.next_counter("run") == 1
    assert store.next_counter("none") == 0
    assert store.runs() == ["other", "run"]


def test_answers_to_unknown_queries_and_unfit_values_are_refused(store: FeedbackStore) -> None:
    with pytest.raises(UsageError, match="unknown query run-q0: add the query first"):
        store.add_answers([answer("a", pair(0))])
    store.add_queries([pair(0)])
    with pytest.raises(UsageError, match=r"is 0\.4: give P\(left is better\)"):
        store.add_answers([answer("a", pair(0), 0.4)])
    assert store.add_answers([]) == 0
    assert store.answers("run") == []


def test_reading_on_from_an_event_misses_nothing_and_repeats_nothing(store: FeedbackStore) -> None:
    asked = [pair(number) for number in range(5)]
    store.add_queries(asked)
    read: list[Answer] = []
    for number, query in enumerate(asked):
        store.add_answers([answer(f"a{number}", query), answer(f"b{number}", query, labeller="bob")])
        read += store.answers("run", after_event=read[-1].event if read else 0)
    assert read == store.answers("run")
    assert store.answers("run", query_ids=["run-q3"]) == read[6:8]
    assert store.answers("run", query_ids=["run-q3"], after_event=read[6].event) == read[7:8]
    assert store.answers("run", query_ids=[]) == []
    assert store.answers("other") == []
    assert store.queries("run", after=2) == asked[3:]
    assert store.queries("run", query_ids=["run-q4", "run-q1"]) == [asked[1], asked[4]]


def test_ids_by_the_thousand_are_found(store: FeedbackStore) -> None:
    asked = [pair(number) for number in range(2500)]
    store.add([*asked, *(answer(f"a{query.counter}", query) for query in asked)])
    assert len(store.answers("run", query_ids=[query.id for query in asked])) == 2500


def test_undo_withdraws_and_a_new_answer_stands(store: FeedbackStore) -> None:
    query = pair(0)
    undo = answer("undo", query, None, supersedes="a", withdrawn=True)
    store.add([query, answer("a", query, 1.0)])
    store.add([undo])
    assert store.current_answers("run") == []
    assert store.open_queries("run", 5, labeller="ann") == [query]
    assert store.counts("run").labels == 0
    store.add([again := answer("b", query, 0.0, supersedes="undo")])
    assert store.current_answers("run") == [again]
    assert [one.id for one in store.answers("run")] == ["a", "undo", "b"]


def test_only_the_labellers_own_latest_answer_can_be_superseded(store: FeedbackStore) -> None:
    store.add([pair(0), pair(1), answer("a", pair(0)), answer("b", pair(0), 0.0, supersedes="a")])
    for wrong in (
        answer("x", pair(0), labeller="bob", supersedes="b"),
        answer("x", pair(1), supersedes="b"),
        answer("x", pair(0), supersedes="unknown"),
        answer("x", pair(0), supersedes="x"),
    ):
        with pytest.raises(UsageError, match="supersedes"):
            store.add_answers([wrong])
    with pytest.raises(UsageError, match="a is superseded by b already: supersede that one"):
        store.add_answers([answer("x", pair(0), supersedes="a")])
    with pytest.raises(UsageError, match="superseded by x already"):
        store.add_answers([answer("x", pair(0), supersedes="b"), answer("y", pair(0), supersedes="b")])


def test_a_repeat_names_a_known_query(store: FeedbackStore) -> None:
    repeat = replace(pair(1), purpose=Purpose.REPEAT, repeat_of="run-q0")
    with pytest.raises(UsageError, match="repeated query run-q0 is unknown"):
        store.add_queries([repeat])
    store.add_queries([pair(0), repeat])
    assert store.queries("run")[1].repeat_of == "run-q0"


def test_counts_are_counted_again_only_after_something_was_stored(
    store: FeedbackStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    counted: list[int] = []
    count = counts.count_labels

    def counting(*given: Any, **more: Any) -> Counts:
        counted.append(1)
        return count(*given, **more)

    monkeypatch.setattr(counts, "count_labels", counting)
    query = pair(0)
    with FeedbackStore(tmp_path / "feedback.sqlite") as other:  # of another process, say
        for stored, labels, still_open in (
            ([query], 0, 1),
            ([answer("a", query)], 1, 0),
            ([answer("b", query, None, supersedes="a", withdrawn=True)], 0, 1),
            ([Remark("c", "run", RemarkKind.CLOSE, query.id, "ann")], 0, 0),
        ):
            other.add(stored)
            before = len(counted)
            for _ in range(3):
                assert (store.counts("run").labels, store.counts("run").open) == (labels, still_open)
            assert len(counted) == before + 1
    assert store.counts("another").queries == 0
    assert store.counts("run").queries == 1


def test_counts_tell_labels_from_skips_and_from_what_spends_no_budget(store: FeedbackStore) -> None:
    asked = [pair(number) for number in range(4)]
    gold, practice = pair(4, purpose=Purpose.GOLD), pair(5, purpose=Purpose.PRACTICE)
    store.add([*asked, gold, practice])
    assert store.counts("run") == Counts(queries=4, labels=0, skips=0, open=4, missing=4, other_answers=0)
    store.add([answer("a", asked[0]), answer("b", asked[1], None), answer("c", asked[0], 0.5, "bob")])
    store.add([answer("d", gold), answer("e", practice, None)])
    counted = Counts(4, labels=2, skips=1, open=2, missing=2, other_answers=2, check_labels=1)
    assert store.counts("run") == counted
    store.add([answer("f", gold, None, "bob")])
    assert store.counts("run") == replace(counted, other_answers=3, check_skips=1)
    assert store.counts("run", overlap=2).missing == 0 + 1 + 2 + 2
    assert store.counts("none") == Counts(0, labels=0, skips=0, open=0, missing=0, other_answers=0)


def test_a_lease_keeps_others_away_until_it_expires_or_is_released(store: FeedbackStore) -> None:
    first, second = pair(0), pair(1)
    store.add_queries([first, second])
    assert store.lease([first.id], labeller="ann", seconds=60, now=100.0) == (first.id,)
    assert store.open_queries("run", 5, labeller="bob", now=159.0) == [second]
    assert store.open_queries("run", 5, labeller="ann", now=159.0) == [first, second]
    assert store.open_queries("run", 1, labeller="ann", now=159.0) == [first]
    assert store.lease([first.id, second.id], labeller="bob", seconds=60, now=159.0) == (second.id,)
    assert store.open_queries("run", 5, labeller="bob", now=160.0) == [first, second]
    assert store.lease([first.id], labeller="bob", seconds=60, now=160.0) == (first.id,)
    assert store.lease([first.id], labeller="ann", seconds=60, now=160.0) == ()
    store.release([first.id], labeller="bob")
    assert store.lease([first.id, first.id], labeller="ann", seconds=60, now=160.0) == (first.id,)
    assert store.lease([first.id], labeller="ann", seconds=60, now=200.0) == (first.id,)
    assert store.open_queries("run", 5, labeller="bob", now=250.0) == [second]
    assert store.open_queries("run", 5, labeller="bob", now=260.0) == [first, second]
    with pytest.raises(UsageError, match="query 'nonsense' is unknown"):
        store.lease(["nonsense"], labeller="ann", seconds=60, now=0.0)


def test_overlap_lets_so_many_labellers_answer_and_none_twice(store: FeedbackStore) -> None:
    query = pair(0)
    store.add_queries([query])
    assert store.lease([query.id], labeller="ann", seconds=60, now=0.0, overlap=2)
    assert store.lease([query.id], labeller="bob", seconds=60, now=0.0, overlap=2)
    assert store.lease([query.id], labeller="eve", seconds=60, now=0.0, overlap=2) == ()
    store.add_answers([answer("a", query)])
    assert store.lease([query.id], labeller="eve", seconds=60, now=0.0, overlap=2) == ()
    assert store.open_queries("run", 5, labeller="ann", now=0.0, overlap=3) == []
    assert store.open_queries("run", 5, labeller="eve", now=0.0, overlap=3) == [query]
    assert store.open_queries("run", 5, now=99.0) == []
    assert store.open_queries("run", 5, now=99.0, overlap=2) == [query]


def test_a_repeat_is_for_those_who_answered_what_it_repeats(store: FeedbackStore) -> None:
    first, repeat = pair(0), replace(pair(2), purpose=Purpose.REPEAT, repeat_of="run-q0")
    store.add([first, pair(1), repeat])
    assert store.open_queries("run", 5) == [first, pair(1)]
    store.add([answer("a", first), answer("b", pair(1), labeller="bob")])
    assert store.open_queries("run", 5, labeller="ann") == [repeat]
    assert store.open_queries("run", 5, labeller="bob") == []
    assert store.open_queries("run", 5) == [repeat]
    assert store.lease([repeat.id], labeller="bob", seconds=60, now=0.0) == ()
    assert store.lease([repeat.id], labeller="ann", seconds=60, now=0.0) == (repeat.id,)
    store.add([answer("c", repeat)])
    assert store.open_queries("run", 5) == []
    store.add([answer("d", first, labeller="bob")])  # with overlap each has an own turn
    assert store.open_queries("run", 5, labeller="bob") == [repeat]
    assert store.open_queries("run", 5, labeller="ann") == []


def test_what_was_skipped_or_taken_back_is_not_repeated(store: FeedbackStore) -> None:
    repeats = [replace(pair(n + 2), purpose=Purpose.REPEAT, repeat_of=f"run-q{n}") for n in range(2)]
    store.add([pair(0), pair(1), *repeats, answer("a", pair(0), None), answer("b", pair(1))])
    assert store.open_queries("run", 5, labeller="ann") == [repeats[1]]
    store.add([answer("c", pair(1), None, supersedes="b", withdrawn=True)])
    assert store.open_queries("run", 5, labeller="ann") == [pair(1)]


def test_repeats_come_before_what_is_new(store: FeedbackStore) -> None:
    repeat = replace(pair(2), purpose=Purpose.REPEAT, repeat_of="run-q0")
    store.add([pair(0), pair(1), repeat, answer("a", pair(0))])
    assert store.open_queries("run", 1, labeller="ann") == [repeat]


def test_practice_is_for_everybody_and_told_from_the_rest(store: FeedbackStore) -> None:
    practice = pair(0, purpose=Purpose.PRACTICE)
    store.add([practice, pair(1), answer("a", practice)])
    assert store.open_queries("run", 5, labeller="bob") == [pair(1)]
    only = [Purpose.PRACTICE]
    assert store.open_queries("run", 5, labeller="bob", purposes=only) == [practice]
    assert store.open_queries("run", 5, labeller="ann", purposes=only) == []
    assert store.open_queries("run", 5, purposes=only) == [practice]
    assert store.add_answer(answer("b", practice, labeller="bob"))  # nobody is late for practice
    assert store.queries("run", purposes=only) == [practice]


def test_remarks_are_kept_and_a_closed_query_is_open_no_more(store: FeedbackStore) -> None:
    flag = Remark("m0", "run", RemarkKind.FLAG, "run-q0", "ann", "black clip", 1.5)
    close = Remark("m1", "run", RemarkKind.CLOSE, "run-q0", "trainer")
    store.add([pair(0), pair(1), flag, close])
    assert store.add([flag]) == 0
    assert store.remarks("run") == [flag, close]
    assert store.remarks("run", kind=RemarkKind.FLAG) == [flag]
    assert store.open_queries("run", 5) == [pair(1)]
    assert store.counts("run").open == 1


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE answers SET value = '0.0'",
        "DELETE FROM answers",
        "UPDATE queries SET kind = 'like'",
        "DELETE FROM remarks",
        "UPDATE remarks SET labeller = 'bob'",
        "DELETE FROM queries",
    ],
)
def test_the_database_itself_refuses_to_change_or_forget(store: FeedbackStore, statement: str) -> None:
    store.add([pair(0), answer("a", pair(0)), Remark("m", "run", RemarkKind.FLAG, "run-q0", "ann")])
    store.close()
    assert store.path is not None
    with (
        sqlite3.connect(store.path) as connection,
        pytest.raises(sqlite3.IntegrityError, match="append-only"),
    ):
        connection.execute(statement)
    assert len(store.answers("run")) == 1


def test_an_export_holds_everything_and_an_import_adds_only_what_is_new(
    store: FeedbackStore, tmp_path: Path
) -> None:
    asked, answers = full_answers()
    store.add([*asked, *answers, pair(0, run="other")])
    store.add([Remark("m", "run", RemarkKind.WEIGHT, "judge", "admin", "0.5")])
    assert store.export_jsonl(tmp_path / "all.jsonl") == 12
    assert store.export_jsonl(tmp_path / "one.jsonl", run="other") == 1
    lines = [json.loads(line) for line in (tmp_path / "all.jsonl").read_text().splitlines()]
    provenance = {
        "source": "model",
        "labeller": "judge",
        "shown": [0, 1],
        "instruction_version": 2,
        "seconds": 1 / 3,
    }
    assert provenance.items() <= lines[6].items()
    with FeedbackStore(tmp_path / "copy.sqlite") as copy:
        copy.add_queries(asked[:2])
        intake = copy.import_jsonl(tmp_path / "all.jsonl")
        assert (intake.added, intake.known, intake.problems) == (10, 2, ())
        assert copy.answers("run") == answers
        assert copy.remarks("run") == store.remarks("run")
        assert copy.import_jsonl(tmp_path / "all.jsonl").added == 0
    assert check_store(tmp_path / "copy.sqlite") == []


def test_an_import_takes_what_fits_and_names_the_lines_that_do_not(
    store: FeedbackStore, tmp_path: Path
) -> None:
    asked, answers = full_answers()
    store.add([*asked, *answers])
    store.export_jsonl(tmp_path / "all.jsonl")
    lines = (tmp_path / "all.jsonl").read_text().splitlines()
    lines[1:1] = ["not json", "[]", '{"record": "query"}', '{"record": "joke"}', "[" * 5000]
    lines.append(lines[-1].replace('"value": [0.1, -2.0, 3.0]', '"value": [5.0]'))
    (tmp_path / "all.jsonl").write_bytes("\n".join(lines).encode() + b"\n\xff\n")
    with FeedbackStore(tmp_path / "copy.sqlite") as copy:
        intake = copy.import_jsonl(tmp_path / "all.jsonl")
        assert copy.answers("run") == answers
    assert intake.added == 10
    assert [problem.split(":")[0] for problem in intake.problems] == [
        f"line {n}" for n in (2, 3, 4, 5, 6, 17, 16)
    ]


def test_a_missing_store_a_foreign_file_and_a_foreign_database_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"there is no store at .*: check the path"):
        FeedbackStore(tmp_path / "none.sqlite", must_exist=True)
    with pytest.raises(UsageError, match="check that its folder exists"):
        FeedbackStore(tmp_path / "no" / "folder.sqlite")
    (tmp_path / "text.sqlite").write_text("this is not a database " * 100)
    with pytest.raises(UsageError, match="it is not a store"):
        FeedbackStore(tmp_path / "text.sqlite")
    with sqlite3.connect(tmp_path / "foreign.sqlite") as connection:
        connection.execute("CREATE TABLE recipes (name TEXT)")
    with pytest.raises(UsageError, match="a table recipes"):
        FeedbackStore(tmp_path / "foreign.sqlite")
    with pytest.raises(UsageError, match="name of a journal"):
        FeedbackStore(tmp_path / "feedback.jsonl")


def test_a_server_that_is_not_there_is_a_clear_error() -> None:
    with pytest.raises(
        UsageError, match=r"no driver for postgresql|at postgresql.* cannot be used"
    ) as caught:
        FeedbackStore("postgresql://nobody:secret@127.0.0.1:1/none")
    assert "secret" not in str(caught.value)


@pytest.mark.skipif(
    "PREFRL_TEST_POSTGRESQL" not in os.environ, reason="PREFRL_TEST_POSTGRESQL names no server"
)
def test_postgresql_keeps_the_same_promises() -> None:
    run = f"test-{uuid.uuid4()}"
    query = pair(0, run=run)
    with FeedbackStore(os.environ["PREFRL_TEST_POSTGRESQL"]) as store:
        given = answer(f"{run}-a", query)
        assert store.add([query, given]) == 2
        assert store.add([query, given]) == 0
        assert store.current_answers(run) == [given]
        with pytest.raises(UsageError, match="other content"):
            store.add([replace(given, value=0.0)])
        undo = answer(f"{run}-b", query, None, supersedes=given.id, withdrawn=True)
        store.add([undo])
        assert store.current_answers(run) == []
        assert store.lease([query.id], labeller="bob", seconds=9, now=0.0) == (query.id,)
        with pytest.raises(UsageError, match="append-only"), writing(store._engine) as connection:
            connection.exec_driver_sql("DELETE FROM answers")
        assert store.answers(run) == [given, undo]
    assert check_store(os.environ["PREFRL_TEST_POSTGRESQL"]) == []


@pytest.mark.parametrize("address", ["mysql://host/x", "sqlite://", "nonsense://x", "://"])
def test_an_address_that_is_no_store_is_refused(address: str) -> None:
    with pytest.raises(UsageError, match=r"give a path|use a path"):
        FeedbackStore(address)


def test_a_newer_format_is_refused_and_an_older_one_is_brought_up_to_date(
    store: FeedbackStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.add([pair(0), answer("a", pair(0))])
    store.close()
    assert store.path is not None
    monkeypatch.setattr(schema, "FORMAT_VERSION", 2)
    monkeypatch.setitem(schema.MIGRATIONS, 1, ("CREATE TABLE added_later (id TEXT)",))
    with FeedbackStore(store.path) as migrated:
        assert len(migrated.answers("run")) == 1
    with sqlite3.connect(store.path) as connection:
        assert connection.execute("SELECT version FROM store_format").fetchone() == (2,)
        assert connection.execute("SELECT count(*) FROM added_later").fetchone() == (0,)
    monkeypatch.setattr(schema, "FORMAT_VERSION", 1)
    with pytest.raises(UsageError, match="format 2 and this prefrl reads up to 1: upgrade prefrl"):
        FeedbackStore(store.path)
    assert "upgrade prefrl" in check_store(store.path)[0]


STEPS = st.lists(
    st.one_of(
        st.tuples(
            st.just("answer"),
            st.integers(0, 3),
            st.sampled_from(["ann", "bob"]),
            st.sampled_from([1.0, 0.5, None]),
        ),
        st.tuples(
            st.just("change"),
            st.integers(0, 3),
            st.sampled_from(["ann", "bob"]),
            st.sampled_from([0.0, None]),
        ),
        st.tuples(st.just("undo"), st.integers(0, 3), st.sampled_from(["ann", "bob"]), st.none()),
        st.tuples(st.just("repeat"), st.integers(0, 3), st.just("ann"), st.none()),
        st.tuples(st.just("reopen"), st.just(0), st.just(""), st.none()),
    ),
    max_size=15,
)


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=STEPS)
def test_any_sequence_of_answers_and_undos_leaves_what_a_plain_model_says(
    steps: list[tuple[str, int, str, Value]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("model")
    asked = [pair(number) for number in range(4)]
    store = FeedbackStore(folder / "feedback.sqlite")
    store.add_queries(asked)
    model: dict[tuple[str, str], Answer] = {}
    last: dict[tuple[str, str], Answer] = {}
    for number, (verb, index, labeller, value) in enumerate(steps):
        key = (asked[index].id, labeller)
        if verb == "reopen":
            store.close()
            store = FeedbackStore(folder / "feedback.sqlite")
        elif verb == "repeat" and key in last:
            assert store.add_answers([last[key]]) == 0
        elif verb == "answer" or (key in last and verb in ("change", "undo")):
            earlier = None if verb == "answer" else last[key].id
            new = answer(
                f"a{number}", asked[index], value, labeller, supersedes=earlier, withdrawn=verb == "undo"
            )
            assert store.add_answers([new]) == 1
            last[key] = new
            model.pop(key, None)
            if verb != "undo":
                model[key] = new
    current = store.current_answers("run")
    assert {(one.query_id, one.labeller): one for one in current} == model
    assert newest_answers(store.answers("run")) == model
    counts = store.counts("run")
    assert counts.labels == sum(one.value is not None for one in model.values())
    assert counts.skips == sum(one.value is None for one in model.values())
    answered = {query_id for query_id, _ in model}
    assert store.open_queries("run", 10) == [query for query in asked if query.id not in answered]
    store.close()
    rebuild_store(folder / "feedback.jsonl", folder / "rebuilt.sqlite")
    with FeedbackStore(folder / "rebuilt.sqlite") as rebuilt:
        assert rebuilt.current_answers("run") == current
    assert check_store(folder / "feedback.sqlite") == []


def test_the_store_loads_no_torch() -> None:
    imports = "import sys, prefrl.store.feedback_store, prefrl.runs.log"
    code = f"{imports}; print({{'torch', 'tensorboard'}} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_opening_a_sound_store_warns_of_nothing(store: FeedbackStore) -> None:
    store.add([pair(0), answer("a", pair(0))])
    assert store.path is not None
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with FeedbackStore(f"sqlite:///{store.path}") as again:
            assert again.repairs == ()
            assert len(again.answers("run")) == 1
