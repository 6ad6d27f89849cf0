"""The preference loop of `imitation` 1.0.1 on half-cheetah: one run, its figures as JSON.

Run by a Python of its own, in which that library is installed; nothing of PrefRL is imported here. The loop
is put together as the library's tutorial "Learning a Reward Function using Preference Comparisons" does it
(8 environments, random pairs of 100 steps, synthetic answers, 5 iterations, PPO with 10 epochs), with its
ensemble of reward networks in the place of a single one. Exploratory steps are off, as in the library's
command line: they would come in whole episodes of 1000 steps in every environment, and PPO does not learn
from them. The world is Gymnasium's HalfCheetah-v4 without the torque penalty: reward is forward velocity,
1000 steps, no termination.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

ROLLOUT_STEPS = 2048
HORIZON = 1000
PPO_SETTINGS: dict[str, dict[str, Any]] = {
    "tutorial": {
        "batch_size": 64,
        "ent_coef": 0.01,
        "learning_rate": 2e-3,
        "clip_range": 0.1,
        "gae_lambda": 0.95,
        "gamma": 0.97,
    },
    "command-line": {"batch_size": 64, "ent_coef": 0.0, "learning_rate": 3e-4},
}
"""The tutorial's (tuned on Pendulum), or those that the library's own command line starts from (SB3's)."""


def parse(args: list[str] | None = None) -> argparse.Namespace:
    """The options; equal budgets are the caller's business."""
    parser = argparse.ArgumentParser(description="imitation's preference comparisons on half-cheetah")
    parser.add_argument("--steps", type=int, required=True, help="steps that PPO learns from, about")
    parser.add_argument("--labels", type=int, required=True, help="comparisons")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--members", type=int, default=3, help="reward networks in the ensemble")
    parser.add_argument("--epochs", type=int, default=10, help="PPO's passes over each rollout")
    parser.add_argument("--envs", type=int, default=8, help="environments")
    parser.add_argument("--iterations", type=int, default=5, help="times that comparisons are asked for")
    parser.add_argument(
        "--exploration", type=float, default=0.0, help="share of samples; the tutorial has 0.05"
    )
    parser.add_argument("--ppo", choices=sorted(PPO_SETTINGS), default="tutorial", help="PPO's settings")
    parser.add_argument("--episodes", type=int, default=20, help="episodes of the final policy")
    parser.add_argument("--out", type=Path, required=True, help="where the figures are written")
    return parser.parse_args(args)


def main() -> None:
    """One run; the clock runs while the library trains, not while it is imported or evaluated."""
    options = parse()
    import numpy as np
    import torch

    torch.manual_seed(options.seed)
    rng = np.random.default_rng(options.seed)
    worlds = count_steps(make_worlds(options.envs, rng))
    agent = make_agent(options, worlds)
    loop = make_loop(options, worlds, agent, rng)
    started = time.perf_counter()
    loop.train(total_timesteps=steps_asked_for(options), total_comparisons=options.labels)
    seconds = time.perf_counter() - started
    scores = evaluate(agent, options)
    figures = {
        "steps": worlds.steps,
        "learned_steps": agent.num_timesteps,
        "labels": len(loop.dataset),
        "seconds": seconds,
        "return_mean": float(np.mean(scores)),
        "return_std": float(np.std(scores)),
        "versions": versions(),
    }
    options.out.write_text(json.dumps(figures))


def make_worlds(count: int, rng: Any) -> Any:
    """Half-cheetah as the library's helper makes it; the agent is paid for forward velocity alone."""
    from imitation.util.util import make_vec_env

    # The checker of this old Gymnasium uses names that NumPy 2 has dropped; it looks at first steps only.
    settings = {"ctrl_cost_weight": 0.0, "disable_env_checker": True}
    return make_vec_env("HalfCheetah-v4", rng=rng, n_envs=count, env_make_kwargs=settings)


def count_steps(worlds: Any) -> Any:
    """The same worlds; ``steps`` is what was taken in them for whatever purpose."""
    from stable_baselines3.common.vec_env import VecEnvWrapper

    class CountingVecEnv(VecEnvWrapper):
        steps = 0

        def reset(self) -> Any:
            return self.venv.reset()

        def step_wait(self) -> Any:
            self.steps += self.num_envs
            return self.venv.step_wait()

    return CountingVecEnv(worlds)


def make_agent(options: argparse.Namespace, worlds: Any) -> Any:
    """Stable-Baselines3's PPO with the library's policy: two layers of 32, observations normalised."""
    from imitation.policies.base import FeedForward32Policy, NormalizeFeaturesExtractor
    from imitation.util.networks import RunningNorm
    from stable_baselines3 import PPO

    return PPO(
        policy=FeedForward32Policy,
        env=worlds,
        policy_kwargs={
            "features_extractor_class": NormalizeFeaturesExtractor,
            "features_extractor_kwargs": {"normalize_class": RunningNorm},
        },
        n_steps=ROLLOUT_STEPS // options.envs,
        n_epochs=options.epochs,
        seed=options.seed,
        device="cpu",
        **PPO_SETTINGS[options.ppo],
    )


def make_loop(options: argparse.Namespace, worlds: Any, agent: Any, rng: Any) -> Any:
    """The library's whole loop around that agent."""
    from imitation.algorithms import preference_comparisons as preferences

    reward = make_reward(options.members, worlds)
    model = preferences.PreferenceModel(reward)
    loss = preferences.CrossEntropyRewardLoss()
    trainer = preferences.EnsembleTrainer if options.members > 1 else preferences.BasicRewardTrainer
    generator = preferences.AgentTrainer(
        algorithm=agent, reward_fn=reward, venv=worlds, exploration_frac=options.exploration, rng=rng
    )
    return preferences.PreferenceComparisons(
        generator,
        reward,
        num_iterations=options.iterations,
        fragmenter=preferences.RandomFragmenter(warning_threshold=0, rng=rng),
        preference_gatherer=preferences.SyntheticGatherer(rng=rng),
        reward_trainer=trainer(model, loss=loss, rng=rng, epochs=3),
        fragment_length=100,
        transition_oversampling=1,
        initial_comparison_frac=0.1,
        initial_epoch_multiplier=4,
        allow_variable_horizon=False,
        query_schedule="hyperbolic",
    )


def make_reward(members: int, worlds: Any) -> Any:
    """The library's reward network, or the mean of several, each with its output normalised."""
    from imitation.rewards import reward_nets
    from imitation.util.networks import RunningNorm

    spaces = worlds.observation_space, worlds.action_space
    plain = [reward_nets.BasicRewardNet(*spaces, normalize_input_layer=RunningNorm) for _ in range(members)]
    if members == 1:
        return plain[0]
    normalised = [reward_nets.NormalizedRewardNet(member, RunningNorm) for member in plain]
    return reward_nets.AddSTDRewardWrapper(reward_nets.RewardEnsemble(*spaces, normalised), default_alpha=0.0)


def steps_asked_for(options: argparse.Namespace) -> int:
    """What to ask of the library so that PPO learns from about ``--steps`` steps.

    It trains once more than it has iterations, each time with whole rollouts. The steps that it samples for
    comparisons come on top.
    """
    rollouts = max(1, round(options.steps / ((options.iterations + 1) * ROLLOUT_STEPS)))
    return int(rollouts * ROLLOUT_STEPS * options.iterations)


def evaluate(agent: Any, options: argparse.Namespace) -> Any:
    """True returns of fresh episodes, one in each world, with the mean action."""
    import numpy as np

    worlds = make_worlds(options.episodes, np.random.default_rng(1_000_003 + options.seed))
    observation, scores = worlds.reset(), np.zeros(options.episodes)
    for _ in range(HORIZON):
        action, _ = agent.predict(observation, deterministic=True)
        observation, reward, _, _ = worlds.step(action)
        scores += reward
    return scores


def versions() -> dict[str, str]:
    """Of what the figures depend on."""
    from importlib.metadata import version

    names = ("imitation", "stable-baselines3", "gymnasium", "mujoco", "torch", "numpy")
    return {name: version(name) for name in names}


if __name__ == "__main__":
    main()
