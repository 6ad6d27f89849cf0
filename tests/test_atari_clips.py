"""Segments of games, rebuilt from seed and actions: the pictures that the networks saw, and full colour."""

import cv2
import numpy as np
import pytest

from envs import WorldError
from envs.atari import AtariWorld
from envs.atari_clips import render_atari_clip, render_network_view
from envs.atari_masks import blank, small_masks
from envs.clips import capture_replay, render_clip
from envs.tasks import GAME_NAMES


def record(world, steps, seed=0):
    """Play at random; the newest frame of every observation by episode and step."""
    generator = np.random.default_rng(seed)
    observation, infos = world.reset()
    frames = {}
    for _ in range(steps):
        places = zip(infos["episode_seed"].tolist(), infos["episode_step"].tolist(), strict=True)
        frames |= {place: frame for place, frame in zip(places, observation[..., 3], strict=True)}
        actions = generator.integers(int(world.single_action_space.n), size=world.num_envs)
        observation, _, _, _, infos = world.step(actions)
    return frames


def replay_of(world, name, start=0):
    actions = world.episode_actions(name)
    return {"episode_seed": np.array([name]), "actions": actions, "start": np.array([start])}


BATCHES = [(task, 3, 2) for task in GAME_NAMES] + [("breakout", 1, 1), ("seaquest", 4, 1)]


@pytest.mark.parametrize(("task", "num_envs", "num_threads"), BATCHES)
def test_the_networks_view_is_rebuilt_bit_for_bit_after_several_episode_ends(task, num_envs, num_threads):
    world = AtariWorld(task, num_envs, 11, num_threads=num_threads, step_limit=35)
    frames = record(world, 80)
    names = list(dict.fromkeys(name for name, _ in frames))
    assert len(names) == 3 * num_envs
    for name, start in ((names[num_envs], 13), (names[-1], 0)):
        view = render_network_view(task, replay_of(world, name, start))
        seen = np.stack([frames[name, step] for step in range(start, start + len(view))])
        np.testing.assert_array_equal(view, seen)
        assert len(view) == len(world.episode_actions(name)) - start


def test_episodes_that_the_game_itself_ends_are_rebuilt_to_their_last_action():
    world = AtariWorld("breakout", 2, 0)
    frames = record(world, 450)
    finished = {name for name, _ in frames} - set(world.observe()[1]["episode_seed"].tolist())
    assert len(finished) >= 2
    for name in finished:
        view = render_network_view("breakout", replay_of(world, name))
        np.testing.assert_array_equal(view, np.stack([frames[name, step] for step in range(len(view))]))


@pytest.mark.parametrize("task", GAME_NAMES)
def test_a_clip_in_colour_shows_the_same_moments_and_is_the_same_every_time(task):
    world = AtariWorld(task, 1, 5)
    record(world, 70)
    name = int(world.observe()[1]["episode_seed"][0])
    replay = replay_of(world, name, len(world.episode_actions(name)) // 2)
    clip, view = render_atari_clip(task, replay), render_network_view(task, replay)
    np.testing.assert_array_equal(clip, render_atari_clip(task, replay))
    assert clip.shape == (len(view), 210, 160, 3)
    moving = view.std(axis=0) > 0
    assert moving.any()
    # Only where two frames were pooled can the brightest grey differ from the grey of the brightest colours.
    assert np.mean((_small_and_grey(task, clip) == view)[:, moving]) > 0.95


def _small_and_grey(task, clip):
    grey = np.rint(clip @ np.array([0.299, 0.587, 0.114])).astype(np.uint8)
    small = np.stack([cv2.resize(frame, (84, 84), interpolation=cv2.INTER_AREA) for frame in grey])
    blank(small, small_masks(task))
    return small


def test_the_door_captures_and_renders_a_segment():
    world = AtariWorld("pong", 2, 5, step_limit=40)
    record(world, 60)
    name = int(world.observe()[1]["episode_seed"][1])
    replay = capture_replay(world, episode_seed=name, start=4, length=10)
    clip = render_clip("pong", replay)
    assert clip.shape == (10, 210, 160, 3)
    np.testing.assert_array_equal(clip, render_atari_clip("pong", replay_of(world, name))[4:14])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"start": np.array([9])}, "starts at step 9 of 9"),
        ({"start": np.array([-1])}, "starts at step -1"),
        ({"actions": np.full(9, 17, dtype=np.uint8)}, "action 17"),
    ],
)
def test_impossible_replays_are_refused(change, message):
    replay = {"episode_seed": np.array([1]), "actions": np.zeros(9, dtype=np.uint8), "start": np.array([0])}
    with pytest.raises(WorldError, match=message):
        render_atari_clip("pong", replay | change)


def test_replays_that_lack_a_part_or_outlast_the_game_are_refused():
    replay = {"episode_seed": np.array([1]), "actions": np.ones(600, dtype=np.uint8), "start": np.array([0])}
    with pytest.raises(WorldError, match="lacks episode_seed"):
        render_atari_clip("breakout", {name: replay[name] for name in ("actions", "start")})
    with pytest.raises(WorldError, match="ends after"):
        render_network_view("breakout", replay)
    with pytest.raises(WorldError, match="unknown game"):
        render_network_view("hopper", replay)
