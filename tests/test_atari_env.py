"""Atari worlds: reward forms, episodes of their own seeds, frame stacks, and continuing bit for bit."""

import numpy as np
import pytest
from gymnasium.vector import AutoresetMode

from envs import WorldError, make_vector_env
from envs.atari import AtariWorld, is_atari_game, make_atari_env
from envs.tasks import GAME_NAMES


def play(world, steps, seed=0):
    """Random actions; everything that each step returned."""
    generator = np.random.default_rng(seed)
    choices = int(world.single_action_space.n)
    return [world.step(generator.integers(choices, size=world.num_envs)) for _ in range(steps)]


def assert_same_steps(left, right):
    for ours, theirs in zip(left, right, strict=True):
        for mine, yours in zip(ours[:4], theirs[:4], strict=True):
            np.testing.assert_array_equal(mine, yours)
        assert ours[4].keys() == theirs[4].keys()
        for name in ours[4]:
            np.testing.assert_array_equal(ours[4][name], theirs[4][name])


def column(steps, name):
    return np.stack([step[4][name] for step in steps])


def test_a_world_tells_its_task_and_spaces():
    world = make_vector_env("pong", 2, 0)
    observation, infos = world.reset()
    assert (world.task, world.reward_form, world.num_envs, world.exact) == ("pong", "paper", 2, True)
    assert world.metadata["autoreset_mode"] == AutoresetMode.SAME_STEP
    assert world.single_observation_space.shape == (84, 84, 4)
    assert world.observation_space.contains(observation)
    assert set(infos) == {"episode_seed", "episode_step"}


@pytest.mark.parametrize("task", ["beam-rider", "seaquest"])
def test_the_stream_of_a_world_does_not_depend_on_the_thread_count(task):
    worlds = [AtariWorld(task, 3, 7, num_threads=threads, step_limit=40) for threads in (1, 2)]
    firsts = [world.reset()[0] for world in worlds]
    np.testing.assert_array_equal(*firsts)
    assert_same_steps(*[play(world, 60) for world in worlds])


def test_worlds_of_other_seeds_play_other_episodes():
    left, right = AtariWorld("breakout", 3, 1), AtariWorld("breakout", 3, 2)
    assert not set(left.reset()[1]["episode_seed"]) & set(right.reset()[1]["episode_seed"])
    pairs = zip(play(left, 40), play(right, 40), strict=True)
    assert any((mine[0] != yours[0]).any() for mine, yours in pairs)


def test_reset_with_a_seed_starts_its_episodes_anew_and_without_one_goes_on():
    world = AtariWorld("pong", 2, 3)
    first, infos = world.reset()
    _, later_infos = world.reset()
    again, again_infos = world.reset(seed=3)
    np.testing.assert_array_equal(first, again)
    np.testing.assert_array_equal(infos["episode_seed"], again_infos["episode_seed"])
    assert not set(infos["episode_seed"]) & set(later_infos["episode_seed"])


def test_stacks_start_with_one_frame_four_times_and_roll_oldest_first():
    world = AtariWorld("breakout", 2, 0, step_limit=25)
    before, _ = world.reset()
    assert (before == before[..., :1]).all()
    moved = False
    for observation, _, _, _, infos in play(world, 40):
        ended = infos["episode_end"]
        np.testing.assert_array_equal(observation[~ended, ..., :3], before[~ended, ..., 1:])
        assert (observation[ended] == observation[ended, ..., :1]).all()
        moved |= bool((observation[..., 3] != observation[..., 2]).any())
        before = observation
    assert moved


