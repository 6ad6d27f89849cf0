"""Pages as Streamlit runs them, without a browser; and stores and states for them to find."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from prefrl.feedback import Answer, Kind, Query, Source
from prefrl.runs.status import STATUS
from prefrl.store.feedback_store import FeedbackStore
from ui import here
from ui.here import FOLDER

PATIENCE_SECONDS = 600


def shown_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A fixture's worth of an empty folder of runs that the pages show."""
    folder = tmp_path / "runs"
    folder.mkdir()
    show(folder, monkeypatch)
    yield folder
    here.workplace().close()


def show(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lets the pages show a folder, with nothing remembered of others."""
    monkeypatch.setenv(FOLDER, str(folder))
    for resource in (here.workplace, here.run_control, here.feeds, here.shelf):
        resource.clear()


def opened(script: Callable[[], None], run: str | None = None) -> AppTest:
    """The page that a script draws, at the address of a run."""
    page = AppTest.from_function(script, default_timeout=PATIENCE_SECONDS)
    if run is not None:
        page.query_params["run"] = run
    page.run()
    assert not page.exception, page.exception
    return page


def words(page: AppTest) -> str:
    """Everything that a page says."""
    kinds = (page.markdown, page.caption, page.error, page.warning, page.info, page.code)
    return "\n".join(str(element.value) for kind in kinds for element in kind).replace("\\", "")


def store_of(folder: Path, *, labels: int = 0, skips: int = 0, queries: int = 6) -> None:
    """A store of pairs of which the first are answered."""
    with FeedbackStore(folder / "feedback.sqlite") as store:
        asked = [
            Query(
                id=f"q{n}", run=folder.name, kind=Kind.PAIR, items=(f"a{n}", f"b{n}"), policy_step=0,
                reward_version=0, counter=n,
            )
            for n in range(queries)
        ]  # fmt: skip
        values = [1.0] * labels + [None] * skips
        answers = [
            Answer(id=f"x{n}", query_id=f"q{n}", value=value, source=Source.PERSON, labeller="ada")
            for n, value in enumerate(values)
        ]
        store.add([*asked, *answers])


def tell(folder: Path, **changes: Any) -> None:
    """A status that another machine's process has written."""
    status: dict[str, Any] = {
        "state": "training", "message": "", "step": 600_000, "steps": 1_000_000, "labels": 5, "budget": 700,
        "pid": 1, "host": "elsewhere", "time": 0.0,
    }  # fmt: skip
    (folder / STATUS).write_text(json.dumps(status | changes))
