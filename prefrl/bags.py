"""How feedback is dealt out: which pieces are in each member's bag, and in which order they are fitted."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from prefrl.feedback_sets import FeedbackSet


def bootstrap_counts(pieces: int, members: int, *, seed: tuple[int, ...]) -> Tensor:
    """How often each piece is in each member's bag, ``[pieces, members]``: Poisson(1), fixed by the seed.

    The first rows do not change when pieces are added, so a piece never moves between training and
    validation.
    """
    draws = np.random.default_rng(seed).poisson(1.0, size=(pieces, members))
    return torch.from_numpy(draws.astype(np.float32))


def minibatches(
    sets: Sequence[FeedbackSet], size: int, generator: torch.Generator
) -> list[tuple[int, Tensor]]:
    """All pieces of all sets once, in random order: the number of a set, at most ``size`` of its pieces."""
    batches = [
        (which, part.to(sets[which].items.device))
        for which in range(len(sets))
        for part in torch.randperm(len(sets[which]), generator=generator).split(size)
    ]
    order = torch.randperm(len(batches), generator=generator) if len(sets) > 1 else range(len(batches))
    return [batches[int(i)] for i in order]
