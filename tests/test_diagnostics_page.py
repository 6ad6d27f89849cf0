"""The page on how far a learned reward can be trusted: on nothing, on much, on damage, on alarm."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import streamlit as st
from fake_runs import make_run
from streamlit.testing.v1 import AppTest

from prefrl.calibration import calibration
from prefrl.clip_files import ClipNote, save_note
from prefrl.diagnostics import (
    FOLDER,
    ComparedPair,
    ComparedSegment,
    FreshAnswer,
    SessionReport,
    save_session,
)
from prefrl.saliency_files import SaliencyNote, save_saliency
from ui import here
from ui.compared_clips import DRAWING_SECONDS
from ui.diagnostic_charts import agreement_rows, alarm_rows, calibration_rows


def page() -> None:
    from ui.page_diagnostics import diagnostics_page

    diagnostics_page()


def session(number: int, *, answers: int = 12, right: float = 0.75, **changes: Any) -> SessionReport:
    """A session whose answers agree with the given share of predictions."""
    given = [1.0 if place < right * answers else 0.0 for place in range(answers)]
    rng = np.random.default_rng(number)
    points = tuple((float(x), float(x + y)) for x, y in rng.normal(size=(40, 2)))
    steps = tuple(rng.normal(size=10).tolist())
    pair = ComparedPair("query", 0.8, 1.0, ComparedSegment("left", steps), ComparedSegment("right", steps))
    report = SessionReport(
        session=number, step=1000 * number, labels=answers * number, points=points, correlation=0.7,
        answers=tuple(FreshAnswer(f"{number} {place}", 0.8, y) for place, y in enumerate(given)),
        disagreement=0.02, rise=0.1, evidence=2.0, threshold=400.0, pairs=(pair,),
    )  # fmt: skip
    return replace(report, **changes)


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder of runs that the page looks at."""
    monkeypatch.setenv(here.FOLDER, str(tmp_path))
    here.workplace.clear()
    yield tmp_path
    here.workplace.clear()


def shown() -> AppTest:
    app = AppTest.from_function(page, default_timeout=120).run()
    assert not app.exception
    return app


def words(app: AppTest) -> str:
    parts = (app.markdown, app.caption, app.error, app.warning, app.success, app.info, app.header, app.code)
    return "\n".join(str(one.value) for part in parts for one in part)


def test_without_a_run_the_page_says_how_to_start_one(runs: Path) -> None:
    make_run(runs / "baseline", reward="true")
    assert "prefrl train half-cheetah" in words(shown())


def test_a_run_before_its_first_session_says_so(runs: Path) -> None:
    make_run(runs / "run")
    assert "nothing to show yet" in words(shown())


def test_a_run_is_shown_in_numbers_charts_and_tables(runs: Path) -> None:
    make_run(runs / "run")
    for number in range(1, 5):
        save_session(runs / "run", session(number))
    app = shown()
    assert [metric.value for metric in app.metric] == ["75%", "0.05", "0.70", "+10%"]
    assert "No sign of reward hacking" in words(app)
    assert len(app.expander) == 5
    assert "rank correlation 0.70" in words(app)


def test_the_first_session_alone_has_no_fresh_answers_and_is_shown(runs: Path) -> None:
    make_run(runs / "run")
    bare = session(0, answers=0, points=(), pairs=(), correlation=None, disagreement=None, rise=None)
    save_session(runs / "run", bare)
    app = shown()
    assert [metric.value for metric in app.metric] == ["–", "–", "–", "–"]
    assert "No fresh answer has been judged yet" in words(app)


def test_an_alarm_that_rang_is_told_at_every_later_session(runs: Path) -> None:
    make_run(runs / "run")
    save_session(runs / "run", session(1, rang=True))
    save_session(runs / "run", session(2))
    assert "rang at step 1,000" in words(shown())


def test_the_alarms_history_is_kept_within_what_a_chart_can_show() -> None:
    silent, loud = session(1, evidence=0.0), session(2, evidence=1e12, rang=True)
    off = session(3, threshold=float("inf"))
    rows = alarm_rows([silent, loud, off])
    assert [(row["step"], row["evidence"], row["rang"]) for row in rows] == [
        (1000, 1e-2, False),
        (2000, 1e6, True),
    ]
    assert {row["rings at"] for row in rows} == {silent.threshold}


def test_an_alarm_that_is_off_is_not_taken_for_silence(runs: Path) -> None:
    make_run(runs / "run")
    save_session(runs / "run", session(1, threshold=float("inf")))
    assert "query.hacking_alarm is off" in words(shown())


def test_a_damaged_session_is_named_and_the_others_are_shown(runs: Path) -> None:
    make_run(runs / "run")
    for number in (1, 2):
        save_session(runs / "run", session(number))
    (runs / "run" / FOLDER / "session-000001.json").write_text("{")
    app = shown()
    assert "session-000001.json is damaged" in words(app)
    assert len(app.metric) == 4


def test_who_labels_sees_no_true_return_until_they_ask(runs: Path) -> None:
    make_run(runs / "run", teacher="human")
    save_session(runs / "run", session(1))
    app = shown()
    assert "Hidden, because people label this run" in words(app)
    assert "rank correlation" not in words(app)
    app.toggle[0].set_value(True).run()
    assert "rank correlation 0.70" in words(app)


def test_clips_and_what_was_looked_at_come_to_the_page_by_themselves(
    runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[float | None] = []
    fragment = st.fragment

    def watched(function: Any = None, *, run_every: float | None = None) -> Any:
        looks.append(run_every)
        return fragment(function, run_every=run_every)

    monkeypatch.setattr(st, "fragment", watched)
    make_run(runs / "run")
    save_session(runs / "run", session(1))
    assert "it is being drawn" in words(shown())
    for item in ("left", "right"):
        save_note(runs / "run", ClipNote(item, problem="its states are gone", final=True))
    assert "its states are gone" in words(shown())
    assert looks == [DRAWING_SECONDS] * 2
    for item in ("left", "right"):
        save_saliency(runs / "run", SaliencyNote(item, 1, names=("observation 0",), importance=(0.25,)))
    shown()
    assert looks == [DRAWING_SECONDS] * 2  # nothing more is to come


def test_what_matters_to_a_reward_on_numbers_is_listed(runs: Path) -> None:
    make_run(runs / "run")
    save_session(runs / "run", session(1))
    for item in ("left", "right"):
        note = SaliencyNote(item, 1, names=("observation 0", "action 0"), importance=(0.25, 0.5))
        save_saliency(runs / "run", note)
    app = shown()
    table = app.dataframe[-1].value
    assert table["input"].tolist() == ["action 0", "observation 0"]


def test_agreement_takes_a_few_sessions_together() -> None:
    rows = agreement_rows([session(0, answers=0), session(1, right=1.0), session(2, right=0.5)])
    assert [row["step"] for row in rows] == [1000, 2000]
    assert rows[1]["agreement"] == pytest.approx(0.75)
    assert rows[1]["answers"] == 24
    assert rows[1]["lower"] < 0.75 < rows[1]["upper"]
    assert rows[1]["expected"] == pytest.approx(0.8)


def test_the_calibration_table_leaves_out_empty_bins() -> None:
    rows = calibration_rows(calibration([0.1, 0.15, 0.9], [0.0, 1.0, 1.0], bins=10))
    assert [row["answers"] for row in rows] == [2, 1]
    assert rows[0]["predicted"] == pytest.approx(0.125)
    assert rows[0]["answered left"] == pytest.approx(0.5)
