"""``prefrl text-fit FOLDER``: a small reward fitted to what people said about texts, tested on other prompts.

The app's page on preferences starts this as a process of its own, so that the app does without torch.
"""

from __future__ import annotations

import math
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import tyro

from experiments.options import parse_options
from experiments.text_collection import STORE, Collection
from prefrl.errors import UsageError
from prefrl.store.feedback_store import FeedbackStore
from prefrl.texts.features import FEATURES
from prefrl.texts.fit_file import Curve, TextFit, save_text_fit
from prefrl.texts.votes import ANSWERS_NEEDED, Votes, read_votes

POINTS = 25
"""Of a curve."""
NICE = 10


@dataclass(frozen=True)
class TextFitConfig:
    """Fit a two-layer reward on length, readability and sentiment to the answers of a text collection."""

    folder: Annotated[Path, tyro.conf.Positional]
    """The collection's folder."""
    seed: int = 0
    """Of the first parameters, the folds and the order of minibatches."""


def main(args: list[str]) -> int:
    config = parse_options(TextFitConfig, args, command="text-fit")
    os.nice(NICE)
    return run_text_fit(config)


def run_text_fit(config: TextFitConfig) -> int:
    """Fits, writes the result into the folder and prints it; returns the exit code 0.

    Raises:
        UsageError: no collection there, or too few answers.
        FloatingPointError: a fit has diverged.
    """
    collection = Collection(config.folder)
    with FeedbackStore(config.folder / STORE, must_exist=True) as store:
        votes = read_votes(store, collection.name_in(store), collection.known())
    if votes.answers < ANSWERS_NEEDED:
        raise UsageError(
            f"{config.folder} has {votes.answers} answers: give {ANSWERS_NEEDED} before a reward is fitted"
        )
    fit = fit_votes(votes, seed=config.seed)
    save_text_fit(config.folder, fit)
    print(describe(fit))
    return 0


def fit_votes(votes: Votes, *, seed: int) -> TextFit:
    """The reward fitted to all votes, with its agreement on prompts held out in turn."""
    from prefrl.language.feature_reward import cross_validate, fit_feature_reward, predict

    held_out = cross_validate(votes.left, votes.right, votes.preference, votes.groups, seed=seed)
    ensemble = fit_feature_reward(votes.left, votes.right, votes.preference, seed=seed)
    table = np.concatenate([votes.left, votes.right])
    centre = table.mean(0)
    curves = []
    for place, feature in enumerate(FEATURES):
        low, high = np.quantile(table[:, place], [0.05, 0.95])
        points = np.tile(centre, (POINTS, 1))
        points[:, place] = np.linspace(low, high, POINTS)
        rewards = predict(ensemble, points) - predict(ensemble, centre[None])
        curves.append(
            Curve(
                feature.name,
                points[:, place].tolist(),
                rewards.mean(0).tolist(),
                rewards.min(0).tolist(),
                rewards.max(0).tolist(),
            )
        )
    return TextFit(
        digest=votes.digest,
        answers=votes.answers,
        pairs=held_out.pairs,
        agreement=held_out.agreement,
        log_loss=held_out.log_loss,
        folds=held_out.folds,
        curves=tuple(curves),
    )


def describe(fit: TextFit) -> str:
    """The fit in two lines."""
    share = fit.agreement
    bounds = f"[{share.lower:.1%}, {share.upper:.1%}]"
    return (
        f"held-out agreement: {share.estimate:.1%} {bounds} of {fit.pairs} pairs in {fit.folds} folds\n"
        f"held-out log-loss: {fit.log_loss:.3f} nats (guessing: {math.log(2):.3f})"
    )
