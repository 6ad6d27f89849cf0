"""The desk: what labellers are handed, what they hand in, and what the page can say about the run.

The server's side of the labelling page, without HTTP: names are looked up, tickets are believed, everything
else is checked.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any

from prefrl.errors import UsageError
from prefrl.feedback import Answer, Purpose, Query
from prefrl.feedback_checks import check_text
from prefrl.labellers.labelling import Labelling
from prefrl.labellers.quality import expected_values
from prefrl.labellers.receipts import AnswerRefused
from prefrl.labellers.screen import query_value, screen_value
from ui.exhibits import Exhibits
from ui.instructions import instructions_for
from ui.progress import shown_progress, shown_sentence
from ui.refusals import Refusal
from ui.screen_values import read_event, read_instructions, read_revision, read_seconds, read_value
from ui.sentences import describe
from ui.tickets import Ticket, Tickets
from ui.workplace import RunView, Workplace

MOST_PAIRS = 40
"""Queries in one hand-out."""
MOST_REMEMBERED = 10
"""Own answers that a page offers to change."""
MOST_ENTRIES = 100
"""Answers in one hand-in."""
LONGEST_NOTE = 1000
LEASE_SECONDS = 600.0

Json = dict[str, Any]


class Desk:
    """Hands out queries and takes in answers.

    Args:
        workplace: the runs.
        tickets: signs what is handed out.
        clock: Unix time in seconds.
    """

    def __init__(
        self, workplace: Workplace, tickets: Tickets, *, clock: Callable[[], float] = time.time
    ) -> None:
        self.workplace, self.tickets = workplace, tickets
        self._clock = clock
        self._begun: set[tuple[str, str]] = set()

    def hand_out(self, run: object, labeller: str) -> Json:
        """Open queries whose clips are drawn, leased to the labeller, and what the run is doing.

        Half of what is free, so that others find some; all that this labeller has already; nothing once the
        labels are complete. Gold pairs and repeats are among them, and nothing says which they are.
        """
        view = self._labelled_run(run)
        exhibits = view.exhibits()
        labelling, status = self._labelling(view, labeller), self.status(run)
        pairs: list[Json] = []
        if not 0 < status["budget"] <= status["labels"]:
            free = labelling.find(2 * MOST_PAIRS)
            taken = labelling.take(min(MOST_PAIRS, max(2, len(free) // 2)), usable=exhibits.ready)
            pairs = [self._shown(view, labelling, query, exhibits) for query in taken]
            status["undrawn"] = sum(not exhibits.ready(query) for query in free)
            status["problem"] = next(filter(None, map(exhibits.problem, free)), "")
        return {"pairs": pairs, "practice": self._practice(view, labelling, exhibits), "status": status}

    def mine(self, run: object, labeller: str, before: object = None) -> Json:
        """The labeller's answers that stand, newest first, as pairs that can be shown and changed.

        Ten at a time: ``before`` is the ``older`` of the page before. Clips that are gone are asked for, and
        their pairs come without them until they are drawn again.
        """
        view = self._labelled_run(run)
        labelling, exhibits = self._labelling(view, labeller), view.exhibits()
        own, bound = labelling.own_answers(), math.inf if before is None else read_event(before)
        until = [answer for answer in own if answer.event < bound]
        page = until[: -1 - MOST_REMEMBERED : -1]
        found = view.store.queries(view.store_name, query_ids=[answer.query_id for answer in page])
        asked = {query.id: query for query in found}
        exhibits.wish([query for query in found if not exhibits.ready(query)])
        pairs = [self._said(view, labelling, asked[answer.query_id], answer, exhibits) for answer in page]
        older = page[-1].event if len(until) > len(page) else None
        return {"pairs": pairs, "older": older, "answers": len(own)}

    def _practice(self, view: RunView, labelling: Labelling, exhibits: Exhibits) -> list[Json]:
        """What a labeller may practise on who has answered nothing of the run yet."""
        who = (view.name, labelling.labeller)
        if who in self._begun:
            return []
        if labelling.own_answers():
            self._begun.add(who)
            return []
        ready = [query for query in labelling.practice(MOST_PAIRS) if exhibits.ready(query)]
        return [self._shown(view, labelling, query, exhibits) for query in ready]

    def take_in(self, labeller: str, entries: object) -> list[Json]:
        """Stores what a labeller says, one receipt per entry in its order.

        An entry has ``ticket``, ``revision`` and either ``value`` (as on the screen) with ``seconds`` and the
        version of the ``instructions`` that were read, or ``withdrawn``. What is refused for good gets a
        receipt that says so; that of a practice answer says what was ``expected``, on the screen.

        Raises:
            Refusal: the hand-in is not a list of entries, or nothing can be stored now (then all of it is to
                be sent again: what was stored already is known).
        """
        if not isinstance(entries, list) or len(entries) > MOST_ENTRIES:
            raise Refusal(400, f"answers must be a list of at most {MOST_ENTRIES}")
        return [self._receipt(labeller, entry) for entry in entries]

    def flag(self, labeller: str, ticket: object, note: object) -> None:
        """Records that something is wrong with the clips of a ticket, which goes back."""
        view, query, _ = self._redeem(labeller, ticket)
        try:
            check_text("a note", note, LONGEST_NOTE)
        except UsageError as error:
            raise Refusal(400, str(error)) from error
        assert isinstance(note, str)
        self._labelling(view, labeller).flag(query, note)

    def give_back(self, labeller: str, tickets: object) -> None:
        """Releases the queries of tickets: their labeller is leaving."""
        if not isinstance(tickets, list) or len(tickets) > MOST_ENTRIES:
            raise Refusal(400, f"tickets must be a list of at most {MOST_ENTRIES}")
        for ticket in tickets:
            view, query, _ = self._redeem(labeller, ticket)
            self._labelling(view, labeller).release([query])

    def status(self, run: object) -> Json:
        """What the run is doing, how far it is, and what it waits for, in numbers and one sentence."""
        view = self._labelled_run(run)
        counts, status = view.store.counts(view.store_name), view.status
        numbers = {
            **shown_progress(counts, view.settings),
            "undrawn": 0,
            "problem": "",
            "step": 0 if status is None else status.step,
            "steps": view.settings.get("steps", 0),
        }
        state, sentence = describe(view, labels=counts.labels)
        return {"state": state, "sentence": shown_sentence(state, sentence, view.settings), **numbers}

    def _receipt(self, labeller: str, entry: object) -> Json:
        try:
            if not isinstance(entry, dict):
                raise Refusal(400, "an answer must be an object")
            view, query, ticket = self._redeem(labeller, entry.get("ticket"))
            labelling, revision = self._labelling(view, labeller), read_revision(entry.get("revision"))
            if entry.get("withdrawn") is True:
                receipt = labelling.withdraw(query, revision=revision)
            else:
                receipt = labelling.answer(
                    query,
                    query_value(query, read_value(query, entry.get("value")), ticket.shown),
                    shown=ticket.shown,
                    seconds=read_seconds(entry.get("seconds")),
                    revision=revision,
                    instruction_version=read_instructions(
                        entry.get("instructions", 0), newest=instructions_for(view.task, view.kind).version
                    ),
                )
            said: Json = {"status": "kept" if receipt.counts else "late", "known": receipt.known}
            if query.purpose is Purpose.PRACTICE:
                expected = expected_values(view.store, view.store_name).get(query.id)
                said["expected"] = screen_value(query, expected, ticket.shown)
            return said
        except (Refusal, AnswerRefused) as refused:
            return {"status": "refused", "reason": str(refused)}

    def _redeem(self, labeller: str, text: object) -> tuple[RunView, Query, Ticket]:
        ticket = self.tickets.read(text)
        if ticket.labeller != labeller:
            raise Refusal(403, f"this was shown to somebody else, not to {labeller}: reload the page")
        view = self._labelled_run(ticket.run)
        found = view.store.queries(view.store_name, query_ids=[ticket.query_id])
        if not found:
            raise Refusal(404, "the run has no such query any more: reload the page")
        return view, found[0], ticket

    def _shown(self, view: RunView, labelling: Labelling, query: Query, exhibits: Exhibits) -> Json:
        shown = self._order(view, labelling, query)
        ticket = Ticket(view.name, query.id, labelling.labeller, shown)
        return {
            "ticket": self.tickets.sign(ticket),
            "query": query.id,
            "kind": str(query.kind),
            "revision": labelling.revision(query),
            **(exhibits.shown(query, shown) if exhibits.ready(query) else {"clips": []}),
        }

    def _said(
        self, view: RunView, labelling: Labelling, query: Query, answer: Answer, exhibits: Exhibits
    ) -> Json:
        shown = self._shown(view, labelling, query, exhibits)
        return shown | {
            "ready": exhibits.ready(query),
            "value": screen_value(query, answer.value, self._order(view, labelling, query)),
            "answered_at": answer.answered_at,
        }

    def _order(self, view: RunView, labelling: Labelling, query: Query) -> tuple[int, ...]:
        """Sides by a coin that falls the same way each time; of a repeat, the other way than before."""
        again = labelling.repeat_order(query)
        return again or self.tickets.order(view.name, query.id, labelling.labeller, len(query.items))

    def _labelled_run(self, name: object) -> RunView:
        view = self.workplace.run(name)
        if not view.labelled_by_people:
            raise Refusal(409, f"{view.name} is not answered by people: start a run with --teacher human")
        try:
            view.store  # noqa: B018 - opened now, so that what is wrong with it is said now
        except UsageError as error:
            raise Refusal(503, str(error)) from error
        return view

    def _labelling(self, view: RunView, labeller: str) -> Labelling:
        return Labelling(
            view.store,
            view.store_name,
            labeller=labeller,
            seed=int(view.settings.get("seed", 0)),
            lease_seconds=LEASE_SECONDS,
            overlap=view.overlap,
            clock=self._clock,
        )
