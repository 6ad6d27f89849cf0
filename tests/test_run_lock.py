"""Two trainers never write to one run."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tiny_runs import Killed, killed_at, run_tiny

from prefrl.errors import UsageError
from prefrl.runs.lock import sole_trainer

HOLD = """
import sys, time
from pathlib import Path
from prefrl.runs.lock import sole_trainer
with sole_trainer(Path(sys.argv[1])):
    print(flush=True)
    time.sleep(600)
"""


def test_a_second_trainer_is_kept_out_until_the_first_has_ended_however(tmp_path: Path) -> None:
    first = subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE)
    try:
        assert first.stdout is not None
        first.stdout.readline()
        with pytest.raises(UsageError, match="another process is training"), sole_trainer(tmp_path):
            pass
    finally:
        first.kill()
        first.wait()
    with sole_trainer(tmp_path):
        pass


def test_a_run_that_is_going_on_is_not_resumed_a_second_time(tmp_path: Path) -> None:
    refused: list[str] = []

    def resume_too(row: dict[str, Any]) -> None:
        if row["step"] == 512 and not refused:
            with pytest.raises(UsageError, match="another process is training") as error:
                run_tiny(tmp_path / "run", resume=True)
            refused.append(str(error.value))

    run_tiny(tmp_path / "run", watch=resume_too)
    assert len(refused) == 1


def test_a_run_that_died_can_be_resumed_at_once(tmp_path: Path) -> None:
    with pytest.raises(Killed):
        run_tiny(tmp_path / "run", watch=killed_at(3))
    assert run_tiny(tmp_path / "run", resume=True)["steps"] == 2048


def test_a_file_system_without_locks_keeps_nobody_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unable(*_: object) -> None:
        raise OSError(37, "No locks available")

    monkeypatch.setattr("fcntl.flock", unable)
    with sole_trainer(tmp_path):
        pass
