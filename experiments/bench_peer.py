"""Other libraries, each installed into an environment of its own and run by its own Python."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

IMITATION = "imitation 1.0.1"
IMITATION_PINS = (
    "imitation==1.0.1",
    "seals==0.2.1",
    "stable-baselines3==2.2.1",
    "gymnasium==0.29.1",
    "imageio==2.38.1",
    "numpy==2.2.6",
)
"""Versions that work together; the library itself wants this old a Gymnasium and SB3."""
SHARED = ("mujoco", "torch")
"""Packages that the peer gets in our own version: the same simulator, the same arithmetic."""
MARKER = "installed.json"
LAST_LINES = 6


class PeerUnavailable(Exception):
    """A library could not be installed or run; the message says why."""


def install(folder: Path, pins: Sequence[str] = IMITATION_PINS, *, say: Callable[[str], None]) -> Path:
    """The Python of an environment with these packages; what is there already is used.

    Raises:
        PeerUnavailable: pip fails; its last lines are in the message, all of them in ``install.log``.
    """
    wishes = [*pins, *(f"{name}=={version(name).partition('+')[0]}" for name in SHARED)]
    python = folder / "venv" / ("Scripts" if os.name == "nt" else "bin") / "python"
    marker = folder / MARKER
    wanted = json.dumps([sys.version, wishes])
    if marker.exists() and python.exists() and marker.read_text() == wanted:
        return python
    say(f"installing {pins[0]} into {folder} (minutes; only once)")
    shutil.rmtree(folder / "venv", ignore_errors=True)
    folder.mkdir(parents=True, exist_ok=True)
    log = folder / "install.log"
    with log.open("w") as out:
        _run([sys.executable, "-m", "venv", str(folder / "venv")], log, out, "its environment cannot be made")
        pip = [str(python), "-m", "pip", "install", "--no-input", "--disable-pip-version-check"]
        _run([*pip, *wishes], log, out, "it cannot be installed")
    marker.write_text(wanted)
    return python


def run_script(python: Path, script: Path, options: Sequence[str], folder: Path) -> dict[str, Any]:
    """Runs a peer's script, which writes its figures as JSON to the file that its ``--out`` names.

    Raises:
        PeerUnavailable: the script fails; what it printed is in the folder.
    """
    folder.mkdir(parents=True, exist_ok=True)
    name = f"{script.stem}-{hashlib.sha256(repr(options).encode()).hexdigest()[:8]}"
    out, log = folder / f"{name}.json", folder / f"{name}.log"
    out.unlink(missing_ok=True)
    with log.open("w") as printed:
        _run([str(python), str(script), *options, "--out", str(out.resolve())], log, printed, "it fails")
    figures: dict[str, Any] = json.loads(out.read_text())
    return figures


def peer_environment() -> dict[str, str]:
    """Our environment without what is only meant for us: the peer runs as its users run it."""
    ours = {"OMP_WAIT_POLICY", "PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV"}
    return {name: value for name, value in os.environ.items() if name not in ours}


def _run(command: Sequence[str], log: Path, out: Any, complaint: str) -> None:
    try:
        quiet: dict[str, Any] = {"stdin": subprocess.DEVNULL, "stdout": out, "stderr": subprocess.STDOUT}
        done = subprocess.run(command, env=peer_environment(), check=False, **quiet)
    except OSError as error:
        raise PeerUnavailable(f"{complaint}: {error}") from error
    if done.returncode:
        raise PeerUnavailable(f"{complaint} (exit code {done.returncode}), see {log}:\n{_tail(log)}")


def _tail(log: Path) -> str:
    lines = [line for line in log.read_text(errors="replace").splitlines() if line.strip()]
    return "\n".join(f"    {line}" for line in lines[-LAST_LINES:])
