"""The value function of PPO for text: a transformer of its own with one number before every token."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from prefrl.ensemble import RewardEnsemble
from prefrl.errors import UsageError
from prefrl.language.completions import CHUNK, completion_hidden, completion_inputs, rows_of
from prefrl.language.config import ValueConfig
from prefrl.language.models import LanguageModel, SmallModel
from prefrl.language.responses import Responses
from prefrl.language.reward_network import RewardTransformer, copy_members_
from prefrl.language.transformer import Transformer


class ValueModel(nn.Module):
    """What a completion's return is expected to be before each of its tokens.

    Args:
        body: a language model whose output layer is left alone.
    """

    def __init__(self, body: LanguageModel) -> None:
        super().__init__()
        self.body = body
        self.head = nn.Linear(body.width, 1)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)

    def forward(self, inputs: Mapping[str, Tensor]) -> Tensor:
        """``[rows, time]`` for inputs as ``completion_inputs`` makes them; 0 beyond the end."""
        return self.head(completion_hidden(self.body, inputs)).squeeze(-1) * inputs["mask"]

    @torch.no_grad()
    def predict(self, responses: Responses) -> Tensor:
        """``[n, time]`` without gradients."""
        inputs = completion_inputs(responses)
        parts = torch.arange(len(responses), device=responses.tokens.device).split(CHUNK)
        return torch.cat([self(rows_of(inputs, part)) for part in parts])


def make_value_model(
    policy: LanguageModel, config: ValueConfig, ensemble: RewardEnsemble | None, device: torch.device
) -> ValueModel:
    """The value function of a policy, begun as the config says; its output starts at 0, but from a reward.

    From the reward ensemble: the first member's body and head, in the units of the learned reward (Ouyang et
    al. 2022, C.4).

    Raises:
        UsageError: nothing to begin from.
    """
    if not isinstance(policy, SmallModel):
        if config.start != "policy":
            raise UsageError("value.start must be policy with a model of transformers")
        return ValueModel(policy.copy()).to(device)
    if config.start == "policy":
        return ValueModel(policy.copy()).to(device)
    body = SmallModel(
        Transformer(policy.body.vocabulary, policy.context, policy.body.config), suppressed=policy.suppressed
    )
    model = ValueModel(body)
    if config.start == "reward":
        if ensemble is None or not isinstance(ensemble.network, RewardTransformer):
            raise UsageError("value.start reward needs a learned reward: choose policy or scratch")
        network, scale = ensemble.network, ensemble.scale[0]
        copy_members_(body.body, network.body)
        with torch.no_grad():
            model.head.weight.copy_(network.head.weight[0].T * scale)
            model.head.bias.copy_((network.head.bias[0, 0] - ensemble.shift[0]) * scale)
    return model.to(device)
