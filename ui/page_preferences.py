"""What do people prefer? Length, readability and sentiment of the texts that win, and a reward on them."""

from __future__ import annotations

import math
from typing import Any

import streamlit as st

from prefrl.bootstrap import Interval
from prefrl.errors import UsageError
from prefrl.texts.features import FEATURES, Feature
from prefrl.texts.fit_file import TextFit, load_text_fit
from prefrl.texts.preference_effects import Effect, find_effects
from prefrl.texts.votes import ANSWERS_NEEDED, Votes, read_votes
from ui.choice import choose_run
from ui.here import workplace
from ui.preference_charts import curve_charts, share_chart
from ui.refusals import Refusal
from ui.text_fits import text_fits
from ui.visitors import researchers_only
from ui.workplace import RunView

CURVE_HEIGHT = 240
EXAMPLE = "prefrl text runs/answers --file experiments/text_examples.jsonl\nprefrl label runs"
METHOD = """
- One vote per pair: where several people have answered it, their mean; skips, late answers, and labellers who
  were left out do not count. Answers of "equal" have no winner, and count half for each side in the model.
- **Wins**: of the pairs that differ in a feature and have a winner, the share won by the larger value, with
  Wilson's 95% interval.
- **Effect**: change in the log odds of winning when a response is larger by a typical difference (their root
  mean square) and the other two features are equal: a Bradley-Terry model with Firth's correction for few
  answers, and 95% profile intervals. Three features are looked at: where none matters, one of them still
  seems to in about one look out of seven.
- **Length** counts words. **Readability** is Flesch's reading ease, syllables counted by groups of vowels.
  **Sentiment** counts good and bad words of a short list. The last two are for English and mean little in
  other languages.
- **Reward**: an ensemble of networks of two layers on these three numbers, fitted as rewards of agents are,
  and tested on prompts that it was not fitted on.
- What wins may win for a reason that none of the three numbers sees.
"""


def preferences_page() -> None:
    """Chooses a collection; the figures below look again by themselves."""
    researchers_only()
    st.header("What do people prefer?")
    names = collections()
    if not names:
        st.write("There are no texts here yet. Make a collection of pairs, for example, and compare them:")
        st.code(EXAMPLE, language="sh")
        return
    name = choose_run(names)
    if name is None:
        return
    _figures(name)
    with st.expander("How this is counted, and what it cannot say"):
        st.markdown(METHOD)


def collections() -> list[str]:
    """The text collections in the folder."""
    found = []
    for name in workplace().names():
        try:
            if workplace().run(name).is_text:
                found.append(name)
        except Refusal:
            continue
    return found


@st.fragment(run_every=4.0)
def _figures(name: str) -> None:
    try:
        view = workplace().run(name)
        votes = read_votes(view.store, view.store_name, view.responses())
    except (Refusal, UsageError) as error:
        st.error("This collection cannot be read:")
        st.text(str(error))  # which may quote a text
        return
    if votes.answers < ANSWERS_NEEDED:
        missing = ANSWERS_NEEDED - votes.answers
        words = f"{missing} more answers, and this page says what people prefer."
        st.progress(votes.answers / ANSWERS_NEEDED, words)
        return
    effects = _effects(votes.digest, votes)
    st.caption(f"{votes.answers} answers to {len(votes)} pairs. Intervals are of 95%.")
    for feature, effect in zip(FEATURES, effects, strict=True):
        st.markdown(f"- {verdict(feature, effect)}")
    st.vega_lite_chart(share_chart(effects), width="stretch")
    st.dataframe(
        [_row(feature, effect) for feature, effect in zip(FEATURES, effects, strict=True)],
        hide_index=True,
        width="stretch",
    )
    st.subheader("A reward learned from these answers")
    _reward(view, votes)


@st.cache_resource(max_entries=32, show_spinner=False)
def _effects(digest: str, _votes: Votes) -> list[Effect]:
    """Of the votes with this digest; computed once."""
    del digest
    return find_effects(_votes.differences, _votes.preference)


def _reward(view: RunView, votes: Votes) -> None:
    fit = load_text_fit(view.path)
    fresh = fit is not None and fit.digest == votes.digest
    problem = None if fresh else text_fits().ask(view.path, votes.digest)
    if problem:
        st.warning("The reward could not be fitted:")
        st.text(problem)
    if fit is None:
        if not problem:
            st.write("It is being fitted; this takes some seconds.")
        return
    st.write(reward_sentence(fit))
    if not fresh:
        st.caption(f"Fitted to {fit.answers} answers; a fit to all {votes.answers} is on its way.")
    charts = curve_charts(fit)
    for place, chart in zip(st.columns(len(charts)), charts, strict=True):
        place.vega_lite_chart(chart, width="stretch", height=CURVE_HEIGHT)
    st.caption("Log odds against the mean text; of each feature, with the others at their means.")


def verdict(feature: Feature, effect: Effect) -> str:
    """What the votes say about a feature, in a sentence."""
    share, coefficient, name = effect.share, effect.coefficient, feature.name.capitalize()
    if not effect.pairs:
        return f"**{name}**: no pair differs in it."
    more = share.estimate >= 0.5
    word = feature.more if more else feature.less
    wins = share if more else Interval(1 - share.estimate, 1 - share.upper, 1 - share.lower)
    said = f"the response that is {word} wins {percent(wins)} of {effect.pairs} pairs"
    if (coefficient.lower > 0 and more) or (coefficient.upper < 0 and not more):
        return f"**{name}** matters: {said}, and does so with the other features held equal."
    if wins.lower > 0.5:
        return f"**{name}** may matter: {said}, but the other features may be the reason."
    return f"**{name}**: no clear preference yet; {said}."


def reward_sentence(fit: TextFit) -> str:
    """How far the learned reward can be believed."""
    share = fit.agreement
    said = f"It predicts {percent(share)} of {fit.pairs} pairs of prompts that it was not fitted on"
    if not share.lower > 0.5:
        return f"{said}: not surely better than guessing, so do not read much into the curves."
    return f"{said} (guessing: 50%)."


def percent(share: Interval) -> str:
    """A share and its interval."""
    return f"{share.estimate:.0%} [{share.lower:.0%}, {share.upper:.0%}]"


def _row(feature: Feature, effect: Effect) -> dict[str, Any]:
    share, coefficient = effect.share, effect.coefficient
    return {
        "feature": feature.name,
        "the winner is": feature.more,
        "wins": percent(share) if effect.pairs else "–",
        "pairs": effect.pairs,
        "effect on log odds": _number(coefficient.estimate),
        "from": _number(coefficient.lower),
        "to": _number(coefficient.upper),
        "counted as": feature.about,
    }


def _number(value: float) -> str:
    if math.isnan(value):
        return "–"
    return f"{value:+.2f}" if math.isfinite(value) else ("∞" if value > 0 else "−∞")
