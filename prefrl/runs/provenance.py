"""Which code, packages and machine a run had: what its figures depend on besides its configuration."""

import os
import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

PACKAGES = (
    "prefrl",
    "numpy",
    "torch",
    "gymnasium",
    "ale-py",
    "mujoco",
    "stable-baselines3",
    "sqlalchemy",
    "tensorboard",
)

COMMIT_VARIABLE = "PREFRL_COMMIT"
"""Names the commit where the code was copied without its repository, into a container for example."""


def provenance() -> dict[str, Any]:
    """`commit`, `versions` of the packages that are installed, `python`, `platform` and `cores`."""
    return {
        "commit": git_commit(Path(__file__).resolve().parents[2]) or os.environ.get(COMMIT_VARIABLE),
        "versions": package_versions(),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "cores": usable_cores(),
    }


def git_commit(checkout: Path) -> str | None:
    """The commit of a checkout, with "-dirty" where tracked files differ; None where there is none."""
    top = _git(checkout, "rev-parse", "--show-toplevel")
    if top is None or Path(top).resolve() != checkout.resolve():  # installed into somebody else's repository
        return None
    commit = _git(checkout, "rev-parse", "HEAD")
    if commit is None:
        return None
    changed = _git(checkout, "status", "--porcelain", "--untracked-files=no")
    return f"{commit}-dirty" if changed else commit


def package_versions() -> dict[str, str]:
    """Versions of the packages that figures depend on, by name; those not installed are left out."""
    found = {}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def usable_cores() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _git(checkout: Path, *arguments: str) -> str | None:
    command = ["git", "-C", str(checkout), *arguments]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()
