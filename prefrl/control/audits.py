"""Queries that check the learned reward: newest behaviour beside earlier behaviour that it surpasses.

Comparisons within the newest pool cannot say whether behaviour is getting better; these can. They are what
the hacking alarm bets on, and after it has rung they put the suspicious segments before the teacher.
"""

from __future__ import annotations

import math

import numpy as np
import torch

from prefrl.control.layouts import Layout
from prefrl.control.segment_bank import CandidateItems, SegmentBank
from prefrl.control.segments import Segments
from prefrl.control.session_reports import RECENT
from prefrl.ensemble import RewardEnsemble

CONFIDENT = 0.75
"""An audit asks about a rise that the ensemble is at least so sure of: what it doubts proves nothing."""
CANDIDATES = 256
"""Newest segments that are looked at."""


def audits_due(asked: int, count: int, share: float) -> int:
    """How many of the next ``count`` queries are audits, where ``asked`` came before: ``share`` of all."""
    return math.floor(share * (asked + count)) - math.floor(share * asked)


def choose_audits(
    ensemble: RewardEnsemble,
    layout: Layout,
    bank: SegmentBank,
    pool: Segments,
    count: int,
    *,
    beside: int = 1,
    suspicious: bool,
    rng: np.random.Generator,
) -> np.ndarray:
    """At most ``count`` rows of a pool row and ``beside`` different bank rows ``[n, 1 + beside]``.

    No pool row comes twice. It is of the newer half of the pool, the bank rows of the ``RECENT`` newest ones,
    and the ensemble expects the former to be better than each of the latter with a probability of
    ``CONFIDENT`` or more. Fewer where there are no such.

    Args:
        ensemble: has been fitted before.
        layout: of the segments.
        bank: annotated segments.
        pool: candidates, oldest first.
        count: queries wanted.
        beside: earlier segments in each, more than one for rankings.
        suspicious: the segments of highest predicted return instead of random ones.
        rng: chooses.
    """
    newer = np.arange(len(pool) // 2, len(pool))
    newer = rng.permutation(newer)[:CANDIDATES]
    earlier = np.arange(max(0, len(bank) - RECENT), len(bank))
    if not count or not len(newer) or not len(earlier):
        return np.zeros((0, 1 + beside), np.int64)
    items = CandidateItems(layout, pool, ensemble.shift.device)
    new = ensemble.predict_returns(items, torch.from_numpy(newer)).double().cpu()
    old = ensemble.predict_returns(bank, torch.from_numpy(earlier)).double().cpu()
    order = np.argsort(-new.mean(0).numpy(), kind="stable") if suspicious else np.arange(len(newer))
    chosen: list[list[int]] = []
    for place in order:
        better = torch.sigmoid(new[:, place, None] - old).mean(0).numpy()
        beaten = earlier[better >= CONFIDENT]
        if len(beaten) >= beside:
            chosen.append([int(newer[place]), *rng.choice(beaten, beside, replace=False).tolist()])
        if len(chosen) == count:
            break
    return np.array(chosen, np.int64).reshape(-1, 1 + beside)
