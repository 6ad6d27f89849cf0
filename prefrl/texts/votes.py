"""What people have said about pairs of texts: one vote per pair, however many have answered it."""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from prefrl.feedback import Kind, Purpose, RemarkKind
from prefrl.labellers.weights import FULL_WEIGHT, labeller_weights
from prefrl.store.feedback_store import FeedbackStore
from prefrl.texts.features import feature_table
from prefrl.texts.response_files import Response

ANSWERS_NEEDED = 20
"""Answers other than skips before anything is said about what people prefer."""


@dataclass(frozen=True)
class Votes:
    """Answered pairs in the order of their queries. Arrays have one entry (or row) per pair."""

    answers: int
    """Behind the votes: training pairs, in time, no skips, labellers of weight 0 left out."""
    preference: NDArray[np.float64]
    """P(left is better): the mean over the labellers of a pair, by their weights. [pairs]"""
    left: NDArray[np.float64]
    """Features of the left responses. [pairs, features]"""
    right: NDArray[np.float64]
    groups: tuple[str, ...]
    """The prompt of each pair."""

    def __len__(self) -> int:
        return len(self.preference)

    @property
    def differences(self) -> NDArray[np.float64]:
        """Left less right. [pairs, features]"""
        return self.left - self.right

    @property
    def digest(self) -> str:
        """The same for the same votes, so that what was made of them is known to be of them."""
        content = [self.preference.tolist(), self.left.tolist(), self.right.tolist(), list(self.groups)]
        return hashlib.sha256(json.dumps(content).encode()).hexdigest()[:32]


def read_votes(store: FeedbackStore, run: str, responses: Mapping[str, Response]) -> Votes:
    """The votes on a collection's pairs; pairs whose texts are missing are left out.

    Raises:
        UsageError: the store is damaged.
    """
    pairs = {
        query.id: query
        for query in store.queries(run)
        if (query.kind, query.purpose) == (Kind.PAIR, Purpose.TRAINING)
        and all(item in responses for item in query.items)
    }
    late, worth = store.late(run), labeller_weights(store.remarks(run, kind=RemarkKind.WEIGHT))
    said: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for answer in store.current_answers(run):
        weight = worth.get(answer.labeller, FULL_WEIGHT)
        counts = answer.query_id in pairs and (answer.query_id, answer.labeller) not in late
        if counts and weight > 0 and answer.value is not None:
            said[answer.query_id].append((float(answer.value), weight))  # type: ignore[arg-type]
    queries = [query for query in pairs.values() if query.id in said]
    sides = [[responses[query.items[place]] for query in queries] for place in (0, 1)]
    left, right = (feature_table(response.text for response in side) for side in sides)
    return Votes(
        answers=sum(len(said[query.id]) for query in queries),
        preference=np.array([_mean(said[query.id]) for query in queries], np.float64),
        left=left,
        right=right,
        groups=tuple(query.group or query.id for query in queries),
    )


def _mean(votes: list[tuple[float, float]]) -> float:
    return sum(value * weight for value, weight in votes) / sum(weight for _, weight in votes)
