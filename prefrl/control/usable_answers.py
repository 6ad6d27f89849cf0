"""The answers of a run that are learned from, as they stand in its store."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from prefrl.feedback import RemarkKind, Value
from prefrl.labellers.weights import FULL_WEIGHT, labeller_weights
from prefrl.store.feedback_store import FeedbackStore


@dataclass
class UsableAnswers:
    """One entry per answer that counts, in the order in which they were given; skips are only counted."""

    queries: list[str] = field(default_factory=list)
    rows: list[tuple[int, ...]] = field(default_factory=list)
    """Bank rows of the query's items."""
    values: list[Value] = field(default_factory=list)
    weights: list[float] | None = None
    """What each labeller's answers count; None where nothing was decided about anybody."""
    skips: int = 0


def usable_answers(store: FeedbackStore, run: str, asked: Mapping[str, tuple[int, ...]]) -> UsableAnswers:
    """Reads the answers that stand and came in time to a run's training queries.

    The order is that in which they were given: a late answer to an early query must not move the others'
    places, which decide whose bag they are in.

    Args:
        store: of the run.
        run: the run's name in the store.
        asked: the bank rows of each training query, by its id.
    """
    found, late = UsableAnswers(), store.late(run)
    worth = labeller_weights(store.remarks(run, kind=RemarkKind.WEIGHT))
    found.weights = [] if worth else None
    for answer in store.current_answers(run):
        if answer.query_id not in asked or (answer.query_id, answer.labeller) in late:
            continue
        if answer.value is None:
            found.skips += 1
            continue
        found.queries.append(answer.query_id)
        found.rows.append(asked[answer.query_id])
        found.values.append(answer.value)
        if found.weights is not None:
            found.weights.append(worth.get(answer.labeller, FULL_WEIGHT))
    return found
