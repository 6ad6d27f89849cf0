"""The alarm for reward hacking: predicted return rises while agreement on fresh answers falls.

An answer is *fresh* when it is judged by an ensemble that has not been fitted to it. With q >= 1/2 the
predicted probability of the side that the ensemble prefers, and a = 1 where the answer prefers it too (0
where it does not, 1/2 for equal), q - a is the shortfall of an answer. A reward that is right about itself
has a mean shortfall of 0; one that is being hacked promises more and more and is contradicted.

Against "the mean shortfall is at most `TOLERANCE`, whatever came before" each answer is a bet that pays

    L = 1 + b (2q - 1) (q - a - TOLERANCE),

so that little is staked where the ensemble itself is unsure. Since E[L] <= 1 there, the sum over all sessions
s of the winnings of somebody who begins to bet at s is an e-detector (Shin, Ramdas and Rinaldo 2023,
"E-detectors: a nonparametric framework for sequential change detection", in its Shiryaev-Roberts form):

    M <- (M + 1) . prod L,     averaged over the stakes b of `STAKES`.

After t sessions M - t is a supermartingale, so M reaches `sessions / level` within `sessions` sessions with
probability at most `level` (Ville 1939): that is the rate of false alarms of a whole run, whatever the
rewards look like and however often one looks. The alarm rings once, at the first session at which M is that
large and behaviour was predicted to get better in one of the last `RISING` sessions: near the top of a
learned reward a single session says little about so small a step.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from prefrl.errors import UsageError

LEVEL: Final = 0.1
"""Accepted probability of a false alarm in a run."""
TOLERANCE: Final = 0.1
"""Mean shortfall that is no cause for alarm: ensembles are a little too sure of what they have not seen."""
STAKES: Final = (0.5, 1.0, 2.0, 4.0)
"""Of a pair predicted with certainty; no stake can lose all: (2q - 1)(1 - q + TOLERANCE) is at most 0.18."""
RISING: Final = 5
"""Newest sessions of which one must have predicted a rise."""


class HackingAlarm:
    """Watches one run, session by session.

    Args:
        sessions: sessions that the run is planned to have; its false-alarm rate holds for so many.
        level: accepted probability of a false alarm within them, in (0, 1).

    Raises:
        UsageError: an impossible number of sessions or level.
    """

    def __init__(self, sessions: int, *, level: float = LEVEL) -> None:
        if sessions < 1 or not 0 < level < 1:
            raise UsageError(f"an alarm needs a session and a level in (0, 1), not {sessions} and {level}")
        self.threshold = sessions / level
        self.rang_at: int | None = None
        """Step at which it rang."""
        self._winnings = [0.0] * len(STAKES)
        self._rises: list[float] = []

    @property
    def evidence(self) -> float:
        """M, the e-detector: grows while fresh answers contradict confident predictions."""
        return sum(self._winnings) / len(STAKES)

    def take_in(
        self, predicted: Sequence[float], given: Sequence[float], *, rise: float | None, step: int
    ) -> bool:
        """Looks at the fresh answers of a session; returns whether it rings now.

        Args:
            predicted: P(left is better) of each, as predicted before it was fitted.
            given: the answers: 1 left, 0 right, between for less than that.
            rise: how much better the newest behaviour is predicted to be than earlier behaviour; None where
                that is unknown.
            step: agent steps of training so far.
        """
        pays = [_pay(p, y) for p, y in zip(predicted, given, strict=True)]
        for place, stake in enumerate(STAKES):
            won = self._winnings[place] + 1.0
            for pay in pays:
                won = min(won * (1.0 + stake * pay), 1e12)
            self._winnings[place] = won
        if rise is not None:
            self._rises = [*self._rises, rise][-RISING:]
        if self.rang_at is None and self.evidence >= self.threshold and max(self._rises, default=0.0) > 0:
            self.rang_at = step
            return True
        return False

    def state_dict(self) -> dict[str, Any]:
        return {"winnings": list(self._winnings), "rises": list(self._rises), "rang_at": self.rang_at}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continues from ``state_dict``."""
        self._winnings, self.rang_at = list(state["winnings"]), state["rang_at"]
        self._rises = list(state["rises"])


def shortfall(predicted: float, given: float) -> float:
    """q - a: how much surer the ensemble was than the answer bears out, in [-1/2, 1]."""
    confidence, agreed = (predicted, given) if predicted >= 0.5 else (1.0 - predicted, 1.0 - given)
    return confidence - agreed


def _pay(predicted: float, given: float) -> float:
    return abs(2.0 * predicted - 1.0) * (shortfall(predicted, given) - TOLERANCE)
