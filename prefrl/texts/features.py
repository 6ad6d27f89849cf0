"""What can be counted in a text without a model: its length, how easily it reads, its sentiment.

Rough on purpose and said to be so: syllables are counted by groups of vowels, which miscounts words such as
"idea" or "every", and reading ease and sentiment mean little in other languages than English. Code, tables
and formulas are counted as if they were prose.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from prefrl.texts.sentiment import sentiment

_EACH_ONE = "\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af"  # writing without spaces: a character counts as a word
_WORD = re.compile(rf"[{_EACH_ONE}]|[^\W_{_EACH_ONE}]+(?:['’][^\W_]+)*")
_SENTENCE_END = re.compile(r"[.!?…]+[\"'”’)\]]*(?:\s|$)|[。！？]|\n")
_VOWELS = re.compile(r"[aeiouy]+")
_SILENT_END = re.compile(r"(?:[^aeiouyl]e|[aeiouy]le|[^aeiouydt]ed|[^aeiouycghlsxz]es|[aeiouy]les)$")
EASIEST, HARDEST = 121.22, -100.0
"""Reading ease is cut off there; sentences without an end would go on for ever."""


@dataclass(frozen=True)
class Feature:
    """A number for a text, and how to speak of it."""

    name: str
    more: str
    """What a text with the larger value is."""
    less: str
    about: str


FEATURES = (
    Feature("length", "longer", "shorter", "words; compared by their ratio"),
    Feature("readability", "easier to read", "harder to read", "Flesch reading ease, for English"),
    Feature("sentiment", "more positive", "more negative", "good less bad words of a short English list"),
)


@lru_cache(maxsize=20_000)
def text_features(text: str) -> tuple[float, float, float]:
    """The ``FEATURES`` in their order: log(1 + words), reading ease in [-100, 121.22], and sentiment."""
    words = split_words(text)
    return math.log1p(len(words)), reading_ease(text), sentiment(words)


def feature_table(texts: Iterable[str]) -> NDArray[np.float64]:
    """The features of texts. [texts, features]"""
    rows = [text_features(text) for text in texts]
    return np.array(rows, np.float64).reshape(len(rows), len(FEATURES))


def split_words(text: str) -> list[str]:
    """The words of a text in lower case; numbers are words, punctuation is none."""
    return _WORD.findall(text.lower())


def reading_ease(text: str) -> float:
    """206.835 - 1.015 words/sentence - 84.6 syllables/word: about 100 is very easy, 30 and below is hard.

    Flesch 1948, "A new readability yardstick". A line end counts as the end of a sentence, as in a list.
    """
    words = split_words(text)
    sentences = sum(bool(_WORD.search(part)) for part in _SENTENCE_END.split(text))
    if not words:
        return EASIEST
    syllables = sum(map(count_syllables, words))
    ease = 206.835 - 1.015 * len(words) / max(1, sentences) - 84.6 * syllables / len(words)
    return min(EASIEST, max(HARDEST, ease))


def count_syllables(word: str) -> int:
    """Groups of vowels, but for a silent e at the end, one without an accent; at least 1."""
    plain = "".join(one for one in unicodedata.normalize("NFKD", word) if not unicodedata.combining(one))
    groups = len(_VOWELS.findall(plain))
    return max(1, groups - bool(_SILENT_END.search(word)))
