"""What scripted teachers say where they rank, like and rate: their faults one by one, deterministically."""

from __future__ import annotations

import itertools
import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from prefrl.errors import UsageError
from prefrl.feedback import Kind, Value
from prefrl.teacher_answers import teacher_values
from prefrl.teachers import TEACHER_NAMES, HumanTeacher, ScriptedTeacher, TeacherConfig, make_teacher

DRAWS = 20_000
KINDS = {Kind.PAIR: 2, Kind.RANKING: 4, Kind.LIKE: 1, Kind.RATING: 1}
seeds = st.integers(0, 2**16)


def scripted(seed: int = 0, **settings: float) -> ScriptedTeacher:
    return ScriptedTeacher(TeacherConfig(**settings), np.random.default_rng(seed))


def segments(*returns: float, steps: int = 4) -> np.ndarray:
    """Segments of constant reward, ``[n, steps]``."""
    return np.repeat(np.array(returns)[:, None] / steps, steps, axis=1)


def said(teacher: ScriptedTeacher, kind: Kind, rewards: np.ndarray, **given: np.ndarray) -> list[Value]:
    size = KINDS[kind]
    return teacher_values(teacher, kind, rewards.reshape(-1, size, rewards.shape[-1]), **given)


HUNDRED = segments(*range(100))
"""Candidates whose returns are 0 to 99: the median is 49.5, the deciles 9.9, 19.8, ... 89.1."""


# Rankings.


def test_the_oracle_ranks_by_return() -> None:
    rewards = np.random.default_rng(0).normal(size=(50, 4, 3))
    orders = np.array(scripted().rank(rewards))
    np.testing.assert_array_equal(orders, np.argsort(-rewards.sum(-1), axis=1))


def test_equal_returns_are_ranked_by_a_coin() -> None:
    orders = scripted().rank(np.zeros((DRAWS, 3, 2))).tolist()
    for order in itertools.permutations(range(3)):
        assert orders.count(list(order)) / DRAWS == pytest.approx(1 / 6, abs=0.012)


def test_rational_noise_ranks_by_the_plackett_luce_model() -> None:
    returns = np.array([2.0, 1.0, 0.0])
    orders = scripted(1, rationality=1.5).rank(
        np.broadcast_to(segments(*returns), (DRAWS, 3, 4)), candidate_std=2.0
    )
    worth = np.exp(1.5 * returns / 2.0)
    for order in itertools.permutations(range(3)):
        left, chance = worth.sum(), 1.0
        for item in order:
            chance *= worth[item] / left
            left -= worth[item]
        assert (orders == order).all(1).mean() == pytest.approx(chance, abs=0.012)


def test_a_ranking_of_two_is_answered_as_the_pair_would_be() -> None:
    rewards = np.random.default_rng(3).normal(size=(DRAWS, 2, 3))
    left = scripted(4, rationality=1.0).answer(rewards[:, 0], rewards[:, 1])
    ranked = scripted(5, rationality=1.0).rank(rewards)[:, 0] == 0
    assert ranked.mean() == pytest.approx(left.mean(), abs=0.012)


def test_a_mistake_turns_a_ranking_round() -> None:
    rewards = np.broadcast_to(segments(3.0, 1.0, 2.0), (DRAWS, 3, 4))
    orders = scripted(2, error_rate=0.1).rank(rewards)
    right, wrong = ((orders == order).all(1).mean() for order in ([0, 2, 1], [1, 2, 0]))
    assert right + wrong == 1.0
    assert wrong == pytest.approx(0.1, abs=0.008)


def test_a_ranking_is_skipped_where_even_the_best_segment_is_poor() -> None:
    teacher = scripted(skip_threshold=0.1)
    teacher.set_episode_statistics(1000.0, 100)  # an average segment of 4 steps returns 40
    assert said(teacher, Kind.RANKING, segments(3.9, 1.0, 2.0, 0.0, 0.0, 5.0, 1.0, 2.0)) == [
        None,
        (1, 3, 2, 0),
    ]


def test_neighbours_that_are_too_close_come_in_either_order() -> None:
    teacher = scripted(equal_threshold=0.1)
    teacher.set_episode_statistics(1000.0, 100)
    orders = teacher.rank(np.broadcast_to(segments(50.0, 47.0, 10.0), (DRAWS, 3, 4))).tolist()
    assert orders.count([0, 1, 2]) / DRAWS == pytest.approx(0.5, abs=0.015)
    assert orders.count([0, 1, 2]) + orders.count([1, 0, 2]) == DRAWS


