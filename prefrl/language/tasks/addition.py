"""Addition with written-out carries: ``347+285=`` -> ``21,31,60=236``.

From the right, each column gives its digit and its carry; after ``=`` stands the sum, reversed. A completion
is right if its sum is; each column can be checked for itself, so one sees the first wrong carry.
"""

from __future__ import annotations

import re
from typing import Final

import numpy as np

from prefrl.language.tasks.task import Split, StepMark, check_split, in_held_out

DIGITS: Final = 3
OUT_OF_DISTRIBUTION_DIGITS: Final = 4
_PROMPT = re.compile(r"(\d+)\+(\d+)=")
_COLUMN = re.compile(r"\d\d(?=[,=])")


class Addition:
    """Two numbers of three digits; out of distribution, of four. Held out by the two numbers together."""

    name = "addition"
    symbols = tuple("0123456789+=,")
    longest_prompt = 2 * OUT_OF_DISTRIBUTION_DIGITS + 2
    longest_completion = 4 * OUT_OF_DISTRIBUTION_DIGITS + 1

    def prompts(self, split: Split, count: int, rng: np.random.Generator) -> list[str]:
        check_split(split)
        digits = OUT_OF_DISTRIBUTION_DIGITS if split == "out_of_distribution" else DIGITS
        found: list[str] = []
        while len(found) < count:
            pairs = rng.integers(10 ** (digits - 1), 10**digits, (2 * count, 2)).tolist()
            found += [f"{a}+{b}=" for a, b in pairs if digits != DIGITS or _split_of(a, b) == split]
        return found[:count]

    def demonstrate(self, prompt: str, rng: np.random.Generator) -> str:  # noqa: ARG002 - all are alike
        columns = _columns(prompt)
        return ",".join(columns) + "=" + _reversed_sum(prompt)

    def score(self, prompt: str, completion: str) -> float:
        """1 where the text after the last ``=`` is the reversed sum, else 0."""
        _, equals, answer = completion.rpartition("=")
        return float(bool(equals) and answer == _reversed_sum(prompt))

    def archetype(self, prompt: str) -> str:
        """By the number of carries."""
        return f"{int(self.difficulty(prompt))} carries"

    def difficulty(self, prompt: str) -> float:
        """The number of carries."""
        return float(sum(column[1] == "1" for column in _columns(prompt)))

    def marks(self, prompt: str, completion: str) -> tuple[StepMark, ...]:
        """Each written column (digit and carry), then the sum, where there is one."""
        right = _columns(prompt)
        work, equals, _ = completion.partition("=")
        marks = [
            StepMark(found.end(), place < len(right) and found.group() == right[place])
            for place, found in enumerate(_COLUMN.finditer(work + equals))
        ]
        if equals:
            marks.append(StepMark(len(completion), bool(self.score(prompt, completion))))
        return tuple(marks)


def _split_of(a: int, b: int) -> Split:
    """3+5 and 5+3 mean the same."""
    return "held_out" if in_held_out(f"addition {min(a, b)} {max(a, b)}") else "train"


def _operands(prompt: str) -> tuple[str, str]:
    match = _PROMPT.fullmatch(prompt)
    if match is None:
        raise ValueError(f"{prompt!r} is no prompt of addition, such as 347+285=")
    return match[1], match[2]


def _columns(prompt: str) -> list[str]:
    """Digit and carry of each column, from the right."""
    carry, columns = 0, []
    a, b = _operands(prompt)
    for x, y in zip(a[::-1], b[::-1], strict=True):
        carry, digit = divmod(int(x) + int(y) + carry, 10)
        columns.append(f"{digit}{carry}")
    return columns


def _reversed_sum(prompt: str) -> str:
    a, b = _operands(prompt)
    return str(int(a) + int(b))[::-1]
