"""The settings of every task and algorithm of the language track: what ``prefrl language train`` starts from.

Each number that is not a default of :class:`prefrl.language.config.LanguageConfig` stands here once, with its
reason. Options on the command line override them.
"""

from __future__ import annotations

from dataclasses import replace

from prefrl.kl_controllers import KLConfig
from prefrl.language.config import (
    ON_PREFERENCES,
    Algorithm,
    LanguageConfig,
    RolloutConfig,
    TextQueryConfig,
    TextRewardConfig,
    WarmStartConfig,
)
from prefrl.language.model_config import ModelConfig
from prefrl.language.tasks.task import make_task

SMALL = ModelConfig(layers=2, width=96)
"""0.23M parameters, which learn addition, walks and reviews in half a minute."""

GROUPS = RolloutConfig(prompts=128, copies=8)
"""Wide enough that some responses to a hard prompt are right; groups without spread cost no update."""

TASKS: dict[str, LanguageConfig] = {
    "addition": LanguageConfig(task="addition", steps=60_000, model=SMALL),
    "walks": LanguageConfig(
        task="walks",
        reward="learned",
        labels=4_000,
        model=SMALL,
        # A walk is made of steps, as a clip is: its return is their sum.
        reward_model=TextRewardConfig(
            reading="sum",
            fit=replace(TextRewardConfig().fit, first_gradient_steps=500, max_gradient_steps=150),
        ),
        query=TextQueryConfig(sessions=4),
        # Demonstrations wander: whoever imitates them knows most edges, and goes twice as far as need be.
        warm_start=WarmStartConfig(stop_at=0.45),
    ),
    "reviews": LanguageConfig(
        task="reviews",
        reward="learned",
        teacher="noisy",  # its best possible answers are known, and so is every reward model's ceiling
        model=SMALL,
        # Demonstrations are middling by themselves: imitate them well.
        warm_start=WarmStartConfig(steps=10_000, stop_at=None, learning_rate=1e-3),
    ),
    "word-problems": LanguageConfig(
        task="word-problems", warm_start=WarmStartConfig(steps=80_000, learning_rate=1e-3)
    ),
}


def language_preset(task: str, algorithm: Algorithm) -> LanguageConfig:
    """The settings that an algorithm on a task starts from; a task of your own starts from the defaults.

    Raises:
        UsageError: there is no such task.
    """
    config = replace(TASKS.get(task) or LanguageConfig(task=task), algorithm=algorithm)
    longest = make_task(task).longest_completion + 1
    ppo, rollout, kl = config.ppo, config.rollout, config.kl
    # A score that can be checked may be followed fast; a learned one is right near the warm start alone.
    learned = config.fits
    rate = 3e-4 if learned else 1e-3
    match algorithm:
        case "ppo" | "ppo-ptx":
            rollout = replace(rollout, prompts=128, copies=2)
            # Four epochs, and a penalty in the reward (Stiennon et al. 2020; Ouyang et al. 2022).
            ppo = replace(
                ppo, epochs=4, value_coefficient=0.1, normalise_advantages=True, learning_rate=rate / 2
            )
            kl = KLConfig(coefficient=0.02)
        case "reinforce":
            # One step per rollout, on policy; the baseline is the mean of the prompt's kind.
            rollout = RolloutConfig(prompts=128, copies=2, baseline="archetype")
            ppo = replace(ppo, minibatch_size=256, learning_rate=rate)
        case "grpo":
            rollout = GROUPS
            ppo = replace(ppo, reduction="sequence_mean_of_means", learning_rate=rate)  # Shao 2024, eq. 3
        case "dr-grpo":
            # Neither the deviation nor the length divides (Liu et al. 2025).
            ppo = replace(ppo, reduction="sum_over_constant", constant_length=longest, learning_rate=rate)
            rollout = replace(GROUPS, deviation="none")
        case "rloo":
            ppo = replace(ppo, reduction="sequence_mean_of_sums", learning_rate=rate / 2)
            rollout = GROUPS
        case "rejection":
            rollout = replace(rollout, prompts=32)
    if learned:
        kl = KLConfig(coefficient=0.1)
    steps = config.labels if algorithm in ON_PREFERENCES else config.steps  # one pass
    return replace(config, ppo=ppo, rollout=rollout, kl=kl, steps=steps)
