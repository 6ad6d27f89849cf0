"""What a labeller's answers weigh in fitting: decisions on record, of which the newest stands."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

from prefrl.errors import UsageError
from prefrl.feedback import Remark, RemarkKind, make_id
from prefrl.feedback_checks import is_finite, shortened
from prefrl.store.feedback_store import FeedbackStore

FULL_WEIGHT = 1.0
"""Of every labeller about whom nothing was decided."""


def set_weight(
    store: FeedbackStore,
    run: str,
    labeller: str,
    weight: float,
    *,
    by: str,
    clock: Callable[[], float] = time.time,
) -> Remark:
    """Records what a labeller's answers weigh in this run's fits from the next one on.

    Args:
        store: of the run.
        run: the run's name in the store.
        labeller: whose answers.
        weight: from 0, left out, to 1, as they are.
        by: who decides.
        clock: Unix time in seconds.

    Raises:
        UsageError: a weight that cannot be, or the disk is full.
    """
    if not is_finite(weight) or not 0.0 <= weight <= 1.0:
        raise UsageError(f"the weight of {labeller} is {shortened(weight)}: give a number from 0 to 1")
    number = len(store.remarks(run, kind=RemarkKind.WEIGHT))
    remark = Remark(
        id=make_id(f"{run}/{by}/{labeller}", 0, "weight", number),
        run=run,
        kind=RemarkKind.WEIGHT,
        subject=labeller,
        labeller=by,
        content=repr(float(weight)),
        made_at=clock(),
    )
    store.add([remark])
    return remark


def labeller_weights(remarks: Iterable[Remark]) -> dict[str, float]:
    """What each labeller weighs about whom something was decided; remarks in the order of their events."""
    return {remark.subject: _read_weight(remark) for remark in remarks if remark.kind is RemarkKind.WEIGHT}


def _read_weight(remark: Remark) -> float:
    """The weight of a remark, which may have come from a file."""
    try:
        weight = float(remark.content)
    except ValueError:
        weight = -1.0
    if not 0.0 <= weight <= 1.0:
        raise UsageError(
            f"remark {remark.id} gives {remark.subject} the weight {shortened(remark.content)}, "
            "which is no number from 0 to 1: record another weight"
        )
    return weight
