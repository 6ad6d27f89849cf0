"""The actions of every open and recently finished episode, one byte each: all that a replay needs."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from envs.episodes import Episodes
from envs.errors import WorldError

Actions = NDArray[np.uint8]


class ActionLog:
    """Remembers the actions of open `episodes`, at most `step_limit` steps each, and of finished ones."""

    def __init__(self, episodes: Episodes, step_limit: int) -> None:
        num_envs = len(episodes.seeds)
        self._episodes = episodes
        self._taken: Actions = np.zeros((num_envs, step_limit), dtype=np.uint8)
        self._rows = np.arange(num_envs)
        self._finished: dict[int, Actions] = {}

    def record(self, actions: NDArray[np.integer]) -> None:
        """Note the action that each environment takes at its episode's current step."""
        self._taken[self._rows, self._episodes.steps] = actions

    def finish(self, environments: NDArray[np.integer]) -> None:
        """File the open episodes of these environments, those of no steps aside; call before others begin."""
        for row in environments[self._episodes.steps[environments] > 0]:
            self._finished[int(self._episodes.seeds[row])] = self._open(int(row)).copy()

    def forget_finished(self) -> None:
        """Drop the actions of finished episodes."""
        self._finished.clear()

    def of_episode(self, episode_seed: int) -> Actions:
        """All actions uint8 [n] taken so far in the episode of that seed, open or finished.

        Raises:
            WorldError: no such episode is open or remembered.
        """
        (rows,) = np.nonzero(self._episodes.seeds == episode_seed)
        if rows.size:
            return self._open(int(rows[0])).copy()
        if episode_seed in self._finished:
            return self._finished[episode_seed].copy()
        raise WorldError(f"episode {episode_seed} is not remembered: ask for it before it is forgotten")

    def at(self, steps: NDArray[np.integer]) -> NDArray[np.int64]:
        """The action int64 [N] that each open episode took at `steps` int64 [N]; 0 for steps below 0."""
        return np.where(steps < 0, 0, self._taken[self._rows, np.maximum(steps, 0)]).astype(np.int64)

    def get_state(self) -> dict[str, np.ndarray]:
        """Return everything remembered, as arrays."""
        finished = list(self._finished.values())
        return {
            "actions": _joined([self._open(int(row)) for row in self._rows]),
            "finished_seed": np.array(list(self._finished), dtype=np.int64),
            "finished_steps": np.array([len(actions) for actions in finished], dtype=np.int64),
            "finished_actions": _joined(finished),
        }

    def set_state(self, state: Mapping[str, np.ndarray]) -> None:
        """Continue from a state of `get_state`; the episodes' own state must be in place already."""
        for row, actions in enumerate(_split(state["actions"], self._episodes.steps)):
            self._taken[row, : len(actions)] = actions
        finished = _split(state["finished_actions"], state["finished_steps"])
        seeds = state["finished_seed"].tolist()
        self._finished = {seed: actions.copy() for seed, actions in zip(seeds, finished, strict=True)}

    def _open(self, row: int) -> Actions:
        return self._taken[row, : self._episodes.steps[row]]


def _joined(pieces: list[Actions]) -> Actions:
    return np.concatenate([np.zeros(0, dtype=np.uint8), *pieces])


def _split(joined: Actions, lengths: NDArray[np.integer]) -> list[Actions]:
    ends = np.cumsum(lengths)
    return [joined[end - length : end] for end, length in zip(ends, lengths, strict=True)]
