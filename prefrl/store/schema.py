"""The tables of the store, what keeps them append-only, its format version, and records as rows."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Connection,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    insert,
    inspect,
    select,
    text,
    update,
)

from prefrl.errors import UsageError
from prefrl.feedback import Answer, Kind, Query, Remark, Value
from prefrl.feedback_checks import MAX_NAME

FORMAT_VERSION = 1
MIGRATIONS: dict[int, tuple[str, ...]] = {}
"""SQL statements that lead from a format to the next one, by the format that they start from."""

NAME = String(MAX_NAME)
EVENT = BigInteger().with_variant(Integer, "sqlite")  # SQLite numbers rows only in an INTEGER key

metadata = MetaData()

store_format = Table(
    "store_format",
    metadata,
    Column("version", Integer, nullable=False),
    Column("journal_bytes", BigInteger, nullable=False),  # the journal's length at the last commit
)

queries = Table(
    "queries",
    metadata,
    Column("event", EVENT, primary_key=True, autoincrement=True),
    Column("id", NAME, nullable=False, unique=True),
    Column("run", NAME, nullable=False),
    Column("kind", NAME, nullable=False),
    Column("items", Text, nullable=False),
    Column("query_group", NAME),
    Column("policy_step", BigInteger, nullable=False),
    Column("reward_version", BigInteger, nullable=False),
    Column("counter", BigInteger, nullable=False),
    Column("purpose", NAME, nullable=False),
    Column("repeat_of", NAME, ForeignKey("queries.id")),
    UniqueConstraint("run", "counter", name="queries_by_counter"),
    sqlite_autoincrement=True,  # a number is never used twice
)

answers = Table(
    "answers",
    metadata,
    Column("event", EVENT, primary_key=True, autoincrement=True),
    Column("id", NAME, nullable=False, unique=True),
    Column("query_id", NAME, ForeignKey("queries.id"), nullable=False),
    Column("value", Text),  # JSON; NULL: skipped or withdrawn
    Column("source", NAME, nullable=False),
    Column("labeller", NAME, nullable=False),
    Column("seconds", Float(53)),
    Column("shown", Text, nullable=False),
    Column("instruction_version", BigInteger, nullable=False),
    Column("supersedes", NAME, ForeignKey("answers.id"), unique=True),  # an answer is replaced at most once
    Column("withdrawn", Boolean, nullable=False),
    Column("answered_at", Float(53)),
    Index("answers_by_labeller", "query_id", "labeller", "event"),
    sqlite_autoincrement=True,
)

remarks = Table(
    "remarks",
    metadata,
    Column("event", EVENT, primary_key=True, autoincrement=True),
    Column("id", NAME, nullable=False, unique=True),
    Column("run", NAME, nullable=False),
    Column("kind", NAME, nullable=False),
    Column("subject", NAME, nullable=False),
    Column("labeller", NAME, nullable=False),
    Column("content", Text, nullable=False),
    Column("made_at", Float(53)),
    Index("remarks_by_subject", "subject", "kind"),
    sqlite_autoincrement=True,
)

leases = Table(  # who is looking at what until when; of the moment, so neither append-only nor journaled
    "leases",
    metadata,
    Column("query_id", NAME, ForeignKey("queries.id"), primary_key=True),
    Column("labeller", NAME, primary_key=True),
    Column("until", Float(53), nullable=False),
)

CURRENT_ANSWERS = """
CREATE VIEW current_answers AS SELECT * FROM answers WHERE NOT withdrawn AND NOT EXISTS (
    SELECT 1 FROM answers AS later
    WHERE later.query_id = answers.query_id AND later.labeller = answers.labeller AND later.event >
    answers.event)
"""
current_answers = answers.to_metadata(MetaData(), name="current_answers")

GUARDED = [(table, verb) for table in ("queries", "answers", "remarks") for verb in ("UPDATE", "DELETE")]
SQLITE_GUARD = """
CREATE TRIGGER {table}_no_{verb} BEFORE {verb} ON {table}
BEGIN SELECT RAISE(ABORT, 'the store is append-only'); END
"""
POSTGRESQL_GUARD = """
CREATE FUNCTION {table}_no_{verb}() RETURNS trigger LANGUAGE plpgsql AS $guard$
BEGIN
    RAISE EXCEPTION 'the store is append-only';
