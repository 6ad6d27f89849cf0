"""The pages to start and watch runs on, as Streamlit runs them: they say what is, on whatever they find."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fake_runs import make_run
from page_tests import opened, show, shown_runs, store_of, tell, words
from streamlit.testing.v1 import AppTest

from prefrl.runs.log import METRICS, OUTPUT, read_metrics
from ui import page_start, run_control
from ui.run_request import Catalogue, TaskDefaults

CATALOGUE = Catalogue(
    {
        "hopper": TaskDefaults("hopper", "MuJoCo task", 1_000_000, 700),
        "pong": TaskDefaults("pong", "Atari game", 1_500_000, 1400),
    },
    ("learned", "true"),
    ("oracle", "human"),
)


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    yield from shown_runs(tmp_path, monkeypatch)


def training_page(run: str | None = None) -> AppTest:
    def script() -> None:
        from ui.page_training import training_page

        training_page()

    return opened(script, run)


def start_page() -> AppTest:
    def script() -> None:
        from ui.page_start import start_page

        start_page()

    return opened(script)


def test_without_a_run_the_page_says_how_to_start_one(runs: Path) -> None:
    assert "no run here yet" in words(training_page())
    assert list(runs.iterdir()) == []


def test_a_run_that_goes_on_is_shown_with_its_numbers(runs: Path) -> None:
    folder = make_run(runs / "mine", done=0.6)
    store_of(folder, labels=3, skips=1)
    tell(folder)
    page = training_page("mine")
    said = words(page)
    assert "The agent trains" in said
    assert "3 of 700 labels, 1 skipped, by the oracle teacher" in said
    assert [metric.label for metric in page.metric] == [
        "True return",
        "Learned return",
        "Held-out agreement",
        "Labels",
        "Steps/s",
    ]
    assert page.metric[3].value == "3 of 700"
    assert "4 of 4 clips are being drawn" in said
    page.toggle[0].set_value(True).run()
    assert len(page.dataframe[0].value) == len(read_metrics(folder))
    assert not page.exception


def test_a_run_of_people_says_what_is_due_and_what_it_waits_for(runs: Path) -> None:
    folder = make_run(runs / "mine", done=0.0, teacher="human", labels=10)
    store_of(folder, labels=2)
    tell(folder, state="waiting", message="3 of the first 5 labels")
    said = words(training_page())
    assert "The agent waits for 3 of the first 5 labels." in said
    assert "2 of 10 labels: 8 are still due, 4 pairs wait to be answered." in said
    assert "Nothing to draw yet" in said


def test_a_run_on_the_true_reward_asks_nothing_and_shows_no_labels(runs: Path) -> None:
    tell(make_run(runs / "base", reward="true", done=0.5))
    page = training_page()
    assert "trains on the true reward" in words(page)
    assert [metric.label for metric in page.metric] == ["True return", "Steps/s"]
    assert "Latest clips" not in words(page)


def test_a_finished_run_shows_what_it_came_to(runs: Path) -> None:
    folder = make_run(runs / "done", top=2800.0)
    store_of(folder, labels=6)
    page = training_page()
    assert "The run has ended." in words(page)
    assert page.metric[0].label == "Final true return"
    assert not page.button


@pytest.mark.parametrize(
    ("status", "sentence"),
    [
        ({"state": "stopped"}, "has stopped at step 600,000"),
        ({"state": "failed", "message": "a loss is not finite"}, "has failed: a loss is not finite"),
        ({"pid": 2**22 + 1, "host": None}, "process is gone"),
    ],
)
def test_a_run_that_has_stopped_says_so_and_can_be_resumed(
    runs: Path, monkeypatch: pytest.MonkeyPatch, status: dict[str, Any], sentence: str
) -> None:
    folder = make_run(runs / "mine", done=0.6)
    store_of(folder)
    tell(folder, **{name: value or __import__("socket").gethostname() for name, value in status.items()})
    (folder / OUTPUT).write_text("<b>out of memory</b>")
    resumed: list[str] = []
    monkeypatch.setattr(run_control.RunControl, "resume", lambda _self, name: resumed.append(name))
    page = training_page()
    assert sentence in words(page)
    assert ("<b>out of memory</b>" in words(page)) == (status.get("state") != "stopped")
    page.button[0].click().run()
    assert resumed == ["mine"]


def test_a_refusal_of_a_button_is_shown(runs: Path) -> None:
    folder = make_run(runs / "mine", done=0.6)
    store_of(folder)
    tell(folder, state="stopped")
    page = training_page()
    (folder / "summary.json").write_text("{}")
    page.button[0].click().run()
    assert "there is nothing to resume" in words(page)
    assert not page.exception


@pytest.mark.parametrize(
    ("file", "content", "said"),
    [
        ("config.json", "{", "config.json is damaged"),
        ("config.json", "[]", "holds no JSON object"),
        ("summary.json", "{nope", "summary.json is damaged"),
        ("feedback.sqlite", "this is no database, however long it may be" * 100, "feedback.sqlite"),
        ("feedback.sqlite", None, "there is no store"),
        ("metrics.jsonl", "\x00\xff garbage\n{}\n", "Nothing to draw yet"),
        ("status.json", "[[[", "has not said what it is doing"),
    ],
)
def test_what_is_damaged_is_named_and_the_rest_is_shown(
    runs: Path, file: str, content: str | None, said: str
) -> None:
    folder = make_run(runs / "mine", done=0.6)
    store_of(folder)
    tell(folder)
    if content is None:
        (folder / file).unlink()
    else:
        (folder / file).write_text(content)
    assert said in words(training_page())


def test_metrics_that_cannot_be_read_are_named(runs: Path) -> None:
    folder = make_run(runs / "mine", done=0.6)
    store_of(folder)
    (folder / METRICS).unlink()
    (folder / METRICS).mkdir()
    assert "cannot read" in words(training_page())


@pytest.mark.parametrize("address", ["../../etc", "nowhere", "<script>", ""])
def test_a_run_in_the_address_is_looked_up_or_another_is_shown(runs: Path, address: str) -> None:
    store_of(make_run(runs / "mine"))
    page = training_page(address)
    assert page.selectbox[0].value == "mine"


@pytest.mark.usefixtures("runs")
def test_the_form_starts_from_each_tasks_own_budgets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page_start, "catalogue", lambda: CATALOGUE)
    asked: list[Any] = []

    def start(_self: Any, request: Any, _catalogue: Any) -> str:
        asked.append(request)
        return "somewhere"

    monkeypatch.setattr(run_control.RunControl, "start", start)
    page = start_page()
    page.button[0].click().run()
    page.selectbox[0].set_value("pong").run()
    reward = next(one for one in page.selectbox if one.label == "The agent learns from")
    reward.set_value("true").run()
    assert [one.label for one in page.number_input] == ["Steps", "Seed"]
    page.number_input[1].set_value(3)
    page.button[0].click().run()
    first, second = asked
    assert (first.task, first.reward, first.teacher) == ("hopper", "learned", "oracle")
    assert (first.steps, first.labels, first.seed) == (1_000_000, 700, 0)
    assert (second.task, second.reward, second.steps, second.seed) == ("pong", "true", 1_500_000, 3)


def test_a_start_that_is_refused_says_why(runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page_start, "catalogue", lambda: CATALOGUE)
    monkeypatch.setattr(run_control, "MOST_AT_ONCE", 0)
    page = start_page()
    page.button[0].click().run()
    assert "0 runs started here go on" in words(page)
    assert list(runs.iterdir()) == []


def test_an_app_for_one_run_says_how_to_start_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    show(make_run(tmp_path / "only"), monkeypatch)
    assert "serve a folder of runs" in words(start_page())
