"""The one door: which world a name opens, and what is refused there."""

import subprocess
import sys

import numpy as np
import pytest

from envs import WorldError, list_tasks, make_vector_env
from envs.episode_seeds import episode_seeds
from envs.episodes import Episodes
from envs.mujoco_tasks import MUJOCO_TASKS
from envs.tasks import GAME_NAMES, MUJOCO_NAMES, canonical_name


def test_the_papers_worlds_are_listed():
    assert len(MUJOCO_NAMES) == 8
    assert len(GAME_NAMES) == 7
    assert set(MUJOCO_NAMES) == set(MUJOCO_TASKS)
    assert set(MUJOCO_NAMES + GAME_NAMES) < set(list_tasks())


@pytest.mark.parametrize(
    ("task", "suggestion"),
    [
        ("halfcheetah", "half-cheetah"),
        ("half-cheeta", "half-cheetah"),
        ("HALF_CHEETAH", "half-cheetah"),
        ("Walker2D", "walker2d"),
        ("probe-actoin", "probe-action"),
        ("CartPol-v1", "CartPole-v1"),
    ],
)
def test_an_unknown_task_is_answered_with_the_name_that_was_meant(task, suggestion):
    with pytest.raises(WorldError, match=f"unknown task '{task}': did you mean .*{suggestion}"):
        make_vector_env(task, 1, 0)


def test_a_name_like_no_other_is_answered_with_all_of_them():
    with pytest.raises(WorldError, match="known are hopper, walker2d"):
        make_vector_env("xyzzy-q", 1, 0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_envs": 0}, "num_envs is 0"),
        ({"num_envs": 2.5}, "num_envs is 2.5"),
        ({"num_envs": True}, "num_envs is True"),
        ({"seed": -1}, "seed is -1"),
        ({"seed": None}, "seed is None"),
        ({"seed": 2**63}, "seed is 9223372036854775808"),
        ({"reward_form": "clipped"}, "reward_form is 'clipped': give paper or native"),
        ({"num_threads": -2}, "num_threads is -2"),
        ({"horizon": 0}, "horizon is 0"),
        ({"task": "pong", "horizon": 5}, "pong is a game"),
    ],
)
def test_impossible_values_are_refused_by_name(options, message):
    with pytest.raises(WorldError, match=message):
        make_vector_env(**({"task": "hopper", "num_envs": 1, "seed": 0} | options))


@pytest.mark.filterwarnings("ignore:.*nothing is blanked")
@pytest.mark.parametrize("task", ["pong", "space_invaders", "tic-tac-toe-3d", "tic_tac_toe_3d"])
def test_any_game_is_made_by_its_name_with_hyphens_or_the_emulators_own(task):
    env = make_vector_env(task, 1, 0, num_threads=1)
    assert env.task == canonical_name(task) == task.replace("_", "-")
    assert env.single_observation_space.shape == (84, 84, 4)


def test_a_missing_simulator_is_named_with_the_fix(monkeypatch):
    monkeypatch.setitem(sys.modules, "envs.mujoco_env", None)
    with pytest.raises(WorldError, match=r"hopper needs the package.*pip install"):
        make_vector_env("hopper", 1, 0)


def test_listing_the_worlds_loads_no_simulator():
    code = (
        "import sys, envs; envs.list_tasks(); "
        "print([name for name in ('mujoco', 'ale_py', 'torch', 'cv2') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("task", ["hopper", "probe-pixels", "CartPole-v1"])
def test_every_world_has_the_attributes_of_the_contract(task):
    env = make_vector_env(task, 2, 0)
    observations, infos = env.reset()
    assert (env.task, env.num_envs, env.score_name) == (task, 2, "return")
    assert env.exact == (task != "CartPole-v1")
    assert observations.shape == (2, *env.single_observation_space.shape)
    assert infos["episode_step"].tolist() == [0, 0]
    assert infos["episode_seed"].dtype == infos["episode_step"].dtype == np.int64
    assert all(isinstance(array, np.ndarray) for array in env.get_state().values())


def test_no_two_episodes_of_a_world_have_the_same_seed():
    early, late = np.arange(100_000), np.arange(2**29, 2**29 + 100_000)
    seeds = episode_seeds(7, np.concatenate((early, late)))
    assert len(set(seeds.tolist())) == len(seeds)
    assert seeds.min() >= 1
    assert seeds.max() <= 2**30


def test_worlds_with_neighbouring_seeds_have_other_episodes():
    one, two = episode_seeds(7, np.arange(1000)), episode_seeds(8, np.arange(1000))
    assert not set(one.tolist()) & set(two.tolist())
    assert abs(np.corrcoef(one, two)[0, 1]) < 0.2


def test_episodes_continue_from_their_saved_counters():
    episodes, other = Episodes(3, 4), Episodes(5, 4)
    episodes.begin(np.arange(4))
    episodes.begin(np.array([1, 2]))
    episodes.steps += 2
    other.set_state(episodes.get_state())
    np.testing.assert_array_equal(other.begin(np.arange(4)), episodes.begin(np.arange(4)))
    np.testing.assert_array_equal(other.steps, episodes.steps)
    with pytest.raises(WorldError, match="of 4 environments"):
        Episodes(3, 2).set_state(episodes.get_state())
