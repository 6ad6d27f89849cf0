"""Runs of the language track that take seconds and learn next to nothing."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from experiments.language_presets import language_preset
from prefrl.language.config import Algorithm, LanguageConfig
from prefrl.language.model_config import ModelConfig


def tiny(task: str = "walks", algorithm: Algorithm = "grpo", **changes: Any) -> LanguageConfig:
    """Seconds, not minutes; it learns next to nothing."""
    config = language_preset(task, algorithm)
    fit = replace(config.reward_model.fit, first_gradient_steps=6, max_gradient_steps=3)
    return replace(
        config,
        model=ModelConfig(layers=1, heads=2, width=16),
        warm_start=replace(
            config.warm_start, steps=256, check_every_steps=128, check_prompts=8, batch_size=32
        ),
        rollout=replace(config.rollout, prompts=8, copies=4),
        reward_model=replace(config.reward_model, fit=fit),
        query=replace(config.query, sessions=2),
        best_of=4,
        steps=128,
        labels=40,
        evaluation_prompts=8,
        checkpoint_every_steps=64,
        torch_threads=1,
        **changes,
    )
