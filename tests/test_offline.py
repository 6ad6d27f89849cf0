"""Fitting a reward offline: from a store and its segments alone, reproducibly, with an honest report."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch

from envs import make_vector_env
from prefrl.control.build import make_learner
from prefrl.control.config import RewardConfig, TrainConfig
from prefrl.control.layout_files import save_layout
from prefrl.control.layouts import Layout
from prefrl.control.offline import OFFLINE_REWARD, OfflineFit, fit_reward_offline
from prefrl.control.query_config import QueryConfig
from prefrl.control.reward_files import load_reward_model
from prefrl.control.sb3_agents import SB3Trainer
from prefrl.control.segment_files import save_segment
from prefrl.control.segments import Segments
from prefrl.control.stored_answers import read_answers
from prefrl.errors import UsageError
from prefrl.feedback import Answer, Kind, Purpose, Query, Source, make_id
from prefrl.fit_config import FitConfig
from prefrl.store.feedback_store import FeedbackStore

LENGTH = 6
LAYOUT = Layout("features", (4,))
QUICK = RewardConfig(members=3, hidden=16, fit=FitConfig(max_epochs=60, first_gradient_steps=400))


def write_segments(folder: Path, count: int, rng: np.random.Generator, *, prefix: str = "run") -> list[str]:
    """Segments whose true reward is 2 x first feature - second feature."""
    folder.mkdir(exist_ok=True)
    inputs = rng.normal(size=(count, LENGTH, 4)).astype(np.float32)
    true = (2.0 * inputs[..., 0] - inputs[..., 1]).astype(np.float64)
    zeros = np.zeros(count, dtype=np.int64)
    segments = Segments(inputs, true, zeros, zeros, zeros, [{}] * count)
    ids = [make_id(prefix, 0, "segment", i) for i in range(count)]
    for row, segment_id in enumerate(ids):
        save_segment(folder, segment_id, segments, row)
    save_layout(folder, LAYOUT)
    return ids


def true_return(folder: Path, segment_id: str) -> float:
    return float(np.load(folder / f"{segment_id}.npz")["true_reward"].sum())


def write_answers(
    store: FeedbackStore, folder: Path, ids: list[str], *, pairs: int, run: str = "run", skips: int = 0
) -> None:
    """Oracle answers to random pairs; the first ``skips`` of them are declined."""
    rng = np.random.default_rng(1)
    for counter in range(pairs):
        left, right = rng.choice(len(ids), 2, replace=False)
        name, items = make_id(run, 0, "query", counter), (ids[left], ids[right])
        query = Query(name, run, Kind.PAIR, items, counter=counter)
        better = true_return(folder, ids[left]) > true_return(folder, ids[right])
        value = None if counter < skips else float(better)
        answer = Answer(make_id(run, 0, "answer", counter), query.id, value, Source.ORACLE, "oracle")
        store.add([query, answer])


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A store with 120 comparisons and 5 skips, and its segments."""
    folder = tmp_path_factory.mktemp("recorded")
    ids = write_segments(folder / "segments", 60, np.random.default_rng(0))
    with FeedbackStore(folder / "feedback.sqlite") as store:
        write_answers(store, folder / "segments", ids, pairs=125, skips=5)
    return folder / "feedback.sqlite", folder / "segments"


def fit(recorded: tuple[Path, Path], **settings: object) -> OfflineFit:
    return fit_reward_offline(*recorded, **{"config": QUICK, "seed": 0} | settings)  # type: ignore[arg-type]


def test_the_fitted_reward_knows_what_the_answers_preferred(recorded: tuple[Path, Path]) -> None:
    model, report = fit(recorded)
    rng = np.random.default_rng(9)
    observation, action = rng.normal(size=(500, 3)), rng.normal(size=(500, 1))
    learned = model.predict(observation, action)
    assert np.corrcoef(learned, 2.0 * observation[:, 0] - observation[:, 1])[0, 1] > 0.9
    assert model.version == 1
    assert report.agreement > 0.75
    assert (report.labels, report.skips, report.ignored) == (120, 5, 0)
    assert report.segments <= 60
    assert report.entropy_floor == pytest.approx(-math.log(0.95))
    assert report.entropy_floor < report.log_loss < math.log(2.0)
    assert 0 < report.gradient_steps <= 400
    assert 0.0 <= report.calibration.expected_error < 0.3


def test_the_report_judges_each_comparison_by_the_members_that_never_saw_it(
    recorded: tuple[Path, Path],
) -> None:
    model, report = fit(recorded)
    with FeedbackStore(recorded[0]) as store:
        answers = read_answers(store).learned
    unseen = np.random.default_rng((0, 0)).poisson(1.0, size=(120, 3)) == 0
    losses, right = [], np.full((120, 3), np.nan)
    for number, answer in enumerate(answers):
        sides = [torch.from_numpy(np.load(recorded[1] / f"{side}.npz")["inputs"]) for side in answer.items]
        with torch.no_grad():
            left, right_side = (model.ensemble(side).sum(-1).double().numpy() for side in sides)
        probability = 0.9 / (1.0 + np.exp(right_side - left)) + 0.05
        judged = probability[unseen[number]]
        losses.extend(-np.log(judged if answer.value == 1.0 else 1.0 - judged))
        right[number, unseen[number]] = (judged > 0.5) == (answer.value == 1.0)
    assert report.log_loss == pytest.approx(float(np.mean(losses)), rel=1e-5)
    assert report.agreement == pytest.approx(float(np.nanmean(right, axis=0).mean()))
    assert int(report.calibration.count.sum()) == unseen.any(1).sum() < 120


