"""Both tracks stand on one core: neither grows a copy of it, and each uses what it is made of."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
TRACKS = ("control", "language")
SHARED = (
    "prefrl.checkpoints",
    "prefrl.ensemble",
    "prefrl.feedback",
    "prefrl.fitting",
    "prefrl.likelihoods",
    "prefrl.member_layers",
    "prefrl.policy_gradient",
    "prefrl.ppo",
    "prefrl.queries",
    "prefrl.runs.clock",
    "prefrl.runs.log",
    "prefrl.runs.status",
    "prefrl.runs.stop_signals",
    "prefrl.schedules",
    "prefrl.store.feedback_store",
    "prefrl.teachers",
)
"""What makes a track one of preferences: each uses all of it."""
SMALLEST = 25
"""Syntax nodes of a function below which two may be alike by chance."""

Definition = ast.FunctionDef | ast.ClassDef


def core_files(root: Path) -> list[Path]:
    """The core's files: those of ``prefrl`` outside the tracks."""
    package = root / "prefrl"
    return [file for file in package.rglob("*.py") if file.relative_to(package).parts[0] not in TRACKS]


def definitions(file: Path) -> Iterator[Definition]:
    """Top-level functions and classes of a file."""
    for node in ast.parse(file.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            yield node


def functions(file: Path) -> Iterator[ast.FunctionDef]:
    """All functions of a file, methods included."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef):
            yield node


def shape(function: ast.FunctionDef) -> str | None:
    """A function's syntax without its names, texts and annotations; None if it is too small to compare."""
    body = [
        node
        for node in function.body
        if not (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant))
    ]
    names: dict[str, str] = {}
    parts = []
    for statement in body:
        for node in ast.walk(statement):
            if isinstance(node, ast.Name):
                parts.append(names.setdefault(node.id, f"n{len(names)}"))
            elif isinstance(node, ast.Attribute):
                parts.append("." + node.attr)
            else:
                parts.append(type(node).__name__)
    return " ".join(parts) if len(parts) >= SMALLEST else None


def find_copies(root: Path) -> list[str]:
    """What a track defines that the core has already: by its name, or line by line under another one."""
    core_names = {
        node.name: file
        for file in core_files(root)
        for node in definitions(file)
        if not node.name.startswith("_")
    }
    core_shapes = {
        found: f"{file.relative_to(root)}:{function.name}"
        for file in core_files(root)
        for function in functions(file)
        if (found := shape(function))
    }
    copies = []
    for track in TRACKS:
        for file in sorted((root / "prefrl" / track).rglob("*.py")):
            where = file.relative_to(root)
            copies += [
                f"{where} defines {node.name}, which {core_names[node.name].relative_to(root)} has"
                for node in definitions(file)
                if node.name in core_names
            ]
            copies += [
                f"{where}:{function.name} is {core_shapes[found]} over again"
                for function in functions(file)
                if (found := shape(function)) in core_shapes
            ]
    return copies


def imports_of(track: str) -> set[str]:
    """Modules of the core that a track imports."""
    found = set()
    for file in (ROOT / "prefrl" / track).rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.module:
                found.add(node.module)
    return found


def test_no_track_has_its_own_copy_of_anything_in_the_core() -> None:
    assert find_copies(ROOT) == []


@pytest.mark.parametrize("track", TRACKS)
def test_every_track_uses_the_whole_core(track: str) -> None:
    assert set(SHARED) - imports_of(track) == set()


def write(root: Path, name: str, text: str) -> None:
    file = root / "prefrl" / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")


LOSS = """
def pair_loss(returns, preference, *, error_rate):
    difference = returns[..., 0] - returns[..., 1]
    left, right = log(difference, error_rate), log(-difference, error_rate)
    return -(preference * left + (1.0 - preference) * right)
"""


def test_a_copy_by_name_is_found(tmp_path: Path) -> None:
    write(tmp_path, "ensemble.py", "class RewardEnsemble:\n    pass\n")
    write(tmp_path, "language/reward.py", "class RewardEnsemble:\n    other = 1\n")
    assert find_copies(tmp_path) == [
        "prefrl/language/reward.py defines RewardEnsemble, which prefrl/ensemble.py has"
    ]


def test_a_copy_under_other_names_is_found(tmp_path: Path) -> None:
    write(tmp_path, "likelihoods.py", LOSS)
    disguised = LOSS.replace("pair_loss", "text_loss").replace("returns", "scores").replace("left", "a")
    write(tmp_path, "language/loss.py", '"""Mine."""\n' + disguised)
    assert find_copies(tmp_path) == [
        "prefrl/language/loss.py:text_loss is prefrl/likelihoods.py:pair_loss over again"
    ]


def test_another_equation_and_a_short_helper_are_no_copies(tmp_path: Path) -> None:
    write(tmp_path, "likelihoods.py", LOSS + "\n\ndef _small(x):\n    return x + 1\n")
    other = LOSS.replace("pair_loss", "mine").replace("1.0 - preference", "1.0 + preference")
    write(tmp_path, "control/loss.py", other + "\n\ndef _tiny(y):\n    return y + 1\n")
    assert find_copies(tmp_path) == []
