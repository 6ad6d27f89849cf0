"""Rewards over samples: checks, combinations, penalties, and what is not a reward."""

from __future__ import annotations

import math
from dataclasses import dataclass

import pytest
import torch
from torch import Tensor

from prefrl.errors import UsageError
from prefrl.language.rewards import Combined, OverlongPenalty, Reward, Verifiable, check_rewards


@dataclass(frozen=True)
class Sampled:
    prompts: tuple[str, ...]
    completions: tuple[str, ...]
    finished: Tensor


SAMPLES = Sampled(("1+1=", "2+2=", "3+3="), ("2", "5", "6"), torch.tensor([True, True, False]))


def right(prompt: str, completion: str) -> bool:
    first, second = prompt.rstrip("=").split("+")
    return int(completion) == int(first) + int(second)


def test_a_check_of_each_completion_is_a_reward() -> None:
    assert Verifiable(right)(SAMPLES).tolist() == [1.0, 0.0, 1.0]


def test_what_was_cut_off_may_be_left_unchecked() -> None:
    assert Verifiable(right, unfinished=-1.0)(SAMPLES).tolist() == [1.0, 0.0, -1.0]


def test_rewards_are_added_by_their_weights_and_told_apart() -> None:
    length: Reward = Verifiable(lambda _, completion: float(completion))
    combined = Combined({"right": (Verifiable(right), 10.0), "size": (length, -0.5)})
    assert combined(SAMPLES).tolist() == [9.0, -2.5, 7.0]
    assert combined.parts(SAMPLES)["size"].tolist() == [-1.0, -2.5, -3.0]


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_the_part_that_is_no_number_is_named_with_its_sample(bad: float) -> None:
    broken = Verifiable(lambda _, completion: bad if completion == "5" else 0.0)
    with pytest.raises(UsageError, match=rf"judge gave {bad} to sample 1 \(1 of 3 not finite\)"):
        Combined({"right": (Verifiable(right), 1.0), "judge": (broken, 1.0)})(SAMPLES)


@pytest.mark.parametrize("shape", [(3, 1), (2,), ()])
def test_a_reward_of_the_wrong_shape_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(UsageError, match=r"for 3 samples: give a tensor of shape \(3,\)"):
        check_rewards(torch.zeros(shape), 3)


def test_a_list_is_no_reward() -> None:
    with pytest.raises(UsageError, match="gave list for 3 samples"):
        check_rewards([0.0, 0.0, 0.0], 3)  # type: ignore[arg-type]


def test_overlong_completions_lose_in_proportion_and_at_most_one() -> None:
    texts = ("a" * 4, "a" * 6, "a" * 8, "a" * 10, "a" * 99)
    samples = Sampled(("",) * 5, texts, torch.ones(5, dtype=torch.bool))
    # Free up to 6, then down to -1 at 10.
    assert OverlongPenalty(len, longest=10, margin=4)(samples).tolist() == [0.0, 0.0, -0.5, -1.0, -1.0]


@pytest.mark.parametrize("margin", [0, 11])
def test_a_margin_beyond_the_completion_is_refused(margin: int) -> None:
    with pytest.raises(UsageError, match=r"1 \.\. 10"):
        OverlongPenalty(len, longest=10, margin=margin)


def test_no_part_is_no_reward() -> None:
    with pytest.raises(UsageError, match="at least one part"):
        Combined({})
