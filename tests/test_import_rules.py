"""Who may import whom: the four packages stay apart, and what must start without torch does."""

from __future__ import annotations

import ast
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from importlib.metadata import packages_distributions
from itertools import chain
from pathlib import Path
from typing import TypeGuard

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("prefrl", "envs", "ui", "experiments")
CORE, CONTROL, LANGUAGE = "prefrl", "prefrl.control", "prefrl.language"
MAY_IMPORT = {
    CORE: {CORE},
    CONTROL: {CONTROL, CORE},
    LANGUAGE: {LANGUAGE, CORE},
    "envs": {"envs"},
    "ui": {"ui"},
    "experiments": {"experiments", CORE, CONTROL, LANGUAGE, "envs"},
}
TORCH_FREE = (
    "prefrl.access",
    "prefrl.bootstrap",
    "prefrl.calibration",
    "prefrl.clip_files",
    "prefrl.diagnostics",
    "prefrl.errors",
    "prefrl.feedback",
    "prefrl.feedback_checks",
    "prefrl.files",
    "prefrl.labellers.human_time",
    "prefrl.labellers.labelling",
    "prefrl.labellers.quality",
    "prefrl.labellers.receipts",
    "prefrl.labellers.screen",
    "prefrl.labellers.statistics",
    "prefrl.labellers.weights",
    "prefrl.processes",
    "prefrl.runs.curves",
    "prefrl.runs.folders",
    "prefrl.runs.groups",
    "prefrl.runs.log",
    "prefrl.runs.names",
    "prefrl.runs.status",
    "prefrl.runs.summary",
    "prefrl.saliency_files",
    "prefrl.statistics",
    "prefrl.store.backups",
    "prefrl.store.exports",
    "prefrl.store.feedback_store",
    "prefrl.store.health",
    "prefrl.texts.features",
    "prefrl.texts.fit_file",
    "prefrl.texts.preference_effects",
    "prefrl.texts.response_files",
    "prefrl.texts.votes",
)
SIMULATORS = {"gymnasium", "mujoco", "ale_py"}
FORBIDDEN_OUTSIDERS = {
    "envs": {"torch", "stable_baselines3", "sqlalchemy"},
    "ui": {"torch", "stable_baselines3"} | SIMULATORS,
    CORE: {"stable_baselines3"} | SIMULATORS,
    LANGUAGE: {"stable_baselines3"} | SIMULATORS,
}
LOOKED_FOR = {"glfw", "imageio_ffmpeg", "playwright"}  # used where they are present, done without elsewhere
PEERS = "experiments.peers."  # scripts for environments of their own
HEAVY = {"streamlit", "transformers", "ray", "psycopg"}


@dataclass(frozen=True)
class Import:
    """One import statement: who imports what, and whether it happens as soon as the importer is loaded."""

    importer: str
    target: str
    line: int
    at_load: bool


def room_of(module: str) -> str:
    """The package, or the track within ``prefrl``, that a module belongs to."""
    tracks = (track for track in (CONTROL, LANGUAGE) if f"{module}.".startswith(f"{track}."))
    return next(tracks, module.partition(".")[0])


