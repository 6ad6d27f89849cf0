"""MuJoCo worlds against Gymnasium's own environments, and the promises that every world makes."""

import warnings

import gymnasium
import numpy as np
import pytest

from envs import WorldError, make_vector_env
from envs.mujoco_env import MujocoVectorEnv
from envs.mujoco_model import quiet_mujoco
from envs.mujoco_tasks import MUJOCO_TASKS
from envs.mujoco_terms import Physics

TASKS = tuple(MUJOCO_TASKS)


def make(task, num_envs=3, seed=5, **options):
    return make_vector_env(task, num_envs, seed, num_threads=options.pop("num_threads", 1), **options)


def random_actions(env, steps, seed=0, scale=1.0):
    generator = np.random.default_rng(seed)
    space = env.single_action_space
    shape = (steps, env.num_envs, *space.shape)
    return (scale * generator.uniform(space.low, space.high, shape)).astype(np.float32)


def make_reference(task, **options):
    with quiet_mujoco():  # or it would leave a log file in the working folder
        return gymnasium.make(MUJOCO_TASKS[task].gymnasium_id, **options)


def make_references(task, env, infos, **options):
    """One Gymnasium environment for each of ours, in the same first state."""
    references = [make_reference(task, **options) for _ in range(env.num_envs)]
    starts = [
        reference.reset(seed=int(seed))[0]
        for reference, seed in zip(references, infos["episode_seed"], strict=True)
    ]
    return references, np.stack(starts)


@pytest.mark.parametrize("scale", [0.2, 1.0, 1.7])
@pytest.mark.parametrize("task", TASKS)
def test_native_form_equals_gymnasium_step_by_step(task, scale):
    env = make(task, reward_form="native", horizon=50)
    observations, infos = env.reset()
    references, starts = make_references(task, env, infos, max_episode_steps=50)
    np.testing.assert_array_equal(observations, starts)
    for actions in random_actions(env, 120, scale=scale):
        observations, rewards, terminated, truncated, infos = env.step(actions)
        for i, reference in enumerate(references):
            observation, reward, ended, cut, _ = reference.step(actions[i])
            assert (ended, cut) == (terminated[i], truncated[i])
            np.testing.assert_allclose(rewards[i], reward, rtol=0, atol=1e-10)
            if ended or cut:
                np.testing.assert_allclose(infos["final_obs"][i], observation, rtol=0, atol=1e-10)
                observation, _ = reference.reset(seed=int(infos["episode_seed"][i]))
            np.testing.assert_allclose(observations[i], observation, rtol=0, atol=1e-10)


@pytest.mark.parametrize("task", ["hopper", "walker2d", "ant", "inverted-pendulum"])
def test_an_episode_ends_in_the_very_states_that_end_gymnasiums(task):
    generator = np.random.default_rng(1)
    reference = make_reference(task).unwrapped
    rest = np.concatenate((reference.init_qpos, reference.init_qvel))
    spread = generator.choice([0.02, 0.3, 1.2], (600, 1))
    states = rest + spread * generator.standard_normal((600, rest.size))
    states[:50, generator.integers(3, rest.size, 50)] += 99.5
    states[50, -1] = np.nan
    qpos, qvel = np.split(states, [reference.init_qpos.size], axis=1)
    expected = []
    for position, speed in zip(qpos, qvel, strict=True):
        reference.data.qpos[:], reference.data.qvel[:] = position, speed
        if task == "inverted-pendulum":
            observation = reference._get_obs()
            expected.append(not np.isfinite(observation).all() or np.abs(observation[1]) > 0.2)
        else:
            expected.append(not reference.is_healthy)
    falls = MUJOCO_TASKS[task].native.falls(Physics(qpos, qvel, {}))
    assert falls.tolist() == expected
    assert 50 < sum(expected) < 550


@pytest.mark.parametrize("task", TASKS)
def test_native_form_has_gymnasiums_own_limit_and_spaces(task):
    reference = make_reference(task)
    native = make(task, num_envs=1, reward_form="native")
    assert MUJOCO_TASKS[task].native.horizon == reference.spec.max_episode_steps
    assert native.single_observation_space == reference.observation_space
    assert native.single_action_space == reference.action_space


@pytest.mark.parametrize("task", TASKS)
def test_paper_form_starts_and_moves_like_gymnasium_but_never_terminates(task):
    env = make(task)
    observations, infos = env.reset()
    references, starts = make_references(task, env, infos)
    size = 27 if task == "ant" else starts.shape[1]
    np.testing.assert_array_equal(observations, starts[:, :size])
    for actions in random_actions(env, 24):
        observations, _, terminated, truncated, _ = env.step(actions)
        assert not terminated.any()
        assert not truncated.any()
        expected = np.stack([r.step(a)[0] for r, a in zip(references, actions, strict=True)])
        np.testing.assert_allclose(observations, expected[:, :size], rtol=0, atol=1e-10)


