"""Label schedules, learning rates and periods."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prefrl.schedules import (
    ATARI_HALF_LIFE,
    MUJOCO_HALF_LIFE,
    adapt_learning_rate,
    constant,
    labels_due,
    linear,
    passes_multiple,
    uniform_labels_due,
)

progresses = st.floats(0, 1.5)
budgets = st.integers(0, 10_000)
fractions = st.floats(0, 1)
half_lives = st.one_of(st.floats(1e-3, 1e3), st.just(math.inf))


def test_a_quarter_is_due_before_training_and_everything_at_the_end() -> None:
    assert labels_due(0.0, 700) == 175
    assert labels_due(1.0, 700) == 700


def test_half_a_run_is_due_most_labels() -> None:
    # 175 + 525 · log(1 + 0.5) / log(2) = 175 + 525 · 0.58496; with 5e6/50e6 for Atari
    # 175 + 525 · log(1 + 0.5/0.1) / log(1 + 1/0.1) = 175 + 525 · 0.74722.
    assert labels_due(0.5, 700) == 482
    assert labels_due(0.5, 700, half_life=ATARI_HALF_LIFE) == 567
    assert pytest.approx(5e6 / 50e6) == ATARI_HALF_LIFE


@given(budget=budgets, fraction=fractions, half_life=half_lives, one=progresses, other=progresses)
def test_labels_due_never_fall_and_stay_within_the_budget(
    budget: int, fraction: float, half_life: float, one: float, other: float
) -> None:
    def due(progress: float) -> int:
        return labels_due(progress, budget, initial_fraction=fraction, half_life=half_life)

    early, late = sorted([one, other])
    assert 0 <= due(0.0) <= due(early) <= due(late) <= budget == due(1.0) == due(1.5)


@pytest.mark.parametrize("half_life", [MUJOCO_HALF_LIFE, ATARI_HALF_LIFE, 3.0])
def test_labels_due_are_the_integral_of_the_papers_rate(half_life: float) -> None:
    cells = 20_000
    rates = [half_life / ((cell + 0.5) / cells + half_life) for cell in range(cells)]
    for quarter in (1, 2, 3):
        share = sum(rates[: quarter * cells // 4]) / sum(rates)
        due = labels_due(quarter / 4, 10**6, initial_fraction=0.0, half_life=half_life)
        assert due == pytest.approx(10**6 * share, abs=2)


def test_the_rate_has_fallen_to_half_at_the_half_life() -> None:
    def rate(progress: float) -> int:
        return labels_due(progress + 1e-3, 10**9, half_life=0.1) - labels_due(progress, 10**9, half_life=0.1)

    assert rate(0.1) / rate(0.0) == pytest.approx(0.5, abs=0.01)


@given(budget=budgets, progress=progresses)
def test_the_uniform_schedule_is_a_straight_line(budget: int, progress: float) -> None:
    line = budget * min(progress, 1.0)
    assert uniform_labels_due(progress, budget, initial_fraction=0.0) == pytest.approx(line, abs=1)
    assert uniform_labels_due(0.0, budget, initial_fraction=0.5) == round(budget / 2)


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ({"progress": -0.1, "budget": 1}, "progress"),
        ({"progress": math.nan, "budget": 1}, "progress"),
        ({"progress": 0.5, "budget": -1}, "budget"),
        ({"progress": 0.5, "budget": 1, "initial_fraction": 1.1}, "initial_fraction"),
        ({"progress": 0.5, "budget": 1, "half_life": 0.0}, "half_life"),
        ({"progress": 0.5, "budget": 1, "half_life": math.nan}, "half_life"),
    ],
)
def test_impossible_label_schedules_are_refused(arguments: dict[str, float], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        labels_due(**arguments)  # type: ignore[arg-type]


def test_linear_goes_straight_from_start_to_end_and_stays_there() -> None:
    schedule = linear(3e-4, 0.0)
    assert [schedule(p) for p in (0.0, 0.5, 1.0, 1.2)] == pytest.approx([3e-4, 1.5e-4, 0.0, 0.0])


def test_constant_stays() -> None:
    assert [constant(0.2)(p) for p in (0.0, 0.7, 2.0)] == [0.2, 0.2, 0.2]


@pytest.mark.parametrize("schedule", [linear(1.0, 0.0), constant(1.0)])
def test_schedules_refuse_negative_progress(schedule: object) -> None:
    with pytest.raises(ValueError, match="progress"):
        schedule(-1e-9)  # type: ignore[operator]


@given(jumps=st.lists(st.integers(0, 30), min_size=1, max_size=50), every=st.integers(1, 40))
def test_a_period_comes_due_in_exactly_those_jumps_that_pass_a_multiple(jumps: list[int], every: int) -> None:
    now = 0
    for jump in jumps:
        expected = any(step % every == 0 for step in range(now + 1, now + jump + 1))
        assert passes_multiple(now, now + jump, every) is expected
        now += jump


def test_a_period_of_zero_never_comes_due() -> None:
    assert not passes_multiple(0, 100, 0)


@pytest.mark.parametrize("times", [(0, 5, -1), (5, 4, 1)])
def test_impossible_periods_are_refused(times: tuple[int, int, int]) -> None:
    with pytest.raises(ValueError, match="cannot act every"):
        passes_multiple(*times)


@pytest.mark.parametrize(
    ("kl", "expected"),
    [(0.021, 3e-4 / 1.5), (0.02, 3e-4), (0.01, 3e-4), (0.005, 3e-4), (0.0049, 4.5e-4), (-0.1, 4.5e-4)],
)
def test_the_learning_rate_moves_against_the_divergence(kl: float, expected: float) -> None:
    assert adapt_learning_rate(3e-4, kl, 0.01) == pytest.approx(expected)


def test_the_learning_rate_stays_within_its_bounds() -> None:
    assert adapt_learning_rate(1.2e-6, 1.0, 0.01) == 1e-6
    assert adapt_learning_rate(9e-3, 0.0, 0.01) == 1e-2
    assert adapt_learning_rate(4e-3, 0.0, 0.01, factor=2.0, maximum=5e-3) == 5e-3


@pytest.mark.parametrize(("kl", "target"), [(math.nan, 0.01), (0.01, 0.0), (0.01, math.nan)])
def test_the_learning_rate_does_not_follow_nonsense(kl: float, target: float) -> None:
    with pytest.raises(ValueError, match="cannot adapt"):
        adapt_learning_rate(3e-4, kl, target)
