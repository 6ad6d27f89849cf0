"""Nothing on the blanked screen tells score or lives, and nothing else is blanked."""

import warnings

import cv2
import numpy as np
import pytest
from ale_py import Action, ALEInterface, LoggerMode, roms

from envs import make_vector_env
from envs.atari import AtariWorld, make_emulators
from envs.atari_masks import NATIVE_MASKS, blank, native_masks, small_masks
from envs.tasks import GAME_NAMES

DIGITS = (0x00, 0x01, 0x15, 0x37, 0x99)

MEMORY = {
    "beam-rider": {9: DIGITS, 10: DIGITS, 11: DIGITS, 84: range(16), 5: range(14)},
    "breakout": {76: DIGITS, 77: DIGITS, 57: range(1, 6)},
    "enduro": {40: DIGITS, 41: DIGITS, 42: DIGITS, 43: DIGITS, 44: DIGITS, 45: range(1, 6)},
    "pong": {13: range(21), 14: range(21)},
    "qbert": {89: DIGITS, 90: DIGITS, 91: DIGITS, 8: range(5)},
    "seaquest": {56: DIGITS, 57: DIGITS, 58: DIGITS, 59: range(7)},
    "space-invaders": {102: DIGITS, 104: DIGITS, 73: range(1, 4)},
}
"""Where each game keeps score, lives and the other blanked numbers in its 128 bytes, with possible values."""


def small(frame):
    return cv2.resize(frame, (84, 84), interpolation=cv2.INTER_AREA)


def blanked(frames, masks):
    copy = frames.copy()
    blank(copy, masks)
    return copy


def start(task):
    emulator = ALEInterface()
    emulator.setFloat("repeat_action_probability", 0.0)
    emulator.setInt("random_seed", 0)
    emulator.loadROM(roms.get_rom_path(task.replace("-", "_")))
    return emulator


def play(emulator, steps):
    choices = emulator.getMinimalActionSet()
    for choice in np.random.default_rng(0).integers(len(choices), size=steps).repeat(4):
        emulator.act(choices[choice])


def screens(emulator, address, values):
    """Screens two frames after each of `values` was written to `address`: in colour, and small and grey."""
    saved = emulator.cloneState()
    colour, grey = [], []
    for value in values:
        emulator.restoreState(saved)
        emulator.setRAM(address, value)
        emulator.act(Action.NOOP)
        emulator.act(Action.NOOP)
        colour.append(emulator.getScreenRGB())
        grey.append(small(emulator.getScreenGrayscale()))
    emulator.restoreState(saved)
    return np.stack(colour), np.stack(grey)


@pytest.fixture(autouse=True)
def _quiet_emulator():
    ALEInterface.setLoggerMode(LoggerMode.Error)


@pytest.mark.parametrize("task", GAME_NAMES)
def test_other_scores_and_lives_in_memory_leave_the_blanked_screen_unchanged(task):
    assert NATIVE_MASKS.keys() == MEMORY.keys() == set(GAME_NAMES)
    emulator = start(task)
    # Space Invaders shows its lives only as the game begins and after each loss.
    play(emulator, 0 if task == "space-invaders" else 60)
    for address, values in MEMORY[task].items():
        colour, grey = screens(emulator, address, values)
        for frames, masks in ((colour, native_masks(task)), (grey, small_masks(task))):
            assert all((frame != frames[0]).any() for frame in frames[1:]), address
            after = blanked(frames, masks)
            assert (after == after[0]).all(), address


@pytest.mark.parametrize("task", GAME_NAMES)
@pytest.mark.parametrize(("masks_of", "shape"), [(native_masks, (210, 160, 3)), (small_masks, (84, 84))])
def test_every_pixel_inside_the_rectangles_is_black_and_every_other_untouched(task, masks_of, shape):
    frames = np.random.default_rng(0).integers(200, 256, (3, *shape), dtype=np.uint8)
    after = blanked(frames, masks_of(task))
    inside = np.zeros(shape[:2], dtype=bool)
    for top, bottom, left, right, *_ in masks_of(task):
        inside[top:bottom, left:right] = True
    assert (after[:, inside] == 0).all()
    np.testing.assert_array_equal(after[:, ~inside], frames[:, ~inside])
    assert 0 < inside.mean() < 0.05


@pytest.mark.parametrize("task", GAME_NAMES)
def test_small_masks_are_just_the_small_pixels_that_a_masked_pixel_reaches(task):
    for native, shrunk in zip(native_masks(task), small_masks(task), strict=True):
        screen, expected = np.zeros((210, 160), dtype=np.uint8), np.zeros((84, 84), dtype=bool)
        screen[native.top : native.bottom, native.left : native.right] = 255
        expected[shrunk.top : shrunk.bottom, shrunk.left : shrunk.right] = True
        np.testing.assert_array_equal(small(screen) > 0, expected)


@pytest.mark.parametrize("task", GAME_NAMES)
def test_the_world_shows_the_emulators_own_small_picture_with_the_rectangles_blanked(task):
    world = AtariWorld(task, 1, 3)
    _, infos = world.reset()
    emulators = [make_emulators(task, 1, 1), make_emulators(task, 1, 1, img_height=210, img_width=160)]
    for emulator in emulators:
        emulator.reset(seed=infos["episode_seed"])
    generator = np.random.default_rng(0)
    for _ in range(60):
        actions = generator.integers(int(world.single_action_space.n), size=1)
        observation, _, _, _, infos = world.step(actions)
        plain, screen = (emulator.step(actions)[0][:, 0] for emulator in emulators)
        if infos["episode_end"].any():
            break
        np.testing.assert_array_equal(observation[..., 3], blanked(plain, small_masks(task)))
        np.testing.assert_array_equal(plain, np.stack([small(frame) for frame in screen]))
        for top, bottom, left, right, _, sometimes in small_masks(task):
            assert sometimes or (observation[:, top:bottom, left:right] == 0).all()


def test_the_number_of_lives_is_blanked_while_it_shows_and_the_cannon_otherwise_stays():
    task = "space-invaders"
    sizes = ({}, {"grayscale": False, "img_height": 210, "img_width": 160})
    grey, colour = (make_emulators(task, 2, 1, **size) for size in sizes)
    pictures = [emulators.reset(seed=np.arange(2))[0][:, 0] for emulators in (grey, colour)]
    generator, seen = np.random.default_rng(0), []
    for _ in range(300):
        shows = (pictures[1][:, 185:195, 84:96] == (162, 134, 56)).all(axis=-1).any(axis=(1, 2))
        for frames, mask in zip(pictures, (small_masks(task)[1], native_masks(task)[1]), strict=True):
            after = blanked(frames, (mask,))
            assert (after[shows, mask.top : mask.bottom, mask.left : mask.right] == 0).all()
            np.testing.assert_array_equal(after[~shows], frames[~shows])
        seen.append(shows)
        actions = np.where(generator.random(2) < 0.5, 2, generator.integers(6, size=2))
        pictures = [emulators.step(actions)[0][:, 0] for emulators in (grey, colour)]
    assert 0.01 < np.mean(seen) < 0.5


def test_an_unknown_game_warns_that_nothing_is_blanked():
    with pytest.warns(UserWarning, match="ms-pacman: nothing is blanked"):
        make_vector_env("ms-pacman", 1, 0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for task in GAME_NAMES:
            make_vector_env(task, 1, 0)
