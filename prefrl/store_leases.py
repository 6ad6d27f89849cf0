"""Leases: two labellers do not get the same query at the same time unless that is wanted."""

from collections.abc import Sequence

from sqlalchemy import ColumnElement, Connection, FromClause, and_, delete, exists, func, insert, not_, select

from prefrl.errors import UsageError
from prefrl.feedback import Answer, Remark, RemarkKind
from prefrl.feedback_checks import MAX_NAME
from prefrl.store_records import find_by
from prefrl.store_schema import current_answers, leases, queries, remarks


def came_late(answer: FromClause) -> ColumnElement[bool]:
    """The condition that the labeller of an answer had been too late with that query."""
    return exists().where(
        remarks.c.kind == str(RemarkKind.LATE),
        remarks.c.subject == answer.c.query_id,
        remarks.c.labeller == answer.c.labeller,
    )


def is_open(*, labeller: str | None, now: float | None, overlap: int) -> ColumnElement[bool]:
    """The condition that a query still wants an answer (from this labeller); `now` None disregards leases."""
    closed = exists().where(remarks.c.subject == queries.c.id, remarks.c.kind == str(RemarkKind.CLOSE))
    by = current_answers
    answered = (
        select(func.count())
        .select_from(by)
        .where(by.c.query_id == queries.c.id, not_(came_late(by)))
        .scalar_subquery()
    )
    conditions = [not_(closed)]
    if labeller is not None:
        conditions.append(not_(exists().where(by.c.query_id == queries.c.id, by.c.labeller == labeller)))
    if now is None:
        return and_(*conditions, answered < overlap)
    has_answered = exists().where(by.c.query_id == leases.c.query_id, by.c.labeller == leases.c.labeller)
    held = select(func.count()).where(
        leases.c.query_id == queries.c.id, leases.c.until > now, not_(has_answered)
    )
    if labeller is not None:
        held = held.where(leases.c.labeller != labeller)
    return and_(*conditions, answered + held.scalar_subquery() < overlap)


def lease_queries(
    connection: Connection, query_ids: Sequence[str], labeller: str, *, until: float, now: float, overlap: int
) -> tuple[str, ...]:
    """Lease those of the queries that are open to the labeller, in the order given; drop expired leases."""
    known = set(find_by(connection, select(queries.c.id), queries.c.id, query_ids, lambda row: row.id))
    if unknown := [query for query in query_ids if query not in known]:
        raise UsageError(f"query {unknown[0]!r} is unknown: lease queries that open_queries returns")
    statement = select(queries.c.id).where(is_open(labeller=labeller, now=now, overlap=overlap))
    still_open = set(find_by(connection, statement, queries.c.id, query_ids, lambda row: row.id))
    granted = tuple(dict.fromkeys(query for query in query_ids if query in still_open))
    connection.execute(delete(leases).where(leases.c.until <= now))
    release_queries(connection, granted, labeller)
    if granted:
        rows = [{"query_id": query, "labeller": labeller, "until": until} for query in granted]
        connection.execute(insert(leases), rows)
    return granted


def release_queries(connection: Connection, query_ids: Sequence[str], labeller: str) -> None:
    """Drop a labeller's leases on the queries."""
    connection.execute(delete(leases).where(leases.c.query_id.in_(query_ids), leases.c.labeller == labeller))


def come_late(connection: Connection, answer: Answer, *, overlap: int) -> Remark | None:
    """The remark to store with an answer where its query is no longer open; None where it is in time.

    What changes or withdraws a standing answer is as timely as that was.
    """
    by = current_answers
    own = select(by.c.id).where(by.c.query_id == answer.query_id, by.c.labeller == answer.labeller)
    wanted = select(queries.c.id).where(
        queries.c.id == answer.query_id, is_open(labeller=None, now=None, overlap=overlap)
    )
    if answer.withdrawn or connection.execute(own).first() or connection.execute(wanted).first():
        return None
    run = connection.execute(select(queries.c.run).where(queries.c.id == answer.query_id)).scalar()
    if run is None:
        return None  # an unknown query, which is refused when the answer is stored
    return Remark(
        id=f"late-{answer.id}"[:MAX_NAME],
        run=run,
        kind=RemarkKind.LATE,
        subject=answer.query_id,
        labeller=answer.labeller,
        made_at=answer.answered_at,
    )
