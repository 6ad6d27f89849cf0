"""Schedules: how many labels are due, and how learning rates move.

A schedule is a function of progress, the share of the run that is over, in [0, 1]. Progress beyond 1 (the
last rollout may overshoot) counts as 1. What happens every so many steps is asked of ``passes_multiple``.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final

ATARI_HALF_LIFE: Final = 0.1
"""Christiano et al. 2017, A.2: the rate falls as 5e6/(T + 5e6), over runs of 50e6."""
MUJOCO_HALF_LIFE: Final = 1.0
"""Christiano et al. 2017, A.1: the rate falls as 2e6/(T + 2e6). How long the runs were is not said; taken as
2e6 steps, because what an agent does late wants labels, too (experiments/LOG.md)."""

Schedule = Callable[[float], float]
"""Progress in [0, 1] -> value."""


def labels_due(
    progress: float,
    budget: int,
    *,
    initial_fraction: float = 0.25,
    half_life: float = MUJOCO_HALF_LIFE,
) -> int:
    """Labels due by a point of the run: a share at once, the rest ever more slowly.

    With c the half-life, the rate after the start is proportional to c/(p + c), so that
    labels(p) = ⌊I + (budget − I) log(1 + p/c) / log(1 + 1/c)⌋ with I = budget · initial_fraction, rounded.
    Christiano et al. 2017, A.1 and A.2, scaled to the run's length.

    Args:
        progress: share of the run that is over, not below 0.
        budget: labels of the whole run.
        initial_fraction: share of the budget asked for before training, in [0, 1].
        half_life: progress at which the rate has fallen to half; infinite for a uniform rate.

    Returns:
        An integer that never falls as progress grows, and is exactly the budget from progress 1 on.

    Raises:
        ValueError: a value outside its range, NaN included.
    """
    progress = _clipped(progress)
    if budget < 0:
        raise ValueError(f"the label budget must not be negative, not {budget}")
    if not 0.0 <= initial_fraction <= 1.0:
        raise ValueError(f"initial_fraction must lie in [0, 1], not {initial_fraction}")
    if not half_life > 0.0:
        raise ValueError(f"half_life must be above 0, not {half_life}")
    initial = round(budget * initial_fraction)
    share = progress
    if not math.isinf(half_life):
        share = math.log1p(progress / half_life) / math.log1p(1.0 / half_life)
    return initial + math.floor((budget - initial) * share)


def uniform_labels_due(progress: float, budget: int, *, initial_fraction: float = 0.25) -> int:
    """Labels due when the rate after the start never falls: labels(p) = ⌊I + (budget − I) p⌋."""
    return labels_due(progress, budget, initial_fraction=initial_fraction, half_life=math.inf)


def constant(value: float) -> Schedule:
    """The same value all along."""

    def at(progress: float) -> float:
        _clipped(progress)
        return value

    return at


def linear(start: float, end: float) -> Schedule:
    """From start to end in a straight line: start + (end − start) p."""

    def at(progress: float) -> float:
        share = _clipped(progress)
        return (1.0 - share) * start + share * end

    return at


def passes_multiple(previous: int, now: int, every: int) -> bool:
    """Whether a multiple of ``every`` lies in (previous, now]; never if ``every`` is 0.

    The way to do something "every n steps" when a rollout is many steps: no state, hence nothing to save,
    and a resumed run does it at the same moments. All three in the same unit.

    Raises:
        ValueError: a negative period, or time that runs backwards.
    """
    if every < 0 or now < previous:
        raise ValueError(f"cannot act every {every} from {previous} to {now}")
    return every > 0 and now // every > previous // every


def adapt_learning_rate(
    learning_rate: float,
    kl: float,
    target: float,
    *,
    factor: float = 1.5,
    minimum: float = 1e-6,
    maximum: float = 1e-2,
) -> float:
    """The next learning rate, so that updates move the policy by about the target KL divergence.

    Divided by ``factor`` where kl > 2 target, multiplied by it where kl < target/2, within bounds.
    The rule and its numbers: rl_games, ``AdaptiveScheduler`` (Makoviichuk and Makoviychuk 2021); the idea:
    Schulman et al. 2017 (arXiv 1707.06347), section 4.

    Raises:
        ValueError: the KL divergence is NaN, or the target not above 0.
    """
    if math.isnan(kl) or not target > 0.0:
        raise ValueError(f"cannot adapt a learning rate to a KL divergence of {kl} with target {target}")
    if kl > 2.0 * target:
        return max(learning_rate / factor, minimum)
    if kl < 0.5 * target:
        return min(learning_rate * factor, maximum)
    return learning_rate


def _clipped(progress: float) -> float:
    if not progress >= 0.0:
        raise ValueError(f"progress must not be below 0, not {progress}")
    return min(progress, 1.0)
