"""The control that must fail: fitted to shuffled answers of any kind, a reward knows nothing of the true one.

A network fitted to noise is still a smooth function of a few features, and so is the true return: over one
seed they correlate by chance, easily by a half, to either side. What must be nothing is the mean over seeds,
each with features, true reward, answers and networks of its own; its standard error says what nothing is.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from prefrl.ensemble import RewardEnsemble
from prefrl.feedback import Kind
from prefrl.feedback_sets import make_feedback_set
from prefrl.fit_config import FitConfig
from prefrl.fitting import RewardFitter
from prefrl.member_layers import MemberLinear, SharedLinear
from prefrl.statistics import spearman
from prefrl.teacher_answers import teacher_values
from prefrl.teachers import make_teacher

MEMBERS, LENGTH, FEATURES, HELD_OUT = 2, 4, 8, 150
QUERIES = {Kind.PAIR: (60, 2), Kind.RANKING: (30, 4), Kind.LIKE: (120, 1), Kind.RATING: (120, 1)}
"""Of each kind so many, about 120 segments in all, none of them twice."""
FIT = FitConfig(learning_rate=1e-2, batch_size=16, first_gradient_steps=50, max_epochs=30)


class Network(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first = SharedLinear(MEMBERS, FEATURES, 16)
        self.head = MemberLinear(MEMBERS, 16, 1)

    def forward(self, inputs: Tensor) -> Tensor:
        hidden = torch.tanh(self.first(inputs.reshape(-1, FEATURES)))
        return self.head(hidden).reshape(MEMBERS, *inputs.shape[:-1])


@dataclass
class Steps:
    table: Tensor

    def inputs(self, rows: Tensor) -> Tensor:
        return self.table[rows]

    def mask(self, rows: Tensor) -> None:
        """Every step counts."""


def correlation(kind: Kind, teacher: str, seed: int) -> float:
    """Spearman's between learned and true return of segments that nobody was asked about."""
    rng = np.random.default_rng(seed)
    number, size = QUERIES[kind]
    asked = number * size
    steps = rng.normal(size=(asked + HELD_OUT, LENGTH, FEATURES))
    steps += rng.normal(size=(asked + HELD_OUT, 1, FEATURES))  # what tells segments apart
    rewards = steps @ rng.normal(size=FEATURES)
    values = teacher_values(
        make_teacher(teacher, rng), kind, rewards[:asked].reshape(number, size, LENGTH), rewards[:asked]
    )
    rows = np.arange(asked).reshape(number, size).tolist()
    feedback = make_feedback_set(kind, rows, values, error_rate=FIT.error_rate, items_per_query=size)
    torch.manual_seed(seed)
    fitter = RewardFitter(RewardEnsemble(Network(), members=MEMBERS), FIT, seed)
    items = Steps(torch.from_numpy(steps).float())
    fitter.fit(items, [feedback], torch.Generator().manual_seed(seed))
    learned = fitter.ensemble.predict(items.inputs(torch.arange(asked, asked + HELD_OUT))).sum(-1)
    return float(spearman(learned.numpy(), rewards[asked:].sum(1)))


def over_seeds(kind: Kind, teacher: str, seeds: range) -> tuple[float, float]:
    """The mean correlation and its standard error."""
    found = np.array([correlation(kind, teacher, seed) for seed in seeds])
    return float(found.mean()), float(found.std(ddof=1) / math.sqrt(len(found)))


@pytest.mark.parametrize("kind", QUERIES)
def test_shuffled_answers_teach_nothing_where_the_same_answers_unshuffled_teach_much(kind: Kind) -> None:
    mean, error = over_seeds(kind, "shuffled", range(20))
    assert error < 0.1  # or nothing could be told from something
    assert abs(mean) < 3 * error
    learned, spread = over_seeds(kind, "oracle", range(100, 104))
    assert learned - 5 * spread > 0.3
