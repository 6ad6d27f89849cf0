"""Foreign Gymnasium environments under the contract of our worlds."""

import gymnasium
import numpy as np
import pytest
from gymnasium.spaces import Box, Dict, Discrete, MultiDiscrete
from gymnasium.vector import AutoresetMode, SyncVectorEnv

from envs import WorldError, make_vector_env
from envs.gymnasium_env import adapt_vector_env

FLAT = Box(-1, 1, (3,), np.float32)


class Counting(gymnasium.Env):
    """Ends after `length` steps; observes its step and a number drawn at reset, and pays the action."""

    def __init__(self, length=3, observation_space=None, action_space=None):
        self.observation_space = observation_space or Box(-np.inf, np.inf, (2,), np.float32)
        self.action_space = action_space or Discrete(4, start=2)
        self._length, self._step, self._drawn = length, 0, 0.0

    def _observe(self):
        return np.array([self._step, self._drawn], np.float32)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed, options=options)
        self._step, self._drawn = 0, self.np_random.uniform()
        return self._observe(), {"luck": 1}

    def step(self, action):
        self._step += 1
        return self._observe(), float(action), self._step == self._length, False, {"luck": 2}


def adapt(seed=0, **options):
    make = [lambda: Counting(**options)] * 2
    # copy=False: it hands out its own buffer, which our world must not.
    env = SyncVectorEnv(make, copy=False, autoreset_mode=AutoresetMode.SAME_STEP)
    return adapt_vector_env(env, task="counting", seed=seed)


def test_a_users_own_environment_keeps_the_contract():
    env = adapt()
    observations, infos = env.reset()
    assert infos.keys() == {"episode_seed", "episode_step"}
    first = infos["episode_seed"]
    for step in (1, 2):
        observations, rewards, terminated, _, infos = env.step(np.array([0, 3]))
        assert infos.keys() == {"episode_seed", "episode_step", "score", "episode_end"}
        assert infos["episode_step"].tolist() == [step, step]
        assert not terminated.any()
        np.testing.assert_array_equal(infos["episode_seed"], first)
    last = observations
    observations, rewards, terminated, truncated, infos = env.step(np.array([0, 3]))
    assert rewards.tolist() == infos["score"].tolist() == [2.0, 5.0]
    assert terminated.all()
    assert not truncated.any()
    assert infos["episode_end"].all()
    assert infos["_final_obs"].all()
    assert infos["final_obs"].dtype == np.float32
    assert infos["final_obs"][:, 0].tolist() == [3.0, 3.0]
    np.testing.assert_array_equal(infos["final_obs"][:, 1], last[:, 1])
    assert observations[:, 0].tolist() == [0.0, 0.0]
    assert infos["episode_step"].tolist() == [0, 0]
    assert not set(first) & set(infos["episode_seed"])


def test_discrete_actions_count_from_zero():
    env = adapt()
    assert env.single_action_space == Discrete(4)
    env.reset()
    assert env.step(np.array([0, 1]))[1].tolist() == [2.0, 3.0]


def test_a_foreign_run_is_a_function_of_its_seed_and_of_nothing_else():
    def drawn(seed):
        env = adapt(seed=seed)
        numbers = [env.reset()[0][:, 1]]
        for _ in range(7):
            numbers.append(env.step(np.array([0, 0]))[0][:, 1])
        return np.array([*numbers, env.reset()[0][:, 1]])

    np.testing.assert_array_equal(drawn(4), drawn(4))
    assert not np.array_equal(drawn(4), drawn(5))
    assert drawn(4)[0, 0] != drawn(4)[0, 1]


def test_a_foreign_world_says_that_it_cannot_be_restored_exactly_and_opens_new_episodes():
    env = adapt()
    first = env.reset()[0]
    state = env.get_state()
    drawn = []
    for seed in (9, 10):
        other = adapt(seed=seed)
        assert not other.exact
        other.reset()
        other.set_state(state)
        again, infos = other.reset()
        assert not set(state["episode_seed"]) & set(infos["episode_seed"])
        drawn.append(again[:, 1])
    np.testing.assert_array_equal(drawn[0], drawn[1])
    assert not np.array_equal(first[:, 1], drawn[0])


