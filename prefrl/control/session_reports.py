"""What a session finds out about the learned reward: fresh answers judged before the fit, and the alarm.

Draws nothing from the learner's generators and changes nothing that is learned.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import torch

from prefrl.control.layouts import Layout
from prefrl.control.segment_bank import CandidateItems, SegmentBank
from prefrl.control.segments import Segments
from prefrl.diagnostics import MOST_PAIRS, ComparedPair, ComparedSegment, FreshAnswer, SessionReport
from prefrl.ensemble import Items, RewardEnsemble
from prefrl.feedback_sets import FeedbackSet
from prefrl.hacking_alarm import HackingAlarm
from prefrl.judged_answers import judged_outcome, judged_probability, shown_beside

SAMPLE = 64
"""Segments on either side of the comparison of newest with earlier behaviour."""
RECENT = 60
"""Newest annotated segments that count as earlier behaviour: of the last few sessions, not of a policy long
outgrown, which whatever is done now may well surpass."""


class SessionReports:
    """Makes the report of each session.

    Args:
        alarm: what fresh answers are shown to; None where nobody wants to be alarmed.
        error_rate: share of random answers that the likelihood assumes.
    """

    def __init__(self, alarm: HackingAlarm | None, *, error_rate: float) -> None:
        self.alarm, self.error_rate = alarm, error_rate
        self.last: SessionReport | None = None
        self.assessed: dict[str, Any] = {}
        """What :func:`prefrl.control.assessment.assess_reward` found at this session."""
        self._judged: set[str] = set()
        self._unsaved = False

    def judge(
        self,
        ensemble: RewardEnsemble,
        bank: SegmentBank,
        feedback: FeedbackSet,
        queries: list[str],
        *,
        cutpoints: torch.Tensor | None = None,
        audits: set[str],
        rise: float | None,
        step: int,
    ) -> bool:
        """Looks at the answers that have never been judged or fitted; to be called before the fit.

        Args:
            ensemble: the present version.
            bank: the annotated segments.
            feedback: all answers.
            queries: their queries, in the same order.
            cutpoints: between the ratings, where the answers are ratings.
            audits: those among them that put newest behaviour beside earlier behaviour.
            rise: of ``predicted_rise``.
            step: agent steps of training so far.

        Returns:
            Whether the alarm rings now.
        """
        counting = torch.ones(len(queries)) if feedback.weights is None else feedback.weights.cpu()
        fresh = [row for row, query in enumerate(queries) if query not in self._judged and counting[row] > 0]
        self._judged.update(queries)
        answers: tuple[FreshAnswer, ...] = ()
        if ensemble.version and fresh:
            rows = feedback.items[fresh]
            returns = ensemble.predict_returns(bank, rows.flatten()).double().reshape(-1, *rows.shape).cpu()
            predicted = judged_probability(
                feedback, returns, error_rate=self.error_rate, cutpoints=cutpoints
            ).mean(0)
            given = judged_outcome(feedback)[fresh].tolist()
            answers = tuple(
                FreshAnswer(queries[row], p, y, queries[row] in audits)
                for row, p, y in zip(fresh, predicted.tolist(), given, strict=True)
            )
        pairs = newest_pairs(ensemble, bank, feedback, queries, self.error_rate) if ensemble.version else ()
        report = SessionReport(
            ensemble.version, step, len(queries), answers, rise=rise, pairs=pairs, **self.assessed
        )
        if self.alarm is not None:
            predictions, said = [one.predicted for one in answers], [one.given for one in answers]
            rang = self.alarm.take_in(predictions, said, rise=rise, step=step)
            report = replace(report, evidence=self.alarm.evidence, threshold=self.alarm.threshold, rang=rang)
        self.last, self.assessed, self._unsaved = report, {}, True
        return report.rang

    def take(self) -> SessionReport | None:
        """The report of the last session, once."""
        fresh, self._unsaved = self._unsaved, False
        return self.last if fresh else None

    def row(self) -> dict[str, Any]:
        """What goes into the run's metrics."""
        report = self.last
        if report is None or not report.answers:
            return {}
        row: dict[str, Any] = {"fresh_agreement": report.agreement, "fresh_answers": len(report.answers)}
        if self.alarm is not None:
            row |= {"alarm_evidence": report.evidence, "alarm_rang_at": self.alarm.rang_at}
        return row

    def state_dict(self) -> dict[str, Any]:
        alarm = None if self.alarm is None else self.alarm.state_dict()
        return {"judged": sorted(self._judged), "alarm": alarm}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continues from ``state_dict``."""
        self._judged = set(state["judged"])
        if self.alarm is not None and state["alarm"] is not None:
            self.alarm.load_state_dict(state["alarm"])


def newest_pairs(
    ensemble: RewardEnsemble,
    bank: SegmentBank,
    feedback: FeedbackSet,
    queries: list[str],
    error_rate: float,
) -> tuple[ComparedPair, ...]:
    """The newest compared pairs with the learned reward of each of their steps, the newest first."""
    rows, said, places = shown_beside(feedback, MOST_PAIRS)
    if not len(rows):
        return ()
    predicted = predict_preferences(ensemble, bank, rows, error_rate).tolist()
    rewards = ensemble.predict(bank.inputs(rows.flatten())).double().cpu().numpy()
    sides = [
        ComparedSegment(bank.ids[row], tuple(steps.tolist()))
        for row, steps in zip(rows.flatten().tolist(), rewards, strict=True)
    ]
    names = [queries[place] for place in places.tolist()]
    pairs = zip(names, predicted, said.tolist(), sides[::2], sides[1::2], strict=True)
    return tuple(ComparedPair(*pair) for pair in pairs)


def predict_preferences(
    ensemble: RewardEnsemble, items: Items, pairs: torch.Tensor, error_rate: float
) -> torch.Tensor:
    """P(left is better) of pairs ``[n, 2]``, mean over members, the labeller's errors included: ``[n]``.

    (1 - e) mean_m sigma(return_m(left) - return_m(right)) + e/2, as the likelihood has it
    (:func:`prefrl.likelihoods.pair_log_likelihood_loss`).
    """
    returns = ensemble.predict_returns(items, pairs.flatten()).double().cpu()
    sides = returns.reshape(len(returns), *pairs.shape)
    probability = torch.sigmoid(sides[..., 0] - sides[..., 1]).mean(0)
    return (1.0 - error_rate) * probability + error_rate / 2


def predicted_rise(
    ensemble: RewardEnsemble, layout: Layout, bank: SegmentBank, pool: Segments
) -> float | None:
    """How much better the newest segments of the pool are predicted to be than earlier compared ones.

    The mean over pairs and members of P(newest is better), minus 1/2: above 0 where predicted return rises.
    By one version on both sides, because versions differ in scale. None before the first fit.
    """
    if not ensemble.version or not len(bank) or not len(pool):
        return None
    newest = _spread(len(pool) - len(pool) // 2, len(pool), SAMPLE)
    earlier = _spread(max(0, len(bank) - RECENT), len(bank), SAMPLE)
    items = CandidateItems(layout, pool, ensemble.shift.device)
    new = ensemble.predict_returns(items, newest).double()
    old = ensemble.predict_returns(bank, earlier).double()
    return float(torch.sigmoid(new[:, :, None] - old[:, None, :]).mean()) - 0.5


def _spread(first: int, last: int, count: int) -> torch.Tensor:
    """At most ``count`` whole numbers from ``first`` to below ``last``, evenly spread."""
    places = np.linspace(first, last - 1, min(count, last - first))
    return torch.from_numpy(np.unique(places.astype(np.int64)))