@pytest.mark.parametrize(
    ("task", "reward"),
    [
        ("hopper", lambda d, v: v + d.qpos[1]),
        ("walker2d", lambda d, v: v + d.qpos[1] - 1),
        ("ant", lambda d, v: v + d.qpos[2] - 1.2),
        ("half-cheetah", lambda _, v: v),
        ("swimmer", lambda _, v: v),
        ("reacher", lambda d, _: -np.linalg.norm(d.body("fingertip").xpos - d.body("target").xpos)),
        ("inverted-pendulum", lambda d, _: 1 - d.qpos[1] ** 2),
    ],
)
def test_paper_reward_is_the_formula_of_the_paper(task, reward):
    env = make(task, num_envs=1)
    _, infos = env.reset()
    (reference,), _ = make_references(task, env, infos)
    for actions in random_actions(env, 20):
        _, rewards, _, _, infos = env.step(actions)
        about = reference.step(actions[0])[4]
        expected = reward(reference.unwrapped.data, about.get("x_velocity", 0.0))
        np.testing.assert_allclose(rewards[0], expected, rtol=0, atol=1e-10)
        assert infos["score"][0] == rewards[0]


def test_paper_reward_of_the_double_pendulum_is_the_formula_of_the_paper():
    env = make("inverted-double-pendulum", num_envs=1)
    _, infos = env.reset()
    (reference,), _ = make_references(env.task, env, infos)
    for actions in random_actions(env, 20):
        rewards = env.step(actions)[1]
        reference.step(actions[0])
        x, _, y = reference.unwrapped.data.site_xpos[0]
        w1, w2 = reference.unwrapped.data.qvel[1:]
        expected = 10 - 0.01 * x**2 - (y - 2) ** 2 - 1e-3 * w1**2 - 5e-3 * w2**2 + 10 * (y - 1)
        np.testing.assert_allclose(rewards[0], expected, rtol=0, atol=1e-10)


@pytest.mark.parametrize(("task", "horizon"), [("reacher", 50), ("inverted-pendulum", 25), ("hopper", 1000)])
def test_paper_form_has_the_papers_horizon(task, horizon):
    env = make(task, num_envs=2)
    env.reset()
    ends = [env.step(actions)[3].all() for actions in random_actions(env, 2 * horizon)]
    assert np.flatnonzero(ends).tolist() == [horizon - 1, 2 * horizon - 1]


def test_an_episode_that_ends_is_followed_by_the_next_in_the_same_step():
    env = make("half-cheetah", horizon=4)
    first, before = env.reset()
    for step, actions in enumerate(random_actions(env, 4), start=1):
        observations, _, _, truncated, infos = env.step(actions)
        assert infos["episode_step"].tolist() == [step % 4] * 3
        assert infos["episode_end"].all() == truncated.all() == (step == 4)
        assert ("final_obs" in infos) == ("_final_obs" in infos) == (step == 4)
    assert infos["_final_obs"].all()
    assert not np.array_equal(infos["final_obs"], observations)
    assert not set(before["episode_seed"]) & set(infos["episode_seed"])
    assert len(set(before["episode_seed"])) == 3
    assert np.abs(observations).max() < 1
    assert not np.array_equal(first, observations)


@pytest.mark.parametrize(
    ("task", "form"), [("ant", "native"), ("ant", "paper"), ("inverted-double-pendulum", "paper")]
)
def test_a_restored_world_continues_bit_for_bit_under_another_thread_count(task, form):
    env = make(task, reward_form=form, horizon=9)
    env.reset()
    actions = random_actions(env, 20)
    for step in actions[:6]:
        env.step(step)
    state = env.get_state()
    undisturbed = [env.step(step) for step in actions[6:]]
    other = make(task, seed=99, reward_form=form, horizon=9, num_threads=2)
    other.set_state(state)
    for expected, step in zip(undisturbed, actions[6:], strict=True):
        got = other.step(step)
        for one, two in zip(expected[:4], got[:4], strict=True):
            np.testing.assert_array_equal(one, two)
        assert expected[4].keys() == got[4].keys()
        for name in expected[4]:
            np.testing.assert_array_equal(expected[4][name], got[4][name])


def test_a_saved_state_is_not_changed_by_later_steps():
    env = make("hopper")
    env.reset()
    state = env.get_state()
    copies = {name: array.copy() for name, array in state.items()}
    for actions in random_actions(env, 3):
        env.step(actions)
    for name, array in state.items():
        np.testing.assert_array_equal(array, copies[name])


def test_a_state_of_another_world_is_refused():
    hopper, ant = make("hopper"), make("ant")
    with pytest.raises(WorldError, match="not one of ant"):
        ant.set_state(hopper.get_state())
    with pytest.raises(WorldError, match="of 3 environments"):
        make("hopper", num_envs=2).set_state(hopper.get_state())


