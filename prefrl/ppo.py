"""The PPO update, shared by both tracks: it sees log-probabilities, values, advantages and masks.

A track supplies ``evaluate(inputs) -> Evaluation`` and a :class:`PolicyBatch`; whether the inputs are
joint angles, frames or tokens is none of this file's business.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from prefrl.adam import Optimizer
from prefrl.errors import UsageError
from prefrl.kl import kl_estimates, kl_loss
from prefrl.policy_gradient import clipped_surrogate_loss, clipped_value_loss, normalise_advantages
from prefrl.policy_steps import AutogradSteps, Evaluation, Inputs, PolicySteps
from prefrl.ppo_config import PPOConfig
from prefrl.ppo_gradient import plain_gradients
from prefrl.reductions import masked_mean, reduce_loss


@dataclass(frozen=True)
class PolicyBatch:
    """What was collected: ``inputs`` indexed along their first dimension, the rest ``[items(, time)]``."""

    inputs: Inputs
    log_prob: Tensor
    value: Tensor
    advantage: Tensor
    return_: Tensor
    mask: Tensor | None = None
    reference_log_prob: Tensor | None = None
    """What a reference policy says of the same actions; needed where ``kl_coefficient`` is not 0."""

    def __len__(self) -> int:
        return int(self.log_prob.shape[0])


def update_policy(
    evaluate: Callable[[Any], Evaluation],
    optimizer: Optimizer,
    batch: PolicyBatch,
    config: PPOConfig,
    *,
    generator: torch.Generator | None = None,
    extra_loss: Callable[[], Tensor] | None = None,
) -> dict[str, float]:
    """:func:`improve_policy` with the gradients of PyTorch and the steps of ``optimizer``.

    ``extra_loss`` is that of :class:`prefrl.policy_steps.AutogradSteps`: added to the loss of every step.
    """
    steps = AutogradSteps(
        evaluate, optimizer, micro_batch_size=config.micro_batch_size, extra_loss=extra_loss
    )
    return improve_policy(steps, batch, config, generator=generator)


def improve_policy(
    policy: PolicySteps,
    batch: PolicyBatch,
    config: PPOConfig,
    *,
    generator: torch.Generator | None = None,
) -> dict[str, float]:
    """Improves a policy on one batch: ``epochs`` passes in shuffled minibatches.

    Args:
        policy: evaluates minibatches of ``batch.inputs`` and takes the steps.
        batch: what was collected by the policy as it is now.
        config: the settings.
        generator: draws the minibatches, on the CPU.

    Returns:
        Means over all minibatches: policy_loss, value_loss, entropy, approx_kl (k3, against the policy
        that collected), clip_fraction, grad_norm; and last_kl, the approx_kl of the last epoch alone.

    Raises:
        FloatingPointError: a loss or gradient is not finite; the parameters are then those before it.
        UsageError: the config penalises the KL from a reference, and the batch has none.
    """
    device = batch.log_prob.device
    records: list[Tensor] = []
    norms: list[float] = []
    for _ in range(config.epochs):
        for indices in shuffled_minibatches(len(batch), config.minibatch_size, generator):
            part = _take(batch, indices.to(device))
            gradients, record = _loss_gradients(policy.evaluate(part.inputs), part, config)
            norms.append(policy.descend(gradients, config.max_grad_norm))
            if not math.isfinite(norms[-1]):
                losses = ", ".join(f"{loss:.4g}" for loss in record[:2].tolist())
                raise FloatingPointError(
                    f"a policy update is not finite: policy, value loss {losses}, gradient norm {norms[-1]}"
                )
            records.append(record)
    table = torch.stack(records)
    names = ("policy_loss", "value_loss", "entropy", "approx_kl", "clip_fraction")
    metrics = dict(zip(names, table.mean(0).tolist(), strict=True))
    last = max(1, len(records) // config.epochs)
    last_kl = float(table[-last:, names.index("approx_kl")].mean())
    return metrics | {"grad_norm": sum(norms) / len(norms), "last_kl": last_kl}


def shuffled_minibatches(items: int, size: int, generator: torch.Generator | None) -> Iterator[Tensor]:
    """Every index below ``items`` once, in random order, in minibatches; the last may be smaller."""
    return iter(torch.randperm(items, generator=generator).split(size))


def _loss_gradients(
    evaluation: Evaluation, part: PolicyBatch, config: PPOConfig
) -> tuple[Evaluation, Tensor]:
    """The loss's gradients by the evaluation, and what is recorded of it: ``[5]``."""
    if part.mask is None and config.reduction == "mean" and not config.kl_coefficient:
        gradients, record = plain_gradients(
            evaluation,
            old_log_prob=part.log_prob,
            old_value=part.value,
            advantage=part.advantage,
            return_=part.return_,
            config=config,
        )
        return Evaluation(*gradients), record
    outputs = Evaluation(*(output.detach().requires_grad_() for output in evaluation))
    loss, record = minibatch_loss(outputs, part, config)
    return Evaluation(*torch.autograd.grad(loss, outputs)), record


