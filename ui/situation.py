"""What a run is doing, how many answers are due and what is missing: in numbers and in sentences."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from prefrl.errors import UsageError
from prefrl.runs.log import RunFolder
from prefrl.runs.status import State
from ui.kinds import NOUNS
from ui.run_control import RunControl
from ui.sentences import describe
from ui.workplace import RunView


@dataclass(frozen=True)
class Situation:
    """A run at a moment."""

    state: str
    sentence: str
    """What it is doing."""
    answers: str
    """How many answers there are and are due; empty where nothing is asked."""
    problem: str
    """What is damaged or went wrong; empty where nothing is."""
    step: int
    steps: int
    labels: int
    budget: int
    going_on: bool
    summary: dict[str, Any]


GOING_ON = {"starting", "training", "waiting", "stopping"}


def goes_on(view: RunView, control: RunControl) -> bool:
    """Whether a run goes on, or says so; without a look into its store."""
    return _doing(view, control, labels=0)[0] in GOING_ON


def look_at(view: RunView, control: RunControl) -> Situation:
    """The situation of a run; what cannot be read becomes its ``problem``, never an exception."""
    labels, answers, problems = 0, "", []
    learned = view.settings.get("reward") == "learned"
    budget = _whole(view.settings.get("labels")) if learned else 0
    try:
        if learned:
            counts = view.store.counts(view.store_name)
            labels, answers = counts.labels, _answers(view, counts.labels, counts.skips, counts.open, budget)
    except UsageError as error:
        problems.append(str(error))
    try:
        summary = RunFolder.open(view.path).read_summary() or {}
    except UsageError as error:
        summary = {}
        problems.append(str(error))
    state, sentence = _doing(view, control, labels)
    if complaint := control.complaint(view):
        problems.append(f"The last try to go on came to nothing: {complaint}")
    status = view.status
    return Situation(
        state=state,
        sentence=sentence,
        answers=answers,
        problem="  \n".join(problems),
        step=status.step if status is not None else _whole(summary.get("steps")),
        steps=_whole(view.settings.get("steps")),
        labels=labels,
        budget=budget,
        going_on=state in GOING_ON,
        summary=summary,
    )


def _doing(view: RunView, control: RunControl, labels: int) -> tuple[str, str]:
    status = view.status
    starts = "The run is starting: it loads its world and plays the untrained policy, to compare with."
    if control.starting(view) and not view.finished:
        return "starting", starts
    if view.finished or status is None or status.lost:
        state, sentence = describe(view, labels=labels)
        return state, sentence
    match status.state:
        case _ if control.stopping(view):
            return "stopping", "The run finishes the rollout it is in, saves itself, and stops."
        case State.STARTING:
            return "starting", starts
        case State.TRAINING if view.settings.get("reward") != "learned":
            return "training", f"The agent trains on the {view.settings.get('reward')} reward."
        case State.TRAINING if not view.labelled_by_people:
            return "training", "The agent trains; the teacher is asked as the schedule says."
        case State.STOPPED:
            return "stopped", f"The run has stopped at step {status.step:,} and can be resumed from there."
        case State.FAILED:
            return "failed", f"The run has failed: {status.message}"
    return describe(view, labels=labels)


def _answers(view: RunView, labels: int, skips: int, ready: int, budget: int) -> str:
    skipped = f", {skips:,} skipped" if skips else ""
    so_far = f"{labels:,} of {budget:,} labels{skipped}"
    if not view.labelled_by_people:
        return f"{so_far}, by the {view.settings.get('teacher')} teacher."
    if labels >= budget:
        return f"{so_far}: none is missing."
    one, many = NOUNS[view.kind]
    waiting = f"{ready:,} {many} wait to be answered" if ready else f"no {one} waits at the moment"
    return f"{so_far}: {budget - labels:,} are still due, {waiting}."


def _whole(value: object) -> int:
    return int(value) if isinstance(value, int | float) and not isinstance(value, bool) else 0
