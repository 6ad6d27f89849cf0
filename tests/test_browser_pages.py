"""Every page in the app's navigation, in a real browser: at rest without errors, and usable by everybody."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe

from experiments.bench_app import BenchAppConfig, run_bench_app
from experiments.bench_pages import WatchedPage, page_addresses, visit_pages
from experiments.browser import new_page
from experiments.sample_runs import SIZES, make_human_run
from prefrl.errors import UsageError
from prefrl.store.feedback_store import FeedbackStore

SERIOUS = {"serious", "critical"}
STREAMLITS_OWN = ["[data-testid=stCode]"]
"""Elements whose looks we cannot choose: the colours of its highlighted code are too pale for axe."""


@pytest.fixture
def context(browser: Any) -> Iterator[Any]:
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    yield context
    context.close()


@pytest.mark.browser
@pytest.mark.parametrize("size", ["empty", "small", "damaged"])
def test_every_page_comes_to_rest_without_errors_and_axe_finds_nothing_serious(
    context: Any, serve: Any, tmp_path: Path, size: str
) -> None:
    SIZES[size](tmp_path / size)
    server = serve(tmp_path / size)
    pages = page_addresses(context, server)
    assert len(pages) >= 2
    for name, address in pages:
        watched = WatchedPage(context)
        watched.open(address)
        assert watched.problem == "", name
        assert serious_faults(watched.page) == [], name
        watched.page.close()


@pytest.mark.browser
def test_what_axe_would_find_is_found(context: Any) -> None:
    page = new_page(context)
    page.set_content("<html lang='en'><title>x</title><main><h1>x</h1><button></button></main></html>")
    assert serious_faults(page) == ["button-name: button"]


@pytest.mark.browser
def test_what_goes_wrong_on_a_page_is_noticed(context: Any, tmp_path: Path) -> None:
    (tmp_path / "page.html").write_text(
        """<div data-testid="stApp" data-test-connection-state="CONNECTED"
        data-test-script-state="notRunning">
        <div data-testid="stMain">words <p data-testid="stException">a red box</p></div></div>
        <script>console.error("loud"); setTimeout(() => nowhere(), 0);</script>"""
    )
    watched = WatchedPage(context)
    watched.open((tmp_path / "page.html").as_uri())
    watched.page.wait_for_timeout(200)
    assert "a red box" in watched.problem
    assert "loud" in watched.problem
    assert "nowhere" in watched.problem


@pytest.mark.browser
def test_pages_are_timed_on_a_folder_of_a_size(browser: Any, tmp_path: Path) -> None:
    said: list[str] = []
    visits = visit_pages(browser, tmp_path / "empty", "empty", times=2, say=said.append)
    assert [visit.problem for visit in visits] == [""] * len(visits)
    assert all(len(visit.seconds) == 2 and min(visit.seconds) > 0 for visit in visits)
    assert {"Label", "Runs"} <= {visit.page for visit in visits}
    assert len(said) == len(visits)


def test_a_sample_run_holds_what_it_says(tmp_path: Path) -> None:
    make_human_run(tmp_path / "human", answers=100, rows=10)
    with FeedbackStore(tmp_path / "human" / "feedback.sqlite") as store:
        counts = store.counts("human")
        assert (counts.queries, counts.labels + counts.skips, counts.open) == (120, 100, 20)


def test_impossible_settings_are_refused() -> None:
    with pytest.raises(UsageError, match="--visits at least 1"):
        run_bench_app(BenchAppConfig(visits=0))


def serious_faults(page: Any) -> list[str]:
    """What axe-core calls serious or critical: rule and element, Streamlit's own left out."""
    context = {"exclude": [[element] for element in STREAMLITS_OWN]}
    violations = Axe().run(page, context).response["violations"]
    return [
        f"{found['id']}: {_where(node)}"
        for found in violations
        if found["impact"] in SERIOUS
        for node in found["nodes"]
    ]


def _where(node: dict[str, Any]) -> str:
    return " ".join(part if isinstance(part, str) else " ".join(part) for part in node["target"])
