"""Runs started, stopped and resumed as processes of their own."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fake_runs import make_run

from prefrl.processes import process_mark
from prefrl.runs.log import OUTPUT, read_metrics
from prefrl.runs.status import STATUS, State, read_status
from ui import run_control
from ui.refusals import Refusal
from ui.run_control import RunControl, last_words
from ui.run_request import Catalogue, RunRequest, TaskDefaults
from ui.workplace import Workplace

PATIENCE_SECONDS = 240.0
CATALOGUE = Catalogue(
    {name: TaskDefaults(name, "test world", 12_000, 20) for name in ("probe-target", "quake")},
    ("learned", "true"),
    ("oracle", "human"),
)
ENDLESS = RunRequest(
    task="probe-target", reward="true", teacher="oracle", steps=500_000_000, labels=20, seed=0
)
IDLE = (sys.executable, "-c", "import time; time.sleep(600)")


def wait_until(condition: Callable[[], Any]) -> None:
    end = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < end, "it never happened"
        time.sleep(0.05)


@pytest.fixture
def control(tmp_path: Path) -> Iterator[RunControl]:
    control = RunControl(Workplace(tmp_path / "runs"))
    control.workplace.folder.mkdir()
    yield control
    end_all(control)
    control.workplace.close()


def end_all(control: RunControl) -> None:
    for launch in control._launches.values():
        launch.process.kill()
        launch.process.wait()


def pretend(control: RunControl, *command: str) -> RunControl:
    """The same control with another program in the place of the command line."""
    control._command = command
    return control


def state(control: RunControl, name: str) -> State | None:
    status = read_status(control.workplace.folder / name)
    return None if status is None else status.state


def steps(control: RunControl, name: str) -> int:
    return max((row["step"] for row in read_metrics(control.workplace.folder / name)), default=0)


def test_a_run_is_started_stopped_saved_and_resumed_and_may_be_killed(control: RunControl) -> None:
    name = control.start(ENDLESS, CATALOGUE)
    assert name == "probe-target-true-s0"
    assert control.new_names() in ([name], [])
    wait_until(lambda: steps(control, name) > 0)
    view = control.workplace.run(name)
    assert (control.can_stop(view), control.can_resume(view)) == (True, False)
    with pytest.raises(Refusal, match="nothing to resume"):
        control.resume(name)
    assert os.getsid(control._launches[name].process.pid) != os.getsid(0)

    for _ in range(3):  # an impatient finger
        control.stop(name)
        assert control.stopping(view) or state(control, name) is State.STOPPED
    wait_until(lambda: state(control, name) is State.STOPPED)
    wait_until(lambda: not control._launches[name].alive)
    assert not control.stopping(view)
    reached = steps(control, name)
    assert list((control.workplace.folder / name / "checkpoints").glob("*.pt"))
    assert "saved" in last_words(view.path)
    assert (control.can_stop(view), control.can_resume(view)) == (False, True)
    with pytest.raises(Refusal, match="nothing to stop"):
        control.stop(name)

    control.resume(name)
    assert control.starting(view)
    wait_until(lambda: steps(control, name) > reached)
    assert not control.starting(view)
    assert (control.can_stop(view), control.can_resume(view)) == (True, False)
    numbers = [row["step"] for row in read_metrics(view.path)]
    assert numbers == sorted(set(numbers))

    control._launches[name].process.kill()
    wait_until(lambda: view.status is not None and view.status.lost)
    assert (control.can_stop(view), control.can_resume(view)) == (False, True)


def test_a_run_outlives_the_app_and_a_new_app_can_stop_it(control: RunControl, tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from test_run_control import *\n"
        "print(RunControl(Workplace(Path(sys.argv[1]))).start(ENDLESS, CATALOGUE))"
    )
    where = os.environ | {"PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), *sys.path])}
    command = [sys.executable, "-c", program, str(tmp_path / "runs")]
    done = subprocess.run(command, capture_output=True, text=True, env=where, timeout=PATIENCE_SECONDS)
    name = done.stdout.strip()
    assert name == "probe-target-true-s0", done.stderr
    wait_until(lambda: steps(control, name) > 0)
    view = control.workplace.run(name)
    status = view.status
    assert status is not None
    try:
        control.stop(name)
        wait_until(lambda: state(control, name) is State.STOPPED)
        wait_until(lambda: process_mark(status.pid) != status.process)
    finally:
        if process_mark(status.pid) == status.process:
            os.kill(status.pid, signal.SIGKILL)
    assert control.can_resume(view)


def test_a_run_can_be_stopped_before_it_has_said_a_word(control: RunControl) -> None:
    name = pretend(control, *IDLE).start(ENDLESS, CATALOGUE)
    (control.workplace.folder / name / "config.json").write_text('{"config": {}, "versions": {}}')
    view = control.workplace.run(name)
    assert control.starting(view)
    control.stop(name)
    wait_until(lambda: not control.starting(view))
    assert control.complaint(view) == "it ended with exit code -15"


def test_a_run_that_cannot_begin_tells_why_and_leaves_its_place(control: RunControl) -> None:
    name = control.start(replace(ENDLESS, task="quake"), CATALOGUE)
    assert (control.workplace.folder / name / OUTPUT).exists()
    wait_until(control.failures)
    assert "unknown task 'quake'" in control.failures()[name]
    assert list(control.workplace.folder.iterdir()) == []
    assert control.new_names() == []
    pretend(control, *IDLE).start(ENDLESS, CATALOGUE)
    assert control.failures() == {}


def fake_status(folder: Path, **changes: Any) -> None:
    status = {
        "state": "training",
        "message": "",
        "step": 1,
        "steps": 2,
        "labels": 0,
        "budget": 0,
        "pid": os.getpid(),
        "host": os.uname().nodename,
        "time": 0.0,
        "process": process_mark(os.getpid()),
    }
    (folder / STATUS).write_text(json.dumps(status | changes))


@pytest.mark.parametrize(
    ("changes", "stop", "resume"),
    [
        ({"process": "another-boot/1"}, False, True),  # the number is another process's now
        ({"process": ""}, False, False),  # of a version that left no mark
        ({"host": "elsewhere"}, False, False),
        ({"pid": 2**22 + 1}, False, True),
        ({"state": "stopped"}, False, True),
        ({"state": "failed", "process": "another-boot/1"}, False, True),
    ],
)
def test_no_process_is_signalled_that_might_be_another(
    control: RunControl, monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any], stop: bool, resume: bool
) -> None:
    folder = make_run(control.workplace.folder / "run", done=0.5)
    fake_status(folder, **changes)
    view = control.workplace.run("run")
    assert (control.can_stop(view), control.can_resume(view)) == (stop, resume)
    monkeypatch.setattr(signal, "pidfd_send_signal", lambda *_: pytest.fail("a process was signalled"))
    with pytest.raises(Refusal, match="nothing to stop"):
        control.stop("run")


def test_a_process_that_ends_between_two_looks_is_not_signalled(
    control: RunControl, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = make_run(control.workplace.folder / "run", done=0.5)
    fake_status(folder)
    monkeypatch.setattr(run_control, "terminate", lambda _pid, _mark: False)
    with pytest.raises(Refusal, match="gone already"):
        control.stop("run")

    def forbidden(_pid: int, _mark: str) -> bool:
        raise PermissionError

    monkeypatch.setattr(run_control, "terminate", forbidden)
    with pytest.raises(Refusal, match="somebody else's"):
        control.stop("run")


def test_a_finished_run_is_neither_stopped_nor_resumed(control: RunControl) -> None:
    make_run(control.workplace.folder / "run")
    with pytest.raises(Refusal, match="nothing to resume"):
        control.resume("run")
    with pytest.raises(Refusal, match="nothing to stop"):
        control.stop("run")


@pytest.mark.parametrize("name", ["../run", "/etc", "", "no such", "run/../run", "."])
def test_only_runs_that_are_there_are_touched(control: RunControl, name: str) -> None:
    make_run(control.workplace.folder / "run", done=0.5)
    for act in (control.stop, control.resume):
        with pytest.raises(Refusal, match="there is no run"):
            act(name)


def test_what_is_not_in_the_catalogue_starts_nothing(control: RunControl) -> None:
    with pytest.raises(Refusal, match="task"):
        control.start(replace(ENDLESS, task="../../bin/sh"), CATALOGUE)
    assert list(control.workplace.folder.iterdir()) == []


def test_two_runs_alike_get_folders_of_their_own(control: RunControl) -> None:
    pretend(control, *IDLE)
    assert [control.start(ENDLESS, CATALOGUE) for _ in range(3)] == [
        "probe-target-true-s0",
        "probe-target-true-s0-2",
        "probe-target-true-s0-3",
    ]


def test_no_more_runs_go_on_than_the_app_allows(control: RunControl, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_control, "MOST_AT_ONCE", 2)
    pretend(control, *IDLE)
    for _ in range(2):
        control.start(ENDLESS, CATALOGUE)
    with pytest.raises(Refusal, match="2 runs started here go on"):
        control.start(ENDLESS, CATALOGUE)
    assert len(list(control.workplace.folder.iterdir())) == 2


def test_an_app_for_one_run_starts_no_others(tmp_path: Path) -> None:
    control = RunControl(Workplace(make_run(tmp_path / "run")))
    with pytest.raises(Refusal, match="single run"):
        control.start(ENDLESS, CATALOGUE)


def test_a_folder_that_cannot_be_written_is_a_clear_refusal(tmp_path: Path) -> None:
    (tmp_path / "runs").write_text("")
    control = RunControl(Workplace(tmp_path / "runs"))
    with pytest.raises(Refusal, match="no folder for the run can be made"):
        control.start(ENDLESS, CATALOGUE)


def test_what_a_run_said_is_shown_up_to_a_limit(tmp_path: Path) -> None:
    assert last_words(tmp_path) == ""
    (tmp_path / OUTPUT).write_bytes(b"\xff" * 100_000 + "the end é\n".encode())
    assert last_words(tmp_path).endswith("the end é")
    assert len(last_words(tmp_path)) == run_control.MOST_SAID
