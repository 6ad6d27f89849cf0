"""Learning a reward from comparisons of segments: pool, queries, store, teacher, fit.

It is told of rollouts and of progress, and gives back a learned reward. It knows no policy, so PrefRL's
own PPO, a Stable-Baselines3 agent and a user's script all drive this one.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from prefrl.control.assessment import assess_reward
from prefrl.control.audits import audits_due, choose_audits
from prefrl.control.background_fit import BackgroundFit
from prefrl.control.config import TrainConfig
from prefrl.control.layouts import Layout
from prefrl.control.quality_queries import QualityQueries, count_queries
from prefrl.control.reward_model import RewardModel
from prefrl.control.rollouts import Rollout
from prefrl.control.segment_bank import CandidateItems, SegmentBank
from prefrl.control.segment_files import load_segments, save_segment
from prefrl.control.segment_pool import SegmentPool
from prefrl.control.segments import Segments, cut_segments
from prefrl.control.session_reports import SessionReports, predicted_rise
from prefrl.diagnostics import MOST_POINTS
from prefrl.ensemble import RewardEnsemble
from prefrl.feedback import Answer, Kind, Purpose, Query, RemarkKind, Source, make_id
from prefrl.fitting import FeedbackSet, FitReport
from prefrl.hacking_alarm import HackingAlarm
from prefrl.labellers.weights import FULL_WEIGHT, labeller_weights
from prefrl.likelihoods import pair_log_likelihood_loss
from prefrl.queries import DisagreementQueries, QuerySelector, RandomQueries, draw_candidate_pairs
from prefrl.schedules import labels_due
from prefrl.store.feedback_store import FeedbackStore
from prefrl.teachers import Teacher

SUSPECTS = 10
"""Queries about the most suspicious segments that follow an alarm."""


@dataclass
class Asked:
    """A training query that is out: the bank rows of its two segments."""

    query_id: str
    left: int
    right: int


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
        self.teacher, self.store, self.run, self.folder = teacher, store, run, segments_folder
        self.model = RewardModel(ensemble, layout)
        self.device = ensemble.shift.device
        self.fitting = BackgroundFit(
            ensemble,
            config.reward_model.fit,
            seed=config.seed,
            aside=config.reward_model.background_fits and config.agent == "ppo",
        )
        self.bank = SegmentBank(layout, self.device)
        self.pool = SegmentPool()
        self.asked: list[Asked] = []
        self.counter = 0  # queries made, those that only check labellers included
        self.quality = QualityQueries(config, store, run=run, folder=segments_folder)
        self.labels = 0
        self.skips = 0
        self.audits: set[str] = set()
        self.suspects = 0
        """Queries about suspicious segments that are still to be asked."""
        self.usable: list[str] = []
        """Queries whose answers ``feedback`` has found, in its order."""
        self.reports = SessionReports(
            HackingAlarm(config.query.sessions) if config.query.hacking_alarm else None,
            error_rate=config.reward_model.fit.error_rate,
        )
        self._rng = np.random.default_rng([config.seed, 1])
        self._selector: QuerySelector = (
            RandomQueries() if config.query.selector == "random" else DisagreementQueries()
        )

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
        """Puts ``count`` queries about pooled segments to the teacher; a scripted one answers at once."""
        if count < 1 or not len(self.pool):
            return
        made = {"policy_step": step, "reward_version": self.ensemble.version}
        practice = [] if self.counter else self.quality.practice(self.pool, **made)
        self.counter += count_queries(practice)
        pool = self.pool.segments()
        count -= self._ask_audits(pool, count, made)
        if count < 1:
            return
        pairs = draw_candidate_pairs(len(pool), count * self.config.query.candidates_per_query, self._rng)
        returns = None
        if self._selector.needs_returns and self.ensemble.version > 0:
            items = CandidateItems(self.layout, pool, self.device)
            used, places = np.unique(pairs, return_inverse=True)
            members = self.ensemble.predict_returns(items, torch.from_numpy(used)).double().cpu().numpy()
            returns = members[:, places.reshape(pairs.shape)]
        selector = self._selector if returns is not None else RandomQueries()
        chosen = pairs[selector.select(returns, pairs, count, self._rng)]
        counters, gold = self.quality.among(
            self.pool, len(chosen), asked=len(self.asked), first=self.counter, **made
        )
        queries, answers = self._make_queries(pool, chosen, counters, made), []
        self.counter += len(counters) + count_queries(gold)
        if self.teacher.answers_at_once:
            deviation = float(pool.true_reward.sum(1).std())
            left, right = pool.true_reward[chosen[:, 0]], pool.true_reward[chosen[:, 1]]
            answers = self._make_answers(queries, self.teacher.answer(left, right, candidate_std=deviation))
        self.store.add([*practice, *queries, *gold, *answers])

    def ask_again(self, step: int) -> None:
        """Puts out the hidden repeats that are due by what each labeller has answered; spends no budget."""
        repeats = self.quality.repeats(
            answers=self.labels,
            first=self.counter,
            policy_step=step,
            reward_version=self.ensemble.version,
        )
        self.counter += len(repeats)
        self.store.add(repeats)

    def _ask_audits(self, pool: Segments, count: int, made: dict[str, int]) -> int:
        """Puts those of the next ``count`` queries that check the reward; returns how many these are."""
        due = audits_due(len(self.asked), count, self.config.audit_share)
        wanted = min(count, max(self.suspects, due))
        if not wanted or not self.ensemble.version:
            return 0
        rng = np.random.default_rng([self.config.seed, 3, len(self.asked)])
        chosen = choose_audits(
            self.ensemble, self.layout, self.bank, pool, wanted, suspicious=self.suspects > 0, rng=rng
        )
        self.suspects = max(0, self.suspects - wanted)
        if not len(chosen):
            return 0
        rows = np.stack([self._annotate(pool, chosen[:, 0]), chosen[:, 1]], 1)
        swapped = rng.random(len(rows)) < 0.5
        rows[swapped] = rows[swapped][:, ::-1]
        counters = list(range(self.counter, self.counter + len(rows)))
        queries, answers = self._put(rows, counters, made), []
        self.counter += len(rows)
        self.audits.update(query.id for query in queries)
        if self.teacher.answers_at_once:
            answers = self._answer_from_files(queries, float(pool.true_reward.sum(1).std()))
        self.store.add([*queries, *answers])
        return len(queries)

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
        """The comparisons as they stand in the store now; counts labels and skips on the way.

        Answers that came after their query was answered or closed are in the store, but not among them. Those
        of a labeller who was given weight 0 are labels that are not learned from.
        """
        asked = {query.query_id: (query.left, query.right) for query in self.asked}
        rows, preferences, weights = [], [], []
        late, worth = self.store.late(self.run), self._labeller_weights()
        self.labels, self.skips, self.usable = 0, 0, []
        # In the order they were given: a late answer to an early query must not move the others' places,
        # which decide whose bag they are in.
        for answer in self.store.current_answers(self.run):
            if answer.query_id not in asked or (answer.query_id, answer.labeller) in late:
                continue
            if answer.value is None:
                self.skips += 1
                continue
            self.labels += 1
            self.usable.append(answer.query_id)
            rows.append(asked[answer.query_id])
            preferences.append(float(answer.value))  # type: ignore[arg-type]
            weights.append(worth.get(answer.labeller, FULL_WEIGHT))
        error_rate = self.config.reward_model.fit.error_rate
        return FeedbackSet(
            torch.tensor(rows, dtype=torch.int64).reshape(-1, 2).to(self.device),
            torch.tensor(preferences, dtype=torch.float32).to(self.device),
            lambda returns, targets: pair_log_likelihood_loss(returns, targets, error_rate=error_rate),
            torch.tensor(weights, dtype=torch.float32).to(self.device) if worth else None,
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
            "ids": list(self.bank.ids),
            "asked": [[asked.query_id, asked.left, asked.right] for asked in self.asked],
            "counter": self.counter,
            "counts": [self.labels, self.skips],
            "teacher": self.teacher.state_dict(),
            "rng": self._rng.bit_generator.state,
            "pool": self.pool.state_dict(),
            "reports": self.reports.state_dict(),
            "audits": [sorted(self.audits), self.suspects],
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continues from ``state_dict``; reads the annotated segments back from their files."""
        self.fitting.load_state_dict(state["fitting"])
        self.bank = SegmentBank(self.layout, self.device)
        if state["ids"]:
            self.bank.add(list(state["ids"]), load_segments(self.folder, list(state["ids"])))
        self.asked = [Asked(str(a), int(b), int(c)) for a, b, c in state["asked"]]
        self.counter = state.get("counter", len(self.asked))  # checkpoints before there were checks
        self.labels, self.skips = state["counts"]
        self.teacher.load_state_dict(state["teacher"])
        self._rng.bit_generator.state = state["rng"]
        self.pool.load_state_dict(state["pool"])
        if "reports" in state:  # not in checkpoints of earlier versions
            self.reports.load_state_dict(state["reports"])
            self.audits, self.suspects = set(state["audits"][0]), state["audits"][1]

    def adopt(self) -> None:
        """Takes over queries of this run that are in the store but not in the state loaded: asked after it.

        What a resumed run cannot repeat bit for bit (a person's session, a GPU's arithmetic) must not be
        asked again under the same ids. A query that a scripted teacher left unanswered is answered now.
        """
        fresh = self.store.queries(self.run, after=self.counter - 1, purposes=[Purpose.TRAINING])
        self.counter = self.store.next_counter(self.run)
        if not fresh:
            return
        rows = {item: row for row, item in enumerate(self.bank.ids)}
        ids = list(dict.fromkeys(item for query in fresh for item in query.items if item not in rows))
        if ids:
            rows |= zip(ids, self.bank.add(ids, load_segments(self.folder, ids)).tolist(), strict=True)
        self.asked.extend(Asked(query.id, rows[query.items[0]], rows[query.items[1]]) for query in fresh)
        answered = {answer.query_id for answer in self.store.current_answers(self.run)}
        left = [query for query in fresh if query.id not in answered]
        if left and self.teacher.answers_at_once:
            self.store.add_answers(self._answer_from_files(left))

    def _judge(self, feedback: FeedbackSet, step: int) -> None:
        rise = None
        if len(self.pool):
            rise = predicted_rise(self.ensemble, self.layout, self.bank, self.pool.segments())
        rang = self.reports.judge(
            self.ensemble, self.bank, feedback, self.usable, audits=self.audits, rise=rise, step=step
        )
        if rang:
            self.suspects = SUSPECTS

    def _labeller_weights(self) -> dict[str, float]:
        return labeller_weights(self.store.remarks(self.run, kind=RemarkKind.WEIGHT))

    def _make_queries(
        self, pool: Segments, chosen: np.ndarray, counters: list[int], made: dict[str, Any]
    ) -> list[Query]:
        """Puts the segments into the bank and on disk first: a query never lacks its clips."""
        used, positions = np.unique(chosen, return_inverse=True)
        return self._put(self._annotate(pool, used)[positions.reshape(chosen.shape)], counters, made)

    def _annotate(self, pool: Segments, used: np.ndarray) -> np.ndarray:
        """Bank rows of segments of the pool, which get their ids and files."""
        before = len(self.bank)
        ids = [make_id(self.run, self.config.seed, "segment", before + i) for i in range(len(used))]
        for segment_id, row in zip(ids, used, strict=True):
            save_segment(self.folder, segment_id, pool, int(row))
        return self.bank.add(ids, pool.take(used))

    def _put(self, rows: np.ndarray, counters: list[int], made: dict[str, Any]) -> list[Query]:
        """Queries about pairs of bank rows ``[n, 2]``."""
        queries = []
        for counter, (left, right) in zip(counters, rows, strict=True):
            query = Query(
                id=make_id(self.run, self.config.seed, "query", counter),
                run=self.run,
                kind=Kind.PAIR,
                items=(self.bank.ids[left], self.bank.ids[right]),
                counter=counter,
                **made,
            )
            self.asked.append(Asked(query.id, int(left), int(right)))
            queries.append(query)
        return queries

    def _answer_from_files(self, queries: list[Query], candidate_std: float | None = None) -> list[Answer]:
        """What a teacher that answers at once says to queries whose segments may have left the pool."""
        sides = [
            load_segments(self.folder, [query.items[side] for query in queries]).true_reward
            for side in (0, 1)
        ]
        return self._make_answers(queries, self.teacher.answer(*sides, candidate_std=candidate_std))

    def _make_answers(self, queries: list[Query], preferences: np.ndarray) -> list[Answer]:
        name = self.config.teacher
        source = Source.ORACLE if name == "oracle" else Source.SCRIPTED
        return [
            Answer(
                id=make_id(self.run, self.config.seed, "answer", query.counter),
                query_id=query.id,
                value=None if np.isnan(preference) else float(preference),
                source=source,
                labeller=name,
            )
            for query, preference in zip(queries, preferences, strict=True)
        ]
