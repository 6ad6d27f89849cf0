"""How far labelling is, as labellers see it: every answer moves it, those to hidden checks too.

Gold pairs and repeats do not count towards a run's labels. A number that stayed where it was after one of
them would tell which they are; so what labellers see counts them, against a budget with their share added.
Whoever runs the experiment sees the labels that count, on the other pages.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from prefrl.runs.status import State
from prefrl.store.feedback_store import Counts

CHECKS = ("gold_fraction", "repeat_fraction")
"""Of a run's query settings: hidden checks per label."""


def shown_progress(counts: Counts, settings: Mapping[str, Any]) -> dict[str, int]:
    """``labels``, ``budget``, ``skips`` to be shown; ``labels`` reaches ``budget`` once the run's own do."""
    budget = int(settings.get("labels", 0))
    shown = round(budget * (1.0 + check_share(settings)))
    so_far = min(counts.labels + counts.check_labels, shown - 1)
    labels = shown if counts.labels >= budget else so_far
    return {"labels": labels, "budget": shown, "skips": counts.skips + counts.check_skips}


def shown_sentence(state: str, sentence: str, settings: Mapping[str, Any]) -> str:
    """What the run is doing; where there are checks, without the labels that a waiting run counts."""
    if state == State.WAITING and check_share(settings):
        return "The agent waits for more labels."
    return sentence


def check_share(settings: Mapping[str, Any]) -> float:
    """Hidden checks per label of a run."""
    query = settings.get("query")
    return sum(float(query.get(name, 0.0)) for name in CHECKS) if isinstance(query, dict) else 0.0
