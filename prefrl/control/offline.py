"""Fitting a reward to comparisons that are there already: a store and its segments, no world."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from prefrl.calibration import Calibration, calibration
from prefrl.control.build import make_ensemble
from prefrl.control.config import RewardConfig
from prefrl.control.layout_files import load_layout
from prefrl.control.layouts import Layout
from prefrl.control.reward_files import save_reward_model
from prefrl.control.reward_model import RewardModel
from prefrl.control.segment_bank import SegmentBank
from prefrl.control.segment_files import load_segments
from prefrl.devices import make_device
from prefrl.ensemble import RewardEnsemble
from prefrl.errors import UsageError
from prefrl.feedback import Answer, Kind, Purpose, Query, RemarkKind
from prefrl.fit_config import FitConfig
from prefrl.fitting import FeedbackSet, OnEpoch, RewardFitter, bootstrap_counts
from prefrl.labellers.weights import FULL_WEIGHT, labeller_weights
from prefrl.likelihoods import agreement, loss_floor, pair_log_likelihood_loss
from prefrl.store.feedback_store import FeedbackStore

OFFLINE_REWARD = RewardConfig(fit=FitConfig(max_epochs=500, first_gradient_steps=5000, patience_epochs=10))
"""One fit that may take its time, where a run makes many short ones."""


@dataclass(frozen=True)
class OfflineReport:
    """What was learned from and how well. Losses in nats per comparison."""

    labels: int
    """Answers learned from: left, right and equal."""
    skips: int
    """Answers that decline; not learned from."""
    ignored: int
    """Answers of other kinds than pairs, to gold, repeated and practice queries, and those that came late."""
    left_out: int
    """Answers of labellers who were given weight 0."""
    segments: int
    epochs: int
    gradient_steps: int
    train_loss: float
    """Of the last pass, while fitting."""
    log_loss: float
    """Out of the bag: of each comparison by the members that were not fitted to it, whatever it weighs."""
    entropy_floor: float
    """The least log-loss that these answers allow."""
    agreement: float
    """Share of comparisons predicted right by the members not fitted to them; ties left out."""
    calibration: Calibration
    """Of the probability predicted by those members, errors of the labeller included."""
    weight_decay: float


class OfflineFit(NamedTuple):
    """A fitted reward and the report on it."""

    model: RewardModel
    report: OfflineReport


class Comparisons(NamedTuple):
    """Answered pairs of a store."""

    pairs: list[tuple[str, str]]
    """Segment ids, left and right."""
    preferences: list[float]
    weights: list[float]
    """What each labeller's answers count, in (0, 1]."""
    skips: int
    ignored: int
    left_out: int


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
    """Fits a reward ensemble to the comparisons in a store.

    Args:
        store_path: the store, such as a run's ``feedback.sqlite``.
        segments_folder: where the compared segments lie, such as a run's ``segments``.
        run: learn from the queries of this run only; None for all in the store.
        config: the ensemble and its fit.
        seed: of the first parameters, the bootstrap and the order of minibatches; the result is a function of
            it, of the config and of the answers.
        out: a file to save the model to, or a folder to save it in as ``reward_model.pt``.
        layout: of the segments; None reads it from the ``layout.json`` among them.
        device: where to fit: cpu, cuda, auto.
        on_epoch: told of each pass over the comparisons; a progress bar, say.

    Raises:
        UsageError: no store, no usable answers, a segment that is missing or damaged, a full disk.
        FloatingPointError: the fit has diverged.
    """
    folder = Path(segments_folder)
    layout = load_layout(folder) if layout is None else layout
    with FeedbackStore(store_path, must_exist=True) as store:
        comparisons = read_comparisons(store, run=run)
    if not comparisons.pairs:
        raise UsageError(f"{store_path} holds no answered pairs{_of(run)}: collect answers first")
    where = make_device(device)
    bank, feedback = _load_feedback(comparisons, folder, layout, config.fit.error_rate, where)
    with torch.random.fork_rng(devices=[] if where.type == "cpu" else [where]):
        torch.manual_seed(seed)
        ensemble = make_ensemble(layout, config, where)
        fitter = RewardFitter(ensemble, config.fit, seed=seed)
        fit = fitter.fit(bank, [feedback], torch.Generator().manual_seed(seed), on_epoch=on_epoch)
    quality = _out_of_bag(ensemble, bank, feedback, seed=seed, error_rate=config.fit.error_rate)
    if out is not None:
        save_reward_model(out, ensemble, layout, config)
    report = OfflineReport(
        labels=len(feedback),
        skips=comparisons.skips,
        ignored=comparisons.ignored,
        left_out=comparisons.left_out,
        segments=len(bank),
        epochs=fit.epochs,
        gradient_steps=fit.gradient_steps,
        train_loss=fit.train_loss,
        log_loss=quality.log_loss,
        entropy_floor=float(loss_floor(feedback.targets, error_rate=config.fit.error_rate).mean()),
        agreement=quality.agreement,
        calibration=quality.calibration,
        weight_decay=fit.weight_decay,
    )
    return OfflineFit(RewardModel(ensemble, layout), report)


