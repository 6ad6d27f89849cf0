"""Queries, answers and remarks: what is asked of a teacher, what the teacher says, and what is noted beside it.

All are immutable values that check themselves; nothing here touches a disk or needs more than the standard library.
A query's *items* are ids of segments or responses. An answer always speaks of items in the order of the query, however
they were shown: in a pair, item 0 is *left*; `Answer.shown` records which item stood where on the screen.
"""

import hashlib
import json
import math
import operator
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, TypeVar

from prefrl.errors import UsageError

PREFERENCES = (1.0, 0.75, 0.5, 0.25, 0.0)
"""P(left is better): left, slightly left, equal, slightly right, right."""
HIGHEST_RATING = 10
MAX_NAME = 200
MAX_REMARK = 10_000
MAX_MARKS = 100_000
MAX_COUNT = 2**63 - 1

Value = float | int | bool | tuple[int, ...] | tuple[float, ...] | None
"""pair: P(left is better); ranking: item positions, best first; like: bool; rating: 1 to 10; marks: one number per
step; None: the teacher skips."""


class Kind(StrEnum):
    """What is asked about the items of a query."""

    PAIR = "pair"
    RANKING = "ranking"
    LIKE = "like"
    RATING = "rating"
    MARKS = "marks"


class Source(StrEnum):
    """Who answers: the true reward, a scripted teacher with faults, a person, or a model as judge."""

    ORACLE = "oracle"
    SCRIPTED = "scripted"
    PERSON = "person"
    MODEL = "model"


class Purpose(StrEnum):
    """Why a query is asked; only answers to training queries are trained on and spend the label budget."""

    TRAINING = "training"
    GOLD = "gold"
    REPEAT = "repeat"
    PRACTICE = "practice"


class RemarkKind(StrEnum):
    """What is noted beside answers: a broken clip, a query taken back, a labeller's weight, a labeller erased."""

    FLAG = "flag"
    CLOSE = "close"
    WEIGHT = "weight"
    ERASURE = "erasure"


def make_id(run: str, seed: int, kind: str, counter: int) -> str:
    """The id of the counter-th thing of a kind in a run: equal arguments, equal id, so that repeating is harmless."""
    digest = hashlib.sha256(json.dumps([run, seed, kind, counter]).encode()).hexdigest()
    return f"{kind}-{digest[:24]}"


@dataclass(frozen=True, slots=True)
class Query:
    """Items put to a teacher. Raises `UsageError` for values that cannot be."""

    id: str
    run: str
    kind: Kind
    items: tuple[str, ...]
    group: str | None = None  # what the items share: a prompt, a batch of queries
    policy_step: int = 0  # steps of training when the query was made
    reward_version: int = 0  # fits of the ensemble when the query was made
    counter: int = 0  # position in the run, unique there
    purpose: Purpose = Purpose.TRAINING
    repeat_of: str | None = None  # the query that a hidden repeat asks again

    def __post_init__(self) -> None:
        _check_name("query id", self.id)
        _check_name("run", self.run)
        _set(self, "kind", _member(Kind, self.kind, "kind"))
        _set(self, "purpose", _member(Purpose, self.purpose, "purpose"))
        _set(self, "items", _tuple(self.items, f"items of query {self.id}"))
        for item in self.items:
            _check_name(f"item of query {self.id}", item)
        for name in ("policy_step", "reward_version", "counter"):
            _set(self, name, _count(getattr(self, name), f"{name} of query {self.id}"))
        for name in ("group", "repeat_of"):
            if getattr(self, name) is not None:
                _check_name(f"{name} of query {self.id}", getattr(self, name))
        _check_items(self)