def test_a_myopic_teacher_ranks_by_the_last_steps() -> None:
    rewards = np.array([[[10.0, 0.0], [0.0, 8.0], [1.0, 1.0]]])
    assert scripted(myopia=0.5).rank(rewards).tolist() == [[1, 0, 2]]


# Likes and ratings.


def test_the_oracle_likes_what_is_better_than_half_of_the_candidates() -> None:
    values = said(scripted(), Kind.LIKE, segments(49.0, 50.0, 0.0, 99.0), candidates=HUNDRED)
    assert values == [False, True, False, True]


def test_the_oracle_rates_by_the_deciles_of_the_candidates() -> None:
    values = said(scripted(), Kind.RATING, segments(-5.0, 9.0, 10.0, 45.0, 89.0, 90.0), candidates=HUNDRED)
    assert values == [1, 1, 2, 5, 9, 10]
    ratings = said(scripted(), Kind.RATING, HUNDRED, candidates=HUNDRED)
    assert [ratings.count(rating) for rating in range(1, 11)] == [10] * 10


def test_the_standard_is_that_of_all_candidates_so_far() -> None:
    teacher = scripted()
    assert said(teacher, Kind.LIKE, segments(60.0), candidates=HUNDRED) == [True]
    assert said(teacher, Kind.LIKE, segments(60.0), candidates=HUNDRED + 50.0) == [False]  # 99.5 by now
    assert said(teacher, Kind.LIKE, segments(160.0)) == [True]
    assert said(teacher, Kind.LIKE, segments(98.0)) == [False]


def test_without_candidates_the_segments_themselves_set_the_standard() -> None:
    assert said(scripted(), Kind.LIKE, segments(1.0, 2.0, 3.0, 4.0)) == [False, False, True, True]


def test_rational_noise_rates_by_the_cumulative_model() -> None:
    std = HUNDRED.sum(1).std()
    rewards = np.broadcast_to(segments(30.0), (DRAWS, 4))
    grades = scripted(6, rationality=2.0).grade(rewards, grades=10, candidates=HUNDRED)
    below = 1 / (1 + np.exp(-2.0 * (np.arange(1, 10) * 9.9 - 30.0) / std))
    found = [(grades <= k).mean() for k in range(9)]
    np.testing.assert_allclose(found, below, atol=0.012)


def test_a_mistake_gives_the_opposite_grade() -> None:
    teacher = scripted(7, error_rate=0.25)
    ratings = said(teacher, Kind.RATING, np.repeat(segments(15.0), DRAWS, axis=0), candidates=HUNDRED)
    assert set(ratings) == {2, 9}
    assert ratings.count(9) / DRAWS == pytest.approx(0.25, abs=0.012)
    likes = said(scripted(8, error_rate=1.0), Kind.LIKE, segments(15.0, 80.0), candidates=HUNDRED)
    assert likes == [True, False]


def test_a_single_segment_is_skipped_where_it_is_poor() -> None:
    teacher = scripted(skip_threshold=0.1)
    teacher.set_episode_statistics(1000.0, 100)
    assert said(teacher, Kind.RATING, segments(3.9, 4.1), candidates=HUNDRED) == [None, 1]


def test_what_is_close_to_a_threshold_falls_on_either_side() -> None:
    teacher = scripted(equal_threshold=0.1)
    teacher.set_episode_statistics(1000.0, 100)  # closer than 4
    near, far = np.repeat(segments(51.0), DRAWS, axis=0), segments(54.0, 45.0)
    likes = said(teacher, Kind.LIKE, near, candidates=HUNDRED)
    assert likes.count(True) / DRAWS == pytest.approx(0.5, abs=0.015)
    assert said(teacher, Kind.LIKE, far, candidates=HUNDRED) == [True, False]


def test_a_myopic_teacher_rates_by_the_last_steps_of_both_segment_and_candidates() -> None:
    late, early = np.array([[0.0, 1.0]]), np.array([[1.0, 0.0]])
    candidates = np.concatenate([late, early])  # worth 1 and 1/2 to it
    teacher = scripted(myopia=0.5)
    assert said(teacher, Kind.LIKE, late, candidates=candidates) == [True]
    assert said(teacher, Kind.LIKE, early, candidates=candidates) == [False]


