"""The answers in a store that an offline fit learns from, and the segments that they are about."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import torch

from prefrl.control.layouts import Layout
from prefrl.control.segment_bank import SegmentBank
from prefrl.control.segment_files import load_segments
from prefrl.errors import UsageError
from prefrl.feedback import Answer, Kind, Purpose, Query, RemarkKind, Value
from prefrl.feedback_sets import FeedbackSet, make_feedback_set
from prefrl.labellers.weights import FULL_WEIGHT, labeller_weights
from prefrl.store.feedback_store import FeedbackStore


class Learned(NamedTuple):
    """An answer that is learned from."""

    kind: Kind
    items: tuple[str, ...]
    """Segment ids, in the order of the query."""
    value: Value
    weight: float
    """What its labeller's answers count, in (0, 1]."""


class StoredAnswers(NamedTuple):
    """Those that are learned from, in the order of their queries, and how many are not."""

    learned: list[Learned]
    skips: int
    ignored: int
    left_out: int


def read_answers(store: FeedbackStore, *, run: str | None = None) -> StoredAnswers:
    """The answers that stand and count to training queries of a run, or of all.

    Raises:
        UsageError: the store has no such run.
    """
    runs = store.runs()
    if run is not None and run not in runs:
        raise UsageError(f"the store has no run {run!r}: choose from {', '.join(runs) or 'none'}")
    fates: Counter[str] = Counter()
    learned = []
    for name in runs if run is None else [run]:
        for fate, query, answer, weight in _sort_out(store, name):
            fates[fate] += 1
            if fate == "learned":
                learned.append(Learned(query.kind, query.items, answer.value, weight))
    return StoredAnswers(learned, fates["skipped"], fates["ignored"], fates["left out"])


def load_feedback(
    answers: Sequence[Learned], folder: Path, layout: Layout, *, error_rate: float, device: torch.device
) -> tuple[SegmentBank, list[FeedbackSet]]:
    """The segments of answers, and the answers as the fitter takes them: one set per kind and size.

    Raises:
        UsageError: a segment is missing or damaged.
    """
    ids = list(dict.fromkeys(item for answer in answers for item in answer.items))
    bank = SegmentBank(layout, device)
    rows = dict(zip(ids, bank.add(ids, load_segments(folder, ids)).tolist(), strict=True))
    sets = []
    for kind, size in dict.fromkeys((answer.kind, len(answer.items)) for answer in answers):
        alike = [one for one in answers if (one.kind, len(one.items)) == (kind, size)]
        all_count = all(one.weight == FULL_WEIGHT for one in alike)
        made = make_feedback_set(
            kind,
            [tuple(rows[item] for item in one.items) for one in alike],
            [one.value for one in alike],
            error_rate=error_rate,
            items_per_query=size,
            device=device,
            weights=None if all_count else [one.weight for one in alike],
        )
        sets.append(made)
    return bank, sets


def _sort_out(store: FeedbackStore, run: str) -> Iterator[tuple[str, Query, Answer, float]]:
    """What becomes of each answer that stands, with its query and its labeller's weight."""
    queries, late = {query.id: query for query in store.queries(run)}, store.late(run)
    worth = labeller_weights(store.remarks(run, kind=RemarkKind.WEIGHT))
    answers = store.current_answers(run)
    for answer in sorted(answers, key=lambda answer: queries[answer.query_id].counter):
        query, weight = queries[answer.query_id], worth.get(answer.labeller, FULL_WEIGHT)
        training = query.kind is not Kind.MARKS and query.purpose is Purpose.TRAINING
        fate = "skipped" if answer.value is None else "learned" if weight > 0 else "left out"
        if not training or (query.id, answer.labeller) in late:
            fate = "ignored"
        yield fate, query, answer, weight
