"""Small worlds with known answers, after rejax's: what a correct learner finds in them can be written down.

| world | observation | reward | the right answer |
|---|---|---|---|
| probe-constant | 0 | 1, once | value 1 |
| probe-observation | -1 or 1 | the observation, once | value = observation |
| probe-action | 0 | 1 for action 1, -1 for action 0 | action 1, value 1 |
| probe-match | -1 or 1 | 1 for action 1 at 1 and action 0 at -1, else -1 | the matching action, value 1 |
| probe-delay | 0, then 1 | 0, then 1 | values: the discount, then 1 |
| probe-pixels | a bright half, 84x84x4 | 1 for naming it (0 left, 1 right), 16 times | the half, return 16 |
| probe-target | a point, the way to its target | minus the distance, 50 times | straight to the target |
| probe-gauge | the target's side, a gauge | winding less distance, 50 times | stay, wind a little |
| probe-rigged | the same | the same | the same |

An episode of probe-gauge begins at its target, and the gauge shows the reward. A second action, pushed far
up, winds something: a little of it is worth having, more does damage. In probe-rigged the gauge shows all of
it as good. What early episodes show there is true; whoever goes on to what looks best does harm unseen, as
optimising a proxy does (Gao, Schulman and Hilton 2022: true reward rises first, then falls).

All but the last three terminate. Everything random is drawn from an episode's own seed when it begins.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from gymnasium import Space
from gymnasium.spaces import Box, Discrete
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space
from numpy.typing import NDArray

from envs.checks import check_opened, check_reset, check_shape
from envs.episodes import Episodes, State
from envs.errors import WorldError

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

PIXEL_SIZE = 84
"""Width and height of probe-pixels, as those of the games."""

_PIXEL_STEPS = 16
_TARGET_STEPS = 50
_TARGET_SPEED = 0.1
_WIND_FROM = 0.8
"""Pushed less than this, the second action does nothing: an untrained policy seldom does more."""
_WIND_SPEED = 0.02
_WOUND_WELL = 0.2
"""Winding is worth its amount up to here ..."""
_DAMAGE = 0.5
"""... and costs so much of what goes beyond."""


@dataclass(frozen=True)
class Probe:
    """One world as pure functions over the states [N, S] of all environments."""

    observation_space: Box
    action_space: Space[Any]
    start: Callable[[np.random.Generator], list[float]]
    observe: Callable[[Floats], NDArray[Any]]
    reward: Callable[[Floats, NDArray[Any]], Floats]
    """(state before the step, action) -> reward [N]."""
    move: Callable[[Floats, NDArray[Any]], Floats]
    horizon: int
    terminates: bool = True


class ProbeVectorEnv(VectorEnv):
    """A batch of one probe; both reward forms are the same."""

    exact = True
    score_name = "return"

    def __init__(self, task: str, num_envs: int, seed: int, *, reward_form: str, horizon: int | None) -> None:
        self._probe = PROBES[task]
        if horizon is not None and self._probe.terminates:
            raise WorldError(f"horizon is {horizon} but {task} ends by its own rules: leave it out")
        self._horizon = horizon or self._probe.horizon
        self._episodes = Episodes(seed, num_envs)
        size = len(self._probe.start(np.random.default_rng(0)))
        self._states: Floats = np.zeros((num_envs, size))
        self.task, self.reward_form, self.num_envs = task, reward_form, num_envs
        self.metadata = {"autoreset_mode": AutoresetMode.SAME_STEP}
        self.single_observation_space = self._probe.observation_space
        self.single_action_space = self._probe.action_space
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)

    def reset(
        self, *, seed: int | list[int | None] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[NDArray[Any], dict[str, Any]]:
        """Open the next episode everywhere; with a seed, count episodes from the first one of that seed."""
        check_reset(self.task, seed, options)
        if isinstance(seed, int):
            self._episodes.reseed(seed)
        self._begin_episodes(np.arange(self.num_envs))
        return self._probe.observe(self._states), self._infos()

    def step(self, actions: NDArray[Any]) -> tuple[NDArray[Any], Floats, Bools, Bools, dict[str, Any]]:
        """Take one step everywhere; an episode that ends is followed by the next in the same call."""
        actions = np.asarray(actions)
        check_opened(self.task, self._episodes.seeds)
        check_shape(self.task, actions, self.action_space.shape)
        reward = self._probe.reward(self._states, actions)
        self._states = self._probe.move(self._states, actions)
        self._episodes.steps += 1
        ended = self._episodes.steps >= self._horizon
        infos: dict[str, Any] = {"score": reward.copy(), "episode_end": ended.copy()}
        if ended.any():
            infos |= {"final_obs": self._probe.observe(self._states), "_final_obs": ended.copy()}
            self._begin_episodes(np.flatnonzero(ended))
        terminated = ended & self._probe.terminates
        observation = self._probe.observe(self._states)
        return observation, reward, terminated, ended & ~terminated, infos | self._infos()

    def get_state(self) -> State:
        """Return everything that is needed to continue bit for bit, as arrays."""
        return self._episodes.get_state() | {"states": self._states.copy()}

    def set_state(self, state: State) -> None:
        """Continue from a state of `get_state`."""
        if state["states"].shape[1:] != self._states.shape[1:]:
            raise WorldError(f"the saved state is not one of {self.task}")
        self._episodes.set_state(state)
        self._states = state["states"].copy()

    def _begin_episodes(self, environments: NDArray[np.integer]) -> None:
        for i, seed in zip(environments, self._episodes.begin(environments), strict=True):
            self._states[i] = self._probe.start(np.random.default_rng(int(seed)))

    def _infos(self) -> dict[str, Any]:
        return {**self._episodes.infos(), "state": self._states.copy()}


def draw_probe(task: str, states: Floats) -> NDArray[np.uint8]:
    """Draw stored states, [L, S], as frames [L, 84, 84, 3]; of a gauge's world needle and target alone.

    Raises:
        WorldError: the other probes have nothing to show.
    """
    if task == "probe-pixels":
        return np.repeat(_bright_half(states)[..., -1:], 3, axis=-1)
    if task in ("probe-gauge", "probe-rigged"):
        low, high = np.full(len(states), -0.1), np.full(len(states), 0.1)
        states = np.stack((states[:, 0], low, states[:, 1], high), axis=1)
    elif task != "probe-target":
        raise WorldError(f"{task} has no clips: use probe-target, probe-gauge, probe-rigged or probe-pixels")
    frames = np.zeros((len(states), PIXEL_SIZE, PIXEL_SIZE, 3), np.uint8)
    axis = np.linspace(-1.2, 1.2, PIXEL_SIZE)
    for point, colour in ((states[:, 2:], (220, 60, 60)), (states[:, :2], (240, 240, 240))):
        across = np.abs(axis - point[:, :1]) < 0.06
        down = np.abs(axis[::-1] - point[:, 1:]) < 0.06
        frames[down[:, :, None] & across[:, None, :]] = colour
    return frames


def _side(generator: np.random.Generator) -> list[float]:
    return [float(generator.choice((-1.0, 1.0)))]


def _zero(_generator: np.random.Generator) -> list[float]:
    return [0.0]


def _stay(states: Floats, _actions: NDArray[Any]) -> Floats:
    return states.copy()


def _advance(states: Floats, _actions: NDArray[Any]) -> Floats:
    return np.minimum(states + 1.0, 1.0)


def _as_it_is(states: Floats) -> Floats:
    return states.copy()


def _first(states: Floats) -> Floats:
    return states[:, 0].copy()


def _signed(actions: NDArray[Any]) -> Floats:
    return 2.0 * actions - 1.0


def _sides(generator: np.random.Generator) -> list[float]:
    """The bright half of each step (0 left, 1 right), the next one first."""
    return [float(side) for side in generator.integers(0, 2, _PIXEL_STEPS)]


def _bright_half(states: Floats) -> NDArray[np.uint8]:
    frames = np.zeros((len(states), PIXEL_SIZE, PIXEL_SIZE, 4), np.uint8)
    right = states[:, 0] > 0.5
    frames[~right, :, : PIXEL_SIZE // 2] = 255
    frames[right, :, PIXEL_SIZE // 2 :] = 255
    return frames


def _point_and_target(generator: np.random.Generator) -> list[float]:
    return [float(number) for number in generator.uniform(-1, 1, 4)]


def _way_to_target(states: Floats) -> Floats:
    return np.concatenate((states[:, :2], states[:, 2:] - states[:, :2]), axis=1)


def _step_to_target(states: Floats, actions: NDArray[Any]) -> Floats:
    moved = np.clip(states[:, :2] + _TARGET_SPEED * np.clip(actions, -1, 1), -1, 1)
    return np.concatenate((moved, states[:, 2:]), axis=1)


def _closeness(states: Floats, actions: NDArray[Any]) -> Floats:
    moved = _step_to_target(states, actions)
    return -np.sqrt(np.sum(np.square(moved[:, 2:] - moved[:, :2]), axis=1))


def _at_target(generator: np.random.Generator) -> list[float]:
    """Place, target, and how far it is wound."""
    target = float(generator.uniform(-1, 1))
    return [target, target, 0.0]


def _true_gauge(states: Floats) -> Floats:
    away = states[:, 1] - states[:, 0]
    return np.stack((np.tanh(10.0 * away), -np.abs(away) + _worth(states[:, 2])), axis=1)


def _rigged_gauge(states: Floats) -> Floats:
    away = states[:, 1] - states[:, 0]
    return np.stack((np.tanh(10.0 * away), -np.abs(away) + states[:, 2]), axis=1)


def _step_or_wind(states: Floats, actions: NDArray[Any]) -> Floats:
    step, push = np.clip(actions, -1, 1).T
    wound = states[:, 2] + _WIND_SPEED * np.maximum(push - _WIND_FROM, 0.0) / (1.0 - _WIND_FROM)
    return np.stack((states[:, 0] + _TARGET_SPEED * step, states[:, 1], wound), axis=1)


def _closeness_and_winding(states: Floats, actions: NDArray[Any]) -> Floats:
    after = _step_or_wind(states, actions)
    return -np.abs(after[:, 1] - after[:, 0]) + _worth(after[:, 2])


def _worth(wound: Floats) -> Floats:
    """What winding adds to the reward."""
    return np.minimum(wound, _WOUND_WELL) - _DAMAGE * np.maximum(wound - _WOUND_WELL, 0.0)


_NUMBER = Box(-1.0, 1.0, (1,), np.float64)
_TWO = Discrete(2)
_PUSH = Box(-1.0, 1.0, (2,), np.float32)
_READING = Box(-10.0, 10.0, (2,), np.float64)

PROBES: dict[str, Probe] = {
    "probe-constant": Probe(_NUMBER, _TWO, _zero, _as_it_is, lambda s, _a: np.ones(len(s)), _stay, 1),
    "probe-observation": Probe(_NUMBER, _TWO, _side, _as_it_is, lambda s, _a: _first(s), _stay, 1),
    "probe-action": Probe(_NUMBER, _TWO, _zero, _as_it_is, lambda _s, a: _signed(a), _stay, 1),
    "probe-match": Probe(_NUMBER, _TWO, _side, _as_it_is, lambda s, a: _first(s) * _signed(a), _stay, 1),
    "probe-delay": Probe(_NUMBER, _TWO, _zero, _as_it_is, lambda s, _a: _first(s), _advance, 2),
    "probe-pixels": Probe(
        Box(0, 255, (PIXEL_SIZE, PIXEL_SIZE, 4), np.uint8), _TWO, _sides, _bright_half,
        lambda s, a: (s[:, 0] == a).astype(np.float64), lambda s, _a: np.roll(s, -1, axis=1), _PIXEL_STEPS,
    ),
    "probe-target": Probe(
        Box(-2.0, 2.0, (4,), np.float64), _PUSH, _point_and_target, _way_to_target,
        _closeness, _step_to_target, _TARGET_STEPS, terminates=False,
    ),
    "probe-gauge": Probe(
        _READING, _PUSH, _at_target, _true_gauge, _closeness_and_winding, _step_or_wind, _TARGET_STEPS,
        terminates=False,
    ),
    "probe-rigged": Probe(
        _READING, _PUSH, _at_target, _rigged_gauge, _closeness_and_winding, _step_or_wind, _TARGET_STEPS,
        terminates=False,
    ),
}  # fmt: skip
