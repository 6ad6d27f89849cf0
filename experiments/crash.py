"""``prefrl crash TASK``: a run killed again and again ends at exactly the figures of an undisturbed one.

Two runs with the same settings, each in processes of its own: one is left alone, the other gets SIGKILL at
moments spread over 10 to 95% of the run and is resumed after each. Then everything that does not measure time
is compared exactly: the summary, every row of metrics, every query and answer.
"""

from __future__ import annotations

import shlex
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import numpy as np
import tyro

from envs.tasks import GAME_NAMES
from experiments.options import parse_options
from prefrl.errors import UsageError
from prefrl.runs.log import METRICS, RunFolder, read_metrics

STEPS = {"game": 40_960, "robot": 100_000}
TIMES = ("steps_per_second", "wall_seconds", "seconds", "fit_seconds")
"""Figures that measure time: the only ones that may differ."""
FIRST_KILL, LAST_KILL = 0.10, 0.95
POLL_SECONDS = 0.02
OUTPUT = "output.txt"


@dataclass(frozen=True)
class CrashConfig:
    """Kill a run at moments spread over it, resume it each time, compare it with an undisturbed one."""

    task: Annotated[str, tyro.conf.Positional] = "half-cheetah"
    """A task of ours or an ALE game; foreign environments cannot be resumed exactly."""
    kills: int = 10
    """Times the run is killed, at evenly spaced moments between 10 and 95% of it."""
    steps: int | None = None
    """Agent steps; by default 100,000, or 40,960 of a game."""
    labels: int = 120
    """Label budget."""
    seed: int = 0
    """Seed of both runs."""
    checkpoints: int = 20
    """Checkpoints per run, evenly spaced."""
    evaluation_episodes: int = 4
    """Episodes of the untrained and of the final policy that are compared."""
    run: Path = Path("runs/crash")
    """Folder for both runs; must not hold them yet."""
    train_options: str = ""
    """More options of `prefrl train`, such as --train-options="--num-envs 16 --reward true"."""

    def __post_init__(self) -> None:
        if self.kills < 1 or self.checkpoints < 1:
            raise UsageError("--kills and --checkpoints must be at least 1")


class Kill(NamedTuple):
    """One SIGKILL."""

    wanted: float
    """Share of the run at which it was to come."""
    step: int
    """The last step that was on record when it came."""
    checkpoint: str
    """What the run was resumed from."""


def main(args: list[str]) -> int:
    return run_crash(parse_options(CrashConfig, args, command="crash"))


def run_crash(config: CrashConfig) -> int:
    """Runs both, prints the kills and the comparison; returns 0 if nothing differs, else 1.

    Raises:
        UsageError: a run folder in the way, or a run that fails by itself; the message says how.
    """
    command = train_command(config)
    undisturbed, killed = config.run / "undisturbed", config.run / "killed"
    for folder in (undisturbed, killed):
        if folder.exists():
            raise UsageError(f"{folder} exists: delete it, or choose another --run")
    config.run.mkdir(parents=True, exist_ok=True)
    print(f"undisturbed: {' '.join(command[2:])} --run {undisturbed}", flush=True)
    _run_to_end(command, undisturbed, resume=False)
    kills = run_with_kills(config, command, killed, seconds_per_row=_seconds_per_row(undisturbed))
    print(f"\n{'kill':>4}  {'wanted at':>9}  {'last step':>9}  resumed from")
    for number, kill in enumerate(kills, 1):
        print(f"{number:4d}  {kill.wanted:9.0%}  {kill.step:9d}  {kill.checkpoint}")
    differences = compare_runs(undisturbed, killed)
    print("\n".join(["", *figures_table(undisturbed, killed), *differences]))
    print(f"{len(kills)} kills: {'figures differ' if differences else 'all figures are equal'}")
    return 1 if differences else 0


