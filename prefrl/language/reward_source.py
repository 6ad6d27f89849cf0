"""Where scores come from during a run: a given reward, or one that is learned from comparisons on the way."""

from __future__ import annotations

from typing import Any, Protocol

import torch
from torch import Tensor

from prefrl.ensemble import RewardEnsemble
from prefrl.language.bench import Bench, Row
from prefrl.language.preferences import TextPreferences
from prefrl.language.responses import Responses
from prefrl.language.rewards import TextReward, random_reward, verifiable_reward


class RewardSource(Protocol):
    """Gives rewards, and is told how far the run is."""

    @property
    def ensemble(self) -> RewardEnsemble | None:
        """The learned reward; None where it is given."""
        ...

    def prepare(self, progress: float) -> Row | None:
        """Asks, fits or waits where that is due, and says so in a row of metrics; None: go on."""
        ...

    def __call__(self, responses: Responses) -> Tensor:
        """``[n]``, or ``[n, time]``."""
        ...

    def state_dict(self) -> dict[str, Any]:
        """All that a resumed run needs."""
        ...

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continues from ``state_dict``."""
        ...


class GivenReward:
    """A reward that stays as it is.

    Args:
        reward: over responses.
        generator: what it draws from, if it does; saved with the run.
    """

    ensemble = None

    def __init__(self, reward: TextReward, generator: torch.Generator | None = None) -> None:
        self._reward, self._generator = reward, generator

    def prepare(self, progress: float) -> Row | None:  # noqa: ARG002 - nothing to prepare
        return None

    def __call__(self, responses: Responses) -> Tensor:
        return self._reward(responses)

    def state_dict(self) -> dict[str, Any]:
        return {"generator": None if self._generator is None else self._generator.get_state()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        if self._generator is not None:
            self._generator.set_state(state["generator"])


class LearnedReward:
    """The reward ensemble: asked and fitted first, then again in so many sessions while the policy moves.

    Args:
        preferences: the comparisons and the ensemble.
        sessions: after the first one, evenly spaced over the run.
    """

    def __init__(self, preferences: TextPreferences, *, sessions: int) -> None:
        self.preferences, self.sessions = preferences, sessions
        self._held = 0
        """Sessions so far, the first one included."""

    @property
    def ensemble(self) -> RewardEnsemble:
        learned = self.preferences.ensemble
        assert learned is not None
        return learned

    def prepare(self, progress: float) -> Row | None:
        """See ``RewardSource.prepare``; a session asks, and fits once it is answered."""
        preferences = self.preferences
        if self._held > int(progress * (self.sessions + 1)) or self._held > self.sessions:
            return None
        preferences.ask(preferences.due(progress))
        if (waiting := preferences.waits_for()) is not None:
            return {"waiting": waiting}
        self._held += 1
        return preferences.fit() | preferences.assess()

    def __call__(self, responses: Responses) -> Tensor:
        return self.preferences.score(responses)

    def state_dict(self) -> dict[str, Any]:
        return {"preferences": self.preferences.state_dict(), "held": self._held}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.preferences.load_state_dict(state["preferences"])
        self._held = state["held"]


def make_source(bench: Bench, preferences: TextPreferences | None) -> RewardSource:
    """The source that the config asks for; ``preferences`` where that is learned."""
    if bench.config.fits:
        assert preferences is not None
        later = 0 if bench.config.asks_at_once else bench.config.query.sessions
        return LearnedReward(preferences, sessions=later)
    if bench.config.reward == "random":
        generator = torch.Generator().manual_seed(bench.config.seed + 1)
        return GivenReward(random_reward(generator), generator)
    return GivenReward(verifiable_reward(bench.task))
