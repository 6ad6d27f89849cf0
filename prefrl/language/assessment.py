"""How good a learned reward of texts is, judged by the gold score: for reports, the learner never sees it."""

from __future__ import annotations

import math

import numpy as np

from prefrl.bootstrap import FloatArray
from prefrl.statistics import spearman
from prefrl.teacher_config import SCRIPTED_TEACHERS, TeacherConfig


def assess_text_reward(learned: FloatArray, gold: FloatArray, copies: int, teacher: str) -> dict[str, float]:
    """A learned reward on fresh responses, beside the best that could be learned from this teacher.

    Args:
        learned: score of each response, those to one prompt side by side. [n]
        gold: the gold scores. [n]
        copies: responses to each prompt.
        teacher: whose answers the reward was learned from.

    Returns:
        ``reward_correlation``: Spearman's over all responses, in [-1, 1].
        ``expected_agreement``: share of this teacher's answers to all pairs of one prompt that the reward
        predicts, in expectation over the teacher's errors; ``best_agreement``: the share that knowing the
        gold score predicts (the Bayes-optimal accuracy). Of teachers without a formula, of the oracle's.
    """
    left, right = (place[:, None] for place in np.triu_indices(copies, 1))
    starts = np.arange(0, len(gold), copies)
    pairs = np.stack([(left + starts).ravel(), (right + starts).ravel()])
    config = SCRIPTED_TEACHERS.get(teacher, TeacherConfig())
    chance = answer_probability(config, gold[pairs[0]] - gold[pairs[1]], float(gold.std()))
    prediction = (np.sign(learned[pairs[0]] - learned[pairs[1]]) + 1.0) / 2.0
    return {
        "reward_correlation": spearman(learned, gold),
        "expected_agreement": float((prediction * chance + (1.0 - prediction) * (1.0 - chance)).mean()),
        "best_agreement": float(np.maximum(chance, 1.0 - chance).mean()),
    }


def answer_probability(config: TeacherConfig, difference: FloatArray, std: float) -> FloatArray:
    """P(left is better) as a scripted teacher answers: ``(1 − f) σ(rationality d / std) + f (1 − σ(...))``.

    Args:
        config: the teacher's faults; thresholds and myopia are left aside, a text has one score.
        difference: gold score of the left less that of the right. [pairs]
        std: of the gold scores of the candidates; above 0 unless all differences are 0.
    """
    sign = (np.sign(difference) + 1.0) / 2.0
    if not math.isinf(config.rationality):
        sign = (1.0 + np.tanh(config.rationality * difference / max(std, 1e-300) / 2.0)) / 2.0
    return np.asarray((1.0 - config.error_rate) * sign + config.error_rate * (1.0 - sign))
