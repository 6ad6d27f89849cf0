"""Which episode every environment is in: its seed, its number, its steps so far."""

import numpy as np
from numpy.typing import NDArray

from envs.episode_seeds import checked_seed, episode_seeds
from envs.errors import WorldError

State = dict[str, np.ndarray]


class Episodes:
    """The open episode of every environment of one vector."""

    def __init__(self, seed: int, num_envs: int) -> None:
        self._seed = checked_seed(seed)
        self._started = np.zeros(num_envs, np.int64)
        self.seeds: NDArray[np.int64] = np.zeros(num_envs, np.int64)
        """The open episodes' own seeds; 0 before the first episode."""
        self.steps: NDArray[np.int64] = np.zeros(num_envs, np.int64)
        """Steps taken in the open episodes."""

    def reseed(self, seed: int) -> None:
        """Count episodes from the first one again, with another seed."""
        self._seed = checked_seed(seed)
        self._started[:] = 0

    def begin(self, environments: NDArray[np.integer]) -> NDArray[np.int64]:
        """Open the next episode of these environments; return its seeds, one each."""
        counters = self._started[environments] * len(self.seeds) + environments
        self.seeds[environments] = episode_seeds(self._seed, counters)
        self._started[environments] += 1
        self.steps[environments] = 0
        return self.seeds[environments]

    def infos(self) -> State:
        """Return fresh arrays that say which episode and step the current observation belongs to."""
        return {"episode_seed": self.seeds.copy(), "episode_step": self.steps.copy()}

    def get_state(self) -> State:
        """Return all counters as arrays."""
        own = {"seed": np.array(self._seed, np.int64), "episodes_started": self._started.copy()}
        return own | self.infos()

    def set_state(self, state: State) -> None:
        """Continue from counters of `get_state`.

        Raises:
            WorldError: they are of another number of environments.
        """
        if state["episode_seed"].shape != self.seeds.shape:
            was, now = len(state["episode_seed"]), len(self.seeds)
            raise WorldError(f"the saved state is of {was} environments, this world has {now}: make {was}")
        self._seed = int(state["seed"])
        self._started[:] = state["episodes_started"]
        self.seeds[:] = state["episode_seed"]
        self.steps[:] = state["episode_step"]
