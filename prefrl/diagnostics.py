"""What a run's trainer finds out about its learned reward at each session, as files that anybody can read.

``diagnostics/session-000007.json`` in the run folder: one small JSON object per fit, written whole or not at
all. A damaged or missing one costs that session and nothing else.
"""

from __future__ import annotations

import dataclasses
import json
import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from prefrl.errors import UsageError
from prefrl.files import explained_disk_errors, write_atomically

FOLDER = "diagnostics"
FORMAT = 1
MOST_POINTS = 128
"""Segments in a session's comparison of learned with true return."""
MOST_PAIRS = 3
"""Newest compared pairs whose reward per step is kept."""
_FILE = re.compile(r"session-(\d{6})\.json")


@dataclass(frozen=True)
class FreshAnswer:
    """An answer as the ensemble predicted it before it was fitted to it."""

    query: str
    predicted: float
    """P(left is better), the labeller's errors included; of a ranking that its first item stands above its
    second, of a like that it is liked, of a rating that it is 6 or more."""
    given: float
    """1 left, 0 right, 1/2 equal; or whether that is so."""
    audit: bool = False
    """Whether the query put the newest behaviour beside earlier behaviour."""


@dataclass(frozen=True)
class ComparedSegment:
    """A segment and the learned reward of each of its steps."""

    item: str
    rewards: tuple[float, ...]


@dataclass(frozen=True)
class ComparedPair:
    """A compared pair; ``predicted`` is P(left is better). Of rankings the first two items; of single clips
    two that were judged one after the other."""

    query: str
    predicted: float
    given: float | None
    left: ComparedSegment
    right: ComparedSegment


@dataclass(frozen=True)
class SessionReport:
    """One session of a run; everything predicted is by the version before its fit."""

    session: int
    """Fits before this one: the version that judged."""
    step: int
    labels: int
    answers: tuple[FreshAnswer, ...] = ()
    points: tuple[tuple[float, float], ...] = ()
    """(learned, true) return of fresh segments; the true one is for reports alone."""
    correlation: float | None = None
    """Spearman's, of these points."""
    disagreement: float | None = None
    """Variance over members of the predicted preference between them."""
    rise: float | None = None
    """Mean predicted preference of the newest segments over earlier compared ones, minus 1/2."""
    evidence: float = 0.0
    """Of the hacking alarm, which rings at ``threshold``."""
    threshold: float = math.inf
    rang: bool = False
    """Whether it rang at this session."""
    pairs: tuple[ComparedPair, ...] = ()

    @property
    def agreement(self) -> float | None:
        """Share of fresh answers predicted right, equal ones left out; None where there is none."""
        sides = [(one.predicted - 0.5) * (one.given - 0.5) for one in self.answers if one.given != 0.5]
        return sum((side > 0) + 0.5 * (side == 0) for side in sides) / len(sides) if sides else None


@dataclass(frozen=True)
class Diagnostics:
    """The sessions of a run in their order, and what is wrong with files that cannot be read."""

    sessions: tuple[SessionReport, ...]
    problems: tuple[str, ...]


def save_session(run: Path, report: SessionReport) -> None:
    """Writes one session; raises UsageError where the disk refuses."""
    path = _path(run, report.session)
    with explained_disk_errors(f"make {path.parent}"):
        path.parent.mkdir(exist_ok=True)
    content = {"format": FORMAT, **_plain(dataclasses.asdict(report))}
    write_atomically(path, json.dumps(content, allow_nan=False).encode())


def drop_sessions_after(run: Path, step: int) -> None:
    """Deletes the sessions of later steps: a resumed run holds them again."""
    for report in read_diagnostics(run).sessions:
        if report.step > step:
            _path(run, report.session).unlink(missing_ok=True)


def read_diagnostics(run: Path, *, tail: int | None = None) -> Diagnostics:
    """The sessions of a run, or its last ``tail`` ones; never raises for what a file holds."""
    files = sorted(path for path in (run / FOLDER).glob("session-*.json") if _FILE.fullmatch(path.name))
    sessions, problems = [], []
    for path in files if tail is None else files[-tail:]:
        try:
            sessions.append(read_session(path))
        except UsageError as error:
            problems.append(str(error))
    return Diagnostics(tuple(sessions), tuple(problems))


def read_session(path: Path) -> SessionReport:
    """One session; raises UsageError for a file that is missing, damaged, or of another format."""
    with explained_disk_errors(f"read {path}"):
        content = path.read_bytes()
    try:
        values = json.loads(content)
        if not isinstance(values, dict):
            raise ValueError("no JSON object")
        if (written := values.pop("format")) != FORMAT:
            raise UsageError(f"{path} has format {written}, this PrefRL reads {FORMAT}: update PrefRL")
        return _report(values)
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise UsageError(
            f"{path.name} is damaged ({type(error).__name__}): delete it, the other sessions are intact"
        ) from error


def _path(run: Path, session: int) -> Path:
    return run / FOLDER / f"session-{session:06d}.json"


def _report(values: dict[str, Any]) -> SessionReport:
    answers = tuple(
        FreshAnswer(str(one["query"]), _share(one["predicted"]), _share(one["given"]), bool(one["audit"]))
        for one in values["answers"]
    )
    points = tuple((_number(learned), _number(true)) for learned, true in values["points"])
    pairs = tuple(
        ComparedPair(
            str(one["query"]),
            _share(one["predicted"]),
            None if one["given"] is None else _share(one["given"]),
            *(
                ComparedSegment(str(one[side]["item"]), tuple(map(_number, one[side]["rewards"])))
                for side in ("left", "right")
            ),
        )
        for one in values["pairs"]
    )
    threshold = _number_or_none(values["threshold"])
    return SessionReport(
        session=int(values["session"]),
        step=int(values["step"]),
        labels=int(values["labels"]),
        answers=answers,
        points=points,
        correlation=_number_or_none(values["correlation"]),
        disagreement=_number_or_none(values["disagreement"]),
        rise=_number_or_none(values["rise"]),
        evidence=_number(values["evidence"]),
        threshold=math.inf if threshold is None else threshold,
        rang=bool(values["rang"]),
        pairs=pairs,
    )


def _number_or_none(value: Any) -> float | None:
    return None if value is None else _number(value)


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError(f"{value!r} is no number")
    return float(value)


def _share(value: Any) -> float:
    if not 0.0 <= _number(value) <= 1.0:
        raise ValueError(f"{value!r} is no share")
    return float(value)


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _plain(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    if isinstance(value, float):
        # Six digits are more than a page shows, and half the bytes.
        return float(f"{value:.6g}") if math.isfinite(value) else None
    return value
