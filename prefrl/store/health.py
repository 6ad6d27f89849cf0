"""What is wrong with a store, in words, without changing it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, inspect, select

from prefrl.errors import UsageError
from prefrl.feedback import Answer, Query, check_answer
from prefrl.store.engine import make_engine, reading, store_url
from prefrl.store.journal import NAMES, Journal, Record, read_records
from prefrl.store.records import SELECT_ANSWERS
from prefrl.store.schema import (
    answer_from_row,
    check_format,
    queries,
    query_from_row,
    remark_from_row,
    remarks,
    store_format,
)

MOST = 20
"""Findings of one kind that are listed; the rest are counted."""


def check_store(url_or_path: str | Path) -> list[str]:
    """What is wrong with a store and its journal, with the fix; empty where all is well.

    Looks at the database's integrity, at references, at every record, and at whether the journal agrees.
    """
    engine: Engine | None = None
    try:
        url = store_url(url_or_path)
        path = Path(url.database or "") if url.get_backend_name() == "sqlite" else None
        if path is not None and not path.is_file():
            return [f"there is no store at {path}: check the path, or rebuild it from its journal"]
        engine = make_engine(url)
        with reading(engine) as connection:
            findings = _check_database(connection, str(path or url.render_as_string()))
            records: dict[str, Record] = {}
            findings += _check_records(connection, records)
            if path is not None:
                committed = connection.execute(select(store_format.c.journal_bytes)).scalar_one()
                findings += _check_journal(path.with_suffix(".jsonl"), committed, records)
        return findings
    except UsageError as error:
        return [str(error)]
    finally:
        if engine is not None:
            engine.dispose()


def _check_database(connection: Connection, where: str) -> list[str]:
    if "store_format" not in inspect(connection).get_table_names():
        raise UsageError(f"{where} is no store: choose another file, or rebuild the store from its journal")
    check_format(connection.execute(select(store_format.c.version)).scalar_one(), where)
    if connection.dialect.name != "sqlite":
        return []
    damage = [row[0] for row in connection.exec_driver_sql("PRAGMA integrity_check") if row[0] != "ok"]
    orphans = list(connection.exec_driver_sql("PRAGMA foreign_key_check"))
    found = [f"{where} is damaged ({one}): rebuild it from its journal" for one in damage]
    found += [f"row {row[1]} of {row[0]} refers to a missing row of {row[2]}" for row in orphans]
    return _limited(found)


def _check_records(connection: Connection, records: dict[str, Record]) -> list[str]:
    """Read every record into `records`, by kind and id, and say what is wrong with it."""
    found: list[str] = []
    for statement, decode in (
        (select(queries), query_from_row),
        (SELECT_ANSWERS, answer_from_row),
        (select(remarks), remark_from_row),
    ):
        for row in connection.execute(statement):
            record = _decoded(decode, row, found)
            if record is not None:
                records[_key(record)] = record
    for answer in [one for one in records.values() if isinstance(one, Answer)]:
        query = records.get(f"query {answer.query_id}")
        try:
            if isinstance(query, Query):
                check_answer(query, answer)
        except UsageError as error:
            found.append(str(error))
    return _limited(found)


def _check_journal(path: Path, committed: int, records: dict[str, Record]) -> list[str]:
    """Where the journal at a path and the records of the store differ."""
    length = Journal(path).length()
    if length < committed:
        what = "is missing" if length == 0 else f"has lost {committed - length} bytes"
        return [f"the journal {path} {what}: the next answer writes it anew from the store"]
    found, journaled = [], set()
    for number, record in read_records(path) if length else ():
        if isinstance(record, str):
            found.append(f"line {number} of the journal {path}: {record}")
            continue
        journaled.add(_key(record))
        stored = records.get(_key(record))
        if stored is not None and stored != record:
            found.append(f"{_key(record)} differs between the store and line {number} of {path}")
        elif stored is None:
            found.append(f"{_key(record)} is in the journal {path} but not in the store: import the journal")
    for key in records.keys() - journaled:
        found.append(
            f"{key} is in the store but not in the journal {path}: delete the journal, it is made anew"
        )
    return _limited(found)


def _decoded(decode: Callable[[Any], Record], row: Any, found: list[str]) -> Record | None:
    try:
        return decode(row)
    except (ValueError, TypeError, KeyError) as error:
        found.append(f"record {row.id} cannot be read: {error}")
        return None


def _key(record: Record) -> str:
    return f"{NAMES[type(record)]} {record.id}"


def _limited(found: list[str]) -> list[str]:
    return found if len(found) <= MOST else [*found[:MOST], f"and {len(found) - MOST} more of this kind"]
