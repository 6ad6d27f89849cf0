"""What somebody asks for who starts a run from a page: nothing but names from lists and numbers in ranges."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass

from prefrl.runs.names import run_folder_name
from ui.refusals import Refusal

COMMAND = (sys.executable, "-m", "experiments.cli")
"""The command line; another process, because the worlds and torch stay out of this one."""
PATIENCE_SECONDS = 60.0
RANGES = {"steps": (1, 1_000_000_000), "labels": (4, 1_000_000), "seed": (0, 2**31 - 1)}
"""Smallest and largest value of each number."""


@dataclass(frozen=True)
class TaskDefaults:
    """A task, what it is, and the budgets that its runs start from."""

    task: str
    kind: str
    steps: int
    labels: int


@dataclass(frozen=True)
class Catalogue:
    """What can be asked for."""

    tasks: Mapping[str, TaskDefaults]
    rewards: tuple[str, ...]
    teachers: tuple[str, ...]


@dataclass(frozen=True)
class RunRequest:
    """A run that is to be started; `teacher` and `labels` mean something for a learned reward only."""

    task: str
    reward: str
    teacher: str
    steps: int
    labels: int
    seed: int

    def check(self, catalogue: Catalogue) -> None:
        """Raises Refusal for a name that is not in the catalogue or a number out of its range."""
        choices = {
            "task": catalogue.tasks,
            "reward": catalogue.rewards,
            "teacher": catalogue.teachers,
        }
        for name, known in choices.items():
            value = getattr(self, name)
            if not isinstance(value, str) or value not in known:
                raise Refusal(400, f"there is no {name} {str(value)[:100]!r}: choose from {', '.join(known)}")
        for name, (low, high) in RANGES.items():
            value = getattr(self, name)
            if type(value) is not int or not low <= value <= high:
                raise Refusal(
                    400, f"{name} must be a whole number from {low} to {high:,}, not {str(value)[:100]}"
                )

    @property
    def folder_name(self) -> str:
        """What its folder is called if that is free; made of what `check` has found to be in order."""
        return run_folder_name(
            task=self.task,
            reward=self.reward,
            teacher=self.teacher,
            labels=self.labels,
            agent="ppo",
            seed=self.seed,
        )

    @property
    def arguments(self) -> list[str]:
        """The arguments of ``prefrl``, each a word of its own: no shell ever reads them."""
        words = [
            "train",
            self.task,
            f"--reward={self.reward}",
            f"--steps={self.steps}",
            f"--seed={self.seed}",
        ]
        if self.reward == "learned":
            words += [f"--teacher={self.teacher}", f"--labels={self.labels}"]
        return words


def read_catalogue() -> Catalogue:
    """What the command line says can be asked for; raises Refusal where it says nothing of use."""
    try:
        done = subprocess.run(
            [*COMMAND, "tasks", "--json"],
            capture_output=True,
            text=True,
            timeout=PATIENCE_SECONDS,
            check=True,
            stdin=subprocess.DEVNULL,
        )
        read = json.loads(done.stdout)
        tasks = [TaskDefaults(one["task"], one["kind"], one["steps"], one["labels"]) for one in read["tasks"]]
        return Catalogue({one.task: one for one in tasks}, tuple(read["rewards"]), tuple(read["teachers"]))
    except (OSError, subprocess.SubprocessError, ValueError, KeyError, TypeError) as error:
        raise Refusal(503, f"the list of tasks cannot be had (prefrl tasks --json: {error})") from error
