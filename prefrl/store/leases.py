"""Leases: two labellers do not get the same query at the same time unless that is wanted."""

from collections.abc import Sequence

from sqlalchemy import (
    ColumnElement,
    Connection,
    FromClause,
    ScalarSelect,
    and_,
    delete,
    exists,
    func,
    insert,
    not_,
    or_,
    select,
)

from prefrl.errors import UsageError
from prefrl.feedback import Answer, Purpose, Remark, RemarkKind
from prefrl.feedback_checks import MAX_NAME
from prefrl.store.records import find_by
from prefrl.store.schema import current_answers, leases, queries, remarks


def came_late(answer: FromClause) -> ColumnElement[bool]:
    """The condition that the labeller of an answer had been too late with that query."""
    return exists().where(
        remarks.c.kind == str(RemarkKind.LATE),
        remarks.c.subject == answer.c.query_id,
        remarks.c.labeller == answer.c.labeller,
    )


def answers_in_time() -> ScalarSelect[int]:
    """The number of labellers whose answer to a query stands and did not come late."""
    by = current_answers
    return (
        select(func.count())
        .select_from(by)
        .where(by.c.query_id == queries.c.id, not_(came_late(by)))
        .scalar_subquery()
    )


def is_open(*, labeller: str | None, now: float | None, overlap: int) -> ColumnElement[bool]:
    """The condition that a query still wants an answer (from this labeller); `now` None disregards leases.

    A repeat wants one from each labeller who has answered what it repeats, a practice query from everybody;
    any other from `overlap` labellers.
    """
    closed = exists().where(remarks.c.subject == queries.c.id, remarks.c.kind == str(RemarkKind.CLOSE))
    by, purpose = current_answers, queries.c.purpose
    taken = answers_in_time() if now is None else answers_in_time() + _others_leases(labeller, now)
    conditions = [
        not_(closed),
        or_(
            purpose == str(Purpose.PRACTICE),
            and_(purpose == str(Purpose.REPEAT), _to_be_repeated(labeller)),
            and_(purpose.not_in([str(Purpose.PRACTICE), str(Purpose.REPEAT)]), taken < overlap),
        ),
    ]
    if labeller is not None:
        conditions.append(not_(exists().where(by.c.query_id == queries.c.id, by.c.labeller == labeller)))
    return and_(*conditions)


def _others_leases(labeller: str | None, now: float) -> ScalarSelect[int]:
    """The number of labellers, but for this one, who keep a query without having answered it."""
    by = current_answers
    has_answered = exists().where(by.c.query_id == leases.c.query_id, by.c.labeller == leases.c.labeller)
    held = select(func.count()).where(
        leases.c.query_id == queries.c.id, leases.c.until > now, not_(has_answered)
    )
    return (held if labeller is None else held.where(leases.c.labeller != labeller)).scalar_subquery()


def _to_be_repeated(labeller: str | None) -> ColumnElement[bool]:
    """The condition that somebody (or this labeller) has answered what a query repeats, but not the query."""
    before, again = current_answers.alias("before"), current_answers.alias("again")
    same = and_(again.c.query_id == queries.c.id, again.c.labeller == before.c.labeller)
    repeated = exists().where(same).correlate(queries, before)
    wanted = [before.c.query_id == queries.c.repeat_of, before.c.value.is_not(None), not_(repeated)]
    if labeller is not None:
        wanted.append(before.c.labeller == labeller)
    return exists().where(*wanted).correlate(queries)


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
