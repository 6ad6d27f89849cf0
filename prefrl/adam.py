"""Adam, as PyTorch's own computes it, without what comes along with that.

The first use of any optimizer of PyTorch imports its compiler: two and a half seconds before a run's first
step, and again in the process that fits. The equations are five; a test holds them to PyTorch's to the bit.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any, Protocol

import torch
from torch import Tensor

BETAS = (0.9, 0.999)


class Optimizer(Protocol):
    """What an update needs of an optimizer, ours or PyTorch's."""

    param_groups: list[dict[str, Any]]
    """Of each group its parameters, ``params``, and its learning rate, ``lr``."""

    def step(self) -> Any:
        """One step along the gradients as they are now."""
        ...

    def state_dict(self) -> dict[str, Any]:
        """All that the next step depends on besides parameters and gradients."""
        ...

    def load_state_dict(self, state: dict[str, Any]) -> Any:
        """Continues from ``state_dict``."""
        ...


class Adam:
    """Adam (Kingma and Ba 2015, algorithm 1).

    m ← β₁ m + (1 − β₁) g,  v ← β₂ v + (1 − β₂) g²,
    p ← p − lr · m / (1 − β₁ᵗ) / (√(v / (1 − β₂ᵗ)) + ε)

    Args:
        parameters: changed in place by `step`, along their ``grad``; one without a gradient stays as it is.
        learning_rate: lr; ``param_groups[0]["lr"]`` holds it and may be set, as with PyTorch's optimizers.
        epsilon: ε.
    """

    def __init__(self, parameters: Iterable[Tensor], *, learning_rate: float, epsilon: float = 1e-8) -> None:
        self._parameters = list(parameters)
        self.param_groups: list[dict[str, Any]] = [{"params": self._parameters, "lr": learning_rate}]
        self._epsilon = epsilon
        self._steps = [0] * len(self._parameters)
        self._means = [torch.zeros_like(parameter) for parameter in self._parameters]
        self._squares = [torch.zeros_like(parameter) for parameter in self._parameters]

    def zero_grad(self) -> None:
        """Forgets all gradients."""
        for parameter in self._parameters:
            parameter.grad = None

    @torch.no_grad()
    def step(self) -> None:
        """One step along the gradients as they are now."""
        found = {place: p.grad for place, p in enumerate(self._parameters) if p.grad is not None}
        if not found:
            return
        places, gradients = list(found), list(found.values())
        parameters = [self._parameters[place] for place in places]
        means, squares = ([kept[place] for place in places] for kept in (self._means, self._squares))
        for place in places:
            self._steps[place] += 1
        torch._foreach_lerp_(means, gradients, 1.0 - BETAS[0])
        torch._foreach_mul_(squares, BETAS[1])
        torch._foreach_addcmul_(squares, gradients, gradients, 1.0 - BETAS[1])
        steps = [self._steps[place] for place in places]
        denominators = torch._foreach_sqrt(squares)
        torch._foreach_div_(denominators, [math.sqrt(1.0 - BETAS[1] ** step) for step in steps])
        torch._foreach_add_(denominators, self._epsilon)
        rate = self.param_groups[0]["lr"]
        torch._foreach_addcdiv_(
            parameters, means, denominators, [-rate / (1.0 - BETAS[0] ** step) for step in steps]
        )

    def state_dict(self) -> dict[str, Any]:
        """Copies of the moments of every parameter, and how many steps it has taken."""
        copies = ([tensor.clone() for tensor in kept] for kept in (self._means, self._squares))
        means, squares = copies
        return {"steps": list(self._steps), "means": means, "squares": squares}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continues from ``state_dict``; the learning rate stays as it is.

        Raises:
            ValueError: the state is of other parameters.
        """
        shapes = [parameter.shape for parameter in self._parameters]
        for name in ("means", "squares"):
            if [tensor.shape for tensor in state[name]] != shapes:
                raise ValueError("the state is of an Adam over other parameters than these")
        self._steps = [int(steps) for steps in state["steps"]]
        for kept, name in ((self._means, "means"), (self._squares, "squares")):
            for own, saved in zip(kept, state[name], strict=True):
                own.copy_(saved)
