"""Connections to the store's database: durable, patient, one writer at a time, errors that name a fix."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, IntegrityError, NoSuchModuleError

from prefrl.errors import UsageError

BUSY_SECONDS = 30.0
POSTGRESQL_LOCK = 0x70726566726C  # "prefrl": the advisory lock that writers hold in turn
SQLITE_SETTINGS = (
    # Before 3.51.3, WAL can corrupt a file that two processes checkpoint at once.
    "PRAGMA journal_mode = DELETE",
    # A power cut may bring a rollback journal back, which undoes a commit; our own journal redoes it.
    "PRAGMA synchronous = FULL",
    "PRAGMA foreign_keys = ON",
)
FIXES = {
    "disk is full": "the disk is full: free some space and try again; what was stored before is intact",
    "disk i/o error": "the disk refused (full, over quota or failing): free some space and try again;"
    " what was stored before is intact",
    "locked": "another process kept it locked for too long: close it or try again",
    "unable to open": "the file cannot be opened: check that its folder exists and may be written",
    "readonly": "the file may not be written: change its permissions or choose another",
    "not a database": "it is not a store: choose another file, or rebuild the store from its journal",
    "malformed": "it is damaged: rebuild it from its journal (prefrl.store.rebuild)",
}


def store_url(url_or_path: str | Path) -> URL:
    """The database URL of a path (SQLite) or of a URL given as text."""
    if "://" not in str(url_or_path):
        return URL.create("sqlite", database=str(url_or_path))
    try:
        url = make_url(str(url_or_path))
    except ArgumentError as error:
        raise UsageError(
            f"the store's address is not a URL ({error}): give a path or postgresql://..."
        ) from error
    if url.get_backend_name() not in ("sqlite", "postgresql") or (
        url.get_backend_name() == "sqlite" and not url.database
    ):
        raise UsageError(
            f"the store cannot be kept at {url}: give a path, sqlite:///path or postgresql://..."
        )
    return url.set(drivername="postgresql+psycopg") if url.drivername == "postgresql" else url


def make_engine(url: URL) -> Engine:
    """An engine whose transactions read unless they ask to write; writers take turns from their start."""
    sqlite = url.get_backend_name() == "sqlite"
    try:
        engine = create_engine(url, connect_args={"timeout": BUSY_SECONDS} if sqlite else {})
    except (ImportError, NoSuchModuleError) as error:
        raise UsageError(
            f"no driver for {url.drivername} is installed ({error}): pip install psycopg, or use a path"
        ) from error
    if sqlite:
        event.listen(engine, "connect", _set_up_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
    return engine


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """A transaction that only reads; keep it short, writers wait for it."""
    with explained_store_errors(engine), engine.connect() as connection, connection.begin():
        yield connection


@contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """A transaction that waits its turn, then is the only writer until it is committed at the block's end."""
    writer = engine.execution_options(prefrl_writes=True)
    with explained_store_errors(engine), writer.connect() as connection, connection.begin():
        if engine.dialect.name == "postgresql":  # also keeps event numbers in the order of commits
            connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({POSTGRESQL_LOCK})")
        yield connection


def compact(engine: Engine) -> None:
    """Write an SQLite file anew, so that nothing deleted is left in it; PostgreSQL does so itself."""
    if engine.dialect.name != "sqlite":
        return
    apart = engine.execution_options(prefrl_compacts=True)
    with explained_store_errors(engine), apart.connect() as connection:
        connection.exec_driver_sql("VACUUM")


@contextmanager
def explained_store_errors(engine: Engine) -> Iterator[None]:
    """Turn the database's errors into a `UsageError` that says what to do."""
    where = engine.url.database if engine.dialect.name == "sqlite" else engine.url.render_as_string()
    try:
        yield
    except IntegrityError as error:
        raise UsageError(
            f"the store at {where} refuses a record that contradicts another: {error.orig}"
        ) from error
    except DBAPIError as error:
        message = str(error.orig)
        fix = next((fix for symptom, fix in FIXES.items() if symptom in message.lower()), message)
        raise UsageError(f"the store at {where} cannot be used: {fix}") from error


def _set_up_sqlite(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # the driver would begin too late, and never immediately
    for setting in SQLITE_SETTINGS:
        connection.execute(setting)


def _begin_sqlite(connection: Connection) -> None:
    options = connection.get_execution_options()
    if not options.get("prefrl_compacts", False):  # which cannot be done within a transaction
        connection.exec_driver_sql("BEGIN IMMEDIATE" if options.get("prefrl_writes", False) else "BEGIN")
