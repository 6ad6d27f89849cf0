"""A run of the language track, stage after stage: the warm start, then what its config names."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from prefrl.language.bench import Bench, Row, Stage, make_bench
from prefrl.language.best_of_stage import BestOfStage, RejectionStage, RewardStage
from prefrl.language.config import LanguageConfig
from prefrl.language.direct_stage import DirectStage
from prefrl.language.evaluation import TextEvaluation, evaluate_model, evaluation_prompts
from prefrl.language.policy_stage import PolicyStage
from prefrl.language.preferences import TextPreferences
from prefrl.language.reward_network import make_reward_ensemble
from prefrl.language.reward_source import make_source
from prefrl.language.warm_start import WarmStart
from prefrl.store.feedback_store import FeedbackStore


class TextTrainer:
    """Yields rows of metrics; it writes no files but the responses that are compared, and prints nothing.

    Args:
        config: the run's settings.
        store: of comparisons.
        folder: the run's.
        run: the run's name in the store.
    """

    def __init__(self, config: LanguageConfig, store: FeedbackStore, folder: Path, *, run: str) -> None:
        self.config, self.store, self.folder, self.run_name = config, store, folder, run
        self.bench: Bench = make_bench(config)
        self.warm = WarmStart(self.bench, steps=config.warm_start.steps, stop_at=config.warm_start.stop_at)
        self.stage: Stage | None = None
        self.preferences: TextPreferences | None = None
        self.before: TextEvaluation | None = None
        """Of the warm start, once it is over."""
        self._warm_model: dict[str, Any] = {}

    @property
    def step(self) -> int:
        """Texts trained on: demonstrations, then responses or comparisons."""
        return self.warm.step + (0 if self.stage is None else self.stage.step)

    @property
    def steps(self) -> int:
        """``step`` at the end of the run, as far as one can tell now."""
        warm = self.config.warm_start.steps if self.stage is None else self.warm.step
        return warm + (self.config.labels if self.config.algorithm == "reward" else self.config.steps)

    @property
    def done(self) -> bool:
        return self.stage is not None and self.stage.done

    @property
    def labels(self) -> int:
        """Comparisons asked for so far."""
        return 0 if self.preferences is None else self.preferences.labels

    @property
    def exact(self) -> bool:
        """Whether a resumed run ends at exactly the figures of an undisturbed one."""
        at_once = not self.config.asks or self.config.teacher != "human"
        return at_once and self.bench.device.type == "cpu"

    def run(self) -> Iterator[Row]:
        """Trains until the budgets are spent; a row per look, rollout, fit or wait."""
        while self.stage is None:
            if self.warm.done:
                yield self._turn()
            else:
                yield {**self.warm.advance(), "stage": "warm start", "step": self.step}
        while not self.stage.done:
            row = self.stage.advance()
            yield {**row, "stage": self.config.algorithm, "step": self.step}

    def evaluate(self) -> TextEvaluation:
        """The present policy on held-out prompts, against the warm start."""
        reference = None
        if self._warm_model:
            reference = self.bench.model.copy()
            reference.load_state_dict(self._warm_model)
        return self._evaluate(reference, "held_out")

    def evaluate_out_of_distribution(self) -> float:
        """Mean gold score of the likeliest completions of prompts of another kind."""
        return self._evaluate(None, "out_of_distribution").gold

    def best_gold(self) -> float | None:
        """Of best-of-n on held-out prompts; None with other algorithms."""
        if not isinstance(self.stage, BestOfStage):
            return None
        prompts = evaluation_prompts(
            self.bench.task, "held_out", self.config.evaluation_prompts, seed=self.config.seed
        )
        return self.stage.gold(prompts, seed=self.config.seed)

    def save_models(self, warm_start: Path, trained: Path) -> None:
        """Writes the warm start and the present model with the tokenizer, for plain transformers, too."""
        reference = self.bench.model.copy()
        reference.load_state_dict(self._warm_model)
        reference.save(warm_start, self.bench.tokenizer)
        self.bench.model.save(trained, self.bench.tokenizer)

    def state_dict(self) -> dict[str, Any]:
        return {
            "bench": self.bench.state_dict(),
            "warm": self.warm.state_dict(),
            "stage": None if self.stage is None else self.stage.state_dict(),
            "before": None if self.before is None else vars(self.before),
            "warm_model": self._warm_model,
            "torch": torch.get_rng_state(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.bench.load_state_dict(state["bench"])
        self.warm.load_state_dict(state["warm"])
        self._warm_model = state["warm_model"]
        self.before = None if state["before"] is None else TextEvaluation(**state["before"])
        if state["stage"] is not None:
            self.stage = self._make_stage()
            self.stage.load_state_dict(state["stage"])
        torch.set_rng_state(state["torch"])

    def _turn(self) -> Row:
        """From the warm start to the algorithm: the policy as it is now becomes the reference."""
        self.before = self.evaluate()
        self._warm_model = {name: one.detach().clone() for name, one in self.bench.model.state_dict().items()}
        self.stage = self._make_stage()
        return {**self.before.row(), "gold": self.before.gold, "stage": "warm start", "step": self.step}

    def _evaluate(self, reference: Any, split: Any) -> TextEvaluation:
        prompts = evaluation_prompts(
            self.bench.task, split, self.config.evaluation_prompts, seed=self.config.seed
        )
        return evaluate_model(
            self.bench.model,
            self.bench.tokenizer,
            self.bench.task,
            prompts,
            seed=self.config.seed,
            reference=reference,
        )

    def _make_stage(self) -> Stage:
        config, bench = self.config, self.bench
        if config.algorithm == "sft":
            return WarmStart(bench, steps=config.steps, stop_at=None)
        if config.asks:
            self.preferences = self._make_preferences()
        if config.algorithm in ("dpo", "ipo", "kto"):
            assert self.preferences is not None
            return DirectStage(bench, self.preferences)
        if config.algorithm == "reward":
            return RewardStage(bench, make_source(bench, self.preferences))
        source = make_source(bench, self.preferences)
        if config.algorithm == "best-of-n":
            return BestOfStage(bench, source)
        return (
            RejectionStage(bench, source) if config.algorithm == "rejection" else PolicyStage(bench, source)
        )

    def _make_preferences(self) -> TextPreferences:
        config, ensemble = self.config, None
        if config.fits:
            ensemble = make_reward_ensemble(
                self.bench.model,
                members=config.reward_model.members,
                from_policy=config.reward_model.start == "policy",
                device=self.bench.device,
            )
        return TextPreferences(self.bench, self.store, self.folder, run=self.run_name, ensemble=ensemble)