def test_an_episode_that_ends_is_followed_by_the_next_in_the_same_step():
    world = AtariWorld("breakout", 3, 0, step_limit=25)
    before, first = world.reset()
    steps = play(world, 60)
    names, positions, ended = (column(steps, key) for key in ("episode_seed", "episode_step", "episode_end"))
    assert ended.sum() == 3 * 2
    names = np.concatenate([first["episode_seed"][None], names])
    np.testing.assert_array_equal(ended, names[1:] != names[:-1])
    np.testing.assert_array_equal(positions == 0, ended)
    assert len(np.unique(names)) == 3 * 3
    for (observation, _, _, _, infos), over in zip(steps, ended, strict=True):
        assert ("final_obs" in infos) == ("_final_obs" in infos) == over.any()
        if over.any():
            np.testing.assert_array_equal(infos["_final_obs"], over)
            np.testing.assert_array_equal(infos["final_obs"][over, ..., :3], before[over, ..., 1:])
            assert (infos["final_obs"][over, ..., 3] != observation[over, ..., 3]).any(axis=(1, 2)).all()
            np.testing.assert_array_equal(infos["final_obs"][~over], observation[~over])
        before = observation


def test_no_step_is_wasted_after_an_episode_ends():
    world = AtariWorld("breakout", 2, 0)
    world.reset()
    steps = play(world, 450)
    assert column(steps, "episode_end").sum() >= 2
    named = np.unique(column(steps, "episode_seed"))
    _, infos = world.observe()
    lengths = {int(name): len(world.episode_actions(int(name))) for name in named}
    assert sum(lengths.values()) == 2 * 450
    opened = [lengths[int(name)] for name in infos["episode_seed"]]
    np.testing.assert_array_equal(opened, infos["episode_step"])


@pytest.mark.parametrize("task", ["qbert", "pong"])
def test_the_paper_form_clips_the_score_punishes_an_end_but_for_pong_and_hides_it(task):
    world = AtariWorld(task, 2, 1, step_limit=110)
    world.reset()
    steps = play(world, 115)
    score, ended = column(steps, "score"), column(steps, "episode_end")
    rewards = np.stack([step[1] for step in steps])
    assert ended.any()
    assert score.any()
    np.testing.assert_array_equal(rewards, np.clip(score, -1, 1) - (ended if task != "pong" else 0))
    assert not any(step[2].any() or step[3].any() for step in steps)


def test_the_paper_form_tells_no_lives():
    world = AtariWorld("breakout", 1, 1, step_limit=30)
    world.reset()
    allowed = {"score", "episode_end", "episode_seed", "episode_step", "final_obs", "_final_obs"}
    assert all(set(step[4]) <= allowed for step in play(world, 40))


def test_a_score_above_one_is_clipped_and_stays_whole_in_the_infos():
    world = AtariWorld("qbert", 2, 1)
    world.reset()
    steps = play(world, 60)
    score = column(steps, "score")
    assert score.max() == 25
    assert max(step[1].max() for step in steps) == 1


def test_the_native_form_plays_the_same_episodes_with_raw_scores_and_real_ends():
    worlds = [AtariWorld("breakout", 2, 2, reward_form=form) for form in ("paper", "native")]
    for world in worlds:
        world.reset()
    paper, native = (play(world, 260) for world in worlds)
    for ours, theirs in zip(paper, native, strict=True):
        np.testing.assert_array_equal(ours[0], theirs[0])
        np.testing.assert_array_equal(theirs[1], ours[4]["score"])
        np.testing.assert_array_equal(theirs[2], ours[4]["episode_end"])
        assert not theirs[3].any()
    assert any(step[2].any() for step in native)


def test_the_step_limit_truncates_in_the_native_form():
    world = AtariWorld("pong", 2, 2, reward_form="native", step_limit=10)
    world.reset()
    for number, (_, _, terminated, truncated, infos) in enumerate(play(world, 25), start=1):
        assert not terminated.any()
        np.testing.assert_array_equal(truncated, np.full(2, number % 10 == 0))
        np.testing.assert_array_equal(truncated, infos["episode_end"])


@pytest.mark.parametrize(
    ("actions", "message"),
    [
        (np.array([0, 6]), "action 6 is unknown to pong: use 0 to 5"),
        (np.array([-1, 0]), "action -1"),
        (np.array([0, 1, 2]), "shape"),
        (np.array([0.0, 1.0]), "whole numbers"),
        (np.array([True, False]), "whole numbers"),
    ],
)
def test_impossible_actions_are_refused_and_the_world_plays_on(actions, message):
    world = AtariWorld("pong", 2, 0)
    world.reset()
    with pytest.raises(WorldError, match=message):
        world.step(actions)
    assert world.step(np.array([0, 5], dtype=np.uint8))[4]["episode_step"].tolist() == [1, 1]


