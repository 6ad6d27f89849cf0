"""Run folders: the configuration, the metrics line by line (JSON and TensorBoard), and the summary of a run.

config.json     what is needed to repeat the run: configuration, commit, versions, machine
metrics.jsonl   one JSON object per line, each with its step; NaN and infinities are null
summary.json    the figures at the end
"""

import json
import math
import os
import socket
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

from prefrl.errors import UsageError
from prefrl.files import explained_disk_errors, mend_lines, write_atomically
from prefrl.provenance import provenance

CONFIG = "config.json"
METRICS = "metrics.jsonl"
SUMMARY = "summary.json"
BLOCK = 65_536


class RunFolder:
    """A run's folder: `create` for a new run, `open` for one to resume or look at.

    Only the process that trains may log or truncate; any number may read.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._metrics: Any = None
        self._scalars: _ScalarWriter | None = None
        self._purge_from: int | None = None

    @classmethod
    def create(cls, path: str | Path, config: Mapping[str, Any]) -> Self:
        """Make the folder of a new run and write its config.json.

        Raises `UsageError` where the folder holds a run or anything else already, or cannot be written.
        """
        folder = Path(path)
        if (folder / CONFIG).exists():
            raise UsageError(
                f"{folder} holds a run already: continue it with --resume, or choose another --run"
            )
        with explained_disk_errors(f"make the run folder {folder}"):
            folder.mkdir(parents=True, exist_ok=True)
            if any(folder.iterdir()):
                raise UsageError(f"{folder} is not empty and holds no run: choose another --run")
        _write_json(folder / CONFIG, {"config": config, **provenance()})
        return cls(folder)

    @classmethod
    def open(cls, path: str | Path) -> Self:
        """The folder of an existing run. Raises `UsageError` where there is none."""
        folder = Path(path)
        if not (folder / CONFIG).is_file():
            raise UsageError(
                f"there is no run in {folder} (no {CONFIG}): check the path, or start it without --resume"
            )
        return cls(folder)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Write out what is buffered and close the logs; a later `log` opens them again."""
        if self._metrics is not None:
            self._metrics.close()
        if self._scalars is not None:
            self._scalars.close()
        self._metrics = self._scalars = None

    @property
    def config(self) -> dict[str, Any]:
        """The configuration that the run was started with."""
        written = self.provenance()
        if "config" not in written:
            raise UsageError(f"{self.path / CONFIG} is damaged (no config in it): restore it")
        config: dict[str, Any] = written["config"]
        return config

    def provenance(self) -> dict[str, Any]:
        """All of config.json: `config`, `commit`, `versions`, `python`, `platform`, `cores`."""
        return _read_json(self.path / CONFIG)

    def log(self, row: Mapping[str, Any]) -> None:
        """Append a row of metrics, which must have a `step`, and write it out; numbers go to TensorBoard too.

        Raises `UsageError` where the disk refuses.
        """
        plain = {name: plain_value(value) for name, value in row.items()}
        step = plain.get("step")
        if not isinstance(step, int):
            raise TypeError(f"the row's step is {step!r}: give a whole number")
        with explained_disk_errors(f"write {self.path / METRICS}"):
            if self._metrics is None:
                self._begin()
            self._metrics.write(json.dumps(plain, allow_nan=False) + "\n")
            self._metrics.flush()
            assert self._scalars is not None
            self._scalars.write(step, plain)

    def truncate_after(self, step: int, *, rows: int | None = None) -> None:
        """Drop the rows of later steps, all at once: a resumed run writes them again.

        `rows`: of what remains keep the first so many; more than one row may have the same step.
        """
        self.close()
        self._purge_from = step + 1
        if not (self.path / METRICS).exists():
            return
        kept = [row for row in read_metrics(self.path) if row["step"] <= step][:rows]
        content = "".join(json.dumps(row, allow_nan=False) + "\n" for row in kept)
        write_atomically(self.path / METRICS, content.encode())

    def read_metrics(self, *, tail: int | None = None) -> list[dict[str, Any]]:
        """The rows logged so far, or the last `tail` of them."""
        return read_metrics(self.path, tail=tail)

    def write_summary(self, summary: Mapping[str, Any]) -> None:
        """Write summary.json: readers see the old one or the new one."""
        _write_json(self.path / SUMMARY, summary)

    def read_summary(self) -> dict[str, Any] | None:
        """The summary, or None where the run has not come to its end."""
        return _read_json(self.path / SUMMARY) if (self.path / SUMMARY).exists() else None

    def _begin(self) -> None:
        path = self.path / METRICS
        if path.exists():
            mend_lines(path)
        self._metrics = path.open("a", encoding="utf-8")
        self._scalars = _ScalarWriter(self.path, purge_from=self._purge_from)
        self._purge_from = None


