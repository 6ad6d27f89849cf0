"""Stable-Baselines3 agents in the loop: what they are given, what they learn from, how they go on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from gymnasium.vector import AutoresetMode, VectorEnv
from stable_baselines3 import PPO

from envs import make_vector_env
from prefrl.checkpoints import load_checkpoint, save_checkpoint
from prefrl.control.build import make_layout, make_learner
from prefrl.control.config import PolicyConfig, RewardConfig, TrainConfig
from prefrl.control.evaluation import evaluate_policy
from prefrl.control.policies import is_image
from prefrl.control.query_config import QueryConfig
from prefrl.control.reward_files import load_reward_model
from prefrl.control.sac_config import SACConfig
from prefrl.control.saved_policy import load_actor, make_actor
from prefrl.control.sb3_agents import SB3Trainer
from prefrl.control.sb3_ppo import METRICS, SB3PPO
from prefrl.control.sb3_sac import SB3SAC
from prefrl.control.sb3_vec_env import VectorEnvAsVecEnv
from prefrl.control.training import train
from prefrl.errors import UsageError
from prefrl.fit_config import FitConfig
from prefrl.ppo_config import PPOConfig
from prefrl.store.feedback_store import FeedbackStore

CPU = torch.device("cpu")
QUICK_FIT = FitConfig(first_gradient_steps=30, max_gradient_steps=10)


def tiny(**changes: Any) -> TrainConfig:
    """Seconds at most: a point that moves to its target, 4 environments, rollouts of 64 steps."""
    settings: dict[str, Any] = {
        "task": "probe-target",
        "steps": 1536,
        "labels": 40,
        "num_envs": 4,
        "rollout_steps": 64,
        "evaluation_episodes": 3,
        "device": "cpu",
        "ppo": PPOConfig(epochs=2, minibatch_size=64),
        "sac": SACConfig(hidden=16, batch_size=32, learning_starts=256),
        "reward_model": RewardConfig(members=2, hidden=16, fit=QUICK_FIT),
        "query": QueryConfig(segment_length=10, sessions=4, pool_size=60, initial_steps_fraction=0.3),
    }
    return TrainConfig(**settings | changes)


def make_world(config: TrainConfig) -> Any:
    def make(num_envs: int, seed: int) -> VectorEnv:
        return make_vector_env(config.task, num_envs, seed, reward_form=config.reward_form)

    return make


def a_trainer(config: TrainConfig, folder: Path | None = None) -> SB3Trainer:
    torch.manual_seed(config.seed)
    make, learner = make_world(config), None
    if config.reward == "learned":
        assert folder is not None
        store = FeedbackStore(folder / "feedback.sqlite")
        learner = make_learner(config, make(1, 0), store, folder / "segments", run="run", device=CPU)
    return SB3Trainer(config, make, learner, CPU)


def test_a_world_tells_the_library_of_ends_cuts_and_final_observations() -> None:
    config = tiny()
    world, twin = (make_world(config)(3, 5) for _ in range(2))
    env = VectorEnvAsVecEnv(world)
    observation, _ = twin.reset()
    np.testing.assert_array_equal(env.reset(), observation.astype(np.float32))
    rng = np.random.default_rng(0)
    for step in range(1, 51):
        actions = rng.uniform(-1, 1, (3, 2)).astype(np.float32)
        shown, reward, done, infos = env.step(actions)
        observation, true, _, truncated, told = twin.step(actions)
        np.testing.assert_array_equal(shown, observation.astype(np.float32))
        np.testing.assert_allclose(reward, true, rtol=1e-6)
        np.testing.assert_array_equal(done, truncated)
        assert done.all() == (step == 50)
    assert [info["TimeLimit.truncated"] for info in infos] == [True] * 3
    final = np.stack([info["terminal_observation"] for info in infos])
    np.testing.assert_array_equal(final, told["final_obs"].astype(np.float32))
    assert env.episodes.mean_length(3) == 50


def test_a_real_end_is_no_time_limit() -> None:
    env = VectorEnvAsVecEnv(make_vector_env("probe-delay", 2, 0))
    env.reset()
    env.step(np.zeros(2, dtype=np.int64))
    _, _, done, infos = env.step(np.zeros(2, dtype=np.int64))
    assert done.all()
    assert not infos[0]["TimeLimit.truncated"]


def test_games_in_the_papers_form_never_say_that_an_episode_ended() -> None:
    class Silent:
        """A world that hides its ends from the agent, as games do in the paper's form."""

        def __init__(self) -> None:
            self.inner = make_vector_env("probe-target", 2, 0)

        def __getattr__(self, name: str) -> Any:
            return getattr(self.inner, name)

        def step(self, actions: np.ndarray) -> Any:
            observation, reward, _, truncated, infos = self.inner.step(actions)
            hidden = np.zeros_like(truncated)
            return observation, reward, hidden, hidden, infos

    env = VectorEnvAsVecEnv(Silent())  # type: ignore[arg-type]
    env.reset()
    env.record(60)
    told = [env.step(np.zeros((2, 2), dtype=np.float32))[2:] for _ in range(60)]
    assert not any(done.any() or any(infos) for done, infos in told)
    rollout = env.rollout()
    assert rollout.episode_end[49].all()
    assert not rollout.end.any()
    assert env.episodes.mean_length(2) == 50


