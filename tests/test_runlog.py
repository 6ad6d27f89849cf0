"""Run folders: what was logged is read back, also after a crash and a resume."""

import json
import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_disk import files_limited_to

from prefrl.errors import UsageError
from prefrl.runs.log import RunFolder, read_metrics
from prefrl.runs.provenance import git_commit, provenance


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    return RunFolder.create(
        tmp_path / "run", {"task": "hopper", "seed": 3, "fit": {"rate": 3e-4, "path": tmp_path}}
    )


def scalars(folder: Path, tag: str) -> list[tuple[int, float]]:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(folder))
    events.Reload()
    return [(event.step, event.value) for event in events.Scalars(tag)]


def test_the_configuration_is_kept_with_what_the_run_depended_on(run: RunFolder, tmp_path: Path) -> None:
    opened = RunFolder.open(run.path)
    assert opened.config == {"task": "hopper", "seed": 3, "fit": {"rate": 3e-4, "path": str(tmp_path)}}
    kept = opened.provenance()
    assert kept["python"] == ".".join(map(str, sys.version_info[:3]))
    assert kept["versions"]["numpy"] == np.__version__
    assert kept["cores"] >= 1
    assert {"commit", "platform"} <= kept.keys()


def test_an_existing_run_is_refused_naming_resume_and_anything_else_is_left_alone(
    run: RunFolder, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match="holds a run already: continue it with --resume"):
        RunFolder.create(run.path, {})
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "thesis.tex").write_text("years of work")
    with pytest.raises(UsageError, match="not empty and holds no run"):
        RunFolder.create(tmp_path / "other", {})
    with pytest.raises(UsageError, match="there is no run in"):
        RunFolder.open(tmp_path / "other")
    with pytest.raises(UsageError, match="part of the path is a file"):
        RunFolder.create(tmp_path / "other" / "thesis.tex" / "run", {})
    (tmp_path / "empty").mkdir()
    RunFolder.create(tmp_path / "empty", {})


def test_rows_come_back_with_nan_and_infinities_as_null(run: RunFolder) -> None:
    with run:
        run.log({"step": np.int64(5), "loss": np.float32(0.5), "none": None, "text": "x", "flag": np.True_})
        run.log({"step": 10, "loss": math.nan, "high": math.inf, "curve": np.array([1.0, -math.inf])})
    assert run.read_metrics() == [
        {"step": 5, "loss": 0.5, "none": None, "text": "x", "flag": True},
        {"step": 10, "loss": None, "high": None, "curve": [1.0, None]},
    ]
    assert scalars(run.path, "loss") == [(5, 0.5)]


def test_a_row_is_readable_as_soon_as_it_is_logged(run: RunFolder) -> None:
    run.log({"step": 1, "loss": 2.0})
    assert read_metrics(run.path) == [{"step": 1, "loss": 2.0}]
    assert scalars(run.path, "loss") == [(1, 2.0)]
    run.close()


def test_a_row_without_a_step_is_a_mistake_of_the_caller(run: RunFolder) -> None:
    with pytest.raises(TypeError, match="step is None"):
        run.log({"loss": 1.0})


@given(
    lengths=st.lists(st.integers(0, 3000), max_size=12),
    tail=st.integers(0, 15),
    torn=st.sampled_from([b"", b'{"st', b'{"step": 99, "x": "t', "ü".encode()[:1]]),
)
def test_the_tail_is_the_end_of_all_rows_whatever_their_length(
    lengths: list[int], tail: int, torn: bytes, tmp_path_factory: pytest.TempPathFactory
) -> None:
    file = tmp_path_factory.mktemp("metrics") / "metrics.jsonl"
    rows = [{"step": step, "text": "x" * length * 20} for step, length in enumerate(lengths)]
    file.write_bytes("".join(json.dumps(row) + "\n" for row in rows).encode() + torn)
    assert read_metrics(file) == rows
    assert read_metrics(file, tail=tail) == rows[max(0, len(rows) - tail) :]


def test_no_file_has_no_rows_and_lines_that_are_no_rows_are_left_out(tmp_path: Path) -> None:
    assert read_metrics(tmp_path) == []
    assert read_metrics(tmp_path, tail=3) == []
    (tmp_path / "metrics.jsonl").write_bytes(b'{"step": 1}\nnonsense\n[1]\n{"loss": 2}\n\n{"step": 2}\n')
    assert read_metrics(tmp_path) == [{"step": 1}, {"step": 2}]


