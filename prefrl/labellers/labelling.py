"""A labeller at work on one run: takes open queries under a lease, answers them, changes an answer.

The terminal client and the browser's server are users of this. Trainer and labellers meet only in the store.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

from prefrl.errors import UsageError
from prefrl.feedback import (
    Answer,
    Purpose,
    Query,
    Remark,
    RemarkKind,
    Source,
    Value,
    check_answer,
    make_id,
)
from prefrl.labellers.receipts import AnswerRefused, Receipt
from prefrl.store.feedback_store import Counts, FeedbackStore

LOOKAHEAD = 20
"""Open queries looked at beyond those wanted, since others may take some of them meanwhile."""


class Labelling:
    """One labeller's session.

    Args:
        store: of the run.
        run: the run's name in the store.
        labeller: who answers; two people need two names, or they are one to the store.
        source: what the answers are recorded to come from.
        seed: of the run; the ids of answers follow from it.
        lease_seconds: how long a query is kept for this labeller; then others may be shown it.
        overlap: labellers who are to answer each query; as the run's ``query.overlap`` says.
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
        overlap: int = 1,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.store, self.run, self.labeller, self.source, self.seed = store, run, labeller, source, seed
        self.lease_seconds, self.overlap = lease_seconds, overlap
        self._clock = clock

    def take(self, count: int, *, usable: Callable[[Query], bool] = lambda _query: True) -> list[Query]:
        """The first ``count`` open queries, leased to this labeller from now; those already theirs again.

        ``usable`` leaves queries out, those whose clips are not drawn yet, say.
        """
        wanted = [query for query in self.find(count + LOOKAHEAD) if usable(query)][:count]
        leased = self.store.lease(
            [query.id for query in wanted],
            labeller=self.labeller,
            seconds=self.lease_seconds,
            now=self._clock(),
            overlap=self.overlap,
        )
        return [query for query in wanted if query.id in leased]

    def find(self, count: int) -> list[Query]:
        """The first ``count`` queries that this labeller could take now."""
        return self.store.open_queries(
            self.run, count, labeller=self.labeller, now=self._clock(), overlap=self.overlap
        )

    def practice(self, count: int) -> list[Query]:
        """The first ``count`` practice queries that this labeller has not answered; they need no lease."""
        return self.store.open_queries(
            self.run, count, labeller=self.labeller, purposes=[Purpose.PRACTICE], now=self._clock()
        )

    def repeat_order(self, query: Query) -> tuple[int, ...] | None:
        """How to show a repeat: what this labeller saw, the other way round; None for any other query."""
        if query.repeat_of is None:
            return None
        orders = [one.shown for one in self._said(query.repeat_of) if one.shown]
        return orders[-1][::-1] if orders else None

    def answer(
        self,
        query: Query,
        value: Value,
        *,
        shown: tuple[int, ...],
        seconds: float | None = None,
        revision: int | None = None,
        instruction_version: int = 0,
    ) -> Receipt:
        """Stores what this labeller says of a query; it is on disk when this returns.

        Args:
            query: a query of the run.
            value: in the query's order of items, however they were shown; None skips.
            shown: the query's items from left to right on the screen.
            seconds: time taken.
            revision: what this labeller has said to the query before, counted; 0 for a first answer. The
                same words under the same revision are one answer, however often they come. None counts.
            instruction_version: of the instructions that the labeller had read.

        Raises:
            AnswerRefused: this labeller has said something else under that revision, the value cannot be, or
                the query repeats one that this labeller has never answered.
            UsageError: the disk is full.
        """
        return self._say(
            query,
            revision,
            value=value,
            shown=shown,
            seconds=seconds,
            instruction_version=instruction_version,
        )

    def withdraw(self, query: Query, *, revision: int | None = None) -> Receipt:
        """Takes back this labeller's answer to a query, which is then open again; raises as ``answer``."""
        return self._say(query, revision, withdrawn=True)

    def undo(self) -> Query | None:
        """Withdraws this labeller's newest answer that stands; returns its query, or None without one."""
        own = self.own_answers()
        if not own:
            return None
        query = self.store.queries(self.run, query_ids=[own[-1].query_id])[0]
        self.withdraw(query)
        return query

    def revision(self, query: Query) -> int:
        """What this labeller has said to a query so far, counted: the revision of what comes next."""
        return len(self._said(query.id))

    def own_answers(self) -> list[Answer]:
        """This labeller's answers that stand, the newest last; those of practice are left out."""
        practice = {query.id for query in self.store.queries(self.run, purposes=[Purpose.PRACTICE])}
        own = self.store.current_answers(self.run, labeller=self.labeller)
        return [one for one in own if one.query_id not in practice]

    def flag(self, query: Query, note: str) -> None:
        """Records that something is wrong with a query's clips, and gives the query back."""
        number = sum(
            one.subject == query.id and one.labeller == self.labeller
            for one in self.store.remarks(self.run, kind=RemarkKind.FLAG)
        )
        flag = Remark(
            id=make_id(f"{self.run}/{self.labeller}/{query.counter}", self.seed, "flag", number),
            run=self.run,
            kind=RemarkKind.FLAG,
            subject=query.id,
            labeller=self.labeller,
            content=note,
            made_at=self._clock(),
        )
        self.store.add([flag])
        self.release([query])

    def release(self, queries: Sequence[Query]) -> None:
        """Gives queries back, so that others can be shown them at once."""
        if queries:
            self.store.release([query.id for query in queries], labeller=self.labeller)

    def counts(self) -> Counts:
        """How far the run's labelling is, by everybody."""
        return self.store.counts(self.run, overlap=self.overlap)

    def _say(
        self,
        query: Query,
        revision: int | None,
        *,
        value: Value = None,
        shown: tuple[int, ...] = (),
        seconds: float | None = None,
        instruction_version: int = 0,
        withdrawn: bool = False,
    ) -> Receipt:
        said = self._said(query.id)
        if query.repeat_of is not None and not self._said(query.repeat_of):
            raise AnswerRefused(f"{query.id} is not for {self.labeller}: answer what you are shown")
        number = len(said) if revision is None else revision
        if number < len(said):
            return self._repeated(query, said[number], value, shown, withdrawn)
        if number > len(said):
            raise AnswerRefused(
                f"revision {number} of an answer, after {len(said)}: send them in their order"
            )
        if withdrawn and (not said or said[-1].withdrawn):
            raise AnswerRefused(f"{self.labeller} has no answer to {query.id} that could be taken back")
        answer = self._checked(
            query,
            id=make_id(f"{self.run}/{self.labeller}/{query.counter}", self.seed, "answer", number),
            value=value,
            seconds=seconds,
            shown=shown,
            instruction_version=instruction_version,
            supersedes=said[-1].id if said else None,
            withdrawn=withdrawn,
            answered_at=self._clock(),
        )
        try:
            return Receipt(answer, self.store.add_answer(answer, overlap=self.overlap), known=False)
        except UsageError:
            said = self._said(query.id)  # the same words may have come twice at once
            if number < len(said):
                return self._repeated(query, said[number], value, shown, withdrawn)
            raise

    def _checked(self, query: Query, **fields: Any) -> Answer:
        try:
            answer = Answer(query_id=query.id, source=self.source, labeller=self.labeller, **fields)
            check_answer(query, answer)
        except UsageError as error:
            raise AnswerRefused(str(error)) from error
        return answer

    def _repeated(
        self, query: Query, stored: Answer, value: Value, shown: tuple[int, ...], withdrawn: bool
    ) -> Receipt:
        if (stored.value, stored.shown, stored.withdrawn) != (value, shown, withdrawn):
            raise AnswerRefused(
                f"{self.labeller} has answered {query.id} already, in another window perhaps: "
                "that answer stands"
            )
        return Receipt(stored, (query.id, self.labeller) not in self.store.late(self.run), known=True)

    def _said(self, query_id: str) -> list[Answer]:
        said = self.store.answers(self.run, query_ids=[query_id])
        return [one for one in said if one.labeller == self.labeller]
