"""The steps of PPO for a small Gaussian policy on a CPU, with its gradient written out.

The policy's parameters become views of one vector and their gradients views of another, so that Adam and the
norm of the gradient see one tensor each. A test compares the steps with those of autograd.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from prefrl.adam import Adam
from prefrl.control.policies import LOG_TWO_PI, Policy, VectorBody
from prefrl.control.towers import Activations, tower_backward, tower_forward
from prefrl.policy_steps import AutogradSteps, Evaluation

Moment = tuple[Tensor, Activations, Activations, Tensor, Tensor]
"""Of the minibatch evaluated last: observation, both towers' activations, noise, its inverse deviation."""


ADAM_EPSILON = 1e-5
"""As in OpenAI's baselines."""


def make_steps(
    policy: Policy, learning_rate: float, *, micro_batch_size: int | None = None
) -> TowerSteps | AutogradSteps:
    """The fastest steps there are for a policy, by Adam; in micro-batches where a size is given."""
    if TowerSteps.fits(policy) and micro_batch_size is None:
        return TowerSteps(policy, learning_rate=learning_rate)
    adam = Adam(policy.parameters(), learning_rate=learning_rate, epsilon=ADAM_EPSILON)
    return AutogradSteps(policy.evaluate, adam, micro_batch_size=micro_batch_size)


class TowerSteps:
    """:class:`prefrl.policy_steps.PolicySteps` of a policy that :meth:`fits`.

    Args:
        policy: its parameters are replaced by views, in place; its module and its state stay usable.
        learning_rate: of Adam; the optimizer's param_groups hold it.

    Raises:
        ValueError: the policy is another than this is for.
    """

    def __init__(self, policy: Policy, *, learning_rate: float) -> None:
        if not self.fits(policy):
            raise ValueError("steps written out need a Gaussian policy with towers, in float32 on a CPU")
        parameters = list(policy.parameters())
        self._flat = nn.Parameter(torch.cat([parameter.data.flatten() for parameter in parameters]))
        self._flat.grad = torch.zeros_like(self._flat)
        sizes = [parameter.numel() for parameter in parameters]
        for parameter, data in zip(parameters, self._flat.data.split(sizes), strict=True):
            parameter.data = data.view(parameter.shape)
        slots = {
            id(parameter): gradient.view(parameter.shape)
            for parameter, gradient in zip(parameters, self._flat.grad.split(sizes), strict=True)
        }
        body = policy.body
        assert isinstance(body, VectorBody)
        self._log_std, self._log_std_slot = policy.log_std, slots[id(policy.log_std)]
        self._towers = [list(tower.parameters()) for tower in (body.policy, body.value)]
        self._slots = [[slots[id(parameter)] for parameter in tower] for tower in self._towers]
        self._moment: Moment | None = None
        self.optimizer = Adam([self._flat], learning_rate=learning_rate, epsilon=ADAM_EPSILON)

    @staticmethod
    def fits(policy: Policy) -> bool:
        """Whether the gradients written out here are a policy's."""
        usable = all(p.device.type == "cpu" and p.dtype == torch.float32 for p in policy.parameters())
        return usable and not policy.discrete and isinstance(policy.body, VectorBody)

    @torch.no_grad()
    def evaluate(self, inputs: dict[str, Tensor]) -> Evaluation:
        """As :meth:`prefrl.control.policies.Policy.evaluate`, without gradients."""
        observation, action = inputs["observation"], inputs["action"]
        head, value = (tower_forward(observation, tower) for tower in self._towers)
        inverse = torch.exp(-self._log_std)
        noise = (action - head.output) * inverse
        constant = float(self._log_std.sum()) + 0.5 * LOG_TWO_PI * len(self._log_std)
        log_prob = noise.square().sum(-1).mul_(-0.5).sub_(constant)
        self._moment = observation, head, value, noise, inverse
        return Evaluation(
            log_prob,
            torch.full_like(log_prob, constant + 0.5 * len(self._log_std)),
            value.output.squeeze(-1),
        )

    @torch.no_grad()
    def descend(self, gradients: Evaluation, max_grad_norm: float) -> float:
        """See :meth:`prefrl.ppo.PolicySteps.descend`."""
        assert self._moment is not None
        assert self._flat.grad is not None
        observation, head, value, noise, inverse = self._moment
        by_mean = noise * gradients.log_prob.unsqueeze(-1)
        self._log_std_slot.copy_(
            (by_mean * noise).sum(0) - gradients.log_prob.sum() + gradients.entropy.sum()
        )
        by_outputs = (by_mean * inverse, gradients.value.unsqueeze(-1))
        for activations, gradient, tower, slots in zip(
            (head, value), by_outputs, self._towers, self._slots, strict=True
        ):
            tower_backward(observation, activations, gradient, tower, slots)
        norm = float(self._flat.grad.norm())
        if math.isfinite(norm):
            if norm > max_grad_norm:
                self._flat.grad.mul_(max_grad_norm / (norm + 1e-6))
            self.optimizer.step()
        return norm
