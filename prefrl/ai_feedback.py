"""AI feedback: a teacher made of written principles, which several critics apply and vote on.

Bai et al. 2022 (arXiv 2212.08073): a principle is put to a judge in one of several wordings, and its
preferences are averaged. A critic here is anything that can be called: a rule, or a local model behind a
prompt. It never sees the true reward, only the items themselves. What models do wrong is measured, not
assumed: each pair is shown in both orders, and each principle in all its wordings. Needs numpy only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Generic, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from prefrl.errors import UsageError

Item = TypeVar("Item")
Judged = TypeVar("Judged", contravariant=True)
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Principle:
    """What makes one item better than another, in words."""

    name: str
    wordings: tuple[str, ...]
    """Paraphrases: each says the whole principle. Two or more let it be checked that wording is no matter."""
    weight: float = 1.0
    """How much it counts beside the other principles."""

    def __post_init__(self) -> None:
        if not self.wordings or not all(wording.strip() for wording in self.wordings):
            raise UsageError(f"principle {self.name!r} needs at least one wording, and none that is empty")
        if not self.weight > 0:
            raise UsageError(f"principle {self.name!r} has weight {self.weight}: give one above 0")


class Critic(Protocol[Judged]):
    """Whoever applies a principle to a pair."""

    def __call__(self, wording: str, left: Judged, right: Judged) -> float:
        """P(left is better) by this wording, in [0, 1]; 1/2 where it makes no difference."""
        ...


@dataclass(frozen=True)
class Verdicts:
    """What a committee says of n pairs, and how far its word can be trusted."""

    preference: Floats
    """``[n]``: P(left is better), the weighted mean over principles of the critics' votes."""
    votes: Floats
    """``[critics, principles, n]``, each the mean over wordings and both orders."""
    order_bias: Floats
    """``[critics]``: mean preference for what is shown first, less 1/2; 0 for who does not care."""
    paraphrase_agreement: Floats
    """``[critics, principles]``: share of pairs and pairs of wordings with the same decision (left, right or
    neither); NaN for a single wording, or no pair."""

    @property
    def majority(self) -> Floats:
        """``[n]``: share of the critics for left, a critic that cannot decide counting half."""
        weights = np.sign(np.round(self.votes.mean(axis=1) - 0.5, 9))
        return np.asarray((weights.mean(axis=0) + 1) / 2, np.float64)


class Committee(Generic[Item]):
    """A teacher that answers at once, about items instead of true rewards.

    Args:
        principles: what is good.
        critics: who votes. A critic must answer the same when asked the same.
        indifference: preferences within this of 1/2 are answered "equal"; the others as left or right.
        soft: answer with the preference itself instead (distillation of the committee's doubt).
    """

    answers_at_once: Final = True

    def __init__(
        self,
        principles: Sequence[Principle],
        critics: Sequence[Critic[Item]],
        *,
        indifference: float = 0.0,
        soft: bool = False,
    ) -> None:
        if not principles or not critics:
            raise UsageError(
                f"{len(principles)} principles and {len(critics)} critics: give one of each or more"
            )
        names = [principle.name for principle in principles]
        if len(set(names)) != len(names):
            raise UsageError(f"principles need different names, not {', '.join(names)}")
        if not 0.0 <= indifference < 0.5:
            raise UsageError(f"indifference must lie in [0, 1/2), not {indifference}")
        self.principles, self.critics = tuple(principles), tuple(critics)
        self.indifference, self.soft = indifference, soft

    def judge(self, lefts: Sequence[Item], rights: Sequence[Item]) -> Floats:
        """The answer to each pair, ``[n]``: 1 left, 0 right, 1/2 equal; the preference itself if soft."""
        preference = self.verdicts(lefts, rights).preference
        if self.soft:
            return preference
        lean = np.round(preference - 0.5, 9)  # a mean of equal votes may miss 1/2 by a rounding
        return np.where(np.abs(lean) <= self.indifference, 0.5, (np.sign(lean) + 1) / 2)

    def verdicts(self, lefts: Sequence[Item], rights: Sequence[Item]) -> Verdicts:
        """All that the committee has to say of these pairs.

        Raises:
            UsageError: sides of different lengths, or a critic that answers outside [0, 1].
        """
        if len(lefts) != len(rights):
            raise UsageError(f"{len(lefts)} left and {len(rights)} right items: give pairs")
        heard = [
            [self._ask(c, p, lefts, rights) for p in range(len(self.principles))]
            for c in range(len(self.critics))
        ]
        votes = np.array([[asked.mean(axis=(0, 1)) for asked in row] for row in heard])
        weights = np.array([principle.weight for principle in self.principles])
        first = [np.concatenate([_shown_first(asked) for asked in row]) for row in heard]
        return Verdicts(
            preference=np.average(votes.mean(axis=0), axis=0, weights=weights),
            votes=votes,
            order_bias=np.array([values.mean() - 0.5 if values.size else np.nan for values in first]),
            paraphrase_agreement=np.array(
                [[_agreement(asked.mean(axis=1)) for asked in row] for row in heard]
            ),
        )

    def state_dict(self) -> dict[str, Any]:
        """Empty: a committee remembers nothing."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Nothing to continue from."""

    def _ask(self, critic: int, principle: int, lefts: Sequence[Item], rights: Sequence[Item]) -> Floats:
        """``[wordings, 2, n]``: P(left is better), asked in both orders."""
        ask = self.critics[critic]
        wordings = self.principles[principle].wordings
        pairs = list(zip(lefts, rights, strict=True))
        answers = [
            [
                [ask(wording, left, right) for left, right in pairs],
                [ask(wording, right, left) for left, right in pairs],
            ]
            for wording in wordings
        ]
        table = np.array(answers, np.float64).reshape(len(wordings), 2, len(pairs))
        if not ((table >= 0) & (table <= 1)).all():
            raise UsageError(
                f"critic {critic} answers {table[~((table >= 0) & (table <= 1))][0]} to principle"
                f" {self.principles[principle].name!r}: it must give P(left is better), in [0, 1]"
            )
        table[:, 1] = 1.0 - table[:, 1]
        return table


def _shown_first(asked: Floats) -> Floats:
    """P(the one shown first is better) of each question, from ``[wordings, 2, n]``."""
    return np.stack([asked[:, 0], 1.0 - asked[:, 1]]).ravel()


def _agreement(by_wording: Floats) -> float:
    """Share of equal decisions over pairs of wordings, from ``[wordings, n]``."""
    decisions = np.sign(np.round(by_wording - 0.5, 9))
    wordings, pairs = decisions.shape
    if wordings < 2 or not pairs:
        return float("nan")
    same = [(decisions[a] == decisions[b]).mean() for a in range(wordings) for b in range(a)]
    return float(np.mean(same))
