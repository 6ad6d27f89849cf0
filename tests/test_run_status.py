"""What a run says it is doing, to whoever looks at its folder."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tiny_runs import Killed, run_tiny, tiny

from prefrl.control.training import Interrupted
from prefrl.runs.status import STATUS, State, StatusWriter, read_status


def writer(folder: Path, now: list[float]) -> StatusWriter:
    return StatusWriter(folder, steps=100, budget=20, clock=lambda: now[0])


def test_what_is_written_is_read(tmp_path: Path) -> None:
    writer(tmp_path, [7.0]).write(State.WAITING, step=5, labels=3, message="2 of the first 5 labels")
    status = read_status(tmp_path)
    assert status is not None
    assert (status.state, status.step, status.steps, status.labels, status.budget) == (
        "waiting",
        5,
        100,
        3,
        20,
    )
    assert (status.message, status.time, status.pid) == ("2 of the first 5 labels", 7.0, os.getpid())
    assert not status.lost


def test_numbers_are_written_now_and_then_and_changes_at_once(tmp_path: Path) -> None:
    now, steps = [0.0], []
    status = writer(tmp_path, now)
    for step in range(10):
        now[0] = step * 0.2
        status.write(State.TRAINING, step=step)
        steps.append(read_status(tmp_path).step)  # type: ignore[union-attr]
    assert steps == [0, 0, 0, 3, 3, 3, 6, 6, 6, 9]
    status.write(State.FINISHED, step=10)
    assert read_status(tmp_path).state is State.FINISHED  # type: ignore[union-attr]


def test_a_process_that_has_gone_without_a_word_is_lost(tmp_path: Path) -> None:
    writer(tmp_path, [0.0]).write(State.TRAINING)
    gone = subprocess.run(
        [sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, text=True
    )
    values = json.loads((tmp_path / STATUS).read_text()) | {"pid": int(gone.stdout)}
    for changes, lost in (({}, True), ({"state": "finished"}, False), ({"host": "elsewhere"}, False)):
        (tmp_path / STATUS).write_text(json.dumps(values | changes))
        assert read_status(tmp_path).lost is lost  # type: ignore[union-attr]


@pytest.mark.parametrize("content", ["", "{}", "[]", '{"state": "dancing"}', "null", '{"state": "training"}'])
def test_a_status_that_cannot_be_read_is_none(tmp_path: Path, content: str) -> None:
    (tmp_path / STATUS).write_text(content)
    assert read_status(tmp_path) is None
    assert read_status(tmp_path / "nowhere") is None


def test_a_run_tells_from_its_start_to_its_end(tmp_path: Path) -> None:
    seen: list[Any] = []
    run_tiny(tmp_path / "run", watch=lambda _row: seen.append(read_status(tmp_path / "run").state))  # type: ignore[union-attr]
    assert seen[0] is State.STARTING
    assert State.TRAINING in seen
    status = read_status(tmp_path / "run")
    assert status is not None
    assert (status.state, status.step, status.labels, status.budget) == (State.FINISHED, 2048, 24, 24)


def test_a_run_that_waits_says_what_for(tmp_path: Path) -> None:
    def die(row: dict[str, Any]) -> None:
        if "waiting" in row:
            raise Killed

    with pytest.raises(Killed):
        run_tiny(tmp_path / "run", tiny(teacher="human", labels=16, steps=1024), watch=die)
    status = read_status(tmp_path / "run")
    assert status is not None
    assert (status.state, status.message) == (State.WAITING, "4 of the first 4 labels")


def test_a_run_that_is_stopped_or_fails_says_why(tmp_path: Path) -> None:
    def stop(_row: dict[str, Any]) -> None:
        os.kill(os.getpid(), 15)

    def fail(row: dict[str, Any]) -> None:
        if row["step"]:
            raise FloatingPointError("a loss is not finite")

    with pytest.raises(Interrupted):
        run_tiny(tmp_path / "stopped", watch=lambda row: stop(row) if row["step"] == 512 else None)
    with pytest.raises(FloatingPointError):
        run_tiny(tmp_path / "failed", watch=fail)
    stopped, failed = (read_status(tmp_path / name) for name in ("stopped", "failed"))
    assert stopped is not None
    assert failed is not None
    assert (stopped.state, stopped.message[:12]) == (State.STOPPED, "stopped at s")
    assert (failed.state, failed.message) == (State.FAILED, "a loss is not finite")
