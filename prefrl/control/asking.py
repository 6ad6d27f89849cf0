"""Asking: queries from the pool into the store, and what a teacher that answers at once says to them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from prefrl.control.config import TrainConfig
from prefrl.control.quality_queries import QualityQueries, count_queries
from prefrl.control.query_maker import QueryMaker
from prefrl.control.segment_files import load_segments
from prefrl.control.segment_pool import SegmentPool
from prefrl.feedback import Answer, Purpose, Query, Source, make_id
from prefrl.store.feedback_store import FeedbackStore
from prefrl.teacher_answers import teacher_values
from prefrl.teachers import Teacher


class Asking:
    """Puts a run's queries to its teacher.

    Args:
        config: the run's settings.
        queries: makes them.
        teacher: answers at once, or through the store.
        store: where every query and answer goes.
    """

    def __init__(
        self, config: TrainConfig, queries: QueryMaker, teacher: Teacher, store: FeedbackStore
    ) -> None:
        self.config, self.queries, self.teacher, self.store = config, queries, teacher, store
        self.quality = QualityQueries(config, store, run=queries.run, folder=queries.folder)

    def ask(self, pool: SegmentPool, count: int, *, step: int) -> None:
        """Puts ``count`` queries about pooled segments to the teacher; a scripted one answers at once.

        Fewer where the pool has no more to ask about: no clip is put alone to a teacher twice.
        """
        if count < 1 or not len(pool):
            return
        making, made = self.queries, self._made(step)
        practice = [] if making.counter else self.quality.practice(pool, **made)
        making.counter += count_queries(practice)
        segments = pool.segments()
        audits = making.make_audits(segments, count, made)
        if audits:
            self.store.add([*audits, *self._answers(audits, segments.true_reward)])
        if (count := count - len(audits)) < 1:
            return
        chosen = making.choose(pool, count)
        counters, gold = self.quality.among(
            pool, len(chosen), asked=len(making.asked), first=making.counter, **made
        )
        queries = making.make(segments, chosen, counters, made)
        making.counter += len(counters) + count_queries(gold)
        answers = self._answers(queries, segments.true_reward, segments.true_reward[chosen])
        self.store.add([*practice, *queries, *gold, *answers])

    def ask_again(self, answers: int, *, step: int) -> None:
        """Puts out the hidden repeats that are due by what each labeller has answered; spends no budget.

        Args:
            answers: usable ones by now.
            step: of training.
        """
        repeats = self.quality.repeats(answers=answers, first=self.queries.counter, **self._made(step))
        self.queries.counter += len(repeats)
        self.store.add(repeats)

    def adopt(self) -> None:
        """Takes over queries that are in the store but unknown here: asked after the state that was loaded.

        What a resumed run cannot repeat bit for bit (a person's session, a GPU's arithmetic) must not be
        asked again under the same ids. A query that a scripted teacher left unanswered is answered now.
        """
        run = self.queries.run
        fresh = self.store.queries(run, after=self.queries.counter - 1, purposes=[Purpose.TRAINING])
        self.queries.counter = self.store.next_counter(run)
        if not fresh:
            return
        self.queries.adopt(fresh)
        answered = {answer.query_id for answer in self.store.current_answers(run)}
        self.store.add_answers(self._answers([query for query in fresh if query.id not in answered]))

    def _made(self, step: int) -> dict[str, int]:
        """When a query is made."""
        return {"policy_step": step, "reward_version": self.queries.ensemble.version}

    def _answers(
        self,
        queries: Sequence[Query],
        candidates: np.ndarray | None = None,
        rewards: np.ndarray | None = None,
    ) -> list[Answer]:
        """What the teacher says at once, under ids that are the same at each call; nothing where it does not.

        Args:
            queries: of the run's kind.
            candidates: true rewards ``[c, length]`` of what they were selected from.
            rewards: true rewards ``[n, k, length]`` of what they are about; by default those in the segments'
                files, since they may have left the pool.
        """
        if not self.teacher.answers_at_once or not queries:
            return []
        if rewards is None:
            ids = [item for query in queries for item in query.items]
            filed = load_segments(self.queries.folder, ids).true_reward
            rewards = filed.reshape(len(queries), self.queries.size, -1)
        name = self.config.teacher
        return [
            Answer(
                id=make_id(query.run, self.config.seed, "answer", query.counter),
                query_id=query.id,
                value=value,
                source=Source.ORACLE if name == "oracle" else Source.SCRIPTED,
                labeller=name,
            )
            for query, value in zip(
                queries, teacher_values(self.teacher, self.queries.kind, rewards, candidates), strict=True
            )
        ]
