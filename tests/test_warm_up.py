"""What the server does before its first visitors, so that they need not wait for it."""

import ast
import subprocess
import sys
from pathlib import Path

from ui.warm_up import PAGES

ROOT = Path(__file__).parents[1]
SCRIPT = """
import sys
import ui.here
from ui.refusals import Refusal
from ui.warm_up import PAGES, warm_up_aside

def catalogue():
    asked.append(1)
    raise Refusal(503, "no command line here")

asked = []
ui.here.read_catalogue = catalogue
warm_up_aside().join()
missing = {"pandas", "pyarrow", *(f"ui.{page}" for page in PAGES)} - sys.modules.keys()
assert not missing, missing
assert asked == [1]
assert "torch" not in sys.modules
"""


def test_every_page_of_the_app_is_imported_beforehand() -> None:
    tree = ast.parse((ROOT / "ui" / "app.py").read_text(encoding="utf-8"))
    imported = [node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module]
    assert {f"ui.{page}" for page in PAGES} == {name for name in imported if name.startswith("ui.page_")}


def test_warming_up_takes_in_what_charts_and_tables_need_and_survives_a_missing_catalogue() -> None:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], cwd=ROOT, capture_output=True, text=True, timeout=600
    )
    assert done.returncode == 0, done.stderr
