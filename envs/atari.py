"""Atari games as one batched world: native threads, a seed per episode, four stacked frames, blanked scores.

Unlike the usual wrappers, every episode is a pure function of its own seed and its actions, so that one byte
per step rebuilds it; a first observation is the first frame four times, not padded with black; and no row is
wasted after an episode's end.
"""

from __future__ import annotations

import warnings
import zlib
from typing import Any, Final

import numpy as np
from ale_py import roms
from ale_py.vector_env import AtariVectorEnv
from gymnasium.spaces import Box
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space
from numpy.typing import NDArray

from envs.action_log import ActionLog
from envs.atari_masks import SMALL_SIZE, blank, native_masks, small_masks
from envs.checks import check_opened, check_reset, check_shape
from envs.episode_seeds import checked_seed
from envs.episodes import Episodes, State
from envs.errors import WorldError
from envs.frame_stack import STACKED_FRAMES, Frames, Stacks, roll_stacks, stacked_frames, start_stacks

FRAMES_PER_STEP: Final = 4
STEP_LIMIT: Final = 27_000
"""Steps after which an episode is cut: half an hour of play, 108,000 frames (Machado et al. 2018)."""

Rewards = NDArray[np.float64]
Flags = NDArray[np.bool_]
Step = tuple[Frames, Rewards, Flags, Flags, dict[str, Any]]


def is_atari_game(name: str) -> bool:
    """Whether `name`, small letters with hyphens as in `space-invaders`, is a game of the emulator."""
    return "_" not in name and _rom_name(name) in roms.get_all_rom_ids()


def make_atari_env(
    task: str, num_envs: int, seed: int, *, reward_form: str = "paper", num_threads: int = 0
) -> AtariWorld:
    """The game `task` as `num_envs` environments; `num_threads` 0 means one per core.

    Reward forms: `paper` is the score clipped to -1..1, minus 1 at an episode's end in every game but pong,
    and never says that an episode ended (Christiano et al. 2017, A.2); `native` is the raw score with the
    game's ends as terminations and a cut after 27,000 steps as truncation.

    Raises:
        WorldError: the game is unknown.
    """
    if not is_atari_game(task):
        raise WorldError(f"unknown game {task!r}: use a name such as 'pong' or 'space-invaders'")
    if not native_masks(task):
        warnings.warn(f"{task}: nothing is blanked, its score may be visible", UserWarning, stacklevel=2)
    return AtariWorld(task, num_envs, seed, reward_form=reward_form, num_threads=num_threads)


def make_emulators(task: str, num_envs: int, num_threads: int, **output: Any) -> AtariVectorEnv:
    """The native emulators behind a world and behind its clips: the same episodes, whatever the `output`."""
    return AtariVectorEnv(
        _rom_name(task),
        num_envs,
        num_threads=num_threads,
        frameskip=FRAMES_PER_STEP,
        stack_num=1,
        maxpool=True,
        noop_max=30,
        use_fire_reset=True,
        reward_clipping=False,
        repeat_action_probability=0.0,
        autoreset_mode=AutoresetMode.NEXT_STEP,
        **output,
    )


def check_choices(task: str, actions: NDArray[Any], emulators: AtariVectorEnv) -> None:
    """Refuse actions that the game does not have: emulators never answer them, so that receiving would hang.

    Raises:
        WorldError: there are any.
    """
    if actions.dtype.kind not in "iu":
        raise WorldError(f"actions are {actions.dtype}: {task} takes whole numbers")
    choices = len(emulators.ale.get_action_set())
    wrong = actions[(actions < 0) | (actions >= choices)]
    if wrong.size:
        raise WorldError(f"action {wrong[0]} is unknown to {task}: use 0 to {choices - 1}")


