"""``prefrl bench``: steps per second beside the simulators and other libraries, in one run on one machine.

Contenders take turns (A B A B), once per seed; a ratio is that of their medians. Each run of the command
leaves one line of JSON in ``experiments/results/bench.jsonl``, where a slow-down is seen.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, get_args

from experiments import bench_rows
from experiments.bench_rows import Bench
from experiments.options import parse_options
from prefrl.errors import UsageError

Name = Literal["stepping", "ppo", "fitting", "loop", "texts"]
RESULTS = Path("experiments/results/bench.jsonl")
LEAST = {
    "steps": 1,
    "labels": 10,
    "ppo_steps": 1,
    "fitting_steps": 1,
    "fitting_labels": 10,
    "mujoco_steps": 1,
    "game_steps": 1,
    "text_steps": 1,
    "num_envs": 1,
    "threads": 0,
    "episodes": 1,
}
"""The smallest value that an option may have."""
SLOWER = 0.9
"""A ratio below this share of the last one is pointed out."""


@dataclass(frozen=True)
class BenchConfig:
    """Measure steps per second against the simulators, Stable-Baselines3, imitation and TRL."""

    only: tuple[Name, ...] = ()
    """Benchmarks to run; by default all of them."""
    seeds: tuple[int, ...] = (0, 1, 2)
    """One repeat per seed; contenders take turns. For fitting only the first counts."""
    loop_seeds: tuple[int, ...] = (0,)
    """Seeds of the whole loop, where imitation takes minutes for each."""
    steps: int = 300_000
    """Steps of the whole loop that imitation's PPO learns from, about; with those that it samples for
    comparisons it takes more, and PrefRL then takes as many in all."""
    labels: int = 350
    """Comparisons in the whole loop."""
    peer: bool = True
    """Run imitation beside the whole loop and TRL beside texts; each is installed into --folder at its first
    use."""
    peer_ppo: Literal["tutorial", "command-line"] = "tutorial"
    """imitation's PPO settings: those of its tutorial, or those that its command line starts from."""
    ppo_steps: int = 98_304
    """Steps of PPO on the true reward, for each contender and seed."""
    fitting_task: str = "half-cheetah"
    """Task on which the share of fitting is measured."""
    fitting_steps: int = 300_000
    """Steps of that run."""
    fitting_labels: int = 700
    """Comparisons of that run."""
    mujoco_tasks: tuple[str, ...] = ("half-cheetah", "hopper", "ant")
    """MuJoCo tasks to step."""
    mujoco_steps: int = 1_000
    """Steps in each environment, for each contender and seed; an episode has 1000."""
    games: tuple[str, ...] = ("pong",)
    """Atari games to step."""
    game_steps: int = 200
    """Steps in each environment, for each contender and seed."""
    text_steps: int = 30
    """Optimizer steps of DPO (32 pairs each) and GRPO (64 completions each), for each contender and seed."""
    num_envs: int = 64
    """Environments for stepping."""
    threads: int = 0
    """Simulator threads of PrefRL and of raw simulators; 0 means one per core."""
    episodes: int = 20
    """Episodes that a final policy is judged by."""
    folder: Path = Path("build/bench")
    """Where other libraries are installed."""
    results: Path = RESULTS
    """The file that gets a line with the figures."""
    record: bool = True
    """Append that line."""
    quick: bool = False
    """See that everything runs, in less than a minute: tiny, without imitation and TRL, not recorded."""

    def __post_init__(self) -> None:
        for name in ("seeds", "loop_seeds"):
            seeds = getattr(self, name)
            if not seeds:
                raise UsageError(f"{name} is empty: name at least one")
            if len(set(seeds)) < len(seeds) or min(seeds) < 0:
                raise UsageError(f"{name} must be different whole numbers from 0, not {seeds}")
        for name, least in LEAST.items():
            if getattr(self, name) < least:
                raise UsageError(f"{name} must be at least {least}, not {getattr(self, name)}")


QUICK = {
    "seeds": (0,),
    "loop_seeds": (0,),
    "steps": 8_192,
    "labels": 20,
    "peer": False,
    "ppo_steps": 8_192,
    "fitting_steps": 8_192,
    "fitting_labels": 20,
    "mujoco_tasks": ("half-cheetah",),
    "mujoco_steps": 20,
    "game_steps": 5,
    "text_steps": 2,
    "episodes": 2,
    "record": False,
}


