"""Best of n: choose among samples by a score, and what that costs and buys. Needs numpy only."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Hashable, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from prefrl.bootstrap import FloatArray


def best_of_n_kl(n: int) -> float:
    """``KL(best of n ‖ one sample) ≤ log n − (n − 1)/n`` in nats, with equality where no two samples tie.

    Stiennon et al. 2020, appendix G.3; Beirami et al. 2024 (arXiv 2401.01879) on when it is only a bound.
    """
    if n < 1:
        raise ValueError(f"the best of {n} samples: give at least 1")
    return math.log(n) - (n - 1) / n


def choose_best(scores: ArrayLike, mask: ArrayLike | None = None) -> NDArray[np.int64]:
    """The place of the best sample of each prompt, the first of equals. ``[..., n] -> [...]``

    Args:
        scores: ``[..., n]``.
        mask: the same shape; where it is false there is no sample.

    Raises:
        ValueError: a score that is NaN, or a prompt without a sample.
    """
    table = np.asarray(scores, np.float64)
    present = np.ones(table.shape, bool) if mask is None else np.asarray(mask, bool)
    if np.isnan(table[present]).any():
        raise ValueError("the score of a sample is not a number")
    if not present.any(axis=-1).all():
        raise ValueError("a prompt has no sample to choose from")
    # Not by filling with -inf: a sample may score that, and must win over none.
    best = np.where(present, table, -np.inf).max(axis=-1, keepdims=True)
    return np.argmax(present & (table == best), axis=-1).astype(np.int64)


def best_of_n_gold(proxy: ArrayLike, gold: ArrayLike, n: int) -> FloatArray:
    """Expected gold score of the best of n by proxy score, from N ≥ n samples: all subsets at once.

    ``Σ_i C(i−1, n−1) / C(N, n) · gold_(i)`` with samples in the order of their proxy scores, worst first: the
    i-th is the best of its subset if the other n−1 come from the i−1 below it. Unbiased, and of less variance
    than drawing n (Nakano et al. 2021, appendix I). Samples that tie by proxy share their places evenly.

    Args:
        proxy: ``[..., N]``, what is chosen by.
        gold: ``[..., N]``, what is reported; the proxy itself for the proxy's own curve.
        n: in 1 .. N.

    Returns:
        ``[...]``.

    Raises:
        ValueError: shapes that differ, or n out of range.
    """
    chosen_by, reported = np.asarray(proxy, np.float64), np.asarray(gold, np.float64)
    if chosen_by.shape != reported.shape:
        raise ValueError(f"proxy scores {chosen_by.shape} and gold scores {reported.shape} must be alike")
    samples = chosen_by.shape[-1]
    if not 1 <= n <= samples:
        raise ValueError(f"the best of {n} from {samples} samples: give n in 1 .. {samples}")
    total = math.comb(samples, n)
    weights = np.array([math.comb(place, n - 1) / total for place in range(samples)])
    order = np.argsort(chosen_by, axis=-1, kind="stable")
    ordered = np.take_along_axis(chosen_by, order, -1)
    rows = zip(
        ordered.reshape(-1, samples),
        np.take_along_axis(reported, order, -1).reshape(-1, samples),
        strict=True,
    )
    means = [_tied_means(by, values) @ weights for by, values in rows]
    return np.array(means, np.float64).reshape(chosen_by.shape[:-1])


def pass_at_k(samples: int, right: int, k: int) -> float:
    """``1 − C(n − c, k) / C(n, k)``: the chance that one of k samples is right, when c of n were.

    Unbiased (Chen et al. 2021, arXiv 2107.03374, eq. 1), unlike ``1 − (1 − c/n)^k``.

    Raises:
        ValueError: c outside 0 .. n, or k outside 1 .. n.
    """
    if not 0 <= right <= samples or not 1 <= k <= samples:
        raise ValueError(f"pass@{k} of {right} right among {samples} samples cannot be")
    return 1.0 - math.comb(samples - right, k) / math.comb(samples, k)


def majority_share(answers: Sequence[Hashable | None], right: Hashable) -> float:
    """Whether the most frequent answer is the right one: 1 or 0, or the share of luck where answers tie.

    Self-consistency (Wang et al. 2023, arXiv 2203.11171). A sample without an answer (None) has no vote.
    """
    votes = Counter(answer for answer in answers if answer is not None)
    most = max(votes.values(), default=0)
    winners = [answer for answer, count in votes.items() if count == most]
    return 1.0 / len(winners) if right in winners else 0.0


def choose_for_imitation(
    scores: ArrayLike, prompts: ArrayLike, *, per_prompt: int = 1, at_least: float = -math.inf
) -> NDArray[np.int64]:
    """Rejection sampling: the samples worth imitating, the best of each prompt that score enough.

    What is kept is trained on as if it had been demonstrated (rejection-sampling fine-tuning, RAFT: Dong et
    al. 2023, arXiv 2304.06767; with a verifiable reward and a threshold: Zelikman et al. 2022, STaR).

    Args:
        scores: ``[n]``.
        prompts: ``[n]`` whole numbers, which prompt each sample answers.
        per_prompt: samples to keep of each prompt at most.
        at_least: the least score worth keeping.

    Returns:
        Rows to keep, in the order in which they came; of equal scores the first.

    Raises:
        ValueError: shapes that differ, a score that is NaN, fewer than 1 per prompt.
    """
    values, groups = np.asarray(scores, np.float64), np.asarray(prompts)
    if values.ndim != 1 or values.shape != groups.shape:
        raise ValueError(f"scores {values.shape} and prompts {groups.shape} must both be [n]")
    if np.isnan(values).any() or per_prompt < 1:
        raise ValueError(f"cannot keep {per_prompt} per prompt of scores with {np.isnan(values).sum()} NaN")
    order = np.lexsort((np.arange(len(values)), -values))
    taken: Counter[int] = Counter()
    kept = []
    for row in order.tolist():
        prompt = int(groups[row])
        if taken[prompt] < per_prompt and values[row] >= at_least:
            taken[prompt] += 1
            kept.append(row)
    return np.sort(np.array(kept, np.int64))


def _tied_means(ordered: FloatArray, values: FloatArray) -> FloatArray:
    """Values with those of equal places replaced by their mean. Both ``[N]``, ordered alike."""
    _, inverse, counts = np.unique(ordered, return_inverse=True, return_counts=True)
    return np.asarray((np.bincount(inverse, weights=values) / counts)[inverse], np.float64)
