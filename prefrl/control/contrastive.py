"""A policy straight from comparisons of segments: no reward is learned, and no world is needed.

Contrastive preference learning (Hejna et al. 2023, arXiv 2310.13639): whoever compares is taken to prefer the
segment whose actions come closer to the best ones (less regret), and under that model the policy's own
discounted log-probabilities stand in the place of returns. Unlike returns, regret says nothing of where a
segment began; labels by the sum of rewards fit only where segments begin alike.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from prefrl.adam import Adam
from prefrl.control.acting import Actor
from prefrl.control.layouts import Layout
from prefrl.control.policies import Policy
from prefrl.control.segment_files import load_segments
from prefrl.control.stored_answers import read_answers
from prefrl.direct_losses import contrastive_loss, discounted_log_prob
from prefrl.errors import UsageError
from prefrl.feedback import Kind
from prefrl.likelihoods import agreement
from prefrl.ppo import shuffled_minibatches
from prefrl.store.feedback_store import FeedbackStore


@dataclass(frozen=True)
class ContrastiveConfig:
    """Settings of one fit of a policy to comparisons."""

    alpha: float = 0.1
    """α: temperature of the regret-based preference model (Hejna et al. 2023: 0.1)."""
    bias: float = 1.0
    """λ in (0, 1]: below 1 what is in the data is favoured over what is not (Hejna et al. 2023: 0.5, for data
    of good behaviour; on data of random behaviour it turns the fit into imitation of it)."""
    discount: float = 1.0
    """γ per step within a segment (Hejna et al. 2023: 1)."""
    epochs: int = 100
    """Passes over the comparisons."""
    batch_size: int = 64
    """Comparisons per gradient step."""
    learning_rate: float = 1e-3
    """Step size of Adam."""
    max_grad_norm: float = 10.0
    """Gradients are scaled down to this global norm."""

    def __post_init__(self) -> None:
        for name in ("alpha", "epochs", "batch_size", "learning_rate", "max_grad_norm"):
            if not getattr(self, name) > 0:
                raise UsageError(f"contrastive.{name} must be above 0, not {getattr(self, name)}")
        if not 0 < self.bias <= 1 or not 0 < self.discount <= 1:
            raise UsageError(
                f"contrastive.bias and discount must lie in (0, 1], not {self.bias}, {self.discount}"
            )


@dataclass(frozen=True)
class ContrastiveReport:
    """What a fit did."""

    labels: int
    gradient_steps: int
    loss: float
    """Mean of the last pass, in nats per comparison."""
    agreement: float
    """Share of the comparisons in which the better segment is the likelier one, ties left out."""


def fit_policy_from_store(
    actor: Actor,
    store_path: str | Path,
    segments_folder: str | Path,
    layout: Layout,
    *,
    config: ContrastiveConfig,
    seed: int,
    run: str | None = None,
) -> ContrastiveReport:
    """Fits a policy to the comparisons in a store: see :func:`fit_policy_to_comparisons`.

    Raises:
        UsageError: no usable answers, a segment that is missing or damaged, or as below.
    """
    with FeedbackStore(store_path, must_exist=True) as store:
        answers = [one for one in read_answers(store, run=run).learned if one.kind is Kind.PAIR]
    if not answers:
        raise UsageError(f"{store_path} holds no answered pairs: collect answers first")
    ids = list(dict.fromkeys(segment for one in answers for segment in one.items))
    rows = {segment: row for row, segment in enumerate(ids)}
    pairs = np.array([[rows[segment] for segment in one.items] for one in answers])
    inputs = load_segments(Path(segments_folder), ids).inputs
    preferences = np.array([one.value for one in answers], dtype=np.float64)
    return fit_policy_to_comparisons(
        actor,
        inputs,
        layout,
        pairs,
        preferences,
        config=config,
        generator=torch.Generator().manual_seed(seed),
    )


def fit_policy_to_comparisons(
    actor: Actor,
    inputs: np.ndarray,
    layout: Layout,
    pairs: np.ndarray,
    preferences: np.ndarray,
    *,
    config: ContrastiveConfig,
    generator: torch.Generator,
) -> ContrastiveReport:
    """Fits a policy in place, whose observations are normalised by what the segments show.

    A Gaussian policy keeps its deviation: with it free, a narrower one would count as more certain.

    Args:
        actor: with the policy to fit, on features.
        inputs: ``[segments, length, features]``, observation and action, as segments are stored.
        layout: of the inputs.
        pairs: ``[n, 2]``, rows of inputs, left and right.
        preferences: ``[n]``, P(left is better).
        config: the settings.
        generator: draws the minibatches.

    Raises:
        UsageError: segments of pixels (they do not keep actions), or no comparison.
        FloatingPointError: the fit has diverged.
    """
    if layout.kind != "features" or actor.moments is None:
        raise UsageError("a policy is fitted to segments that hold observations and actions, not to pixels")
    if not len(pairs):
        raise UsageError("there are no comparisons to fit a policy to: collect answers first")
    observation, action = _split(inputs, layout, actor.policy)
    actor.moments.update(observation.reshape(-1, observation.shape[-1]))
    flat = actor.observe(observation.reshape(-1, observation.shape[-1])).reshape(observation.shape)
    steps = {
        "observation": torch.from_numpy(flat).to(actor.device),
        "action": torch.from_numpy(action).to(actor.device),
    }
    items = torch.from_numpy(np.asarray(pairs, np.int64)).to(actor.device)
    answers = torch.from_numpy(np.asarray(preferences, np.float32)).to(actor.device)
    losses = _descend(actor.policy, steps, items, answers, config, generator)
    with torch.no_grad():
        right = float(agreement(_scores(actor.policy, steps, items, config.discount), answers))
    actor.refresh()
    per_epoch = math.ceil(len(items) / config.batch_size)
    return ContrastiveReport(len(items), len(losses), float(np.mean(losses[-per_epoch:])), right)


def _descend(
    policy: Policy,
    steps: dict[str, Tensor],
    items: Tensor,
    answers: Tensor,
    config: ContrastiveConfig,
    generator: torch.Generator,
) -> list[float]:
    parameters = [
        parameter for name, parameter in policy.named_parameters() if name.startswith("body.policy")
    ]
    optimizer, losses = Adam(parameters, learning_rate=config.learning_rate), []
    for _ in range(config.epochs):
        for chosen in shuffled_minibatches(len(items), config.batch_size, generator):
            rows = chosen.to(items.device)
            scores = _scores(policy, steps, items[rows], config.discount)
            loss = contrastive_loss(scores, answers[rows], alpha=config.alpha, bias=config.bias).mean()
            gradients = torch.autograd.grad(loss, parameters)
            for parameter, gradient in zip(parameters, gradients, strict=True):
                parameter.grad = gradient
            norm = float(torch.nn.utils.clip_grad_norm_(parameters, config.max_grad_norm))
            if not math.isfinite(norm):
                raise FloatingPointError(f"fitting a policy is not finite: loss {loss.item()}")
            optimizer.step()
            losses.append(loss.item())
    return losses


def _scores(policy: Policy, steps: dict[str, Tensor], items: Tensor, discount: float) -> Tensor:
    """Discounted log-probabilities of both sides' actions, ``[n, 2]``."""
    chosen = {name: part[items.flatten()] for name, part in steps.items()}
    length = chosen["action"].shape[1]
    flat = {name: part.flatten(0, 1) for name, part in chosen.items()}
    log_prob = policy.evaluate(flat).log_prob.view(-1, length)
    return discounted_log_prob(log_prob, discount=discount).view(-1, 2)


def _split(inputs: np.ndarray, layout: Layout, policy: Policy) -> tuple[np.ndarray, np.ndarray]:
    """Observations ``[segments, length, numbers]`` and actions in the policy's units."""
    width = layout.actions or policy.actions
    observation, action = inputs[..., :-width].astype(np.float64), inputs[..., -width:]
    if layout.actions:
        return observation, action.argmax(-1).astype(np.int64)
    # The inverse of `to_world`, but for what the world's bounds have cut off.
    return observation, (2.0 * (action - policy.low) / (policy.high - policy.low) - 1.0).astype(np.float32)
