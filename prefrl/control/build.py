"""Putting the parts of a run together from its config."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from gymnasium.vector import VectorEnv

from prefrl.control.acting import Actor
from prefrl.control.config import RewardConfig, TrainConfig
from prefrl.control.layout_files import save_layout
from prefrl.control.layouts import Layout, layout_of
from prefrl.control.policies import is_image, make_policy
from prefrl.control.preference_learner import PreferenceLearner
from prefrl.control.reward_networks import PixelRewardNetwork, VectorRewardNetwork
from prefrl.ensemble import RewardEnsemble
from prefrl.moments import RunningMoments
from prefrl.store.feedback_store import FeedbackStore
from prefrl.teachers import make_teacher


def make_actor(config: TrainConfig, env: VectorEnv, device: torch.device) -> Actor:
    """The untrained policy of a run in this world: the same one for the same seed, whatever the reward."""
    torch.manual_seed(config.seed)
    space = env.single_observation_space
    policy = make_policy(
        space,
        env.single_action_space,
        hidden=config.policy.hidden,
        pixel_preset=config.policy.pixel_preset,
        initial_log_std=config.policy.initial_log_std,
    ).to(device)
    moments = None if is_image(space) else RunningMoments((int(np.prod(space.shape or (1,))),))
    return Actor(policy, moments, device)


def make_layout(env: VectorEnv) -> Layout:
    """How segments of this world are stored; worlds of ours say whether their channels are frames."""
    stacked = bool(getattr(env, "stacked_frames", False))
    return layout_of(env.single_observation_space, env.single_action_space, stacked_frames=stacked)


def make_ensemble(layout: Layout, config: RewardConfig, device: torch.device) -> RewardEnsemble:
    """The reward ensemble for a layout, on its device: MLPs for features, CNNs for frames."""
    if layout.kind == "features":
        network: torch.nn.Module = VectorRewardNetwork(
            layout.shape[0], members=config.members, hidden=config.hidden
        )
    else:
        height, width, channels = layout.shape
        network = PixelRewardNetwork(
            (height, width, channels),
            members=config.members,
            preset=config.pixel_preset,
            dropout=config.dropout,
        )
    return RewardEnsemble(network, members=config.members, reward_std=config.std).to(device)


def make_learner(
    config: TrainConfig,
    env: VectorEnv,
    store: FeedbackStore,
    segments_folder: Path,
    *,
    run: str,
    device: torch.device,
) -> PreferenceLearner:
    """The reward side of a run in this world."""
    layout = make_layout(env)
    segments_folder.mkdir(parents=True, exist_ok=True)
    save_layout(segments_folder, layout)
    teacher = make_teacher(config.teacher, np.random.default_rng([config.seed, 4]))
    ensemble = make_ensemble(layout, config.reward_model, device)
    return PreferenceLearner(
        config, layout, ensemble, teacher, store, run=run, segments_folder=segments_folder
    )