def main(args: list[str]) -> int:
    return run_bench(parse_options(BenchConfig, args, command="bench"))


def run_bench(config: BenchConfig) -> int:
    """Measures, prints the table, keeps the line; returns 0, or 1 where a contender could not run.

    Raises:
        UsageError: impossible settings, an unreadable file of results, a full disk.
        WorldError: an unknown task.
    """
    if config.quick:
        config = replace(config, **QUICK)  # type: ignore[arg-type]
    machine = bench_rows.this_machine()
    print(bench_rows.describe(machine))
    if bench_rows.is_busy(machine):
        _say("warning: other processes use this machine; do not trust these timings")
    benches = [bench for name in config.only or get_args(Name) for bench in BENCHES[name](config, _say)]
    last = bench_rows.last_ratios(config.results, machine, benches)
    print()
    print(bench_rows.table(benches, last))
    _point_out(benches, last)
    if config.record:
        bench_rows.append(bench_rows.record(benches, machine), config.results)
        print(f"appended to {config.results}")
    return 1 if any(bench.missing for bench in benches) else 0


def run_stepping(config: BenchConfig, say: Callable[[str], None]) -> list[Bench]:
    """Our worlds against the raw simulators."""
    from experiments.bench_stepping import bench_atari, bench_mujoco

    common = {"num_envs": config.num_envs, "threads": config.threads}
    benches = []
    for task in config.mujoco_tasks:
        say(f"stepping {task}")
        benches.append(bench_mujoco(task, steps=config.mujoco_steps, seeds=config.seeds, say=say, **common))
    for game in config.games:
        say(f"stepping {game}")
        benches.append(bench_atari(game, steps=config.game_steps, seeds=config.seeds, say=say, **common))
    return benches


def run_ppo(config: BenchConfig, say: Callable[[str], None]) -> list[Bench]:
    """Our PPO against Stable-Baselines3's, on the true reward."""
    from experiments.bench_ppo import bench_ppo

    say("PPO on the true reward")
    return [
        bench_ppo(
            steps=config.ppo_steps,
            threads=config.threads,
            episodes=config.episodes,
            seeds=config.seeds,
            folder=config.folder,
            say=say,
        )
    ]


def run_fitting(config: BenchConfig, say: Callable[[str], None]) -> list[Bench]:
    """The share of wall time that fitting takes; one seed is enough."""
    from experiments.bench_loop import bench_fitting

    say(f"fitting on {config.fitting_task}")
    return [
        bench_fitting(
            task=config.fitting_task,
            steps=config.fitting_steps,
            labels=config.fitting_labels,
            threads=config.threads,
            seeds=config.seeds[:1],
            say=say,
        )
    ]


def run_loop(config: BenchConfig, say: Callable[[str], None]) -> list[Bench]:
    """The whole loop against imitation's."""
    from experiments.bench_loop import bench_loop

    say("the whole preference loop")
    return [
        bench_loop(
            steps=config.steps,
            labels=config.labels,
            threads=config.threads,
            episodes=config.episodes,
            seeds=config.loop_seeds,
            folder=config.folder,
            peer_ppo=config.peer_ppo if config.peer else None,
            say=say,
        )
    ]


def run_texts(config: BenchConfig, say: Callable[[str], None]) -> list[Bench]:
    """DPO and GRPO against TRL's."""
    from experiments.bench_texts import bench_texts

    say("DPO and GRPO on texts")
    return bench_texts(
        steps=config.text_steps,
        threads=config.threads,
        seeds=config.seeds,
        folder=config.folder,
        peer=config.peer,
        say=say,
    )


BENCHES: dict[Name, Callable[[BenchConfig, Callable[[str], None]], list[Bench]]] = {
    "stepping": run_stepping,
    "ppo": run_ppo,
    "fitting": run_fitting,
    "loop": run_loop,
    "texts": run_texts,
}


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _point_out(benches: list[Bench], last: bench_rows.Ratios) -> None:
    for bench in benches:
        for name, ratio in bench.ratios().items():
            before = last.get((bench.name, name))
            if before is not None and ratio < SLOWER * before:
                print(f"slower than last time: {bench.name} against {name}, {ratio:.2f}x after {before:.2f}x")
