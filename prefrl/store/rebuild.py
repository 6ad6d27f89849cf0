"""A store made again from its journal or an export."""

from pathlib import Path

from prefrl.errors import UsageError
from prefrl.store.feedback_store import FeedbackStore, Intake


def rebuild_store(journal: str | Path, path: str | Path) -> Intake:
    """Make a store from a journal or an export; in one that is there, add only what is missing.

    Torn and unreadable lines are left out and reported. Raises `UsageError` where the journal is missing, and
    where the file at `path` is damaged or no store: move that one away first.
    """
    source, target = Path(journal), Path(path)
    if not source.is_file():
        raise UsageError(f"there is no journal at {source}: check the path")
    if source.resolve() != target.with_suffix(".jsonl").resolve():
        with FeedbackStore(target) as store:
            return store.import_jsonl(source)
    made = not target.exists()
    with FeedbackStore(target) as store:  # opening takes in what the store lacks of the journal beside it
        intake = store.import_jsonl(source)
        if not made:
            return intake
        return Intake(intake.known, 0, tuple(dict.fromkeys([*store.repairs, *intake.problems])))
