"""What the answers say about those who gave them: pace, habits, and how far each can be relied on."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from prefrl.bootstrap import FloatArray, Interval
from prefrl.feedback import Kind, Purpose, Value
from prefrl.labellers.agreement import PairAgreement, krippendorff_alpha, pairwise_agreement
from prefrl.labellers.dawid_skene import fit_dawid_skene
from prefrl.statistics import wilson_interval
from prefrl.store.answer_table import AnswerTable, BoolArray

FEWEST_SHARED = 20
"""Queries answered by others too, from which on a reliability is estimated."""


@dataclass(frozen=True)
class LabellerStatistics:
    """One labeller's answers that stand, practice left out. Shares have Wilson's interval."""

    labeller: str
    answers: int
    late: int
    """Of them, came when the query was answered or closed."""
    seconds: Interval
    """Median time per answer with the quartiles as bounds; NaN where no time is known."""
    equal: Interval
    """Share of answers to pairs that call both equal."""
    cannot_tell: Interval
    """Share of answers that decline."""
    left: Interval
    """Of the answers that prefer a side: share that prefer what stood left; unbiased is 1/2."""
    consistency: Interval
    """Share of repeats answered as the first time."""
    repeats: int
    gold: Interval
    """Share of gold queries answered as expected."""
    gold_answers: int
    agreement: Interval
    """Share of other labellers' answers to the same queries that are the same."""
    shared: int
    """Answers of others that it was compared with."""
    reliability: float
    """P(answer is right) by Dawid and Skene's model; NaN with fewer than 20 queries shared, and for rankings
    and ratings, which have too many answers for it."""


@dataclass(frozen=True)
class LabellingStatistics:
    """All labellers of a run, and how far they agree."""

    labellers: tuple[LabellerStatistics, ...]
    """Most answers first."""
    pairs: tuple[PairAgreement, ...]
    """First and second are places in ``labellers``."""
    alpha: Interval
    """Krippendorff's, over what two or more have answered: ordinal for left < equal < right, for likes and
    ratings; of rankings, whether the whole order is the same."""


def labelling_statistics(
    table: AnswerTable, expected: Mapping[str, Value], *, rng: np.random.Generator
) -> LabellingStatistics:
    """The figures of a run's labellers.

    Args:
        table: the run's answers.
        expected: the right answer of each gold query, by the query's id.
        rng: of the bootstrap behind alpha.
    """
    people = len(table.labellers)
    used = table.purpose != str(Purpose.PRACTICE)
    compared = used & ~np.isnan(table.grade)
    units, grades = table.query[compared], table.grade[compared]
    pairs = pairwise_agreement(units, table.labeller[compared], grades)
    consistent, golden = _consistency(table), _gold(table, expected)
    reliability = _reliability(table, compared)
    found = [
        _one(table, number, used, consistent[number], golden[number], pairs, float(reliability[number]))
        for number in range(people)
    ]
    order = sorted(range(people), key=lambda number: (-found[number].answers, table.labellers[number]))
    place = {number: rank for rank, number in enumerate(order)}
    ranked = bool((table.kind[compared] == str(Kind.RANKING)).any())
    alpha = krippendorff_alpha(units, grades, level="nominal" if ranked else "ordinal", rng=rng)
    return LabellingStatistics(
        tuple(found[number] for number in order),
        tuple(PairAgreement(place[one.first], place[one.second], one.shared, one.alike) for one in pairs),
        alpha,
    )


def same_answer(kind: str, first: str, again: str, *, turned: bool = False) -> bool:
    """Whether two answers, as JSON, say the same; ``turned`` where the second query has the items reversed.

    Of pairs the side counts, not how clearly; of ratings one step more or less is the same; of everything
    else all of it.
    """
    if kind == str(Kind.RATING):
        return abs(int(first) - int(again)) <= 1
    if kind == str(Kind.RANKING) and turned:
        again = json.dumps([len(json.loads(again)) - 1 - place for place in json.loads(again)])
    if kind != str(Kind.PAIR):
        return first == again
    before, after = float(first) - 0.5, float(again) - 0.5
    return bool(np.sign(before) == np.sign(-after if turned else after))


