"""The answers of a run that stand, as columns, for figures over many answers."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, select

from prefrl.bootstrap import FloatArray
from prefrl.feedback import Kind, RemarkKind
from prefrl.store.schema import current_answers, queries, remarks

IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]


@dataclass(frozen=True)
class AnswerTable:
    """One row per answer that stands, skips and late ones too, in the order in which they came."""

    labellers: tuple[str, ...]
    """Names, by number."""
    query_ids: tuple[str, ...]
    """Of the queries that have an answer, by number."""
    query: IntArray
    """Number of the query: [answers]."""
    labeller: IntArray
    kind: NDArray[np.str_]
    purpose: NDArray[np.str_]
    said: NDArray[np.str_]
    """The value as JSON, the same text for the same value of a kind; empty for a skip."""
    preference: FloatArray
    """Of pairs P(item 0 is better); NaN for skips and other kinds."""
    grade: FloatArray
    """What was said as one number: of pairs the side, -1, 0 or 1 for item 0; of likes 0 or 1; of ratings 1 to
    10; of rankings a number for each order, which has no order of its own; NaN for skips and marks."""
    seconds: FloatArray
    """NaN where unknown."""
    first_shown: IntArray
    """Of pairs the item that stood left on the screen, 0 or 1; -1 where unknown."""
    late: BoolArray
    repeats: dict[int, tuple[int, bool]]
    """By the number of a repeat: that of what it repeats, and whether its items are the other way round."""

    def __len__(self) -> int:
        return len(self.query)

    @property
    def skipped(self) -> BoolArray:
        return np.asarray(self.said == "")


def read_answer_table(connection: Connection, run: str) -> AnswerTable:
    """The answers of a run, in one pass over the database."""
    view = current_answers
    wanted = (view.c.query_id, view.c.labeller, view.c.value, view.c.seconds, view.c.shown)
    statement = (
        select(*wanted, queries.c.kind, queries.c.purpose)
        .join(queries, queries.c.id == view.c.query_id)
        .where(queries.c.run == run)
        .order_by(view.c.event)
    )
    rows = connection.execute(statement).fetchall()
    ids, labellers, values, seconds, shown, kinds, purposes = _columns(rows)
    query_codes, labeller_codes = _codes(ids), _codes(labellers)
    said = np.array(["" if value is None else value for value in values], np.str_)
    is_pair = np.array(kinds, np.str_) == str(Kind.PAIR)
    preference = np.full(len(rows), np.nan)
    decided = is_pair & (said != "")
    preference[decided] = said[decided].astype(np.float64)
    order = np.array(shown, np.str_)
    late = _late(connection, run)
    return AnswerTable(
        labellers=tuple(labeller_codes),
        query_ids=tuple(query_codes),
        query=np.array([query_codes[one] for one in ids], np.int64),
        labeller=np.array([labeller_codes[one] for one in labellers], np.int64),
        kind=np.array(kinds, np.str_),
        purpose=np.array(purposes, np.str_),
        said=said,
        preference=preference,
        grade=_grades(np.array(kinds, np.str_), said, preference),
        seconds=np.array([np.nan if one is None else one for one in seconds], np.float64),
        first_shown=np.where(order == "[0, 1]", 0, np.where(order == "[1, 0]", 1, -1)),
        late=np.array([pair in late for pair in zip(ids, labellers, strict=True)], np.bool_),
        repeats=_repeats(connection, run, query_codes),
    )


def _grades(kind: NDArray[np.str_], said: NDArray[np.str_], preference: FloatArray) -> FloatArray:
    grade = np.sign(preference - 0.5)
    liked, rated, ranked = (
        (kind == str(one)) & (said != "") for one in (Kind.LIKE, Kind.RATING, Kind.RANKING)
    )
    grade[liked] = said[liked] == "true"
    grade[rated] = said[rated].astype(np.float64)
    grade[ranked] = np.unique(said[ranked], return_inverse=True)[1]
    return grade


def _columns(rows: Sequence[Any]) -> list[tuple[Any, ...]]:
    return list(zip(*rows, strict=True)) if rows else [()] * 7


def _codes(names: tuple[str, ...]) -> dict[str, int]:
    """A number for each name, in the order of their first appearance."""
    return {name: number for number, name in enumerate(dict.fromkeys(names))}


def _late(connection: Connection, run: str) -> set[tuple[str, str]]:
    late = select(remarks.c.subject, remarks.c.labeller).where(
        remarks.c.run == run, remarks.c.kind == str(RemarkKind.LATE)
    )
    return {(row.subject, row.labeller) for row in connection.execute(late)}


def _repeats(connection: Connection, run: str, codes: dict[str, int]) -> dict[int, tuple[int, bool]]:
    again, before = queries.alias("again"), queries.alias("before")
    pairs = (
        select(again.c.id, before.c.id, again.c["items"], before.c["items"])
        .join(before, before.c.id == again.c.repeat_of)
        .where(again.c.run == run)
    )
    found = {}
    for repeat, original, items, original_items in connection.execute(pairs):
        turned = items != original_items
        same = not turned or json.loads(items)[::-1] == json.loads(original_items)
        if same and repeat in codes and original in codes:
            found[codes[repeat]] = (codes[original], turned)
    return found
