"""Checks of values that came from outside: each returns the value in its plain form or names the fix."""

import math
import operator
from enum import StrEnum
from reprlib import Repr
from typing import Any, TypeVar

from prefrl.errors import UsageError

MAX_NAME = 200
MAX_COUNT = 2**63 - 1  # what a database column holds

Choice = TypeVar("Choice", bound=StrEnum)


def check_name(what: str, name: Any) -> None:
    """Raise `UsageError` unless a name is 1 to 200 printable characters."""
    if not isinstance(name, str) or not 0 < len(name) <= MAX_NAME or not name.isprintable():
        raise UsageError(f"{what} is {shortened(name)}: give 1 to {MAX_NAME} printable characters")


def check_text(what: str, text: Any, length: int) -> None:
    """Raise `UsageError` unless a text is at most so long and can be stored as UTF-8."""
    storable = (
        isinstance(text, str) and "\0" not in text and not any("\ud800" <= one <= "\udfff" for one in text)
    )
    if not storable or len(text) > length:
        raise UsageError(f"{what} is {shortened(text)}: give text of at most {length} characters")


def as_count(value: Any, what: str) -> int:
    """A whole number of 0 or more, of any integer type."""
    try:
        count = -1 if isinstance(value, bool) else operator.index(value)
    except TypeError:
        count = -1
    if not 0 <= count <= MAX_COUNT:
        raise UsageError(f"{what} is {shortened(value)}: give a whole number of 0 or more")
    return count


def as_amount(value: Any, what: str) -> float | None:
    """A finite number of 0 or more, or None."""
    if value is None:
        return None
    plain = as_plain(value)
    if not is_finite(plain) or plain < 0:
        raise UsageError(f"{what} is {shortened(value)}: give a finite number of 0 or more, or None")
    return float(plain)


def as_member(choices: type[Choice], value: Any, what: str) -> Choice:
    """The member of an enumeration that a value names."""
    try:
        return choices(value)
    except ValueError:
        raise UsageError(f"{what} is {shortened(value)}: give one of {', '.join(choices)}") from None


def as_tuple(value: Any, what: str) -> tuple[Any, ...]:
    """A list or tuple as a tuple."""
    if not isinstance(value, tuple | list):
        raise UsageError(f"{what} are {shortened(value)}: give a tuple")
    return tuple(value)


def as_plain(value: Any) -> Any:
    """NumPy scalars and arrays as Python numbers and tuples, so that values compare and go into JSON."""
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, tuple | list):
        return tuple(one.item() if hasattr(one, "item") else one for one in value)
    return value


def is_finite(value: Any) -> bool:
    """Whether a value is a number, not a bool, and within the floats."""
    try:
        return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    except OverflowError:  # a whole number beyond every float
        return False


def shortened(value: Any) -> str:
    """A value as messages show it: never more than a line, however large or deep it is."""
    short = Repr()
    short.maxstring = short.maxother = short.maxlong = 80
    return short.repr(value)


def set_field(record: Any, name: str, value: Any) -> None:
    """Set a field of a frozen dataclass while it is being made."""
    object.__setattr__(record, name, value)
