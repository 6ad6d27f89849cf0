"""AI feedback: votes, ties, doubt, order, wording; critics that are rules and one that answers nonsense."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from prefrl.ai_feedback import Committee, Critic, Principle
from prefrl.errors import UsageError

SHORT = Principle("short", ("Prefer the shorter text.", "Fewer words are better."))
POLITE = Principle("polite", ("Prefer the text that says please.",), weight=3.0)


def rule(wording: str, left: str, right: str) -> float:
    """Applies what it is told, by words that it looks for."""
    if "please" in wording:
        return (("please" in left) - ("please" in right) + 1) / 2
    return float(np.sign(len(right) - len(left)) + 1) / 2


def first_is_best(_wording: str, _left: str, _right: str) -> float:
    return 1.0


def by_the_letter(wording: str, left: str, right: str) -> float:
    """Turns the principle round where it says "better"."""
    verdict = rule(wording, left, right)
    return 1.0 - verdict if "better" in wording else verdict


def test_a_committee_answers_by_its_principles_and_their_weights() -> None:
    lefts, rights = ["go", "go away please", "a"], ["go away", "go", "b"]
    assert Committee([SHORT], [rule]).judge(lefts, rights).tolist() == [1.0, 0.0, 0.5]
    # The second pair: short says right with weight 1, polite left with weight 3.
    both = Committee([SHORT, POLITE], [rule])
    assert both.verdicts(lefts, rights).preference.tolist() == [(1 + 3 * 0.5) / 4, 3 / 4, 0.5]
    assert both.judge(lefts, rights).tolist() == [1.0, 1.0, 0.5]


def test_a_soft_committee_passes_its_doubt_on_and_an_indifferent_one_calls_it_equal() -> None:
    lefts, rights = ["go", "go away please"], ["go away", "go"]
    soft = Committee([SHORT, POLITE], [rule], soft=True)
    assert soft.judge(lefts, rights).tolist() == [0.625, 0.75]
    assert Committee([SHORT, POLITE], [rule], indifference=0.2).judge(lefts, rights).tolist() == [0.5, 1.0]


def test_several_critics_vote_and_the_majority_is_counted() -> None:
    committee = Committee([SHORT], [rule, rule, by_the_letter])
    verdicts = committee.verdicts(["a", "aaa"], ["aa", "a"])
    # The third critic contradicts itself over the wordings, so it cannot decide.
    assert verdicts.votes[:, 0].tolist() == [[1.0, 0.0], [1.0, 0.0], [0.5, 0.5]]
    assert verdicts.preference == pytest.approx([5 / 6, 1 / 6])
    assert verdicts.majority == pytest.approx([(1 + 1 + 0.5) / 3, 0.5 / 3])


def test_a_liking_for_what_comes_first_is_measured_and_cancels_out() -> None:
    verdicts = Committee([SHORT], [first_is_best, rule]).verdicts(["a", "bbb"], ["aa", "b"])
    assert verdicts.order_bias.tolist() == [0.5, 0.0]
    assert verdicts.votes[0, 0].tolist() == [0.5, 0.5]


def test_agreement_over_paraphrases_is_measured() -> None:
    committee = Committee([SHORT, POLITE], [rule, by_the_letter])
    agreement = committee.verdicts(["a", "bbb", "c"], ["aa", "b", "d"]).paraphrase_agreement
    # The second critic agrees with itself on the one pair in three where both wordings say "equal".
    assert agreement[:, 0] == pytest.approx([1.0, 1 / 3])
    assert np.isnan(agreement[:, 1]).all()


@given(texts=st.lists(st.tuples(st.text(max_size=8), st.text(max_size=8)), min_size=1, max_size=6))
def test_swapping_the_sides_turns_the_answer_round(texts: list[tuple[str, str]]) -> None:
    committee: Committee[str] = Committee([SHORT, POLITE], [rule, first_is_best, by_the_letter])
    lefts, rights = map(list, zip(*texts, strict=True))
    assert committee.judge(rights, lefts) == pytest.approx(1.0 - committee.judge(lefts, rights))


def test_the_order_of_critics_does_not_matter_and_nothing_asked_is_nothing_answered() -> None:
    critics: list[Critic[str]] = [rule, first_is_best, by_the_letter]
    lefts, rights = ["a", "please go"], ["aa", "no"]
    answers = Committee([SHORT, POLITE], critics, soft=True).judge(lefts, rights)
    assert Committee([SHORT, POLITE], critics[::-1], soft=True).judge(lefts, rights) == pytest.approx(answers)
    assert Committee([SHORT], critics).judge([], []).tolist() == []


def test_a_committee_judges_items_of_any_kind() -> None:
    committee = Committee(
        [Principle("large", ("the larger sum",))], [lambda _, a, b: float(a.sum() > b.sum())]
    )
    assert committee.judge([np.ones(3)], [np.zeros(3)]).tolist() == [1.0]


@pytest.mark.parametrize("bad", [1.5, -0.1, math.nan])
def test_a_critic_that_answers_nonsense_is_named(bad: float) -> None:
    with pytest.raises(UsageError, match=r"critic 1 answers .* to principle 'short'"):
        Committee([SHORT], [rule, lambda *_: bad]).judge(["a"], ["b"])


@pytest.mark.parametrize(
    ("make", "complaint"),
    [
        (lambda: Committee([], [rule]), "0 principles and 1 critics"),
        (lambda: Committee([SHORT, SHORT], [rule]), "different names"),
        (lambda: Committee([SHORT], [rule], indifference=0.5), r"\[0, 1/2\)"),
        (lambda: Committee([SHORT], [rule]).judge(["a"], []), "1 left and 0 right"),
        (lambda: Principle("empty", ()), "at least one wording"),
        (lambda: Principle("empty", (" ",)), "none that is empty"),
        (lambda: Principle("light", ("x",), weight=0.0), "weight 0.0"),
    ],
)
def test_committees_that_cannot_be_are_refused(make: object, complaint: str) -> None:
    with pytest.raises(UsageError, match=complaint):
        make()  # type: ignore[operator]
