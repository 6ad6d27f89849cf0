"""The journal: every accepted query, answer and remark as one JSON line, from which a store can be rebuilt.

A line is the record's fields plus `"record"`: query, answer or remark. Exports have the same form. A batch is
appended and synced while the store's write lock is held and before the store commits, and the store notes the
journal's length in the same transaction. So an acknowledged record is in both, and whatever lies beyond that
length was written by a process that died before its commit, or is newer than a store that was restored: the
store takes it in at its next turn.
"""

import glob
import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from prefrl.errors import UsageError
from prefrl.feedback import Answer, Query, Remark
from prefrl.files import explained_disk_errors, mend_lines, sync_folder, write_atomically

Record = Query | Answer | Remark
NAMES: dict[type[Any], str] = {Query: "query", Answer: "answer", Remark: "remark"}
TYPES: dict[str, type[Any]] = {name: record for record, name in NAMES.items()}
FIELDS = {
    name: tuple(one for one in record.__dataclass_fields__ if one != "event")
    for name, record in TYPES.items()
}
"""What a line of each kind holds; an answer's event is the store's own and left out."""


def encode_line(record: Record) -> str:
    """A record as a line of JSON, without its end."""
    kind = NAMES[type(record)]
    fields = {name: getattr(record, name) for name in FIELDS[kind]}
    return json.dumps({"record": kind, **fields}, ensure_ascii=False, allow_nan=False)


def decode_line(line: str) -> Record:
    """The record of a line. Raises `UsageError` for anything else."""
    try:
        fields = json.loads(line)
        record = TYPES[fields.pop("record")]
        fields.pop("event", None)
        result: Record = record(**fields)
    except UsageError:
        raise
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise UsageError(f"this is not a record ({type(error).__name__}: {error})") from error
    return result


class Journal:
    """An append-only file of records. Only the holder of the store's write lock may change it."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def length(self) -> int:
        """Bytes in the file; 0 where there is none."""
        try:
            return self.path.stat().st_size
        except FileNotFoundError:
            return 0

    def append(self, records: Iterable[Record]) -> int:
        """Append records, durably, and return the new length; on a disk error the file is as before."""
        content = "".join(f"{encode_line(record)}\n" for record in records).encode()
        before = self.length()
        with (
            explained_disk_errors(f"write the journal {self.path}"),
            self.path.open("ab", buffering=0) as file,
        ):
            try:
                written = 0
                while written < len(content):
                    written += file.write(content[written:])
                os.fsync(file.fileno())
            except BaseException:
                file.truncate(before)
                raise
            if before == 0:
                sync_folder(self.path.parent)
        return before + len(content)

    def replace(self, records: Iterable[Record]) -> int:
        """Write the whole file anew and return its length; what interrupted writes left aside goes."""
        write_atomically(self.path, "".join(f"{encode_line(record)}\n" for record in records).encode())
        for aside in self.path.parent.glob(f".{glob.escape(self.path.name)}.*.aside"):
            aside.unlink(missing_ok=True)
        return self.length()

    def mend(self) -> None:
        """Cut off a last line that a crash left half-written."""
        with explained_disk_errors(f"mend the journal {self.path}"):
            mend_lines(self.path)


def read_records(path: Path, *, start: int = 0) -> Iterator[tuple[int, Record | str]]:
    """From a byte onwards (line number from there, record), or for a bad record what is wrong with it."""
    with explained_disk_errors(f"read {path}"), path.open("rb") as file:
        file.seek(start)
        for number, raw in enumerate(file, 1):
            try:
                yield number, decode_line(raw.decode())
            except UnicodeDecodeError:
                yield number, "this is not text"
            except UsageError as error:
                torn = "" if raw.endswith(b"\n") else "torn, never acknowledged: "
                yield number, f"{torn}{error}"