def test_a_world_is_a_pure_function_of_its_seed():
    one, two, other = make("swimmer"), make("swimmer", num_threads=2), make("swimmer", seed=6)
    np.testing.assert_array_equal(one.reset()[0], two.reset()[0])
    assert not np.array_equal(two.reset(seed=5)[0], other.reset()[0])
    np.testing.assert_array_equal(one.reset(seed=6)[0], other.reset(seed=6)[0])


def test_returned_arrays_belong_to_the_caller():
    env, other = make("half-cheetah", horizon=3), make("half-cheetah", horizon=3)
    observations, infos = env.reset()
    np.testing.assert_array_equal(observations, other.reset()[0])
    for actions in random_actions(env, 7):
        for array in (observations, *infos.values()):
            array[...] = 1
        observations, rewards, terminated, truncated, infos = env.step(actions)
        expected = other.step(actions)
        np.testing.assert_array_equal(observations, expected[0])
        np.testing.assert_array_equal(infos["state"], expected[4]["state"])
        np.testing.assert_array_equal(infos["episode_seed"], expected[4]["episode_seed"])
        for array in (observations, rewards, terminated, truncated):
            array[...] = 1
        np.testing.assert_array_equal(infos["score"], expected[1])
        np.testing.assert_array_equal(infos["episode_end"], expected[3])
        for name, array in other.get_state().items():
            np.testing.assert_array_equal(env.get_state()[name], array)


@pytest.mark.parametrize("form", ["paper", "native"])
def test_a_simulation_that_fails_ends_its_episode_and_harms_no_other(form):
    env, healthy = make("half-cheetah", reward_form=form), make("half-cheetah", reward_form=form)
    env.reset()
    healthy.reset()
    actions = random_actions(env, 3)
    before = env.step(actions[0])[0]
    healthy.step(actions[0])
    env._simulations.physics.qvel[1, 4] = np.nan
    env._simulations.physics.qpos[2, 3] = 1e200
    with pytest.warns(RuntimeWarning, match="2 simulation.*half-cheetah became unstable"):
        observations, rewards, terminated, truncated, infos = env.step(actions[1])
    expected = healthy.step(actions[1])
    assert truncated.tolist() == infos["episode_end"].tolist() == [False, True, True]
    assert not terminated.any()
    assert rewards[1:].tolist() == infos["score"][1:].tolist() == [0.0, 0.0]
    np.testing.assert_array_equal(infos["final_obs"][1:], before[1:])
    np.testing.assert_array_equal(observations[0], expected[0][0])
    assert np.isfinite(observations).all()
    assert infos["episode_step"].tolist() == [2, 0, 0]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        env.step(actions[2])


def test_a_simulation_that_raises_is_counted_as_failed(monkeypatch):
    from mujoco.batch import SimulationError

    env = make("hopper")
    env.reset()

    class Raising:
        def step(self, nstep):
            del nstep
            raise SimulationError(np.array([2]), "stack overflow")

        def __getattr__(self, name):
            return getattr(batch, name)

    batch = env._simulations._batch
    monkeypatch.setattr(env._simulations, "_batch", Raising())
    with pytest.warns(RuntimeWarning, match="1 simulation"):
        truncated = env.step(random_actions(env, 1)[0])[3]
    assert truncated.tolist() == [False, False, True]


def test_no_log_file_is_left_in_the_working_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    env = make("half-cheetah")
    env.reset()
    env._simulations.physics.qvel[0] = np.inf
    with pytest.warns(RuntimeWarning):
        env.step(random_actions(env, 1)[0])
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("actions", "message"),
    [
        (np.zeros((3, 5), np.float32), "shape"),
        (np.zeros(6, np.float32), "shape"),
        (np.full((3, 6), np.nan), "not finite"),
    ],
)
def test_impossible_actions_are_refused(actions, message):
    env = make("half-cheetah")
    env.reset()
    with pytest.raises(WorldError, match=message):
        env.step(actions)


def test_a_step_before_the_first_reset_is_refused():
    env = make("half-cheetah")
    with pytest.raises(WorldError, match="call reset"):
        env.step(random_actions(env, 1)[0])


def test_a_list_of_seeds_and_unknown_options_are_refused():
    env = make("hopper")
    with pytest.raises(WorldError, match="one whole number"):
        env.reset(seed=[1, 2, 3])
    with pytest.raises(WorldError, match="reset_mask"):
        env.reset(options={"reset_mask": np.ones(3, bool)})


def test_every_task_is_made_of_a_model_that_gymnasium_has():
    assert isinstance(make("hopper"), MujocoVectorEnv)
    for task in MUJOCO_TASKS.values():
        assert make_reference(task.name).unwrapped.frame_skip == task.frame_skip
