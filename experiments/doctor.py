"""`prefrl doctor`: what this machine and these runs are fit for, and what to fix."""

from __future__ import annotations

import platform
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from experiments import machine
from experiments.machine import Check
from experiments.options import parse_options

SIGNS = {"ok": "ok  ", "warn": "WARN", "fail": "FAIL"}


@dataclass(frozen=True)
class DoctorConfig:
    """Look at the machine and, if run folders are given, at the health of their feedback stores."""

    runs: Annotated[tuple[Path, ...], tyro.conf.Positional] = ()
    """Run folders whose feedback stores are checked."""
    where: Path = Path()
    """Folder in which runs will be written; its disk is measured."""
    patience_seconds: float = 60.0
    """Seconds that drawing and video writing may take before they count as broken."""


def main(args: list[str]) -> int:
    return run_doctor(parse_options(DoctorConfig, args, command="doctor"))


def run_doctor(config: DoctorConfig) -> int:
    """Print one line per check; return 1 if something fails, else 0."""
    print(f"PrefRL on Python {platform.python_version()}, {platform.platform()}")
    checks = [found for look in checks_of(config) for found in guarded(look)]
    print("\n".join(line_of(check) for check in checks))
    failures = sum(check.level == "fail" for check in checks)
    warnings = sum(check.level == "warn" for check in checks)
    print("all is well" if not failures + warnings else f"{failures} to fix, {warnings} to know about")
    return 1 if failures else 0


def checks_of(config: DoctorConfig) -> list[Callable[[], Sequence[Check]]]:
    """The checks in the order in which they are shown."""
    return [
        check_python,
        machine.check_cores,
        machine.check_memory,
        machine.check_gpu,
        lambda: machine.check_gl(config.patience_seconds),
        lambda: machine.check_codecs(config.patience_seconds),
        machine.check_versions,
        machine.check_roms,
        lambda: machine.check_disk(config.where),
        *((lambda run=run: check_run(run)) for run in config.runs),
    ]


def guarded(look: Callable[[], Sequence[Check]]) -> Sequence[Check]:
    """A check that breaks is a finding, not the end of the others."""
    try:
        return look()
    except Exception as error:
        name = getattr(look, "__name__", "check").removeprefix("check_")
        return [Check("fail", name, f"the check broke: {error!r}", "please report this")]


def line_of(check: Check) -> str:
    """``WARN  cores     2 usable ... -> what to do``"""
    return f"{SIGNS[check.level]}  {check.name:<9} {check.found}" + (
        f"\n      -> {check.fix}" if check.fix else ""
    )


def check_python() -> list[Check]:
    """The Python that runs this."""
    fits = (3, 11) <= sys.version_info[:2] < (3, 14)
    found = f"{platform.python_version()} at {sys.executable}"
    return [
        Check("ok", "Python", found)
        if fits
        else Check("fail", "Python", found, "use Python 3.11, 3.12 or 3.13")
    ]


def check_run(run: Path) -> list[Check]:
    """The feedback store of one run folder."""
    from prefrl.store.health import check_store

    if not run.is_dir():
        return [Check("fail", "store", f"{run} is no folder", "name a run folder, such as runs/demo")]
    store = run / "feedback.sqlite"
    if not store.is_file():
        return [
            Check(
                "warn",
                "store",
                f"{run} holds no feedback.sqlite",
                "nothing, if it learns from the true reward",
            )
        ]
    fix = f"copy {run} aside before anything else; its answers are also in feedback.jsonl"
    findings = [Check("fail", "store", f"{store}: {finding}", fix) for finding in check_store(store)]
    return findings or [Check("ok", "store", f"{store} is sound")]
