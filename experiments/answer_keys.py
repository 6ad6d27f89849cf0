"""Keys of the terminal client: what each means for a kind of query, and where they are read from."""

from __future__ import annotations

import os
import select
import sys
import termios
import time
import tty
from collections.abc import Callable, Iterable, Iterator, Sized
from contextlib import contextmanager
from enum import Enum
from typing import NamedTuple, Protocol

from prefrl.feedback import HIGHEST_RATING, Kind, Value


class Act(Enum):
    """What a key asks for."""

    ANSWER = "answer"
    PLACE = "place"
    TAKE = "take"
    SEND = "send"
    UNDO = "undo"
    QUIT = "quit"
    HELP = "help"
    UNKNOWN = "unknown"


class Key(NamedTuple):
    """A key pressed, or a line read."""

    act: Act
    value: Value = None
    """Of an answer: what is said, in the order on the screen; None skips. Of a clip that comes next in a
    ranking: its place on the screen."""


Meaning = Callable[[str], Key]
"""What a key or a word means."""

SKIP = Key(Act.ANSWER, None)
ALWAYS: dict[str, Key] = {
    **dict.fromkeys(("s", "?", "skip", "\x1b[B"), SKIP),
    **dict.fromkeys(("u", "undo"), Key(Act.UNDO)),
    **dict.fromkeys(("q", "quit", "\x04"), Key(Act.QUIT)),
    **dict.fromkeys(("h", "help"), Key(Act.HELP)),
}
KEYS: dict[Kind, dict[str, Key]] = {
    Kind.PAIR: {
        **dict.fromkeys(("l", "1", "left", "\x1b[D"), Key(Act.ANSWER, 1.0)),
        **dict.fromkeys(("L",), Key(Act.ANSWER, 0.75)),
        **dict.fromkeys(("e", "=", "equal", "\x1b[A"), Key(Act.ANSWER, 0.5)),
        **dict.fromkeys(("R",), Key(Act.ANSWER, 0.25)),
        **dict.fromkeys(("r", "2", "right", "\x1b[C"), Key(Act.ANSWER, 0.0)),
    },
    Kind.RANKING: {
        **dict.fromkeys(("\x7f", "\b", "back"), Key(Act.TAKE)),
        **dict.fromkeys(("\n", "\r", "send"), Key(Act.SEND)),
    },
    Kind.LIKE: {
        **dict.fromkeys(("l", "like", "\x1b[C"), Key(Act.ANSWER, True)),
        **dict.fromkeys(("d", "dislike", "\x1b[D"), Key(Act.ANSWER, False)),
    },
    Kind.RATING: {
        **{str(rating): Key(Act.ANSWER, rating) for rating in range(1, HIGHEST_RATING + 1)},
        "0": Key(Act.ANSWER, HIGHEST_RATING),
    },
}
"""Arrow keys of pairs as in Christiano et al. 2017: left, right, up for equal, down for cannot tell."""

HELP = {
    Kind.PAIR: """\
  l, 1, left arrow    the left one is better        L  slightly better
  r, 2, right arrow   the right one is better       R  slightly better
  e, =, up arrow      both are equally good""",
    Kind.RANKING: """\
  1, 2, 3, ...        this clip comes next, the best one first; again: not yet
  Enter, send         the ranking is done, once one clip is left
  Backspace, back     take the last clip back
  213                 a whole ranking, where lines are read""",
    Kind.LIKE: """\
  l, right arrow      I like it
  d, left arrow       I do not""",
    Kind.RATING: """\
  1 to 9, 0 for 10    how good it is""",
}
"""How each kind is answered."""
HELP_ALWAYS = """\
  s, ?, down arrow    skip: I cannot tell
  u undo    h help    q quit"""


def meaning_of(kind: Kind, clips: int) -> Meaning:
    """What keys and words mean where queries of a kind show so many clips."""
    known = ALWAYS | KEYS[kind]

    def mean(text: str) -> Key:
        if text in known:
            return known[text]
        digits = text.replace(" ", "").replace(",", "")
        if kind is not Kind.RANKING or not digits.isascii() or not digits.isdecimal():
            return Key(Act.UNKNOWN)
        places = tuple(int(digit) - 1 for digit in digits)
        if len(places) == 1 and places[0] in range(clips):
            return Key(Act.PLACE, places[0])
        return Key(Act.ANSWER, places) if sorted(places) == list(range(clips)) else Key(Act.UNKNOWN)

    return mean


class KeySource(Protocol):
    """Where keys come from."""

    def read(self, *, fresh: bool = True) -> Key:
        """The next key; quits where there are no more. ``fresh``: none that was pressed before now."""
        ...

    def poll(self, seconds: float) -> Key | None:
        """A key if one comes within that time, while nothing is shown."""
        ...


class LineKeys:
    """One key or word per line; empty lines and lines that begin with # are passed over."""

    def __init__(self, lines: Iterable[str], meaning: Meaning) -> None:
        self._lines = (line.strip() for line in lines)
        self._left = len(lines) if isinstance(lines, Sized) else None
        self._meaning = meaning

    def read(self, *, fresh: bool = True) -> Key:  # noqa: ARG002 - lines are there from the start
        for line in self._lines:
            self._left = None if self._left is None else self._left - 1
            if line and not line.startswith("#"):
                return self._meaning(line)
        return Key(Act.QUIT)

    def poll(self, seconds: float) -> Key | None:
        """Waits, unless no line is left to answer with."""
        if self._left == 0:
            return Key(Act.QUIT)
        time.sleep(seconds)
        return None


class TerminalKeys:
    """Single key presses of a terminal, without Enter."""

    def __init__(self, meaning: Meaning) -> None:
        self._terminal = sys.stdin.fileno()
        self._meaning = meaning

    def read(self, *, fresh: bool = True) -> Key:
        """Waits for a key; those pressed before the clips were shown do not count."""
        if fresh:
            termios.tcflush(self._terminal, termios.TCIFLUSH)
        while (key := self.poll(3600.0)) is None:
            pass
        return key

    def poll(self, seconds: float) -> Key | None:
        if not select.select([self._terminal], [], [], seconds)[0]:
            return None
        pressed = os.read(self._terminal, 16).decode(errors="replace")
        return self._meaning(pressed) if pressed else Key(Act.QUIT)


@contextmanager
def single_keys(meaning: Meaning) -> Iterator[TerminalKeys]:
    """The terminal without line editing and echo; it is as before afterwards, also after Ctrl-C."""
    terminal = sys.stdin.fileno()
    before = termios.tcgetattr(terminal)
    try:
        tty.setcbreak(terminal)
        yield TerminalKeys(meaning)
    finally:
        termios.tcsetattr(terminal, termios.TCSADRAIN, before)
