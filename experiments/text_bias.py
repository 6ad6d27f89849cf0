"""``prefrl text-bias``: is a bias for length found that we have planted, and none where there is none?

Simulated sessions: a labeller who prefers the longer response so often, on texts whose length, readability
and sentiment vary apart from each other. Everything is as in the app: a collection, its store, the answers of
a session, the effects that the page shows, and the reward that it fits.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from experiments.options import parse_options
from experiments.text_collection import STORE, Collection
from experiments.text_formats import ResponseGroup
from experiments.text_samples import sample_text
from prefrl.errors import UsageError
from prefrl.feedback import Source
from prefrl.files import write_atomically
from prefrl.labellers.labelling import Labelling
from prefrl.runs.provenance import git_commit
from prefrl.store.feedback_store import FeedbackStore
from prefrl.texts.features import FEATURES, text_features
from prefrl.texts.preference_effects import Effect, find_effects
from prefrl.texts.votes import ANSWERS_NEEDED, Votes, read_votes


@dataclass(frozen=True)
class TextBiasConfig:
    """Plant a bias for length in simulated sessions, and count in how many of them the page finds it."""

    sessions: int = 20
    """With the bias, and as many without."""
    answers: int = 40
    """In a session, each to another prompt."""
    bias: float = 2.0
    """Log odds for the longer response per typical (root mean square) difference of log(1 + words)."""
    error_rate: float = 0.1
    """Share of answers that are uniformly random, whatever the texts."""
    reward: bool = True
    """Fit the two-layer reward to each session, too."""
    seed: int = 0
    """Of texts and answers; session k has the seed (seed, k)."""
    out: Path | None = None
    """A JSON file for the figures."""

    def __post_init__(self) -> None:
        if self.sessions < 1 or self.answers < ANSWERS_NEEDED or not 0 <= self.error_rate < 1:
            raise UsageError(
                f"--sessions must be at least 1, --answers at least {ANSWERS_NEEDED}, --error-rate in [0, 1)"
            )


@dataclass(frozen=True)
class Session:
    """What a page says after a session."""

    longer_wins: float
    """Share of pairs."""
    found: tuple[str, ...]
    """Features whose coefficient's interval leaves out no effect."""
    found_by_share: tuple[str, ...]
    """Features whose share's interval leaves out one half."""
    coefficient: tuple[float, float, float]
    """Of length: estimate, lower, upper."""
    agreement: float | None
    """Of the reward on prompts held out."""


def main(args: list[str]) -> int:
    return run_text_bias(parse_options(TextBiasConfig, args, command="text-bias"))


def run_text_bias(config: TextBiasConfig) -> int:
    """Runs the sessions, prints how often each feature was found, writes the figures; returns 0."""
    with tempfile.TemporaryDirectory() as folder:
        biased, honest = (
            [
                run_session(Path(folder) / f"{name}-{number}", config, bias=bias, seed=(config.seed, number))
                for number in range(config.sessions)
            ]
            for name, bias in (("biased", config.bias), ("honest", 0.0))
        )
    print("\n".join([*describe("with the bias", biased), *describe("without it", honest)]))
    if config.out is not None:
        settings = {name: value for name, value in asdict(config).items() if name != "out"}
        figures = {
            "config": settings,
            "commit": git_commit(Path(__file__).resolve().parents[1]),
            "biased": [asdict(session) for session in biased],
            "honest": [asdict(session) for session in honest],
        }
        write_atomically(config.out, (json.dumps(figures, indent=1) + "\n").encode())
    return 0


def run_session(folder: Path, config: TextBiasConfig, *, bias: float, seed: tuple[int, ...]) -> Session:
    """One labeller's answers to a collection of their own, and what is made of them."""
    rng = np.random.default_rng(seed)
    groups = [
        ResponseGroup(f"Prompt {number}", (sample_text(rng), sample_text(rng)), (None, None))
        for number in range(config.answers)
    ]
    collection = Collection.begin(
        folder, pairs=len(groups), responses_per_prompt=2, markdown=False, seed=0, source={"simulated": True}
    )
    collection.add(dict(enumerate(groups)))
    lengths = np.array([[text_features(text)[0] for text in group.texts] for group in groups])
    difference = lengths[:, 0] - lengths[:, 1]
    logit = bias * difference / np.sqrt(np.mean(difference**2))
    chance = (1 - config.error_rate) / (1 + np.exp(-logit)) + config.error_rate / 2
    left = rng.random(len(groups)) < chance
    with FeedbackStore(folder / STORE) as store:
        labeller = Labelling(store, collection.name, labeller="simulated", source=Source.SCRIPTED, seed=0)
        for query in store.queries(collection.name):
            labeller.answer(query, float(left[query.counter]), shown=(0, 1))
        votes = read_votes(store, collection.name, collection.known())
    return _judge(votes, config)


def _judge(votes: Votes, config: TextBiasConfig) -> Session:
    effects = find_effects(votes.differences, votes.preference)
    agreement = None
    if config.reward:
        from prefrl.language.feature_reward import cross_validate

        held_out = cross_validate(votes.left, votes.right, votes.preference, votes.groups, seed=config.seed)
        agreement = held_out.agreement.estimate
    length = effects[0].coefficient
    return Session(
        longer_wins=effects[0].share.estimate,
        found=_names(effects, lambda effect: not effect.coefficient.lower <= 0 <= effect.coefficient.upper),
        found_by_share=_names(effects, lambda effect: not effect.share.lower <= 0.5 <= effect.share.upper),
        coefficient=(length.estimate, length.lower, length.upper),
        agreement=agreement,
    )


def _names(effects: Sequence[Effect], is_found: Callable[[Effect], bool]) -> tuple[str, ...]:
    return tuple(feature.name for feature, effect in zip(FEATURES, effects, strict=True) if is_found(effect))


def describe(title: str, sessions: Sequence[Session]) -> list[str]:
    """How often each feature was found, and the means of what was seen."""
    wins = np.mean([session.longer_wins for session in sessions])
    lines = [f"{title}: {len(sessions)} sessions, the longer response wins {wins:.0%} of pairs"]
    for feature in FEATURES:
        found = sum(feature.name in session.found for session in sessions)
        by_share = sum(feature.name in session.found_by_share for session in sessions)
        lines.append(f"  {feature.name:12} found in {found} (by the share of pairs alone: {by_share})")
    agreements = [session.agreement for session in sessions if session.agreement is not None]
    if agreements:
        lines.append(f"  reward       held-out agreement {np.mean(agreements):.1%} on average")
    return lines
