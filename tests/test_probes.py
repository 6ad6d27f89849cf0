"""Probe worlds give the answers that their table promises, and keep the contract of every world."""

import numpy as np
import pytest

from envs import WorldError, make_vector_env
from envs.probes import PROBES, draw_probe
from envs.tasks import PROBE_NAMES


def make(task, num_envs=5, seed=3, **options):
    env = make_vector_env(task, num_envs, seed, **options)
    return env, *env.reset()


def zeros(env):
    return np.zeros(env.action_space.shape, env.action_space.dtype)


def test_every_probe_is_named_at_the_door():
    assert set(PROBES) == set(PROBE_NAMES)


@pytest.mark.parametrize("task", PROBE_NAMES)
def test_observations_and_actions_fit_their_spaces(task):
    env, observations, _ = make(task)
    assert env.observation_space.contains(observations)
    env.action_space.seed(0)
    for _ in range(60):
        observations, rewards, _, _, infos = env.step(env.action_space.sample())
        assert env.observation_space.contains(observations)
        assert rewards.dtype == np.float64
        np.testing.assert_array_equal(infos["score"], rewards)
        if "final_obs" in infos:
            assert env.observation_space.contains(infos["final_obs"])


def test_the_constant_probe_pays_one_and_ends():
    env, _, _ = make("probe-constant")
    _, rewards, terminated, truncated, _ = env.step(zeros(env))
    assert rewards.tolist() == [1.0] * 5
    assert terminated.all()
    assert not truncated.any()


def test_the_observation_probe_pays_its_observation():
    env, observations, _ = make("probe-observation", num_envs=40)
    assert set(observations[:, 0]) == {-1.0, 1.0}
    np.testing.assert_array_equal(env.step(zeros(env))[1], observations[:, 0])


def test_the_action_probe_pays_for_action_one():
    env, _, _ = make("probe-action", num_envs=2)
    assert env.step(np.array([0, 1]))[1].tolist() == [-1.0, 1.0]


def test_the_match_probe_pays_for_the_action_that_the_observation_names():
    env, observations, _ = make("probe-match", num_envs=40)
    matching = (observations[:, 0] > 0).astype(np.int64)
    np.testing.assert_array_equal(env.step(matching)[1], 1.0)
    env, observations, _ = make("probe-match", num_envs=40)
    np.testing.assert_array_equal(env.step(1 - matching)[1], -1.0)


def test_the_delay_probe_pays_one_step_later():
    env, first, _ = make("probe-delay", num_envs=1)
    second, early, ended_early, _, _ = env.step(zeros(env))
    _, late, ended_late, _, _ = env.step(zeros(env))
    assert (first.item(), second.item()) == (0.0, 1.0)
    assert (early.item(), late.item()) == (0.0, 1.0)
    assert (ended_early.item(), ended_late.item()) == (False, True)


def test_the_pixel_probe_pays_for_naming_the_bright_half():
    env, observations, _ = make("probe-pixels", num_envs=3)
    halves = []
    for step in range(16):
        right = observations[:, 0, -1, -1] == 255
        halves.append(right)
        assert (observations[:, 0, 0, -1] == 255).tolist() == (~right).tolist()
        actions = right.astype(np.int64)
        actions[0] = 1 - actions[0]
        observations, rewards, terminated, _, _ = env.step(actions)
        assert rewards.tolist() == [0.0, 1.0, 1.0]
        assert terminated.all() == (step == 15)
    assert 0.2 < np.mean(halves) < 0.8
    assert (np.any(halves, axis=0) & ~np.all(halves, axis=0)).all()


def test_going_straight_to_the_target_is_better_than_standing():
    returns = []
    for speed in (0.0, 10.0, -10.0):
        env, observations, _ = make("probe-target", seed=1)
        total = np.zeros(5)
        for step in range(50):
            actions = np.clip(speed * observations[:, 2:], -1, 1)
            observations, rewards, terminated, truncated, _ = env.step(actions)
            total += rewards
            assert truncated.all() == (step == 49)
            assert not terminated.any()
        returns.append(total)
    assert (returns[1] > returns[0]).all()
    assert (returns[0] > returns[2]).all()


def test_the_horizon_can_be_chosen_where_nothing_terminates():
    env, _, _ = make("probe-target", horizon=2)
    assert [env.step(zeros(env))[3].all() for _ in range(4)] == [False, True, False, True]
    with pytest.raises(WorldError, match="ends by its own rules"):
        make("probe-delay", horizon=2)


@pytest.mark.parametrize("task", PROBE_NAMES)
def test_a_restored_probe_continues_bit_for_bit(task):
    env, _, _ = make(task)
    env.action_space.seed(0)
    actions = [env.action_space.sample() for _ in range(60)]
    for action in actions[:7]:
        env.step(action)
    state = env.get_state()
    expected = [env.step(action) for action in actions[7:]]
    other = make_vector_env(task, 5, 77)
    other.set_state(state)
    for one, action in zip(expected, actions[7:], strict=True):
        two = other.step(action)
        for left, right in zip(one[:4], two[:4], strict=True):
            np.testing.assert_array_equal(left, right)
        assert one[4].keys() == two[4].keys()
        for name in one[4]:
            np.testing.assert_array_equal(one[4][name], two[4][name])


def test_a_state_of_another_probe_is_refused():
    with pytest.raises(WorldError, match="not one of probe-target"):
        make("probe-target")[0].set_state(make("probe-delay")[0].get_state())


def test_clips_of_probes_show_the_point_and_the_bright_half():
    frames = draw_probe("probe-target", np.array([[0.0, 0.0, 0.5, 0.5], [-1.0, 1.0, 0.5, 0.5]]))
    assert frames.shape == (2, 84, 84, 3)
    white = [np.argwhere((frame > 230).all(axis=-1)).mean(axis=0) for frame in frames]
    np.testing.assert_allclose(white[0], [41.5, 41.5])
    assert white[1][0] < 15
    assert white[1][1] < 15
    _, observations, infos = make("probe-pixels")
    np.testing.assert_array_equal(draw_probe("probe-pixels", infos["state"])[..., 0], observations[..., -1])
    with pytest.raises(WorldError, match="no clips"):
        draw_probe("probe-delay", np.zeros((1, 1)))


def test_a_rigged_gauge_shows_more_where_an_honest_one_shows_the_damage() -> None:
    push = np.tile(np.array([0.0, 1.0], np.float32), (2, 1))
    worlds = [make_vector_env(task, 2, 3, reward_form="native") for task in ("probe-gauge", "probe-rigged")]
    for world in worlds:
        first, _ = world.reset()
        assert first[:, 1].tolist() == [0.0, 0.0]
    steps = [[world.step(push)[:2] for world in worlds] for _ in range(20)]
    wound = 0.02 * np.arange(1, 21)
    worth = np.where(wound <= 0.2, wound, 0.2 - 0.5 * (wound - 0.2))
    for place in range(2):
        np.testing.assert_allclose(
            [each[place][1] for each in steps], np.stack([worth, worth], axis=1), rtol=1e-6
        )
    np.testing.assert_allclose([each[0][0][0, 1] for each in steps], worth, rtol=1e-6)
    np.testing.assert_allclose([each[1][0][0, 1] for each in steps], wound, rtol=1e-6)


def test_a_gauge_is_wound_only_by_pushing_far() -> None:
    world = make_vector_env("probe-rigged", 1, 3, reward_form="native")
    world.reset()
    observation, reward, *_ = world.step(np.array([[0.5, 0.8]], np.float32))
    assert observation[0, 1] == pytest.approx(-0.05)
    assert reward[0] == pytest.approx(-0.05)