END $guard$;
CREATE TRIGGER {table}_no_{verb} BEFORE {verb} ON {table} FOR EACH ROW EXECUTE FUNCTION {table}_no_{verb}()
"""


def prepare_tables(connection: Connection, where: str) -> None:
    """Create the tables in an empty database, bring an older format up to date, refuse anything else."""
    found = inspect(connection).get_table_names()
    if "store_format" not in found:
        if found:
            raise UsageError(
                f"{where} is a database of something else (it has a table {found[0]}): choose another file"
            )
        _create(connection)
        return
    version = connection.execute(select(store_format.c.version)).scalar_one()
    check_format(version, where)
    for older in range(version, FORMAT_VERSION):
        for statement in MIGRATIONS[older]:
            connection.execute(text(statement))
    if version < FORMAT_VERSION:
        connection.execute(update(store_format).values(version=FORMAT_VERSION))


def check_format(version: int, where: str) -> None:
    """Raise `UsageError` for a store that a newer version of this package has written."""
    if version > FORMAT_VERSION:
        raise UsageError(
            f"{where} has store format {version} and this prefrl reads up to {FORMAT_VERSION}: upgrade prefrl"
        )


def _create(connection: Connection) -> None:
    metadata.create_all(connection)
    connection.execute(text(CURRENT_ANSWERS))
    _put_guards_up(connection)
    connection.execute(insert(store_format).values(version=FORMAT_VERSION, journal_bytes=0))


@contextmanager
def lifted_guards(connection: Connection) -> Iterator[None]:
    """Lets the block change and delete records, within its transaction: only erasure has reason to.

    An error, or a crash, in the block takes back what it did, and the guards stand.
    """
    sqlite = connection.dialect.name == "sqlite"
    for table, verb in GUARDED:
        if sqlite:
            connection.exec_driver_sql(f"DROP TRIGGER {table}_no_{verb}")
        else:
            connection.exec_driver_sql(f"DROP FUNCTION {table}_no_{verb}() CASCADE")
    yield
    _put_guards_up(connection)


def _put_guards_up(connection: Connection) -> None:
    guard = SQLITE_GUARD if connection.dialect.name == "sqlite" else POSTGRESQL_GUARD
    for table, verb in GUARDED:
        connection.exec_driver_sql(guard.format(table=table, verb=verb))


def query_row(query: Query) -> dict[str, Any]:
    """A query as a row of its table."""
    row = {name: getattr(query, name) for name in Query.__dataclass_fields__}
    return {
        **row,
        "kind": str(query.kind),
        "purpose": str(query.purpose),
        "items": json.dumps(query.items),
        "query_group": row.pop("group"),
    }


def query_from_row(row: Any) -> Query:
    """The query that a row holds."""
    fields = {name: value for name, value in row._mapping.items() if name != "event"}
    return Query(items=tuple(json.loads(fields.pop("items"))), group=fields.pop("query_group"), **fields)


def answer_row(answer: Answer) -> dict[str, Any]:
    """An answer as a row of its table; the database gives it its event number."""
    row = {name: getattr(answer, name) for name in Answer.__dataclass_fields__ if name != "event"}
    return {
        **row,
        "source": str(answer.source),
        "value": None if answer.value is None else json.dumps(answer.value),
        "shown": json.dumps(answer.shown),
    }


def answer_from_row(row: Any) -> Answer:
    """The answer that a row, joined with its query's kind as `kind`, holds."""
    fields = dict(row._mapping)
    kind, value = Kind(fields.pop("kind")), fields.pop("value")
    shown = tuple(json.loads(fields.pop("shown")))
    return Answer(
        value=None if value is None else _decode_value(kind, json.loads(value)), shown=shown, **fields
    )


def remark_row(remark: Remark) -> dict[str, Any]:
    """A remark as a row of its table."""
    return {name: getattr(remark, name) for name in Remark.__dataclass_fields__} | {"kind": str(remark.kind)}


def remark_from_row(row: Any) -> Remark:
    """The remark that a row holds."""
    return Remark(**{name: value for name, value in row._mapping.items() if name != "event"})


def _decode_value(kind: Kind, value: Any) -> Value:
    """A value as it comes out of JSON in the type that its kind has."""
    if kind is Kind.PAIR:
        return float(value)
    if kind is Kind.MARKS:
        return tuple(map(float, value))
    return tuple(value) if isinstance(value, list) else value