@dataclass(frozen=True, slots=True)
class Answer:
    """What a teacher says to one query; kind-specific checks need the query: `check_answer`.

    `event` is the store's running number, 0 before the answer is stored; it takes no part in comparisons.
    """

    id: str
    query_id: str
    value: Value
    source: Source
    labeller: str
    seconds: float | None = None  # time the labeller took
    shown: tuple[int, ...] = ()  # item positions from left to right on the screen; () where nothing was shown
    instruction_version: int = 0
    supersedes: str | None = None  # the id of the labeller's earlier answer that this one replaces
    withdrawn: bool = False  # an undo: takes back the answer it supersedes and says nothing itself
    answered_at: float | None = None  # Unix time in seconds
    event: int = field(default=0, compare=False)

    def __post_init__(self) -> None:
        _check_name("answer id", self.id)
        _check_name(f"query id of answer {self.id}", self.query_id)
        _check_name(f"labeller of answer {self.id}", self.labeller)
        _set(self, "source", _member(Source, self.source, "source"))
        _set(self, "value", _plain(self.value))
        _set(self, "shown", _tuple(_plain(self.shown), f"shown order of answer {self.id}"))
        _set(self, "instruction_version", _count(self.instruction_version, f"instruction version of {self.id}"))
        _set(self, "seconds", _amount(self.seconds, f"seconds of answer {self.id}"))
        _set(self, "answered_at", _amount(self.answered_at, f"answered_at of answer {self.id}"))
        if self.supersedes is not None:
            _check_name(f"superseded answer of {self.id}", self.supersedes)
        if not isinstance(self.withdrawn, bool):
            raise UsageError(f"withdrawn of answer {self.id} is {self.withdrawn!r}: give true or false")
        if self.withdrawn and (self.value is not None or self.supersedes is None):
            raise UsageError(f"answer {self.id} withdraws: give value None and the answer that it supersedes")

    @property
    def skipped(self) -> bool:
        """Whether the teacher declined; recorded, never trained on."""
        return self.value is None and not self.withdrawn


@dataclass(frozen=True, slots=True)
class Remark:
    """A recorded decision about a query or a labeller (its `subject`), kept beside the answers."""

    id: str
    run: str
    kind: RemarkKind
    subject: str
    labeller: str
    content: str = ""
    made_at: float | None = None  # Unix time in seconds

    def __post_init__(self) -> None:
        for name in ("id", "run", "subject", "labeller"):
            _check_name(f"{name} of a remark", getattr(self, name))
        _set(self, "kind", _member(RemarkKind, self.kind, "kind of remark"))
        _set(self, "made_at", _amount(self.made_at, f"made_at of remark {self.id}"))
        if not isinstance(self.content, str) or len(self.content) > MAX_REMARK or not _is_storable(self.content):
            raise UsageError(f"the content of remark {self.id} must be text of at most {MAX_REMARK} characters")


def check_answer(query: Query, answer: Answer) -> None:
    """Raise `UsageError` unless the answer's value and shown order fit the query."""
    if answer.query_id != query.id:
        raise UsageError(f"answer {answer.id} is to query {answer.query_id}, not to {query.id}")
    if answer.shown and not _is_order(answer.shown, len(query.items)):
        raise UsageError(
            f"answer {answer.id} was shown in the order {_short(answer.shown)}:"
            f" give each of the positions 0 to {len(query.items) - 1} once"
        )
    if answer.value is None:
        return
    fits, wanted = _fits(query, answer.value)
    if not fits:
        raise UsageError(f"answer {answer.id} to {query.kind} query {query.id} is {_short(answer.value)}: give {wanted}")


def newest_answers(answers: Iterable[Answer]) -> dict[tuple[str, str], Answer]:
    """The answers that stand, by (query id, labeller): the last of each, unless it withdraws.

    Takes answers in the order of their events, so old and newly read ones can be chained.
    """
    newest: dict[tuple[str, str], Answer] = {}
    for answer in answers:
        newest[answer.query_id, answer.labeller] = answer
    return {key: answer for key, answer in newest.items() if not answer.withdrawn}


def decode_value(kind: Kind, value: Any) -> Value:
    """A value as it comes out of JSON in the type that its kind has; validity is `check_answer`'s business."""
    if kind is Kind.PAIR and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if kind is Kind.MARKS and isinstance(value, list):
        return tuple(float(mark) if isinstance(mark, int) else mark for mark in value)
    return tuple(value) if isinstance(value, list) else value