def find_modules(root: Path) -> dict[str, Path]:
    """Dotted name to file for every module of the four packages under ``root``."""
    modules = {}
    for package in PACKAGES:
        for file in sorted((root / package).rglob("*.py")):
            parts = file.relative_to(root).with_suffix("").parts
            modules[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = file
    return modules


def find_imports(module: str, file: Path, modules: dict[str, Path]) -> Iterator[Import]:
    """Every import in a file, also those inside functions and for type checking only."""
    package = module if file.name == "__init__.py" else module.rpartition(".")[0]
    for node, at_load in walk(ast.parse(file.read_text(encoding="utf-8"), str(file)), at_load=True):
        for target in targets_of(node, package, modules):
            yield Import(module, target, node.lineno, at_load)


def walk(node: ast.AST, *, at_load: bool) -> Iterator[tuple[ast.stmt | ast.expr, bool]]:
    for child in ast.iter_child_nodes(node):
        later = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        typing_only = isinstance(child, ast.If) and ast.unparse(child.test).endswith("TYPE_CHECKING")
        loads = at_load and not later and not typing_only
        if isinstance(child, ast.stmt | ast.expr):
            yield child, loads
        yield from walk(child, at_load=loads)


def targets_of(node: ast.AST, package: str, modules: dict[str, Path]) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        above = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
        base = ".".join([*above, *([node.module] if node.module else [])])
        for (
            alias
        ) in node.names:  # `from prefrl import store` names a module, `from prefrl.store import Store` none
            yield f"{base}.{alias.name}" if f"{base}.{alias.name}" in modules else base
    elif isinstance(node, ast.Call) and ast.unparse(node.func).split(".")[-1] in {
        "import_module",
        "__import__",
    }:
        yield from (argument.value for argument in node.args[:1] if is_text(argument))


def is_text(node: ast.expr) -> TypeGuard[ast.Constant]:
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


def find_violations(root: Path) -> list[str]:
    """All broken rules under ``root``, one line each; empty when the layout is as designed."""
    modules = find_modules(root)
    imports = [found for name, file in modules.items() for found in find_imports(name, file, modules)]
    return [*broken_rooms(imports), *scattered_packages(imports), *import_cycles(imports, modules)]


def broken_rooms(imports: list[Import]) -> Iterator[str]:
    for found in imports:
        room, outsider = room_of(found.importer), found.target.partition(".")[0]
        if outsider in PACKAGES:
            allowed = room_of(found.target) in MAY_IMPORT[room]
            allowed |= room == "ui" and found.target in TORCH_FREE
        else:
            allowed = outsider not in FORBIDDEN_OUTSIDERS.get(room, set())
        if not allowed:
            yield f"{found.importer}:{found.line} imports {found.target}"


def scattered_packages(imports: list[Import]) -> Iterator[str]:
    for heavy in sorted(HEAVY):
        importers = {found.importer for found in imports if found.target.partition(".")[0] == heavy}
        folders = {room_of(importer) for importer in importers if not importer.startswith(PEERS)}
        if len(folders) > 1:
            yield f"{heavy} is imported in more than one place: {', '.join(sorted(folders))}"


def import_cycles(imports: list[Import], modules: dict[str, Path]) -> Iterator[str]:
    graph: dict[str, set[str]] = {name: set() for name in modules}
    for found in imports:
        if found.at_load and found.target in modules:
            graph[found.importer].add(found.target)
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        yield f"import cycle: {' <- '.join(error.args[1])}"


def undeclared_packages(files: dict[str, Path], extras: set[str]) -> set[str]:
    """Packages that files import but pyproject.toml names neither as a dependency nor in the extras."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wishes = chain(project["dependencies"], *(project["optional-dependencies"][extra] for extra in extras))
    declared = {Requirement(wish).name for wish in wishes}
    distributions = packages_distributions()
    imported = {
        found.target.split(".")[0] for name, file in files.items() for found in find_imports(name, file, {})
    }
    ours = {
        *PACKAGES,
        *LOOKED_FOR,
        *sys.stdlib_module_names,
        *(file.stem for file in (ROOT / "tests").glob("*.py")),
    }
    return {
        name for name in imported - ours if declared.isdisjoint(plain_names(distributions.get(name, [name])))
    }


def plain_names(names: list[str]) -> set[str]:
    return {name.lower().replace("_", "-") for name in names}


def write_sources(root: Path, sources: dict[str, str]) -> Path:
    for name, text in sources.items():
        file = root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    return root


def test_this_repository_follows_the_import_rules() -> None:
    assert find_violations(ROOT) == []


def test_every_package_that_is_imported_is_declared() -> None:
    tests = {file.stem: file for file in (ROOT / "tests").glob("*.py")}
    # Peers that we are measured against live in environments of their own.
    ours = {name: file for name, file in find_modules(ROOT).items() if file.parent.name != "peers"}
    assert undeclared_packages(ours, {"postgres", "language"}) == set()
    assert undeclared_packages(tests, {"postgres", "language", "dev"}) == set()


def test_a_package_that_nobody_declared_is_found(tmp_path: Path) -> None:
    write_sources(
        tmp_path, {"envs/a.py": "import numpy, cv2, pytest, no_such_package.deep\nfrom PIL import Image"}
    )
    assert undeclared_packages(find_modules(tmp_path), set()) == {"pytest", "no_such_package"}
    assert undeclared_packages(find_modules(tmp_path), {"dev"}) == {"no_such_package"}


@pytest.mark.parametrize("module", [m for m in (*TORCH_FREE, "ui", "envs") if m in find_modules(ROOT)])
def test_the_browser_starts_without_torch_and_worlds_and_worlds_without_torch(module: str) -> None:
    unwanted = {"torch", *(() if module == "envs" else SIMULATORS)}
    code = f"import sys, {module}; print(*sorted({unwanted} & set(sys.modules)))"
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout.strip()) == (0, ""), done.stderr


@pytest.mark.parametrize(
    ("file", "source", "complaint"),
    [
        ("prefrl/ppo.py", "from prefrl.control import loop", "prefrl.ppo:1 imports prefrl.control"),
        ("prefrl/ppo.py", "def f():\n    import envs.atari", "prefrl.ppo:2 imports envs.atari"),
        ("prefrl/ppo.py", "import gymnasium", "prefrl.ppo:1 imports gymnasium"),
        ("prefrl/control/a.py", "from ..language import tasks", "prefrl.control.a:1 imports prefrl.language"),
        ("prefrl/control/loop.py", "import envs", "prefrl.control.loop:1 imports envs"),
        ("prefrl/language/a.py", "import prefrl.control.b", "prefrl.language.a:1 imports prefrl.control.b"),
        ("envs/atari.py", "import torch.nn", "envs.atari:1 imports torch.nn"),
        ("envs/atari.py", "from prefrl.errors import UsageError", "envs.atari:1 imports prefrl.errors"),
        ("ui/app.py", "import prefrl.ensemble", "ui.app:1 imports prefrl.ensemble"),
        ("ui/app.py", "import importlib\nimportlib.import_module('torch')", "ui.app:2 imports torch"),
        ("experiments/cli.py", "import ui", "experiments.cli:1 imports ui"),
        (
            "prefrl/store.py",
            "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import experiments",
            "prefrl.store:3 imports experiments",
        ),
    ],
)
def test_an_import_across_the_walls_is_reported(
    tmp_path: Path, file: str, source: str, complaint: str
) -> None:
    assert find_violations(write_sources(tmp_path, {file: source})) == [complaint]


def test_imports_that_the_rules_allow_are_not_reported(tmp_path: Path) -> None:
    sources = {
        "prefrl/store/feedback_store.py": "import sqlalchemy",
        "prefrl/ppo.py": "import torch\nfrom prefrl import store",
        "prefrl/control/__init__.py": "",
        "prefrl/control/loop.py": "from prefrl.ppo import update_policy\nfrom . import networks",
        "prefrl/control/networks.py": "import torch",
        "envs/atari.py": "import gymnasium, ale_py\nfrom .errors import WorldError",
        "envs/errors.py": "",
        "ui/app.py": "import streamlit\nfrom prefrl.store.feedback_store import Store\nimport prefrl.errors",
        "experiments/cli.py": "import envs, prefrl.control.loop\nfrom experiments import doctor",
        "experiments/doctor.py": "import mujoco",
    }
    assert find_violations(write_sources(tmp_path, sources)) == []


def test_a_heavy_package_in_two_places_is_reported(tmp_path: Path) -> None:
    write_sources(tmp_path, {"ui/app.py": "import streamlit", "experiments/serve.py": "import streamlit.web"})
    write_sources(tmp_path, {"experiments/peers/other.py": "import transformers"})
    write_sources(tmp_path, {"prefrl/language/models.py": "import transformers"})
    assert find_violations(tmp_path) == ["streamlit is imported in more than one place: experiments, ui"]


def test_a_cycle_is_reported_unless_one_import_comes_later(tmp_path: Path) -> None:
    write_sources(tmp_path, {"prefrl/a.py": "import prefrl.b", "prefrl/b.py": "from prefrl import a"})
    assert [line.partition(":")[0] for line in find_violations(tmp_path)] == ["import cycle"]
    write_sources(tmp_path, {"prefrl/b.py": "def f():\n    from prefrl import a"})
    assert find_violations(tmp_path) == []
