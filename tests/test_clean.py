"""`prefrl clean` deletes what can be made again, shows it first, and never the answers of people."""

from __future__ import annotations

import hashlib
import io
import json
import os
import sys
import time
from pathlib import Path

import pytest

from experiments.clean import CleanConfig, describe_run, run_clean
from prefrl.errors import UsageError
from prefrl.feedback import Kind, Query
from prefrl.store.feedback_store import FeedbackStore


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A finished run: three checkpoints, one left aside, two clips, two segments."""
    folder = tmp_path / "runs" / "demo"
    for part in ("checkpoints", "clips", "segments"):
        (folder / part).mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps({"config": {}, "versions": {}}))
    (folder / "metrics.jsonl").write_text("{}\n")
    (folder / "summary.json").write_text("{}")
    (folder / "events.out.tfevents.1.host").write_bytes(b"e" * 4_000_000)
    for step in (100, 300, 200):
        write_checkpoint(folder, step)
    (folder / "checkpoints" / ".checkpoint.77.aside").write_bytes(b"a" * 1_000_000)
    (folder / "segments" / "layout.json").write_text("{}")
    for name in ("clips/a.webp", "clips/b.webp", "segments/asked.npz", "segments/other.npz"):
        (folder / name).write_bytes(b"c" * 500_000)
    with FeedbackStore(folder / "feedback.sqlite") as store:
        store.add_queries([Query(id="query", run="demo", kind=Kind.PAIR, items=("asked", "elsewhere"))])
    os.utime(folder / "metrics.jsonl", (1000, 1000))
    return folder


def write_checkpoint(run: Path, step: int) -> Path:
    content = step.to_bytes(2) * 500_000
    path = run / "checkpoints" / f"checkpoint-{step:012d}-{hashlib.sha256(content).hexdigest()[:32]}.pt"
    path.write_bytes(content)
    return path


def steps(run: Path) -> list[int]:
    return [int(name.split("-")[1]) for name in names(run / "checkpoints")]


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_clips_and_old_checkpoints_go_and_the_rest_stays(run: Path) -> None:
    before = names(run)
    assert run_clean(CleanConfig(runs=(run,), yes=True)) == 0
    assert names(run) == before
    assert steps(run) == [300]
    assert names(run / "clips") == []
    assert names(run / "segments") == ["asked.npz", "layout.json", "other.npz"]


def test_more_checkpoints_are_kept_on_request(run: Path) -> None:
    run_clean(CleanConfig(runs=(run,), keep_checkpoints=2, yes=True))
    assert steps(run) == [200, 300]


def test_a_torn_checkpoint_goes_and_the_whole_one_before_it_stays(run: Path) -> None:
    torn = write_checkpoint(run, 400)
    torn.write_bytes(torn.read_bytes()[:-1])
    run_clean(CleanConfig(runs=(run,), yes=True))
    assert steps(run) == [300]
    newest = next((run / "checkpoints").iterdir())
    newest.write_bytes(b"torn as well")
    run_clean(CleanConfig(runs=(run,), yes=True))
    assert steps(run) == [300]


def test_segments_that_no_query_names_go_only_when_asked_for(run: Path) -> None:
    run_clean(CleanConfig(runs=(run,), segments=True, yes=True))
    assert names(run / "segments") == ["asked.npz", "layout.json"]


def test_without_a_store_beside_it_no_segment_is_deleted(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (run / "feedback.sqlite").unlink()
    run_clean(CleanConfig(runs=(run,), segments=True, yes=True))
    assert names(run / "segments") == ["asked.npz", "layout.json", "other.npz"]
    assert "so all are kept" in capsys.readouterr().out


def test_only_all_deletes_the_store_and_then_the_whole_run(run: Path) -> None:
    run_clean(CleanConfig(runs=(run,), segments=True, yes=True))
    assert (run / "feedback.sqlite").is_file()
    run_clean(CleanConfig(runs=(run, run), all=True, yes=True))
    assert names(run.parent) == []


def test_sizes_are_shown_by_part_before_anything_is_deleted(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run_clean(CleanConfig(runs=(run,)))  # stdin is no terminal here
    shown = capsys.readouterr().out
    assert "checkpoints 4.0 MB, clips 1.0 MB, segments 1.0 MB, tensorboard 4.0 MB" in shown
    assert f"{run / 'checkpoints'}: 3 of 4, 3.0 MB" in shown
    assert f"{run / 'clips'}: 2 of 2, 1.0 MB" in shown
    assert "add --yes" in shown
    assert len(names(run / "checkpoints")) == 4


@pytest.mark.parametrize(("answer", "left"), [("y\n", 0), ("n\n", 2), ("\n", 2)])
def test_only_a_yes_on_the_terminal_deletes(
    run: Path, monkeypatch: pytest.MonkeyPatch, answer: str, left: int
) -> None:
    terminal = io.StringIO(answer)
    monkeypatch.setattr(terminal, "isatty", lambda: True)
    monkeypatch.setattr(sys, "stdin", terminal)
    run_clean(CleanConfig(runs=(run,)))
    assert len(names(run / "clips")) == left


def test_a_second_time_there_is_nothing_to_delete(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run_clean(CleanConfig(runs=(run,), yes=True))
    run_clean(CleanConfig(runs=(run,), yes=True))
    assert capsys.readouterr().out.endswith("nothing to delete\n")


def test_what_links_point_to_survives(run: Path, tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "thesis.txt").write_text("years of work")
    (run / "clips" / "link").symlink_to(precious)
    run_clean(CleanConfig(runs=(run,), yes=True))
    run_clean(CleanConfig(runs=(run,), all=True, yes=True))
    assert names(precious) == ["thesis.txt"]


@pytest.mark.parametrize("text", [None, "", "[]", '{"model_type": "llama"}'])
def test_a_folder_that_is_no_run_is_refused(run: Path, text: str | None) -> None:
    (run / "config.json").unlink()
    if text is not None:
        (run / "config.json").write_text(text)
    with pytest.raises(UsageError, match="is no run folder"):
        run_clean(CleanConfig(runs=(run,), all=True, yes=True))
    assert run.is_dir()


def test_a_bad_folder_among_good_ones_stops_everything(run: Path) -> None:
    with pytest.raises(UsageError, match="is no folder"):
        run_clean(CleanConfig(runs=(run, run / "missing"), yes=True))
    assert len(names(run / "clips")) == 2


def test_a_run_that_is_still_writing_is_refused(run: Path) -> None:
    (run / "summary.json").unlink()
    os.utime(run / "metrics.jsonl", (time.time() - 5, time.time() - 5))
    with pytest.raises(UsageError, match=r"was written to \d s ago"):
        run_clean(CleanConfig(runs=(run,), yes=True))


def test_the_present_folder_is_refused(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(run / "clips")
    with pytest.raises(UsageError, match="change to another one"):
        run_clean(CleanConfig(runs=(run,), all=True, yes=True))


def test_impossible_settings_are_refused(run: Path) -> None:
    with pytest.raises(UsageError, match="no run to clean"):
        CleanConfig(runs=())
    with pytest.raises(UsageError, match="keep at least 1"):
        CleanConfig(runs=(run,), keep_checkpoints=0)


def test_a_run_is_described_in_one_line(run: Path) -> None:
    assert describe_run(run).startswith(f"{run}  10.")
    assert "\n" not in describe_run(run)
