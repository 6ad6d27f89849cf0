"""A run's training queries: candidates from the pool, a choice among them, their segments on record."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from prefrl.candidates import Integers, draw_candidate_pairs, draw_candidate_sets, draw_candidate_singles
from prefrl.control.audits import audits_due, choose_audits
from prefrl.control.config import TrainConfig
from prefrl.control.layouts import Layout
from prefrl.control.segment_bank import CandidateItems, SegmentBank
from prefrl.control.segment_files import load_segments, save_segment
from prefrl.control.segment_pool import SegmentPool
from prefrl.control.segments import Segments
from prefrl.ensemble import RewardEnsemble
from prefrl.feedback import Kind, Query, make_id
from prefrl.queries import DisagreementQueries, QuerySelector, RandomQueries

SUSPECTS = 10
"""Queries about the most suspicious segments that follow an alarm."""


@dataclass
class Asked:
    """A training query that is out, and the bank rows of its segments."""

    query_id: str
    rows: tuple[int, ...]


class QueryMaker:
    """Makes queries of the kind that the run asks; who answers them is none of its business.

    Args:
        config: the run's settings.
        layout: how segments are stored for the reward network.
        ensemble: whose disagreement chooses.
        run: the run's name in the store.
        folder: where segments that are asked about are written.
        rng: draws candidates.
    """

    def __init__(
        self,
        config: TrainConfig,
        layout: Layout,
        ensemble: RewardEnsemble,
        *,
        run: str,
        folder: Path,
        rng: np.random.Generator,
    ) -> None:
        self.config, self.layout, self.ensemble = config, layout, ensemble
        self.run, self.folder, self._rng = run, folder, rng
        self.kind, self.size = Kind(config.query.kind), config.query.clips_per_query
        self.bank = SegmentBank(layout, ensemble.shift.device)
        self.asked: list[Asked] = []
        self.counter = 0  # queries made, those that only check labellers included
        self.audits: set[str] = set()
        self.suspects = 0
        """Queries about suspicious segments that are still to be asked."""
        self._alone: set[int] = set()
        """Numbers of segments that were asked about alone; each is asked about once."""
        self._selector: QuerySelector = (
            RandomQueries() if config.query.selector == "random" else DisagreementQueries()
        )

    def choose(self, pool: SegmentPool, count: int) -> Integers:
        """What to ask: pool rows of at most ``count`` queries, ``[n, k]``."""
        segments = pool.segments()
        candidates = self._candidates(pool, count * self.config.query.candidates_per_query)
        returns = None
        if self._selector.needs_returns and self.ensemble.version > 0 and len(candidates):
            items = CandidateItems(self.layout, segments, self.ensemble.shift.device)
            used, places = np.unique(candidates, return_inverse=True)
            members = self.ensemble.predict_returns(items, torch.from_numpy(used)).double().cpu().numpy()
            returns = members[:, places.reshape(candidates.shape)]
        selector = self._selector if returns is not None else RandomQueries()
        chosen = candidates[selector.select(returns, candidates, count, self._rng)]
        if self.size == 1:
            self._alone.update((pool.first + chosen[:, 0]).tolist())
        return chosen

    def make(
        self, segments: Segments, chosen: Integers, counters: list[int], made: dict[str, Any]
    ) -> list[Query]:
        """Queries about pool rows ``[n, k]``, whose segments go into the bank and on disk first.

        Args:
            segments: of the pool.
            chosen: by ``choose``.
            counters: of the queries.
            made: when they are made, ``policy_step`` and ``reward_version``.
        """
        used, positions = np.unique(chosen, return_inverse=True)
        return self._put(self._annotate(segments, used)[positions.reshape(chosen.shape)], counters, made)

    def make_audits(self, segments: Segments, count: int, made: dict[str, Any]) -> list[Query]:
        """Those of the next ``count`` queries that check the reward: newest beside earlier behaviour."""
        due = audits_due(len(self.asked), count, self.config.audit_share)
        wanted = min(count, max(self.suspects, due))
        if not wanted or not self.ensemble.version:
            return []
        rng = np.random.default_rng([self.config.seed, 3, len(self.asked)])
        chosen = choose_audits(
            self.ensemble,
            self.layout,
            self.bank,
            segments,
            wanted,
            beside=self.size - 1,
            suspicious=self.suspects > 0,
            rng=rng,
        )
        self.suspects = max(0, self.suspects - wanted)
        if not len(chosen):
            return []
        rows = np.concatenate([self._annotate(segments, chosen[:, 0])[:, None], chosen[:, 1:]], 1)
        swapped = rng.random(len(rows)) < 0.5
        rows[swapped, :2] = rows[swapped, 1::-1]
        counters = list(range(self.counter, self.counter + len(rows)))
        self.counter += len(rows)
        queries = self._put(rows, counters, made)
        self.audits.update(query.id for query in queries)
        return queries

    def adopt(self, queries: list[Query]) -> None:
        """Takes over queries that are in the store, and their segments from their files."""
        rows = {item: row for row, item in enumerate(self.bank.ids)}
        ids = list(dict.fromkeys(item for query in queries for item in query.items if item not in rows))
        if ids:
            rows |= zip(ids, self.bank.add(ids, load_segments(self.folder, ids)).tolist(), strict=True)
        self.asked.extend(Asked(query.id, tuple(rows[item] for item in query.items)) for query in queries)

    def state_dict(self) -> dict[str, Any]:
        """Everything but the segments, which are on disk, and the generator, which is not its own."""
        return {
            "ids": list(self.bank.ids),
            "asked": [[asked.query_id, *asked.rows] for asked in self.asked],
            "counter": self.counter,
            "audits": [sorted(self.audits), self.suspects],
            "alone": sorted(self._alone),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continues from ``state_dict``; reads the annotated segments back from their files."""
        self.bank = SegmentBank(self.layout, self.ensemble.shift.device)
        if state["ids"]:
            self.bank.add(list(state["ids"]), load_segments(self.folder, list(state["ids"])))
        self.asked = [Asked(str(name), tuple(map(int, rows))) for name, *rows in state["asked"]]
        self.counter = state["counter"]
        audits, self.suspects = state["audits"]
        self.audits, self._alone = set(audits), set(state["alone"])

    def _candidates(self, pool: SegmentPool, count: int) -> Integers:
        match self.kind:
            case Kind.PAIR:
                return draw_candidate_pairs(len(pool), count, self._rng)
            case Kind.RANKING:
                return draw_candidate_sets(len(pool), self.size, count, self._rng)
        self._alone = {number for number in self._alone if number >= pool.first}
        fresh = np.setdiff1d(np.arange(len(pool)), np.array(sorted(self._alone), np.int64) - pool.first)
        return draw_candidate_singles(fresh, count, self._rng)

    def _annotate(self, segments: Segments, used: Integers) -> Integers:
        """Bank rows of segments of the pool, which get their ids and files."""
        before = len(self.bank)
        ids = [make_id(self.run, self.config.seed, "segment", before + i) for i in range(len(used))]
        for segment_id, row in zip(ids, used, strict=True):
            save_segment(self.folder, segment_id, segments, int(row))
        return self.bank.add(ids, segments.take(used))

    def _put(self, rows: Integers, counters: list[int], made: dict[str, Any]) -> list[Query]:
        """Queries about bank rows ``[n, k]``: a query never lacks its clips."""
        queries = []
        for counter, items in zip(counters, rows.tolist(), strict=True):
            query = Query(
                id=make_id(self.run, self.config.seed, "query", counter),
                run=self.run,
                kind=self.kind,
                items=tuple(self.bank.ids[row] for row in items),
                counter=counter,
                **made,
            )
            self.asked.append(Asked(query.id, tuple(items)))
            queries.append(query)
        return queries
