"""The settings of every task, in one place: what ``prefrl train TASK`` starts from.

Each number that is not a default of :class:`prefrl.control.config.TrainConfig` stands here once, with its
reason. Options on the command line override them.
"""

from __future__ import annotations

from dataclasses import replace

from envs.tasks import GAME_NAMES
from prefrl.control.config import PolicyConfig, RewardConfig, TrainConfig
from prefrl.control.query_config import QueryConfig
from prefrl.fit_config import FitConfig
from prefrl.ppo_config import PPOConfig
from prefrl.schedules import ATARI_HALF_LIFE

SEGMENT_STEPS = {
    "hopper": 60,
    "swimmer": 60,
    "walker2d": 45,
    "half-cheetah": 30,
    "ant": 30,
    "reacher": 15,
    "inverted-pendulum": 15,
    "inverted-double-pendulum": 15,
}
"""1.5 seconds at the frame rates of the authors' later code (Christiano et al. 2017, A.1)."""

MUJOCO = TrainConfig(
    num_envs=32,
    rollout_steps=128,  # long enough for segments of 60 steps to begin anywhere
    policy=PolicyConfig(initial_log_std=-0.5),
    # A learning rate that follows the KL: three times the return of 3e-4 falling to zero on half-cheetah.
    ppo=PPOConfig(discount=0.99, gae_lambda=0.95, minibatch_size=512, epochs=10, target_kl=0.02),
    # Small networks leave a core idle. On frames every core is busy anyway.
    reward_model=RewardConfig(background_fits=True),
    # Half as many fits as the default, for speed: experiments/LOG.md, 2026-11-27.
    query=QueryConfig(sessions=20),
)

ATARI = TrainConfig(
    steps=1_500_000,
    labels=1_400,
    num_envs=64,
    rollout_steps=128,
    torch_threads=0,
    policy=PolicyConfig(pixel_preset="small"),
    # Minibatch, epochs and the KL target follow rl_games' Pong recipe, the most frugal one published.
    ppo=PPOConfig(minibatch_size=2048, epochs=4, entropy_coefficient=0.01, target_kl=0.01),
    reward_model=RewardConfig(
        pixel_preset="small",
        dropout=0.2,
        std=0.05,
        fit=FitConfig(learning_rate=3e-4, batch_size=16, first_gradient_steps=250, max_gradient_steps=50),
    ),
    query=QueryConfig(segment_length=25, pool_size=300, half_life=ATARI_HALF_LIFE, sessions=30),
)


def preset(task: str) -> TrainConfig:
    """The settings that a task starts from."""
    from envs.atari import is_atari_game

    if task in SEGMENT_STEPS:
        length = SEGMENT_STEPS[task]
        return replace(MUJOCO, task=task, query=replace(MUJOCO.query, segment_length=length))
    if task in GAME_NAMES or is_atari_game(task):
        return replace(ATARI, task=task)
    return TrainConfig(task=task, num_envs=16, rollout_steps=128, reward_form="native")
