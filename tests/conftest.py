"""Settings and fixtures of the whole test suite."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from browser_fixtures import browser, context, serve, server  # noqa: F401 - fixtures
from hypothesis import settings

from prefrl.store.feedback_store import FeedbackStore

# Deterministic, and without a deadline: machines that are busy must not fail a test.
settings.register_profile("prefrl", deadline=None, derandomize=True, database=None)
settings.load_profile("prefrl")


@pytest.fixture
def runs(waiting_run: Path, tmp_path: Path) -> Path:
    """A folder of runs: a copy of the module's ``waiting_run``, which waits for people."""
    shutil.copytree(waiting_run, tmp_path / "runs" / waiting_run.name)
    return tmp_path / "runs"


@pytest.fixture
def store(runs: Path, waiting_run: Path) -> Iterator[FeedbackStore]:
    """The store of that copy."""
    with FeedbackStore(runs / waiting_run.name / "feedback.sqlite") as store:
        yield store
