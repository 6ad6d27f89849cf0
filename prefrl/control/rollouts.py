"""Rollouts: what the policy collects between two updates, ``[time, envs, ...]``."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Any

import numpy as np
from gymnasium.vector import VectorEnv

from prefrl.control.acting import Actor, Decision

LASTING_INFOS = ("episode_seed", "episode_step", "state")
"""Infos that describe the present observation and are recorded with the next step."""


@dataclass
class Rollout:
    """Transitions of ``time`` steps in ``envs`` environments.

    ``true_reward`` and ``score`` are carried along hidden from the learner; only teachers, baselines
    and reports read them.
    """

    observation: np.ndarray
    """Raw, as the world gives them, where step t was taken: ``[time, envs, ...]``."""
    action: np.ndarray
    """In the policy's units: ``[time, envs(, actions)]``."""
    world_action: np.ndarray
    """In the world's units, clipped: what really happened."""
    log_prob: np.ndarray
    value: np.ndarray
    """Of the observation, in normalised returns."""
    next_value: np.ndarray
    """Of what the step led to: zero after a termination, the final observation's after a truncation."""
    terminated: np.ndarray
    """Whether the next value is truly zero, in any units."""
    end: np.ndarray
    """The agent sees an episode end with this step (never in the paper form of Atari)."""
    episode_end: np.ndarray
    """The episode ended with this step, whether the agent sees it or not."""
    true_reward: np.ndarray
    score: np.ndarray
    """The world's own unclipped reward."""
    episode_seed: np.ndarray
    episode_step: np.ndarray
    state: np.ndarray | None
    """Simulator states to redraw the steps from, where the world has them: ``[time, envs, numbers]``."""

    @property
    def shape(self) -> tuple[int, int]:
        return int(self.log_prob.shape[0]), int(self.log_prob.shape[1])

    @property
    def steps(self) -> int:
        return int(self.log_prob.size)


