"""``prefrl person TASK``: a scripted person labels a live run in a real browser, beside the oracle.

The person sees the clips that are drawn and presses the oracle's keys; training, server, clip worker and
browser share the machine. The same run with the oracle in-process, at the same budgets and the same pace,
says what the way through the browser costs: nothing, where both are alike within the spread of seeds.
"""

from __future__ import annotations

import json
import math
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import tyro

from experiments.bench_rows import this_machine
from experiments.browser import LabelPage, OpenBrowser, open_browser
from experiments.live_run import LiveRun
from experiments.options import parse_options
from experiments.person_figures import compare, describe, figures_of
from experiments.scripted_person import ScriptedPerson, Sitting, sit
from experiments.train import parse, settings_of, train_task
from prefrl.errors import UsageError
from prefrl.files import write_atomically
from prefrl.store.feedback_store import FeedbackStore

RESULT = "person.json"
PERSON = "person"
STORE = "feedback.sqlite"


@dataclass(frozen=True)
class PersonConfig:
    """Label a live run by key presses in a real browser, as the oracle would; compare with the oracle."""

    task: Annotated[str, tyro.conf.Positional] = "half-cheetah"
    """A task of ours or an ALE game."""
    pairs: int = 500
    """Label budget: pairs that the person answers."""
    steps: int = 1_000_000
    """Agent steps of every run."""
    per_minute: float = 60.0
    """Answers per minute at most; the page may hold the person up, never hurry them."""
    max_steps_per_label: int | None = None
    """A run pauses once it is so far ahead; by default steps over pairs."""
    seed: int = 0
    """Seed of the person's run."""
    oracle_seeds: tuple[int, ...] = (0, 1, 2)
    """Seeds of the runs with the oracle in-process; their spread is the noise. Empty: no comparison."""
    baseline: tuple[Path, ...] = (Path("experiments/results/mujoco"),)
    """Runs on the true reward, whole or condensed; those of the task give the normalised score."""
    run: Path | None = None
    """Folder for the runs and the result; by default runs/person-TASK. Finished runs in it are used."""
    train_options: str = ""
    """More options of `prefrl train` for every run, such as --train-options="--num-envs 16"."""

    def __post_init__(self) -> None:
        if self.pairs < 4 or self.steps < 1 or not self.per_minute > 0:
            raise UsageError("--pairs must be at least 4, --steps at least 1, --per-minute above 0")

    @property
    def folder(self) -> Path:
        return self.run or Path("runs") / f"person-{self.task}"


def main(args: list[str]) -> int:
    return run_person(parse_options(PersonConfig, args, command="person"))


def run_person(config: PersonConfig, *, browser: OpenBrowser = open_browser) -> int:
    """Runs the person, then the oracle; prints and writes the result; 0 unless an answer went astray.

    Raises:
        UsageError: no browser, a run that fails, an unfinished run of an earlier call in the way.
    """
    folder = config.folder
    folder.mkdir(parents=True, exist_ok=True)
    if (folder / RESULT).is_file():
        result = json.loads((folder / RESULT).read_text(encoding="utf-8"))
    else:
        if (folder / PERSON).exists():
            raise UsageError(f"{folder / PERSON} has no result yet: delete it, or choose another --run")
        about = {"options": train_words(config, config.seed), "machine": this_machine()}
        result = {"task": config.task, **about, **label_live(config, folder, browser)}
        _write(folder / RESULT, result)
    oracle = [run_oracle(config, folder, seed) for seed in config.oracle_seeds]
    result["comparison"] = compare(folder / PERSON, oracle, baseline=config.baseline)
    _write(folder / RESULT, result)
    print(describe(result))
    print(f"result: {folder / RESULT}")
    return 1 if result["problems"] else 0


def train_words(config: PersonConfig, seed: int) -> list[str]:
    """Options of ``prefrl train`` for either teacher: budgets, pace and seed."""
    options = {
        "steps": config.steps,
        "labels": config.pairs,
        "seed": seed,
        "query.pace": "labels",
        "query.max-steps-per-label": config.max_steps_per_label or math.ceil(config.steps / config.pairs),
    }
    words = [word for name, value in options.items() for word in (f"--{name}", str(value))]
    return [*words, *shlex.split(config.train_options)]


def label_live(config: PersonConfig, folder: Path, browser: OpenBrowser) -> dict[str, Any]:
    """The person's run from its start to its end: how the labelling went, and what went wrong."""
    memory: list[float] = []
    with LiveRun(folder / PERSON, config.task, train_words(config, config.seed)) as live:
        live.wait_for_clips()
        with browser() as chromium, FeedbackStore(folder / PERSON / STORE) as store:
            page = LabelPage(chromium.new_context(), live.server, PERSON, "script")

            def watch(sitting: Sitting) -> bool:
                memory.append(live.server.memory)
                if len(sitting.presses) % 50 == 0:
                    print(f"{len(sitting.presses)} answers, {sitting.per_minute:.0f} per minute", flush=True)
                return False

            person = ScriptedPerson(page, folder / PERSON, store, per_minute=config.per_minute)
            sitting = sit(person, config.pairs, trains=lambda: live.trains, watch=watch)
            page.wait_for_receipts(config.pairs)
            problems = [*went_astray(page, sitting, store), *page.problems]
        live.wait_for_end()
    return {"labelling": figures_of(sitting, memory), "problems": problems}


def run_oracle(config: PersonConfig, folder: Path, seed: int) -> Path:
    """The same run with the oracle in-process; a finished one is used as it is, a half-finished one resumed.

    Raises UsageError where the folder holds a run of other settings.
    """
    path = folder / f"oracle-s{seed}"
    settings = settings_of(parse([config.task, *train_words(config, seed)]))
    resume = (path / "config.json").exists()
    train_task(settings, path, resume=resume)
    return path


def went_astray(page: LabelPage, sitting: Sitting, store: FeedbackStore) -> list[str]:
    """Answers that were meant, acknowledged and stored ought to be the same ones: what is not, in words."""
    kept = {told["entry"]["query"] for told in page.told if told["receipt"]["status"] == "kept"}
    stored = {answer.query_id: answer.value for answer in store.current_answers(store.runs()[0])}
    meant = {press.query: press.value for press in sitting.presses}
    wrong = [query for query, value in meant.items() if query in stored and stored[query] != value]
    doubled = [f"{len(sitting.presses)} presses were for {len(meant)} pairs"]
    return [
        *(doubled if len(meant) < len(sitting.presses) else []),
        *(f"{query} was not acknowledged" for query in sorted(meant.keys() - kept)),
        *(f"{query} was answered and is not stored" for query in sorted(meant.keys() - stored.keys())),
        *(f"{query} is stored, and nobody answered it" for query in sorted(stored.keys() - meant.keys())),
        *(f"{query}: {meant[query]} was meant, {stored[query]} is stored" for query in wrong),
    ]


def _write(file: Path, result: dict[str, Any]) -> None:
    write_atomically(file, (json.dumps(result, indent=1) + "\n").encode())
