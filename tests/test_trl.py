"""Our losses against those of TRL 1.16.0; skipped without it (``pip install prefrl[trl]``).

TRL offers no loss functions, so its trainers' methods are called with a stand-in for the trainer and for the
model that says what the model would.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor

from prefrl.direct_losses import dpo_loss, ipo_loss, kto_loss, kto_reference_point
from prefrl.group_advantages import grpo_advantages
from prefrl.kl import kl_loss
from prefrl.likelihoods import centring_penalty, pair_log_likelihood_loss
from prefrl.policy_gradient import clipped_surrogate_loss
from prefrl.ppo_config import Reduction
from prefrl.reductions import reduce_loss

trl = pytest.importorskip("trl", reason="TRL 1.16.0 is not installed: pip install prefrl[trl]")
if trl.__version__ != "1.16.0":
    pytest.skip(f"compared with TRL 1.16.0, not {trl.__version__}", allow_module_level=True)

PAIRS, TIME, BETA = 6, 9, 0.3
same = pytest.mark.parametrize("seed", range(5))


class Model:
    """Says given log-probabilities of tokens; what else the trainers log is zero."""

    training = True

    def __init__(self, *log_probs: Tensor) -> None:
        self._log_probs = list(log_probs)

    def __call__(self, **_inputs: Any) -> SimpleNamespace:
        log_probs = self._log_probs.pop(0)
        zeros = torch.zeros_like(log_probs)
        return SimpleNamespace(log_probs=log_probs, entropy=zeros, mean_logits=zeros, is_top1=zeros.bool())


def accelerator() -> SimpleNamespace:
    def identity(tensor: Any) -> Any:
        return tensor

    return SimpleNamespace(
        device=torch.device("cpu"),
        gather=identity,
        gather_for_metrics=identity,
        reduce=lambda tensor, reduction: tensor,  # noqa: ARG005
        num_processes=1,
    )


def trainer(model: Model, **settings: Any) -> SimpleNamespace:
    return SimpleNamespace(
        model=model,
        accelerator=accelerator(),
        aux_loss_enabled=False,
        use_weighting=False,
        beta=BETA,
        _metrics={"train": defaultdict(list), "eval": defaultdict(list)},
        _total_train_tokens=0,
        _tp_size=1,
        **settings,
    )


def some_log_probs(seed: int, rows: int) -> tuple[Tensor, Tensor, Tensor]:
    """Log-probabilities under the policy and the reference, ``[rows, TIME]``, and which tokens there are."""
    generator = torch.Generator().manual_seed(seed)
    lengths = torch.randint(1, TIME + 1, (rows, 1), generator=generator)
    mask = (torch.arange(TIME) < lengths).double()
    policy, reference = -torch.rand(2, rows, TIME, generator=generator, dtype=torch.float64) * 3
    return (policy * mask).requires_grad_(), reference * mask, mask


def assert_same(ours: Tensor, theirs: Tensor, *by: Tensor) -> None:
    """Equal to 1e-6 in value, and in the gradient by what the policy says."""
    torch.testing.assert_close(ours, theirs, rtol=1e-6, atol=1e-6)
    for tensor in by:
        gradients = [torch.autograd.grad(loss, tensor, retain_graph=True)[0] for loss in (ours, theirs)]
        torch.testing.assert_close(*gradients, rtol=1e-6, atol=1e-6)


@same
@pytest.mark.parametrize("loss_type", ["sigmoid", "robust", "ipo"])
def test_direct_losses_of_pairs_are_those_of_trl(loss_type: str, seed: int) -> None:
    dpo = pytest.importorskip("trl.trainer.dpo_trainer")
    policy, reference, mask = some_log_probs(seed, 2 * PAIRS)
    model = Model(policy)
    inputs = {
        "input_ids": torch.zeros(2 * PAIRS, TIME + 1, dtype=torch.long),
        "attention_mask": torch.ones(2 * PAIRS, TIME + 1),
        "completion_mask": torch.cat([torch.zeros(2 * PAIRS, 1), mask], 1),
        "ref_chosen_logps": reference.sum(1)[:PAIRS],
        "ref_rejected_logps": reference.sum(1)[PAIRS:],
    }
    settings = {"loss_types": [loss_type], "loss_weights": [1.0], "label_smoothing": 0.2, "ld_alpha": None}
    stand_in = trainer(model, precompute_ref_logps=True, f_divergence_type="reverse_kl", **settings)
    theirs = dpo.DPOTrainer._compute_loss(stand_in, model, inputs, False)

    ratios = (policy - reference).sum(1).view(2, PAIRS).T
    ones = torch.ones(PAIRS)
    losses: dict[str, Callable[[], Tensor]] = {
        "sigmoid": lambda: dpo_loss(ratios, ones, beta=BETA),
        "robust": lambda: dpo_loss(ratios, ones, beta=BETA, label_smoothing=0.2, smoothing="robust"),
        "ipo": lambda: ipo_loss(ratios, ones, beta=BETA, lengths=mask.sum(1).view(2, PAIRS).T),
    }
    assert_same(losses[loss_type]().mean(), theirs, policy)


@same
def test_kto_is_that_of_trl(seed: int) -> None:
    kto = pytest.importorskip("trl.trainer.kto_trainer")
    policy, reference, mask = some_log_probs(seed, PAIRS)
    mismatched, mismatched_reference, mismatched_mask = some_log_probs(seed + 100, PAIRS)
    labels = torch.tensor([True, False, True, True, False, False])
    model = Model(mismatched, policy)
    ids = torch.zeros(PAIRS, TIME + 1, dtype=torch.long)
    column = torch.zeros(PAIRS, 1)
    inputs = {
        "input_ids": ids,
        "attention_mask": torch.ones_like(ids),
        "completion_mask": torch.cat([column, mask], 1),
        "KL_input_ids": ids,
        "KL_attention_mask": torch.ones_like(ids),
        "KL_completion_mask": torch.cat([column, mismatched_mask], 1),
        "label": labels,
        "ref_logps": reference.sum(1),
        "ref_KL_logps": mismatched_reference.sum(1),
    }
    stand_in = trainer(
        model,
        calculate_KL=True,
        precompute_ref_logps=True,
        loss_type="kto",
        desirable_weight=1.3,
        undesirable_weight=0.7,
    )
    stand_in._compute_kl_logps = lambda m, batch: kto.KTOTrainer._compute_kl_logps(stand_in, m, batch)
    theirs = kto.KTOTrainer._compute_loss(stand_in, model, inputs, False)

    point = kto_reference_point((mismatched - mismatched_reference).sum(1))
    ours = kto_loss(
        (policy - reference).sum(1), labels, point, beta=BETA, desirable_weight=1.3, undesirable_weight=0.7
    )
    assert_same(ours.mean(), theirs, policy)


@same
@pytest.mark.parametrize("centring", [None, 0.01])
@pytest.mark.parametrize("with_margin", [False, True])
def test_the_reward_models_loss_is_that_of_trl(with_margin: bool, centring: float | None, seed: int) -> None:
    reward = pytest.importorskip("trl.trainer.reward_trainer")
    generator = torch.Generator().manual_seed(seed)
    scores = torch.randn(2 * PAIRS, 1, generator=generator, dtype=torch.float64).requires_grad_()
    margin = torch.rand(PAIRS, generator=generator, dtype=torch.float64)
    inputs = {"attention_mask": torch.ones(2 * PAIRS, 3)} | ({"margin": margin} if with_margin else {})
    stand_in = trainer(Model(), args=SimpleNamespace(center_rewards_coefficient=centring))
    theirs = reward.RewardTrainer.compute_loss(stand_in, lambda **_: SimpleNamespace(logits=scores), inputs)

    returns = scores.view(2, PAIRS).T
    ours = pair_log_likelihood_loss(
        returns, torch.ones(PAIRS), error_rate=0.0, margin=margin if with_margin else None
    ).mean()
    if centring is not None:
        ours = ours + centring * centring_penalty(returns).mean()
    assert_same(ours, theirs, scores)


@same
@pytest.mark.parametrize("beta", [0.0, 0.04])
@pytest.mark.parametrize(
    ("loss_type", "reduction"),
    [
        ("grpo", "sequence_mean_of_means"),
        ("bnpo", "mean"),
        ("dapo", "mean"),
        ("dr_grpo", "sum_over_constant"),
        ("luspo", "sequence_mean_of_sums"),
    ],
)
def test_the_group_relative_loss_is_that_of_trl(
    loss_type: str, reduction: Reduction, beta: float, seed: int
) -> None:
    grpo = pytest.importorskip("trl.trainer.grpo_trainer")
    policy, reference, mask = some_log_probs(seed, 8)
    old = policy.detach() + 0.3 * torch.randn(8, TIME, generator=torch.Generator().manual_seed(seed)).double()
    rewards = torch.randn(8, generator=torch.Generator().manual_seed(seed + 1), dtype=torch.float64)
    advantages = grpo_advantages(rewards, torch.arange(8) // 4).advantages
    model = Model()
    stand_in = trainer(
        model,
        loss_type=loss_type,
        importance_sampling_level="token",
        epsilon_low=0.2,
        epsilon_high=0.28,
        top_entropy_quantile=1.0,
        off_policy_mask_threshold=None,
        use_vllm=False,
        current_gradient_accumulation_steps=1,
        max_completion_length=TIME,
        num_generations=4,
        _entropy_bonus_enabled=False,
        args=SimpleNamespace(delta=None, use_bias_correction_kl=False, steps_per_generation=1),
        _get_per_token_logps_and_entropies=lambda *_a, **_k: (policy, torch.zeros_like(policy), None),
    )
    stand_in.beta = beta
    inputs = {
        "prompt_ids": torch.zeros(8, 2, dtype=torch.long),
        "prompt_mask": torch.ones(8, 2),
        "completion_ids": torch.zeros(8, TIME, dtype=torch.long),
        "completion_mask": mask,
        "advantages": advantages,
        "old_per_token_logps": old,
        "ref_per_token_logps": reference,
        "num_items_in_batch": mask.sum(),
    }
    theirs = grpo.GRPOTrainer._compute_loss(stand_in, model, inputs)

    losses = clipped_surrogate_loss(policy, old, advantages.unsqueeze(1), clip=0.2, clip_high=0.28)
    losses = losses + beta * kl_loss(policy, reference, "k3")
    assert_same(reduce_loss(losses, mask, reduction, constant_length=TIME), theirs, policy)


@same
def test_group_advantages_are_those_of_trl(seed: int) -> None:
    # Its trainer computes them in the midst of generation; these are its lines, with its own deviation.
    grpo = pytest.importorskip("trl.trainer.grpo_trainer")
    rewards = torch.randn(12, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    rows = rewards.view(-1, 4)
    theirs = (rows - rows.nanmean(1, keepdim=True)) / (grpo.nanstd(rows, dim=1).unsqueeze(1) + 1e-4)
    torch.testing.assert_close(grpo_advantages(rewards, torch.arange(12) // 4).advantages, theirs.flatten())
    batch = (rows - rows.nanmean(1, keepdim=True)) / (grpo.nanstd(rewards) + 1e-4)
    ours = grpo_advantages(rewards, torch.arange(12) // 4, deviation="batch").advantages
    torch.testing.assert_close(ours, batch.flatten())
