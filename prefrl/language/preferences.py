"""Comparing responses: pairs of one prompt, the store, a teacher, and the ensemble fitted to the answers.

The counterpart of the control track's preference learner, on the same store, teachers, likelihoods and
ensemble; what differs is that items are texts in ``responses.jsonl``.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from prefrl.checkpoints import restore_generator
from prefrl.ensemble import RewardEnsemble
from prefrl.feedback import Answer, Kind, Query, Source, make_id
from prefrl.feedback_sets import FeedbackSet
from prefrl.fitting import RewardFitter
from prefrl.language.assessment import assess_text_reward
from prefrl.language.bench import Bench, Row
from prefrl.language.completions import CHUNK
from prefrl.language.evaluation import gold_scores
from prefrl.language.response_bank import ResponseBank
from prefrl.language.responses import Responses
from prefrl.likelihoods import centring_penalty, pair_log_likelihood_loss
from prefrl.queries import DisagreementQueries, QuerySelector, RandomQueries
from prefrl.schedules import labels_due
from prefrl.store.feedback_store import FeedbackStore
from prefrl.teachers import make_teacher
from prefrl.texts.response_files import prompt_id


@dataclass(frozen=True)
class Compared:
    """The comparisons as they stand: rows of the table, left then right, and P(left is better)."""

    rows: np.ndarray
    """``[n, 2]``."""
    preference: np.ndarray
    """``[n]``."""
    skips: int


class TextPreferences:
    """Asks for comparisons of what the present policy writes, and learns a reward from them.

    Args:
        bench: with the policy.
        store: of the run.
        folder: the run's, where the texts go.
        run: the run's name in the store.
        ensemble: fitted to the answers; None where only the comparisons are wanted.
    """

    def __init__(
        self, bench: Bench, store: FeedbackStore, folder: Path, *, run: str, ensemble: RewardEnsemble | None
    ) -> None:
        self.bench, self.config, self.store, self.run = bench, bench.config, store, run
        self.ensemble = ensemble
        self.fitter = None
        if ensemble is not None:
            self.fitter = RewardFitter(ensemble, self.config.reward_model.fit, seed=self.config.seed)
        self.teacher = make_teacher(self.config.teacher, np.random.default_rng([self.config.seed, 4]))
        self.bank = ResponseBank(bench, folder, run)
        self.asked: dict[str, tuple[int, int]] = {}
        """Rows of the two sides by query."""
        self._rng = np.random.default_rng([self.config.seed, 1])
        self._generator = torch.Generator().manual_seed(self.config.seed + 2)

    @property
    def labels(self) -> int:
        """Comparisons asked for so far."""
        return len(self.asked)

    def due(self, progress: float) -> int:
        """Queries that the label schedule asks for by now and that are not yet asked."""
        query = self.config.query
        first = 1.0 if self.config.asks_at_once else query.initial_fraction
        wanted = labels_due(progress, self.config.labels, initial_fraction=first, half_life=query.half_life)
        return max(0, wanted - len(self.asked))

    def ask(self, count: int) -> None:
        """Puts so many queries about fresh responses; a scripted teacher answers at once."""
        if not self.teacher.answers_at_once:
            count -= self._adopt()
        if count < 1:
            return
        query = self.config.query
        prompts = self.bench.task.prompts("train", -(-count // query.pairs_per_prompt), self._rng)
        written = self.bench.write(prompts, copies=query.copies, temperature=query.temperature)
        pairs = self._choose(written, count)
        used, places = np.unique(pairs, return_inverse=True)
        rows = self.bank.add(written.take(torch.from_numpy(used)))[places.reshape(pairs.shape)]
        queries = self._make_queries(rows)
        answers = self._answer(queries) if self.teacher.answers_at_once else []
        self.store.add([*queries, *answers])

    def waits_for(self) -> str | None:
        """What a person still has to do before a fit makes sense; None where nothing."""
        if self.teacher.answers_at_once:
            return None
        open_queries = self.store.counts(self.run).open
        return f"{open_queries} answers" if open_queries else None

    def compared(self) -> Compared:
        """The answers as they stand in the store now, in the order in which they were given."""
        rows, preferences, skips = [], [], 0
        late = self.store.late(self.run)
        for answer in self.store.current_answers(self.run):
            if answer.query_id not in self.asked or (answer.query_id, answer.labeller) in late:
                continue
            if answer.value is None:
                skips += 1
                continue
            rows.append(self.asked[answer.query_id])
            preferences.append(float(answer.value))  # type: ignore[arg-type]
        return Compared(np.array(rows, np.int64).reshape(-1, 2), np.array(preferences, np.float64), skips)

    def fit(self) -> Row:
        """Fits the ensemble to all answers so far.

        Raises:
            UsageError: there is no answer.
        """
        assert self.fitter is not None
        found = self.compared()
        settings = self.config.reward_model

        def loss(returns: Tensor, targets: Tensor) -> Tensor:
            likelihood = pair_log_likelihood_loss(returns, targets, error_rate=settings.fit.error_rate)
            return likelihood + settings.centring * centring_penalty(returns)

        feedback = FeedbackSet(
            torch.from_numpy(found.rows).to(self.bench.device),
            torch.from_numpy(found.preference).float().to(self.bench.device),
            loss,
        )
        report = self.fitter.fit(self.bank.table, [feedback], self._generator)
        return {
            "labels": len(found.preference),
            "skips": found.skips,
            "fit_loss": report.train_loss,
            "fit_validation_loss": report.validation_loss,
            "fit_steps": report.gradient_steps,
            "agreement": report.held_out_agreement,
        }

    @torch.no_grad()
    def score(self, responses: Responses) -> Tensor:
        """The learned reward, by the ensemble's present version: ``[n]``, or ``[n, time]`` where it is a sum.

        A sum's mean per token is left as the comparisons made it: texts differ in length, so to shift every
        token's reward would change which text is better.
        """
        assert self.ensemble is not None
        table = self.bank.table_of(responses)
        rows = torch.arange(len(table), device=self.bench.device).split(CHUNK)
        if table.reading == "last":
            return torch.cat([(self.ensemble.predict(table.inputs(p)) * table.mask(p)).sum(1) for p in rows])
        scale = self.ensemble.scale.view(-1, 1, 1)
        columns = torch.arange(responses.mask.shape[1], device=self.bench.device)
        parts = []
        for part in rows:
            rewards = (self.ensemble(table.inputs(part)) * scale).mean(0)
            places = (table.start[part].unsqueeze(1) + columns).clamp(max=rewards.shape[1] - 1)
            parts.append(rewards.gather(1, places))
        return torch.cat(parts) * responses.mask

    def assess(self, *, prompts: int = 64, copies: int = 4) -> Row:
        """:func:`prefrl.language.assessment.assess_text_reward` over fresh responses of the policy."""
        rng = np.random.default_rng([self.config.seed, 2, len(self.asked)])
        state = self.bench.generator.get_state()
        written = self.bench.write(self.bench.task.prompts("train", prompts, rng), copies=copies)
        self.bench.generator.set_state(state)
        gold = gold_scores(self.bench.task, written)
        learned = self.score(written).reshape(len(written), -1).sum(1).double().cpu().numpy()
        return assess_text_reward(learned, gold, copies, self.config.teacher)

    def state_dict(self) -> dict[str, Any]:
        """Everything but what already lies in the store and in the file of responses."""
        return {
            "fitter": None if self.fitter is None else self.fitter.state_dict(),
            "responses": [response.id for response in self.bank.responses],
            "asked": [[query, left, right] for query, (left, right) in self.asked.items()],
            "teacher": self.teacher.state_dict(),
            "rng": self._rng.bit_generator.state,
            "generator": self._generator.get_state(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continues from ``state_dict``; reads the texts back from their file.

        Raises:
            UsageError: a text is missing.
        """
        if self.fitter is not None:
            self.fitter.load_state_dict(state["fitter"])
        self.bank.restore(state["responses"])
        self.asked = {query: (left, right) for query, left, right in state["asked"]}
        self.teacher.load_state_dict(state["teacher"])
        self._rng = restore_generator(state["rng"])
        self._generator.set_state(state["generator"])

    def _choose(self, written: Responses, count: int) -> np.ndarray:
        """``[count, 2]`` rows of responses to one prompt each, different texts where there are any."""
        copies, wanted = self.config.query.copies, self.config.query.pairs_per_prompt
        selector, returns = self._selector(), None
        if selector.needs_returns:
            assert self.ensemble is not None
            returns = self._returns(written)
        chosen = []
        for first in range(0, len(written), copies):
            left, right = np.triu_indices(copies, 1)
            pairs = np.stack([left, right], 1) + first
            different = [written.completions[a] != written.completions[b] for a, b in pairs]
            pairs = pairs[different] if any(different) else pairs
            swapped = self._rng.random(len(pairs)) < 0.5
            pairs[swapped] = pairs[swapped][:, ::-1]
            candidates = None if returns is None else returns[:, pairs]
            chosen.append(pairs[selector.select(candidates, pairs, wanted, self._rng)])
        return np.concatenate(chosen)[:count]

    def _selector(self) -> QuerySelector:
        fitted = self.ensemble is not None and self.ensemble.version > 0
        return (
            DisagreementQueries()
            if self.config.query.selector == "disagreement" and fitted
            else RandomQueries()
        )

    def _returns(self, written: Responses) -> np.ndarray:
        """Raw returns of responses by every member. [members, n]"""
        assert self.ensemble is not None
        table = self.bank.table_of(written)
        rows = torch.arange(len(table), device=self.bench.device)
        return self.ensemble.predict_returns(table, rows).double().cpu().numpy()

    def _adopt(self) -> int:
        """Takes over queries of this run that are in the store but were asked after the state loaded.

        What a person's run did after its last checkpoint it may not do again in the same way; to ask other
        texts under the same ids would put old answers to new texts. Returns how many there were.
        """
        fresh = self.store.queries(self.run, after=len(self.asked) - 1)
        if not fresh:
            return 0
        rows = self.bank.read_on()
        for query in fresh:
            self.asked[query.id] = (rows[query.items[0]], rows[query.items[1]])
        return len(fresh)

    def _make_queries(self, rows: np.ndarray) -> list[Query]:
        version = 0 if self.ensemble is None else self.ensemble.version
        queries = []
        for left, right in rows.tolist():
            counter = len(self.asked)
            query = Query(
                id=make_id(self.run, self.config.seed, "query", counter),
                run=self.run,
                kind=Kind.PAIR,
                items=(self.bank.responses[left].id, self.bank.responses[right].id),
                group=prompt_id(self.bank.responses[left].prompt),
                counter=counter,
                reward_version=version,
            )
            self.asked[query.id] = (left, right)
            queries.append(query)
        return queries

    def _answer(self, queries: list[Query]) -> list[Answer]:
        """What a scripted teacher says, who sees the gold scores."""
        asked = [self.asked[query.id] for query in queries]
        sides = [self.bank.gold([rows[side] for rows in asked])[:, None] for side in (0, 1)]
        preferences = self.teacher.answer(*sides)
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
