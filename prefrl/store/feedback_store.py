"""The store of feedback: queries, answers and remarks in one database that a trainer and a browser share.

Answers are append-only events: the newest event of a labeller on a query is the current answer, an undo is an
event that withdraws. Writing waits for its turn, is on disk before it returns, and is idempotent: a record
that is stored already changes nothing, the same id with other content is refused. SQLite by default, with a
journal beside it (`feedback.sqlite`, `feedback.jsonl`) from which the store can be rebuilt; PostgreSQL by
URL, without one.
"""

import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from sqlalchemy import Connection, Select, func, select, update

from prefrl.errors import UsageError
from prefrl.feedback import Answer, Purpose, Query, Remark, RemarkKind
from prefrl.feedback_checks import MAX_COUNT
from prefrl.store.answer_table import AnswerTable, read_answer_table
from prefrl.store.counts import Counter, Counts
from prefrl.store.engine import compact, make_engine, reading, store_url, writing
from prefrl.store.erasure import Erased, erase_labeller
from prefrl.store.journal import Journal, Record, read_records
from prefrl.store.leases import (
    came_late,
    come_late,
    is_open,
    lease_queries,
    release_queries,
)
from prefrl.store.records import SELECT_ANSWERS, accept_records, accept_what_fits, all_records, find_by
from prefrl.store.schema import (
    answer_from_row,
    answers,
    current_answers,
    prepare_tables,
    queries,
    query_from_row,
    remark_from_row,
    remarks,
    store_format,
)

UNTOLD = (Purpose.TRAINING, Purpose.GOLD, Purpose.REPEAT)
"""Purposes of the queries that are handed out without saying what they are for."""


@dataclass(frozen=True)
class Intake:
    """What became of the records of a file."""

    added: int
    known: int
    problems: tuple[str, ...]


