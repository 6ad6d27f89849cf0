"""Learned-reward runs beside true-reward runs, in figures and curves."""

import csv
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fake_runs import make_run
from page_tests import opened, shown_runs, words

from prefrl.runs.groups import group_runs
from prefrl.runs.summary import summarise_groups
from prefrl.statistics import normalised_score
from ui import here, page_baselines
from ui.charts import columns, in_words, spec
from ui.csv_text import csv_text
from ui.page_baselines import return_chart, table
from ui.shelf import Shelf
from ui.words import plain
from ui.workplace import Workplace


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    yield from shown_runs(tmp_path, monkeypatch)


def baselines_page() -> Any:
    def script() -> None:
        from ui.page_baselines import baselines_page

        baselines_page()

    return opened(script)


def fill(folder: Path) -> None:
    for seed in range(3):
        make_run(folder / f"true-{seed}", reward="true", seed=seed, top=2000.0)
        make_run(folder / f"learned-{seed}", seed=seed, done=0.5 if seed == 2 else 1.0)


@pytest.mark.usefixtures("runs")
def test_without_runs_the_page_says_how_to_make_some() -> None:
    assert "nothing to compare yet" in words(baselines_page())


def test_methods_stand_side_by_side_with_intervals_over_seeds(runs: Path) -> None:
    fill(runs)
    page = baselines_page()
    rows = page.dataframe[0].value.to_dict("records")
    assert [(row["method"], row["seeds"], row["of"]) for row in rows] == [
        ("true reward, ppo", 3, 3),
        ("700 oracle labels, ppo", 2, 3),
    ]
    finished = [here.shelf().runs()[0][index] for index in (0, 1)]
    partners = [here.shelf().runs()[0][index] for index in (3, 4)]
    expected = normalised_score(
        [run.number("true_return_mean") for run in finished],
        [run.number("untrained_return_mean") for run in finished],
        [run.number("true_return_mean") for run in partners],
    )
    assert rows[1]["normalised score"] == pytest.approx(expected)
    assert rows[1]["normalised score, from"] <= expected <= rows[1]["normalised score, to"]
    assert rows[1]["labels"] == 700
    page.segmented_control[0].set_value("labels").run()
    assert not page.exception
    page.segmented_control[0].set_value("minutes").run()
    assert "Not drawn, for want of human minutes: true reward, ppo; 700 oracle labels, ppo" in words(page)


def test_what_cannot_be_read_is_named_and_left_out(runs: Path) -> None:
    fill(runs)
    (runs / "learned-0" / "summary.json").write_text("{")
    (runs / "learned-1" / "config.json").write_text("{")
    said = words(baselines_page())
    assert "learned-0 is left out" in said
    assert "summary.json is damaged" in said
    assert "learned-1 is left out" in said


def test_over_labels_the_baseline_is_a_level_line(runs: Path) -> None:
    fill(runs)
    found, _ = Shelf(Workplace(runs)).runs()
    groups, _ = group_runs(found)
    chart = return_chart(groups, "labels", lambda _run: np.zeros(0))
    base, learned = chart.lines["true reward, ppo"], chart.lines["700 oracle labels, ppo"]
    assert base.x == [0.0, learned.x[-1]]
    (summary,) = [one for one in summarise_groups(groups, seed=0) if one.group.reward == "true"]
    assert summary.true_return is not None
    assert base.y == [summary.true_return.estimate] * 2
    assert 170 < learned.x[0] < learned.x[-1] <= 700
    assert all(low <= y <= up for low, y, up in zip(learned.lower, learned.y, learned.upper, strict=True))


def test_the_table_as_csv_has_the_numbers_and_no_formula(runs: Path) -> None:
    make_run(runs / "evil", task="=cmd|' /C calc'!A0", untrained=-280.0)
    found, _ = Shelf(Workplace(runs)).runs()
    rows = table(summarise_groups(group_runs(found)[0]))
    (row,) = csv.DictReader(io.StringIO(csv_text(rows), newline=""))
    assert row["task"].startswith("'=")
    assert float(row["untrained"]) == pytest.approx(-280.0, abs=20)
    assert row["true return, from"] == ""


def test_runs_are_read_again_only_where_they_have_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ui import shelf as module

    read: list[str] = []
    real = module.read_run
    monkeypatch.setattr(module, "read_run", lambda path: (read.append(path.name), real(path))[1])
    folder = tmp_path / "runs"
    for name in ("a", "b"):
        make_run(folder / name, seed=ord(name))
    shelf = Shelf(Workplace(folder))
    for _ in range(3):
        assert len(shelf.runs()[0]) == 2
    assert sorted(read) == ["a", "b"]
    with (folder / "a" / "metrics.jsonl").open("a") as file:
        file.write('{"step": 1000001, "true_return": 1}\n')
    shelf.runs()
    assert sorted(read) == ["a", "a", "b"]


def test_a_chart_is_told_in_words_and_told_apart_by_more_than_colour(runs: Path) -> None:
    fill(runs)
    groups, _ = group_runs(Shelf(Workplace(runs)).runs()[0])
    chart = return_chart(groups, "steps", lambda _run: np.zeros(0))
    assert "true reward, ppo: " in in_words(chart)
    line = next(one for one in spec(chart)["layer"] if one["mark"]["type"] == "line")
    assert line["encoding"]["strokeDash"]["field"] == "series"
    points = columns(chart)
    assert len({len(column) for column in points.values()}) == 1
    assert len(points["x"]) <= 2 * 121


def test_text_from_files_is_shown_as_text() -> None:
    assert plain("a_b [x](y) <i> $z$ :red-badge[no]") == (
        "a\\_b \\[x\\]\\(y\\) \\<i\\> \\$z\\$ \\:red-badge\\[no\\]"
    )


def test_page_and_report_say_the_same(runs: Path) -> None:
    fill(runs)
    found, _ = Shelf(Workplace(runs)).runs()
    page = table(summarise_groups(group_runs(found)[0], seed=page_baselines.SEED))
    from experiments.report import summarise

    report, _ = summarise(found)
    assert [row["true return"] for row in page] == [one.true_return.estimate for one in report]  # type: ignore[union-attr]
    assert [row["true return, to"] for row in page] == [one.true_return.upper for one in report]  # type: ignore[union-attr]