def test_what_is_recorded_is_what_happened() -> None:
    world, twin = (make_vector_env("probe-target", 2, 3) for _ in range(2))
    env = VectorEnvAsVecEnv(world)
    env.reset()
    observation, infos = twin.reset()
    env.record(5)
    seen = []
    for number in range(5):
        actions = np.full((2, 2), 0.1 * number, dtype=np.float32)
        env.step(actions)
        seen.append((observation, actions, infos["episode_seed"], infos["state"]))
        observation, *_, infos = twin.step(actions)
    rollout = env.rollout()
    assert rollout.shape == (5, 2)
    recorded = (rollout.observation, rollout.world_action, rollout.episode_seed, rollout.state)
    for array, expected in zip(recorded, zip(*seen, strict=True), strict=True):
        np.testing.assert_allclose(array, np.stack(expected), rtol=1e-6)  # type: ignore[arg-type]


def test_a_held_world_goes_on_with_its_open_episodes() -> None:
    env = VectorEnvAsVecEnv(make_vector_env("probe-target", 2, 0))
    env.reset()
    last, *_ = env.step(np.ones((2, 2), dtype=np.float32))
    env.hold()
    np.testing.assert_array_equal(env.reset(), last)
    assert env.episodes.steps.tolist() == [1, 1]
    assert not np.array_equal(env.reset(), last)
    assert env.episodes.steps.tolist() == [0, 0]


def test_a_world_that_resets_at_the_next_step_is_refused() -> None:
    env = make_vector_env("probe-target", 1, 0)
    env.metadata = {"autoreset_mode": AutoresetMode.NEXT_STEP}
    with pytest.raises(UsageError, match="SAME_STEP"):
        VectorEnvAsVecEnv(env)


