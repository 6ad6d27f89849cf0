"""MuJoCo clips from stored states: the same states, the same pixels. Skipped where nothing can be drawn."""

import ctypes
import itertools
import os
import subprocess
import sys

import mujoco
import numpy as np
import pytest

from envs import WorldError, make_vector_env
from envs.clips import capture_replay, render_clip
from envs.mujoco_clips import SIZES, StateRenderer, check_graphics, close_renderers, render_states
from envs.mujoco_tasks import MUJOCO_TASKS


def why_nothing_can_be_drawn():
    try:
        check_graphics()
    except WorldError as error:
        return str(error)
    return ""


def has_egl():
    try:
        ctypes.CDLL("libEGL.so.1")
    except OSError:
        return False
    return True


needs_graphics = pytest.mark.skipif(bool(why_nothing_can_be_drawn()), reason=why_nothing_can_be_drawn())


@pytest.fixture(autouse=True)
def _no_renderer_is_left():
    yield
    close_renderers()


def record_states(task, steps=3):
    """States of one environment, and what MuJoCo itself holds at the last of them."""
    env = make_vector_env(task, 2, 11, num_threads=1)
    states = [env.reset()[1]["state"][1]]
    env.action_space.seed(0)
    for _ in range(steps):
        for _ in range(5):
            infos = env.step(env.action_space.sample())[4]
        states.append(infos["state"][1])
    return env, np.stack(states)


@needs_graphics
@pytest.mark.parametrize("task", MUJOCO_TASKS)
def test_the_same_states_give_the_same_pixels_again_and_in_a_fresh_renderer(task):
    _, states = record_states(task)
    frames = render_clip(task, {"states": states})
    assert frames.shape == (4, 240, 320, 3)
    np.testing.assert_array_equal(render_clip(task, {"states": states}), frames)
    close_renderers()
    np.testing.assert_array_equal(render_clip(task, {"states": states}), frames)
    for frame, state in zip(frames[::-1], states[::-1], strict=True):
        np.testing.assert_array_equal(render_states(task, state[None])[0], frame)
    assert all(not np.array_equal(one, two) for one, two in itertools.pairwise(frames))


@needs_graphics
@pytest.mark.parametrize("task", MUJOCO_TASKS)
def test_stored_states_are_drawn_like_the_live_simulation(task):
    env, states = record_states(task)
    live = env._simulations._batch.get_data(1)
    mujoco.mj_forward(env._simulations.model, live)
    renderer = StateRenderer(task, "plain")
    renderer._renderer.update_scene(live, camera=renderer._camera)
    expected = renderer._renderer.render()
    renderer.close()
    np.testing.assert_array_equal(render_states(task, states)[-1], expected)


@needs_graphics
def test_the_pretty_style_is_larger_and_repeats_itself_too():
    _, states = record_states("half-cheetah", steps=1)
    frames = render_clip("half-cheetah", {"states": states}, style="pretty")
    assert frames.shape == (2, 480, 640, 3)
    close_renderers()
    np.testing.assert_array_equal(render_clip("half-cheetah", {"states": states}, style="pretty"), frames)
    plain = render_clip("half-cheetah", {"states": states})
    assert (plain[0, :60] == 0).all()
    assert (frames[0, :120] > 0).any()


@needs_graphics
def test_the_camera_follows_the_body():
    _, states = record_states("half-cheetah", steps=1)
    far = states.copy()
    far[:, 0] += 2 * 40 / 60  # the floor's pattern repeats after that distance
    for camera_frames in (render_states("half-cheetah", states), render_states("half-cheetah", far)):
        body = (camera_frames[0, :, :, 0].astype(int) - camera_frames[0, :, :, 2] > 40).nonzero()
        assert 100 < body[1].mean() < 220


@needs_graphics
@pytest.mark.parametrize("task", ["half-cheetah", "hopper", "swimmer", "ant", "walker2d"])
def test_a_runner_has_ground_below_it_however_far_it_has_come(task):
    _, states = record_states(task, steps=0)
    near, moved, far = (states.copy() for _ in range(3))
    moved[:, 0] += 0.2
    far[:, 0] += 800.0  # a whole number of every floor's tiles
    frames = render_states(task, np.concatenate([near, moved, far])).astype(int)
    difference = np.abs(frames - frames[0]).mean(axis=(1, 2, 3))
    assert difference[1] > 1.0  # the ground passes by
    assert difference[2] < 0.5


@needs_graphics
def test_states_of_another_task_are_refused():
    with pytest.raises(WorldError, match=r"give \[length, 18\]"):
        render_states("half-cheetah", np.zeros((2, 12)))


def test_an_unknown_style_is_refused():
    for draw in (render_clip, lambda task, replay, style: render_states(task, replay["states"], style=style)):
        with pytest.raises(WorldError, match="give plain or pretty"):
            draw("hopper", {"states": np.zeros((1, 12))}, style="lavish")
    assert set(SIZES) == {"plain", "pretty"}


def test_missing_graphics_are_answered_with_what_to_install():
    code = (
        "from envs import WorldError\n"
        "from envs.mujoco_clips import check_graphics\n"
        "try:\n    check_graphics()\nexcept WorldError as error:\n    print(error)\n"
    )
    environment = {name: value for name, value in os.environ.items() if not name.endswith("DISPLAY")}
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env=environment | {"MUJOCO_GL": "glfw"},
    )
    assert "no display for GLFW (MUJOCO_GL is glfw)" in done.stdout
    assert "apt-get install libegl1" in done.stdout
    assert "MUJOCO_GL=egl" in done.stdout


@pytest.mark.skipif(not has_egl(), reason="libEGL.so.1 is not installed")
def test_a_machine_without_a_display_draws_through_egl_by_itself():
    code = "from envs.mujoco_clips import check_graphics; print(check_graphics())"
    environment = {name: value for name, value in os.environ.items() if not name.endswith(("DISPLAY", "_GL"))}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment
    )
    assert done.stdout.strip() == "egl"


def test_a_replay_holds_copies_of_the_states():
    env, states = record_states("hopper")
    replay = capture_replay(env, episode_seed=1, start=0, length=4, states=states)
    before = states.copy()
    states[:] = 0
    np.testing.assert_array_equal(replay["states"], before)
    with pytest.raises(WorldError, match="4 states were given for 3 steps"):
        capture_replay(env, episode_seed=1, start=0, length=3, states=states)


def test_a_game_is_captured_as_its_seed_and_actions():
    class Game:
        def episode_actions(self, episode_seed):
            return np.arange(episode_seed, dtype=np.uint8)

    replay = capture_replay(Game(), episode_seed=9, start=2, length=5)
    assert replay["episode_seed"].tolist() == [9]
    assert replay["start"].tolist() == [2]
    assert replay["actions"].tolist() == [0, 1, 2, 3, 4, 5, 6]
    with pytest.raises(WorldError, match="9 steps, not 10"):
        capture_replay(Game(), episode_seed=9, start=2, length=8)


def test_a_foreign_clip_cannot_be_drawn_again():
    assert capture_replay(object(), episode_seed=9, start=2, length=5) == {}
    with pytest.raises(WorldError, match="cannot be drawn again"):
        render_clip("CartPole-v1", {})
    with pytest.raises(WorldError, match="not the states of hopper"):
        render_clip("hopper", {})


def test_a_probe_is_drawn_through_the_same_door():
    frames = render_clip("probe-target", {"states": np.zeros((2, 4))})
    assert frames.shape == (2, 84, 84, 3)
