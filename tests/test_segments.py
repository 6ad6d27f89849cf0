"""Segments: where they may be cut, what of a rollout they hold, how they are kept and written."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from gymnasium.spaces import Box, Discrete, Space
from hypothesis import given, settings
from hypothesis import strategies as st

from prefrl.control.layouts import Layout, layout_of, leading_shape, network_inputs, unstored_inputs
from prefrl.control.rollouts import Rollout
from prefrl.control.segment_bank import CandidateItems, SegmentBank
from prefrl.control.segment_files import load_replay, load_segments, save_segment
from prefrl.control.segments import ARRAYS, Segments, cut_segments, possible_starts
from prefrl.errors import UsageError

CPU = torch.device("cpu")
STEPS, ENVS, LENGTH = 12, 3, 4
FRAMES = Box(0, 255, (5, 6, 4), np.uint8)
FEATURES = Layout("features", (5,))
seeds = st.integers(0, 2**16)


class Recorder:
    """A world that keeps the actions of each episode: action k of episode s is 10 s + k, modulo 256."""

    def episode_actions(self, episode_seed: int) -> np.ndarray:
        return (10 * episode_seed + np.arange(50)).astype(np.uint8)


def a_rollout(
    observation_space: Space, action_space: Space, *, seed: int = 0, with_state: bool = False
) -> Rollout:
    """Noise, with episodes that end at random and frames stacked as a world stacks them."""
    rng = np.random.default_rng(seed)
    end = rng.random((STEPS, ENVS)) < 0.15
    episode = np.zeros((STEPS, ENVS), np.int64)
    step = np.zeros((STEPS, ENVS), np.int64)
    episode[0], step[0] = np.arange(ENVS) + 1, 7
    for t in range(1, STEPS):
        episode[t] = np.where(end[t - 1], episode[t - 1] + 10, episode[t - 1])
        step[t] = np.where(end[t - 1], 0, step[t - 1] + 1)
    if isinstance(action_space, Discrete):
        action = rng.integers(0, action_space.n, (STEPS, ENVS))
        world_action = action + action_space.start
    else:
        action = world_action = rng.normal(size=(STEPS, ENVS, *action_space.shape)).astype(np.float32)
    zeros = np.zeros((STEPS, ENVS))
    return Rollout(
        observation=observations(observation_space, episode, step, rng),
        action=action,
        world_action=world_action,
        log_prob=zeros,
        value=zeros,
        next_value=zeros,
        terminated=end,
        end=end,
        episode_end=end,
        true_reward=rng.normal(size=(STEPS, ENVS)),
        score=zeros,
        episode_seed=episode,
        episode_step=step,
        state=rng.normal(size=(STEPS, ENVS, 9)) if with_state else None,
    )


def observations(space: Space, episode: np.ndarray, step: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    if space.dtype != np.uint8:
        return rng.normal(size=(STEPS, ENVS, *space.shape)).astype(np.float32)
    height, width, channels = space.shape  # type: ignore[misc]
    stacks = np.empty((STEPS, ENVS, *space.shape), np.uint8)
    for t, i in np.ndindex(STEPS, ENVS):
        for channel in range(channels):
            shown = max(0, step[t, i] - (channels - 1 - channel))
            frame = np.random.default_rng([episode[t, i], shown])
            stacks[t, i, ..., channel] = frame.integers(0, 256, (height, width))
    return stacks


def cut(
    rollout: Rollout, layout: Layout, *, count: int = 1000, env: object = None, seed: int = 0
) -> Segments:
    rng = np.random.default_rng(seed)
    return cut_segments(rollout, layout, env, length=LENGTH, count=count, step=77, rng=rng)


def some_segments(*, count: int = 3, seed: int = 0) -> Segments:
    box = Box(-1, 1, (3,))
    rollout = a_rollout(box, Box(-1, 1, (2,)), seed=seed, with_state=True)
    return cut(rollout, FEATURES, count=count, seed=seed)


def origins(rollout: Rollout, segments: Segments) -> list[tuple[int, int]]:
    """Where in the rollout each segment was cut."""
    keys = {
        (int(rollout.episode_seed[t, i]), int(rollout.episode_step[t, i])): (t, i)
        for t, i in np.ndindex(STEPS, ENVS)
    }
    return [keys[int(s), int(b)] for s, b in zip(segments.episode_seed, segments.start, strict=True)]


# Where segments may be cut.


@given(seed=seeds, steps=st.integers(1, 12), length=st.integers(1, 14), often=st.floats(0, 1))
def test_starts_are_all_those_whose_segment_spans_no_episode_end(
    seed: int, steps: int, length: int, often: float
) -> None:
    ends = np.random.default_rng(seed).random((steps, 2)) < often
    expected = {
        (t, i)
        for t, i in np.ndindex(steps, 2)
        if t + length <= steps and not ends[t : t + length - 1, i].any()
    }
    starts = possible_starts(ends, length)
    assert starts.shape == (len(expected), 2)
    assert {(int(t), int(i)) for t, i in starts} == expected


@given(seed=seeds, count=st.integers(0, 60))
def test_segments_are_distinct_pieces_of_one_episode_each(seed: int, count: int) -> None:
    rollout = a_rollout(Box(-1, 1, (3,)), Box(-1, 1, (2,)), seed=seed)
    segments = cut(rollout, FEATURES, count=count, seed=seed)
    possible = possible_starts(rollout.episode_end, LENGTH)
    assert len(segments) == min(count, len(possible))
    where = origins(rollout, segments)
    assert len(set(where)) == len(segments)
    for row, (t, i) in enumerate(where):
        assert len(set(rollout.episode_seed[t : t + LENGTH, i])) == 1
        np.testing.assert_array_equal(segments.true_reward[row], rollout.true_reward[t : t + LENGTH, i])
    assert (segments.policy_step == 77).all()


def test_every_possible_segment_of_every_environment_is_cut_equally_often() -> None:
    rollout = a_rollout(Box(-1, 1, (3,)), Box(-1, 1, (2,)))
    possible = possible_starts(rollout.episode_end, LENGTH)
    counts = dict.fromkeys([(int(t), int(i)) for t, i in possible], 0)
    for seed in range(600):
        for where in origins(rollout, cut(rollout, FEATURES, count=3, seed=seed)):
            counts[where] += 1
    expected = 1800 / len(possible)
    assert max(abs(n - expected) for n in counts.values()) < 5 * np.sqrt(expected)


def test_a_rollout_shorter_than_a_segment_or_full_of_ends_has_none() -> None:
    rollout = a_rollout(Box(-1, 1, (3,)), Box(-1, 1, (2,)))
    rng = np.random.default_rng(0)
    short = cut_segments(rollout, FEATURES, None, length=STEPS + 1, count=5, step=0, rng=rng)
    rollout.episode_end[:] = True
    assert len(short) == len(cut(rollout, FEATURES)) == 0
    assert short.inputs.shape == (0, STEPS + 1, 5)


def test_segments_keep_nothing_of_the_rollout_alive() -> None:
    for space, layout in ((Box(-1, 1, (3,)), FEATURES), (FRAMES, Layout("stack", FRAMES.shape))):
        rollout = a_rollout(space, Box(-1, 1, (2,)), with_state=True)
        segments = cut(rollout, layout)
        states = [replay["states"] for replay in segments.replays]
        for own in (*(getattr(segments, name) for name in ARRAYS), *states):
            for array in (rollout.observation, rollout.true_reward, rollout.state, rollout.episode_seed):
                assert not np.shares_memory(own, array)


# What the network sees.


def seen(layout: Layout, segments: Segments) -> np.ndarray:
    return unstored_inputs(layout, torch.from_numpy(segments.inputs)).numpy()


@pytest.mark.parametrize("stacked", [True, False])
@given(seed=seeds)
@settings(max_examples=20)
def test_frames_come_back_as_they_were_recorded(stacked: bool, seed: int) -> None:
    rollout = a_rollout(FRAMES, Discrete(3), seed=seed)
    layout = layout_of(FRAMES, Discrete(3), stacked_frames=stacked)
    segments = cut(rollout, layout, seed=seed)
    frames = (LENGTH + 3, 5, 6) if stacked else (LENGTH, 5, 6, 4)
    assert segments.inputs.shape[1:] == frames
    for row, (t, i) in enumerate(origins(rollout, segments)):
        np.testing.assert_array_equal(seen(layout, segments)[row], rollout.observation[t : t + LENGTH, i])


def test_features_are_the_observation_and_the_action_in_the_worlds_units() -> None:
    rollout = a_rollout(Box(-1, 1, (3,)), Box(-1, 1, (2,)))
    rollout.world_action = rollout.action * 3.0
    layout = layout_of(Box(-1, 1, (3,)), Box(-1, 1, (2,)), stacked_frames=False)
    assert layout == FEATURES
    segments = cut(rollout, layout)
    assert segments.inputs.dtype == np.float32
    for row, (t, i) in enumerate(origins(rollout, segments)):
        part = (slice(t, t + LENGTH), i)
        np.testing.assert_array_equal(segments.inputs[row, :, :3], rollout.observation[part])
        np.testing.assert_array_equal(segments.inputs[row, :, 3:], rollout.world_action[part])


@pytest.mark.parametrize("start", [0, 5, -1])
def test_discrete_actions_are_one_hot_whatever_they_count_from(start: int) -> None:
    space = Discrete(3, start=start)
    rollout = a_rollout(Box(-1, 1, (2, 2)), space)
    layout = layout_of(Box(-1, 1, (2, 2)), space, stacked_frames=False)
    assert layout.shape == (7,)
    segments = cut(rollout, layout)
    for row, (t, i) in enumerate(origins(rollout, segments)):
        part = (slice(t, t + LENGTH), i)
        np.testing.assert_array_equal(segments.inputs[row, :, :4], rollout.observation[part].reshape(-1, 4))
        np.testing.assert_array_equal(segments.inputs[row, :, 4:], np.eye(3)[rollout.action[part]])


@pytest.mark.parametrize(
    ("observation_space", "action_space", "stacked"),
    [
        (Box(-1, 1, (3,)), Box(-1, 1, (2,)), False),
        (Box(-1, 1, (2, 2)), Discrete(3), False),
        (FRAMES, Discrete(3), True),
        (FRAMES, Box(-1, 1, (2,)), False),
    ],
)
def test_the_reward_of_a_rollout_sees_what_the_reward_of_its_segments_sees(
    observation_space: Space, action_space: Space, stacked: bool
) -> None:
    rollout = a_rollout(observation_space, action_space)
    layout = layout_of(observation_space, action_space, stacked_frames=stacked)
    assert leading_shape(layout, rollout.observation, rollout.world_action) == (STEPS, ENVS)
    whole = network_inputs(layout, rollout.observation, rollout.world_action)
    assert whole.shape == (STEPS, ENVS, *layout.shape)
    segments = cut(rollout, layout)
    for row, (t, i) in enumerate(origins(rollout, segments)):
        np.testing.assert_array_equal(seen(layout, segments)[row], whole[t : t + LENGTH, i])


# What redraws a segment.


def test_a_segment_is_redrawn_from_the_states_where_its_steps_were_taken() -> None:
    rollout = a_rollout(Box(-1, 1, (3,)), Box(-1, 1, (2,)), with_state=True)
    assert rollout.state is not None
    segments = cut(rollout, FEATURES, env=Recorder())
    for replay, (t, i) in zip(segments.replays, origins(rollout, segments), strict=True):
        assert set(replay) == {"states"}
        np.testing.assert_array_equal(replay["states"], rollout.state[t : t + LENGTH, i])


def test_a_segment_is_redrawn_from_its_episodes_seed_and_actions_up_to_its_end() -> None:
    rollout = a_rollout(FRAMES, Discrete(3))
    segments = cut(rollout, Layout("stack", FRAMES.shape), env=Recorder())
    for replay, (t, i) in zip(segments.replays, origins(rollout, segments), strict=True):
        seed, start = rollout.episode_seed[t, i], rollout.episode_step[t, i]
        assert (replay["episode_seed"], replay["start"]) == (seed, start)
        expected = Recorder().episode_actions(int(seed))[: start + LENGTH]
        np.testing.assert_array_equal(replay["actions"], expected)


def test_worlds_that_cannot_redraw_leave_nothing() -> None:
    segments = cut(a_rollout(FRAMES, Discrete(3)), Layout("stack", FRAMES.shape), env=object())
    assert segments.replays == [{}] * len(segments)


# Batches of segments.


def assert_equal(left: Segments, right: Segments) -> None:
    for name in ARRAYS:
        a, b = getattr(left, name), getattr(right, name)
        assert a.dtype == b.dtype
        np.testing.assert_array_equal(a, b)
    for mine, other in zip(left.replays, right.replays, strict=True):
        assert set(mine) == set(other)
        for name in mine:
            np.testing.assert_array_equal(mine[name], other[name])


def test_what_is_joined_can_be_taken_apart() -> None:
    parts = [some_segments(count=n, seed=n) for n in (1, 4, 2)]
    joined = Segments.join(parts)
    assert len(joined) == 7
    assert_equal(joined.take(np.arange(1, 5)), parts[1])
    assert_equal(joined.take(np.array([6, 0])), Segments.join([parts[2].take(np.array([1])), parts[0]]))


def test_taken_segments_are_copies() -> None:
    segments = some_segments()
    taken = segments.take(np.arange(3))
    taken.inputs[:] = 0.0
    assert segments.inputs.any()


# The bank.


@given(sizes=st.lists(st.integers(1, 7), min_size=1, max_size=8))
def test_a_bank_grows_without_moving_its_rows(sizes: list[int]) -> None:
    bank, expected = SegmentBank(FEATURES, CPU), []
    for number, size in enumerate(sizes):
        segments = some_segments(count=size, seed=number)
        rows = bank.add([f"{number}-{i}" for i in range(size)], segments)
        assert rows.tolist() == list(range(len(expected), len(expected) + size))
        expected.extend(segments.inputs)
        np.testing.assert_array_equal(bank.inputs(torch.arange(len(bank))), np.stack(expected))
    assert len(bank) == sum(sizes) == len(set(bank.ids))
    assert bank.mask(torch.arange(len(bank))) is None


def test_a_bank_is_copied_seldom() -> None:
    bank, storages = SegmentBank(FEATURES, CPU), set()
    for number in range(64):
        bank.add([str(number)], some_segments(count=1, seed=number))
        storages.add(len(bank._storage))  # type: ignore[arg-type]
    assert storages == {1, 2, 4, 8, 16, 32, 64}


def test_candidates_are_seen_as_the_bank_would_show_them() -> None:
    layout = Layout("stack", FRAMES.shape)
    segments = cut(a_rollout(FRAMES, Discrete(3)), layout)
    bank, rows = SegmentBank(layout, CPU), torch.tensor([3, 0, 3])
    bank.add([str(i) for i in range(len(segments))], segments)
    candidates = CandidateItems(layout, segments, CPU)
    assert torch.equal(candidates.inputs(rows), bank.inputs(rows))
    assert candidates.inputs(rows).shape == (3, LENGTH, *FRAMES.shape)
    assert candidates.mask(rows) is None


# On disk.


def test_segments_come_back_from_disk_as_they_were(tmp_path: Path) -> None:
    segments = some_segments()
    for row, name in enumerate("abc"):
        save_segment(tmp_path, name, segments, row)
    assert_equal(load_segments(tmp_path, ["a", "b", "c"]), segments)
    assert_equal(load_segments(tmp_path, ["c", "a"]), segments.take(np.array([2, 0])))
    np.testing.assert_array_equal(load_replay(tmp_path, "b")["states"], segments.replays[1]["states"])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.npz", "b.npz", "c.npz"]


def test_replays_of_single_numbers_come_back_from_disk(tmp_path: Path) -> None:
    segments = cut(a_rollout(FRAMES, Discrete(3)), Layout("stack", FRAMES.shape), env=Recorder(), count=1)
    save_segment(tmp_path, "a", segments, 0)
    assert_equal(load_segments(tmp_path, ["a"]), segments)


def test_a_missing_segment_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"gone\.npz is missing or damaged"):
        load_segments(tmp_path, ["gone"])


def test_a_damaged_segment_is_named_and_never_taken_for_whole(tmp_path: Path) -> None:
    segments, path = some_segments(count=1), tmp_path / "a.npz"
    save_segment(tmp_path, "a", segments, 0)
    whole, rng, refused = path.read_bytes(), np.random.default_rng(0), 0
    for attempt in range(300):
        content = bytearray(whole)
        if attempt < 50:
            content = content[: int(rng.integers(0, len(whole)))]
        else:
            content[int(rng.integers(0, len(whole)))] ^= int(rng.integers(1, 256))
        path.write_bytes(content)
        try:
            loaded = load_segments(tmp_path, ["a"])
        except UsageError:
            refused += 1
        else:
            # Some bytes of a zip file mean nothing, dates for instance.
            assert_equal(loaded, segments)
    assert refused > 200


@pytest.mark.parametrize("content", [b"", b"PK", b"not a zip file at all"])
def test_foreign_bytes_are_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "a.npz").write_bytes(content)
    with pytest.raises(UsageError, match=r"a\.npz is missing or damaged"):
        load_segments(tmp_path, ["a"])


def test_a_file_that_would_run_code_is_refused(tmp_path: Path) -> None:
    objects: Any = {name: np.array([{}], dtype=object) for name in ARRAYS}
    np.savez(tmp_path / "a.npz", **objects)
    with pytest.raises(UsageError, match="missing or damaged"):
        load_segments(tmp_path, ["a"])


def test_a_full_disk_is_told_in_one_line_and_leaves_no_torn_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(UsageError, match=r"cannot write segment .*a\.npz: No space left on device; free"):
        save_segment(tmp_path, "a", some_segments(), 0)
    assert list(tmp_path.iterdir()) == []
