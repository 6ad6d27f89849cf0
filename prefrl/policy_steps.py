"""How a policy is evaluated and takes a step down a loss that is given by its gradients.

The update computes its loss from log-probabilities, entropies and values and differentiates by those alone;
whatever lies below them (autograd, gradients written out, micro-batches) is behind `PolicySteps`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor

from prefrl.adam import Optimizer

Inputs = Tensor | Mapping[str, Tensor]


class Evaluation(NamedTuple):
    """What a policy says of actions taken: each ``[items]`` or ``[items, time]``."""

    log_prob: Tensor
    entropy: Tensor
    value: Tensor


class PolicySteps(Protocol):
    """A policy that can be evaluated and improved, whoever computes its gradients."""

    def evaluate(self, inputs: Any) -> Evaluation:
        """Of a minibatch of inputs; no gradient needs to flow out of it."""
        ...

    def descend(self, gradients: Evaluation, max_grad_norm: float) -> float:
        """One step down the loss, given its gradients by what was last evaluated.

        The gradient by the parameters is scaled down to ``max_grad_norm``; returns its norm before that.
        Where the norm is not finite no parameter changes.
        """
        ...


class AutogradSteps:
    """The gradients of PyTorch, the steps of its optimizers.

    Args:
        evaluate: the policy's :class:`Evaluation` of a minibatch, with gradients.
        optimizer: holds the policy's parameters.
        micro_batch_size: items per forward and backward pass, which bounds memory; None for the whole
            minibatch at once. Each forward pass is made twice, first without gradients, so that the result
            is that of the whole minibatch whatever the loss; ``evaluate`` must give the same both times.
        extra_loss: a loss of other data, made anew for each step and differentiated by itself: PPO-ptx's
            cross-entropy on the original text, say (Ouyang et al. 2022, eq. 2). None for none.
    """

    def __init__(
        self,
        evaluate: Callable[[Any], Evaluation],
        optimizer: Optimizer,
        *,
        micro_batch_size: int | None = None,
        extra_loss: Callable[[], Tensor] | None = None,
    ) -> None:
        self._evaluate, self.optimizer = evaluate, optimizer
        self._parameters = [p for group in optimizer.param_groups for p in group["params"]]
        self._micro_batch_size, self._extra_loss = micro_batch_size, extra_loss
        self._evaluated: Evaluation | None = None
        self._parts: list[Inputs] = []

    def evaluate(self, inputs: Inputs) -> Evaluation:
        if self._micro_batch_size is None:
            self._evaluated = self._evaluate(inputs)
            return self._evaluated
        self._parts = _split(inputs, self._micro_batch_size)
        with torch.no_grad():
            parts = [self._evaluate(part) for part in self._parts]
        return Evaluation(*(torch.cat(outputs) for outputs in zip(*parts, strict=True)))

    def descend(self, gradients: Evaluation, max_grad_norm: float) -> float:
        for parameter in self._parameters:
            parameter.grad = None
        if self._micro_batch_size is None:
            assert self._evaluated is not None
            _backward(self._evaluated, gradients)
        else:
            slices = zip(*(gradient.split(self._micro_batch_size) for gradient in gradients), strict=True)
            for part, gradient in zip(self._parts, slices, strict=True):
                _backward(self._evaluate(part), Evaluation(*gradient))
        if self._extra_loss is not None:
            self._extra_loss().backward()
        norm = float(torch.nn.utils.clip_grad_norm_(self._parameters, max_grad_norm))
        if math.isfinite(norm):
            self.optimizer.step()
        return norm


def _backward(outputs: Evaluation, gradients: Evaluation) -> None:
    flowing = [pair for pair in zip(outputs, gradients, strict=True) if pair[0].requires_grad]
    torch.autograd.backward([output for output, _ in flowing], [gradient for _, gradient in flowing])


def _split(inputs: Inputs, size: int) -> list[Inputs]:
    if isinstance(inputs, Tensor):
        return list(inputs.split(size))
    columns = {name: tensor.split(size) for name, tensor in inputs.items()}
    names = list(columns)
    return [dict(zip(names, row, strict=True)) for row in zip(*columns.values(), strict=True)]
