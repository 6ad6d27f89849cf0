"""Run folders: the configuration, the metrics line by line (JSON and TensorBoard), and the summary of a run.

config.json     what is needed to repeat the run: configuration, commit, versions, machine
metrics.jsonl   one JSON object per line, each with its step; NaN and infinities are null
summary.json    the figures at the end
output.log      what the process said, where the app started it
"""

import json
import math
import os
import shutil
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

from prefrl.errors import UsageError
from prefrl.files import explained_disk_errors, mend_lines, write_atomically
from prefrl.runs.provenance import provenance
from prefrl.runs.scalars import ScalarWriter

CONFIG = "config.json"
METRICS = "metrics.jsonl"
SUMMARY = "summary.json"
OUTPUT = "output.log"
BLOCK = 65_536


class RunFolder:
    """A run's folder: `create` for a new run, `open` for one to resume or look at.

    Only the process that trains may log or truncate; any number may read.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._metrics: Any = None
        self._scalars: ScalarWriter | None = None
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
            if any(path.name != OUTPUT for path in folder.iterdir()):
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

    def discard(self) -> None:
        """Delete a run that could not begin, so that it is in nobody's way; not what its process said."""
        self.close()
        for path in self.path.iterdir():
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            elif path.name != OUTPUT:
                path.unlink(missing_ok=True)
        with suppress(OSError):
            self.path.rmdir()

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
        self._scalars = ScalarWriter(self.path, purge_from=self._purge_from)
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


def read_metrics_from(
    path: str | Path, start: int, *, most: int = 1 << 20
) -> tuple[list[dict[str, Any]], int]:
    """The rows after byte `start` of a metrics file, and where to read on; at most `most` bytes of them.

    What is no row is left out; a line that is still being written is left for the next time. No file: no
    rows. Start again from 0 where the file has become another or shorter: a resumed run rewrites it.
    """
    with explained_disk_errors(f"read {path}"):
        try:
            with Path(path).open("rb") as file:
                file.seek(start)
                content = file.read(most)
        except FileNotFoundError:
            return [], 0
    end = content.rfind(b"\n") + 1
    if not end and len(content) == most:  # no line of ours is so long
        return [], start + most
    rows = [_row(line) for line in content[:end].split(b"\n")]
    return [row for row in rows if row is not None], start + end


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
