"""A policy fitted to comparisons of segments: it learns small worlds, reproducibly, and not from noise."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import torch

from envs import make_vector_env
from prefrl.control.acting import Actor
from prefrl.control.contrastive import (
    ContrastiveConfig,
    ContrastiveReport,
    fit_policy_from_store,
    fit_policy_to_comparisons,
)
from prefrl.control.layouts import Layout, layout_of, network_inputs
from prefrl.control.policies import make_policy
from prefrl.control.segment_files import save_segment
from prefrl.control.segments import Segments
from prefrl.errors import UsageError
from prefrl.feedback import Answer, Kind, Query, Source, make_id
from prefrl.moments import RunningMoments
from prefrl.store.feedback_store import FeedbackStore
from prefrl.teachers import make_teacher

QUICK = ContrastiveConfig(epochs=40, learning_rate=3e-3, alpha=1.0)


class World(NamedTuple):
    """Segments of somebody who acts at random, and what each step was worth."""

    task: str
    layout: Layout
    inputs: np.ndarray
    progress: np.ndarray
    """``[segments, length]``: how much the step did for the task, wherever it began (minus its regret, up to
    a constant): whoever compares by it does as contrastive preference learning supposes."""


def an_actor(task: str, seed: int = 0) -> Actor:
    torch.manual_seed(seed)
    env = make_vector_env(task, 1, seed=0)
    numbers = env.single_observation_space.shape[0]  # type: ignore[index]
    policy = make_policy(env.single_observation_space, env.single_action_space, initial_log_std=-0.5)
    env.close()
    return Actor(policy, RunningMoments((numbers,)), torch.device("cpu"))


def random_segments(task: str, *, length: int, count: int, seed: int = 0) -> World:
    env, rng = make_vector_env(task, count, seed=seed), np.random.default_rng(seed)
    space = env.single_action_space
    layout = layout_of(env.single_observation_space, space, stacked_frames=False)
    observation, _ = env.reset()
    inputs, progress = [], []
    for _ in range(length):
        if layout.actions:
            action = rng.integers(0, layout.actions, count)
        else:
            action = rng.uniform(-1, 1, (count, *space.shape)).astype(np.float32)  # type: ignore[misc]
        after, reward, _, _, _ = env.step(action)
        inputs.append(network_inputs(layout, observation, action))
        # The distance before the step is what the observation says; it takes the start out of the reward.
        before = np.linalg.norm(observation[:, 2:], axis=1) if task == "probe-target" else 0.0
        progress.append(reward + before)
        observation = after
    env.close()
    return World(task, layout, np.stack(inputs, 1), np.stack(progress, 1))


def compared(world: World, count: int, *, teacher: str = "oracle") -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(1)
    pairs = np.array([rng.choice(len(world.inputs), 2, replace=False) for _ in range(count)])
    answers = make_teacher(teacher, rng).answer(*(world.progress[side] for side in pairs.T))
    return pairs, answers


def fit(world: World, actor: Actor, *, teacher: str = "oracle", seed: int = 0) -> ContrastiveReport:
    pairs, answers = compared(world, 600, teacher=teacher)
    generator = torch.Generator().manual_seed(seed)
    return fit_policy_to_comparisons(
        actor, world.inputs, world.layout, pairs, answers, config=QUICK, generator=generator
    )


def mean_score(actor: Actor, task: str, *, steps: int = 50) -> float:
    """Mean reward per step of the likeliest actions in 64 fresh worlds."""
    env, total = make_vector_env(task, 64, seed=99), 0.0
    actor.refresh()
    observation, _ = env.reset()
    for _ in range(steps):
        observation, reward, _, _, _ = env.step(actor.act(observation, np.random.default_rng(0), greedy=True))
        total += reward.mean() / steps
    env.close()
    return total


def test_a_categorical_policy_learns_to_match_from_comparisons_alone() -> None:
    world, actor = random_segments("probe-match", length=1, count=200), an_actor("probe-match")
    report = fit(world, actor)
    assert mean_score(actor, "probe-match") == pytest.approx(1.0)
    assert (report.labels, report.gradient_steps) == (600, 400)
    assert report.agreement > 0.99


def test_a_gaussian_policy_learns_the_way_to_a_target_from_comparisons_alone() -> None:
    world, actor = random_segments("probe-target", length=10, count=400), an_actor("probe-target")
    untrained = mean_score(actor, "probe-target")
    report = fit(world, actor)
    # Straight to the target costs 0.1 to 0.2 per step, staying where one is 1.0.
    assert untrained < -0.8
    assert mean_score(actor, "probe-target") > -0.35
    assert report.agreement > 0.8


def test_shuffled_answers_teach_nothing() -> None:
    world, actor = random_segments("probe-target", length=10, count=400), an_actor("probe-target")
    fit(world, actor, teacher="shuffled")
    assert mean_score(actor, "probe-target") < -0.6


def test_a_fit_is_a_function_of_its_generator_and_keeps_the_deviation() -> None:
    world = random_segments("probe-target", length=5, count=50)
    actors = [an_actor("probe-target") for _ in range(2)]
    assert fit(world, actors[0]) == fit(world, actors[1])
    weights = [torch.cat([p.flatten() for p in actor.policy.body.policy.parameters()]) for actor in actors]
    assert torch.equal(*weights)
    assert actors[0].policy.log_std.tolist() == [-0.5, -0.5]


def test_a_policy_is_fitted_to_what_a_store_holds(tmp_path: Path) -> None:
    world, actor = random_segments("probe-match", length=1, count=40), an_actor("probe-match")
    zeros = np.zeros(40, dtype=np.int64)
    segments = Segments(world.inputs, world.progress, zeros, zeros, zeros, [{}] * 40)
    ids = [make_id("run", 0, "segment", row) for row in range(40)]
    for row, segment in enumerate(ids):
        save_segment(tmp_path, segment, segments, row)
    pairs, answers = compared(world, 100)
    with FeedbackStore(tmp_path / "feedback.sqlite") as store:
        for counter, ((left, right), value) in enumerate(zip(pairs, answers, strict=True)):
            query = Query(
                make_id("run", 0, "query", counter),
                "run",
                Kind.PAIR,
                (ids[left], ids[right]),
                counter=counter,
            )
            name = make_id("run", 0, "answer", counter)
            store.add([query, Answer(name, query.id, float(value), Source.ORACLE, "oracle")])
    report = fit_policy_from_store(
        actor, tmp_path / "feedback.sqlite", tmp_path, world.layout, config=QUICK, seed=0
    )
    assert report.labels == 100
    assert mean_score(actor, "probe-match") == pytest.approx(1.0)


def test_pixels_and_nothing_at_all_are_refused() -> None:
    actor, inputs = an_actor("probe-match"), np.zeros((2, 1, 3), np.float32)
    for layout, pairs, complaint in (
        (Layout("image", (84, 84, 3)), np.array([[0, 1]]), "not to pixels"),
        (Layout("features", (3,), 2), np.zeros((0, 2), np.int64), "no comparisons"),
    ):
        with pytest.raises(UsageError, match=complaint):
            fit_policy_to_comparisons(
                actor, inputs, layout, pairs, np.ones(len(pairs)), config=QUICK, generator=torch.Generator()
            )


@pytest.mark.parametrize("field", ["alpha", "epochs", "batch_size", "learning_rate", "bias", "discount"])
def test_impossible_settings_are_refused(field: str) -> None:
    with pytest.raises(UsageError, match=field):
        ContrastiveConfig(**{field: 0})  # type: ignore[arg-type]
