"""Where the seed of every episode comes from: the world's seed and a counter, mixed without collisions."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from envs.errors import WorldError

_MASK = np.uint64(2**30 - 1)

LARGEST_WORLD_SEED = 2**63 - 1


def episode_seeds(seed: int, counters: NDArray[np.integer]) -> NDArray[np.int64]:
    """Return one seed, 1 to 2**30, for each counter of episodes (0 to 2**30 - 1).

    The counters are permuted, so that one world never gives two episodes the same seed; the permutation is
    keyed by numpy.random.SeedSequence(seed), so that worlds with neighbouring seeds have unrelated episodes.
    """
    keys = np.random.SeedSequence(seed).generate_state(3, np.uint64) & _MASK
    return _permute(np.asarray(counters, np.uint64), keys).astype(np.int64) + 1


def checked_seed(seed: Any) -> int:
    """Return a world's seed as an int.

    Raises:
        WorldError: it is no whole number from 0 to 2**63 - 1.
    """
    whole = isinstance(seed, int | np.integer) and not isinstance(seed, bool)
    if whole and 0 <= seed <= LARGEST_WORLD_SEED:
        return int(seed)
    raise WorldError(f"seed is {seed!r}: give a whole number from 0 to 2**63 - 1")


def _permute(values: NDArray[np.uint64], keys: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Mix numbers of 30 bits; each of the steps can be undone, so no two become equal."""
    for key in keys:
        values = values ^ key
        values = (values * ((key << np.uint64(1)) | np.uint64(1))) & _MASK
        values = values ^ (values >> np.uint64(15))
    return values
