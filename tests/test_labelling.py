"""A labeller's session: what is taken, answered, changed, taken back, late, or said twice."""

from collections.abc import Iterator
from pathlib import Path
from threading import Barrier, Thread
from typing import Any

import pytest

from prefrl.errors import UsageError
from prefrl.feedback import Answer, Kind, Purpose, Query, Remark, RemarkKind, Source, Value
from prefrl.labellers.labelling import Labelling
from prefrl.labellers.receipts import AnswerRefused, Receipt
from prefrl.labellers.screen import query_value, screen_value
from prefrl.store.feedback_store import FeedbackStore


def pair(counter: int) -> Query:
    return Query(
        id=f"q{counter}", run="run", kind=Kind.PAIR, items=(f"a{counter}", f"b{counter}"), counter=counter
    )


@pytest.fixture
def store(tmp_path: Path) -> Iterator[FeedbackStore]:
    """A run with six open pairs."""
    with FeedbackStore(tmp_path / "feedback.sqlite") as store:
        store.add([pair(counter) for counter in range(6)])
        yield store


def labeller(store: FeedbackStore, name: str = "ada", **settings: Any) -> Labelling:
    return Labelling(store, "run", **{"labeller": name, "seed": 0, "clock": lambda: 5.0, **settings})


@pytest.mark.parametrize("preference", [1.0, 0.75, 0.5, 0.25, 0.0, None])
def test_swapping_the_sides_on_the_screen_swaps_the_answer(preference: float | None) -> None:
    assert query_value(pair(0), preference, (0, 1)) == preference
    swapped = query_value(pair(0), preference, (1, 0))
    assert swapped == (None if preference is None else 1.0 - preference)


@pytest.mark.parametrize(
    ("kind", "screen", "shown", "value"),
    [
        (Kind.RANKING, (2, 0, 1), (1, 2, 0), (0, 1, 2)),
        (Kind.RANKING, None, (1, 2, 0), None),
        (Kind.LIKE, True, (0,), True),
        (Kind.RATING, 7, (0,), 7),
    ],
)
def test_values_of_every_kind_are_read_from_the_screen(
    kind: Kind, screen: Value, shown: tuple[int, ...], value: Value
) -> None:
    items = tuple(f"i{place}" for place in shown)
    query = Query(id="q", run="run", kind=kind, items=items)
    assert query_value(query, screen, shown) == value
    assert screen_value(query, value, shown) == screen


def test_labellers_take_different_queries_and_their_own_again(store: FeedbackStore) -> None:
    ada, bob, eve = (labeller(store, name) for name in ("ada", "bob", "eve"))
    taken = [ada.take(2), bob.take(2), eve.take(4)]
    assert [[query.counter for query in each] for each in taken] == [[0, 1], [2, 3], [4, 5]]
    assert ada.take(2) == taken[0]


def test_with_overlap_a_query_is_for_several(store: FeedbackStore) -> None:
    ada, bob, eve = (labeller(store, name, overlap=2) for name in ("ada", "bob", "eve"))
    assert [each.take(1)[0].counter for each in (ada, bob, eve)] == [0, 0, 1]


def test_what_is_not_usable_yet_is_left_out(store: FeedbackStore) -> None:
    taken = labeller(store).take(2, usable=lambda query: query.counter % 2 == 1)
    assert [query.counter for query in taken] == [1, 3]
    assert labeller(store, "bob").take(1)[0].counter == 0


def test_a_query_left_alone_goes_to_others_when_its_lease_ends(store: FeedbackStore) -> None:
    now = [1000.0]
    ada, bob = (labeller(store, name, lease_seconds=60.0, clock=lambda: now[0]) for name in ("ada", "bob"))
    (first,) = ada.take(1)
    assert bob.take(1) != [first]
    now[0] += 61.0
    assert bob.take(1) == [first]


def test_an_answer_is_stored_as_it_was_given(store: FeedbackStore) -> None:
    receipt = labeller(store).answer(pair(0), 0.75, shown=(1, 0), seconds=2.5, instruction_version=3)
    (stored,) = store.answers("run")
    assert stored == receipt.answer
    assert (stored.value, stored.shown, stored.seconds, stored.source) == (0.75, (1, 0), 2.5, Source.PERSON)
    assert (stored.instruction_version, stored.answered_at) == (3, 5.0)
    assert (receipt.counts, receipt.known) == (True, False)


def test_the_same_words_sent_again_are_one_answer(store: FeedbackStore) -> None:
    times = iter(range(100))
    ada = labeller(store, clock=lambda: float(next(times)))
    first = ada.answer(pair(0), 1.0, shown=(0, 1), revision=0)
    again = ada.answer(pair(0), 1.0, shown=(0, 1), revision=0)
    assert again == Receipt(first.answer, counts=True, known=True)
    assert len(store.answers("run")) == 1


