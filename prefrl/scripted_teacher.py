"""Scripted teachers: they answer at once, from the true rewards that the learner never sees.

B-Pref: Lee et al. 2021 (arXiv 2111.03026), algorithm 1 (SimTeacher), which compares pairs. What its faults
are where a teacher ranks, likes or rates is ours, and said at ``rank`` and ``grade``.
"""

from __future__ import annotations

import math
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from prefrl.scripted_judgements import Floats, Integers, graded, plackett_luce_orders, unsettle, waver
from prefrl.teacher_config import TeacherConfig

REMEMBERED: Final = 101
"""Quantiles that a teacher remembers of each session's candidates."""


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
        self._seen: list[list[float]] = []

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
        left, right = np.asarray(left_rewards, np.float64), np.asarray(right_rewards, np.float64)
        if left.ndim != 2 or left.shape != right.shape:
            raise ValueError(f"true rewards must be [n, L] on both sides, not {left.shape} and {right.shape}")
        rewards, steps_left = _checked(np.stack([left, right], axis=1), lengths)
        draws = self._rng.random((len(rewards), 2))
        if len(rewards) == 0:
            return np.empty(0)
        returns = rewards.sum(-1)
        std = _spread(returns, candidate_std)
        origin, scale = self._origin_and_scale(returns, std, segment_length=rewards.shape[-1])

        weighed = self._weighed(rewards, steps_left)
        preference = self._compare(weighed[:, 0] - weighed[:, 1], std, draws[:, 0])
        flipped = draws[:, 1] < self.config.error_rate
        preference = np.where(flipped, 1.0 - preference, preference)
        if self.config.equal_threshold > 0.0:
            close = np.abs(returns[:, 0] - returns[:, 1]) < self.config.equal_threshold * scale
            preference = np.where(close, 0.5, preference)
        return np.where(self._poor(returns.max(-1), origin, scale), np.nan, preference)

    def rank(
        self, rewards: ArrayLike, *, lengths: ArrayLike | None = None, candidate_std: float | None = None
    ) -> Integers:
        """See ``prefrl.teachers.Teacher.rank``.

        The rules of a pair, in their order: skipped where the largest return is poor; the order of myopic
        returns, drawn from the Plackett-Luce model where rationality is finite; turned round with probability
        error_rate; and since a ranking cannot say equal, neighbours that a pair would call equal in an order
        that a coin decides. Each set takes 2 k random numbers whatever the config.

        Raises:
            ValueError: shapes that do not fit, lengths out of range, or a true reward that is not finite.
        """
        checked, steps_left = _checked(np.asarray(rewards, np.float64), lengths)
        number, items, width = checked.shape
        draws = self._rng.random((number, 2 * items))
        if number == 0:
            return np.empty((0, items), np.int64)
        returns = checked.sum(-1)
        std = _spread(returns, candidate_std)
        origin, scale = self._origin_and_scale(returns, std, segment_length=width)
        orders = plackett_luce_orders(
            self._weighed(checked, steps_left), draws[:, :items], rationality=self.config.rationality, std=std
        )
        turned = draws[:, items, None] < self.config.error_rate
        orders = np.where(turned, orders[:, ::-1], orders)
        closeness = self.config.equal_threshold * scale
        orders = unsettle(orders, returns, draws[:, items + 1 :], closeness=closeness)
        return np.where(self._poor(returns.max(-1), origin, scale)[:, None], -1, orders)

    def grade(
        self,
        rewards: ArrayLike,
        *,
        grades: int,
        candidates: ArrayLike | None = None,
        lengths: ArrayLike | None = None,
    ) -> Integers:
        """See ``prefrl.teachers.Teacher.grade``.

        The thresholds are the 1/G, 2/G, ... quantiles of the candidates that this teacher has been shown so
        far, each call's counting alike: the median for likes, the deciles for ratings. Then the rules of a
        pair, in their order: skipped where the return is poor; the grade of the myopic return, with logistic
        noise where rationality is finite; turned round with probability error_rate; and where the myopic
        return is closer to a threshold than two of a pair may be to be called equal, a coin decides on which
        side it falls. Each segment takes 3 random numbers whatever the config.

        Raises:
            ValueError: shapes that do not fit, lengths out of range, or a true reward that is not finite.
        """
        alone = np.asarray(rewards, np.float64)
        checked, steps_left = _checked(
            alone[:, None], None if lengths is None else np.asarray(lengths)[:, None]
        )
        draws = self._rng.random((len(checked), 3))
        if len(checked) == 0:
            return np.empty(0, np.int64)
        returns, weighed = checked.sum(-1)[:, 0], self._weighed(checked, steps_left)[:, 0]
        thresholds, std = self._standard(weighed, returns, candidates, grades)
        origin, scale = self._origin_and_scale(returns, std, segment_length=checked.shape[-1])
        found = graded(weighed, thresholds, draws[:, 0], rationality=self.config.rationality, std=std)
        found = np.where(draws[:, 1] < self.config.error_rate, grades - 1 - found, found)
        closeness = self.config.equal_threshold * scale
        found = waver(found, weighed, thresholds, draws[:, 2], closeness=closeness)
        return np.where(self._poor(returns, origin, scale), -1, found)

    def state_dict(self) -> dict[str, Any]:
        """The generator's state, the episode statistics and what was seen, plain numbers throughout."""
        return {
            "generator": self._rng.bit_generator.state,
            "return_per_step": self._return_per_step,
            "seen": [list(one) for one in self._seen],
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continues from ``state_dict``."""
        self._rng.bit_generator.state = state["generator"]
        self._return_per_step = state["return_per_step"]
        self._seen = [list(one) for one in state["seen"]]

    def _standard(
        self, weighed: Floats, returns: Floats, candidates: ArrayLike | None, grades: int
    ) -> tuple[Floats, float]:
        """The thresholds between the grades, and the deviation of true return over the candidates."""
        spread = returns.std()
        if candidates is not None:
            shown, steps_left = _checked(np.asarray(candidates, np.float64)[:, None], None)
            values, spread = self._weighed(shown, steps_left)[:, 0], shown.sum(-1).std()
            self._seen.append(np.quantile(values, np.linspace(0.0, 1.0, REMEMBERED)).tolist())
        known = np.concatenate(self._seen) if self._seen else weighed
        return np.quantile(known, np.arange(1, grades) / grades), float(spread)

    def _weighed(self, rewards: Floats, steps_left: Integers) -> Floats:
        return np.asarray((rewards * self.config.myopia**steps_left).sum(-1))

    def _poor(self, returns: Floats, origin: float, scale: float) -> NDArray[np.bool_]:
        """Whether there is nothing to say about the best of what is shown."""
        threshold = self.config.skip_threshold
        return returns < origin + threshold * scale if threshold > 0.0 else np.zeros(len(returns), np.bool_)

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


def _spread(returns: Floats, candidate_std: float | None) -> float:
    std = float(returns.std()) if candidate_std is None else candidate_std
    if not std >= 0.0:
        raise ValueError(f"candidate_std must not be negative, not {std}")
    return std


def _checked(rewards: Floats, lengths: ArrayLike | None) -> tuple[Floats, Integers]:
    """Rewards ``[n, k, L]`` with 0 beyond each segment's end, and the steps that follow each step."""
    if rewards.ndim != 3:
        raise ValueError(f"true rewards must be [n, L] of each item, not {rewards.shape}")
    number, items, width = rewards.shape
    ends = np.full((number, items), width) if lengths is None else np.asarray(lengths)
    if ends.shape != (number, items) or not ((ends >= 1) & (ends <= width)).all():
        raise ValueError(f"lengths must be [{number}, {items}] in 1 .. {width}")
    steps_left = ends[:, :, None] - 1 - np.arange(width)
    rewards = np.where(steps_left >= 0, rewards, 0.0)
    if not np.isfinite(rewards).all():
        raise ValueError("a true reward is not finite")
    return rewards, np.maximum(steps_left, 0)
