"""Rewards over responses are checked in one place; batches for the update hold what the equations say."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from prefrl.errors import UsageError
from prefrl.language.advantages import group_batch, value_batch
from prefrl.language.best_of_stage import best_of
from prefrl.language.responses import Responses, encode_responses
from prefrl.language.rewards import (
    check_rewards,
    combined_reward,
    penalise_missing_end,
    random_reward,
    spread_rewards,
    verifiable_reward,
)
from prefrl.language.tasks.task import make_task
from prefrl.language.tokenizers import SymbolTokenizer

TOKENIZER = SymbolTokenizer("abcd")


def some(finished: tuple[bool, ...] = (True, False, True)) -> Responses:
    """Completions of 3, 2 and 1 tokens where all have ended."""
    prompts, texts = ["a", "b", "a"], ["cd", "dd", ""]
    responses = encode_responses(prompts, texts, TOKENIZER, context=12, finished=list(finished))
    log_prob = torch.tensor([[-1.0, -2.0, -3.0], [-0.5, -0.5, 0.0], [-1.0, 0.0, 0.0]])
    return Responses(
        **{**vars(responses), "log_prob": log_prob[:, : responses.mask.shape[1]] * responses.mask}
    )


def test_the_verifiable_reward_is_the_tasks_score() -> None:
    task = make_task("addition")
    tokenizer = SymbolTokenizer(task.symbols)
    responses = encode_responses(["347+285="] * 2, ["21,31,60=236", "21,31,60=237"], tokenizer, context=32)
    assert verifiable_reward(task)(responses).tolist() == [1.0, 0.0]


def test_the_random_reward_depends_on_its_generator_alone() -> None:
    draws = [random_reward(torch.Generator().manual_seed(1))(some()) for _ in range(2)]
    assert torch.equal(*draws)
    assert ((draws[0] >= 0) & (draws[0] < 1)).all()


def test_a_reward_of_a_wrong_shape_is_refused_and_both_right_shapes_are_named() -> None:
    with pytest.raises(UsageError, match=r"has the shape \(2,\): give one number per response \(3,\)"):
        check_rewards(torch.zeros(2), some())
    with pytest.raises(UsageError, match=r"or one per token \(3, 3\)"):
        check_rewards(torch.zeros(3, 1), some())


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_a_reward_that_is_not_finite_is_refused_with_the_response(bad: float) -> None:
    with pytest.raises(UsageError, match="the reward of 'dd' to 'b' is not finite"):
        check_rewards(torch.tensor([0.0, bad, 1.0]), some())


def test_rewards_per_response_go_to_the_last_token() -> None:
    spread = spread_rewards(torch.tensor([1.0, 2.0, 3.0]), some())
    assert spread.tolist() == [[0, 0, 1], [0, 2, 0], [3, 0, 0]]


def test_combined_rewards_add_up_whether_per_token_or_not() -> None:
    def whole(_: Responses) -> Tensor:
        return torch.tensor([1.0, 2.0, 3.0])

    def steps(responses: Responses) -> Tensor:
        return responses.mask.clone()

    assert combined_reward([(2.0, whole), (1.0, whole)])(some()).tolist() == [3, 6, 9]
    found = combined_reward([(2.0, whole), (0.5, steps)])(some())
    assert found.tolist() == [[0.5, 0.5, 2.5], [0.5, 4.5, 0], [6.5, 0, 0]]
    with pytest.raises(UsageError, match="at least one part"):
        combined_reward([])


def test_a_missing_end_costs_the_response_that_was_cut_off_and_no_other() -> None:
    assert penalise_missing_end(torch.ones(3), some(), 0.5).tolist() == [1, 0.5, 1]
    per_token = penalise_missing_end(torch.zeros(3, 3), some(), 0.5)
    assert per_token.tolist() == [[0, 0, 0], [0, -0.5, 0], [0, 0, 0]]


def test_the_best_of_each_group_is_taken_and_the_first_of_equals() -> None:
    prompts = ["a", "a", "b", "b"]
    responses = encode_responses(prompts, ["c", "d", "c", "d"], TOKENIZER, context=12)
    chosen = best_of(responses, torch.tensor([0.0, 1.0, 2.0, 2.0]), 2)
    assert (chosen.prompts, chosen.completions) == (("a", "b"), ("d", "c"))


def test_advantages_with_values_equal_the_recursion_computed_by_hand() -> None:
    responses = some()
    values = torch.tensor([[0.1, 0.2, 0.3], [0.4, 0.5, 9.0], [0.6, 9.0, 9.0]]) * responses.mask
    reference = torch.tensor([[-1.5, -2.0, -2.0], [-0.5, -1.0, 0.0], [-2.0, 0.0, 0.0]])
    rewards = torch.tensor([1.0, 0.0, -1.0])
    batch, _ = value_batch(
        responses,
        rewards,
        values,
        reference,
        kl_coefficient=0.1,
        discount=1.0,
        gae_lambda=0.5,
        whiten=False,
    )
    for row, length in enumerate((3, 2, 1)):
        carried = 0.0
        assert responses.log_prob is not None
        for t in reversed(range(length)):
            reward = -0.1 * float(responses.log_prob[row, t] - reference[row, t])
            reward += float(rewards[row]) * (t == length - 1)
            following = float(values[row, t + 1]) if t + 1 < length else 0.0
            carried = reward + following - float(values[row, t]) + 0.5 * carried
            assert float(batch.advantage[row, t]) == pytest.approx(carried, abs=1e-6)
            assert float(batch.return_[row, t]) == pytest.approx(carried + float(values[row, t]), abs=1e-6)
    assert (batch.advantage[responses.mask == 0] == 0).all()


def test_columns_of_padding_change_no_advantage() -> None:
    responses, rewards = some(), torch.tensor([1.0, 0.0, -1.0])
    wider = Responses(
        **{
            **vars(responses),
            "tokens": torch.nn.functional.pad(responses.tokens, (0, 2)),
            "mask": torch.nn.functional.pad(responses.mask, (0, 2)),
            "log_prob": torch.nn.functional.pad(responses.log_prob, (0, 2)),  # type: ignore[arg-type]
        }
    )
    found = []
    for one in (responses, wider):
        values = torch.arange(one.mask.numel()).view(one.mask.shape) * 0.0 + 0.5 * one.mask
        options = {"kl_coefficient": 0.0, "discount": 1.0, "gae_lambda": 0.95, "whiten": True}
        found.append(value_batch(one, rewards, values, None, **options)[0].advantage)  # type: ignore[arg-type]
    torch.testing.assert_close(found[1][:, :3], found[0])


def grouped(
    rewards: list[float], *, drop_dead: bool, deviation: str | None = "none"
) -> tuple[Tensor, dict[str, float]]:
    prompts = ["a", "a", "b", "b"]
    responses = encode_responses(prompts, ["c", "cc", "ccc", "d"], TOKENIZER, context=12)
    responses = Responses(**{**vars(responses), "log_prob": -responses.mask})
    groups = torch.tensor([0, 0, 1, 1])
    batch, metrics = group_batch(
        responses,
        torch.tensor(rewards),
        groups,
        None,
        kl_coefficient=0.0,
        deviation=deviation,  # type: ignore[arg-type]
        drop_dead=drop_dead,
    )
    return batch.advantage, metrics


def test_every_token_has_the_advantage_of_its_response() -> None:
    advantage, metrics = grouped([1.0, 0.0, 0.0, 4.0], drop_dead=False)
    assert advantage[:, 0].tolist() == [0.5, -0.5, -2.0, 2.0]
    assert advantage[1].tolist() == [-0.5, -0.5, -0.5, 0.0]
    assert metrics == {"groups": 2.0, "dead_groups": 0.0}


def test_the_leave_one_out_baseline_is_that_of_the_others() -> None:
    advantage, _ = grouped([1.0, 0.0, 0.0, 4.0], drop_dead=False, deviation=None)
    assert advantage[:, 0].tolist() == [1.0, -1.0, -4.0, 4.0]


def test_dead_groups_are_counted_and_left_out_if_wanted() -> None:
    kept, metrics = grouped([1.0, 1.0, 0.0, 4.0], drop_dead=True)
    assert metrics["dead_groups"] == 1.0
    assert kept[:, 0].tolist() == [-2.0, 2.0]
    all_of_them, _ = grouped([1.0, 1.0, 0.0, 4.0], drop_dead=False)
    assert all_of_them[:, 0].tolist() == [0.0, 0.0, -2.0, 2.0]


def test_groups_that_are_all_dead_move_nothing() -> None:
    advantage, metrics = grouped([1.0, 1.0, 0.0, 0.0], drop_dead=True)
    assert metrics["dead_groups"] == 2.0
    assert len(advantage) == 4
    assert (advantage == 0).all()


def test_a_kl_penalty_in_the_reward_is_taken_off_the_whole_response() -> None:
    responses = some()
    reference = torch.zeros_like(responses.mask) - 2.0 * responses.mask
    assert responses.log_prob is not None
    gone = ((responses.log_prob - reference) * responses.mask).sum(1)
    batch, _ = group_batch(
        responses,
        torch.zeros(3),
        torch.zeros(3, dtype=torch.long),
        reference,
        kl_coefficient=0.5,
        deviation="none",
        drop_dead=False,
    )
    np.testing.assert_allclose(batch.advantage[:, 0], -0.5 * (gone - gone.mean()), rtol=1e-6)
