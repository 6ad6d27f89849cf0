"""Running moments: mean and variance of a stream, and the scale of rewards that follows from them.

Everything is float64, whatever comes in. These statistics remember everything: they suit observations and
the scale of one agent's rewards, never the normalisation of a reward network, whose past versions must
not shift the present one.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray


class RunningMoments:
    """Mean and population variance of everything seen, element by element.

    Welford's algorithm batched: with a batch of n values, mean b and sum of squared deviations S,
    δ = b − mean,  mean ← mean + δ n/N,  M ← M + S + δ² n (N − n)/N,  N the count with the batch.
    Chan, Golub and LeVeque 1979, "Updating formulae and a pairwise algorithm for computing sample
    variances". Before any data the mean is 0 and the variance 1.

    Args:
        shape: of one value.
        prior_count: weight of the prior mean 0 and variance 1; 0 for exact moments, 1e-4 for the same
            numbers as Stable-Baselines3's ``RunningMeanStd``.
    """

    def __init__(self, shape: tuple[int, ...] = (), *, prior_count: float = 0.0) -> None:
        self.count = float(prior_count)
        self._mean = np.zeros(shape, np.float64)
        self._squares = np.full(shape, self.count, np.float64)

    @property
    def mean(self) -> NDArray[np.float64]:
        """A copy, of the shape of one value."""
        return self._mean.copy()

    @property
    def variance(self) -> NDArray[np.float64]:
        """Population variance (divided by the count), of the shape of one value."""
        return self._squares / self.count if self.count > 0 else np.ones_like(self._mean)

    @property
    def std(self) -> NDArray[np.float64]:
        """Square root of the variance, of the shape of one value."""
        return np.sqrt(self.variance)

    def update(self, values: ArrayLike) -> None:
        """Takes in ``values [n, *shape]``; n may be 0.

        Raises:
            ValueError: a wrong shape, or a value that is not finite (which would stay for ever).
        """
        batch = np.asarray(values, np.float64)
        if batch.shape[1:] != self._mean.shape or batch.ndim == 0:
            raise ValueError(f"moments of shape {self._mean.shape} cannot take values {batch.shape}")
        if not np.isfinite(batch).all():
            raise ValueError("moments cannot take values that are not finite")
        number = batch.shape[0]
        if number == 0:
            return
        batch_mean = batch.mean(axis=0)
        delta = batch_mean - self._mean
        total = self.count + number
        self._mean = self._mean + delta * (number / total)
        squares = np.square(batch - batch_mean).sum(axis=0)
        self._squares = self._squares + squares + np.square(delta) * (self.count * number / total)
        self.count = total

    def normalise(
        self, values: ArrayLike, clip: float | None = None, *, epsilon: float = 1e-8
    ) -> NDArray[np.float64]:
        """(values − mean) / √(variance + epsilon), clipped to ±clip; does not take the values in."""
        normal = (np.asarray(values, np.float64) - self._mean) / np.sqrt(self.variance + epsilon)
        return normal if clip is None else np.clip(normal, -clip, clip)

    def state_dict(self) -> dict[str, Any]:
        """Copies of all that the moments are."""
        return {"count": self.count, "mean": self._mean.copy(), "squares": self._squares.copy()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continues from ``state_dict``.

        Raises:
            ValueError: the state belongs to values of another shape.
        """
        mean, squares = np.array(state["mean"], np.float64), np.array(state["squares"], np.float64)
        if mean.shape != self._mean.shape or squares.shape != self._mean.shape:
            raise ValueError(f"a state of shape {mean.shape} does not fit moments {self._mean.shape}")
        self.count, self._mean, self._squares = float(state["count"]), mean, squares


class RewardScaler:
    """Divides rewards by the running standard deviation of the discounted return so far.

    Rₜ = γ Rₜ₋₁ (0 after an episode's end) + rₜ,  scaled rₜ = rₜ / √(Var[R] + epsilon), clipped.
    As Stable-Baselines3's ``VecNormalize``: rewards are scaled, never shifted (a shift would change what
    is best where episodes end), and the moments are the same numbers. Here the moments are taken once per
    rollout, so that one rollout is scaled by one number.

    Args:
        num_envs: N, environments that step side by side.
        discount: γ in [0, 1].
        clip: bound of the scaled reward.
    """

    def __init__(self, num_envs: int, *, discount: float, clip: float = 10.0, epsilon: float = 1e-8) -> None:
        if not 0.0 <= discount <= 1.0:
            raise ValueError(f"discount must lie in [0, 1], not {discount}")
        self.discount, self.clip, self.epsilon = discount, clip, epsilon
        self.moments = RunningMoments(prior_count=1e-4)
        self._returns = np.zeros(num_envs, np.float64)

    @property
    def scale(self) -> float:
        """What rewards are divided by: √(Var[R] + epsilon)."""
        return float(np.sqrt(self.moments.variance + self.epsilon))

    def update(self, rewards: ArrayLike, ends: ArrayLike) -> None:
        """Takes in a rollout: ``rewards [T, N]``, and ``ends [T, N]``, true where an episode ended.

        Raises:
            ValueError: wrong shapes, or a reward that is not finite; nothing has been taken in then.
        """
        steps, ended = np.asarray(rewards, np.float64), np.asarray(ends, bool)
        if steps.ndim != 2 or steps.shape[1:] != self._returns.shape or steps.shape != ended.shape:
            raise ValueError(
                f"rewards {steps.shape} and ends {ended.shape} must be [T, {len(self._returns)}], both"
            )
        so_far, current = np.empty_like(steps), self._returns
        for step in range(len(steps)):
            so_far[step] = current * self.discount + steps[step]
            current = np.where(ended[step], 0.0, so_far[step])
        self.moments.update(so_far.reshape(-1))
        self._returns = current

    def normalise(self, rewards: ArrayLike) -> NDArray[np.float64]:
        """``rewards`` of any shape, scaled and clipped; does not take them in."""
        return np.clip(np.asarray(rewards, np.float64) / self.scale, -self.clip, self.clip)

    def state_dict(self) -> dict[str, Any]:
        """Copies of the moments and of the open returns."""
        return {"moments": self.moments.state_dict(), "returns": self._returns.copy()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continues from ``state_dict``.

        Raises:
            ValueError: the state belongs to another number of environments.
        """
        returns = np.array(state["returns"], np.float64)
        if returns.shape != self._returns.shape:
            raise ValueError(f"a state of {len(returns)} environments does not fit {len(self._returns)}")
        self.moments.load_state_dict(state["moments"])
        self._returns = returns
