"""``prefrl data``: a run's answers out and in, checked, backed up, and made again from their journal."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from experiments.options import parse_options
from experiments.unirlhf import read_uni_rlhf
from prefrl.errors import UsageError
from prefrl.files import explained_disk_errors, write_atomically
from prefrl.store.backups import make_backup
from prefrl.store.exports import json_lines, preference_rows, read_any_records, write_records
from prefrl.store.feedback_store import FeedbackStore, Intake
from prefrl.store.health import check_store
from prefrl.store.rebuild import rebuild_store
from prefrl.texts.response_files import holds_texts, read_responses

STORE = "feedback.sqlite"
MOST_PROBLEMS = 20
"""Problems of a file that are printed; the rest are counted."""
DAMAGE = ("is damaged", "is not a store", "is no store")
"""Words of findings after which a store cannot be used."""

Run = Annotated[Path, tyro.conf.Positional]


@dataclass(frozen=True)
class ExportData:
    """Write a run's answers to a file."""

    run: Run
    """A run folder, or a store."""
    out: Path
    """The file to write; one that is there is replaced."""
    form: Literal["jsonl", "json", "parquet", "preferences"] = "jsonl"
    """jsonl, json, parquet: all records with their provenance, as lines, one array or a table. preferences:
    of texts {prompt, chosen, rejected}, a line each; answers that call both equal go to a second file."""


@dataclass(frozen=True)
class ImportData:
    """Take answers into a run's store: the new is added, the known left, the wrong reported."""

    run: Run
    """A run folder, or a store; a store that is not there is made."""
    source: Annotated[Path, tyro.conf.Positional]
    """An export or a journal (.jsonl, .json, .parquet), or a folder of Uni-RLHF's crowd labels."""


@dataclass(frozen=True)
class CheckData:
    """Say what is wrong with a run's store and journal, without changing them; exit code 1 if anything."""

    run: Run
    """A run folder, or a store."""


@dataclass(frozen=True)
class BackUpData:
    """Write all answers to a new file in the folder backups/ beside the store, and read it back."""

    run: Run
    """A run folder, or a store."""


@dataclass(frozen=True)
class RebuildData:
    """Make a store again from its journal, or from a back-up; a damaged store is moved aside."""

    run: Run
    """A run folder, or a store."""
    source: Path | None = None
    """A journal, a back-up or a .jsonl export; by default the journal beside the store."""


Command = (
    Annotated[ExportData, tyro.conf.subcommand("export")]
    | Annotated[ImportData, tyro.conf.subcommand("import")]
    | Annotated[CheckData, tyro.conf.subcommand("check")]
    | Annotated[BackUpData, tyro.conf.subcommand("backup")]
    | Annotated[RebuildData, tyro.conf.subcommand("rebuild")]
)


def main(args: list[str]) -> int:
    return run_data(parse_options(Command, args, command="data"))  # type: ignore[arg-type]


def run_data(options: ExportData | ImportData | CheckData | BackUpData | RebuildData) -> int:
    """Does what was asked for; returns the exit code."""
    match options:
        case ExportData():
            return export_data(options)
        case ImportData():
            return import_data(options)
        case CheckData():
            return check_data(options)
        case BackUpData():
            return back_up_data(options)
        case RebuildData():
            return rebuild_data(options)


def store_path(run: Path) -> Path:
    """The store of a run folder, or the store that was named."""
    return run / STORE if run.is_dir() else run


def export_data(options: ExportData) -> int:
    """Writes a file and says how much is in it. Raises UsageError for a store that cannot be read."""
    path = store_path(options.run)
    if options.out.resolve() in (path.resolve(), path.with_suffix(".jsonl").resolve()):
        raise UsageError(f"{options.out} is the store itself or its journal: choose another --out")
    with FeedbackStore(path, must_exist=True) as store:
        if options.form == "preferences":
            return _export_preferences(store, path.parent, options.out)
        count = write_records(store.records(), options.out, form=options.form)
    print(f"{count} records: {options.out}")
    return 0


def import_data(options: ImportData) -> int:
    """Takes a file in and says what became of it; exit code 1 where something was wrong with it."""
    if not options.source.exists():
        raise UsageError(f"there is no {options.source}: check the path")
    records = read_uni_rlhf(options.source) if options.source.is_dir() else read_any_records(options.source)
    with FeedbackStore(store_path(options.run)) as store:
        return _report(store.take_in(records))


def check_data(options: CheckData) -> int:
    """Prints what is wrong; exit code 1 if something is."""
    found = check_store(store_path(options.run))
    print("\n".join(found) if found else "nothing is wrong with the store and its journal")
    return 1 if found else 0


def back_up_data(options: BackUpData) -> int:
    """Makes a back-up and says where it is."""
    with FeedbackStore(store_path(options.run), must_exist=True) as store:
        path = make_backup(store, now=time.time())
    print(f"back-up: {path}  (prefrl data rebuild {options.run} --source {path} makes the store again)")
    return 0


def rebuild_data(options: RebuildData) -> int:
    """Makes the store again and says what was in the journal; exit code 1 where lines could not be read."""
    path = store_path(options.run)
    source = options.source or path.with_suffix(".jsonl")
    if not source.is_file():
        raise UsageError(f"there is no journal at {source}: name a back-up or an export with --source")
    if path.exists() and _is_damaged(path):
        aside = path.with_name(f"{path.name}.damaged-{time.strftime('%Y%m%d-%H%M%S', time.gmtime())}")
        with explained_disk_errors(f"move {path} aside"):
            path.rename(aside)
        print(f"the damaged store is kept as {aside}")
    return _report(rebuild_store(source, path))


def _is_damaged(path: Path) -> bool:
    """Whether a file is no store (any more); one that is locked, or of a newer version, is."""
    return any(words in finding for finding in check_store(path) for words in DAMAGE)


def _export_preferences(store: FeedbackStore, folder: Path, out: Path) -> int:
    responses = read_responses(folder) if holds_texts(folder) else {}
    found = [preference_rows(store, run, responses) for run in store.runs()]
    chosen, equal = ([row for part in found for row in part[which]] for which in (0, 1))
    ties_path = out.with_suffix(f".ties{out.suffix}")
    write_atomically(out, json_lines(chosen))
    write_atomically(ties_path, json_lines(equal))
    print(f"{len(chosen)} preferences: {out}; {len(equal)} answers that call both equal: {ties_path}")
    return 0


def _report(intake: Intake) -> int:
    print(f"{intake.added} records added, {intake.known} known already, {len(intake.problems)} not taken")
    for problem in intake.problems[:MOST_PROBLEMS]:
        print(f"  {problem}")
    if len(intake.problems) > MOST_PROBLEMS:
        print(f"  and {len(intake.problems) - MOST_PROBLEMS} more")
    return 1 if intake.problems else 0
