"""Length, readability and sentiment of texts: counted by hand here."""

import math

import numpy as np
import pytest

from prefrl.texts.features import (
    EASIEST,
    FEATURES,
    HARDEST,
    count_syllables,
    feature_table,
    reading_ease,
    split_words,
    text_features,
)
from prefrl.texts.sentiment import BAD, GOOD, sentiment


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("It's 3.5 km, isn't it?", ["it's", "3", "5", "km", "isn't", "it"]),
        ("snake_case - and **bold**", ["snake", "case", "and", "bold"]),
        ("Naïve CAFÉ", ["naïve", "café"]),
        ("我喜欢 tea", ["我", "喜", "欢", "tea"]),
        (" …!? \n", []),
    ],
)
def test_words_are_what_people_would_count(text: str, words: list[str]) -> None:
    assert split_words(text) == words


@pytest.mark.parametrize(
    ("word", "syllables"),
    [
        ("make", 1),
        ("table", 2),
        ("whole", 1),
        ("wanted", 2),
        ("walked", 1),
        ("boxes", 2),
        ("makes", 1),
        ("washes", 2),
        ("the", 1),
        ("beautiful", 3),
        ("readability", 5),
        ("supermarket", 4),
        ("café", 2),
        ("42", 1),
        ("tsk", 1),
    ],
)
def test_syllables_are_groups_of_vowels_but_for_a_silent_end(word: str, syllables: int) -> None:
    assert count_syllables(word) == syllables


def test_reading_ease_is_fleschs_formula() -> None:
    # 7 words, 2 sentences, 8 syllables (wa-ter)
    text = "The cat sat down. It drank water."
    assert reading_ease(text) == pytest.approx(206.835 - 1.015 * 7 / 2 - 84.6 * 8 / 7)
    assert reading_ease("- one\n- two\n- three") == reading_ease("One. Two. Three.")
    assert reading_ease("It costs 3.5 dollars.") == reading_ease("It costs 3 5 dollars.")


def test_reading_ease_stays_within_its_bounds() -> None:
    assert reading_ease("...") == EASIEST
    assert reading_ease("incomprehensibility " * 500) == HARDEST
    assert reading_ease("Go.") == pytest.approx(EASIEST)


def test_sentiment_counts_good_less_bad_words() -> None:
    assert not GOOD & BAD
    assert sentiment(["this", "is", "a", "good", "day"]) == pytest.approx(100 / 15)
    assert sentiment(["this", "is", "a", "bad", "day"]) == pytest.approx(-100 / 15)
    assert sentiment(["good", "and", "bad"]) == 0.0
    assert sentiment([]) == 0.0


def test_a_negation_turns_what_follows_soon() -> None:
    assert sentiment(["that", "is", "not", "a", "good", "idea"]) == pytest.approx(-50 / 16)
    assert sentiment(["it", "isn't", "bad"]) == pytest.approx(50 / 13)
    assert sentiment(["no", "one", "two", "three", "good"]) > 0


def test_the_table_has_a_row_per_text_and_a_column_per_feature() -> None:
    table = feature_table(["A good day.", "No."])
    assert table.shape == (2, len(FEATURES))
    assert table[0].tolist() == list(text_features("A good day."))
    assert table[:, 0].tolist() == [math.log(4), math.log(2)]
    assert feature_table([]).shape == (0, len(FEATURES))
    assert np.isfinite(table).all()