class AtariWorld(VectorEnv[np.ndarray, np.ndarray, np.ndarray]):
    """A batch of one game: observations uint8 [N, 84, 84, 4], oldest frame first, blanked; same-step resets.

    Infos describe the returned observation by `episode_seed` and `episode_step` (int64 [N]), and the step
    just taken by `score` (raw, float64 [N]) and `episode_end` (bool [N]); `final_obs` and `_final_obs` are
    there when an episode ended. Lives are never told.
    """

    exact = True
    score_name = "game score"
    stacked_frames = True
    """The observation's channels are successive frames, oldest first."""

    def __init__(
        self,
        task: str,
        num_envs: int,
        seed: int,
        *,
        reward_form: str = "paper",
        num_threads: int = 0,
        step_limit: int = STEP_LIMIT,
    ) -> None:
        self.task, self.reward_form, self.num_envs = task, reward_form, num_envs
        self.metadata = {"autoreset_mode": AutoresetMode.SAME_STEP}
        frame_limit = step_limit * FRAMES_PER_STEP
        self._emulators = make_emulators(task, num_envs, num_threads, max_num_frames_per_episode=frame_limit)
        self.single_observation_space = Box(0, 255, (SMALL_SIZE, SMALL_SIZE, STACKED_FRAMES), dtype=np.uint8)
        self.single_action_space = self._emulators.single_action_space
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)
        self._masks = small_masks(task)
        self._step_limit = step_limit
        self._penalty = 0.0 if task == "pong" else 1.0
        self._everywhere = np.ones(num_envs, dtype=np.bool_)
        self._episodes = Episodes(seed, num_envs)
        self._log = ActionLog(self._episodes, step_limit)
        self._stacks: Stacks = np.zeros((num_envs, SMALL_SIZE, SMALL_SIZE), dtype=np.uint32)

    def reset(
        self, *, seed: int | list[int | None] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Frames, dict[str, Any]]:
        """Open the next episode everywhere; with a seed, count episodes from the first one of that seed."""
        check_reset(self.task, seed, options)
        if seed is not None:
            self._episodes.reseed(checked_seed(seed))
        self._stacks = start_stacks(self._begin_episodes(self._everywhere))
        return stacked_frames(self._stacks).copy(), self._episodes.infos()

    def step(self, actions: np.ndarray) -> Step:
        """Take one action everywhere, for four emulator frames; an episode that ends is followed by the next.

        Raises:
            WorldError: an action that the game does not have, or another shape or type.
        """
        check_opened(self.task, self._episodes.seeds)
        actions = self._checked(actions)
        frames, points, ended = self._emulate(actions)
        self._log.record(actions)
        self._episodes.steps += 1
        truncated = ended & (self._episodes.steps >= self._step_limit)
        score = points.astype(np.float64)
        infos: dict[str, Any] = {"score": score, "episode_end": ended}
        self._stacks = roll_stacks(self._stacks, frames)
        if ended.any():
            infos |= {"final_obs": stacked_frames(self._stacks).copy(), "_final_obs": ended.copy()}
            self._stacks[ended] = start_stacks(self._begin_episodes(ended)[ended])
        return self._told(score, ended, truncated, infos | self._episodes.infos())

    def observe(self) -> tuple[Frames, dict[str, Any]]:
        """The current observation uint8 [N, 84, 84, 4] with its episodes' seeds and steps."""
        return stacked_frames(self._stacks).copy(), self._episodes.infos()

    def episode_actions(self, episode_seed: int) -> NDArray[np.uint8]:
        """All actions uint8 [n] so far of an episode that is open, or finished and not forgotten yet."""
        return self._log.of_episode(episode_seed)

    def forget_finished_episodes(self) -> None:
        """Free the actions of finished episodes."""
        self._log.forget_finished()

    def get_state(self) -> State:
        """Return everything that is needed to continue bit for bit, as arrays; no pictures."""
        own = {"task": np.array(self.task), "checksum": self._checksums()}
        check_opened(self.task, self._episodes.seeds)
        return self._episodes.get_state() | self._log.get_state() | own

    def set_state(self, state: State) -> None:
        """Continue from a state of `get_state`: open episodes are played again from their seeds and actions.

        Raises:
            WorldError: the state is of another game or number of environments, or plays differently here.
        """
        if str(state["task"]) != self.task:
            raise WorldError(f"the saved state is of {state['task']}, this world is {self.task}")
        self._episodes.set_state(state)
        self._log.set_state(state)
        self._play_again()
        if not np.array_equal(self._checksums(), state["checksum"]):
            raise WorldError("the saved episodes play differently here: use the ale-py that saved them")

    def close_extras(self, **kwargs: Any) -> None:
        """Stop the emulators."""
        self._emulators.close(**kwargs)

    def _play_again(self) -> None:
        # The emulators only step together, so shorter histories begin later and all arrive at the same time.
        # Until then they step along in any state: seed -1 resets them without loading the game.
        steps, seeds = self._episodes.steps, self._episodes.seeds
        waits = steps.max() - steps
        self._stacks = start_stacks(self._emulate_reset(self._everywhere, np.where(waits == 0, seeds, -1)))
        for tick in range(int(steps.max())):
            frames, _, _ = self._emulate(self._log.at(tick - waits))
            self._stacks = roll_stacks(self._stacks, frames)
            begins = waits == tick + 1
            if begins.any():
                self._stacks[begins] = start_stacks(self._emulate_reset(begins, seeds[begins])[begins])

    def _begin_episodes(self, where: Flags) -> Frames:
        (environments,) = np.nonzero(where)
        self._log.finish(environments)
        return self._emulate_reset(where, self._episodes.begin(environments))

    def _emulate_reset(self, where: Flags, seeds: NDArray[np.int64]) -> Frames:
        # Seeding loads the game anew, which takes 0.1 s of one core: the price of exact replays.
        options = None if where.all() else {"reset_mask": where}
        frames, _ = self._emulators.reset(seed=seeds, options=options)
        return self._blanked(frames)

    def _emulate(self, actions: NDArray[np.int64]) -> tuple[Frames, NDArray[np.int32], Flags]:
        frames, points, terminated, truncated, _ = self._emulators.step(actions)
        return self._blanked(frames), points, terminated | truncated

    def _blanked(self, frames: Frames) -> Frames:
        frames = frames[:, 0]
        blank(frames, self._masks)
        return frames

    def _told(self, score: Rewards, ended: Flags, truncated: Flags, infos: dict[str, Any]) -> Step:
        observation = stacked_frames(self._stacks).copy()
        if self.reward_form == "native":
            return observation, score.copy(), ended & ~truncated, truncated, infos
        reward = np.clip(score, -1.0, 1.0) - self._penalty * ended
        return observation, reward, np.zeros_like(ended), np.zeros_like(ended), infos

    def _checked(self, actions: np.ndarray) -> NDArray[np.int64]:
        actions = np.asarray(actions)
        check_shape(self.task, actions, self.action_space.shape)
        check_choices(self.task, actions, self._emulators)
        return actions.astype(np.int64)

    def _checksums(self) -> NDArray[np.uint32]:
        return np.array([zlib.crc32(stack) for stack in self._stacks], dtype=np.uint32)


def _rom_name(task: str) -> str:
    return task.replace("-", "_")
