"""Erasing a labeller: which records go, which stay without the name, and the record that it was done."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, replace

from sqlalchemy import Connection, delete, insert, or_, select, update

from prefrl.feedback import Answer, Remark, RemarkKind
from prefrl.feedback_checks import check_name
from prefrl.store.journal import Record
from prefrl.store.schema import answers, leases, lifted_guards, queries, remark_from_row, remark_row, remarks

DECISIONS = {RemarkKind.CLOSE, RemarkKind.WEIGHT, RemarkKind.ERASURE, RemarkKind.EXPECTED}
"""Remarks that go on to hold when whoever made them is erased."""


@dataclass(frozen=True)
class Erased:
    """What an erasure did."""

    pseudonym: str
    """Stands for the labeller from now on; random, so that nobody can work the name out."""
    answers: int
    """Deleted, those superseded and withdrawn included."""
    remarks: int
    """Deleted, or kept without the name."""


def new_pseudonym() -> str:
    """A name for somebody who was erased."""
    return f"erased-{secrets.token_hex(8)}"


def without_labeller(record: Record, labeller: str, pseudonym: str) -> Record | None:
    """A record as it is kept when a labeller is erased; None where it goes.

    Answers, notes and everything about the labeller go; what the labeller decided about others and about
    queries stays, under the pseudonym.
    """
    if isinstance(record, Answer):
        return None if record.labeller == labeller else record
    if not isinstance(record, Remark) or labeller not in (record.labeller, record.subject):
        return record
    if record.subject == labeller or record.kind not in DECISIONS:
        return None
    return replace(record, labeller=pseudonym)


def erase_labeller(connection: Connection, labeller: str, *, by: str, now: float) -> Erased:
    """Erases a labeller from the tables and notes that it was done, in the caller's transaction."""
    check_name("the labeller's name", labeller)
    check_name("the name of who erases", by)
    pseudonym = new_pseudonym()
    runs = _runs_of(connection, labeller)
    with lifted_guards(connection):
        gone = connection.execute(delete(answers).where(answers.c.labeller == labeller)).rowcount
        changed = sum(
            _erase_remark(connection, one, labeller, pseudonym) for one in _remarks_of(connection, labeller)
        )
    connection.execute(delete(leases).where(leases.c.labeller == labeller))
    notes = [
        Remark(
            id=f"{pseudonym}-{number}",
            run=run,
            kind=RemarkKind.ERASURE,
            subject=pseudonym,
            labeller=pseudonym if by == labeller else by,
            content=f"{gone} answers and {changed} remarks in all",
            made_at=now,
        )
        for number, run in enumerate(runs)
    ]
    if notes:
        connection.execute(insert(remarks), [remark_row(note) for note in notes])
    return Erased(pseudonym, gone, changed)


def _runs_of(connection: Connection, labeller: str) -> list[str]:
    """The runs in which there is something of a labeller."""
    answered = (
        select(queries.c.run)
        .join(answers, answers.c.query_id == queries.c.id)
        .where(answers.c.labeller == labeller)
    )
    found = set(connection.execute(answered.distinct()).scalars())
    return sorted(found | {remark.run for remark in _remarks_of(connection, labeller)})


def _remarks_of(connection: Connection, labeller: str) -> list[Remark]:
    own = select(remarks).where(or_(remarks.c.labeller == labeller, remarks.c.subject == labeller))
    return [remark_from_row(row) for row in connection.execute(own)]


def _erase_remark(connection: Connection, remark: Remark, labeller: str, pseudonym: str) -> bool:
    kept = without_labeller(remark, labeller, pseudonym)
    this = remarks.c.id == remark.id
    if kept is None:
        connection.execute(delete(remarks).where(this))
    elif kept != remark:
        assert isinstance(kept, Remark)
        connection.execute(update(remarks).where(this).values(labeller=kept.labeller))
    return kept != remark