def test_truncating_drops_later_rows_and_the_resumed_run_writes_them_again(run: RunFolder) -> None:
    with run:
        for step in (100, 200, 300, 400):
            run.log({"step": step, "loss": float(step)})
    with (run.path / "metrics.jsonl").open("ab") as file:
        file.write(b'{"step": 500, "lo')
    resumed = RunFolder.open(run.path)
    resumed.truncate_after(200)
    assert resumed.read_metrics() == [{"step": 100, "loss": 100.0}, {"step": 200, "loss": 200.0}]
    with resumed:
        resumed.log({"step": 300, "loss": 0.5})
    assert [row["loss"] for row in resumed.read_metrics()] == [100.0, 200.0, 0.5]
    assert scalars(run.path, "loss") == [(100, 100.0), (200, 200.0), (300, 0.5)]


def test_truncating_a_run_that_logged_nothing_does_nothing(run: RunFolder) -> None:
    run.truncate_after(0)
    assert run.read_metrics() == []


def test_logging_after_a_crash_does_not_join_a_torn_line(run: RunFolder) -> None:
    (run.path / "metrics.jsonl").write_bytes(b'{"step": 1}\n{"step": 2, "lo')
    with run:
        run.log({"step": 2})
    assert (run.path / "metrics.jsonl").read_bytes() == b'{"step": 1}\n{"step": 2}\n'


def test_a_summary_is_there_whole_or_not_at_all(run: RunFolder) -> None:
    assert run.read_summary() is None
    run.write_summary({"task": "hopper", "true_return_mean": np.float64(3.5), "reward_correlation": math.nan})
    assert run.read_summary() == {"task": "hopper", "true_return_mean": 3.5, "reward_correlation": None}
    (run.path / "summary.json").write_text('{"task"')
    with pytest.raises(UsageError, match="is damaged"):
        run.read_summary()
    (run.path / "summary.json").write_text("[]")
    with pytest.raises(UsageError, match="holds no JSON object"):
        run.read_summary()


def test_a_full_disk_gives_a_clear_error_and_whole_rows(run: RunFolder) -> None:
    run.write_summary({"kept": True})
    with files_limited_to(5_000):
        with pytest.raises(UsageError, match=r"cannot write .*summary\.json: the file would exceed"):
            run.write_summary({"large": "x" * 10_000})
        with pytest.raises(UsageError, match=r"cannot write .*metrics\.jsonl: the file would exceed"):
            log_steps(run, range(10_000))
    assert run.read_summary() == {"kept": True}
    rows = run.read_metrics()
    assert len(rows) > 10
    assert [row["step"] for row in rows] == list(range(len(rows)))
    assert not list(run.path.glob(".*aside"))
    run.close()
    with run:
        log_steps(run, range(len(rows), 1000))
    assert [row["step"] for row in run.read_metrics()] == list(range(1000))


def log_steps(run: RunFolder, steps: range) -> None:
    for step in steps:
        run.log({"step": step})


def git(folder: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=a", "-c", "user.email=a@b"]
    done = subprocess.run(
        ["git", *identity, *arguments], cwd=folder, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def test_the_commit_is_that_of_the_checkout_itself_and_says_when_files_differ(tmp_path: Path) -> None:
    assert git_commit(tmp_path) is None
    git(tmp_path, "init", "--quiet")
    assert git_commit(tmp_path) is None
    (tmp_path / "code.py").write_text("1")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "--quiet", "-m", "first")
    commit = git(tmp_path, "rev-parse", "HEAD")
    (tmp_path / "untracked").write_text("")
    assert git_commit(tmp_path) == commit
    (tmp_path / "code.py").write_text("2")
    assert git_commit(tmp_path) == f"{commit}-dirty"
    (tmp_path / "site-packages").mkdir()
    assert git_commit(tmp_path / "site-packages") is None


def test_where_there_is_no_repository_a_variable_may_name_the_commit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PREFRL_COMMIT", "named")
    assert provenance()["commit"] == git_commit(Path(__file__).resolve().parents[1])
    monkeypatch.setenv("PATH", "")
    assert provenance()["commit"] == "named"


def test_without_git_there_is_no_commit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert git_commit(tmp_path) is None


def test_opening_and_reading_a_run_loads_neither_torch_nor_tensorboard(run: RunFolder) -> None:
    code = (
        "import sys; from prefrl.runs.log import RunFolder; RunFolder.open(sys.argv[1]).read_metrics();"
        "print({'torch', 'tensorboard', 'sqlalchemy'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code, run.path], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_logging_to_tensorboard_does_not_load_torch(run: RunFolder) -> None:
    code = (
        "import sys; from prefrl.runs.log import RunFolder; RunFolder.open(sys.argv[1]).log({'step': 1});"
        "print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code, run.path], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def row_of(value: Any) -> dict[str, Any]:
    return {"step": 1, "value": value}


def test_torch_numbers_are_logged_as_numbers(run: RunFolder) -> None:
    torch = pytest.importorskip("torch")
    with run:
        run.log(row_of(torch.tensor(2.5)))
    assert run.read_metrics() == [row_of(2.5)]
