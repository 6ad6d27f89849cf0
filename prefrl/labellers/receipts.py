"""What becomes of an answer that is handed in: a receipt, or a refusal for good."""

from __future__ import annotations

from dataclasses import dataclass

from prefrl.errors import UsageError
from prefrl.feedback import Answer


class AnswerRefused(UsageError):
    """An answer that will not be taken however often it is sent; every other error may pass."""


@dataclass(frozen=True)
class Receipt:
    """What became of an answer: it is on disk."""

    answer: Answer
    counts: bool
    """False where it came too late: another answer stood or the query was closed; kept, never fitted."""
    known: bool
    """Whether it had been stored before: the same words, sent again."""
