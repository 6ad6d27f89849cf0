"""The supervised warm start: imitate demonstrations, each seen once, and stop while there is more."""

from __future__ import annotations

from typing import Any

import numpy as np

from prefrl.adam import Adam
from prefrl.language.bench import Bench, Row
from prefrl.language.evaluation import gold_scores
from prefrl.language.responses import encode_responses
from prefrl.language.sampling import sample_responses
from prefrl.language.supervised import descend, draw_demonstrations, supervised_loss
from prefrl.schedules import passes_multiple

RISE_STEPS = 50
"""Gradient steps over which the learning rate rises: Adam's first steps are as large as any."""


class WarmStart:
    """Supervised learning on the task's own demonstrations.

    Args:
        bench: with the model to train.
        steps: demonstrations at most.
        stop_at: gold score of the likeliest completions at which to stop; none goes on.
    """

    def __init__(self, bench: Bench, *, steps: int, stop_at: float | None) -> None:
        self.bench, self.steps, self.stop_at = bench, steps, stop_at
        self.config = bench.config.warm_start
        self.optimizer = Adam(bench.trained, learning_rate=self.config.learning_rate)
        self.step = 0
        self._reached = False
        self._looks = 0

    @property
    def done(self) -> bool:
        return self._reached or self.step >= self.steps

    def advance(self) -> Row:
        """The gradient steps up to the next look at the gold score."""
        before, losses, norms = self.step, [], []
        while not self.done and not passes_multiple(before, self.step, self.config.check_every_steps):
            loss, norm = self._learn()
            losses.append(loss)
            norms.append(norm)
        row: Row = {"supervised_loss": float(np.mean(losses)), "grad_norm": float(np.mean(norms))}
        row["gold"] = self._look()
        self._reached = self.stop_at is not None and row["gold"] >= self.stop_at
        return row

    def state_dict(self) -> dict[str, Any]:
        return {
            "step": self.step,
            "optimizer": self.optimizer.state_dict(),
            "reached": self._reached,
            "looks": self._looks,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.step, self._reached, self._looks = state["step"], state["reached"], state["looks"]
        self.optimizer.load_state_dict(state["optimizer"])

    def _learn(self) -> tuple[float, float]:
        bench, count = self.bench, min(self.config.batch_size, self.steps - self.step)
        prompts, completions = draw_demonstrations(
            bench.task,
            count,
            bench.rng,
            progress=min(1.0, self.step / self.steps),
            curriculum=self.config.curriculum,
        )
        batch = encode_responses(
            prompts, completions, bench.tokenizer, context=bench.model.context, device=bench.device
        )
        risen = min(1.0, (self.step / self.config.batch_size + 1) / RISE_STEPS)
        for group in self.optimizer.param_groups:
            group["lr"] = self.config.learning_rate * risen
        loss = supervised_loss(bench.model, batch)
        norm = descend(self.optimizer, loss, self.config.max_grad_norm)
        self.step += count
        return float(loss.detach()), norm

    def _look(self) -> float:
        """Mean gold score of the likeliest completions of fresh training prompts."""
        bench = self.bench
        self._looks += 1
        rng = np.random.default_rng([bench.config.seed, 6, self._looks])
        prompts = bench.task.prompts("train", self.config.check_prompts, rng)
        written = sample_responses(
            bench.model, bench.tokenizer, prompts, longest=bench.longest, generator=None
        )
        return float(gold_scores(bench.task, written).mean())