def test_the_same_words_sent_at_once_are_one_answer(store: FeedbackStore) -> None:
    receipts: list[Receipt] = []
    together = Barrier(6)

    def send(second: float) -> None:
        ada = labeller(store, clock=lambda: second)
        together.wait()
        receipts.append(ada.answer(pair(0), 1.0, shown=(0, 1), revision=0))

    threads = [Thread(target=send, args=(float(number),)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(store.answers("run")) == 1
    assert sorted(receipt.known for receipt in receipts) == [False] + [True] * 5


def test_other_words_under_the_same_revision_are_refused(store: FeedbackStore) -> None:
    ada = labeller(store)
    ada.answer(pair(0), 1.0, shown=(0, 1), revision=0)
    with pytest.raises(AnswerRefused, match="ada has answered q0 already"):
        ada.answer(pair(0), 0.0, shown=(0, 1), revision=0)
    with pytest.raises(AnswerRefused, match="ada has answered q0 already"):
        ada.answer(pair(0), 1.0, shown=(1, 0), revision=0)
    assert [one.value for one in store.answers("run")] == [1.0]


def test_a_change_supersedes_and_a_withdrawal_reopens(store: FeedbackStore) -> None:
    ada = labeller(store)
    first = ada.answer(pair(0), 1.0, shown=(0, 1), revision=0).answer
    second = ada.answer(pair(0), 0.5, shown=(0, 1), revision=1).answer
    assert second.supersedes == first.id
    assert [one.value for one in store.current_answers("run")] == [0.5]
    withdrawal = ada.withdraw(pair(0), revision=2)
    assert withdrawal.answer.supersedes == second.id
    assert ada.withdraw(pair(0), revision=2).known
    assert store.current_answers("run") == []
    assert labeller(store, "bob").take(1) == [pair(0)]


def test_revisions_come_in_their_order(store: FeedbackStore) -> None:
    with pytest.raises(AnswerRefused, match="revision 1 of an answer, after 0"):
        labeller(store).answer(pair(0), 1.0, shown=(0, 1), revision=1)


@pytest.mark.parametrize("value", [0.3, 7, True, "left", (0, 1), float("nan")])
def test_a_value_that_cannot_be_is_refused_for_good(store: FeedbackStore, value: Any) -> None:
    with pytest.raises(AnswerRefused):
        labeller(store).answer(pair(0), value, shown=(0, 1))
    with pytest.raises(AnswerRefused):
        labeller(store).answer(pair(0), 1.0, shown=(0, 0))
    assert store.answers("run") == []


def test_nothing_said_cannot_be_taken_back(store: FeedbackStore) -> None:
    ada = labeller(store)
    with pytest.raises(AnswerRefused, match="no answer to q0 that could be taken back"):
        ada.withdraw(pair(0))
    ada.answer(pair(0), 1.0, shown=(0, 1))
    ada.withdraw(pair(0))
    with pytest.raises(AnswerRefused, match="no answer to q0 that could be taken back"):
        ada.withdraw(pair(0))


def test_undo_takes_back_ones_own_newest_answer(store: FeedbackStore) -> None:
    ada, bob = labeller(store), labeller(store, "bob")
    ada.answer(pair(0), 1.0, shown=(0, 1))
    ada.answer(pair(1), 1.0, shown=(0, 1))
    bob.answer(pair(2), 1.0, shown=(0, 1))
    assert [one.query_id for one in ada.own_answers()] == ["q0", "q1"]
    assert ada.undo() == pair(1)
    assert ada.undo() == pair(0)
    assert ada.undo() is None
    assert [one.query_id for one in store.current_answers("run")] == ["q2"]


def test_an_answer_after_anothers_is_kept_and_does_not_count(store: FeedbackStore) -> None:
    ada, bob = labeller(store), labeller(store, "bob")
    ada.take(1)
    assert bob.answer(pair(0), 0.0, shown=(0, 1)).counts  # answers first, whoever has the lease
    late = ada.answer(pair(0), 1.0, shown=(0, 1))
    assert not late.counts
    assert [one.value for one in store.current_answers("run")] == [0.0, 1.0]
    assert store.late("run") == {("q0", "ada")}
    assert store.counts("run").labels == 1
    again = ada.answer(pair(0), 1.0, shown=(0, 1), revision=0)
    assert (again.counts, again.known) == (False, True)


def test_an_answer_to_a_closed_query_does_not_count(store: FeedbackStore) -> None:
    store.add([Remark("close", "run", RemarkKind.CLOSE, "q0", "ada")])
    assert not labeller(store).answer(pair(0), 1.0, shown=(0, 1)).counts
    assert store.counts("run").labels == 0


def test_changing_ones_answer_is_as_timely_as_the_answer_was(store: FeedbackStore) -> None:
    ada, bob = labeller(store), labeller(store, "bob")
    ada.answer(pair(0), 1.0, shown=(0, 1))
    assert not bob.answer(pair(0), 0.0, shown=(0, 1)).counts
    assert ada.answer(pair(0), 0.5, shown=(0, 1)).counts
    assert not bob.answer(pair(0), 0.5, shown=(0, 1)).counts
    assert store.counts("run").labels == 1


def test_a_late_answer_does_not_keep_a_query_closed(store: FeedbackStore) -> None:
    ada, bob = labeller(store), labeller(store, "bob")
    ada.answer(pair(0), 1.0, shown=(0, 1))
    bob.answer(pair(0), 0.0, shown=(0, 1))
    ada.withdraw(pair(0))
    assert labeller(store, "eve").take(1) == [pair(0)]


def test_as_many_answers_count_as_there_is_overlap(store: FeedbackStore) -> None:
    counted = [
        labeller(store, name, overlap=2).answer(pair(0), 1.0, shown=(0, 1)).counts
        for name in ("ada", "bob", "eve")
    ]
    assert counted == [True, True, False]


def test_of_many_at_once_exactly_one_is_in_time(store: FeedbackStore) -> None:
    receipts: list[Receipt] = []
    together = Barrier(5)

    def send(name: str) -> None:
        together.wait()
        receipts.append(labeller(store, name).answer(pair(0), 1.0, shown=(0, 1)))

    threads = [Thread(target=send, args=(f"labeller {number}",)) for number in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(receipt.counts for receipt in receipts) == [False] * 4 + [True]
    assert len(store.answers("run")) == 5


def test_a_flag_is_recorded_and_the_query_goes_back(store: FeedbackStore) -> None:
    ada = labeller(store)
    (query,) = ada.take(1)
    ada.flag(query, "the left clip is black")
    ada.flag(query, "still black")
    notes = [(one.subject, one.content) for one in store.remarks("run", kind=RemarkKind.FLAG)]
    assert notes == [("q0", "the left clip is black"), ("q0", "still black")]
    assert labeller(store, "bob").take(1) == [query]


def test_what_is_released_is_open_at_once(store: FeedbackStore) -> None:
    ada = labeller(store)
    ada.release(ada.take(2))
    assert [query.counter for query in labeller(store, "bob").take(2)] == [0, 1]


def test_a_stranger_query_is_refused_and_leaves_nothing(store: FeedbackStore) -> None:
    stranger = Query(id="stranger", run="run", kind=Kind.PAIR, items=("a", "b"), counter=99)
    with pytest.raises(UsageError, match="unknown query stranger"):
        labeller(store).answer(stranger, 1.0, shown=(0, 1))
    assert store.answers("run") == []
    assert store.remarks("run") == []


def test_answers_of_a_trainer_are_never_late(store: FeedbackStore) -> None:
    oracle = Answer(id="o", query_id="q0", value=1.0, source=Source.ORACLE, labeller="oracle")
    store.add([oracle])
    assert store.late("run") == set()


def repeat_of(counter: int) -> Query:
    items = (f"a{counter}", f"b{counter}")
    return Query(
        "again", "run", Kind.PAIR, items, counter=99, purpose=Purpose.REPEAT, repeat_of=f"q{counter}"
    )


@pytest.mark.parametrize("shown", [(0, 1), (1, 0)])
def test_a_repeat_is_shown_the_other_way_round(store: FeedbackStore, shown: tuple[int, int]) -> None:
    store.add([repeat_of(0)])
    ada, bob = labeller(store, overlap=2), labeller(store, "bob", overlap=2)
    assert ada.repeat_order(pair(0)) is None
    ada.answer(pair(0), 1.0, shown=shown)
    bob.answer(pair(0), 1.0, shown=shown[::-1])
    assert ada.repeat_order(repeat_of(0)) == shown[::-1]
    assert bob.repeat_order(repeat_of(0)) == shown
    ada.withdraw(pair(0))
    assert ada.repeat_order(repeat_of(0)) == shown[::-1]


def test_a_repeat_is_answered_only_by_who_answered_before(store: FeedbackStore) -> None:
    store.add([repeat_of(0)])
    ada, bob = labeller(store), labeller(store, "bob")
    ada.answer(pair(0), 1.0, shown=(0, 1))
    with pytest.raises(AnswerRefused, match="again is not for bob"):
        bob.answer(repeat_of(0), 1.0, shown=(0, 1))
    assert ada.answer(repeat_of(0), 0.0, shown=(1, 0)).counts
    assert (store.counts("run").labels, store.counts("run").other_answers) == (1, 1)


def test_practice_is_offered_until_it_is_answered_and_is_no_answer_of_ones_own(store: FeedbackStore) -> None:
    practice = Query("p", "run", Kind.PAIR, ("c", "d"), counter=99, purpose=Purpose.PRACTICE)
    store.add([practice])
    ada, bob = labeller(store), labeller(store, "bob")
    assert ada.practice(3) == bob.practice(3) == [practice]
    assert practice not in ada.take(20)
    ada.answer(practice, 1.0, shown=(0, 1))
    assert (ada.practice(3), bob.practice(3)) == ([], [practice])
    assert ada.own_answers() == []
    assert ada.undo() is None