def test_what_a_world_cannot_do_is_refused():
    world = AtariWorld("pong", 2, 0)
    for refused in (lambda: world.step(np.array([0, 0])), world.get_state):
        with pytest.raises(WorldError, match="reset"):
            refused()
    with pytest.raises(WorldError, match="options"):
        world.reset(options={"reset_mask": np.array([True, False])})
    with pytest.raises(WorldError, match="list"):
        world.reset(seed=[1, 2])


def test_actions_are_remembered_until_finished_episodes_are_forgotten():
    world = AtariWorld("pong", 2, 0, step_limit=8)
    _, infos = world.reset()
    finished = int(infos["episode_seed"][1])
    taken = np.random.default_rng(1).integers(6, size=(11, 2))
    for actions in taken:
        _, _, _, _, infos = world.step(actions)
    opened = int(infos["episode_seed"][1])
    np.testing.assert_array_equal(world.episode_actions(finished), taken[:8, 1])
    np.testing.assert_array_equal(world.episode_actions(opened), taken[8:, 1])
    world.forget_finished_episodes()
    np.testing.assert_array_equal(world.episode_actions(opened), taken[8:, 1])
    with pytest.raises(WorldError, match=str(finished)):
        world.episode_actions(finished)


@pytest.mark.parametrize("task", GAME_NAMES)
def test_a_world_continues_bit_for_bit_from_its_state(task):
    world = AtariWorld(task, 2, 4, num_threads=1, step_limit=45)
    world.reset()
    play(world, 70)
    state = world.get_state()
    copy = AtariWorld(task, 2, 99, num_threads=2, step_limit=45)
    copy.set_state(state)
    for mine, yours in zip(world.observe(), copy.observe(), strict=True):
        np.testing.assert_equal(mine, yours)
    assert_same_steps(play(world, 40, seed=1), play(copy, 40, seed=1))


def test_open_episodes_of_any_length_and_finished_ones_survive_in_the_state():
    world = AtariWorld("breakout", 3, 4)
    _, infos = world.reset()
    first = infos["episode_seed"]
    play(world, 260)
    state = world.get_state()
    assert len(set(state["episode_step"])) == 3
    copy = AtariWorld("breakout", 3, 4)
    copy.reset()
    play(copy, 3, seed=5)
    copy.set_state(state)
    for name in (*first, *state["episode_seed"]):
        np.testing.assert_array_equal(copy.episode_actions(int(name)), world.episode_actions(int(name)))
    assert_same_steps(play(world, 200, seed=1), play(copy, 200, seed=1))


def test_a_state_is_plain_arrays_and_not_changed_by_playing_on():
    world = AtariWorld("pong", 2, 0, step_limit=6)
    world.reset()
    play(world, 8)
    state = world.get_state()
    before = {name: array.copy() for name, array in state.items()}
    play(world, 8)
    assert all(isinstance(array, np.ndarray) and array.dtype != object for array in state.values())
    np.testing.assert_equal(state, before)


def test_a_state_of_another_world_or_a_spoilt_one_is_refused():
    world = AtariWorld("pong", 2, 0)
    world.reset()
    play(world, 30)
    state = world.get_state()
    with pytest.raises(WorldError, match="breakout"):
        AtariWorld("breakout", 2, 0).set_state(state)
    with pytest.raises(WorldError, match="2 environments"):
        AtariWorld("pong", 3, 0).set_state(state)
    spoilt = state | {"actions": (state["actions"] + 1) % 6}
    with pytest.raises(WorldError, match="ale-py"):
        AtariWorld("pong", 2, 0).set_state(spoilt)


def test_games_go_by_names_with_hyphens():
    assert all(is_atari_game(name) for name in (*GAME_NAMES, "ms-pacman", "montezuma-revenge"))
    assert not any(is_atari_game(name) for name in ("space_invaders", "Pong", "hopper", ""))
    with pytest.raises(WorldError, match="ALE/Pong"):
        make_atari_env("ALE/Pong-v5", 1, 0)
