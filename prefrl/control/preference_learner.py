"""Learning a reward from what is said of segments: pool, queries, store, teacher, fit.

It is told of rollouts and of progress, and gives back a learned reward. It knows no policy, so PrefRL's
own PPO, a Stable-Baselines3 agent and a user's script all drive this one.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np

from prefrl.control.asking import Asking
from prefrl.control.assessment import assess_reward
from prefrl.control.background_fit import BackgroundFit
from prefrl.control.config import TrainConfig
from prefrl.control.layouts import Layout
from prefrl.control.query_maker import SUSPECTS, Asked, QueryMaker
from prefrl.control.reward_model import RewardModel
from prefrl.control.rollouts import Rollout
from prefrl.control.segment_bank import SegmentBank
from prefrl.control.segment_pool import SegmentPool
from prefrl.control.segments import cut_segments
from prefrl.control.session_reports import SessionReports, predicted_rise
from prefrl.control.usable_answers import usable_answers
from prefrl.diagnostics import MOST_POINTS
from prefrl.ensemble import RewardEnsemble
from prefrl.feedback_sets import FeedbackSet, make_feedback_set
from prefrl.fitting import FitReport
from prefrl.hacking_alarm import HackingAlarm
from prefrl.schedules import labels_due
from prefrl.store.feedback_store import FeedbackStore
from prefrl.teachers import Teacher


class PreferenceLearner:
    """The reward side of a run.

    Args:
        config: the run's settings.
        layout: how segments are stored for the reward network.
        ensemble: on its device.
        teacher: answers at once, or through the store.
        store: where every query and answer goes before it is learned from.
        run: the run's name in the store.
        segments_folder: where segments that are asked about are written.
    """

    def __init__(
        self,
        config: TrainConfig,
        layout: Layout,
        ensemble: RewardEnsemble,
        teacher: Teacher,
        store: FeedbackStore,
        *,
        run: str,
        segments_folder: Path,
    ) -> None:
        self.config, self.layout, self.ensemble = config, layout, ensemble
        self.teacher, self.store, self.run = teacher, store, run
        self.model = RewardModel(ensemble, layout)
        self.fitting = BackgroundFit(
            ensemble,
            config.reward_model.fit,
            seed=config.seed,
            aside=config.reward_model.background_fits and config.agent == "ppo",
        )
        self.pool = SegmentPool()
        self._rng = np.random.default_rng([config.seed, 1])
        self.queries = QueryMaker(config, layout, ensemble, run=run, folder=segments_folder, rng=self._rng)
        self.asking = Asking(config, self.queries, teacher, store)
        self.labels = 0
        self.skips = 0
        self.usable: list[str] = []
        """Queries whose answers ``feedback`` has found, in its order."""
        self.reports = SessionReports(
            HackingAlarm(config.query.sessions) if config.query.alarmed else None,
            error_rate=config.reward_model.fit.error_rate,
        )

    @property
    def bank(self) -> SegmentBank:
        """The segments that were asked about."""
        return self.queries.bank

    @property
    def asked(self) -> list[Asked]:
        """Training queries, in their order."""
        return self.queries.asked

    def observe(self, rollout: Rollout, env: object, step: int, *, share: float) -> None:
        """Cuts candidate segments from a rollout; ``share`` of the pool's size at most.

        The first pool is larger: the initial labels should not all be about the same few segments.
        """
        capacity = self.config.query.pool_size
        if self.ensemble.version == 0:
            capacity = max(capacity, 2 * self.due(0.0))
        count = max(2, math.ceil(capacity * share))
        length = self.config.query.segment_length
        segments = cut_segments(
            rollout, self.layout, env, length=length, count=count, step=step, rng=self._rng
        )
        self.pool.add(segments, capacity=capacity)

    def scheduled(self, progress: float) -> int:
        """Queries that the label schedule asks for by now, from the start of the run."""
        query = self.config.query
        return labels_due(
            progress, self.config.labels, initial_fraction=query.initial_fraction, half_life=query.half_life
        )

    def due(self, progress: float) -> int:
        """Queries that are due and not yet asked."""
        return max(0, self.scheduled(progress) - len(self.asked))

    def unanswered(self) -> int:
        """Queries that nobody has answered or closed."""
        return self.store.counts(self.run).open

    def missing(self) -> int:
        """Answers that queries still want: ``overlap`` to each, unless it is closed."""
        return self.store.counts(self.run, overlap=self.config.query.overlap).missing

    def ask(self, count: int, step: int) -> None:
        """Puts ``count`` queries about pooled segments to the teacher; see :class:`Asking`."""
        self.asking.ask(self.pool, count, step=step)

    def ask_again(self, step: int) -> None:
        """Puts out the hidden repeats that are due; see :class:`Asking`."""
        self.asking.ask_again(self.labels, step=step)

    def adopt(self) -> None:
        """Takes over what was asked after the state that was loaded; see :class:`Asking`."""
        self.asking.adopt()

    def begin_fit(self, step: int) -> bool:
        """Starts a fit to every answer to this run's queries; False where none of them counts.

        Those that are new are judged first: ``reports`` then knows how well they were predicted.
        """
        feedback = self.feedback()
        if feedback.counts:
            self._judge(feedback, step)
            self.fitting.begin(self.bank, [feedback])
        return self.fitting.pending

    def take_up_fit(self) -> tuple[FitReport, float]:
        """Waits for the fit that has begun; from now on the learned reward is the new version's."""
        return self.fitting.take_up()

    def feedback(self) -> FeedbackSet:
        """The answers as they stand in the store now; counts labels and skips on the way.

        Answers that came after their query was answered or closed are in the store, but not among them. Those
        of a labeller who was given weight 0 are labels that are not learned from.
        """
        found = usable_answers(self.store, self.run, {query.query_id: query.rows for query in self.asked})
        self.labels, self.skips, self.usable = len(found.values), found.skips, found.queries
        return make_feedback_set(
            self.queries.kind,
            found.rows,
            found.values,
            error_rate=self.config.reward_model.fit.error_rate,
            items_per_query=self.queries.size,
            device=self.ensemble.shift.device,
            weights=found.weights,
        )

    def close(self) -> None:
        """Ends what runs beside the run."""
        self.fitting.close()

    def predict(self, observation: np.ndarray, world_action: np.ndarray) -> np.ndarray:
        """:meth:`prefrl.control.reward_model.RewardModel.predict` by the ensemble's present version."""
        return self.model.predict(observation, world_action)

    def assess(self, rollout: Rollout, env: object, step: int, *, segments: int = 128) -> dict[str, float]:
        """:func:`prefrl.control.assessment.assess_reward` over fresh segments of this rollout."""
        rng = np.random.default_rng([self.config.seed, 2, step])
        length = self.config.query.segment_length
        fresh = cut_segments(rollout, self.layout, env, length=length, count=segments, step=step, rng=rng)
        found = assess_reward(self.ensemble, self.layout, fresh)
        points = found.pop("points", ())
        self.reports.assessed = {
            "points": points[:MOST_POINTS],
            "correlation": found.get("reward_correlation"),
            "disagreement": found.get("disagreement"),
        }
        return found

    def state_dict(self) -> dict[str, Any]:
        """Everything but what already lies in the store and in the segments folder."""
        return {
            "fitting": self.fitting.state_dict(),
            "counts": [self.labels, self.skips],
            "teacher": self.teacher.state_dict(),
            "rng": self._rng.bit_generator.state,
            "pool": self.pool.state_dict(),
            "reports": self.reports.state_dict(),
            **self.queries.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continues from ``state_dict``; reads the annotated segments back from their files."""
        self.fitting.load_state_dict(state["fitting"])
        self.queries.load_state_dict(state)
        self.labels, self.skips = state["counts"]
        self.teacher.load_state_dict(state["teacher"])
        self._rng.bit_generator.state = state["rng"]
        self.pool.load_state_dict(state["pool"])
        self.reports.load_state_dict(state["reports"])

    def _judge(self, feedback: FeedbackSet, step: int) -> None:
        rise = None
        if len(self.pool):
            rise = predicted_rise(self.ensemble, self.layout, self.bank, self.pool.segments())
        rang = self.reports.judge(
            self.ensemble,
            self.bank,
            feedback,
            self.usable,
            cutpoints=self.fitting.cutpoints(),
            audits=self.queries.audits,
            rise=rise,
            step=step,
        )
        if rang:
            self.queries.suspects = SUSPECTS
