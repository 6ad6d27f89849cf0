"""Queries that are asked to learn about labellers, not about the reward: gold pairs, repeats, practice.

None of them spends the label budget or is trained on. Gold and practice pairs are those of recent segments
whose true returns differ most, so that it is clear what to expect; repeats ask a labeller again what that
labeller has answered some time before. What was asked already is counted in the store, nowhere else.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from prefrl.candidates import CANDIDATES_PER_QUERY, draw_candidate_pairs
from prefrl.control.config import TrainConfig
from prefrl.control.segment_files import save_segment
from prefrl.control.segment_pool import SegmentPool
from prefrl.control.segments import Segments
from prefrl.feedback import Answer, Kind, Purpose, Query, Remark, make_id
from prefrl.labellers.quality import expectation
from prefrl.queries import select_clear_pairs
from prefrl.store.feedback_store import FeedbackStore

REPEAT_GAP = 10
"""A labeller has given at least so many answers since the one that is asked for again."""
OPEN_REPEATS = 4
"""Repeats that a labeller has ahead at most: whoever leaves, leaves few behind."""


class QualityQueries:
    """Makes the queries that check a run's labellers; the learner says when, and stores them.

    Args:
        config: the run's settings.
        store: of the run.
        run: the run's name in the store.
        folder: where segments that are asked about are written.
    """

    def __init__(self, config: TrainConfig, store: FeedbackStore, *, run: str, folder: Path) -> None:
        self.config, self.store, self.run, self.folder = config, store, run, folder
        self._answers_seen = 0

    def practice(self, pool: SegmentPool, **made: Any) -> list[Query | Remark]:
        """The practice pairs of a run, its first queries, with what is expected; none for a scripted teacher.

        Args:
            pool: the segments to choose among.
            made: when they are made, ``policy_step`` and ``reward_version``.
        """
        count = self.config.query.practice if self.config.teacher == "human" else 0
        pairs = self._clear_pairs(pool, count, 0)
        return self._ask(pool.segments(), pairs, range(len(pairs)), Purpose.PRACTICE, made) if count else []

    def among(
        self, pool: SegmentPool, count: int, *, asked: int, first: int, **made: Any
    ) -> tuple[list[int], list[Query | Remark]]:
        """Gold pairs hidden among training queries: the counters that are left for those, and the records.

        Args:
            pool: the segments to choose among.
            count: training queries that are made now.
            asked: training queries made before.
            first: the counter of the first query, of whichever purpose.
            made: when they are made, ``policy_step`` and ``reward_version``.
        """
        due = int(self.config.query.gold_fraction * (asked + count))
        if due:
            due -= len(self.store.queries(self.run, purposes=[Purpose.GOLD]))
        pairs = self._clear_pairs(pool, due, first)
        counters = np.arange(first, first + count + len(pairs))
        gold = np.sort(self._rng(first, 1).choice(counters, len(pairs), replace=False))
        records = self._ask(pool.segments(), pairs, gold.tolist(), Purpose.GOLD, made)
        return np.setdiff1d(counters, gold).tolist(), records

    def repeats(self, *, answers: int, first: int, **made: Any) -> list[Query]:
        """The repeats that are due by what each labeller has answered by now.

        Args:
            answers: usable answers by now; while they are as many as at the last call, nothing is due.
            first: the counter of the first one.
            made: when they are made, ``policy_step`` and ``reward_version``.
        """
        if not self.config.query.repeat_fraction or answers == self._answers_seen:
            return []
        self._answers_seen = answers
        asked = {query.id: query for query in self.store.queries(self.run)}
        repeated = [query.repeat_of for query in asked.values() if query.repeat_of is not None]
        own, done = self._answers_by_labeller(asked)
        queries: list[Query] = []
        for labeller, answered in sorted(own.items()):
            taken = set(repeated)
            free = [answer.query_id for answer in answered[:-REPEAT_GAP] if answer.query_id not in taken]
            for original in self._chosen(free, answered, taken, done.get(labeller, 0), first + len(queries)):
                queries.append(self._repeat(asked[original], first + len(queries), made))
                repeated.append(original)
        return queries

    def _chosen(
        self, free: list[str], answered: list[Answer], repeated: set[str], done: int, counter: int
    ) -> list[str]:
        """Which of a labeller's answered queries to ask again: as many as the rate says, few at a time."""
        made = sum(answer.query_id in repeated for answer in answered)
        due = int(self.config.query.repeat_fraction * len(answered)) - made
        count = min(due, OPEN_REPEATS - (made - done), len(free))
        return self._rng(counter, 2).choice(free, count, replace=False).tolist() if count > 0 else []

    def _answers_by_labeller(self, asked: dict[str, Query]) -> tuple[dict[str, list[Answer]], dict[str, int]]:
        """Usable answers to training queries by labeller, and how many repeats each has answered."""
        own: dict[str, list[Answer]] = {}
        done: dict[str, int] = {}
        late = self.store.late(self.run)
        for answer in self.store.current_answers(self.run):
            purpose = asked[answer.query_id].purpose
            if purpose is Purpose.REPEAT:
                done[answer.labeller] = done.get(answer.labeller, 0) + 1
            usable = answer.value is not None and (answer.query_id, answer.labeller) not in late
            if purpose is Purpose.TRAINING and usable:
                own.setdefault(answer.labeller, []).append(answer)
        return own, done

    def _repeat(self, original: Query, counter: int, made: dict[str, Any]) -> Query:
        return Query(
            id=make_id(self.run, self.config.seed, "query", counter),
            run=self.run,
            kind=original.kind,
            items=original.items,
            counter=counter,
            purpose=Purpose.REPEAT,
            repeat_of=original.id,
            **made,
        )

    def _clear_pairs(self, pool: SegmentPool, count: int, counter: int) -> np.ndarray:
        if count < 1 or len(pool) < 2:
            return np.zeros((0, 2), np.int64)
        rng = self._rng(counter, 0)
        candidates = draw_candidate_pairs(len(pool), 2 * count * CANDIDATES_PER_QUERY, rng)
        return select_clear_pairs(pool.segments().true_reward.sum(1), candidates, count)

    def _ask(
        self, pool: Segments, pairs: np.ndarray, counters: Any, purpose: Purpose, made: dict[str, Any]
    ) -> list[Query | Remark]:
        """Writes the segments first, as for every query; they are in no bank, since none is trained on."""
        seed, returns = self.config.seed, pool.true_reward.sum(1)
        records: list[Query | Remark] = []
        for counter, (left, right) in zip(counters, pairs, strict=True):
            items = tuple(
                make_id(self.run, seed, f"{purpose}-segment", 2 * counter + side) for side in (0, 1)
            )
            for item, row in zip(items, (left, right), strict=True):
                save_segment(self.folder, item, pool, int(row))
            query = Query(
                id=make_id(self.run, seed, "query", counter),
                run=self.run,
                kind=Kind.PAIR,
                items=items,
                counter=counter,
                purpose=purpose,
                **made,
            )
            records += [query, expectation(query, float(returns[left] > returns[right]), seed=seed)]
        return records

    def _rng(self, counter: int, what: int) -> np.random.Generator:
        """Of its own, so that a run without such queries is the same run, bit for bit."""
        return np.random.default_rng([self.config.seed, 5, what, counter])


def count_queries(records: list[Query | Remark]) -> int:
    """How many of the records are queries, each of which takes a counter."""
    return sum(isinstance(record, Query) for record in records)
