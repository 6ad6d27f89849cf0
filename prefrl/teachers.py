"""Teachers: whoever says which segments are better, or how good one is.

Scripted teachers answer at once from true rewards. A person answers through the store, when they like.
"""

from __future__ import annotations

from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import ArrayLike

from prefrl.errors import UsageError
from prefrl.scripted_judgements import Floats, Integers
from prefrl.scripted_teacher import ScriptedTeacher
from prefrl.teacher_config import SCRIPTED_TEACHERS, TeacherConfig

__all__ = [
    "SCRIPTED_TEACHERS",
    "TEACHER_NAMES",
    "HumanTeacher",
    "ScriptedTeacher",
    "ShuffledTeacher",
    "Teacher",
    "TeacherConfig",
    "make_teacher",
]

TEACHER_NAMES: Final = (*SCRIPTED_TEACHERS, "shuffled", "human")
NOT_AT_ONCE: Final = "a person answers through the store, not at once: ask answers_at_once first"


class Teacher(Protocol):
    """Whoever answers. The loop asks ``answers_at_once`` first: if false, answers come through the store."""

    @property
    def answers_at_once(self) -> bool:
        """Whether ``answer`` may be called."""
        ...

    def answer(
        self,
        left_rewards: ArrayLike,
        right_rewards: ArrayLike,
        *,
        lengths: ArrayLike | None = None,
        candidate_std: float | None = None,
    ) -> Floats:
        """The preference for each pair, ``[n]``: 1 left, 0 right, 1/2 equal, NaN skip.

        Args:
            left_rewards: ``[n, L]``, true reward of each step of the left segments.
            right_rewards: ``[n, L]``, of the right ones.
            lengths: ``[n, 2]``, steps of the left and the right segment; what lies beyond has no influence.
            candidate_std: standard deviation of the true segment return over the candidates the pairs were
                selected from; by default over the segments of these pairs.
        """
        ...

    def rank(
        self, rewards: ArrayLike, *, lengths: ArrayLike | None = None, candidate_std: float | None = None
    ) -> Integers:
        """The places of each set's items, best first, ``[n, k]``; −1 throughout: skip.

        Args:
            rewards: ``[n, k, L]``, true reward of each step.
            lengths: ``[n, k]``, steps of each segment; what lies beyond has no influence.
            candidate_std: as for ``answer``.
        """
        ...

    def grade(
        self,
        rewards: ArrayLike,
        *,
        grades: int,
        candidates: ArrayLike | None = None,
        lengths: ArrayLike | None = None,
    ) -> Integers:
        """How good each segment is, ``[n]`` in 0 .. grades − 1, larger is better; −1: skip.

        Args:
            rewards: ``[n, L]``, true reward of each step.
            grades: 2 for likes, 10 for ratings; the same at every call.
            candidates: ``[c, L]``, of the candidates that these were selected from, which set the standard;
                by default those of earlier calls, or without any these segments.
            lengths: ``[n]``, steps of each segment; what lies beyond has no influence.
        """
        ...

    def set_episode_statistics(self, mean_return: float, horizon: float) -> None:
        """Mean true return of the last 10 episodes, and steps per episode."""
        ...

    def state_dict(self) -> dict[str, Any]:
        """All that a resumed run needs to get the same answers."""
        ...

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continues from ``state_dict``."""
        ...


def make_teacher(name: str, rng: np.random.Generator) -> Teacher:
    """The teacher of that name; ``shuffled`` is the control that answers the oracle's labels shuffled.

    Raises:
        UsageError: there is no such teacher.
    """
    if name == "human":
        return HumanTeacher()
    if name == "shuffled":
        return ShuffledTeacher(ScriptedTeacher(SCRIPTED_TEACHERS["oracle"], rng), rng)
    if name in SCRIPTED_TEACHERS:
        return ScriptedTeacher(SCRIPTED_TEACHERS[name], rng)
    raise UsageError(f"unknown teacher {name!r}: choose from {', '.join(TEACHER_NAMES)}")


class ShuffledTeacher:
    """A control: the answers of another teacher, detached from their pairs. Nothing can be learnt from it.

    Answers are permuted within the call, then left and right swapped by a coin, orders read of other items,
    grades turned round by a coin: the permutation alone would give the truth away where a call has one query.
    """

    def __init__(self, teacher: Teacher, rng: np.random.Generator) -> None:
        self._teacher = teacher
        self._rng = rng

    @property
    def answers_at_once(self) -> bool:
        """As the other teacher."""
        return self._teacher.answers_at_once

    def set_episode_statistics(self, mean_return: float, horizon: float) -> None:
        """Passed on to the other teacher."""
        self._teacher.set_episode_statistics(mean_return, horizon)

    def answer(
        self,
        left_rewards: ArrayLike,
        right_rewards: ArrayLike,
        *,
        lengths: ArrayLike | None = None,
        candidate_std: float | None = None,
    ) -> Floats:
        """See ``Teacher.answer``."""
        answers = self._teacher.answer(
            left_rewards, right_rewards, lengths=lengths, candidate_std=candidate_std
        )
        permuted = self._rng.permutation(answers)
        return np.where(self._rng.random(len(permuted)) < 0.5, permuted, 1.0 - permuted)

    def rank(
        self, rewards: ArrayLike, *, lengths: ArrayLike | None = None, candidate_std: float | None = None
    ) -> Integers:
        """See ``Teacher.rank``."""
        orders = self._rng.permutation(
            self._teacher.rank(rewards, lengths=lengths, candidate_std=candidate_std)
        )
        others = self._rng.permuted(np.broadcast_to(np.arange(orders.shape[1]), orders.shape), axis=1)
        return np.where(orders < 0, orders, np.take_along_axis(others, np.maximum(orders, 0), axis=1))

    def grade(
        self,
        rewards: ArrayLike,
        *,
        grades: int,
        candidates: ArrayLike | None = None,
        lengths: ArrayLike | None = None,
    ) -> Integers:
        """See ``Teacher.grade``."""
        found = self._teacher.grade(rewards, grades=grades, candidates=candidates, lengths=lengths)
        permuted = self._rng.permutation(found)
        turned = (self._rng.random(len(permuted)) < 0.5) & (permuted >= 0)
        return np.where(turned, grades - 1 - permuted, permuted)

    def state_dict(self) -> dict[str, Any]:
        """The state of the other teacher and of the generator."""
        return {"teacher": self._teacher.state_dict(), "generator": self._rng.bit_generator.state}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continues from ``state_dict``."""
        self._teacher.load_state_dict(state["teacher"])
        self._rng.bit_generator.state = state["generator"]


