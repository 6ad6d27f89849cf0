"""Segments as items that the reward ensemble compares: those annotated, and candidates still in the pool."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from prefrl.control.layouts import Layout, unstored_inputs
from prefrl.control.segments import Segments


class SegmentBank:
    """Annotated segments on the learner's device: the :class:`prefrl.ensemble.Items` of this track.

    Grows by doubling; rows are never moved or removed, so comparisons can hold row numbers.
    """

    def __init__(self, layout: Layout, device: torch.device) -> None:
        self.layout = layout
        self.device = device
        self.ids: list[str] = []
        self._storage: Tensor | None = None

    def __len__(self) -> int:
        return len(self.ids)

    def add(self, ids: list[str], segments: Segments) -> np.ndarray:
        """Appends segments and returns their rows."""
        fresh = torch.from_numpy(segments.inputs).to(self.device)
        first, total = len(self.ids), len(self.ids) + len(fresh)
        if self._storage is None or total > len(self._storage):
            capacity = max(total, 2 * first)
            larger = torch.empty((capacity, *fresh.shape[1:]), dtype=fresh.dtype, device=self.device)
            if self._storage is not None:
                larger[:first] = self._storage[:first]
            self._storage = larger
        self._storage[first:total] = fresh
        self.ids.extend(ids)
        return np.arange(first, total)

    def inputs(self, rows: Tensor) -> Tensor:
        """``[rows, length, ...]`` as the reward network takes them."""
        assert self._storage is not None
        return unstored_inputs(self.layout, self._storage[rows])

    def mask(self, rows: Tensor) -> None:
        """Segments have one length: every step counts."""


class CandidateItems:
    """The pool's segments as items, without copying them into a bank."""

    def __init__(self, layout: Layout, segments: Segments, device: torch.device) -> None:
        self.layout, self.segments, self.device = layout, segments, device

    def inputs(self, rows: Tensor) -> Tensor:
        stored = torch.from_numpy(self.segments.inputs[rows.cpu().numpy()]).to(self.device)
        return unstored_inputs(self.layout, stored)

    def mask(self, rows: Tensor) -> None:
        """Segments have one length: every step counts."""
