"""`prefrl clean`: what run folders take on disk, and deleting what can be made again.

Answers of people cannot be made again: the feedback store goes only with its whole run.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Annotated

import tyro

from experiments.options import parse_options
from prefrl.errors import UsageError
from prefrl.files import explained_disk_errors

PARTS = ("checkpoints", "clips", "segments", "tensorboard", "feedback", "other")
BUSY_SECONDS = 60.0


@dataclass(frozen=True)
class CleanConfig:
    """Show what runs take on disk, then delete clips and all checkpoints but the newest, after asking."""

    runs: Annotated[tuple[Path, ...], tyro.conf.Positional]
    """Run folders."""
    segments: bool = False
    """Delete also the segments that no query names; the run can then not be resumed exactly."""
    all: bool = False
    """Delete the runs altogether, their feedback stores included."""
    keep_checkpoints: int = 1
    """Latest whole checkpoints to keep, at least 1."""
    yes: bool = False
    """Do not ask."""

    def __post_init__(self) -> None:
        if not self.runs:
            raise UsageError("no run to clean: name run folders, such as runs/demo")
        if self.keep_checkpoints < 1:
            raise UsageError(f"keep_checkpoints is {self.keep_checkpoints}: keep at least 1, or use --all")


def main(args: list[str]) -> int:
    return run_clean(parse_options(CleanConfig, args, command="clean"))


def run_clean(config: CleanConfig) -> int:
    """Show, ask, delete; return 0. Raises `UsageError` for what is no run folder and for a run going on."""
    runs = list(dict.fromkeys(config.runs))
    for run in runs:
        check_run_folder(run)
    doomed = [path for run in runs for path in find_deletable(run, config)]
    print("\n".join(describe_run(run) for run in runs))
    if not doomed:
        print("nothing to delete")
        return 0
    size = sum(size_of(path) for path in doomed)
    print("\n".join(["to delete:", *describe_doomed(doomed, whole=config.all)]))
    if not (config.yes or is_confirmed()):
        print("nothing deleted")
        return 0
    for path in doomed:
        delete(path)
    print(f"deleted {megabytes(size)}")
    return 0


def check_run_folder(run: Path) -> None:
    """Raises `UsageError` unless ``run`` is the folder of a run that is not going on."""
    if not run.is_dir():
        raise UsageError(f"{run} is no folder: name a run folder, such as runs/demo")
    try:
        config = json.loads((run / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        config = None
    if not isinstance(config, dict) or not {"config", "versions"} <= config.keys():
        raise UsageError(
            f"{run} is no run folder, its config.json is not that of a run: delete it by hand if you must"
        )
    if run.resolve() in (Path.cwd(), *Path.cwd().parents):
        raise UsageError(f"{run} contains the present folder: change to another one first")
    written, ended = (written_at(run / name) for name in ("metrics.jsonl", "summary.json"))
    age = time.time() - written
    if written > ended and 0 <= age < BUSY_SECONDS:
        raise UsageError(f"{run} was written to {age:.0f} s ago: stop the run and wait {BUSY_SECONDS:.0f} s")


def written_at(file: Path) -> float:
    return file.stat().st_mtime if file.is_file() else 0.0


def find_deletable(run: Path, config: CleanConfig) -> list[Path]:
    """Files and folders of a run that the settings give up."""
    if config.all:
        return [run.resolve()]
    doomed = [*children(run / "clips"), *old_checkpoints(run / "checkpoints", config.keep_checkpoints)]
    return [*doomed, *(unnamed_segments(run) if config.segments else ())]


def old_checkpoints(folder: Path, keep: int) -> list[Path]:
    """All checkpoints but the latest that are whole, and what interrupted writes left aside.

    None while no checkpoint is whole: somebody may still want to save what can be saved.
    """
    aside = [path for path in children(folder) if path.name.startswith(".") and path.suffix == ".aside"]
    found = [path for path in children(folder) if path.suffix == ".pt"]
    found.sort(key=lambda path: (path.stem.rpartition("-")[0], path.stat().st_mtime_ns))
    kept = [path for path in found if is_whole(path)][-keep:]
    return aside + [path for path in found if path not in kept] if kept else aside


def is_whole(checkpoint: Path) -> bool:
    """Whether a checkpoint's content has the digest that its name ends with."""
    named = checkpoint.stem.rpartition("-")[2]
    with checkpoint.open("rb") as file:
        return bool(named) and hashlib.file_digest(file, "sha256").hexdigest().startswith(named)


def unnamed_segments(run: Path) -> list[Path]:
    """Segments that no query in the run's store names; none where the store is elsewhere."""
    from prefrl.store.feedback_store import FeedbackStore

    if not (run / "feedback.sqlite").is_file():
        print(f"{run}: no feedback.sqlite tells which segments are labelled, so all are kept")
        return []
    with FeedbackStore(run / "feedback.sqlite", must_exist=True) as store:
        named = {item for name in store.runs() for query in store.queries(name) for item in query.items}
    return [path for path in children(run / "segments") if path.suffix == ".npz" and path.stem not in named]


def describe_run(run: Path) -> str:
    """One line: the run, its size, and the size of each part."""
    sizes = dict.fromkeys(PARTS, 0)
    for path in children(run):
        sizes[part_of(path)] += size_of(path)
    parts = ", ".join(f"{name} {megabytes(size)}" for name, size in sizes.items() if size)
    return f"{run}  {megabytes(sum(sizes.values()))}: {parts}"


def part_of(path: Path) -> str:
    if path.name.startswith("events.out.tfevents"):
        return "tensorboard"
    name = path.name.partition(".")[0]
    return name if name in PARTS else "other"


def children(folder: Path) -> list[Path]:
    return sorted(folder.iterdir()) if folder.is_dir() and not folder.is_symlink() else []


def size_of(path: Path) -> int:
    """Bytes of a file, or of all files below a folder; links count for nothing."""
    if path.is_symlink() or not path.is_dir():
        return 0 if path.is_symlink() else path.stat().st_size
    return sum(size_of(child) for child in path.iterdir())


def megabytes(size: int) -> str:
    return f"{size / 1e6:,.1f} MB"


def describe_doomed(paths: Sequence[Path], *, whole: bool) -> Iterator[str]:
    """One line per folder, or per run that goes altogether."""
    for folder, group in groupby(paths, key=lambda path: path if whole else path.parent):
        sizes = [size_of(path) for path in group]
        what = "all of it, answers included" if whole else f"{len(sizes)} of {len(children(folder))}"
        yield f"  {folder}: {what}, {megabytes(sum(sizes))}"


def is_confirmed() -> bool:
    """Ask on the terminal; without one the answer is no."""
    if not sys.stdin.isatty():
        print("to delete without a terminal to ask on, add --yes")
        return False
    return input("delete these? [y/N] ").strip().lower() in {"y", "yes"}


def delete(path: Path) -> None:
    """Delete a file or a folder; a link goes, what it points to stays."""
    with explained_disk_errors(f"delete {path}"):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
