"""Runs condensed to two tables: the same report from less."""

from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from fake_runs import make_run

from experiments import readme
from experiments.report import ReportConfig, format_table, run_report, summarise
from experiments.report_curves import DRAWN
from experiments.report_data import CURVES, POINTS, RUNS, read_data, read_runs, write_data
from prefrl.errors import UsageError
from prefrl.runs.folders import read_run


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    """Two seeds on the true reward and two on labels; more rows than the condensed curves hold."""
    folder = tmp_path / "runs"
    for seed in range(2):
        make_run(folder / f"true-{seed}", reward="true", seed=seed, top=2000.0, rows=200)
        make_run(folder / f"learned-{seed}", seed=seed, rows=200)
    return folder


def test_condensed_runs_give_the_same_table(runs: Path, tmp_path: Path) -> None:
    whole = read_runs([runs])
    write_data(tmp_path / "data", whole)
    again = read_runs([tmp_path / "data"])
    assert format_table(summarise(again)[0]) == format_table(summarise(whole)[0])
    assert [run.settings for run in again] == [run.settings for run in whole]


def test_curves_are_thinned_and_end_where_they_ended(runs: Path, tmp_path: Path) -> None:
    whole = read_run(runs / "learned-0")
    write_data(tmp_path / "data", [whole])
    (thin,) = read_data(tmp_path / "data")
    assert len(thin.column("step")) == POINTS
    for key in DRAWN:
        assert thin.column(key)[-1] == pytest.approx(whole.column(key)[-1], rel=1e-4)
        known = np.interp(thin.column("step"), whole.column("step"), whole.column(key))
        present = np.isfinite(thin.column(key)) & np.isfinite(known)
        assert present.sum() >= POINTS - 1
        np.testing.assert_allclose(thin.column(key)[present], known[present], rtol=1e-4)


def test_a_number_that_only_some_rows_have_is_not_lost(runs: Path, tmp_path: Path) -> None:
    run = read_run(runs / "learned-0")
    sparse = np.full(200, np.nan)
    sparse[3] = 0.75
    write_data(
        tmp_path / "data", [type(run)(**{**vars(run), "metrics": {**run.metrics, "agreement": sparse}})]
    )
    (thin,) = read_data(tmp_path / "data")
    assert thin.column("agreement")[np.isfinite(thin.column("agreement"))].tolist() == [0.75]


def test_the_report_condenses_on_request_and_reads_what_it_wrote(
    runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run_report(ReportConfig(runs=(runs,), out=tmp_path / "a.html", data=tmp_path / "data", resamples=50))
    first = capsys.readouterr().out
    run_report(ReportConfig(runs=(tmp_path / "data",), out=tmp_path / "b.html", resamples=50))
    second = capsys.readouterr().out
    assert first.splitlines()[:-1] == second.splitlines()[:-1]
    assert "svg" in (tmp_path / "b.html").read_text()


def test_runs_that_cannot_stand_in_the_data_are_refused(runs: Path, tmp_path: Path) -> None:
    half = make_run(tmp_path / "half", done=0.5)
    with pytest.raises(UsageError, match="half has not finished"):
        write_data(tmp_path / "data", [read_run(half)])
    twin = make_run(tmp_path / "other" / "learned-0")
    with pytest.raises(UsageError, match="two runs are named learned-0"):
        write_data(tmp_path / "data", [read_run(runs / "learned-0"), read_run(twin)])
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize("name", [RUNS, CURVES])
def test_data_of_another_shape_is_refused_by_its_folder(runs: Path, tmp_path: Path, name: str) -> None:
    write_data(tmp_path / "data", read_runs([runs]))
    (tmp_path / "data" / name).write_text("a,b\n1,2\n")
    with pytest.raises(UsageError, match="are not as a report writes them"):
        read_runs([tmp_path / "data"])


def test_data_without_curves_is_refused(runs: Path, tmp_path: Path) -> None:
    write_data(tmp_path / "data", read_runs([runs]))
    (tmp_path / "data" / CURVES).unlink()
    with pytest.raises(UsageError, match="FileNotFoundError"):
        read_runs([tmp_path / "data"])


def test_condensed_runs_become_a_section_of_a_readme_and_figures(runs: Path, tmp_path: Path) -> None:
    write_data(tmp_path / "data", read_runs([runs]))
    section = readme.section(tmp_path / "data")
    assert "| half-cheetah | 700 oracle labels, ppo | 2 |" in section
    assert "4 runs of 1,000,000 steps, seeds 0, 1, commit 0123456789." in section
    (drawing,) = readme.figures(tmp_path / "data").values()
    words = [element.text for element in ElementTree.fromstring(drawing).iter() if element.text]
    assert {"half-cheetah: true return", "700 oracle labels, ppo", "true reward, ppo"} <= set(words)