# All kinds.


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", sorted({*TEACHER_NAMES} - {"human"}))
def test_every_teacher_answers_every_kind_the_same_again_by_its_seed(name: str, kind: Kind) -> None:
    rng = np.random.default_rng(9)
    candidates = rng.normal(1.0, 1.0, size=(60, 5))
    rewards = candidates[: 10 * KINDS[kind]].reshape(10, KINDS[kind], 5)
    first, again = (make_teacher(name, np.random.default_rng(3)) for _ in range(2))
    values = teacher_values(first, kind, rewards, candidates)
    assert values == teacher_values(again, kind, rewards, candidates)
    assert len(values) == 10
    resumed = make_teacher(name, np.random.default_rng(4))
    resumed.load_state_dict(json.loads(json.dumps(first.state_dict())))
    assert teacher_values(first, kind, rewards) == teacher_values(resumed, kind, rewards)


@given(seed=seeds)
def test_answers_do_not_depend_on_how_queries_are_batched(seed: int) -> None:
    rewards = np.random.default_rng(seed).normal(size=(6, 3, 4))
    whole, parts = (scripted(seed, rationality=1.0, error_rate=0.2) for _ in range(2))
    expected = whole.rank(rewards, candidate_std=1.0)
    found = [parts.rank(part, candidate_std=1.0) for part in np.split(rewards, 3)]
    np.testing.assert_array_equal(np.concatenate(found), expected)
    whole, parts = (scripted(seed, rationality=1.0, error_rate=0.2) for _ in range(2))
    expected = whole.grade(rewards[:, 0], grades=10, candidates=HUNDRED)
    found = [parts.grade(part[:, 0], grades=10, candidates=HUNDRED) for part in np.split(rewards, 3)]
    np.testing.assert_array_equal(np.concatenate(found), expected)


@pytest.mark.parametrize("per_call", [1, 500])
def test_shuffled_answers_of_every_kind_say_nothing_about_what_they_are_about(per_call: int) -> None:
    rewards = np.random.default_rng(10).normal(size=(2000, 3, 4))
    returns, parts = rewards.sum(-1), range(0, 2000, per_call)
    teacher = make_teacher("shuffled", np.random.default_rng(11))
    orders = np.concatenate([teacher.rank(rewards[i : i + per_call]) for i in parts])
    best = np.take_along_axis(returns, orders[:, :1], 1) - np.take_along_axis(returns, orders[:, 2:], 1)
    assert abs(best.mean()) < 4 * best.std() / math.sqrt(2000)
    assert sorted(set(map(tuple, orders.tolist()))) == sorted(itertools.permutations(range(3)))
    for grades in (2, 10):
        teacher.grade(rewards[:1, 0], grades=grades, candidates=rewards[:, 0])
        found = [teacher.grade(rewards[i : i + per_call, 0], grades=grades) for i in parts]
        correlation = np.corrcoef(np.concatenate(found), returns[:, 0])[0, 1]
        assert abs(correlation) < 4 / math.sqrt(2000)


def test_shuffled_answers_keep_their_skips() -> None:
    teacher = make_teacher("shuffled", np.random.default_rng(0))
    teacher._teacher = scripted(skip_threshold=0.1)  # type: ignore[attr-defined]
    teacher.set_episode_statistics(1000.0, 100)
    poor, good = np.repeat(segments(1.0), 30, axis=0), np.repeat(segments(90.0), 70, axis=0)
    alone = np.concatenate([poor, good])
    assert teacher_values(teacher, Kind.RATING, alone[:, None], HUNDRED).count(None) == 30
    assert teacher_values(teacher, Kind.RANKING, alone.reshape(50, 2, 4)).count(None) == 15


def test_a_person_is_not_asked_to_rank_or_rate_at_once() -> None:
    for ask in (lambda: HumanTeacher().rank([[[1.0]]]), lambda: HumanTeacher().grade([[1.0]], grades=2)):
        with pytest.raises(RuntimeError, match="through the store"):
            ask()


def test_no_teacher_marks_steps() -> None:
    with pytest.raises(UsageError, match="no scripted teacher answers queries of kind marks"):
        teacher_values(scripted(), Kind.MARKS, np.zeros((1, 1, 3)))


@pytest.mark.parametrize("rewards", [np.zeros((2, 3)), np.full((1, 3, 2), math.nan)])
def test_rewards_that_do_not_fit_are_refused(rewards: np.ndarray) -> None:
    with pytest.raises(ValueError, match="true reward"):
        scripted().rank(rewards)
