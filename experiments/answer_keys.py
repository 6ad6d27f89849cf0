"""Keys of the terminal client: what each means, and where they are read from."""

from __future__ import annotations

import os
import select
import sys
import termios
import time
import tty
from collections.abc import Iterable, Iterator, Sized
from contextlib import contextmanager
from enum import Enum
from typing import NamedTuple, Protocol


class Act(Enum):
    """What a key asks for."""

    ANSWER = "answer"
    UNDO = "undo"
    QUIT = "quit"
    HELP = "help"
    UNKNOWN = "unknown"


class Key(NamedTuple):
    """A key pressed, or a line read."""

    act: Act
    preference: float | None = None
    """Of an answer: P(what stands on the left is better); None skips."""


KEYS: dict[str, Key] = {
    **dict.fromkeys(("l", "1", "left", "\x1b[D"), Key(Act.ANSWER, 1.0)),
    **dict.fromkeys(("L",), Key(Act.ANSWER, 0.75)),
    **dict.fromkeys(("e", "=", "equal", "\x1b[A"), Key(Act.ANSWER, 0.5)),
    **dict.fromkeys(("R",), Key(Act.ANSWER, 0.25)),
    **dict.fromkeys(("r", "2", "right", "\x1b[C"), Key(Act.ANSWER, 0.0)),
    **dict.fromkeys(("s", "?", "skip", "\x1b[B"), Key(Act.ANSWER, None)),
    **dict.fromkeys(("u", "undo"), Key(Act.UNDO)),
    **dict.fromkeys(("q", "quit", "\x04"), Key(Act.QUIT)),
    **dict.fromkeys(("h", "help"), Key(Act.HELP)),
}
"""Arrow keys as in Christiano et al. 2017: left, right, up for equal, down for cannot tell."""

HELP = """\
  l, 1, left arrow    the left one is better        L  slightly better
  r, 2, right arrow   the right one is better       R  slightly better
  e, =, up arrow      both are equally good
  s, ?, down arrow    skip: they cannot be compared
  u undo    h help    q quit"""


class KeySource(Protocol):
    """Where keys come from."""

    def read(self) -> Key:
        """The next key; quits where there are no more."""
        ...

    def poll(self, seconds: float) -> Key | None:
        """A key if one comes within that time, while nothing is shown."""
        ...


class LineKeys:
    """One key or word per line; empty lines and lines that begin with # are passed over."""

    def __init__(self, lines: Iterable[str]) -> None:
        self._lines = (line.strip() for line in lines)
        self._left = len(lines) if isinstance(lines, Sized) else None

    def read(self) -> Key:
        for line in self._lines:
            self._left = None if self._left is None else self._left - 1
            if line and not line.startswith("#"):
                return KEYS.get(line, Key(Act.UNKNOWN))
        return Key(Act.QUIT)

    def poll(self, seconds: float) -> Key | None:
        """Waits, unless no line is left to answer with."""
        if self._left == 0:
            return Key(Act.QUIT)
        time.sleep(seconds)
        return None


class TerminalKeys:
    """Single key presses of a terminal, without Enter."""

    def __init__(self) -> None:
        self._terminal = sys.stdin.fileno()

    def read(self) -> Key:
        """Waits for a key; those pressed before the pair was shown do not count."""
        termios.tcflush(self._terminal, termios.TCIFLUSH)
        while (key := self.poll(3600.0)) is None:
            pass
        return key

    def poll(self, seconds: float) -> Key | None:
        if not select.select([self._terminal], [], [], seconds)[0]:
            return None
        pressed = os.read(self._terminal, 16).decode(errors="replace")
        return KEYS.get(pressed, Key(Act.UNKNOWN)) if pressed else Key(Act.QUIT)


@contextmanager
def single_keys() -> Iterator[TerminalKeys]:
    """The terminal without line editing and echo; it is as before afterwards, also after Ctrl-C."""
    terminal = sys.stdin.fileno()
    before = termios.tcgetattr(terminal)
    try:
        tty.setcbreak(terminal)
        yield TerminalKeys()
    finally:
        termios.tcsetattr(terminal, termios.TCSADRAIN, before)
