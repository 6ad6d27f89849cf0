"""Word problems, a twin of GSM8K: a small story or equation -> worked lines, the number in the last one.

``Ann has 12 pens. Ann buys 7 pens. Ann gives 5 pens. How many?`` -> ``12+7=19``, ``19-5=14``, ``14``.
Two buckets: arithmetic (a story of two changes) and algebra (an unknown). As with GSM8K, a completion is
right if the number in its last line is; the lines before it can be checked for themselves.
"""

from __future__ import annotations

import re
from typing import Final, Literal, NamedTuple

import numpy as np

from prefrl.language.tasks.task import Split, StepMark, check_split, in_held_out

NAMES: Final = ("Ann", "Ben", "Eva", "Max")
THINGS: Final = ("pens", "nuts", "cups", "eggs")
CHANGES: Final = {"buys": "+", "finds": "+", "gives": "-", "loses": "-", "packs": "*"}
"""Verbs and what they do to the number: who packs 3 times has three times as many."""
MOST: Final = 99
"""No number on the way is larger."""
_START = re.compile(r"\w+ has (\d+) \w+\.")
_CHANGE = re.compile(rf" \w+ ({'|'.join(CHANGES)}) (\d+) \w+\.")
_EQUATION = re.compile(r"(?:(\d+) times )?x plus (\d+) is (\d+)\. What is x\?")

Bucket = Literal["arithmetic", "algebra"]


class WordProblems:
    """Held out by the numbers and operations of a problem; out of distribution: stories of three changes."""

    name = "word-problems"
    symbols = (
        *NAMES,
        *(
            f" {word}"
            for word in (*NAMES, *CHANGES, "has", "times", "x", "plus", "is", "How", "many", "What")
        ),
        *(f" {thing}." for thing in (*THINGS, "times")),
        *tuple("0123456789x+-*/=.? \n"),
    )
    longest_prompt = 28
    longest_completion = 32

    def prompts(self, split: Split, count: int, rng: np.random.Generator) -> list[str]:
        """Half of them stories, half equations (out of distribution: stories alone)."""
        check_split(split)
        found: list[str] = []
        while len(found) < count:
            if split == "out_of_distribution":
                found.append(_story(3, rng))
                continue
            prompt = _story(2, rng) if rng.random() < 0.5 else _equation(rng)
            if in_held_out(f"word-problems {_meaning(prompt)}") == (split == "held_out"):
                found.append(prompt)
        return found

    def demonstrate(self, prompt: str, rng: np.random.Generator) -> str:  # noqa: ARG002 - all are alike
        lines, answer = _solve(prompt)
        return "\n".join((*lines, str(answer)))

    def score(self, prompt: str, completion: str) -> float:
        """1 where the last line is the answer, and nothing else, else 0."""
        return float(completion.rpartition("\n")[2] == str(_solve(prompt)[1]))

    def archetype(self, prompt: str) -> Bucket:
        return "algebra" if _EQUATION.fullmatch(prompt) else "arithmetic"

    def difficulty(self, prompt: str) -> float:
        """The largest number in the worked solution."""
        return float(max(int(number) for number in re.findall(r"\d+", "\n".join(_solve(prompt)[0]))))

    def marks(self, prompt: str, completion: str) -> tuple[StepMark, ...]:
        """Whether each line is the one that should stand there."""
        lines, answer = _solve(prompt)
        right = (*lines, str(answer))
        marks, end = [], 0
        for place, line in enumerate(completion.split("\n")):
            end += len(line)
            marks.append(StepMark(end, place < len(right) and line == right[place]))
            end += 1
        return tuple(marks)


class _Solution(NamedTuple):
    lines: tuple[str, ...]
    answer: int


def _story(changes: int, rng: np.random.Generator) -> str:
    name, thing = rng.choice(NAMES), rng.choice(THINGS)
    number = int(rng.integers(2, 30))
    text = f"{name} has {number} {thing}."
    for _ in range(changes):
        verb = str(rng.choice(_possible(number)))
        amount = _amount(verb, number, rng)
        number = _apply(number, CHANGES[verb], amount)
        text += f" {name} {verb} {amount} {'times' if verb == 'packs' else thing}."
    return f"{text} How many?"


def _possible(number: int) -> list[str]:
    return [
        verb
        for verb, sign in CHANGES.items()
        if (sign == "+" and number < MOST - 20)
        or (sign == "-" and number > 1)
        or (sign == "*" and number <= 24)
    ]


def _amount(verb: str, number: int, rng: np.random.Generator) -> int:
    limit = {"+": 20, "-": min(20, number - 1), "*": 4}[CHANGES[verb]]
    return int(rng.integers(2 if verb == "packs" else 1, limit + 1))


def _equation(rng: np.random.Generator) -> str:
    x, factor, plus = int(rng.integers(1, 20)), int(rng.integers(1, 5)), int(rng.integers(1, 20))
    times = f"{factor} times " if factor > 1 else ""
    return f"{times}x plus {plus} is {factor * x + plus}. What is x?"


def _apply(number: int, sign: str, amount: int) -> int:
    return {"+": number + amount, "-": number - amount, "*": number * amount}[sign]


def _meaning(prompt: str) -> str:
    """The problem without its names and things."""
    if _EQUATION.fullmatch(prompt):
        return prompt
    return " ".join([_START.match(prompt)[1], *(f"{CHANGES[v]}{n}" for v, n in _CHANGE.findall(prompt))])  # type: ignore[index]


def _solve(prompt: str) -> _Solution:
    if equation := _EQUATION.fullmatch(prompt):
        factor, plus, total = int(equation[1] or 1), int(equation[2]), int(equation[3])
        lines = [f"{total}-{plus}={total - plus}"]
        if factor > 1:
            lines.append(f"{total - plus}/{factor}={(total - plus) // factor}")
        return _Solution(tuple(lines), (total - plus) // factor)
    start = _START.match(prompt)
    if start is None:
        raise ValueError(f"{prompt!r} is no prompt of word-problems")
    number, lines = int(start[1]), []
    for verb, amount in _CHANGE.findall(prompt):
        after = _apply(number, CHANGES[verb], int(amount))
        lines.append(f"{number}{CHANGES[verb]}{amount}={after}")
        number = after
    return _Solution(tuple(lines), number)