def minibatch_loss(evaluation: Evaluation, part: PolicyBatch, config: PPOConfig) -> tuple[Tensor, Tensor]:
    """The loss with gradients by the evaluation, and what is recorded of it: ``[5]``."""
    log_prob, entropy, value = evaluation
    advantage = (
        normalise_advantages(part.advantage, part.mask) if config.normalise_advantages else part.advantage
    )
    surrogate = clipped_surrogate_loss(
        log_prob, part.log_prob, advantage, clip=config.clip, clip_high=config.clip_high
    )
    policy_loss = reduce_loss(surrogate, part.mask, config.reduction, constant_length=config.constant_length)
    errors = clipped_value_loss(value, part.value, part.return_, clip=config.value_clip)
    value_loss = reduce_loss(errors, part.mask, config.reduction, constant_length=config.constant_length)
    mean_entropy = masked_mean(entropy, part.mask)
    loss = policy_loss + config.value_coefficient * value_loss - config.entropy_coefficient * mean_entropy
    if config.kl_coefficient:
        loss = loss + config.kl_coefficient * _reference_kl(log_prob, part, config)
    with torch.no_grad():
        kl = masked_mean(kl_estimates(part.log_prob, log_prob)[2], part.mask)
        excess = torch.exp(log_prob - part.log_prob) - 1.0
        outside = (excess < -config.clip) | (
            excess > (config.clip if config.clip_high is None else config.clip_high)
        )
        clipped = masked_mean(outside.to(log_prob.dtype), part.mask)
        record = torch.stack([policy_loss, value_loss, mean_entropy, kl, clipped])
    return loss, record


def _reference_kl(log_prob: Tensor, part: PolicyBatch, config: PPOConfig) -> Tensor:
    if part.reference_log_prob is None:
        raise UsageError(
            f"ppo.kl_coefficient is {config.kl_coefficient}, but there is no reference policy: set it to 0"
        )
    estimates = kl_loss(log_prob, part.reference_log_prob, config.kl_estimator)
    return reduce_loss(estimates, part.mask, config.reduction, constant_length=config.constant_length)


def _take(batch: PolicyBatch, indices: Tensor) -> PolicyBatch:
    def rows(tensor: Tensor) -> Tensor:
        return tensor.index_select(0, indices)  # twice as fast as tensor[indices]

    inputs = batch.inputs
    return PolicyBatch(
        rows(inputs) if isinstance(inputs, Tensor) else {name: rows(part) for name, part in inputs.items()},
        rows(batch.log_prob),
        rows(batch.value),
        rows(batch.advantage),
        rows(batch.return_),
        None if batch.mask is None else rows(batch.mask),
        None if batch.reference_log_prob is None else rows(batch.reference_log_prob),
    )
