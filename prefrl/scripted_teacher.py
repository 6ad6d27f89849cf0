"""Scripted teachers: they answer at once, from the true rewards that the learner never sees.

B-Pref: Lee et al. 2021 (arXiv 2111.03026), algorithm 1 (SimTeacher).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from prefrl.errors import UsageError

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class TeacherConfig:
    """The faults of a scripted teacher (B-Pref). The defaults have none: the oracle."""

    rationality: float = math.inf
    """P(left) = σ(rationality · d), d in standard deviations of true segment return over the candidates."""
    myopia: float = 1.0
    """A reward k steps before a segment's end counts myopia^k, in (0, 1]."""
    error_rate: float = 0.0
    """Probability of giving the opposite answer, in [0, 1]. (Random answers at rate e flip with e/2.)"""
    skip_threshold: float = 0.0
    """Skip if the better segment's return is below this share of an average segment's; 0: never."""
    equal_threshold: float = 0.0
    """Equal if the returns differ by less than this share of an average segment's; 0: exact ties only."""

    def __post_init__(self) -> None:
        if not self.rationality > 0.0:
            raise UsageError(f"rationality must be above 0 (infinite: always right), not {self.rationality}")
        if not 0.0 < self.myopia <= 1.0:
            raise UsageError(f"myopia must lie in (0, 1] (1: not myopic), not {self.myopia}")
        if not 0.0 <= self.error_rate <= 1.0:
            raise UsageError(f"error_rate must lie in [0, 1], not {self.error_rate}")
        for name in ("skip_threshold", "equal_threshold"):
            if not 0.0 <= getattr(self, name) < math.inf:
                raise UsageError(f"{name} must be finite and not below 0 (0: off), not {getattr(self, name)}")


SCRIPTED_TEACHERS: Final[dict[str, TeacherConfig]] = {
    "oracle": TeacherConfig(),
    "mistake": TeacherConfig(error_rate=0.1),
    "noisy": TeacherConfig(rationality=1.0),
    "skip": TeacherConfig(skip_threshold=0.1),
    "myopic": TeacherConfig(myopia=0.9),
    "equal": TeacherConfig(equal_threshold=0.1),
}
"""The six teachers of B-Pref, table 1. Its noise is on raw sums; here in units of their deviation."""


