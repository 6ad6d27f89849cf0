"""Back-ups of a store: exports beside it, with the time in their names; any of them makes the store again."""

from __future__ import annotations

import time
from pathlib import Path

from prefrl.errors import UsageError
from prefrl.files import explained_disk_errors
from prefrl.store.erasure import Erased, without_labeller
from prefrl.store.feedback_store import FeedbackStore
from prefrl.store.journal import Journal, Record, read_records

FOLDER = "backups"


def make_backup(store: FeedbackStore, *, now: float) -> Path:
    """Writes all that a store holds to a file of its folder of back-ups, durably, and reads it back.

    Args:
        store: kept in a file; a PostgreSQL server has back-ups of its own.
        now: Unix time in seconds; it names the file.

    Raises:
        UsageError: no such store, the disk refuses, or what was written does not read as what is stored.
    """
    folder = _folder(store)
    with explained_disk_errors(f"make {folder}"):
        folder.mkdir(exist_ok=True)
    moment = time.strftime("%Y%m%d-%H%M%S", time.gmtime(now))
    path, number = folder / f"feedback-{moment}.jsonl", 1
    while path.exists():
        path, number = folder / f"feedback-{moment}-{number}.jsonl", number + 1
    written = store.export_jsonl(path)
    bad = [record for _, record in read_records(path) if isinstance(record, str)]
    if bad or sum(1 for _ in read_records(path)) != written:
        raise UsageError(f"the back-up {path} does not read as it was written: check the disk, make another")
    return path


def list_backups(store: FeedbackStore) -> list[Path]:
    """The back-ups beside a store, the oldest first."""
    return [] if store.path is None else sorted((store.path.parent / FOLDER).glob("feedback-*.jsonl"))


def erase_everywhere(store: FeedbackStore, labeller: str, *, by: str, now: float) -> Erased:
    """:meth:`FeedbackStore.erase`, and the same in every back-up beside the store.

    Copies made elsewhere (exports, other back-ups) are beyond it.
    """
    erased = store.erase(labeller, by=by, now=now)
    for path in list_backups(store):
        _erase_in(path, labeller, erased.pseudonym)
    return erased


def _erase_in(path: Path, labeller: str, pseudonym: str) -> None:
    records: list[Record] = []
    for number, record in read_records(path):
        if isinstance(record, str):
            raise UsageError(
                f"line {number} of the back-up {path} cannot be read ({record}): delete the file if you can, "
                f"then erase {labeller} again"
            )
        kept = without_labeller(record, labeller, pseudonym)
        if kept is not None:
            records.append(kept)
    Journal(path).replace(records)


def _folder(store: FeedbackStore) -> Path:
    if store.path is None:
        raise UsageError("the store is on a server: back it up there (pg_dump), or export it")
    return store.path.parent / FOLDER
