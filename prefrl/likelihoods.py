"""Likelihoods of feedback: one pure function per equation.

Every loss takes ``returns [..., n, K]``, the undiscounted sums of learned reward of the K items of each of
n pieces of feedback, and gives the negative log-likelihood in nats, ``[..., n]``. The leading dimensions
are free: with ``[m, n, K]`` the m members of an ensemble are evaluated at once on the same feedback.
What a loss is given beside the returns broadcasts against ``[..., n]``.

Index names: l and r are the left and the right side, d = returns_l − returns_r, σ is the logistic function.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid, pad

LOG_2 = math.log(2.0)


def pair_log_likelihood_loss(
    returns: Tensor, preference: Tensor, *, error_rate: float = 0.1, margin: Tensor | None = None
) -> Tensor:
    """Cross-entropy between answers and a Bradley-Terry model whose labeller is sometimes careless.

    P' = (1 − e) σ(d) + e/2,  loss = −p log P' − (1 − p) log(1 − P').
    Christiano et al. 2017, equation 1 and section 2.2.3 (e = 0.1: P' = 0.9 P + 0.05).

    With a margin m the better side must lead by more than m to cost the same: σ(d − m) in the first term and
    σ(−d − m) in the second (Touvron et al. 2023, arXiv 2307.09288, eq. 2); no likelihood then, but a loss.

    Note that e is the share of uniformly random answers: half of them are right by luck, so a teacher that
    flips its answer with probability f has e = 2 f.

    Args:
        returns: ``[..., n, 2]``, left then right.
        preference: p = P(left is better), ``[n]`` in [0, 1]: 1 left, 0 right, 1/2 a tie, 3/4 weakly left.
        error_rate: e in [0, 1).
        margin: m, ``[n]`` or a single number, in units of return; None for none.

    Returns:
        ``[..., n]``, at most −log(e/2) for e > 0. Gradients are finite for any finite returns.

    Raises:
        ValueError: wrong shape, or an error rate outside [0, 1).
    """
    _check_items(returns, 2)
    _check_error_rate(error_rate)
    difference = returns[..., 0] - returns[..., 1]
    preference = _like(returns, preference)
    leads = (difference, -difference)
    if margin is not None:
        leads = (difference - _like(returns, margin), -difference - _like(returns, margin))
    left, right = (_with_errors(logsigmoid(lead), error_rate) for lead in leads)
    return -(preference * left + (1.0 - preference) * right)


def centring_penalty(returns: Tensor) -> Tensor:
    """``(r_l + r_r)²`` per pair: comparisons leave the zero of the return free, this fixes it halfway.

    Eisenstein et al. 2023 (arXiv 2312.09244), section 4: 0.01 times its mean, added to the loss, keeps an
    ensemble's members comparable and changes no preference.

    Args:
        returns: ``[..., n, 2]``.
    """
    _check_items(returns, 2)
    return returns.sum(-1).square()


def ranking_loss(returns: Tensor, mask: Tensor | None = None, *, error_rate: float = 0.0) -> Tensor:
    """Plackett-Luce: the best item is chosen among all, the second among the rest, and so on.

    P(1 ≻ 2 ≻ ... ≻ K) = ∏ₖ exp(rₖ) / Σ_{j ≥ k} exp(rⱼ),  P' = (1 − e) P + e/K!.
    Plackett 1975; Luce 1959. With K = 2 it is ``pair_log_likelihood_loss`` of a full preference.

    Args:
        returns: ``[..., n, K]``, ordered best first.
        mask: ``[n, K]``, true where there is an item; for rankings of different lengths. What the returns
            hold elsewhere has no influence, not even NaN.
        error_rate: e in [0, 1), the share of rankings that are uniformly random.

    Raises:
        ValueError: fewer than one item.
    """
    if returns.ndim < 2 or returns.shape[-1] < 1:
        raise ValueError(f"a ranking needs returns [..., n, K] with K at least 1, not {tuple(returns.shape)}")
    _check_error_rate(error_rate)
    places = returns.shape[-1]
    allowed = torch.ones(places, places, dtype=torch.bool, device=returns.device).triu()
    if mask is not None:
        mask = mask.bool()
        returns = torch.where(mask, returns, torch.zeros((), dtype=returns.dtype, device=returns.device))
        itself = torch.eye(places, dtype=torch.bool, device=returns.device)
        allowed = allowed & (mask.unsqueeze(-2) | itself)
    # Differences first: sums of returns far from zero would cost the digits that matter.
    differences = returns.unsqueeze(-2) - returns.unsqueeze(-1)
    terms = torch.logsumexp(differences.masked_fill(~allowed, -math.inf), dim=-1)
    if mask is not None:
        terms = torch.where(mask, terms, torch.zeros_like(terms))
    items = torch.full_like(terms[..., 0], places) if mask is None else mask.sum(-1).to(terms)
    return -_with_errors(-terms.sum(-1), error_rate, log_outcomes=torch.lgamma(items + 1.0))


def like_loss(returns: Tensor, liked: Tensor, *, error_rate: float = 0.0) -> Tensor:
    """Unpaired likes and dislikes: the return is the logit of being liked.

    P(liked) = (1 − e) σ(r) + e/2,  loss = −y log P(liked) − (1 − y) log(1 − P(liked)).
    A binary classifier as implicit reward: Jung et al. 2024 (arXiv 2404.04656), without its shift.
    Unlike comparisons, likes fix the zero of the return: an average item should have return 0.

    Args:
        returns: ``[..., n, 1]``.
        liked: y, ``[n]``, true or 1 for a like, false or 0 for a dislike, between for unsure.
        error_rate: e in [0, 1), the share of answers that are uniformly random.
    """
    _check_items(returns, 1)
    _check_error_rate(error_rate)
    value = returns[..., 0]
    liked = _like(returns, liked)
    yes, no = (_with_errors(logsigmoid(sign * value), error_rate) for sign in (1.0, -1.0))
    return -(liked * yes + (1.0 - liked) * no)


def rating_loss(returns: Tensor, rating: Tensor, cutpoints: Tensor, *, error_rate: float = 0.0) -> Tensor:
    """Ratings on an ordered scale: the cumulative (proportional odds) model.

    P(rating ≤ k) = σ(θₖ − r),  P(k) = σ(θₖ − r) − σ(θₖ₋₁ − r) with θ₋₁ = −∞ and θ_{C−1} = ∞,
    loss = −log((1 − e) P(k) + e/C).
    McCullagh 1980, "Regression models for ordinal data". Only the order of the categories counts, not
    their distances. Evaluated as log σ(a) + log σ(−b) + log(1 − exp(b − a)), which has no cancellation.

    Args:
        returns: ``[..., n, 1]``.
        rating: ``[n]``, integer in 0 .. C−1, larger is better.
        cutpoints: θ, ``[C−1]`` or ``[..., C−1]`` with the leading dimensions of the returns but for n, such
            as members; strictly increasing; may require gradients.
        error_rate: e in [0, 1), the share of ratings that are uniformly random.
    """
    _check_items(returns, 1)
    _check_error_rate(error_rate)
    value = returns[..., 0]
    cutpoints = _like(returns, cutpoints)
    upper = pad(cutpoints, (0, 1), value=math.inf)[..., rating.long()]
    lower = pad(cutpoints, (1, 0), value=-math.inf)[..., rating.long()]
    inside = torch.log(-torch.expm1(lower - upper))
    within = logsigmoid(upper - value) + logsigmoid(value - lower) + inside
    return -_with_errors(within, error_rate, log_outcomes=math.log(cutpoints.shape[-1] + 1))


def davidson_tie_loss(returns: Tensor, preference: Tensor, log_nu: Tensor | float) -> Tensor:
    """Bradley-Terry with ties as an outcome of their own, the explicit alternative to ties as p = 1/2.

    P(l) : P(tie) : P(r) = exp(d/2) : ν : exp(−d/2).
    Davidson 1970, "On extending the Bradley-Terry model to accommodate ties in paired comparison
    experiments", with worth exp(return). ν → 0 is Bradley-Terry; the larger ν, the more ties.
    A preference between the three answers is split linearly: 3/4 is half a left and half a tie.

    Args:
        returns: ``[..., n, 2]``.
        preference: ``[n]`` in [0, 1], exactly 1/2 for a tie.
        log_nu: log ν, a scalar; may require gradients.
    """
    _check_items(returns, 2)
    half = (returns[..., 0] - returns[..., 1]) / 2
    preference = _like(returns, preference)
    log_nu = torch.as_tensor(log_nu, dtype=returns.dtype, device=returns.device).expand_as(half)
    left, tie, right = torch.log_softmax(torch.stack([half, log_nu, -half], dim=-1), dim=-1).unbind(-1)
    lean = 2.0 * preference - 1.0
    return -(lean.clamp(min=0) * left + (1.0 - lean.abs()) * tie + (-lean).clamp(min=0) * right)


def label_entropy(preference: Tensor, *, error_rate: float) -> Tensor:
    """Entropy of an answer in nats: the mean loss of the best possible model of this labeller.

    H(q) with q = (1 − e) p + e/2, p the preference without carelessness. 0 for a certain answer of a
    careful labeller, log 2 for a tie. A training loss below the mean of this has been fitting noise.
    ``error_rate`` is the labeller's own; the loss may assume another one, see ``loss_floor``.
    """
    _check_error_rate(error_rate)
    answer = (1.0 - error_rate) * preference + error_rate / 2
    return -(torch.xlogy(answer, answer) + torch.xlogy(1.0 - answer, 1.0 - answer))


def loss_floor(preference: Tensor, *, error_rate: float) -> Tensor:
    """The least value ``pair_log_likelihood_loss`` can take on given answers, at any returns.

    min over q in [e/2, 1 − e/2] of −p log q − (1 − p) log(1 − q), reached at q = p clipped to the range.
    """
    _check_error_rate(error_rate)
    best = preference.clamp(error_rate / 2, 1.0 - error_rate / 2)
    return -(torch.xlogy(preference, best) + torch.xlogy(1.0 - preference, 1.0 - best))


def agreement(returns: Tensor, preference: Tensor) -> Tensor:
    """Share of comparisons predicted right, among those whose answer is not a tie.

    A predicted tie counts as half right, so that a constant reward scores 1/2 and not the share of right
    answers.

    Args:
        returns: ``[..., n, 2]``, left then right.
        preference: ``[n]``, P(left is better).

    Returns:
        ``[...]`` in [0, 1], float64; NaN where every answer is a tie.
    """
    _check_items(returns, 2)
    difference = returns[..., 0] - returns[..., 1]
    answer = torch.sign(preference.to(difference) - 0.5)
    decided = (answer != 0).double()
    right = (1.0 + torch.sign(difference).double() * answer.double()) / 2
    return (right * decided).sum(-1) / decided.sum(-1)


def _with_errors(
    log_probability: Tensor, error_rate: float, *, log_outcomes: Tensor | float = LOG_2
) -> Tensor:
    """log((1 − e) P + e/N) from log P and the log of the number N of answers, without leaving log space."""
    if error_rate == 0.0:
        return log_probability
    floor = torch.full_like(log_probability, math.log(error_rate)) - log_outcomes
    return torch.logaddexp(log_probability + math.log1p(-error_rate), floor)


def _like(returns: Tensor, values: Tensor) -> Tensor:
    return values.to(dtype=returns.dtype, device=returns.device)


def _check_items(returns: Tensor, items: int) -> None:
    if returns.ndim < 2 or returns.shape[-1] != items:
        raise ValueError(f"returns must be [..., n, {items}], not {tuple(returns.shape)}")


def _check_error_rate(error_rate: float) -> None:
    if not 0.0 <= error_rate < 1.0:
        raise ValueError(f"error_rate must lie in [0, 1), not {error_rate}")