class Episodes:
    """Scores and lengths of episodes as they finish; the last thousand are kept."""

    def __init__(self, envs: int) -> None:
        self.running = np.zeros(envs)
        self.steps = np.zeros(envs, dtype=np.int64)
        self.finished: deque[tuple[float, int]] = deque(maxlen=1000)

    def add(self, score: np.ndarray, episode_end: np.ndarray) -> None:
        """One step of every environment: ``[envs]`` each."""
        self.running += score
        self.steps += 1
        if episode_end.any():
            ended = zip(self.running[episode_end].tolist(), self.steps[episode_end].tolist(), strict=True)
            self.finished.extend(ended)
            self.running[episode_end] = 0.0
            self.steps[episode_end] = 0

    def mean_return(self, count: int) -> float | None:
        """Mean score of the last ``count`` finished episodes; None before the first."""
        last = list(self.finished)[-count:]
        return float(np.mean([score for score, _ in last])) if last else None

    def mean_length(self, count: int) -> float | None:
        """Mean steps of the last ``count`` finished episodes; None before the first."""
        last = list(self.finished)[-count:]
        return float(np.mean([steps for _, steps in last])) if last else None

    def state_dict(self) -> dict[str, Any]:
        return {
            "running": self.running.copy(),
            "steps": self.steps.copy(),
            "finished": np.array(self.finished, dtype=np.float64).reshape(-1, 2),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.running, self.steps = state["running"].copy(), state["steps"].copy()
        self.finished = deque(((float(score), int(steps)) for score, steps in state["finished"]), maxlen=1000)


class Collector:
    """Steps one vector environment with an actor, rollout after rollout.

    Args:
        env: a Gymnasium vector environment with same-step resets and the infos ``episode_end``,
            ``score``, ``episode_seed`` and ``episode_step`` (every environment made by ``envs`` has them).
        actor: decides.
        rng: draws the actions.
    """

    def __init__(self, env: VectorEnv, actor: Actor, rng: np.random.Generator) -> None:
        self.env = env
        self.actor = actor
        self.rng = rng
        self.episodes = Episodes(env.num_envs)
        self.observation, self.infos = env.reset()

    def collect_rollout(self, steps: int) -> Rollout:
        """``steps`` decisions in every environment, with one version of the policy.

        Raises:
            FloatingPointError: the world gave a reward or an observation that is not finite.
        """
        self.actor.refresh()
        record = Recorder(steps, self.env.num_envs)
        for t in range(steps):
            decision = self.actor.decide(self.observation, self.rng)
            world_action = self.actor.policy.to_world(decision.action)
            record.before(t, self.observation, decision, world_action, self.infos)
            self.observation, reward, terminated, truncated, self.infos = self.env.step(world_action)
            record.after(t, reward, terminated, truncated, self.infos)
            rows = np.flatnonzero(truncated & ~terminated)
            if rows.size:
                final = np.stack(list(self.infos["final_obs"][rows]))
                record.final_value(t, rows, self.actor.values(final))
            self.episodes.add(self.infos["score"], self.infos["episode_end"])
        for name in ("observation", "true_reward"):
            if record.arrays[name].dtype.kind == "f" and not np.isfinite(record.arrays[name]).all():
                raise FloatingPointError(f"the world gave a {name.replace('_', ' ')} that is not finite")
        return record.rollout(self.actor.values(self.observation))

    def state_dict(self) -> dict[str, Any]:
        """The world and what it last showed; empty of the world where it cannot be saved."""
        exact = bool(getattr(self.env, "exact", False))
        return {
            "env": self.env.get_state() if exact else None,  # type: ignore[attr-defined]
            "observation": self.observation,
            "infos": {name: self.infos[name] for name in LASTING_INFOS if name in self.infos},
            "episodes": self.episodes.state_dict(),
            "rng": self.rng.bit_generator.state,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continues from ``state_dict``; a world that cannot be restored begins new episodes instead."""
        self.episodes.load_state_dict(state["episodes"])
        self.rng.bit_generator.state = state["rng"]
        if state["env"] is not None:
            self.env.set_state(state["env"])  # type: ignore[attr-defined]
            self.observation, self.infos = state["observation"], dict(state["infos"])
            return
        self.observation, self.infos = self.env.reset()
        self.episodes.running[:], self.episodes.steps[:] = 0.0, 0


class Recorder:
    """Preallocated ``[time, envs, ...]`` arrays, made when the first step shows their shapes."""

    def __init__(self, steps: int, envs: int) -> None:
        self.steps, self.envs = steps, envs
        self.arrays: dict[str, np.ndarray] = {}
        self.final: list[tuple[int, np.ndarray, np.ndarray]] = []

    def before(
        self,
        t: int,
        observation: np.ndarray,
        decision: Decision,
        world_action: np.ndarray,
        infos: dict[str, Any],
    ) -> None:
        self._put("observation", t, observation)
        self._put("action", t, decision.action)
        self._put("world_action", t, world_action)
        self._put("log_prob", t, decision.log_prob)
        self._put("value", t, decision.value)
        self._put("episode_seed", t, infos["episode_seed"])
        self._put("episode_step", t, infos["episode_step"])
        if "state" in infos:
            self._put("state", t, infos["state"])

    def after(
        self, t: int, reward: np.ndarray, terminated: np.ndarray, truncated: np.ndarray, infos: dict[str, Any]
    ) -> None:
        self._put("true_reward", t, reward)
        self._put("terminated", t, terminated)
        self._put("end", t, terminated | truncated)
        self._put("score", t, infos["score"])
        self._put("episode_end", t, infos["episode_end"])

    def final_value(self, t: int, rows: np.ndarray, values: np.ndarray) -> None:
        self.final.append((t, rows, values))

    def rollout(self, last_value: np.ndarray) -> Rollout:
        value = self.arrays["value"]
        next_value = np.concatenate([value[1:], last_value[None]])
        next_value[self.arrays["terminated"]] = 0.0
        for t, rows, values in self.final:
            next_value[t, rows] = values
        return Rollout(next_value=next_value, state=self.arrays.pop("state", None), **self.arrays)

    def _put(self, name: str, t: int, value: np.ndarray) -> None:
        if t == 0:
            dtype = (
                np.float32 if value.dtype == np.float64 and name in ("observation", "action") else value.dtype
            )
            self.arrays[name] = np.empty((self.steps, *value.shape), dtype=dtype)
        self.arrays[name][t] = value