def test_returned_arrays_belong_to_the_caller():
    env = adapt(length=100)
    observations, _ = env.reset()
    kept = observations.copy()
    env.step(np.array([0, 0]))
    np.testing.assert_array_equal(observations, kept)


@pytest.mark.parametrize(("task", "kind"), [("CartPole-v1", Discrete), ("Pendulum-v1", Box)])
def test_a_gymnasium_id_works_through_the_door(task, kind):
    env = make_vector_env(task, 3, 0, horizon=20)
    observations, _ = env.reset()
    assert isinstance(env.single_action_space, kind)
    assert env.metadata["autoreset_mode"] == AutoresetMode.SAME_STEP
    assert (env.task, env.reward_form, env.exact, env.num_envs) == (task, "native", False, 3)
    env.action_space.seed(0)
    ended = np.zeros(3, bool)
    for _ in range(20):
        observations, rewards, terminated, truncated, infos = env.step(env.action_space.sample())
        assert env.observation_space.contains(observations)
        assert rewards.dtype == np.float64
        np.testing.assert_array_equal(infos["episode_end"], terminated | truncated)
        ended |= infos["episode_end"]
    assert ended.all()
    env.close()


def test_image_observations_work():
    class Picture(Counting):
        def _observe(self):
            return np.full((8, 8, 3), self._step, np.uint8)

    def make_picture():
        return Picture(observation_space=Box(0, 255, (8, 8, 3), np.uint8))

    env = adapt_vector_env(SyncVectorEnv([make_picture], autoreset_mode="SameStep"), task="picture")
    env.reset()
    observations = env.step(np.array([1]))[0]
    assert observations.dtype == np.uint8
    assert observations.shape == (1, 8, 8, 3)
    assert (observations == 1).all()


@pytest.mark.parametrize(
    ("spaces", "message"),
    [
        ({"observation_space": Dict({"a": FLAT})}, "observes Dict.*FlattenObservation"),
        ({"observation_space": Discrete(3)}, "observes Discrete"),
        ({"observation_space": Box(-1, 1, (3, 3), np.float32)}, "observes Box"),
        ({"action_space": MultiDiscrete([2, 2])}, "actions of MultiDiscrete"),
        ({"action_space": Box(-1, 1, (2, 2), np.float32)}, "actions of Box"),
    ],
)
def test_spaces_that_nothing_can_learn_from_are_refused(spaces, message):
    with pytest.raises(WorldError, match=message):
        adapt(**spaces)


def test_another_autoreset_mode_is_refused_with_the_fix():
    with pytest.raises(WorldError, match=r"NEXT_STEP.*SAME_STEP"):
        adapt_vector_env(SyncVectorEnv([Counting]), task="counting")


def test_an_environment_that_hides_its_last_observation_is_refused():
    env = adapt()
    env._env.step = lambda _: (np.zeros((2, 2)), np.zeros(2), np.ones(2, bool), np.zeros(2, bool), {})
    env.reset()
    with pytest.raises(WorldError, match="without final_obs"):
        env.step(np.array([0, 0]))


def test_wrong_actions_and_lists_of_seeds_are_refused():
    env = adapt()
    with pytest.raises(WorldError, match="call reset"):
        env.step(np.array([0, 0]))
    env.reset(seed=3)
    with pytest.raises(WorldError, match="shape"):
        env.step(np.array([0]))
    with pytest.raises(WorldError, match="one whole number"):
        env.reset(seed=[1, 2])


@pytest.mark.parametrize("task", ["CartPol-v1", "CartPole-v99", "nowhere:Thing-v0", "NoSpace/Thing-v0"])
def test_an_unknown_id_is_refused(task):
    with pytest.raises(WorldError, match="unknown task"):
        make_vector_env(task, 1, 0)
