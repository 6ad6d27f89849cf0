"""What a run is doing, in a word and a sentence."""

from __future__ import annotations

from prefrl.runs.status import State
from prefrl.texts.votes import ANSWERS_NEEDED
from ui.workplace import RunView


def describe(view: RunView, *, labels: int) -> tuple[str, str]:
    """The state of a run in a word, and a sentence that says what it is doing and what is missing."""
    status, budget = view.status, int(view.settings.get("labels", 0))
    if view.is_text:
        return "texts", _what_comes_of(labels)
    if view.finished:
        return "finished", "The run has ended."
    if status is None:
        return "unknown", "The run has not said what it is doing yet."
    if status.lost:
        return "lost", f"The run's process is gone. Go on with: prefrl train --resume --run {view.path}"
    match status.state:
        case State.WAITING:
            return "waiting", f"The agent waits for {status.message}."
        case State.TRAINING if labels < budget:
            return "training", "The agent trains on the answers so far; more are used as they come."
        case State.TRAINING:
            return "training", "All labels are given; the agent trains on."
        case State.STARTING:
            return "starting", "The run is starting."
        case _:
            return str(status.state), f"The run has {status.state}: {status.message}"


def _what_comes_of(labels: int) -> str:
    if labels < ANSWERS_NEEDED:
        return f"After {ANSWERS_NEEDED - labels} more answers the page Preferences says what people prefer."
    return "What people prefer is on the page Preferences."
