"""What is wrong with each scripted teacher: the faults of B-Pref, Lee et al. 2021 (arXiv 2111.03026)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

from prefrl.errors import UsageError


@dataclass(frozen=True)
class TeacherConfig:
    """The faults of a scripted teacher (B-Pref). The defaults have none: the oracle."""

    rationality: float = math.inf
    """P(left) = σ(rationality · d), d in standard deviations of true segment return over the candidates."""
    myopia: float = 1.0
    """A reward k steps before a segment's end counts myopia^k, in (0, 1]."""
    error_rate: float = 0.0
    """Probability of giving the opposite answer, in [0, 1]. (Random answers at rate e flip with e/2.)"""
    skip_threshold: float = 0.0
    """Skip if the better segment's return is below this share of an average segment's; 0: never."""
    equal_threshold: float = 0.0
    """Equal if the returns differ by less than this share of an average segment's; 0: exact ties only."""

    def __post_init__(self) -> None:
        if not self.rationality > 0.0:
            raise UsageError(f"rationality must be above 0 (infinite: always right), not {self.rationality}")
        if not 0.0 < self.myopia <= 1.0:
            raise UsageError(f"myopia must lie in (0, 1] (1: not myopic), not {self.myopia}")
        if not 0.0 <= self.error_rate <= 1.0:
            raise UsageError(f"error_rate must lie in [0, 1], not {self.error_rate}")
        for name in ("skip_threshold", "equal_threshold"):
            if not 0.0 <= getattr(self, name) < math.inf:
                raise UsageError(f"{name} must be finite and not below 0 (0: off), not {getattr(self, name)}")


SCRIPTED_TEACHERS: Final[dict[str, TeacherConfig]] = {
    "oracle": TeacherConfig(),
    "mistake": TeacherConfig(error_rate=0.1),
    "noisy": TeacherConfig(rationality=1.0),
    "skip": TeacherConfig(skip_threshold=0.1),
    "myopic": TeacherConfig(myopia=0.9),
    "equal": TeacherConfig(equal_threshold=0.1),
}
"""The six teachers of B-Pref, table 1. Its noise is on raw sums; here in units of their deviation."""