def train_command(config: CrashConfig) -> list[str]:
    """``prefrl train`` with the settings of both runs, but for the folder."""
    steps = config.steps or STEPS["game" if is_game(config.task) else "robot"]
    options = {
        "steps": steps,
        "labels": config.labels,
        "seed": config.seed,
        "evaluation-episodes": config.evaluation_episodes,
        "checkpoint-every-steps": max(1, steps // config.checkpoints),
        "device": "cpu",
    }
    words = [word for name, value in options.items() for word in (f"--{name}", str(value))]
    words += shlex.split(config.train_options)
    return [sys.executable, "-m", "experiments.cli", "train", config.task, *words]


def run_with_kills(
    config: CrashConfig, command: list[str], folder: Path, *, seconds_per_row: float
) -> list[Kill]:
    """The run that is killed; a kill that would come after its end is left out."""
    steps = int(command[command.index("--steps") + 1])
    kills: list[Kill] = []
    for share in np.linspace(FIRST_KILL, LAST_KILL, config.kills):
        process = _start(command, folder, resume=bool(kills))
        # Rows are far apart in a short run: the moment between two of them is hit by the clock.
        reached = _wait_for_step(process, folder, float(share) * steps, seconds_per_row)
        process.kill()
        process.wait()
        if not reached:
            break
        rows = read_metrics(folder)
        kills.append(Kill(float(share), rows[-1]["step"] if rows else 0, _newest_checkpoint(folder)))
        print(f"killed at {share:.0%}", file=sys.stderr, flush=True)
    _run_to_end(command, folder, resume=bool(kills))
    return kills


def compare_runs(one: Path, other: Path) -> list[str]:
    """Every difference between two runs, but for time: one line each."""
    summaries = [_timeless(_summary(folder)) for folder in (one, other)]
    metrics = [[_timeless(row) for row in read_metrics(folder)] for folder in (one, other)]
    differences = [
        f"summary: {name} is {summaries[0].get(name)} and {summaries[1].get(name)}"
        for name in summaries[0].keys() | summaries[1].keys()
        if summaries[0].get(name) != summaries[1].get(name)
    ]
    if len(metrics[0]) != len(metrics[1]):
        differences.append(f"metrics: {len(metrics[0])} and {len(metrics[1])} rows")
    for row, (ours, theirs) in enumerate(zip(*metrics, strict=False)):
        names = [name for name in ours.keys() | theirs.keys() if ours.get(name) != theirs.get(name)]
        differences += [
            f"metrics, row {row}: {name} is {ours.get(name)} and {theirs.get(name)}" for name in names
        ]
    feedback = [_feedback(folder) for folder in (one, other)]
    if feedback[0] != feedback[1]:
        differences.append(f"feedback: {len(feedback[0])} and {len(feedback[1])} records, not the same")
    return differences


def figures_table(one: Path, other: Path) -> list[str]:
    """The summaries' numbers beside each other."""
    ours, theirs = _summary(one), _summary(other)
    lines = [f"{'figure':24}{'undisturbed':>22}{'killed':>22}"]
    for name, value in ours.items():
        if isinstance(value, int | float) and not isinstance(value, bool):
            note = "  (time)" if name in TIMES else ""
            lines.append(f"{name:24}{value:22.12g}{theirs.get(name, float('nan')):22.12g}{note}")
    return lines


def is_game(task: str) -> bool:
    from envs.atari import is_atari_game

    return task in GAME_NAMES or is_atari_game(task)


def _start(command: list[str], folder: Path, *, resume: bool) -> subprocess.Popen[bytes]:
    # Killed before it had made its folder, a run cannot be resumed: it is started again.
    again = ["--resume"] if resume and (folder / "config.json").exists() else []
    with open(folder.with_name(f"{folder.name}-{OUTPUT}"), "ab") as output:
        return subprocess.Popen([*command, "--run", str(folder), *again], stdout=output, stderr=output)


def _run_to_end(command: list[str], folder: Path, *, resume: bool) -> None:
    code = _start(command, folder, resume=resume).wait()
    if code:
        output = folder.with_name(f"{folder.name}-{OUTPUT}")
        last = output.read_text(errors="replace").strip().splitlines()[-1:]
        raise UsageError(f"the run ended with exit code {code}: {' '.join(last)} (all of it in {output})")


def _wait_for_step(
    process: subprocess.Popen[bytes], folder: Path, step: float, seconds_per_row: float
) -> bool:
    """Waits until the run is at a step, by the clock since the row before it; False if it ends first."""
    before = _metrics_file(folder)
    while before and _metrics_file(folder) == before and process.poll() is None:
        time.sleep(POLL_SECONDS)  # a resumed run first replaces the rows that came after its checkpoint
    newest, since = -1, time.monotonic()
    steps_per_row = 0
    while process.poll() is None:
        rows = read_metrics(folder, tail=2)
        if rows and rows[-1]["step"] != newest:
            newest, since = rows[-1]["step"], time.monotonic()
            steps_per_row = newest - rows[0]["step"] or newest
        missing = step - max(newest, 0)
        waited = time.monotonic() - since
        if missing <= 0 or (steps_per_row and waited >= seconds_per_row * missing / steps_per_row):
            return True
        time.sleep(POLL_SECONDS)
    return False


def _metrics_file(folder: Path) -> int:
    """Which file the metrics are, 0 for none: one that is replaced has another number."""
    path = folder / METRICS
    return path.stat().st_ino if path.exists() else 0


def _seconds_per_row(folder: Path) -> float:
    rows = read_metrics(folder)
    return float(rows[-1]["seconds"] - rows[0]["seconds"]) / max(1, len(rows) - 1)


def _newest_checkpoint(folder: Path) -> str:
    names = sorted(path.name for path in (folder / "checkpoints").glob("*.pt"))
    return f"step {int(names[-1].split('-')[1])}" if names else "the beginning"


def _summary(folder: Path) -> dict[str, Any]:
    summary = RunFolder.open(folder).read_summary()
    if summary is None:
        raise UsageError(f"{folder} has no summary: the run has not come to its end")
    return summary


def _timeless(figures: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in figures.items() if name not in TIMES}


def _feedback(folder: Path) -> list[object]:
    """Every query and answer; ids carry the run's name, so they are told apart by position."""
    from prefrl.store.feedback_store import FeedbackStore

    with FeedbackStore(folder / "feedback.sqlite", must_exist=True) as store:
        queries = store.queries(folder.name)
        place = {query.id: number for number, query in enumerate(queries)}
        asked: list[object] = [(query.counter, query.policy_step, query.reward_version) for query in queries]
        return asked + [(place[one.query_id], one.value, one.source) for one in store.answers(folder.name)]
