"""A labeller at work on one run: takes open pairs under a lease, stores answers, takes the last one back.

The terminal client is one user of this, its scripted test client another. Trainer and labellers meet only in
the store.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from prefrl.feedback import Answer, Query, Source, make_id
from prefrl.store import Counts, FeedbackStore

LOOKAHEAD = 20
"""Open queries looked at to find one that nobody else has just taken."""


class Labelling:
    """One labeller's session.

    Args:
        store: of the run.
        run: the run's name in the store.
        labeller: who answers; two people need two names, or they are one to the store.
        source: what the answers are recorded to come from.
        seed: of the run; the ids of answers follow from it.
        lease_seconds: how long a pair is kept for this labeller; then others may be shown it.
        clock: Unix time in seconds.
    """

    def __init__(
        self,
        store: FeedbackStore,
        run: str,
        *,
        labeller: str,
        source: Source = Source.PERSON,
        seed: int,
        lease_seconds: float = 600.0,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.store, self.run, self.labeller, self.source, self.seed = store, run, labeller, source, seed
        self.lease_seconds = lease_seconds
        self.held: Query | None = None
        self._clock = clock

    def next_query(self) -> Query | None:
        """The first open pair, leased to this labeller; None where nothing is open to them."""
        self.release()
        now = self._clock()
        candidates = self.store.open_queries(self.run, LOOKAHEAD, labeller=self.labeller, now=now)
        for query in candidates:
            leased = self.store.lease([query.id], labeller=self.labeller, seconds=self.lease_seconds, now=now)
            if leased:
                self.held = query
                return query
        return None

    def answer(
        self, query: Query, value: float | None, *, shown: tuple[int, int], seconds: float | None = None
    ) -> Answer:
        """Stores what this labeller says of a pair; it is on disk when this returns.

        Args:
            query: a pair.
            value: P(left is better), in the query's order, however the two were shown; None skips.
            shown: the query's items from left to right on the screen.
            seconds: time taken.

        Raises:
            UsageError: this labeller has answered the query meanwhile elsewhere; the disk is full.
        """
        answer = Answer(
            id=self._answer_id(query),
            query_id=query.id,
            value=value,
            source=self.source,
            labeller=self.labeller,
            seconds=seconds,
            shown=shown,
            answered_at=self._clock(),
        )
        self.store.add_answers([answer])
        self.held = None if self.held == query else self.held
        return answer

    def undo(self) -> Query | None:
        """Withdraws this labeller's newest answer that stands; returns its query, or None without one."""
        own = [one for one in self.store.current_answers(self.run) if one.labeller == self.labeller]
        if not own:
            return None
        last = max(own, key=lambda one: one.event)
        query = self.store.queries(self.run, query_ids=[last.query_id])[0]
        withdrawal = Answer(
            id=self._answer_id(query),
            query_id=query.id,
            value=None,
            source=self.source,
            labeller=self.labeller,
            supersedes=last.id,
            withdrawn=True,
            answered_at=self._clock(),
        )
        self.store.add_answers([withdrawal])
        return query

    def release(self) -> None:
        """Gives back the pair that is held, so that others can be shown it at once."""
        if self.held is not None:
            self.store.release([self.held.id], labeller=self.labeller)
            self.held = None

    def counts(self) -> Counts:
        """How far the run's labelling is, by everybody."""
        return self.store.counts(self.run)

    def _answer_id(self, query: Query) -> str:
        """Counts what this labeller has said to the query: a repeated write is one answer, not two."""
        said = self.store.answers(self.run, query_ids=[query.id])
        number = sum(one.labeller == self.labeller for one in said)
        return make_id(f"{self.run}/{self.labeller}/{query.counter}", self.seed, "answer", number)


def screen_value(preference: float | None, shown: tuple[int, int]) -> float | None:
    """P(the query's left is better) from P(what stands on the screen's left is better)."""
    if preference is None or shown == (0, 1):
        return preference
    return 1.0 - preference
