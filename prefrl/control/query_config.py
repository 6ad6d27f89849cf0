"""What a run asks, about which segments, and when; read without torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from prefrl.errors import UsageError
from prefrl.schedules import MUJOCO_HALF_LIFE

FeedbackKind = Literal["pair", "ranking", "like", "rating"]

PRACTICE_PAIRS = 3
"""Of a human run that is not told otherwise."""
LARGEST_RANKING = 5
"""Clips that fit beside each other on a page, and into a labeller's head."""


@dataclass(frozen=True)
class QueryConfig:
    """What is asked about which segments, and when."""

    kind: FeedbackKind = "pair"
    """What a query asks: which of two clips is better, the order of several, whether one is liked, or how it
    is rated from 1 to 10. Each trains the reward through its own likelihood."""
    ranking_size: int = 3
    """Clips in a query of kind ranking, 2 to 5."""
    segment_length: int = 30
    """Steps per segment (Christiano et al. 2017: 1.5 s on MuJoCo, 25 steps on Atari)."""
    selector: Literal["disagreement", "random"] = "disagreement"
    """How queries are chosen among the candidates."""
    candidates_per_query: int = 10
    """Random candidates drawn per query to choose from (Christiano et al. 2017: 10)."""
    pool_size: int = 2000
    """Recent segments kept to draw candidates from."""
    initial_fraction: float = 0.25
    """Share of the labels asked for before training, of the untrained policy."""
    initial_steps_fraction: float = 0.03
    """Share of the run's steps taken by the untrained policy, from which the first segments are cut."""
    half_life: float = MUJOCO_HALF_LIFE
    """Progress at which the label rate has fallen to half."""
    sessions: int = 40
    """Times per run that labels are asked for and the ensemble is fitted, after the first."""
    pace: Literal["teacher", "labels"] = "teacher"
    """What drives a run: steps with a scripted teacher and labels with a person, or labels with either. At
    the pace of labels a scripted teacher answers like a person who is never waited for: just in time."""
    max_steps_per_label: int = 20_000
    """At the pace of labels: a run pauses once it has trained this many steps per usable label."""
    open_queries: int = 20
    """A human run keeps this many unanswered queries ready."""
    overlap: int = 1
    """Labellers who answer each training query of a human run; every answer spends budget and is fitted."""
    repeat_fraction: float = 0.0
    """Hidden repeats, sides swapped, for the same labeller: so many per usable answer of a human run."""
    gold_fraction: float = 0.0
    """Hidden pairs whose answer is clear from the true return: so many per training query of a human run. Of
    kind pair alone: which ranking or rating is right is seldom so clear."""
    practice_pairs: int | None = None
    """Pairs of a human run that a labeller may practise on, told afterwards which answer was expected. By
    default 3 where pairs are asked about, and none where anything else is."""
    hacking_alarm: bool = True
    """Watch whether predicted return rises while fresh answers contradict it; changes nothing until then.
    Only where clips are compared: of single ones, who expects more of a better agent would sound the same."""
    audit_share: float | None = None
    """Share of later queries that check a predicted rise for the alarm: newest behaviour beside earlier
    behaviour. By default 0.1 where people compare clips, and none with a scripted teacher."""

    def __post_init__(self) -> None:
        counts = ("segment_length", "candidates_per_query", "pool_size", "sessions", "overlap")
        for name in (*counts, "max_steps_per_label", "open_queries"):
            if getattr(self, name) < 1:
                raise UsageError(f"query.{name} must be at least 1, not {getattr(self, name)}")
        for name in ("repeat_fraction", "gold_fraction"):
            if not 0 <= getattr(self, name) <= 0.5:
                raise UsageError(f"query.{name} must lie in [0, 0.5], not {getattr(self, name)}")
        if self.practice_pairs is not None and self.practice_pairs < 0:
            raise UsageError(f"query.practice_pairs must be 0 or more, not {self.practice_pairs}")
        for name in ("initial_fraction", "initial_steps_fraction"):
            if not 0 < getattr(self, name) <= 1:
                raise UsageError(f"query.{name} must lie in (0, 1], not {getattr(self, name)}")
        if self.audit_share is not None and not 0 <= self.audit_share <= 1:
            raise UsageError(f"query.audit_share must lie in [0, 1], not {self.audit_share}")
        if not self.half_life > 0:
            raise UsageError(f"query.half_life must be above 0, not {self.half_life}")
        self._check_kind()

    def _check_kind(self) -> None:
        kinds = get_args(FeedbackKind)
        if self.kind not in kinds:
            raise UsageError(f"query.kind must be one of {', '.join(kinds)}, not {self.kind!r}")
        if not 2 <= self.ranking_size <= LARGEST_RANKING:
            raise UsageError(
                f"query.ranking_size must lie in [2, {LARGEST_RANKING}], not {self.ranking_size}"
            )
        for name in ("gold_fraction", "practice_pairs"):
            if getattr(self, name) and self.kind != "pair":
                raise UsageError(
                    f"query.{name} is about pairs, whose answer can be clear beforehand: leave it out with "
                    f"query.kind {self.kind}, not {getattr(self, name)}"
                )
        if self.audit_share and self.clips_per_query == 1:
            raise UsageError(
                "query.audit_share puts newest behaviour beside earlier behaviour: leave it out with "
                f"query.kind {self.kind}, which shows one clip, not {self.audit_share}"
            )

    @property
    def clips_per_query(self) -> int:
        """Segments that one query is about."""
        return {"pair": 2, "ranking": self.ranking_size}.get(self.kind, 1)

    @property
    def practice(self) -> int:
        """``practice_pairs`` with its default filled in."""
        default = PRACTICE_PAIRS if self.kind == "pair" else 0
        return default if self.practice_pairs is None else self.practice_pairs

    @property
    def alarmed(self) -> bool:
        """Whether the hacking alarm hears the answers."""
        return self.hacking_alarm and self.clips_per_query > 1
