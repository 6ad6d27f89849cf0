"""What every file of the repository keeps to, and that what the documents name exists."""

from __future__ import annotations

import re
import shutil
import subprocess
import tomllib
from itertools import chain
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
MEBIBYTE = 2**20
PEERS = {"trl"}
"""Extras with what we are compared with: pinned where they are named, and no part of our environment."""
# Written in pieces, so that this file does not find itself.
FORBIDDEN = {
    "a path of somebody's machine": re.compile(r"/(?:work|root|home/\w+|Users/\w+)" + r"/\w"),
    "a to-do without a number": re.compile(r"\b(?:TO" + r"DO|FIX" + r"ME|XX" + r"X)\b(?!\(#\d+\))"),
    "a conflict marker": re.compile(r"^(?:<{7}|>{7}) ", re.MULTILINE),
}


def find_files() -> list[Path]:
    """What git tracks, and what it would take up now."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    if shutil.which("git") is None or not (ROOT / ".git").exists():
        pytest.skip("this is no git checkout")
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    if listed.returncode:  # a checkout that belongs to somebody else
        pytest.skip(f"git does not answer: {listed.stderr.strip()}")
    return [file for name in listed.stdout.split("\0") if name and (file := ROOT / name).is_file()]


def find_faults(files: list[Path]) -> list[str]:
    """One line for each file that is too large, and for each forbidden thing in a file of text."""
    faults = []
    for file in files:
        content = file.read_bytes()
        if len(content) > MEBIBYTE:
            faults.append(f"{file.name} has {len(content) / MEBIBYTE:.1f} MiB")
        text = "" if b"\0" in content else content.decode("utf-8", errors="replace")
        for what, pattern in FORBIDDEN.items():
            faults += [f"{file.name} holds {what}: {found.group()}" for found in pattern.finditer(text)]
    return faults


def make_targets() -> set[str]:
    return set(re.findall(r"^([a-z][a-z-]*):", (ROOT / "Makefile").read_text(), re.MULTILINE))


def test_no_file_is_too_large_or_holds_what_it_should_not() -> None:
    assert find_faults(find_files()) == []


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (b"x" * (MEBIBYTE + 1), "has 1.0 MiB"),
        (b"data = '/ro" + b"ot/data'", "holds a path of somebody's machine: /ro" + "ot/d"),
        (b"# TO" + b"DO: later", "holds a to-do without a number: TO" + "DO"),
        (b"a\n<<<<" + b"<<< HEAD\n", "holds a conflict marker: <<<<" + "<<< "),
    ],
)
def test_each_fault_is_found(tmp_path: Path, content: bytes, fault: str) -> None:
    file = tmp_path / "sample"
    file.write_bytes(content)
    assert find_faults([file]) == [f"sample {fault}"]


def test_sound_files_have_no_faults(tmp_path: Path) -> None:
    file = tmp_path / "sample"
    file.write_bytes(b"# TO" + b"DO(#12): a numbered one\nhttps://example.org/work is no path of ours\n")
    assert find_faults([file]) == []


@pytest.mark.parametrize("document", ["README.md", "CONTRIBUTING.md"])
def test_the_make_targets_that_documents_name_exist(document: str) -> None:
    if not (ROOT / document).exists():
        pytest.skip(f"{document} is not written yet")
    named = set(re.findall(r"(?:^|`)make ([a-z-]+)", (ROOT / document).read_text(), re.MULTILINE))
    assert named
    assert named <= make_targets()


def test_every_make_target_is_listed_by_help_and_declared_phony() -> None:
    text = (ROOT / "Makefile").read_text()
    phony = set(re.search(r"^\.PHONY: (.*)$", text, re.MULTILINE)[1].split())  # type: ignore[index]
    assert phony == make_targets()
    assert set(re.findall(r"^([a-z-]+):.*## ", text, re.MULTILINE)) == make_targets()


def test_the_lock_pins_every_dependency_exactly_and_names_no_machine() -> None:
    from packaging.requirements import Requirement

    lines = [
        line for line in (ROOT / "requirements.lock").read_text().splitlines() if not line.startswith("#")
    ]
    assert all(re.fullmatch(r"[a-z0-9-]+==[0-9][0-9a-z.]*", line) for line in lines)
    pins = dict(line.split("==") for line in lines)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = {name: wishes for name, wishes in project["optional-dependencies"].items() if name not in PEERS}
    for wish in map(Requirement, chain(project["dependencies"], *extras.values())):
        assert wish.specifier.contains(pins[wish.name.lower()]), f"{wish} is not what the lock pins"
