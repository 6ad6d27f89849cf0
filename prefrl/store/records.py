"""Records going into and coming out of the store's tables, within a transaction that the caller holds."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import groupby
from typing import Any, TypeVar

from sqlalchemy import Column, Connection, Select, insert, select

from prefrl.errors import UsageError
from prefrl.feedback import Answer, Query, Remark, check_answer
from prefrl.store.journal import Record
from prefrl.store.schema import (
    answer_from_row,
    answer_row,
    answers,
    queries,
    query_from_row,
    query_row,
    remark_from_row,
    remark_row,
    remarks,
)

CHUNK = 1000  # parameters in one statement; SQLite allows 32,766
SELECT_ANSWERS = select(answers, queries.c.kind).join(queries, queries.c.id == answers.c.query_id)

Item = TypeVar("Item")
Stored = TypeVar("Stored", Query, Answer, Remark)


def accept_records(connection: Connection, records: Iterable[Record]) -> list[Record]:
    """Insert the records that are new and return them; those known with equal content are left out.

    Raises `UsageError` for a record that contradicts a stored one or speaks of an unknown one; the whole
    batch is checked, kind by kind in its order, before any of that kind is inserted.
    """
    accepted: list[Record] = []
    for record_type, group in groupby(records, type):
        accepted += ACCEPT[record_type](connection, list(group))
    return accepted


def accept_what_fits(
    connection: Connection, numbered: Iterable[tuple[int, Record | str]]
) -> tuple[list[Record], list[str]]:
    """Insert what can be; returns the new records and what is wrong with the others, by line number."""
    lines = list(numbered)
    problems = [f"line {number}: {problem}" for number, problem in lines if isinstance(problem, str)]
    good = [(number, record) for number, record in lines if not isinstance(record, str)]
    try:
        with connection.begin_nested():
            return accept_records(connection, [record for _, record in good]), problems
    except UsageError:
        accepted: list[Record] = []
        for number, record in good:
            try:
                accepted += accept_records(connection, [record])
            except UsageError as error:
                problems.append(f"line {number}: {error}")
        return accepted, problems


def all_records(connection: Connection, run: str | None = None) -> Iterator[Record]:
    """Everything the store holds, of one run or of all, in an order in which it can be taken in again."""
    every_query, every_answer, every_remark = select(queries), SELECT_ANSWERS, select(remarks)
    if run is not None:
        every_query = every_query.where(queries.c.run == run)
        every_answer = every_answer.where(queries.c.run == run)
        every_remark = every_remark.where(remarks.c.run == run)
    for row in connection.execute(every_query.order_by(queries.c.event)):
        yield query_from_row(row)
    for row in connection.execute(every_answer.order_by(answers.c.event)):
        yield answer_from_row(row)
    for row in connection.execute(every_remark.order_by(remarks.c.event)):
        yield remark_from_row(row)


def find_by(
    connection: Connection,
    statement: Select[Any],
    column: Column[Any],
    values: Iterable[Any],
    decode: Callable[[Any], Item],
) -> list[Item]:
    """The rows of a statement whose column has one of the values, decoded."""
    wanted, found = sorted(set(values)), []
    for start in range(0, len(wanted), CHUNK):
        rows = connection.execute(statement.where(column.in_(wanted[start : start + CHUNK])))
        found += [decode(row) for row in rows]
    return found


def _accept_queries(connection: Connection, batch: Sequence[Query]) -> list[Query]:
    stored = find_by(connection, select(queries), queries.c.id, (query.id for query in batch), query_from_row)
    new = _new_records(batch, stored)
    counters = defaultdict(list)
    for query in new:
        counters[query.run].append(query.counter)
    for run, used in counters.items():
        same_run = select(queries.c.counter).where(queries.c.run == run)
        taken = find_by(connection, same_run, queries.c.counter, used, lambda row: row.counter)
        if taken or len(set(used)) < len(used):
            twice = taken[0] if taken else next(one for one in used if used.count(one) > 1)
            raise UsageError(
                f"run {run} has another query with counter {twice}: count on from next_counter(run)"
            )
    originals = [query.repeat_of for query in new if query.repeat_of]
    _check_known(connection, queries.c.id, originals, {query.id for query in new}, "repeated query")
    if new:
        connection.execute(insert(queries), [query_row(query) for query in new])
    return new


def _accept_answers(connection: Connection, batch: Sequence[Answer]) -> list[Answer]:
    asked = find_by(
        connection, select(queries), queries.c.id, (one.query_id for one in batch), query_from_row
    )
    query_by_id = {query.id: query for query in asked}
    for answer in batch:
        if answer.query_id not in query_by_id:
            raise UsageError(
                f"answer {answer.id} is to unknown query {_short(answer.query_id)}: add the query first"
            )
        check_answer(query_by_id[answer.query_id], answer)
    ids = [answer.id for answer in batch]
    earlier = [answer.supersedes for answer in batch if answer.supersedes]
    stored = find_by(connection, SELECT_ANSWERS, answers.c.id, [*ids, *earlier], answer_from_row)
    new = _new_records(batch, stored)
    _check_superseded(connection, new, stored)
    if new:
        connection.execute(insert(answers), [answer_row(answer) for answer in new])
    return new


def _check_superseded(connection: Connection, new: Sequence[Answer], stored: Iterable[Answer]) -> None:
    known = {answer.id: answer for answer in stored}
    earlier = [answer.supersedes for answer in new if answer.supersedes]
    replaced = find_by(connection, SELECT_ANSWERS, answers.c.supersedes, earlier, answer_from_row)
    replaced_by = {answer.supersedes: answer.id for answer in replaced}
    for answer in new:
        if answer.supersedes is not None:
            old = known.get(answer.supersedes)
            if old is None or (old.query_id, old.labeller) != (answer.query_id, answer.labeller):
                raise UsageError(
                    f"answer {answer.id} supersedes {answer.supersedes}, which is no answer"
                    f" of {answer.labeller} to query {answer.query_id}: give the id of one"
                )
            if replaced_by.setdefault(old.id, answer.id) != answer.id:
                raise UsageError(
                    f"answer {old.id} is superseded by {replaced_by[old.id]} already: supersede that one"
                )
        known[answer.id] = answer


def _accept_remarks(connection: Connection, batch: Sequence[Remark]) -> list[Remark]:
    stored = find_by(
        connection, select(remarks), remarks.c.id, (remark.id for remark in batch), remark_from_row
    )
    new = _new_records(batch, stored)
    if new:
        connection.execute(insert(remarks), [remark_row(remark) for remark in new])
    return new


def _new_records(batch: Sequence[Stored], stored: Iterable[Stored]) -> list[Stored]:
    known: dict[str, Stored] = {record.id: record for record in stored}
    new = []
    for record in batch:
        same = known.setdefault(record.id, record)
        if same is record:
            new.append(record)
        elif same != record:
            what = type(record).__name__.lower()
            raise UsageError(f"{what} {record.id} is stored already with other content: use a new id")
    return new


def _check_known(
    connection: Connection, column: Column[Any], wanted: Iterable[str], known: set[str], what: str
) -> None:
    missing = set(wanted) - known
    missing -= set(find_by(connection, select(column), column, missing, lambda row: row[0]))
    if missing:
        raise UsageError(f"{what} {_short(min(missing))} is unknown: add it first")


def _short(name: str) -> str:
    return name if len(name) <= 60 else f"{name[:57]}..."


ACCEPT: dict[type[Any], Callable[[Connection, list[Any]], Sequence[Record]]] = {
    Query: _accept_queries,
    Answer: _accept_answers,
    Remark: _accept_remarks,
}
