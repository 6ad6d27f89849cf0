"""The time that people have given a run with their answers."""

from __future__ import annotations

import numpy as np

from prefrl.bootstrap import FloatArray
from prefrl.feedback import Purpose
from prefrl.store.answer_table import AnswerTable


def human_minutes(answers: AnswerTable) -> FloatArray:
    """Minutes that people had spent when so many answers counted, labels and skips, ``[answers + 1]``.

    The seconds from a pair's appearance to its answer, in the order in which they were given. Answers that do
    not count (late ones, repeats, gold and practice pairs) cost their time, too. An answer without a time
    counts as the median of the others. Empty where nobody has given an answer with a time.
    """
    known = np.isfinite(answers.seconds)
    if not known.any():
        return np.zeros(0)
    spent = np.cumsum(np.where(known, answers.seconds, np.median(answers.seconds[known]))) / 60.0
    counts = (answers.purpose == str(Purpose.TRAINING)) & ~answers.late
    return np.concatenate([[0.0], spent[counts]])