def test_advantages_are_those_the_library_computes_when_it_meets_the_reward_itself() -> None:
    """Across time limits: relabelled afterwards, or rewarded step by step, it makes no difference."""
    config = tiny(agent="sb3-ppo", reward="true")

    def reward(observation: np.ndarray, action: np.ndarray, _true: np.ndarray) -> np.ndarray:
        return np.cos(3.0 * observation[..., 0]) + action[..., 1]

    def nothing(_observation: np.ndarray, _action: np.ndarray, true: np.ndarray) -> np.ndarray:
        return np.zeros_like(true)

    def ppo(given: Any) -> SB3PPO:
        world = make_world(config)(config.num_envs, config.seed)
        agent = SB3PPO(config, VectorEnvAsVecEnv(world, reward=given), reward, steps=64, device=CPU)

        def no_update() -> None:  # it would flatten the buffer
            for name in (*METRICS, "train/entropy_loss"):
                agent.model.logger.record(name, 0.0)

        agent.model.train = no_update  # type: ignore[method-assign]
        return agent

    relabelled = ppo(nothing)
    rollout, learned, _ = relabelled.advance(0.0)
    scaler = relabelled.scaler
    direct = ppo(lambda *step: scaler.normalise(reward(*step)))
    direct.model.learn(256, log_interval=None)  # type: ignore[arg-type]
    ours, theirs = relabelled.model.rollout_buffer, direct.model.rollout_buffer
    np.testing.assert_array_equal(ours.observations, theirs.observations)
    assert ours.episode_starts[50].all()
    for name in ("rewards", "values", "advantages", "returns"):
        np.testing.assert_allclose(getattr(ours, name), getattr(theirs, name), rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(learned, reward(rollout.observation, rollout.world_action, learned))


@pytest.mark.parametrize("agent", ["sb3-ppo", "sb3-sac"])
def test_the_loop_runs_to_its_budgets(agent: str, tmp_path: Path) -> None:
    config = tiny(agent=agent)
    trainer = a_trainer(config, tmp_path)
    untrained = trainer.evaluate()
    assert untrained.scores.shape == (3,)
    np.testing.assert_array_equal(untrained.scores, trainer.evaluate().scores)
    rows = list(trainer.run())
    assert trainer.done
    assert trainer.progress == 1.0
    assert trainer.step >= config.steps
    assert trainer.learner is not None
    assert trainer.learner.labels == config.labels
    assert trainer.learner.ensemble.version >= 4
    steps = [row["step"] for row in rows]
    assert steps == sorted(steps)
    assert {"true_return", "learned_return", "policy_loss", "labels"} <= rows[-1].keys()
    assert all("policy_loss" not in row for row in rows if row["step"] <= config.initial_steps)
    assert trainer.exact is False
    trainer.close()


def test_no_update_is_made_and_every_step_counts_before_the_first_fit(tmp_path: Path) -> None:
    for agent in ("sb3-ppo", "sb3-sac"):
        folder = tmp_path / agent
        folder.mkdir()
        trainer = a_trainer(tiny(agent=agent), folder)
        before = {name: value.clone() for name, value in trainer.agent.model.policy.state_dict().items()}
        for row in trainer.run():
            if "fit_loss" in row:
                break
        after = trainer.agent.model.policy.state_dict()
        assert all(torch.equal(before[name], after[name]) for name in before)
        assert trainer.step == 512
        assert trainer.vec_env.episodes.steps[0] == 512 // 4 % 50


def test_ppo_meets_no_true_reward_where_a_reward_is_learned(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trainer = a_trainer(tiny(agent="sb3-ppo"), tmp_path)
    given = []
    step_wait = VectorEnvAsVecEnv.step_wait

    def spy(env: VectorEnvAsVecEnv) -> Any:
        result = step_wait(env)
        given.append(result[1].copy())
        return result

    monkeypatch.setattr(VectorEnvAsVecEnv, "step_wait", spy)
    list(trainer.run())
    assert len(given) >= 1536 // 4
    assert not np.concatenate(given).any()


def test_the_whole_replay_buffer_is_relabelled_after_each_fit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("prefrl.control.sb3_sac.RELABELLED_STEPS", 100)
    trainer = a_trainer(tiny(agent="sb3-sac"), tmp_path)
    assert trainer.learner is not None
    checked = 0
    for row in trainer.run():
        if "fit_loss" not in row:
            continue
        buffer = trainer.agent.model.replay_buffer
        filled = trainer.step // 4
        assert buffer.pos == filled
        action = trainer.agent.model.policy.unscale_action(buffer.actions[:filled])
        expected = trainer.learner.predict(buffer.observations[:filled], action)
        np.testing.assert_allclose(buffer.rewards[:filled], expected, rtol=1e-5, atol=1e-6)
        assert buffer.timeouts[49].all()
        checked += 1
    assert checked >= 4


@pytest.mark.parametrize("agent", ["sb3-ppo", "sb3-sac"])
def test_a_run_goes_on_from_its_checkpoint(agent: str, tmp_path: Path) -> None:
    config = tiny(agent=agent)
    trainer = a_trainer(config, tmp_path)
    for row in trainer.run():
        if row["step"] >= 1024 and "policy_loss" in row:
            break
    save_checkpoint(tmp_path / "checkpoints", trainer.step, trainer.state_dict())
    resumed = a_trainer(config, tmp_path)
    step, state = load_checkpoint(tmp_path / "checkpoints")
    resumed.load_state_dict(state)
    assert resumed.step == trainer.step == step
    np.testing.assert_array_equal(resumed.evaluate().scores, trainer.evaluate().scores)
    trainer.vec_env.hold()
    np.testing.assert_array_equal(resumed.vec_env.reset(), trainer.vec_env.reset())
    resumed.vec_env.hold()
    if agent == "sb3-sac":
        ours, theirs = resumed.agent.model.replay_buffer, trainer.agent.model.replay_buffer
        assert ours.pos == theirs.pos > 0
        np.testing.assert_array_equal(ours.rewards, theirs.rewards)
    list(resumed.run())
    assert resumed.learner is not None
    assert resumed.learner.labels == config.labels
    assert resumed.agent.model.num_timesteps + (512 if agent == "sb3-ppo" else 0) == resumed.step


def test_a_run_interrupted_while_exploring_goes_on_exploring(tmp_path: Path) -> None:
    config = tiny(agent="sb3-ppo")
    trainer = a_trainer(config, tmp_path)
    next(trainer.run())
    save_checkpoint(tmp_path / "checkpoints", trainer.step, trainer.state_dict())
    resumed = a_trainer(config, tmp_path)
    resumed.load_state_dict(load_checkpoint(tmp_path / "checkpoints")[1])
    row = next(resumed.run())
    assert row["step"] == 512
    assert resumed.vec_env.episodes.steps[0] == 128 % 50


def test_the_same_seed_gives_the_same_figures(tmp_path: Path) -> None:
    figures = []
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        trainer = a_trainer(tiny(agent="sb3-ppo"), tmp_path / name)
        figures.append([(row["step"], row.get("learned_return")) for row in trainer.run()])
    assert figures[0] == figures[1]


@pytest.mark.parametrize("reward", ["true", "constant"])
def test_baselines_learn_from_the_true_reward_and_controls_from_nothing(reward: str) -> None:
    for agent in ("sb3-ppo", "sb3-sac"):
        trainer = a_trainer(tiny(agent=agent, reward=reward, steps=600))
        rows = list(trainer.run())
        assert trainer.learner is None
        assert "learned_return" not in rows[-1]
        model = trainer.agent.model
        rewards = model.replay_buffer.rewards if agent == "sb3-sac" else model.rollout_buffer.rewards
        # With PPO the values at the few time limits remain.
        assert (rewards != 0).mean() > 0.3 if reward == "true" else (rewards != 0).mean() < 0.1


def test_ppo_learns_to_go_to_its_target() -> None:
    fast = PPOConfig(learning_rate=3e-3, epochs=6, minibatch_size=128, discount=0.8)
    config = tiny(agent="sb3-ppo", reward="true", steps=12_288, num_envs=16, rollout_steps=64, ppo=fast)
    trainer = a_trainer(config)
    untrained = trainer.evaluate().mean
    list(trainer.run())
    assert trainer.evaluate().mean > 0.5 * untrained


def test_the_learning_rate_follows_the_runs_progress_and_not_one_rollouts(tmp_path: Path) -> None:
    falling = a_trainer(tiny(agent="sb3-ppo"), tmp_path)
    rates = [row["learning_rate"] for row in falling.run() if "learning_rate" in row]
    expected = [3e-4 * (1.0 - step / 1536) for step in range(512, 1536, 256)]
    np.testing.assert_allclose(rates, expected, rtol=1e-6)
    adapted = PPOConfig(epochs=2, minibatch_size=64, target_kl=10.0, max_learning_rate=1e-3)
    rising = a_trainer(tiny(agent="sb3-ppo", reward="true", ppo=adapted))
    rates = [row["learning_rate"] for row in rising.run()]
    assert rates[0] == pytest.approx(3e-4)
    assert rates[-1] == pytest.approx(1e-3)


def test_a_loss_that_is_not_finite_stops_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    trainer = a_trainer(tiny(agent="sb3-ppo", reward="true"))
    advance = trainer.agent.advance
    monkeypatch.setattr(
        trainer.agent, "advance", lambda progress: (*advance(progress)[:2], {"value_loss": float("nan")})
    )
    with pytest.raises(FloatingPointError, match="value_loss is nan"):
        next(trainer.run())


def test_sac_is_refused_where_actions_are_chosen_from_a_list() -> None:
    with pytest.raises(UsageError, match="use sb3-ppo for probe-action"):
        a_trainer(tiny(agent="sb3-sac", reward="true", task="probe-action"))


@pytest.mark.parametrize(("preset", "filters"), [("nature", [32, 64, 64]), ("small", [16, 32])])
def test_frames_and_discrete_actions_run_with_ppo(tmp_path: Path, preset: Any, filters: list[int]) -> None:
    config = tiny(
        agent="sb3-ppo",
        policy=PolicyConfig(pixel_preset=preset),
        task="probe-pixels",
        steps=96,
        labels=8,
        num_envs=2,
        rollout_steps=16,
        ppo=PPOConfig(epochs=1, minibatch_size=16),
        reward_model=RewardConfig(members=2, pixel_preset="small", fit=QUICK_FIT),
        query=QueryConfig(segment_length=4, sessions=2, pool_size=20, initial_steps_fraction=0.3),
    )
    trainer = a_trainer(config, tmp_path)
    assert is_image(trainer.env.single_observation_space)
    rows = list(trainer.run())
    assert rows[-1]["labels"] == 8
    assert isinstance(trainer.agent, SB3PPO)
    assert trainer.agent.discrete
    assert isinstance(trainer.agent.model, PPO)
    convolutions = [m for m in trainer.agent.model.policy.modules() if isinstance(m, torch.nn.Conv2d)]
    assert [layer.out_channels for layer in convolutions] == filters
    assert make_layout(trainer.env).kind == trainer.learner.layout.kind  # type: ignore[union-attr]


def test_a_robot_runs_with_both_agents(tmp_path: Path) -> None:
    for agent, kind in (("sb3-ppo", SB3PPO), ("sb3-sac", SB3SAC)):
        folder = tmp_path / agent
        folder.mkdir()
        small = QueryConfig(segment_length=8, sessions=2, pool_size=20, initial_steps_fraction=0.3)
        config = tiny(agent=agent, task="half-cheetah", steps=256, rollout_steps=16, query=small, labels=8)
        trainer = a_trainer(config, folder)
        assert isinstance(trainer.agent, kind)
        assert list(trainer.run())[-1]["labels"] == 8
        segment = np.load(next((folder / "segments").glob("*.npz")))
        assert segment["replay_states"].shape[0] == 8


@pytest.mark.parametrize("agent", ["sb3-ppo", "sb3-sac"])
def test_a_run_folder_holds_the_policy_and_the_reward(agent: str, tmp_path: Path) -> None:
    config = tiny(agent=agent, steps=768)
    summary = train(config, make_world(config), tmp_path / "run")
    assert summary["agent"] == agent
    assert summary["exact"] is False
    actor, step = load_actor(tmp_path / "run", config, make_world(config))
    assert step == summary["steps"]
    again = evaluate_policy(actor, make_world(config), episodes=3, seed=config.seed, greedy=True)
    assert again.mean == pytest.approx(summary["true_return_mean"], rel=1e-6)
    untrained = make_actor(config, make_world(config), CPU)
    before = evaluate_policy(untrained, make_world(config), episodes=3, seed=config.seed, greedy=True)
    assert before.mean == pytest.approx(summary["untrained_return_mean"], rel=1e-6)
    assert load_reward_model(tmp_path / "run").version > 1
