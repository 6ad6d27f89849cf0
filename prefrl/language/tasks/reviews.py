"""Reviews: topic, aspect, stars -> a sentence, such as ``tea price 4:`` -> `` the tea is good and great .``

What a good review is, is a sum of parts that a teacher sees together: it names the topic, speaks of the
aspect, praises as much as the stars say, says two or three different things, and is a sentence. The gold
utility is exact, so a noisy teacher's best possible answers, and with them the ceiling of every reward
model, are known.
"""

from __future__ import annotations

import re
from typing import Final

import numpy as np

from prefrl.language.tasks.task import Split, StepMark, check_split, in_held_out

TOPICS: Final = (
    *("tea", "book", "film", "hotel", "phone", "coat"),
    *("bread", "lamp", "game", "chair", "song", "soup"),
)
ASPECTS: Final = ("price", "look", "feel", "size", "style", "value")
STARS: Final = (1, 2, 3, 4, 5)
VALENCE: Final = {
    "awful": -2.0,
    "bad": -2.0,
    "poor": -1.0,
    "dull": -1.0,
    "odd": -0.5,
    "plain": 0.0,
    "usual": 0.0,
    "fair": 0.5,
    "nice": 1.0,
    "good": 1.0,
    "great": 2.0,
    "superb": 2.0,
}
"""Of adjectives: how much each praises; 0 stands for three stars."""
INTENSITY: Final = {"very": 1.5, "rather": 0.75, "hardly": -0.5}
"""Words before an adjective multiply its valence."""
WEIGHTS: Final = {"topic": 0.2, "aspect": 0.2, "praise": 0.4, "content": 0.2}
UNGRAMMATICAL: Final = 0.3
"""What is left of the utility of something that is no sentence."""
MOST_ADJECTIVES: Final = 3
_ADJECTIVE = rf"(?: (?:{'|'.join(INTENSITY)}))? (?:{'|'.join(VALENCE)})"
_CLAUSE = rf" the (?:{'|'.join((*TOPICS, *ASPECTS))}) (?:is|was|seems){_ADJECTIVE}(?: and{_ADJECTIVE})*"
_SENTENCE = re.compile(rf"{_CLAUSE}(?: ,{_CLAUSE})* \.")
_PROMPT = re.compile(rf"({'|'.join(TOPICS)}) ({'|'.join(ASPECTS)}) ([1-5]):")


class Reviews:
    """Held out by topic, aspect and stars together; out of distribution: a worst or best chair or song."""

    name = "reviews"
    symbols = (
        *TOPICS,
        *(f" {word}" for word in (*TOPICS, *ASPECTS, *VALENCE, *INTENSITY)),
        *(f" {star}:" for star in STARS),
        *(" the", " is", " was", " seems", " and", " ,", " ."),
    )
    longest_prompt = 3
    longest_completion = 24

    def prompts(self, split: Split, count: int, rng: np.random.Generator) -> list[str]:
        check_split(split)
        pool = [
            (topic, aspect, stars)
            for topic in TOPICS
            for aspect in ASPECTS
            for stars in STARS
            if _split_of(topic, aspect, stars) == split
        ]
        chosen = (pool[place] for place in rng.integers(len(pool), size=count))
        return [f"{topic} {aspect} {stars}:" for topic, aspect, stars in chosen]

    def demonstrate(self, prompt: str, rng: np.random.Generator) -> str:
        """A sentence of somebody who often forgets topic or aspect and does not mind the stars much."""
        topic, aspect, stars = _parts(prompt)
        nouns = [topic if rng.random() < 0.6 else rng.choice(TOPICS)]
        if rng.random() < 0.7:
            nouns.append(aspect if rng.random() < 0.6 else rng.choice(ASPECTS))
        if rng.random() < 0.15:
            nouns.append(rng.choice((*TOPICS, *ASPECTS)))
        return " ,".join(_clause(noun, stars - 3.0, rng) for noun in nouns) + " ."

    def score(self, prompt: str, completion: str) -> float:
        """The utility, a weighted mean of its parts in [0, 1]."""
        parts = utility_parts(prompt, completion)
        utility = sum(WEIGHTS[name] * part for name, part in parts.items())
        return utility * (1.0 if _SENTENCE.fullmatch(completion) else UNGRAMMATICAL)

    def archetype(self, prompt: str) -> str:
        """By the stars."""
        return f"{_parts(prompt)[2]} stars"

    def difficulty(self, prompt: str) -> float:  # noqa: ARG002 - all are alike
        return 0.0

    def marks(self, prompt: str, completion: str) -> tuple[StepMark, ...]:  # noqa: ARG002
        """None: taste has no steps."""
        return ()


def utility_parts(prompt: str, completion: str) -> dict[str, float]:
    """How far a review does what it should, each in [0, 1].

    ``topic`` and ``aspect``: whether they are named. ``praise``: 1 less a third of the distance between the
    mean valence of the adjectives and the stars. ``content``: 1 for two or three adjectives, all different,
    less a half for each that is missing, repeated or too many.
    """
    topic, aspect, stars = _parts(prompt)
    words = completion.split()
    valences, used = [], []
    for before, word in zip(["", *words], words, strict=False):
        if word in VALENCE:
            used.append(word)
            valences.append(VALENCE[word] * INTENSITY.get(before, 1.0))
    distance = abs(float(np.mean(valences)) - (stars - 3.0)) if valences else 3.0
    faults = max(0, 2 - len(used)) + len(used) - len(set(used)) + max(0, len(used) - MOST_ADJECTIVES)
    return {
        "topic": float(topic in words),
        "aspect": float(aspect in words),
        "praise": max(0.0, 1.0 - distance / 3.0),
        "content": max(0.0, 1.0 - faults / 2.0),
    }


def _clause(noun: str, target: float, rng: np.random.Generator) -> str:
    words = list(VALENCE)
    far = np.array([abs(VALENCE[word] - target) for word in words])
    odds = np.exp(-far / 1.5)
    adjectives = rng.choice(words, size=1 + int(rng.random() < 0.4), p=odds / odds.sum())
    said = [
        f" {rng.choice(list(INTENSITY))} {word}" if rng.random() < 0.25 else f" {word}" for word in adjectives
    ]
    return f" the {noun} {rng.choice(('is', 'was', 'seems'))}" + " and".join(said)


def _split_of(topic: str, aspect: str, stars: int) -> Split:
    if topic in ("chair", "song") and stars in (1, 5):
        return "out_of_distribution"
    return "held_out" if in_held_out(f"reviews {topic} {aspect} {stars}") else "train"


def _parts(prompt: str) -> tuple[str, str, int]:
    match = _PROMPT.fullmatch(prompt)
    if match is None:
        raise ValueError(f"{prompt!r} is no prompt of reviews, such as 'tea price 4:'")
    return match[1], match[2], int(match[3])
