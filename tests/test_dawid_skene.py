"""Dawid and Skene's model: the paper's own example, a likelihood that only rises, planted labellers."""

import numpy as np
import pytest

from prefrl.labellers.dawid_skene import fit_dawid_skene

# Dawid and Skene 1979, table 1: 45 patients, of whom observer 1 judged each three times, the others once.
OBSERVER_1 = (
    "111 333 112 222 222 222 122 333 222 232 444 222 111 222 121 111 111 111 222 222 222 222 222 221 111 111"
    " 232 111 111 112 111 333 111 222 222 433 221 232 333 111 111 121 232 121 222"
)
OTHERS = (
    "1111 4334 2122 3121 3222 3322 2111 3433 2223 2223 4444 3343 1111 3212 1111 2111 1111 1111 2221 1322 2222"
    " 2221 3222 2222 1111 1111 2222 1111 1111 1121 1111 3233 1111 2222 3232 4343 2232 3233 3432 1111 1111"
    " 2111 2222 1111 2222"
)


def published() -> tuple[list[int], list[int], list[int]]:
    """Units, observers and classes of the paper's example, from 0 on."""
    answers = []
    for patient, (first, others) in enumerate(zip(OBSERVER_1.split(), OTHERS.split(), strict=True)):
        answers += [(patient, 0, int(said) - 1) for said in first]
        answers += [(patient, who, int(said) - 1) for who, said in enumerate(others, 1)]
    units, who, said = zip(*answers, strict=True)
    return list(units), list(who), list(said)


def test_the_papers_example_comes_out_as_published() -> None:
    found = fit_dawid_skene(*published(), classes=4, smoothing=0.0, tolerance=1e-10)
    assert found.prior == pytest.approx([0.40, 0.42, 0.11, 0.07], abs=0.005)
    assert found.confusion[0, 0] == pytest.approx([0.89, 0.11, 0.0, 0.0], abs=0.005)
    assert found.posterior.sum(1) == pytest.approx(np.ones(45))


def test_every_round_raises_the_likelihood() -> None:
    likelihoods = [
        fit_dawid_skene(*published(), classes=4, smoothing=0.0, most_rounds=rounds).log_likelihood
        for rounds in range(1, 12)
    ]
    assert (np.diff(likelihoods) > -1e-9).all()
    assert likelihoods[-1] > likelihoods[0]


def test_planted_labellers_and_truths_are_found() -> None:
    generator = np.random.default_rng(3)
    truth = generator.integers(0, 3, 600)
    right = np.array([0.95, 0.8, 0.6, 1 / 3])
    units, who = np.repeat(np.arange(600), 4), np.tile(np.arange(4), 600)
    wrong = (truth[units] + generator.integers(1, 3, len(units))) % 3
    said = np.where(generator.random(len(units)) < right[who], truth[units], wrong)
    found = fit_dawid_skene(units, who, said, classes=3)
    assert found.reliability == pytest.approx(right, abs=0.05)
    votes = np.stack([np.bincount(units, said == k, 600) for k in range(3)], 1)
    majority = (votes.argmax(1) == truth).mean()
    assert (found.posterior.argmax(1) == truth).mean() > majority


def test_few_answers_leave_nothing_infinite() -> None:
    found = fit_dawid_skene([0, 1, 2], [0, 1, 0], [0, 2, 0], classes=3, smoothing=0.0)
    assert np.isfinite(found.posterior).all()
    assert np.isfinite(found.log_likelihood)
    assert ((found.reliability >= 0.0) & (found.reliability <= 1.0 + 1e-9)).all()
    with pytest.raises(ValueError, match="at least one answer"):
        fit_dawid_skene([], [], [], classes=3)
