"""Figures of labellers, from answers whose figures are counted by hand or planted."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest

from prefrl.feedback import Answer, Kind, Purpose, Query, Remark, RemarkKind, Source, Value
from prefrl.labellers.statistics import LabellingStatistics, labelling_statistics, same_answer
from prefrl.statistics import wilson_interval
from prefrl.store.answer_table import AnswerTable
from prefrl.store.feedback_store import FeedbackStore


def pair(number: int, purpose: Purpose = Purpose.TRAINING, **more: object) -> Query:
    items = more.pop("items", (f"l{number}", f"r{number}"))
    return Query(f"q{number}", "run", Kind.PAIR, items, counter=number, purpose=purpose, **more)  # type: ignore[arg-type]


def say(query: Query, value: Value, labeller: str = "ann", **more: object) -> Answer:
    return Answer(f"{labeller}-{query.id}", query.id, value, Source.PERSON, labeller, **more)  # type: ignore[arg-type]


def table_of(folder: Path, records: Iterable[object]) -> AnswerTable:
    folder.mkdir(exist_ok=True)
    with FeedbackStore(folder / "feedback.sqlite") as store:
        store.add(records)  # type: ignore[arg-type]
        return store.answer_table("run")


def figures(table: AnswerTable, expected: dict[str, Value] | None = None) -> LabellingStatistics:
    return labelling_statistics(table, expected or {}, rng=np.random.default_rng(0))


def test_pace_and_habits_are_counted(tmp_path: Path) -> None:
    asked = [pair(number) for number in range(9)]
    values = [1.0, 0.75, 0.0, 0.0, 1.0, 0.5, 0.5, None]
    shown = [(0, 1), (1, 0), (0, 1), (1, 0), (), (0, 1), (0, 1), (0, 1)]
    answers = [
        say(query, value, seconds=float(place + 1), shown=order)
        for place, (query, value, order) in enumerate(zip(asked, values, shown, strict=False))
    ]
    late = Remark("m", "run", RemarkKind.LATE, "q3", "ann")
    (ann, bob) = figures(table_of(tmp_path, [*asked, *answers, say(asked[8], 1.0, "bob"), late])).labellers
    assert (ann.labeller, ann.answers, ann.late) == ("ann", 8, 1)
    assert (ann.seconds.estimate, ann.seconds.lower, ann.seconds.upper) == (4.5, 2.75, 6.25)
    assert ann.equal == wilson_interval(2, 8)
    assert ann.cannot_tell == wilson_interval(1, 8)
    assert ann.left == wilson_interval(2, 4)  # q0 and q3; of q4 nobody knows what stood left
    assert (bob.answers, bob.late) == (1, 0)
    assert np.isnan(bob.seconds.estimate)
    assert np.isnan(bob.left.estimate)


def test_changed_and_withdrawn_answers_count_as_they_stand(tmp_path: Path) -> None:
    asked = [pair(0), pair(1)]
    first = [say(asked[0], 1.0), say(asked[1], 1.0)]
    changed = Answer("c", "q0", 0.5, Source.PERSON, "ann", supersedes=first[0].id)
    undone = Answer("u", "q1", None, Source.PERSON, "ann", supersedes=first[1].id, withdrawn=True)
    (ann,) = figures(table_of(tmp_path, [*asked, *first, changed, undone])).labellers
    assert (ann.answers, ann.equal) == (1, wilson_interval(1, 1))


def test_practice_is_left_out_and_gold_compared_with_what_was_expected(tmp_path: Path) -> None:
    practice, gold = pair(0, Purpose.PRACTICE), [pair(number, Purpose.GOLD) for number in range(1, 6)]
    values = [1.0, 0.75, 0.0, None, 0.5]
    answers = [say(query, value) for query, value in zip(gold, values, strict=True)]
    table = table_of(tmp_path, [practice, *gold, say(practice, 0.5), *answers])
    (ann,) = figures(table, {query.id: 1.0 for query in gold[:4]}).labellers
    assert (ann.answers, ann.gold_answers) == (5, 4)
    assert ann.gold == wilson_interval(2, 4)  # slightly left is left; to decline is not


def test_repeats_are_compared_by_side_whichever_way_round(tmp_path: Path) -> None:
    asked = [pair(number) for number in range(4)]
    repeats = [
        pair(4, Purpose.REPEAT, repeat_of="q0", items=("l0", "r0")),
        pair(5, Purpose.REPEAT, repeat_of="q1", items=("r1", "l1")),
        pair(6, Purpose.REPEAT, repeat_of="q2", items=("r2", "l2")),
        pair(7, Purpose.REPEAT, repeat_of="q3", items=("l3", "r3")),
    ]
    values = [1.0, 1.0, 1.0, 1.0, 0.75, 0.0, 1.0, None]
    answers = [say(query, value) for query, value in zip([*asked, *repeats], values, strict=True)]
    bob = [say(repeats[0], 1.0, "bob"), say(asked[1], 0.0, "bob"), say(repeats[1], 0.0, "bob")]
    found = {
        one.labeller: one for one in figures(table_of(tmp_path, [*asked, *repeats, *answers, *bob])).labellers
    }
    assert (found["ann"].consistency, found["ann"].repeats) == (wilson_interval(2, 3), 3)
    assert (found["bob"].consistency, found["bob"].repeats) == (wilson_interval(0, 1), 1)


def test_other_kinds_are_the_same_answer_where_they_are_equal(tmp_path: Path) -> None:
    assert same_answer("pair", "0.75", "1.0")
    assert not same_answer("pair", "0.5", "1.0")
    assert same_answer("pair", "0.75", "0.0", turned=True)
    assert same_answer("ranking", "[2, 0, 1]", "[2, 0, 1]")
    assert not same_answer("rating", "7", "8")
    rated = Query("q0", "run", Kind.RATING, ("a",))
    again = Query("q1", "run", Kind.RATING, ("a",), counter=1, purpose=Purpose.REPEAT, repeat_of="q0")
    (ann,) = figures(table_of(tmp_path, [rated, again, say(rated, 7), say(again, 7)])).labellers
    assert ann.consistency == wilson_interval(1, 1)
    assert np.isnan(ann.equal.estimate)  # nothing about pairs


def test_planted_labellers_come_out_as_they_were(tmp_path: Path) -> None:
    generator = np.random.default_rng(1)
    asked = [pair(number) for number in range(400)]
    records: list[object] = list(asked)
    for query in asked:
        truth = float(generator.integers(2))
        for name, right in (("careful", 0.95), ("hasty", 0.75), ("random", 0.5)):
            value = truth if generator.random() < right else 1.0 - truth
            records.append(say(query, value, name, shown=(0, 1)))
        records.append(say(query, 1.0, "lefty", shown=(0, 1)))
    found = figures(table_of(tmp_path, records))
    people = {one.labeller: one for one in found.labellers}
    assert people["careful"].reliability == pytest.approx(0.95, abs=0.06)
    assert people["hasty"].reliability == pytest.approx(0.75, abs=0.06)
    assert people["random"].reliability == pytest.approx(0.5, abs=0.06)
    assert people["lefty"].left.lower > 0.99 > people["careful"].left.upper
    assert people["careful"].agreement.estimate > people["hasty"].agreement.estimate
    names = [one.labeller for one in found.labellers]
    careful_hasty = next(
        one.alike for one in found.pairs if {names[one.first], names[one.second]} == {"careful", "hasty"}
    )
    assert careful_hasty.lower < 0.95 * 0.75 + 0.05 * 0.25 < careful_hasty.upper
    # Two agree in 0.725 and all other two in half of the pairs; five in eight answers are "left".
    by_hand = 1.0 - (1.0 - (0.725 + 5 * 0.5) / 6) / (2 * 5 / 8 * 3 / 8)
    assert found.alpha.lower < by_hand < found.alpha.upper


def test_few_shared_pairs_say_nothing_about_reliability_and_an_empty_run_nothing_at_all(
    tmp_path: Path,
) -> None:
    asked = [pair(number) for number in range(5)]
    answers = [say(query, 1.0, name) for query in asked for name in ("ann", "bob")]
    found = figures(table_of(tmp_path, [*asked, *answers]))
    assert all(np.isnan(one.reliability) for one in found.labellers)
    (tmp_path / "other").mkdir()
    empty = figures(table_of(tmp_path / "other", []))
    assert (empty.labellers, empty.pairs) == ((), ())
    assert np.isnan(empty.alpha.estimate)


# Other kinds than pairs.


def alone(kind: Kind, number: int, items: tuple[str, ...] = ("a",)) -> Query:
    return Query(f"{kind}{number}", "run", kind, items, counter=number)


def test_ratings_agree_by_their_order_and_likes_and_rankings_by_being_the_same(tmp_path: Path) -> None:
    said: dict[Kind, list[tuple[Value, Value]]] = {
        Kind.RATING: [(1, 2), (5, 5), (9, 10), (3, 3)],
        Kind.LIKE: [(True, True), (False, False), (True, False), (True, True)],
        Kind.RANKING: [
            ((0, 1, 2), (0, 1, 2)),
            ((2, 1, 0), (2, 1, 0)),
            ((1, 0, 2), (0, 1, 2)),
            ((0, 2, 1),) * 2,
        ],
    }
    for kind, values in said.items():
        items = ("a", "b", "c") if kind is Kind.RANKING else ("a",)
        asked = [alone(kind, number, items) for number in range(4)]
        records: list[object] = [*asked]
        for query, (ann, bob) in zip(asked, values, strict=True):
            records += [say(query, ann), say(query, bob, "bob")]
        found = figures(table_of(tmp_path / f"{kind}", records))
        alike = sum(first == second for first, second in values)
        assert [one.alike.estimate for one in found.pairs] == [alike / 4]
        assert {one.shared for one in found.labellers} == {4}
        assert found.alpha.estimate > 0.3
    assert figures(table_of(tmp_path / "ratings", [])).pairs == ()


def test_near_ratings_have_a_high_alpha_although_none_is_the_same(tmp_path: Path) -> None:
    asked = [alone(Kind.RATING, number) for number in range(6)]
    near = [say(query, value) for query, value in zip(asked, (1, 3, 5, 7, 9, 10), strict=True)]
    others = [say(query, value, "bob") for query, value in zip(asked, (2, 4, 6, 8, 10, 9), strict=True)]
    found = figures(table_of(tmp_path, [*asked, *near, *others]))
    assert found.pairs[0].alike.estimate == 0.0
    assert found.alpha.estimate > 0.8


@pytest.mark.parametrize(
    ("kind", "first", "again", "same"),
    [
        ("rating", "7", "8", True),
        ("rating", "7", "9", False),
        ("like", "true", "true", True),
        ("like", "true", "false", False),
        ("ranking", "[0, 2, 1]", "[0, 2, 1]", True),
        ("ranking", "[0, 2, 1]", "[0, 1, 2]", False),
    ],
)
def test_what_is_said_again_is_the_same_by_its_kind(kind: str, first: str, again: str, same: bool) -> None:
    assert same_answer(kind, first, again) is same


def test_a_ranking_of_items_the_other_way_round_is_compared_item_by_item() -> None:
    assert same_answer("ranking", "[0, 2, 1]", "[2, 0, 1]", turned=True)
    assert not same_answer("ranking", "[0, 2, 1]", "[0, 2, 1]", turned=True)
