"""There is one core: neither track defines again what the core or the other track has."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).resolve().parents[1]
TRACKS = ("control", "language")
FEW_STATEMENTS = 4
"""Functions of no more statements may look alike by chance."""


class Definition(NamedTuple):
    """A function or class at the top of a module, or a method."""

    name: str
    room: str
    """``core``, or the track."""
    where: str
    body: str
    """Its statements without docstring and annotations, as text."""
    statements: int


def definitions(root: Path) -> list[Definition]:
    """Everything that ``prefrl`` below this folder defines."""
    return [one for file in sorted((root / "prefrl").rglob("*.py")) for one in defined_in(file, root)]


def defined_in(file: Path, root: Path) -> Iterator[Definition]:
    parts = file.relative_to(root / "prefrl").parts
    room = parts[0] if parts[0] in TRACKS else "core"
    for node in ast.parse(file.read_text(encoding="utf-8"), str(file)).body:
        if isinstance(node, ast.ClassDef):
            yield Definition(node.name, room, f"{room}: {node.name}", "", 0)
            methods = (method for method in node.body if isinstance(method, ast.FunctionDef))
            yield from (
                function(method, room, f"{room}: {node.name}.{method.name}", "") for method in methods
            )
        elif isinstance(node, ast.FunctionDef):
            yield function(node, room, f"{room}: {node.name}", node.name)


def function(node: ast.FunctionDef, room: str, where: str, name: str) -> Definition:
    documented = ast.get_docstring(node) is not None
    body = node.body[1:] if documented else node.body
    statements = sum(isinstance(part, ast.stmt) for one in body for part in ast.walk(one))
    return Definition(name, room, where, "\n".join(ast.unparse(one) for one in body), statements)


def copies(found: list[Definition]) -> list[str]:
    """Public names that two rooms define, and functions whose bodies two rooms share."""
    names: dict[str, dict[str, str]] = {}
    bodies: dict[str, dict[str, str]] = {}
    for one in found:
        if one.name and not one.name.startswith("_"):
            names.setdefault(one.name, {})[one.room] = one.where
        if one.statements > FEW_STATEMENTS:
            bodies.setdefault(one.body, {})[one.room] = one.where
    shared = [*names.values(), *bodies.values()]
    return sorted({" and ".join(sorted(places.values())) for places in shared if len(places) > 1})


def test_no_track_grows_its_own_copy_of_the_core_or_of_the_other_track() -> None:
    assert copies(definitions(ROOT)) == []


BODY = "def {name}(a, b):\n    c = a + b\n    if c:\n        c = -c\n    d = c * a\n    return c + d\n"


@pytest.mark.parametrize(
    ("files", "found"),
    [
        (
            {"control/a.py": "def pair_loss(): ...", "losses.py": "def pair_loss(): ..."},
            ["control: pair_loss and core: pair_loss"],
        ),
        (
            {"control/a.py": "class Store: ...", "language/b.py": "class Store: ..."},
            ["control: Store and language: Store"],
        ),
        (
            {
                "language/a.py": BODY.format(name="_other"),
                "deep/core.py": '"""Text."""\n' + BODY.format(name="one"),
            },
            ["core: one and language: _other"],
        ),
        ({"language/a.py": BODY.format(name="one"), "language/b.py": BODY.format(name="two")}, []),
        ({"control/a.py": "def _own(): ...", "language/b.py": "def _own(): ..."}, []),
    ],
)
def test_what_two_rooms_have_is_found(tmp_path: Path, files: dict[str, str], found: list[str]) -> None:
    for name, text in files.items():
        file = tmp_path / "prefrl" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    assert copies(definitions(tmp_path)) == found