class ScriptedTeacher:
    """Answers from true rewards, with the faults of its config, by these rules in this order.

    1. Skip, where the larger return is below origin + skip_threshold · scale.
    2. Myopic returns: Σₜ myopia^(L−1−t) rₜ.
    3. The larger one is better, an exact tie is equal; with finite rationality a draw from
       P(left) = σ(rationality · d / candidate_std).
    4. The answer is flipped with probability error_rate.
    5. Equal, where the undiscounted returns differ by less than equal_threshold · scale. Overrides 2 to 4.

    Scale is an average segment's return, mean episode return · L / horizon, and origin is 0, as in B-Pref.
    Where the average is not above 0 that cannot work (a negative threshold never fires), so the spread
    takes its place: scale = candidate_std and origin = average − candidate_std. In both cases an average
    segment lies at origin + scale. Until episode statistics are set, the average is that of the segments
    asked about.

    Each pair takes two random numbers whatever the config, so answers do not depend on how pairs are
    batched (given ``candidate_std``).
    """

    answers_at_once: Final = True

    def __init__(self, config: TeacherConfig, rng: np.random.Generator) -> None:
        self.config = config
        self._rng = rng
        self._return_per_step: float | None = None

    def set_episode_statistics(self, mean_return: float, horizon: float) -> None:
        """Mean true return of the last 10 episodes, and steps per episode; the thresholds follow from it.

        Raises:
            ValueError: a return that is not finite, or a horizon not above 0.
        """
        if not math.isfinite(mean_return) or not 0.0 < horizon < math.inf:
            raise ValueError(f"no threshold follows from a mean return of {mean_return} over {horizon} steps")
        self._return_per_step = mean_return / horizon

    def answer(
        self,
        left_rewards: ArrayLike,
        right_rewards: ArrayLike,
        *,
        lengths: ArrayLike | None = None,
        candidate_std: float | None = None,
    ) -> Floats:
        """See ``prefrl.teachers.Teacher.answer``.

        Raises:
            ValueError: shapes that do not fit, lengths out of range, or a true reward that is not finite.
        """
        rewards, steps_left = _checked(left_rewards, right_rewards, lengths)
        draws = self._rng.random((len(rewards), 2))
        if len(rewards) == 0:
            return np.empty(0)
        returns = rewards.sum(-1)
        std = float(returns.std()) if candidate_std is None else candidate_std
        if not std >= 0.0:
            raise ValueError(f"candidate_std must not be negative, not {std}")
        origin, scale = self._origin_and_scale(returns, std, segment_length=rewards.shape[-1])

        weighed = (rewards * self.config.myopia**steps_left).sum(-1)
        preference = self._compare(weighed[:, 0] - weighed[:, 1], std, draws[:, 0])
        flipped = draws[:, 1] < self.config.error_rate
        preference = np.where(flipped, 1.0 - preference, preference)
        if self.config.equal_threshold > 0.0:
            close = np.abs(returns[:, 0] - returns[:, 1]) < self.config.equal_threshold * scale
            preference = np.where(close, 0.5, preference)
        if self.config.skip_threshold > 0.0:
            poor = returns.max(-1) < origin + self.config.skip_threshold * scale
            preference = np.where(poor, np.nan, preference)
        return preference

    def state_dict(self) -> dict[str, Any]:
        """The generator's state and the episode statistics, plain numbers throughout."""
        return {"generator": self._rng.bit_generator.state, "return_per_step": self._return_per_step}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continues from ``state_dict``."""
        self._rng.bit_generator.state = state["generator"]
        self._return_per_step = state["return_per_step"]

    def _compare(self, difference: Floats, std: float, draws: Floats) -> Floats:
        if math.isinf(self.config.rationality):
            return (np.sign(difference) + 1.0) / 2.0
        with np.errstate(over="ignore"):
            logits = self.config.rationality * (difference / max(std, np.finfo(np.float64).tiny))
        return (draws < (1.0 + np.tanh(logits / 2.0)) / 2.0).astype(np.float64)

    def _origin_and_scale(self, returns: Floats, std: float, segment_length: int) -> tuple[float, float]:
        if self._return_per_step is None:
            average = float(returns.mean())
        else:
            average = self._return_per_step * segment_length
        return (0.0, average) if average > 0.0 else (average - std, std)


def _checked(
    left_rewards: ArrayLike, right_rewards: ArrayLike, lengths: ArrayLike | None
) -> tuple[Floats, NDArray[np.int64]]:
    """Rewards ``[n, 2, L]`` with 0 beyond each segment's end, and the steps that follow each step."""
    left, right = np.asarray(left_rewards, np.float64), np.asarray(right_rewards, np.float64)
    if left.ndim != 2 or left.shape != right.shape:
        raise ValueError(f"true rewards must be [n, L] on both sides, not {left.shape} and {right.shape}")
    rewards = np.stack([left, right], axis=1)
    number, _, width = rewards.shape
    ends = np.full((number, 2), width) if lengths is None else np.asarray(lengths)
    if ends.shape != (number, 2) or not ((ends >= 1) & (ends <= width)).all():
        raise ValueError(f"lengths must be [{number}, 2] in 1 .. {width}")
    steps_left = ends[:, :, None] - 1 - np.arange(width)
    rewards = np.where(steps_left >= 0, rewards, 0.0)
    if not np.isfinite(rewards).all():
        raise ValueError("a true reward is not finite")
    return rewards, np.maximum(steps_left, 0)
