"""Fitting a reward to answers that are there already: a store and its segments, no world."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from prefrl.bags import bootstrap_counts
from prefrl.calibration import Calibration, calibration
from prefrl.control.build import make_ensemble
from prefrl.control.config import RewardConfig
from prefrl.control.layout_files import load_layout
from prefrl.control.layouts import Layout
from prefrl.control.reward_files import save_reward_model
from prefrl.control.reward_model import RewardModel
from prefrl.control.stored_answers import load_feedback, read_answers
from prefrl.devices import make_device
from prefrl.ensemble import Items
from prefrl.errors import UsageError
from prefrl.feedback_sets import FeedbackSet, guess_loss, loss_floor
from prefrl.fit_config import FitConfig
from prefrl.fitting import OnEpoch, RewardFitter
from prefrl.held_out import held_out_agreement
from prefrl.judged_answers import judged_outcome, judged_probability
from prefrl.store.feedback_store import FeedbackStore

OFFLINE_REWARD = RewardConfig(fit=FitConfig(max_epochs=500, first_gradient_steps=5000, patience_epochs=10))
"""One fit that may take its time, where a run makes many short ones."""


@dataclass(frozen=True)
class OfflineReport:
    """What was learned from and how well. Losses in nats per answer."""

    labels: int
    """Answers learned from, of every kind."""
    skips: int
    """Answers that decline; not learned from."""
    ignored: int
    """Marks, answers to gold, repeated and practice queries, and those that came late."""
    left_out: int
    """Answers of labellers who were given weight 0."""
    segments: int
    epochs: int
    gradient_steps: int
    train_loss: float
    """Of the last pass, while fitting."""
    log_loss: float
    """Out of the bag: of each answer by the members that were not fitted to it, whatever it weighs."""
    entropy_floor: float
    """The least log-loss that these answers allow."""
    guess_loss: float
    """The log-loss of whoever takes every possible answer for equally likely."""
    agreement: float | None
    """Share of the comparisons that they imply predicted right by the members not fitted to them; None where
    they compare nothing (:func:`prefrl.held_out.held_out_agreement`)."""
    calibration: Calibration
    """Of the probability predicted by those members, errors of the labeller included, of what each answer is
    judged by (:func:`prefrl.judged_answers.judged_probability`)."""
    weight_decay: float


class OfflineFit(NamedTuple):
    """A fitted reward and the report on it."""

    model: RewardModel
    report: OfflineReport


def fit_reward_offline(
    store_path: str | Path,
    segments_folder: str | Path,
    *,
    run: str | None = None,
    config: RewardConfig = OFFLINE_REWARD,
    seed: int,
    out: str | Path | None = None,
    layout: Layout | None = None,
    device: str = "cpu",
    on_epoch: OnEpoch | None = None,
) -> OfflineFit:
    """Fits a reward ensemble to the answers in a store, each kind by its own likelihood.

    Args:
        store_path: the store, such as a run's ``feedback.sqlite``.
        segments_folder: where the segments lie that were asked about, such as a run's ``segments``.
        run: learn from the queries of this run only; None for all in the store.
        config: the ensemble and its fit.
        seed: of the first parameters, the bootstrap and the order of minibatches; the result is a function of
            it, of the config and of the answers.
        out: a file to save the model to, or a folder to save it in as ``reward_model.pt``.
        layout: of the segments; None reads it from the ``layout.json`` among them.
        device: where to fit: cpu, cuda, auto.
        on_epoch: told of each pass over the answers; a progress bar, say.

    Raises:
        UsageError: no store, no usable answers, a segment that is missing or damaged, a full disk.
        FloatingPointError: the fit has diverged.
    """
    folder = Path(segments_folder)
    layout = load_layout(folder) if layout is None else layout
    with FeedbackStore(store_path, must_exist=True) as store:
        answers = read_answers(store, run=run)
    if not answers.learned:
        raise UsageError(f"{store_path} holds no answers to learn from{_of(run)}: collect answers first")
    error_rate, where = config.fit.error_rate, make_device(device)
    bank, sets = load_feedback(answers.learned, folder, layout, error_rate=error_rate, device=where)
    with torch.random.fork_rng(devices=[] if where.type == "cpu" else [where]):
        torch.manual_seed(seed)
        ensemble = make_ensemble(layout, config, where)
        fitter = RewardFitter(ensemble, config.fit, seed=seed)
        fit = fitter.fit(bank, sets, torch.Generator().manual_seed(seed), on_epoch=on_epoch)
    quality = _out_of_bag(fitter, bank, sets)
    if out is not None:
        save_reward_model(out, ensemble, layout, config)
    report = OfflineReport(
        labels=len(answers.learned),
        skips=answers.skips,
        ignored=answers.ignored,
        left_out=answers.left_out,
        segments=len(bank),
        epochs=fit.epochs,
        gradient_steps=fit.gradient_steps,
        train_loss=fit.train_loss,
        log_loss=quality.log_loss,
        entropy_floor=float(torch.cat([loss_floor(part, error_rate) for part in sets]).mean()),
        guess_loss=float(torch.cat([guess_loss(part) for part in sets]).mean()),
        agreement=quality.agreement,
        calibration=quality.calibration,
        weight_decay=fit.weight_decay,
    )
    return OfflineFit(RewardModel(ensemble, layout), report)


class _Quality(NamedTuple):
    log_loss: float
    agreement: float | None
    calibration: Calibration


@torch.no_grad()
def _out_of_bag(fitter: RewardFitter, items: Items, sets: Sequence[FeedbackSet]) -> _Quality:
    """Each answer judged by the members whose bootstrap left it out, once the fit is over."""
    ensemble, error_rate = fitter.ensemble, fitter.config.error_rate
    cutpoints = fitter.scale()
    judged, losses, predicted, happened = [], [], [], []
    for place, part in enumerate(sets):
        counts = bootstrap_counts(len(part), ensemble.members, seed=(fitter.seed, place)).to(
            part.items.device
        )
        rows = part.items
        returns = ensemble.predict_returns(items, rows.flatten()).reshape(-1, *rows.shape).double()
        judged.append((part, returns, counts))
        outside = (counts == 0).T
        losses.append(fitter.loss(part, returns, part.targets)[outside])
        probability = judged_probability(part, returns, error_rate=error_rate, cutpoints=cutpoints)
        seen = outside.any(0)
        predicted.append(_mean_where(probability, outside)[seen])
        happened.append(judged_outcome(part)[seen])
    return _Quality(
        log_loss=float(torch.cat(losses).mean()),
        agreement=held_out_agreement(judged),
        calibration=calibration(torch.cat(predicted).cpu(), torch.cat(happened).cpu()),
    )


def _mean_where(values: Tensor, chosen: Tensor) -> Tensor:
    """Mean over the first dimension of what is chosen; NaN where nothing is."""
    return torch.where(chosen, values, 0.0).sum(0) / chosen.sum(0)


def _of(run: str | None) -> str:
    return "" if run is None else f" of run {run!r}"
