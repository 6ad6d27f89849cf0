"""What a teacher that answers at once says to queries, whatever their kind, as answers have it."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from prefrl.errors import UsageError
from prefrl.feedback import HIGHEST_RATING, Kind, Value
from prefrl.scripted_judgements import Floats
from prefrl.teachers import Teacher


def teacher_values(
    teacher: Teacher, kind: Kind, rewards: ArrayLike, candidates: ArrayLike | None = None
) -> list[Value]:
    """The value of each answer; None skips.

    Args:
        teacher: answers at once.
        kind: of the queries.
        rewards: ``[n, k, L]``, true reward of each step of the k segments of each query.
        candidates: ``[c, L]``, of the candidates that the queries were selected from: what is usual, and what
            likes and ratings are measured by. By default the segments of these queries.

    Raises:
        UsageError: no scripted teacher gives answers of this kind.
    """
    rewards = np.asarray(rewards, np.float64)
    std = None if candidates is None else float(np.asarray(candidates, np.float64).sum(1).std())
    match kind:
        case Kind.PAIR:
            return _preferences(teacher.answer(rewards[:, 0], rewards[:, 1], candidate_std=std))
        case Kind.RANKING:
            orders = teacher.rank(rewards, candidate_std=std).tolist()
            return [None if order[0] < 0 else tuple(order) for order in orders]
        case Kind.LIKE:
            grades = teacher.grade(rewards[:, 0], grades=2, candidates=candidates).tolist()
            return [None if grade < 0 else grade == 1 for grade in grades]
        case Kind.RATING:
            grades = teacher.grade(rewards[:, 0], grades=HIGHEST_RATING, candidates=candidates).tolist()
            return [None if grade < 0 else grade + 1 for grade in grades]
    raise UsageError(
        f"no scripted teacher answers queries of kind {kind}: ask pairs, rankings, likes or ratings"
    )


def _preferences(preferences: Floats) -> list[Value]:
    return [None if np.isnan(one) else float(one) for one in preferences]