class HumanTeacher:
    """A person. Queries go into the store and answers come out of it; nothing is ever waited for."""

    answers_at_once: Final = False

    def set_episode_statistics(self, mean_return: float, horizon: float) -> None:
        """People need no statistics."""

    def answer(
        self,
        left_rewards: ArrayLike,  # noqa: ARG002
        right_rewards: ArrayLike,  # noqa: ARG002
        *,
        lengths: ArrayLike | None = None,  # noqa: ARG002
        candidate_std: float | None = None,  # noqa: ARG002
    ) -> Floats:
        """Never called: a person is not shown rewards.

        Raises:
            RuntimeError: always.
        """
        raise RuntimeError(NOT_AT_ONCE)

    def rank(
        self,
        rewards: ArrayLike,  # noqa: ARG002
        *,
        lengths: ArrayLike | None = None,  # noqa: ARG002
        candidate_std: float | None = None,  # noqa: ARG002
    ) -> Integers:
        """Never called; raises RuntimeError."""
        raise RuntimeError(NOT_AT_ONCE)

    def grade(
        self,
        rewards: ArrayLike,  # noqa: ARG002
        *,
        grades: int,  # noqa: ARG002
        candidates: ArrayLike | None = None,  # noqa: ARG002
        lengths: ArrayLike | None = None,  # noqa: ARG002
    ) -> Integers:
        """Never called; raises RuntimeError."""
        raise RuntimeError(NOT_AT_ONCE)

    def state_dict(self) -> dict[str, Any]:
        """Empty: what a person has answered is in the store."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Nothing to continue from."""
