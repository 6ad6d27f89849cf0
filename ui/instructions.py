"""What a labeller is asked to look for, task by task."""

from __future__ import annotations

from dataclasses import dataclass

from prefrl.texts.response_files import TASK

GAMES = {
    "beam-rider": "Prefer the clip in which more enemies are shot and no ship is lost.",
    "breakout": "Prefer the clip in which more bricks go and the ball is not lost.",
    "enduro": "Prefer the clip in which more cars are passed and the car goes faster.",
    "pong": "You are the green paddle on the right. Prefer the clip in which it returns the ball and scores.",
    "qbert": "Prefer the clip in which more cubes change their colour and Q*bert does not fall.",
    "seaquest": "Prefer the clip in which more enemies are shot, divers are saved and nobody dies.",
    "space-invaders": "Prefer the clip in which more invaders are shot and the cannon lives on.",
}
ROBOTS = {
    "ant": "Prefer the clip in which the ant moves further to the right.",
    "half-cheetah": "Prefer the clip in which the cheetah runs further to the right, on its feet or not.",
    "hopper": "Prefer the clip in which the hopper moves further to the right and stays upright.",
    "inverted-double-pendulum": "Prefer the clip in which both poles stay upright and still.",
    "inverted-pendulum": "Prefer the clip in which the pole stays upright and still.",
    "reacher": "Prefer the clip in which the tip of the arm is nearer to the target.",
    "swimmer": "Prefer the clip in which the swimmer moves further to the right.",
    "walker2d": "Prefer the clip in which the walker moves further to the right and stays upright.",
}
TEXT = """Prefer the response that you would rather have got to this prompt, whoever or whatever wrote it.
Read both to their ends. If both are about equally good, say so; if you cannot tell, say that."""
GENERAL = {
    "pair": """Look at what happens in the clips, not at how the situation was when they began.
If both are about equally good, say so; if you cannot tell, say that: it is never held against anybody.""",
    "ranking": """Put the clips in order: choose the best one, then the best of the others, until one is left.
Look at what happens in the clips, not at how the situation was when they began.
Of two that are about equally good, either may come first.
If you cannot tell, say that: it is never held against anybody.""",
    "like": """Like the clip if it is better than most of what you have seen so far; dislike it otherwise.
Look at what happens in the clip, not at how the situation was when it began.
If you cannot tell, say that: it is never held against anybody.""",
    "rating": """Rate the clip from 1, as bad as anything you expect to see, to 10, as good as anything.
Use the whole scale, and use it alike from the first clip to the last.
Look at what happens in the clip, not at how the situation was when it began.
If you cannot tell, say that: it is never held against anybody.""",
}
"""What is said to all, by what is asked; one paragraph per line."""


@dataclass(frozen=True)
class Instructions:
    """What a labeller reads before the first answer; the version stands beside each answer."""

    version: int
    """Raised by hand with every change of meaning; the page shows a higher one again."""
    text: str
    """One paragraph per line."""


VERSION = 1
"""Of what is said to all; a task's own version comes on top."""
TASK_VERSIONS: dict[str, int] = {}
"""How often a task's own words have changed since they were first shown."""


def instructions_for(task: str, kind: str = "pair") -> Instructions:
    """The instructions of a task, where queries of a kind are asked."""
    version = VERSION + TASK_VERSIONS.get(task, 0)
    if task == TASK:
        return Instructions(version, TEXT)
    particular = (GAMES | ROBOTS).get(task, "Prefer the clip that does better what the agent is to learn.")
    if kind != "pair":
        particular = particular.replace("Prefer the clip", "Better is a clip")
    return Instructions(version, f"{particular}\n{GENERAL[kind]}")


def is_game(task: str) -> bool:
    """Whether clips of a task may flash; tasks that we do not know count as such."""
    return task not in ROBOTS and task != TASK