def _check_items(query: Query) -> None:
    needed = {Kind.PAIR: (2, 2), Kind.RANKING: (2, MAX_NAME)}.get(query.kind, (1, 1))
    if not needed[0] <= len(query.items) <= needed[1]:
        wanted = "2 or more items" if query.kind is Kind.RANKING else f"{needed[0]} item(s)"
        raise UsageError(f"query {query.id} of kind {query.kind} has {len(query.items)} item(s): give {wanted}")
    if len(set(query.items)) != len(query.items):
        raise UsageError(f"query {query.id} compares an item with itself ({_short(query.items)}): give different items")
    if (query.repeat_of is not None) != (query.purpose is Purpose.REPEAT):
        raise UsageError(f"query {query.id}: give repeat_of together with purpose repeat, and only then")


def _fits(query: Query, value: Any) -> tuple[bool, str]:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    match query.kind:
        case Kind.PAIR:
            return number and value in PREFERENCES, "P(left is better): 1, 0.75, 0.5, 0.25 or 0, or None to skip"
        case Kind.RANKING:
            last = len(query.items) - 1
            return _is_order(value, last + 1), f"each of the positions 0 to {last} once, best first, or None to skip"
        case Kind.LIKE:
            return isinstance(value, bool), "True or False, or None to skip"
        case Kind.RATING:
            fits = number and value in range(1, HIGHEST_RATING + 1)
            return fits and isinstance(value, int), f"a whole number from 1 to {HIGHEST_RATING}, or None to skip"
        case _:
            fits = isinstance(value, tuple) and 0 < len(value) <= MAX_MARKS
            return fits and all(_is_finite(mark) for mark in value), "one finite number per step, or None to skip"


def _is_order(value: Any, length: int) -> bool:
    whole = isinstance(value, tuple) and len(value) == length and all(type(place) is int for place in value)
    return whole and sorted(value) == list(range(length))


def _is_finite(value: Any) -> bool:
    try:
        return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    except OverflowError:  # a whole number beyond every float
        return False


def _is_storable(text: str) -> bool:
    return "\0" not in text and not any("\ud800" <= character <= "\udfff" for character in text)


def _check_name(what: str, name: Any) -> None:
    if not isinstance(name, str) or not 0 < len(name) <= MAX_NAME or not name.isprintable():
        raise UsageError(f"{what} is {_short(name)}: give 1 to {MAX_NAME} printable characters")


def _count(value: Any, what: str) -> int:
    try:
        count = -1 if isinstance(value, bool) else operator.index(value)
    except TypeError:
        count = -1
    if not 0 <= count <= MAX_COUNT:
        raise UsageError(f"{what} is {_short(value)}: give a whole number of 0 or more")
    return count


def _amount(value: Any, what: str) -> float | None:
    if value is None:
        return None
    plain = _plain(value)
    if not _is_finite(plain) or plain < 0:
        raise UsageError(f"{what} is {_short(value)}: give a finite number of 0 or more, or None")
    return float(plain)


Choice = TypeVar("Choice", bound=StrEnum)


def _member(choices: type[Choice], value: Any, what: str) -> Choice:
    try:
        return choices(value)
    except ValueError:
        raise UsageError(f"{what} is {_short(value)}: give one of {', '.join(choices)}") from None


def _tuple(value: Any, what: str) -> tuple[Any, ...]:
    if not isinstance(value, tuple | list):
        raise UsageError(f"{what} are {_short(value)}: give a tuple")
    return tuple(value)


def _plain(value: Any) -> Any:
    """NumPy scalars and arrays as Python numbers, lists as tuples, so that values compare and go into JSON."""
    if hasattr(value, "tolist"):
        value = value.tolist()
    return tuple(_plain(one) for one in value) if isinstance(value, tuple | list) else value


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."


def _set(record: Any, name: str, value: Any) -> None:
    object.__setattr__(record, name, value)
