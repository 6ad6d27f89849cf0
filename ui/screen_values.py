"""What pages send, read without belief: each value in its type, or a refusal that says what is wrong."""

from __future__ import annotations

import math

from prefrl.feedback import Kind, Query, Value
from ui.refusals import Refusal

LONGEST_SECONDS = 86_400.0


def read_value(query: Query, value: object) -> Value:
    """A value from JSON, of the type that the query's kind has; its range is left to the checks behind."""
    if value is None:
        return None
    number = isinstance(value, int | float) and not isinstance(value, bool)
    match query.kind:
        case Kind.PAIR if number:
            return float(value)  # type: ignore[arg-type]
        case Kind.RANKING if isinstance(value, list) and _is_order(value, len(query.items)):
            return tuple(value)
        case Kind.LIKE if isinstance(value, bool):
            return value
        case Kind.RATING if number and isinstance(value, int):
            return value
    raise Refusal(400, f"{str(value)[:100]!r} is no answer to a query of kind {query.kind}")


def read_seconds(value: object) -> float | None:
    """Seconds taken, or None where that is unknown."""
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= LONGEST_SECONDS:
        raise Refusal(400, f"seconds must lie between 0 and {LONGEST_SECONDS:g}")
    return float(value) if math.isfinite(value) else None


def read_instructions(version: object, *, newest: int) -> int:
    """The version of the instructions that was read, 0 where none was."""
    if type(version) is not int or not 0 <= version <= newest:
        raise Refusal(400, f"instructions must be the version that was read, from 0 to {newest}")
    return version


def read_event(value: object) -> int:
    """Where a page of answers begins."""
    if not isinstance(value, str) or not value.isascii() or not value.isdigit() or len(value) > 18:
        raise Refusal(400, "before must be what the page before gave as older")
    return int(value)


def read_revision(value: object) -> int:
    """How often the labeller had said something to the query before."""
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 10_000:
        raise Refusal(400, "revision must be a whole number of 0 or more")
    return value


def _is_order(value: list[object], length: int) -> bool:
    return all(type(place) is int for place in value) and sorted(value) == list(range(length))  # type: ignore[type-var]