def _one(
    table: AnswerTable,
    number: int,
    used: BoolArray,
    consistent: tuple[int, int],
    golden: tuple[int, int],
    pairs: list[PairAgreement],
    reliability: float,
) -> LabellerStatistics:
    own = used & (table.labeller == number)
    preference, first = table.preference[own], table.first_shown[own]
    answers, is_pair = int(own.sum()), table.kind[own] == str(Kind.PAIR)
    one_sided = (first >= 0) & ~np.isnan(preference) & (preference != 0.5)
    chose_left = (preference > 0.5) == (first == 0)
    met = [one for one in pairs if number in (one.first, one.second)]
    shared = sum(one.shared for one in met)
    alike = sum(round(one.alike.estimate * one.shared) for one in met)
    return LabellerStatistics(
        labeller=table.labellers[number],
        answers=answers,
        late=int(table.late[own].sum()),
        seconds=_quartiles(table.seconds[own]),
        equal=wilson_interval(int((preference == 0.5).sum()), int(is_pair.sum())),
        cannot_tell=wilson_interval(int(table.skipped[own].sum()), answers),
        left=wilson_interval(int((chose_left & one_sided).sum()), int(one_sided.sum())),
        consistency=wilson_interval(*consistent),
        repeats=consistent[1],
        gold=wilson_interval(*golden),
        gold_answers=golden[1],
        agreement=wilson_interval(alike, shared),
        shared=shared,
        reliability=reliability,
    )


def _quartiles(seconds: FloatArray) -> Interval:
    known = seconds[~np.isnan(seconds)]
    if not len(known):
        return Interval(np.nan, np.nan, np.nan)
    lower, median, upper = np.quantile(known, [0.25, 0.5, 0.75])
    return Interval(float(median), float(lower), float(upper))


def _consistency(table: AnswerTable) -> list[tuple[int, int]]:
    """Per labeller, repeats answered as before and repeats answered; skips are neither."""
    wanted = set(table.repeats) | {original for original, _ in table.repeats.values()}
    rows = np.flatnonzero(np.isin(table.query, np.array(sorted(wanted), np.int64)) & ~table.skipped)
    said = {(int(table.query[row]), int(table.labeller[row])): row for row in rows}
    counts = [(0, 0)] * len(table.labellers)
    for (query, who), row in said.items():
        original, turned = table.repeats.get(query, (None, False))
        before = None if original is None else said.get((original, who))
        if before is not None:
            same = same_answer(table.kind[row], table.said[before], table.said[row], turned=turned)
            counts[who] = (counts[who][0] + same, counts[who][1] + 1)
    return counts


def _gold(table: AnswerTable, expected: Mapping[str, Value]) -> list[tuple[int, int]]:
    """Per labeller, gold queries answered as expected and gold queries answered; a skip is wrong."""
    right = {number: expected[one] for number, one in enumerate(table.query_ids) if one in expected}
    counts = [(0, 0)] * len(table.labellers)
    for row in np.flatnonzero(table.purpose == str(Purpose.GOLD)):
        if (query := int(table.query[row])) in right:
            who, wanted = int(table.labeller[row]), json.dumps(right[query])
            hit = table.said[row] != "" and same_answer(table.kind[row], wanted, table.said[row])
            counts[who] = (counts[who][0] + bool(hit), counts[who][1] + 1)
    return counts


def _reliability(table: AnswerTable, compared: BoolArray) -> FloatArray:
    """By Dawid and Skene's model, over the pairs or likes that two or more have answered: [labellers]."""
    people = len(table.labellers)
    compared = compared & np.isin(table.kind, [str(Kind.PAIR), str(Kind.LIKE)])
    answered = np.bincount(table.query[compared], minlength=len(table.query_ids))
    shared = compared & (answered[table.query] >= 2)
    if not shared.any():
        return np.full(people, np.nan)
    _, units = np.unique(table.query[shared], return_inverse=True)
    who, said = table.labeller[shared], (table.grade[shared] + 1).astype(np.int64)
    found = np.full(people, np.nan)
    reliability = fit_dawid_skene(units, who, said, classes=3).reliability
    found[: len(reliability)] = reliability
    return np.where(np.bincount(who, minlength=people) >= FEWEST_SHARED, found, np.nan)