def read_comparisons(store: FeedbackStore, *, run: str | None = None) -> Comparisons:
    """The answers that stand and count to training pairs of a run, or of all, in the order of their queries.

    Raises:
        UsageError: the store has no such run.
    """
    runs = store.runs()
    if run is not None and run not in runs:
        raise UsageError(f"the store has no run {run!r}: choose from {', '.join(runs) or 'none'}")
    fates: Counter[str] = Counter()
    pairs, preferences, weights = [], [], []
    for name in runs if run is None else [run]:
        for fate, query, answer, weight in _sort_out(store, name):
            fates[fate] += 1
            if fate == "learned":
                pairs.append((query.items[0], query.items[1]))
                preferences.append(float(answer.value))  # type: ignore[arg-type]
                weights.append(weight)
    return Comparisons(pairs, preferences, weights, fates["skipped"], fates["ignored"], fates["left out"])


def _sort_out(store: FeedbackStore, run: str) -> Iterator[tuple[str, Query, Answer, float]]:
    """What becomes of each answer that stands, with its query and its labeller's weight."""
    queries, late = {query.id: query for query in store.queries(run)}, store.late(run)
    worth = labeller_weights(store.remarks(run, kind=RemarkKind.WEIGHT))
    answers = store.current_answers(run)
    for answer in sorted(answers, key=lambda answer: queries[answer.query_id].counter):
        query, weight = queries[answer.query_id], worth.get(answer.labeller, FULL_WEIGHT)
        training = query.kind is Kind.PAIR and query.purpose is Purpose.TRAINING
        fate = "skipped" if answer.value is None else "learned" if weight > 0 else "left out"
        if not training or (query.id, answer.labeller) in late:
            fate = "ignored"
        yield fate, query, answer, weight


class _Quality(NamedTuple):
    log_loss: float
    agreement: float
    calibration: Calibration


def _load_feedback(
    comparisons: Comparisons, folder: Path, layout: Layout, error_rate: float, device: torch.device
) -> tuple[SegmentBank, FeedbackSet]:
    ids = list(dict.fromkeys(segment for pair in comparisons.pairs for segment in pair))
    bank = SegmentBank(layout, device)
    rows = dict(zip(ids, bank.add(ids, load_segments(folder, ids)).tolist(), strict=True))
    items = [[rows[left], rows[right]] for left, right in comparisons.pairs]
    feedback = FeedbackSet(
        torch.tensor(items, dtype=torch.int64, device=device),
        torch.tensor(comparisons.preferences, dtype=torch.float32, device=device),
        lambda returns, targets: pair_log_likelihood_loss(returns, targets, error_rate=error_rate),
        _weights(comparisons, device),
    )
    return bank, feedback


def _weights(comparisons: Comparisons, device: torch.device) -> Tensor | None:
    if all(weight == FULL_WEIGHT for weight in comparisons.weights):
        return None
    return torch.tensor(comparisons.weights, dtype=torch.float32, device=device)


def _out_of_bag(
    ensemble: RewardEnsemble, bank: SegmentBank, feedback: FeedbackSet, *, seed: int, error_rate: float
) -> _Quality:
    """Each comparison judged by the members whose bootstrap left it out, once the fit is over."""
    rows = torch.arange(len(bank), device=feedback.items.device)
    returns = ensemble.predict_returns(bank, rows)[:, feedback.items].cpu().double()
    preference = feedback.targets.cpu().double()
    outside = (bootstrap_counts(len(feedback), ensemble.members, seed=(seed, 0)) == 0).T.double()
    losses = pair_log_likelihood_loss(returns, preference, error_rate=error_rate)
    probability = (1.0 - error_rate) * torch.sigmoid(returns[..., 0] - returns[..., 1]) + error_rate / 2
    judged = outside.sum(0) > 0
    mean = _weighted(probability, outside)[judged]
    sides = torch.stack([mean, 1.0 - mean], -1)
    return _Quality(
        log_loss=float((losses * outside).sum() / outside.sum()),
        agreement=float(agreement(sides, preference[judged])),
        calibration=calibration(mean.cpu(), preference[judged].cpu()),
    )


def _weighted(values: Tensor, weights: Tensor) -> Tensor:
    return (values * weights).sum(0) / weights.sum(0)


def _of(run: str | None) -> str:
    return "" if run is None else f" of run {run!r}"
