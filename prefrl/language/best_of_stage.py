"""Choosing the best of several responses: to answer with it, or to imitate it (rejection sampling)."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from prefrl.adam import Adam
from prefrl.best_of_n import choose_best
from prefrl.language.bench import Bench, Row
from prefrl.language.evaluation import gold_scores
from prefrl.language.responses import Responses
from prefrl.language.reward_source import RewardSource
from prefrl.language.rewards import check_rewards, penalise_missing_end
from prefrl.language.supervised import descend, supervised_loss
from prefrl.schedules import linear


def best_of(responses: Responses, rewards: Tensor, copies: int) -> Responses:
    """The response with the highest reward among each ``copies`` in a row; the first of equals."""
    places = torch.from_numpy(choose_best(rewards.view(-1, copies).double().cpu().numpy()))
    return responses.take((places + copies * torch.arange(len(places))).to(rewards.device))


def judged(bench: Bench, source: RewardSource, responses: Responses) -> Tensor:
    """One number per response: its reward, summed over its tokens, less what a missing end costs."""
    rewards = check_rewards(source(responses), responses)
    total = rewards if rewards.dim() == 1 else rewards.sum(1)
    return penalise_missing_end(total, responses, bench.config.rollout.missing_end_penalty)


class RejectionStage:
    """Write several responses to each prompt, imitate the best; again and again, with the policy as it is.

    Prompts whose responses are all worth the same teach nothing and are left out.

    Args:
        bench: with the policy.
        source: of rewards.
    """

    def __init__(self, bench: Bench, source: RewardSource) -> None:
        self.bench, self.source, self.config = bench, source, bench.config
        self.optimizer = Adam(bench.trained, learning_rate=bench.config.ppo.learning_rate)
        self.step = 0

    @property
    def done(self) -> bool:
        return self.step >= self.config.steps

    def advance(self) -> Row:
        """One rollout and one pass of imitation over its best responses."""
        progress = min(1.0, self.step / self.config.steps)
        if (said := self.source.prepare(progress)) is not None:
            return said
        bench, copies = self.bench, self.config.best_of
        prompts = bench.task.prompts("train", self.config.rollout.prompts, bench.rng)
        responses = bench.write(prompts, copies=copies)
        rewards = judged(bench, self.source, responses)
        groups = rewards.view(-1, copies)
        alive = groups.amax(1) > groups.amin(1)
        best = best_of(responses, rewards, copies)
        row: Row = {
            "true_return": float(gold_scores(bench.task, responses).mean()),
            "learned_return": float(rewards.mean()),
            "best_true_return": float(gold_scores(bench.task, best).mean()),
            "dead_groups": float((~alive).sum()),
        }
        self.step += len(responses)
        return row | self._imitate(best.take(alive.nonzero().squeeze(1)), progress)

    def state_dict(self) -> dict[str, Any]:
        return {
            "step": self.step,
            "source": self.source.state_dict(),
            "optimizer": self.optimizer.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.step = state["step"]
        self.source.load_state_dict(state["source"])
        self.optimizer.load_state_dict(state["optimizer"])

    def _imitate(self, best: Responses, progress: float) -> Row:
        if not len(best):
            return {}
        config = self.config.ppo
        for group in self.optimizer.param_groups:
            rate = linear(1.0, config.final_learning_rate_fraction)(progress)
            group["lr"] = config.learning_rate * rate
        order = torch.randperm(len(best), generator=self.bench.generator).to(self.bench.device)
        losses = []
        for part in order.split(config.minibatch_size):
            loss = supervised_loss(self.bench.model, best.take(part))
            descend(self.optimizer, loss, config.max_grad_norm)
            losses.append(float(loss.detach()))
        return {"supervised_loss": sum(losses) / len(losses)}


class BestOfStage:
    """Best-of-n changes no policy: only a learned reward has to be fitted. What is chosen is evaluated.

    Args:
        bench: with the policy.
        source: of rewards.
    """

    def __init__(self, bench: Bench, source: RewardSource) -> None:
        self.bench, self.source = bench, source
        self.step = 0

    @property
    def done(self) -> bool:
        return self.step >= self.bench.config.steps

    def advance(self) -> Row:
        """The source's preparations, one after the other; then best-of-n on training prompts."""
        if (said := self.source.prepare(0.0)) is not None:
            return said
        bench, config = self.bench, self.bench.config
        prompts = bench.task.prompts("train", config.rollout.prompts, bench.rng)
        responses = bench.write(prompts, copies=config.best_of)
        best = best_of(responses, judged(bench, self.source, responses), config.best_of)
        self.step = min(config.steps, self.step + len(responses))
        return {
            "true_return": float(gold_scores(bench.task, responses).mean()),
            "best_true_return": float(gold_scores(bench.task, best).mean()),
        }

    def gold(self, prompts: list[str], *, seed: int) -> float:
        """Mean gold score of the best of n for these prompts; leaves no trace in the run's random numbers."""
        bench, copies = self.bench, self.bench.config.best_of
        before = bench.generator.get_state()
        bench.generator.manual_seed(seed)
        responses = bench.write(prompts, copies=copies)
        bench.generator.set_state(before)
        best = best_of(responses, judged(bench, self.source, responses), copies)
        return float(gold_scores(bench.task, best).mean())

    def state_dict(self) -> dict[str, Any]:
        return {"step": self.step, "source": self.source.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.step = state["step"]
        self.source.load_state_dict(state["source"])


class RewardStage:
    """Fits the reward model alone: all comparisons at once, one long fit.

    Args:
        bench: with the policy whose responses are compared.
        source: the learned reward, with no session but the first.
    """

    def __init__(self, bench: Bench, source: RewardSource) -> None:
        self.bench, self.source = bench, source
        self.step = 0

    @property
    def done(self) -> bool:
        return self.step >= self.bench.config.labels

    def advance(self) -> Row:
        """Asks, waits where a person answers, then fits."""
        said = self.source.prepare(0.0)
        assert said is not None
        if "waiting" not in said:
            self.step = self.bench.config.labels
        return said

    def state_dict(self) -> dict[str, Any]:
        return {"step": self.step, "source": self.source.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.step = state["step"]
        self.source.load_state_dict(state["source"])