class FeedbackStore:
    """A store at a path or URL, made if it is not there; several processes may use it at once.

    Raises `UsageError` for what is not a store, is damaged, locked or of a newer format, and where the disk
    is full; what was stored before is intact then. With `must_exist` a missing SQLite file is refused instead
    of made.
    """

    def __init__(self, url_or_path: str | Path, *, must_exist: bool = False) -> None:
        url = store_url(url_or_path)
        self.path = Path(url.database or "") if url.get_backend_name() == "sqlite" else None
        if must_exist and self.path is not None and not self.path.is_file():
            raise UsageError(f"there is no store at {self.path}: check the path")
        self.journal = None if self.path is None else Journal(self.path.with_suffix(".jsonl"))
        if self.journal is not None and self.journal.path == self.path:
            raise UsageError(f"{self.path} is the name of a journal: name the store feedback.sqlite")
        self._engine = make_engine(url)
        self._counter = Counter()
        self.repairs: tuple[str, ...] = ()
        with writing(self._engine) as connection:
            prepare_tables(connection, str(self.path or url.render_as_string()))
            self._meet_journal(connection)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections; the store can be used again."""
        self._engine.dispose()

    def add(self, batch: Iterable[Record]) -> int:
        """Store queries, answers to them and remarks in one transaction; returns how many are new.

        They are on disk then, or none of them is where one is refused. One call for many costs one wait for
        the disk.
        """
        records = list(batch)
        if not records:
            return 0
        with writing(self._engine) as connection:
            self._meet_journal(connection)
            new = accept_records(connection, records)
            self._note(connection, new)
        return len(new)

    def add_queries(self, batch: Iterable[Query]) -> int:
        """Store queries in one transaction, durably; returns how many are new."""
        return self.add(batch)

    def add_answers(self, batch: Iterable[Answer]) -> int:
        """Store answers to known queries in one transaction, durably; returns how many are new."""
        return self.add(batch)

    def add_answer(self, answer: Answer, *, overlap: int = 1) -> bool:
        """Store an answer that may have come too late, durably; returns whether it counts.

        It does while fewer than `overlap` other labellers have answered the query and nobody has closed it,
        whoever leases it now. One that comes later is kept, with a remark `late` beside it, and so is
        everything that its labeller says to the query from then on.
        """
        with writing(self._engine) as connection:
            self._meet_journal(connection)
            late = come_late(connection, answer, overlap=overlap)
            self._note(connection, accept_records(connection, [answer, *([late] if late else [])]))
            late_answer = select(answers.c.id).where(answers.c.id == answer.id, came_late(answers))
            return connection.execute(late_answer).first() is None

    def late(self, run: str) -> set[tuple[str, str]]:
        """(query id, labeller) of the answers of a run that came too late to be fitted."""
        return {(remark.subject, remark.labeller) for remark in self.remarks(run, kind=RemarkKind.LATE)}

    def queries(
        self,
        run: str,
        *,
        after: int = -1,
        query_ids: Iterable[str] | None = None,
        purposes: Iterable[Purpose] = tuple(Purpose),
    ) -> list[Query]:
        """The queries of a run with a counter greater than `after`, of some purposes or all, in its order."""
        statement = select(queries).where(
            queries.c.run == run, queries.c.counter > after, queries.c.purpose.in_(map(str, purposes))
        )
        with reading(self._engine) as connection:
            if query_ids is None:
                return [
                    query_from_row(row) for row in connection.execute(statement.order_by(queries.c.counter))
                ]
            found = find_by(connection, statement, queries.c.id, query_ids, query_from_row)
        return sorted(found, key=lambda query: query.counter)

    def answers(
        self, run: str, *, query_ids: Iterable[str] | None = None, after_event: int = 0
    ) -> list[Answer]:
        """All answers of a run in the order they were accepted, those superseded and withdrawals included.

        For reading on: pass the last `event` that was seen; nothing is missed and nothing comes twice.
        """
        statement = SELECT_ANSWERS.where(queries.c.run == run, answers.c.event > after_event)
        return self._answers(statement, answers, query_ids)

    def current_answers(
        self,
        run: str,
        *,
        query_ids: Iterable[str] | None = None,
        after_event: int = 0,
        labeller: str | None = None,
    ) -> list[Answer]:
        """The answers that stand, skips too: the newest of each labeller to each query, unless withdrawn.

        With a labeller: this one's.
        """
        view = current_answers
        joined = select(view, queries.c.kind).join(queries, queries.c.id == view.c.query_id)
        wanted = joined.where(queries.c.run == run, view.c.event > after_event)
        if labeller is not None:
            wanted = wanted.where(view.c.labeller == labeller)
        return self._answers(wanted, view, query_ids)

    def answer_table(self, run: str) -> AnswerTable:
        """The answers of a run that stand, as columns."""
        with reading(self._engine) as connection:
            return read_answer_table(connection, run)

    def remarks(self, run: str, *, kind: RemarkKind | None = None) -> list[Remark]:
        """The remarks of a run, of one kind or all, in the order they were accepted."""
        statement = select(remarks).where(remarks.c.run == run).order_by(remarks.c.event)
        if kind is not None:
            statement = statement.where(remarks.c.kind == str(kind))
        with reading(self._engine) as connection:
            return [remark_from_row(row) for row in connection.execute(statement)]

    def open_queries(
        self,
        run: str,
        limit: int,
        *,
        labeller: str | None = None,
        now: float = 0.0,
        overlap: int = 1,
        purposes: Iterable[Purpose] = UNTOLD,
    ) -> list[Query]:
        """The first queries that want an answer: fewer than `overlap` labellers have answered or lease them.

        With a labeller: queries that this one has not answered; this one's own leases do not count. `now` in
        seconds. Repeats come first and are for those who answered what they repeat; practice queries, which
        are left out unless asked for by their purpose, are open to everybody.
        """
        wanted = is_open(labeller=labeller, now=now, overlap=overlap)
        statement = (
            select(queries)
            .where(queries.c.run == run, queries.c.purpose.in_(map(str, purposes)), wanted)
            .order_by(queries.c.purpose != str(Purpose.REPEAT), queries.c.counter)
            .limit(limit)
        )
        with reading(self._engine) as connection:
            return [query_from_row(row) for row in connection.execute(statement)]

    def lease(
        self, query_ids: Sequence[str], *, labeller: str, seconds: float, now: float, overlap: int = 1
    ) -> tuple[str, ...]:
        """Keep queries for a labeller until now + seconds; returns those that are open, and leased now."""
        with writing(self._engine) as connection:
            return lease_queries(
                connection, query_ids, labeller, until=now + seconds, now=now, overlap=overlap
            )

    def release(self, query_ids: Sequence[str], *, labeller: str) -> None:
        """Give a labeller's leases back."""
        with writing(self._engine) as connection:
            release_queries(connection, query_ids, labeller)

    def counts(self, run: str, *, overlap: int = 1) -> Counts:
        """Queries, labels and skips of a run in which `overlap` labellers are to answer each query."""
        with reading(self._engine) as connection:
            return self._counter.count(connection, run, overlap=overlap)

    def runs(self) -> list[str]:
        """The runs that have queries, by name."""
        with reading(self._engine) as connection:
            return list(
                connection.execute(select(queries.c.run).distinct().order_by(queries.c.run)).scalars()
            )

    def next_counter(self, run: str) -> int:
        """One more than the highest counter among the run's queries; 0 where there is none."""
        with reading(self._engine) as connection:
            last = connection.execute(
                select(func.max(queries.c.counter)).where(queries.c.run == run)
            ).scalar_one()
        return 0 if last is None else last + 1

    def erase(self, labeller: str, *, by: str, now: float) -> Erased:
        """Delete a labeller from database and journal; what is left is a remark, without the name.

        Survives a crash at any moment: it has happened or it has not, and if it was not confirmed, erasing
        again finishes it. `now` in seconds.
        """
        with writing(self._engine) as connection:
            self._meet_journal(connection)
            erased = erase_labeller(connection, labeller, by=by, now=now)
            # Longer than any journal, so that whoever comes next writes it anew from the database.
            connection.execute(update(store_format).values(journal_bytes=MAX_COUNT))
        with writing(self._engine) as connection:
            self._meet_journal(connection)
        compact(self._engine)
        return erased

    def records(self, run: str | None = None) -> list[Record]:
        """All records, of one run or all, in an order in which they can be taken in again."""
        with reading(self._engine) as connection:
            return list(all_records(connection, run))

    def export_jsonl(self, path: str | Path, *, run: str | None = None) -> int:
        """Write all records, of one run or all, to a file in the journal's form; returns how many."""
        records = self.records(run)
        Journal(Path(path)).replace(records)
        return len(records)

    def import_jsonl(self, path: str | Path) -> Intake:
        """Take in an export or a journal: the new is added, the known is left, the wrong is reported."""
        return self.take_in(read_records(Path(path)))

    def take_in(self, records: Iterable[tuple[int, Record | str]]) -> Intake:
        """Take in the numbered records of a file, in one transaction; a text says what is wrong with one."""
        numbered = list(records)
        with writing(self._engine) as connection:
            self._meet_journal(connection)
            new, problems = accept_what_fits(connection, numbered)
            self._note(connection, new)
        return Intake(len(new), len(numbered) - len(new) - len(problems), tuple(problems))

    def _answers(self, statement: Select[Any], table: Any, query_ids: Iterable[str] | None) -> list[Answer]:
        with reading(self._engine) as connection:
            if query_ids is None:
                return [answer_from_row(row) for row in connection.execute(statement.order_by(table.c.event))]
            found = find_by(connection, statement, table.c.query_id, query_ids, answer_from_row)
        return sorted(found, key=lambda answer: answer.event)

    def _note(self, connection: Connection, new: Sequence[Record]) -> None:
        """Append accepted records to the journal, as the last thing before the commit."""
        if new and self.journal is not None:
            connection.execute(update(store_format).values(journal_bytes=self.journal.append(new)))

    def _meet_journal(self, connection: Connection) -> None:
        """Make store and journal agree where a process died between the two, or one was restored or lost."""
        if self.journal is None:
            return
        committed = connection.execute(select(store_format.c.journal_bytes)).scalar_one()
        if (length := self.journal.length()) == committed:
            return
        if length < committed:
            length = self.journal.replace(all_records(connection))
        else:
            self.journal.mend()
            _, problems = accept_what_fits(connection, read_records(self.journal.path, start=committed))
            self.repairs += tuple(problems)
            for problem in problems:
                warnings.warn(f"{self.journal.path} from byte {committed}: {problem}", stacklevel=4)
            length = self.journal.length()
        connection.execute(update(store_format).values(journal_bytes=length))
