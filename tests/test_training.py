"""Whole runs: repeatable, resumable after any death, clear about what stops them, bounded in memory."""

import os
import signal
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small_disk import files_limited_to
from tiny_runs import TINY, Killed, figures, killed_at, run_tiny, tiny

from envs.errors import WorldError
from experiments.crash import CrashConfig, compare_runs, run_crash
from experiments.presets import preset
from experiments.train import world_maker
from prefrl.control import preference_learner, query_maker, segments, training, training_loop
from prefrl.control.config import TrainConfig
from prefrl.control.evaluation import evaluate_policy
from prefrl.control.training import Interrupted, make_agent, train
from prefrl.devices import make_device
from prefrl.errors import UsageError
from prefrl.fit_config import FitConfig
from prefrl.runs.log import OUTPUT, read_metrics
from prefrl.runs.status import State, read_status
from prefrl.store.feedback_store import FeedbackStore
from prefrl.teachers import ScriptedTeacher

CHEETAH = tiny(task="half-cheetah", evaluation_episodes=1)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The figures of the tiny run that nothing disturbs."""
    folder = tmp_path_factory.mktemp("undisturbed") / "run"
    return figures(folder, run_tiny(folder))


def resumed(folder: Path, config: TrainConfig = TINY, **given: Any) -> Any:
    """The figures of a run that is continued to its end."""
    return figures(folder, run_tiny(folder, config, resume=True, **given))


def break_off(folder: Path, config: TrainConfig = TINY, *, rows: int) -> None:
    """A run that dies at a row of metrics."""
    with pytest.raises(Killed):
        run_tiny(folder, config, watch=killed_at(rows))


def test_two_runs_with_one_seed_have_equal_figures(tmp_path: Path, undisturbed: Any) -> None:
    assert figures(tmp_path / "run", run_tiny(tmp_path / "run")) == undisturbed


def test_another_seed_gives_other_figures(tmp_path: Path, undisturbed: Any) -> None:
    summary, rows = figures(tmp_path / "run", run_tiny(tmp_path / "run", tiny(seed=1)))
    assert summary["true_return_mean"] != undisturbed[0]["true_return_mean"]
    assert rows[0]["true_reward"] != undisturbed[1][0]["true_reward"]


def test_the_number_of_simulator_threads_changes_no_figure(tmp_path: Path) -> None:
    one, two = (
        figures(tmp_path / str(threads), run_tiny(tmp_path / str(threads), config))
        for threads in (1, 2)
        for config in [TrainConfig(**{**vars(CHEETAH), "num_threads": threads, "steps": 1024})]
    )
    assert one == two


def test_the_summary_tells_the_whole_run(undisturbed: Any) -> None:
    summary, rows = undisturbed
    told = {name: summary[name] for name in ("task", "seed", "steps", "labels", "skips", "teacher", "reward")}
    assert told == {
        "task": "probe-target", "seed": 0, "steps": 2048, "labels": 24, "skips": 0, "teacher": "oracle",
        "reward": "learned",
    }  # fmt: skip
    assert summary["agent"] == "ppo"
    assert summary["exact"] is True
    assert summary["reward_correlation"] == rows[-1]["reward_correlation"]
    assert {"true_return_std", "untrained_return_mean", "versions"} <= summary.keys()


def test_labels_come_by_the_schedule_and_each_fit_has_its_own_version(undisturbed: Any) -> None:
    fits = [row for row in undisturbed[1] if "reward_version" in row]
    assert [row["reward_version"] for row in fits] == [1, 2, 3, 4]
    assert [row["labels"] for row in fits] == [row["labels_due"] for row in fits]
    assert fits[-1]["labels"] == 24


def test_nothing_is_trained_before_the_first_fit(undisturbed: Any) -> None:
    first = next(i for i, row in enumerate(undisturbed[1]) if "reward_version" in row)
    assert first == 2
    assert all("policy_loss" not in row for row in undisturbed[1][: first + 1])
    assert all("policy_loss" in row for row in undisturbed[1][first + 1 :])


@pytest.mark.parametrize("reward", ["true", "constant"])
def test_runs_without_a_learned_reward_ask_for_no_labels(tmp_path: Path, reward: Any) -> None:
    summary = run_tiny(tmp_path / "run", tiny(reward=reward, steps=512))
    assert (summary["reward"], summary["labels"], summary["teacher"]) == (reward, 0, None)
    assert summary["reward_correlation"] is None
    with FeedbackStore(tmp_path / "run" / "feedback.sqlite") as store:
        assert store.runs() == []


def test_a_teacher_that_skips_everything_is_a_clear_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        ScriptedTeacher, "answer", lambda _self, left, _right, **_: np.full(len(left), np.nan)
    )
    with pytest.raises(UsageError, match=r"not one of 11 queries has an answer that counts.*skips less"):
        run_tiny(tmp_path / "run")


def test_episodes_too_short_for_a_segment_are_a_clear_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nowhere = np.zeros((0, 2), dtype=np.int64)
    monkeypatch.setattr(segments, "possible_starts", lambda _ends, _length: nowhere)
    with pytest.raises(UsageError, match="nothing to compare: no 10 steps on end lie within one episode"):
        run_tiny(tmp_path / "run")


@pytest.mark.parametrize("rows", range(1, 10))
def test_a_run_that_dies_at_any_row_ends_at_the_undisturbed_figures(
    tmp_path: Path, undisturbed: Any, rows: int
) -> None:
    break_off(tmp_path / "run", rows=rows)
    assert resumed(tmp_path / "run") == undisturbed


def test_a_run_that_dies_again_and_again_ends_at_the_undisturbed_figures(
    tmp_path: Path, undisturbed: Any
) -> None:
    break_off(tmp_path / "run", rows=1)
    for _ in range(4):
        with pytest.raises(Killed):
            run_tiny(tmp_path / "run", resume=True, watch=killed_at(3))
    assert resumed(tmp_path / "run") == undisturbed


def test_a_game_that_dies_ends_at_the_undisturbed_figures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training_loop, "evaluate_policy", partial(evaluate_policy, max_steps=40))
    game, brief = preset("pong"), FitConfig(batch_size=4, first_gradient_steps=4, max_gradient_steps=2)
    config = tiny(
        task="pong", steps=1024, num_envs=4, evaluation_episodes=1, policy=game.policy,
        reward_model={"pixel_preset": "small", "dropout": 0.2, "std": 0.05, "fit": brief},
        query={"pool_size": 20},
    )  # fmt: skip
    whole = figures(tmp_path / "whole", run_tiny(tmp_path / "whole", config))
    break_off(tmp_path / "run", config, rows=6)
    assert resumed(tmp_path / "run", config) == whole


WRITES = {
    "segments are written": (query_maker, "save_segment"),
    "queries and answers are stored": (FeedbackStore, "add"),
    "a checkpoint is written": (training, "save_checkpoint"),
}


def dying(function: Callable[..., Any], *, call: int, after: bool) -> Callable[..., Any]:
    """A function whose n-th call is its process's last, just before or just after its work."""
    calls = 0

    def wrapped(*args: Any, **given: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == call and not after:
            raise Killed
        result = function(*args, **given)
        if calls == call:
            raise Killed
        return result

    return wrapped


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("write", WRITES)
def test_a_run_that_dies_around_any_write_ends_at_the_undisturbed_figures(
    tmp_path: Path, undisturbed: Any, monkeypatch: pytest.MonkeyPatch, write: str, after: bool
) -> None:
    place, name = WRITES[write]
    with monkeypatch.context() as patched:
        patched.setattr(place, name, dying(getattr(place, name), call=3, after=after))
        with pytest.raises(Killed):
            run_tiny(tmp_path / "run")
    assert resumed(tmp_path / "run") == undisturbed


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_signal_saves_the_run_for_resuming(
    tmp_path: Path, undisturbed: Any, number: signal.Signals
) -> None:
    if threading.current_thread() is not threading.main_thread():
        pytest.skip("signals reach the main thread only")

    def stop(row: dict[str, Any]) -> None:
        if row["step"] == 1024 and len(row) > 1:
            os.kill(os.getpid(), number)

    before = signal.getsignal(number)
    with pytest.raises(Interrupted, match=r"stopped at step 1024, saved; go on with --resume --run .*run"):
        run_tiny(tmp_path / "run", tiny(checkpoint_every_steps=100_000), watch=stop)
    assert signal.getsignal(number) is before
    assert [path.name[:23] for path in (tmp_path / "run" / "checkpoints").iterdir()] == [
        "checkpoint-000000001024"
    ]
    assert resumed(tmp_path / "run", tiny(checkpoint_every_steps=100_000)) == undisturbed


def test_a_stop_signal_before_the_first_step_stops_the_run_before_it(
    tmp_path: Path, undisturbed: Any
) -> None:
    def stop(row: dict[str, Any]) -> None:
        if row == {"step": 0}:  # the untrained policy is about to be evaluated
            os.kill(os.getpid(), signal.SIGTERM)

    with pytest.raises(Interrupted, match="stopped at step 0"):
        run_tiny(tmp_path / "run", watch=stop)
    status = read_status(tmp_path / "run")
    assert status is not None
    assert (status.state, status.step) == (State.STOPPED, 0)
    assert read_metrics(tmp_path / "run") == []
    assert resumed(tmp_path / "run") == undisturbed


def test_however_often_a_program_asks_the_run_is_saved(tmp_path: Path, undisturbed: Any) -> None:
    def stop(row: dict[str, Any]) -> None:
        if row["step"] == 1024 and len(row) > 1:
            for _ in range(3):
                os.kill(os.getpid(), signal.SIGTERM)

    with pytest.raises(Interrupted, match="stopped at step 1024, saved"):
        run_tiny(tmp_path / "run", watch=stop)
    assert resumed(tmp_path / "run") == undisturbed


def test_an_impatient_second_signal_is_told_too(tmp_path: Path) -> None:
    def stop(_row: dict[str, Any]) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        run_tiny(tmp_path / "run", watch=stop)
    status = read_status(tmp_path / "run")
    assert status is not None
    assert (status.state, "interrupted" in status.message) == (State.STOPPED, True)


def test_a_torn_newest_checkpoint_is_passed_over(tmp_path: Path, undisturbed: Any) -> None:
    folder = tmp_path / "run"
    break_off(folder, rows=7)
    newest = max((folder / "checkpoints").glob("*.pt"))
    newest.write_bytes(newest.read_bytes()[:-100])
    with pytest.warns(UserWarning, match="cannot be read.*trying the one before"):
        assert resumed(folder) == undisturbed


def test_resuming_a_finished_run_only_returns_its_summary(tmp_path: Path) -> None:
    summary = run_tiny(tmp_path / "run", tiny(reward="true", steps=256))
    assert run_tiny(tmp_path / "run", tiny(reward="true", steps=256), resume=True) == summary


@pytest.mark.parametrize("limit", [500, 60_000], ids=["metrics", "checkpoint and store"])
def test_a_full_disk_is_a_clear_error_and_the_run_goes_on_once_there_is_space(
    tmp_path: Path, undisturbed: Any, limit: int
) -> None:
    rows = []

    with pytest.MonkeyPatch.context() as patched:
        inner = training._Session._record

        def record(self: Any, row: dict[str, Any], steps: int) -> None:
            rows.append(row)
            inner(self, row, steps)

        patched.setattr(training._Session, "_record", record)
        context = files_limited_to(limit)

        def fill(row: dict[str, Any]) -> None:
            if row["step"] == 768:
                context.__enter__()

        try:
            with pytest.raises(UsageError, match=r"disk|space|allowed size"):
                run_tiny(tmp_path / "run", watch=fill)
        finally:
            context.__exit__(None, None, None)
    assert len(rows) < len(undisturbed[1])
    assert resumed(tmp_path / "run") == undisturbed


class BrokenWorld:
    """Makes worlds that give a NaN from a step on, in the reward or in what is seen."""

    def __init__(self, config: TrainConfig, what: str, *, at: int) -> None:
        self.make, self.what, self.at = world_maker(config), what, at

    def __call__(self, num_envs: int, seed: int) -> Any:
        env = self.make(num_envs, seed)
        step, taken = env.step, 0

        def broken(actions: Any) -> Any:
            nonlocal taken
            taken += 1
            observation, reward, *rest = step(actions)
            if taken >= self.at and num_envs == TINY.num_envs:
                (observation if self.what == "observation" else reward)[0] = np.nan
            return observation, reward, *rest

        env.step = broken
        return env


@pytest.mark.parametrize("reward", ["learned", "true"])
@pytest.mark.parametrize("what", ["reward", "observation"])
def test_a_world_that_gives_a_nan_is_a_clear_error_and_the_last_checkpoint_is_intact(
    tmp_path: Path, what: str, reward: Any
) -> None:
    config = tiny(reward=reward)
    whole = figures(tmp_path / "whole", run_tiny(tmp_path / "whole", config))
    with pytest.raises(FloatingPointError, match=f"world gave a.*{what} that is not finite"):
        train(config, BrokenWorld(config, what, at=150), tmp_path / "run")
    assert read_metrics(tmp_path / "run")[-1]["step"] == 1024
    assert resumed(tmp_path / "run", config) == whole


def test_a_diverged_update_is_a_clear_error_and_the_last_checkpoint_is_intact(
    tmp_path: Path, undisturbed: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    predict = preference_learner.PreferenceLearner.predict

    def infinite(self: Any, observation: Any, action: Any) -> Any:
        reward = predict(self, observation, action)
        return reward * np.inf if self.ensemble.version == 3 else reward

    with monkeypatch.context() as patched:
        patched.setattr(preference_learner.PreferenceLearner, "predict", infinite)
        with pytest.raises(FloatingPointError, match="not finite"):
            run_tiny(tmp_path / "run")
    assert resumed(tmp_path / "run") == undisturbed


def test_an_impossible_run_leaves_no_folder_behind(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cuda:77"):
        run_tiny(tmp_path / "run", tiny(device="cuda:77"))
    with pytest.raises(WorldError, match="unknown task"):
        run_tiny(tmp_path / "run", tiny(task="probe-nothing"))
    with pytest.raises(UsageError, match="sb3-sac"):
        run_tiny(tmp_path / "run", tiny(task="probe-match", agent="sb3-sac"))
    assert not (tmp_path / "run").exists()


def test_what_the_process_said_outlives_a_run_that_could_not_begin(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / OUTPUT).write_text("said")
    with pytest.raises(UsageError, match="cuda:77"):
        run_tiny(tmp_path / "run", tiny(device="cuda:77"))
    assert [path.name for path in (tmp_path / "run").iterdir()] == [OUTPUT]
    assert run_tiny(tmp_path / "run")["steps"] == 2048
    assert (tmp_path / "run" / OUTPUT).read_text() == "said"


def test_a_run_that_is_moved_goes_on_under_its_old_name(tmp_path: Path, undisturbed: Any) -> None:
    break_off(tmp_path / "run", rows=6)
    (tmp_path / "run").rename(tmp_path / "moved")
    assert resumed(tmp_path / "moved") == undisturbed
    with FeedbackStore(tmp_path / "moved" / "feedback.sqlite") as store:
        assert store.runs() == ["run"]


def test_a_run_is_not_resumed_with_other_settings(tmp_path: Path) -> None:
    break_off(tmp_path / "run", rows=1)
    with pytest.raises(UsageError, match="started with seed 0, not 7: resume it with its own settings"):
        run_tiny(tmp_path / "run", tiny(seed=7), resume=True)


def test_a_foreign_world_is_resumed_without_losing_a_label_but_not_exactly(tmp_path: Path) -> None:
    config = tiny(task="Pendulum-v1", reward_form="native", checkpoint_every_steps=700)
    folder = tmp_path / "run"
    break_off(folder, config, rows=6)
    with FeedbackStore(folder / "feedback.sqlite") as store:
        before = store.answers("run")
    summary = run_tiny(folder, config, resume=True)
    assert summary["exact"] is False
    assert summary["labels"] == 24
    with FeedbackStore(folder / "feedback.sqlite") as store:
        assert store.answers("run")[: len(before)] == before
        assert store.counts("run").queries == 24


def test_a_foreign_world_that_died_before_its_first_checkpoint_keeps_its_labels(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tiny(task="Pendulum-v1", reward_form="native", checkpoint_every_steps=10**6)
    with monkeypatch.context() as patched:
        patched.setattr(FeedbackStore, "add", dying(FeedbackStore.add, call=1, after=True))
        with pytest.raises(Killed):
            run_tiny(tmp_path / "run", config)
    summary = run_tiny(tmp_path / "run", config, resume=True)
    assert summary["labels"] == 24


def test_memory_does_not_grow_with_the_length_of_a_run(tmp_path: Path) -> None:
    sizes: list[tuple[int, ...]] = []
    config = tiny(steps=30_000, query={"pool_size": 20, "initial_steps_fraction": 0.02})
    with FeedbackStore(tmp_path / "feedback.sqlite") as store:
        trainer: Any = make_agent(config, world_maker(config), store, tmp_path, make_device("cpu"))
        learner, episodes = trainer.learner, trainer.collector.episodes
        for _ in trainer.run():
            sizes.append((len(learner.pool), len(learner.bank), len(learner.asked)))
        trainer.close()
    assert len(sizes) > 100
    middle, end = np.max(sizes[40:70], axis=0), np.max(sizes[-30:], axis=0)
    assert end[0] <= middle[0] <= 2 * 20
    assert end[1] <= learner.bank._storage.shape[0] <= 2 * (2 * 24)
    assert end[2] == 24
    assert episodes.finished.maxlen == trainer.sessions.learned_episodes.finished.maxlen == 1000


def test_kept_segments_keep_no_rollout_alive(tmp_path: Path) -> None:
    with FeedbackStore(tmp_path / "feedback.sqlite") as store:
        trainer: Any = make_agent(TINY, world_maker(TINY), store, tmp_path, make_device("cpu"))
        trainer.learner.observe(trainer.collector.collect_rollout(32), trainer.env, 256, share=0.1)
        trainer.close()
    [segments] = trainer.learner.pool._batches
    kept = [segments.inputs, segments.true_reward, *(a for one in segments.replays for a in one.values())]
    assert all(array.base is None or array.base.nbytes == array.nbytes for array in kept)


@pytest.mark.parametrize(
    ("task", "kills", "options"),
    [
        ("half-cheetah", 2, "--num-envs 8 --rollout-steps 32"),
        pytest.param("pong", 1, "--num-envs 4 --rollout-steps 32 --ppo.epochs 1", marks=pytest.mark.slow),
    ],
)
def test_a_run_killed_for_real_ends_at_the_undisturbed_figures(
    tmp_path: Path, task: str, kills: int, options: str, capsys: pytest.CaptureFixture[str]
) -> None:
    config = CrashConfig(
        task=task, kills=kills, steps=2048, labels=16, evaluation_episodes=1, run=tmp_path,
        train_options=f"{options} --query.pool-size 30 --query.sessions 4",
    )  # fmt: skip
    assert run_crash(config) == 0, capsys.readouterr().out
    assert "all figures are equal" in capsys.readouterr().out


def test_a_difference_between_two_runs_is_found(tmp_path: Path) -> None:
    for seed in (0, 1):
        run_tiny(tmp_path / str(seed), tiny(seed=seed, steps=768))
    differences = compare_runs(tmp_path / "0", tmp_path / "1")
    assert any(line.startswith("summary: true_return_mean is") for line in differences)
    assert any(line.startswith("metrics, row 0: true_reward is") for line in differences)
