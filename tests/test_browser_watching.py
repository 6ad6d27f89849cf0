"""A run started, watched, stopped and resumed in a real browser; it outlives the app."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from experiments.browser import READY
from prefrl.processes import process_mark, terminate
from prefrl.runs.status import RunStatus, State, read_status

pytestmark = pytest.mark.browser
NAME = "probe-target-true-s0"
PATIENCE_SECONDS = 240.0


@pytest.fixture
def runs(tmp_path: Path) -> Iterator[Path]:
    """An empty folder; whatever is trained in it ends with the test."""
    folder = tmp_path / "runs"
    folder.mkdir()
    yield folder
    while (status := status_in(folder)) is not None and is_alive(status):
        terminate(status.pid, status.process)
        time.sleep(1.0)


def status_in(folder: Path) -> RunStatus | None:
    return read_status(folder / NAME)


def is_alive(status: RunStatus) -> bool:
    return process_mark(status.pid) == status.process


def wait_until(condition: Callable[[], Any]) -> None:
    end = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < end, "it never happened"
        time.sleep(0.2)


def choose(page: Any, label: str, words: str) -> None:
    """Chooses from a list by typing, as people do."""
    box = page.get_by_role("combobox", name=label)
    box.click()
    box.fill(words)
    page.get_by_role("option").first.click()
    page.wait_for_selector(READY)


def test_a_run_is_started_stopped_and_resumed_from_the_page(
    browser: Any,
    serve: Any,
    runs: Path,
) -> None:
    server = serve(runs)
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    context.set_default_timeout(PATIENCE_SECONDS * 1000)
    page = context.new_page()
    problems: list[str] = []
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.goto(f"{server.address}/training")
    page.get_by_text("There is no run here yet").wait_for()
    page.get_by_role("link", name="New run").click()
    choose(page, "Task", "probe-target")
    choose(page, "The agent learns from", "true")
    page.get_by_role("combobox", name="Teacher").wait_for(state="detached")
    steps = page.get_by_role("spinbutton", name="Steps")
    steps.fill("500000000")
    steps.press("Enter")
    page.get_by_text("Press Enter to apply").wait_for(state="hidden")  # taken in
    page.wait_for_selector(READY)
    page.get_by_role("button", name="Start", exact=True).click()

    page.wait_for_url(f"**/training?run={NAME}")
    page.get_by_text("The agent trains on the true reward").wait_for()
    page.get_by_test_id("stVegaLiteChart").first.wait_for()
    page.get_by_role("button", name="Stop", exact=True).click()
    page.get_by_text("The run has stopped at step").wait_for()
    stopped = status_in(runs)
    assert stopped is not None
    assert stopped.state is State.STOPPED
    assert stopped.step > 0
    assert list((runs / NAME / "checkpoints").glob("*.pt"))

    page.get_by_role("button", name="Resume", exact=True).click()
    page.get_by_text("The agent trains on the true reward").wait_for()
    wait_until(lambda: (now := status_in(runs)) is not None and now.step > stopped.step)
    assert problems == []
    context.close()
    server.kill()
    status = status_in(runs)
    assert status is not None
    time.sleep(1.0)
    assert is_alive(status)
