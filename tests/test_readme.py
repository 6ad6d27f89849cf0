"""The README is tested as it stands: its programs run, its commands exist."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from experiments import readme
from experiments.cli import COMMANDS
from experiments.report_data import read_data
from prefrl.errors import UsageError

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    found = re.findall(r"^```(\w*)\n(.*?)^```$", README, flags=re.DOTALL | re.MULTILINE)
    return [text for name, text in found if name == language]


def commands() -> list[str]:
    return [line for block in blocks("sh") for line in block.splitlines() if line.strip()]


def own_environment() -> str:
    return next(block for block in blocks("python") if "def make_env" in block)


def test_your_own_environment_in_20_lines_runs_as_it_stands(tmp_path: Path) -> None:
    script = tmp_path / "own.py"
    wrapped = next(block for block in blocks("python") if "load_reward_model" in block)
    script.write_text(
        own_environment() + wrapped + "env.reset()\nprint(env.step(env.action_space.sample())[1].shape)\n"
    )
    done = subprocess.run([sys.executable, script], cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert re.search(r"-\d+, untrained -\d+\n\(8,\)", done.stdout)
    assert (tmp_path / "runs" / "my-pendulum" / "summary.json").exists()


def test_your_own_environment_takes_no_more_than_20_lines() -> None:
    lines = [line for line in own_environment().splitlines() if line.strip()]
    assert len(lines) <= 20


@pytest.mark.parametrize("line", commands())
def test_every_command_of_the_readme_exists(line: str) -> None:
    words = shlex.split(line, comments=True)
    if words[0] == "make":
        assert re.search(rf"^{words[1]}:", (ROOT / "Makefile").read_text(), flags=re.MULTILINE), line
    else:
        assert words[0] == "prefrl"
        assert words[1] in COMMANDS


def test_every_file_that_the_tree_names_exists() -> None:
    tree = next(block for block in blocks("") if "the method" in block)
    folder = "prefrl"
    for line in tree.splitlines():
        if match := re.match(r"(\s*)(\w+)/ ", line):
            folder = f"prefrl/{match[2]}" if match[1] else match[2]
            assert (ROOT / folder).is_dir(), line
        for name in re.findall(r"[\w*]+\.py", line):
            assert list((ROOT / folder).glob(name)), line


def test_the_results_are_those_of_the_committed_data() -> None:
    assert readme.fill(README) == README, "run `make readme`"


def test_the_headline_is_that_of_the_data() -> None:
    runs = read_data(ROOT / "experiments/results/atari")
    (run,) = [one for one in runs if (one.task, one.reward) == ("pong", "learned")]
    headline = " ".join(README.split("**")[1].split())
    minutes = round(run.number("wall_seconds") / 60)
    assert headline.startswith(f"Pong at {run.number('true_return_mean'):.1f} points out of 21")
    assert f"in {minutes} minutes from {run.labels:,} answers" in headline


def test_results_without_a_pair_of_markers_are_refused() -> None:
    with pytest.raises(UsageError, match="one pair of markers for the results 'mujoco'"):
        readme.fill("<!-- results: mujoco -->\n")
