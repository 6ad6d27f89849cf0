"""Run folders: the configuration, the metrics line by line (JSON and TensorBoard), and the summary of a run.

    config.json     what is needed to repeat the run: configuration, commit, versions, machine
    metrics.jsonl   one JSON object per line, each with its step; NaN and infinities are null
    summary.json    the figures at the end
"""

import json
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

from prefrl.errors import UsageError
from prefrl.files import explained_disk_errors, write_atomically
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

    @classmethod
    def create(cls, path: str | Path, config: Mapping[str, Any]) -> Self:
        """Make the folder of a new run and write its config.json.

        Raises `UsageError` where the folder holds a run or anything else already, or cannot be written.
        """
        folder = Path(path)
        if (folder / CONFIG).exists():
            raise UsageError(f"{folder} holds a run already: continue it with --resume, or choose another --run")
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
            raise UsageError(f"there is no run in {folder} (no {CONFIG}): check the path, or start it without --resume")
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
        return self.provenance()["config"]

    def provenance(self) -> dict[str, Any]:
        """All of config.json: `config`, `commit`, `versions`, `python`, `platform`, `cores`."""
        return _read_json(self.path / CONFIG)

    def log(self, row: Mapping[str, Any]) -> None:
        """Append a row of metrics, which must have a `step`, and write it out; numbers also go to TensorBoard.

        Raises `UsageError` where the disk refuses.
        """
        plain = {name: plain_value(value) for name, value in row.items()}
        step = plain.get("step")
        if not isinstance(step, int):
            raise TypeError(f"the row's step is {step!r}: give a whole number")
        with explained_disk_errors(f"write {self.path / METRICS}"):
            if self._metrics is None:
                self._begin(step)
            self._metrics.write(json.dumps(plain, allow_nan=False) + "\n")
            self._metrics.flush()
            assert self._scalars is not None
            self._scalars.write(step, plain)

    def truncate_after(self, step: int) -> None:
        """Drop the rows of later steps, all at once: a resumed run writes them again."""
        self.close()
        if not (self.path / METRICS).exists():
            return
        kept = [row for row in read_metrics(self.path) if row["step"] <= step]
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

    def _begin(self, step: int) -> None:
        path = self.path / METRICS
        resumed = path.exists()
        if resumed:
            _cut_torn_line(path)
        self._metrics = path.open("a", encoding="utf-8")
        self._scalars = _ScalarWriter(self.path, purge_from=step if resumed else None)


def read_metrics(path: str | Path, *, tail: int | None = None) -> list[dict[str, Any]]:
    """The rows in a run folder's (or file's) metrics, or the last `tail` of them, reading no more than these.

    A last line that is being written or was torn is left out, as is any line that is no row. No file: no rows.
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
    """Numbers into a TensorBoard event file, by TensorBoard's own writer; imported when the first row comes."""

    def __init__(self, folder: Path, *, purge_from: int | None) -> None:
        from tensorboard.compat.proto import event_pb2, summary_pb2
        from tensorboard.summary.writer.event_file_writer import EventFileWriter

        self._event, self._summary = event_pb2.Event, summary_pb2.Summary
        self._writer = EventFileWriter(str(folder))
        if purge_from is not None:  # TensorBoard then forgets what the interrupted run wrote from here on
            start = event_pb2.SessionLog(status=event_pb2.SessionLog.START)
            self._writer.add_event(event_pb2.Event(step=purge_from, session_log=start))

    def write(self, step: int, row: Mapping[str, Any]) -> None:
        numbers = {name: value for name, value in row.items() if name != "step" and _is_number(value)}
        values = [self._summary.Value(tag=name, simple_value=float(value)) for name, value in numbers.items()]
        wall_time = row.get("wall_time")
        event = self._event(step=step, summary=self._summary(value=values))
        if _is_number(wall_time):
            event.wall_time = wall_time
        self._writer.add_event(event)

    def close(self) -> None:
        self._writer.close()
