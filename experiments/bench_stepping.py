"""Stepping alone: our worlds against the simulators underneath them, on the same threads and actions.

The simulators are stepped raw: no resets, observations, rewards or episode seeds. What a world of ours adds
to that is what the ratio shows.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from experiments.bench_rows import Bench, Sample, alternate

ACTION_SETS = 64
"""Different random actions for all environments, drawn before the clock starts and used in turn."""
WARM_UP_STEPS = 3

Step = Callable[[np.ndarray], Any]


def bench_mujoco(
    task: str, *, num_envs: int, steps: int, threads: int, seeds: Sequence[int], say: Callable[[str], None]
) -> Bench:
    """Our world against ``mujoco.batch.Batch``; ``steps`` in each environment."""
    settings = {"num_envs": num_envs, "steps": steps, "threads": threads}
    with our_world(task, num_envs, threads) as ours, raw_batch(task, num_envs, threads) as raw:
        world, begin_world = ours
        space = world.single_action_space
        size = (ACTION_SETS, num_envs, *space.shape)
        actions = np.random.default_rng(0).uniform(space.low, space.high, size)
        step_raw, begin_raw = raw
        contenders = {
            "PrefRL": _timed(world.step, begin_world, actions, steps),
            "mujoco.batch": _timed(step_raw, begin_raw, actions, steps),
        }
        return Bench(f"stepping {task}", alternate(contenders, seeds, say=say), settings)


def bench_atari(
    game: str, *, num_envs: int, steps: int, threads: int, seeds: Sequence[int], say: Callable[[str], None]
) -> Bench:
    """Our world against ``AtariVectorEnv`` with its own four-frame stacks; ``steps`` in each environment."""
    settings = {"num_envs": num_envs, "steps": steps, "threads": threads}
    with our_world(game, num_envs, threads) as ours, raw_atari(game, num_envs, threads) as raw:
        world, begin_world = ours
        choices = world.single_action_space.n
        actions = np.random.default_rng(0).integers(choices, size=(ACTION_SETS, num_envs))
        step_raw, begin_raw = raw
        contenders = {
            "PrefRL": _timed(world.step, begin_world, actions, steps),
            "AtariVectorEnv": _timed(step_raw, begin_raw, actions, steps),
        }
        return Bench(f"stepping {game}", alternate(contenders, seeds, say=say), settings)


@contextlib.contextmanager
def our_world(task: str, num_envs: int, threads: int) -> Iterator[tuple[Any, Callable[[int], None]]]:
    """A world of ours in the paper's form, and what opens its episodes for a seed."""
    from envs import make_vector_env

    world = make_vector_env(task, num_envs, 0, num_threads=threads)

    def begin(seed: int) -> None:
        world.reset(seed=seed)
        if hasattr(world, "forget_finished_episodes"):
            world.forget_finished_episodes()

    try:
        yield world, begin
    finally:
        world.close()


@contextlib.contextmanager
def raw_batch(task: str, num_envs: int, threads: int) -> Iterator[tuple[Step, Callable[[int], None]]]:
    """The batch of simulations of the task's model: a step, and what puts all back to their defaults."""
    from mujoco.batch import Batch, SimulationError

    from envs.mujoco_model import load_model, quiet_mujoco
    from envs.mujoco_tasks import MUJOCO_TASKS
    from prefrl.runs.provenance import usable_cores

    settings = MUJOCO_TASKS[task]
    batch = Batch(load_model(settings.model_file), num_envs, threads or usable_cores())
    controls = batch.bind("ctrl")

    def step(actions: np.ndarray) -> None:
        controls[:] = actions
        # Random actions may break a simulation; a raw batch has nobody who would begin it anew.
        with contextlib.suppress(SimulationError):
            batch.step(nstep=settings.frame_skip)

    with quiet_mujoco():
        yield step, lambda _seed: batch.reset()


@contextlib.contextmanager
def raw_atari(game: str, num_envs: int, threads: int) -> Iterator[tuple[Step, Callable[[int], None]]]:
    """The emulators with the settings of our worlds, stacking four frames and resetting by themselves."""
    from ale_py.vector_env import AtariVectorEnv

    emulators = AtariVectorEnv(
        game.replace("-", "_"),
        num_envs,
        num_threads=threads,
        frameskip=4,
        stack_num=4,
        maxpool=True,
        noop_max=30,
        use_fire_reset=True,
        reward_clipping=False,
        repeat_action_probability=0.0,
    )

    def begin(seed: int) -> None:
        emulators.reset(seed=np.arange(seed, seed + num_envs, dtype=np.int64))

    try:
        yield emulators.step, begin
    finally:
        emulators.close()


def _timed(
    step: Step, begin: Callable[[int], None], actions: np.ndarray, steps: int
) -> Callable[[int], Sample]:
    def run(seed: int) -> Sample:
        begin(seed)
        for t in range(WARM_UP_STEPS):
            step(actions[t])
        started = time.perf_counter()
        for t in range(steps):
            step(actions[t % ACTION_SETS])
        return Sample(steps * actions.shape[1], time.perf_counter() - started, seed)

    return run
