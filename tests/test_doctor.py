"""`prefrl doctor` says what is wrong with a machine, and what to do about it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from experiments import doctor, machine
from experiments.doctor import DoctorConfig, run_doctor
from experiments.machine import Check
from prefrl.feedback import Kind, Query
from prefrl.store.feedback_store import FeedbackStore


@pytest.fixture
def healthy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave out the checks that take seconds or depend on this machine."""
    for name in ("cores", "memory", "gpu", "gl", "codecs", "versions", "roms", "disk"):
        monkeypatch.setattr(machine, f"check_{name}", lambda *_, name=name: [Check("ok", name, "fine")])


def write(file: Path, text: str) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    return file


@pytest.mark.usefixtures("healthy")
def test_a_healthy_machine_passes_with_one_line_per_check(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_doctor(DoctorConfig()) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1] == "all is well"
    assert all(line.startswith("ok  ") for line in lines[1:-1])
    assert len(lines) == 11


@pytest.mark.usefixtures("healthy")
@pytest.mark.parametrize(("level", "code"), [("warn", 0), ("fail", 1)])
def test_only_a_failure_changes_the_exit_code(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], level: machine.Level, code: int
) -> None:
    monkeypatch.setattr(machine, "check_gl", lambda _: [Check(level, "GL", "no frame", "install Mesa")])
    assert run_doctor(DoctorConfig()) == code
    assert f"{level.upper()}  GL        no frame\n      -> install Mesa" in capsys.readouterr().out


@pytest.mark.usefixtures("healthy")
def test_a_check_that_breaks_does_not_hide_the_others(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def check_memory() -> list[Check]:
        raise RuntimeError("no /proc here")

    monkeypatch.setattr(machine, "check_memory", check_memory)
    assert run_doctor(DoctorConfig()) == 1
    shown = capsys.readouterr().out
    assert "FAIL  memory    the check broke: RuntimeError('no /proc here')" in shown
    assert "ok    disk      fine" in shown


@pytest.mark.parametrize(
    ("files", "quota"),
    [
        ({}, None),
        ({"cpu.max": "max 100000"}, None),
        ({"cpu.max": "150000 100000"}, 1.5),
        ({"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}, None),
        ({"cpu/cpu.cfs_quota_us": "50000", "cpu/cpu.cfs_period_us": "100000"}, 0.5),
    ],
)
def test_the_quota_of_the_control_group_is_read(
    tmp_path: Path, files: dict[str, str], quota: float | None
) -> None:
    for name, text in files.items():
        write(tmp_path / name, text)
    assert machine.cpu_quota(tmp_path) == quota


def test_a_quota_below_the_visible_cores_names_the_thread_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "allowed_cores", lambda: 16)
    monkeypatch.setattr(machine, "cpu_quota", lambda: 2.5)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    (check,) = machine.check_cores()
    assert check.level == "warn"
    assert "OMP_NUM_THREADS=3" in check.fix
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    assert machine.check_cores()[0].level == "ok"


def test_memory_is_that_of_the_control_group_where_it_has_less(tmp_path: Path) -> None:
    write(tmp_path / "memory.max", str(2 * machine.GIB))
    (check,) = machine.check_memory(root=tmp_path)
    assert (check.level, check.found) == ("warn", "2.0 GiB")
    assert machine.check_memory(root=tmp_path, need_gib=1.5)[0].level == "ok"


def test_a_crash_or_a_hang_of_the_driver_is_told_and_survived(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "RENDER_ONE_FRAME", "import os; os.abort()")
    assert machine.check_gl()[0].level == "fail"
    monkeypatch.setattr(machine, "RENDER_ONE_FRAME", "import time; time.sleep(30)")
    (check,) = machine.check_gl(0.5)
    assert "no answer within 0.5 s" in check.found
    assert "apt-get install" in check.fix
    monkeypatch.setattr(machine, "RENDER_ONE_FRAME", "raise SystemExit('no EGL device')")
    assert machine.check_gl()[0].found.endswith("no EGL device")
    monkeypatch.setattr(machine, "RENDER_ONE_FRAME", "print('empty')")
    assert machine.check_gl()[0].level == "fail"


def test_the_formats_that_need_no_extra_package_can_be_written_here() -> None:
    (check,) = machine.check_codecs()
    assert check.level == "ok"
    assert check.found.startswith("gif, webp, mp4")


@pytest.mark.parametrize(
    ("found", "level", "hint"),
    [("gif", "warn", False), ("gif, webp", "ok", True), ("webp, imageio_ffmpeg", "ok", False)],
)
def test_missing_formats_are_told(
    monkeypatch: pytest.MonkeyPatch, found: str, level: str, hint: bool
) -> None:
    monkeypatch.setattr(machine, "WRITE_VIDEOS", f"print('{found}')")
    (check,) = machine.check_codecs()
    assert check.level == level
    assert ("pip install imageio-ffmpeg" in check.found) == hint


def test_old_and_missing_packages_are_named_with_their_cure() -> None:
    wishes = ["numpy>=1", "numpy>=999", "no-such-package-of-ours>=2", "pytest>=999; extra == 'dev'"]
    old, missing, sound = machine.check_versions(wishes)
    assert (old.level, old.name, old.fix) == ("fail", "numpy", "pip install 'numpy>=999'")
    assert (missing.level, missing.found) == ("fail", "not installed")
    assert re.fullmatch(r"numpy \d\S+", sound.found)


def test_the_games_of_the_paper_are_here_and_others_are_missed() -> None:
    assert machine.check_roms()[0].level == "ok"
    (check,) = machine.check_roms(["pong", "no_such_game"])
    assert (check.level, check.found) == ("fail", "no ROM of no_such_game")


@pytest.mark.parametrize(
    ("comfortable", "need", "level"), [(0.0, 0.0, "ok"), (1e9, 0.0, "warn"), (1e9, 1e9, "fail")]
)
def test_little_space_warns_and_no_space_fails(
    tmp_path: Path, comfortable: float, need: float, level: str
) -> None:
    (check,) = machine.check_disk(tmp_path, need_gib=need, comfortable_gib=comfortable)
    assert check.level == level


def test_a_gpu_is_welcome_and_its_absence_no_fault() -> None:
    assert machine.check_gpu()[0].level == "ok"


def test_the_store_of_a_run_is_checked(tmp_path: Path) -> None:
    assert doctor.check_run(tmp_path / "missing")[0].level == "fail"
    assert doctor.check_run(tmp_path)[0].level == "warn"
    with FeedbackStore(tmp_path / "feedback.sqlite") as store:
        store.add_queries([Query(id="query", run="demo", kind=Kind.PAIR, items=("a", "b"))])
    assert doctor.check_run(tmp_path)[0].level == "ok"
    (tmp_path / "feedback.sqlite").write_bytes(b"no database" * 1000)
    (check,) = doctor.check_run(tmp_path)
    assert check.level == "fail"
    assert "feedback.jsonl" in check.fix