def test_the_same_seed_gives_the_same_reward_and_another_seed_another(recorded: tuple[Path, Path]) -> None:
    steps = np.ones((2, 3)), np.ones((2, 1))
    torch.manual_seed(1)
    first = fit(recorded).model.predict(*steps)
    torch.manual_seed(2)
    np.testing.assert_array_equal(fit(recorded).model.predict(*steps), first)
    assert not np.array_equal(fit(recorded, seed=1).model.predict(*steps), first)


def test_a_scripts_random_numbers_are_left_alone(recorded: tuple[Path, Path]) -> None:
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    fit(recorded)
    assert torch.rand(1) == expected


def test_the_model_is_saved_where_it_is_wanted(recorded: tuple[Path, Path], tmp_path: Path) -> None:
    model, _ = fit(recorded, out=tmp_path)
    steps = np.ones((2, 3)), np.ones((2, 1))
    np.testing.assert_array_equal(load_reward_model(tmp_path).predict(*steps), model.predict(*steps))


def test_progress_is_told_after_each_pass(recorded: tuple[Path, Path]) -> None:
    told: list[tuple[int, float, float]] = []
    report = fit(recorded, on_epoch=lambda *numbers: told.append(numbers)).report
    assert len(told) == report.epochs
    assert told[-1][0] == report.gradient_steps
    assert told[-1][1] == report.train_loss


def test_one_run_or_all_runs_of_a_store(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    with FeedbackStore(tmp_path / "feedback.sqlite") as store:
        for run, pairs in (("one", 12), ("two", 20)):
            ids = write_segments(tmp_path / "segments", 10, rng, prefix=run)
            write_answers(store, tmp_path / "segments", ids, pairs=pairs, run=run)
    both = tmp_path / "feedback.sqlite", tmp_path / "segments"
    assert fit(both).report.labels == 32
    assert fit(both, run="two").report.labels == 20
    with pytest.raises(UsageError, match="has no run 'three': choose from one, two"):
        fit(both, run="three")


def test_only_the_answers_that_stand_to_training_queries_are_learned_from(tmp_path: Path) -> None:
    ids = write_segments(tmp_path / "segments", 4, np.random.default_rng(0))
    with FeedbackStore(tmp_path / "feedback.sqlite") as store:
        write_answers(store, tmp_path / "segments", ids, pairs=3)
        first = make_id("run", 0, "answer", 0)
        changed = Answer(
            "changed", make_id("run", 0, "query", 0), 0.5, Source.ORACLE, "oracle", supersedes=first
        )
        gold = Query("gold", "run", Kind.PAIR, (ids[0], ids[1]), counter=10, purpose=Purpose.GOLD)
        marks = Query("marks", "run", Kind.MARKS, (ids[0],), counter=11)
        like = Query("like", "run", Kind.LIKE, (ids[0],), counter=12)
        store.add([changed, gold, Answer("golden", "gold", 1.0, Source.PERSON, "ann")])
        store.add([marks, Answer("marked", "marks", (1.0, 0.0), Source.PERSON, "ann")])
        store.add([like, Answer("liked", "like", True, Source.PERSON, "ann")])
        found = read_answers(store)
    assert [answer.kind for answer in found.learned] == [Kind.PAIR] * 3 + [Kind.LIKE]
    assert found.learned[0].value == 0.5
    assert found.learned[3] == (Kind.LIKE, (ids[0],), True, 1.0)
    assert found.ignored == 2


def test_what_is_missing_is_named(recorded: tuple[Path, Path], tmp_path: Path) -> None:
    store, segments = recorded
    with pytest.raises(UsageError, match="there is no store"):
        fit((tmp_path / "nowhere.sqlite", segments))
    with pytest.raises(UsageError, match=r"no .*layout.json"):
        fit((store, tmp_path))
    with pytest.raises(UsageError, match=r"segment .* is missing or damaged"):
        fit((store, tmp_path), layout=LAYOUT)
    FeedbackStore(tmp_path / "empty.sqlite").close()
    with pytest.raises(UsageError, match="holds no answers to learn from"):
        fit((tmp_path / "empty.sqlite", segments))


def test_a_runs_own_folder_is_all_that_it_takes(tmp_path: Path) -> None:
    """Frames and discrete actions too: a run's segments say how they are laid out."""
    for task, kind in (("probe-pixels", "image"), ("probe-target", "features")):
        folder = tmp_path / task
        folder.mkdir()
        query = QueryConfig(segment_length=4, sessions=1, pool_size=20, initial_steps_fraction=0.5)
        quick = RewardConfig(members=2, pixel_preset="small", fit=FitConfig(first_gradient_steps=2))
        config = TrainConfig(
            task=task, agent="sb3-ppo", steps=64, labels=8, num_envs=2, rollout_steps=16, query=query,
            reward_model=quick, device="cpu",
        )  # fmt: skip

        def make(num_envs: int, seed: int, task: str = task) -> object:
            return make_vector_env(task, num_envs, seed)

        with FeedbackStore(folder / "feedback.sqlite") as store:
            device = torch.device("cpu")
            world = make_vector_env(task, 1, 0)
            learner = make_learner(config, world, store, folder / "segments", run=task, device=device)
            trainer = SB3Trainer(config, make, learner, device)  # type: ignore[arg-type]
            list(trainer.run())
        model, report = fit((folder / "feedback.sqlite", folder / "segments"), config=quick)
        assert report.labels == 8
        assert model.layout == learner.layout
        assert model.layout.kind == kind


def test_the_default_gives_one_fit_the_time_of_many() -> None:
    assert OFFLINE_REWARD.fit.first_gradient_steps > 2 * RewardConfig().fit.first_gradient_steps