def read_metrics(path: str | Path, *, tail: int | None = None) -> list[dict[str, Any]]:
    """The rows in a run folder's (or file's) metrics, or the last `tail` of them, reading no more than these.

    A last line that is being written or was torn is left out, as is any line that is no row. No file: no
    rows.
    """
    file = Path(path) / METRICS if Path(path).is_dir() else Path(path)
    with explained_disk_errors(f"read {file}"):
        try:
            content = file.read_bytes() if tail is None else _last_lines(file, tail)
        except FileNotFoundError:
            return []
    rows = [_row(line) for line in content.split(b"\n")[:-1]]
    good = [row for row in rows if row is not None]
    return good if tail is None else good[max(0, len(good) - tail) :]


def plain_value(value: Any) -> Any:
    """A value as JSON has it: NumPy and Torch numbers and arrays as Python's, NaN and infinities as None."""
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(name): plain_value(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [plain_value(one) for one in value]
    return str(value) if isinstance(value, Path) else value


class _ScalarWriter:
    """Numbers into a TensorBoard event file; TensorBoard is imported when the first row comes."""

    def __init__(self, folder: Path, *, purge_from: int | None) -> None:
        from tensorboard.compat.proto import event_pb2, summary_pb2
        from tensorboard.summary.writer.record_writer import RecordWriter

        self._event, self._summary = event_pb2.Event, summary_pb2.Summary
        now = time.time()
        name = f"events.out.tfevents.{int(now)}.{socket.gethostname()}.{os.getpid()}.{now % 1:.6f}"
        self._records = RecordWriter((folder / name).open("ab"))
        self._write(file_version="brain.Event:2")
        if purge_from is not None:  # TensorBoard then forgets what the interrupted run wrote from there on
            start = event_pb2.SessionLog(status=event_pb2.SessionLog.START)
            self._write(step=purge_from, session_log=start)

    def write(self, step: int, row: Mapping[str, Any]) -> None:
        numbers = {
            name: value for name, value in row.items() if name != "step" and isinstance(value, int | float)
        }
        values = [self._summary.Value(tag=name, simple_value=float(value)) for name, value in numbers.items()]
        self._write(step=step, summary=self._summary(value=values))

    def close(self) -> None:
        self._records.close()

    def _write(self, **fields: Any) -> None:
        self._records.write(self._event(wall_time=time.time(), **fields).SerializeToString())
        self._records.flush()


def _last_lines(path: Path, count: int) -> bytes:
    """At least the last `count` whole lines of a file (and what follows them), read from its end."""
    with path.open("rb") as file:
        start = end = file.seek(0, os.SEEK_END)
        content = b""
        while start > 0 and content.count(b"\n") <= count:
            start = max(0, start - BLOCK)
            file.seek(start)
            content = file.read(end - start) + content
            end = start
    return content if start == 0 else content[content.index(b"\n") + 1 :]


def _row(line: bytes) -> dict[str, Any] | None:
    try:
        row = json.loads(line)
    except ValueError:
        return None
    return row if isinstance(row, dict) and isinstance(row.get("step"), int) else None


def _write_json(path: Path, content: Mapping[str, Any]) -> None:
    write_atomically(path, (json.dumps(plain_value(content), indent=2, allow_nan=False) + "\n").encode())


def _read_json(path: Path) -> dict[str, Any]:
    with explained_disk_errors(f"read {path}"):
        content = path.read_bytes()
    try:
        read = json.loads(content)
    except ValueError as error:
        raise UsageError(f"{path} is damaged ({error}): restore it or choose another run") from error
    if not isinstance(read, dict):
        raise UsageError(f"{path} holds no JSON object: restore it or choose another run")
    return read
