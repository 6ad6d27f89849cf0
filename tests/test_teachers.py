"""What each teacher answers, and the traps of the released benchmark."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from prefrl.errors import UsageError
from prefrl.teachers import (
    SCRIPTED_TEACHERS,
    TEACHER_NAMES,
    HumanTeacher,
    ScriptedTeacher,
    ShuffledTeacher,
    TeacherConfig,
    make_teacher,
)

DRAWS = 20_000
seeds = st.integers(0, 2**16)


def scripted(seed: int = 0, **settings: float) -> ScriptedTeacher:
    return ScriptedTeacher(TeacherConfig(**settings), np.random.default_rng(seed))


def constant_segments(*returns: float, steps: int = 4) -> np.ndarray:
    return np.repeat(np.array(returns)[:, None] / steps, steps, axis=1)


def random_segments(seed: int, pairs: int, steps: int = 5) -> tuple[np.ndarray, np.ndarray]:
    left, right = np.random.default_rng(seed).normal(size=(2, pairs, steps))
    return left, right


def test_the_six_teachers_are_those_of_the_benchmark() -> None:
    table = {
        name: (c.rationality, c.myopia, c.error_rate, c.skip_threshold, c.equal_threshold)
        for name, c in SCRIPTED_TEACHERS.items()
    }
    assert table == {
        "oracle": (math.inf, 1, 0, 0, 0),
        "mistake": (math.inf, 1, 0.1, 0, 0),
        "noisy": (1, 1, 0, 0, 0),
        "skip": (math.inf, 1, 0, 0.1, 0),
        "myopic": (math.inf, 0.9, 0, 0, 0),
        "equal": (math.inf, 1, 0, 0, 0.1),
    }


def test_the_oracle_prefers_the_larger_return() -> None:
    left, right = random_segments(0, 500)
    answers = scripted().answer(left, right)
    np.testing.assert_array_equal(answers, left.sum(1) > right.sum(1))


@pytest.mark.parametrize("name", ["oracle", "mistake", "myopic", "skip", "equal"])
def test_an_exact_tie_is_never_sent_to_one_side(name: str) -> None:
    same = constant_segments(*[1.0] * 50)
    answers = make_teacher(name, np.random.default_rng(0)).answer(same, same)
    np.testing.assert_array_equal(answers, np.full(50, 0.5))


def test_the_noisy_teacher_sends_ties_to_either_side_alike() -> None:
    same = constant_segments(*[1.0] * DRAWS)
    answers = scripted(rationality=1.0).answer(same, same)
    assert set(answers) == {0.0, 1.0}
    assert answers.mean() == pytest.approx(0.5, abs=0.02)


def test_mistakes_are_answers_flipped_at_the_error_rate() -> None:
    left, right = constant_segments(*[2.0] * DRAWS), constant_segments(*[1.0] * DRAWS)
    assert scripted(error_rate=0.1).answer(left, right).mean() == pytest.approx(0.9, abs=0.01)
    assert scripted(error_rate=0.1).answer(right, left).mean() == pytest.approx(0.1, abs=0.01)
    assert scripted(error_rate=1.0).answer(left, right).mean() == 0.0


def test_mistakes_come_independently_of_noise() -> None:
    left, right = constant_segments(*[2.0] * DRAWS), constant_segments(*[1.0] * DRAWS)
    answers = scripted(rationality=1.5, error_rate=0.5).answer(left, right, candidate_std=1.0)
    assert answers.mean() == pytest.approx(0.5, abs=0.02)


def test_rational_noise_follows_bradley_terry_in_deviations_of_the_return() -> None:
    left, right = constant_segments(*[7.0] * DRAWS), constant_segments(*[4.0] * DRAWS)
    answers = scripted(rationality=0.5).answer(left, right, candidate_std=1.5)
    assert answers.mean() == pytest.approx(1 / (1 + math.exp(-0.5 * 3.0 / 1.5)), abs=0.01)


@given(seed=seeds, factor=st.sampled_from([1e-3, 8.0, 1e4]))
def test_noise_does_not_depend_on_the_scale_of_the_reward(seed: int, factor: float) -> None:
    left, right = random_segments(seed, 200)
    plain = scripted(rationality=1.0).answer(left, right)
    np.testing.assert_array_equal(plain, scripted(rationality=1.0).answer(factor * left, factor * right))
    assert 0 < (plain != (left.sum(1) > right.sum(1))).sum() < 100


def test_without_any_spread_noise_is_a_coin_and_a_difference_decides() -> None:
    left, right = constant_segments(1e6, 1e6, 0.0), constant_segments(0.0, 0.0, 1e-9)
    answers = scripted(rationality=1.0).answer(left, right, candidate_std=0.0)
    np.testing.assert_array_equal(answers, [1.0, 1.0, 0.0])


def test_a_myopic_teacher_weighs_the_last_steps_most() -> None:
    # Weights 1/4, 1/2, 1: left 4 + 2 + 0 against 0 + 0 + 3 undiscounted, 1 + 1 against 3 myopically.
    left, right = [[4.0, 2.0, 0.0]], [[0.0, 0.0, 3.0]]
    assert scripted().answer(left, right) == [1.0]
    assert scripted(myopia=0.5).answer(left, right) == [0.0]
    assert scripted(myopia=0.5).answer([[4.0, 2.0, 1.0]], [[0.0, 0.0, 3.0]]) == [0.5]


def test_a_shorter_segment_is_myopic_from_its_own_end() -> None:
    # Weights 1/2, 1 on the left, 1/4, 1/2, 1 on the right: 2.5 against 2.
    left, right = [[1.0, 2.0, 99.0]], [[4.0, 2.0, 0.0]]
    assert scripted(myopia=0.5).answer(left, right, lengths=[[2, 3]]) == [1.0]


@pytest.mark.parametrize("name", SCRIPTED_TEACHERS)
@pytest.mark.parametrize("padding", [0.0, 1e6, math.nan])
def test_what_lies_beyond_a_segments_end_has_no_influence(name: str, padding: float) -> None:
    left, right = random_segments(1, 100)
    padded = [left.copy(), right.copy()]
    lengths = np.random.default_rng(2).integers(1, 6, size=(100, 2))
    for side, column in zip(padded, lengths.T, strict=True):
        side[np.arange(5) >= column[:, None]] = padding
    zeros = [
        np.where(np.arange(5) < c[:, None], s, 0.0) for s, c in zip((left, right), lengths.T, strict=True)
    ]
    expected = make_teacher(name, np.random.default_rng(0)).answer(*zeros, lengths=lengths)
    answers = make_teacher(name, np.random.default_rng(0)).answer(*padded, lengths=lengths)
    np.testing.assert_array_equal(answers, expected)


def test_a_pair_is_skipped_where_even_the_better_segment_is_poor() -> None:
    # Mean return 1000 over 100 steps: an average segment of 4 steps has 40, and a tenth of it is 4.
    teacher = scripted(skip_threshold=0.1)
    teacher.set_episode_statistics(1000.0, 100)
    answers = teacher.answer(constant_segments(3.9, 4.1, 3.0), constant_segments(1.0, 1.0, 90.0))
    np.testing.assert_array_equal(answers, [math.nan, 1.0, 0.0])


def test_a_pair_is_equal_where_the_returns_are_close() -> None:
    teacher = scripted(equal_threshold=0.1)
    teacher.set_episode_statistics(1000.0, 100)
    answers = teacher.answer(constant_segments(3.9, 4.1, 50.0), constant_segments(0.0, 0.0, 53.9))
    np.testing.assert_array_equal(answers, [0.5, 1.0, 0.5])


def test_equal_overrides_noise_and_mistakes_and_skip_overrides_equal() -> None:
    teacher = scripted(rationality=1.0, error_rate=1.0, skip_threshold=0.1, equal_threshold=0.1)
    teacher.set_episode_statistics(1000.0, 100)
    answers = teacher.answer(constant_segments(1.0, 50.0), constant_segments(1.5, 51.0))
    np.testing.assert_array_equal(answers, [math.nan, 0.5])


def test_equal_is_judged_on_undiscounted_returns_also_by_a_myopic_teacher() -> None:
    teacher = scripted(myopia=0.5, equal_threshold=0.1)
    teacher.set_episode_statistics(300.0, 100)
    answers = teacher.answer([[6.0, 0.0, 0.0]], [[0.0, 0.0, 5.5]])
    np.testing.assert_array_equal(answers, [0.5])


def test_thresholds_do_not_decay_from_session_to_session() -> None:
    teacher = scripted(equal_threshold=0.1)
    for _ in range(5):
        teacher.set_episode_statistics(1000.0, 100)
        answers = teacher.answer(constant_segments(3.9, 4.1), constant_segments(0.0, 0.0))
        np.testing.assert_array_equal(answers, [0.5, 1.0])


@pytest.mark.parametrize("mean_return", [-1000.0, 0.0])
def test_without_positive_returns_thresholds_follow_the_spread_and_still_fire(mean_return: float) -> None:
    average = mean_return / 100 * 4
    teacher = scripted(skip_threshold=0.1, equal_threshold=0.1)
    teacher.set_episode_statistics(mean_return, 100)
    # Deviation 10: skip below average − 10 + 1, equal within 1.
    left = average + np.array([-9.1, -8.9, 5.0, 5.0])
    right = average + np.array([-30.0, -30.0, 5.9, 6.1])
    answers = teacher.answer(constant_segments(*left), constant_segments(*right), candidate_std=10.0)
    np.testing.assert_array_equal(answers, [math.nan, 1.0, 0.5, 0.0])


@given(seed=seeds, shift=st.floats(-1e3, -30))
def test_below_zero_the_thresholds_do_not_depend_on_a_shift_of_the_reward(seed: int, shift: float) -> None:
    left, right = random_segments(seed, 300)
    answers = scripted(skip_threshold=0.3, equal_threshold=0.3).answer(left - 30, right - 30)
    shifted = scripted(skip_threshold=0.3, equal_threshold=0.3).answer(left + shift, right + shift)
    np.testing.assert_array_equal(answers, shifted)
    assert 0 < np.isnan(answers).sum() < 100
    assert 0 < (answers == 0.5).sum() < 150


def test_before_any_episode_has_ended_the_average_is_that_of_the_segments_asked_about() -> None:
    # The four returns average 10: skip below 1.
    answers = scripted(skip_threshold=0.1).answer(constant_segments(0.9, 1.1), constant_segments(0.0, 38.0))
    np.testing.assert_array_equal(answers, [math.nan, 0.0])


@pytest.mark.parametrize("name", SCRIPTED_TEACHERS)
def test_answers_do_not_depend_on_how_pairs_are_batched(name: str) -> None:
    left, right = random_segments(3, 60)
    together, apart = (make_teacher(name, np.random.default_rng(9)) for _ in range(2))
    for teacher in (together, apart):
        teacher.set_episode_statistics(100.0, 50)
    expected = together.answer(left, right, candidate_std=2.0)
    parts = [apart.answer(left[i : i + 7], right[i : i + 7], candidate_std=2.0) for i in range(0, 60, 7)]
    np.testing.assert_array_equal(np.concatenate(parts), expected)


@given(seed=seeds)
def test_swapping_sides_swaps_the_answer(seed: int) -> None:
    left, right = random_segments(seed, 50)
    teacher = scripted(myopia=0.9, skip_threshold=0.2, equal_threshold=0.2)
    np.testing.assert_array_equal(teacher.answer(left, right), 1 - teacher.answer(right, left))


def test_no_pairs_have_no_answers() -> None:
    assert scripted().answer(np.zeros((0, 4)), np.zeros((0, 4))).shape == (0,)


@pytest.mark.parametrize("name", [*SCRIPTED_TEACHERS, "shuffled"])
def test_a_teacher_that_was_saved_goes_on_with_the_same_answers(name: str) -> None:
    left, right = random_segments(4, 40)
    teacher, resumed = (
        make_teacher(name, np.random.default_rng(5)),
        make_teacher(name, np.random.default_rng(6)),
    )
    teacher.set_episode_statistics(100.0, 50)
    teacher.answer(left, right)
    resumed.load_state_dict(json.loads(json.dumps(teacher.state_dict())))
    np.testing.assert_array_equal(teacher.answer(left, right), resumed.answer(left, right))


def test_a_shuffled_teacher_that_was_saved_knows_the_statistics_of_its_own() -> None:
    teachers = [ShuffledTeacher(scripted(1, skip_threshold=0.1), np.random.default_rng(1)) for _ in range(2)]
    teachers[0].set_episode_statistics(2000.0, 100)
    teachers[1].load_state_dict(teachers[0].state_dict())
    left, right = constant_segments(5.0, 50.0, 6.0), constant_segments(0.0, 40.0, 3.0)
    np.testing.assert_array_equal(teachers[0].answer(left, right), teachers[1].answer(left, right))
    assert np.isnan(teachers[1].answer(left, right)).sum() == 2


@pytest.mark.parametrize("pairs_per_call", [1, 2, 500])
def test_shuffled_answers_say_nothing_about_their_pairs(pairs_per_call: int) -> None:
    left, right = random_segments(7, 4000)
    teacher = make_teacher("shuffled", np.random.default_rng(8))
    calls = range(0, 4000, pairs_per_call)
    answers = [teacher.answer(left[i : i + pairs_per_call], right[i : i + pairs_per_call]) for i in calls]
    agreement = np.mean(np.concatenate(answers) == (left.sum(1) > right.sum(1)))
    assert agreement == pytest.approx(0.5, abs=0.03)


def test_shuffled_answers_keep_their_skips_and_ties() -> None:
    teacher = ShuffledTeacher(scripted(skip_threshold=0.1), np.random.default_rng(0))
    teacher.set_episode_statistics(2000.0, 100)
    left = constant_segments(*[5.0] * 30, *[50.0] * 70)
    places = np.zeros(100)
    for _ in range(50):
        answers = teacher.answer(left, left)
        assert np.isnan(answers).sum() == 30
        assert (answers == 0.5).sum() == 70
        places += np.isnan(answers)
    assert places.max() < 50 * 0.75


def test_who_answers_at_once_is_known_beforehand() -> None:
    at_once = {name for name in TEACHER_NAMES if make_teacher(name, np.random.default_rng(0)).answers_at_once}
    assert at_once == set(TEACHER_NAMES) - {"human"}


def test_a_person_is_not_asked_for_an_answer_at_once() -> None:
    person = HumanTeacher()
    person.set_episode_statistics(1.0, 1)
    person.load_state_dict(person.state_dict())
    with pytest.raises(RuntimeError, match="through the store"):
        person.answer([[1.0]], [[0.0]])


def test_an_unknown_teacher_is_named_with_those_there_are() -> None:
    with pytest.raises(UsageError, match=r"unknown teacher 'orakel'.*oracle, mistake"):
        make_teacher("orakel", np.random.default_rng(0))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("rationality", 0.0),
        ("rationality", math.nan),
        ("myopia", 0.0),
        ("myopia", 1.1),
        ("error_rate", -0.1),
        ("error_rate", 1.1),
        ("skip_threshold", -0.1),
        ("skip_threshold", math.inf),
        ("equal_threshold", math.nan),
    ],
)
def test_impossible_teachers_are_refused_by_name_and_value(name: str, value: float) -> None:
    with pytest.raises(UsageError, match=f"{name}.*{value}"):
        TeacherConfig(**{name: value})


@pytest.mark.parametrize(
    ("mean_return", "horizon"), [(math.nan, 10), (math.inf, 10), (1.0, 0), (1.0, math.inf)]
)
def test_impossible_episode_statistics_are_refused(mean_return: float, horizon: float) -> None:
    with pytest.raises(ValueError, match="no threshold"):
        scripted().set_episode_statistics(mean_return, horizon)


@pytest.mark.parametrize(
    ("left", "right", "extra", "complaint"),
    [
        (np.zeros((2, 3)), np.zeros((2, 4)), {}, "both sides"),
        (np.zeros(3), np.zeros(3), {}, "both sides"),
        (np.zeros((2, 3)), np.zeros((2, 3)), {"lengths": [[1, 2]]}, "lengths"),
        (np.zeros((1, 3)), np.zeros((1, 3)), {"lengths": [[0, 2]]}, "lengths"),
        (np.zeros((1, 3)), np.zeros((1, 3)), {"lengths": [[3, 4]]}, "lengths"),
        (np.full((1, 3), math.nan), np.zeros((1, 3)), {}, "not finite"),
        (np.zeros((1, 3)), np.zeros((1, 3)), {"candidate_std": math.nan}, "candidate_std"),
        (np.zeros((1, 3)), np.zeros((1, 3)), {"candidate_std": -1.0}, "candidate_std"),
    ],
)
def test_rewards_that_do_not_fit_are_refused(
    left: np.ndarray, right: np.ndarray, extra: dict[str, object], complaint: str
) -> None:
    with pytest.raises(ValueError, match=complaint):
        scripted().answer(left, right, **extra)  # type: ignore[arg-type]
