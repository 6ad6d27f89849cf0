"""What the folder of a run is called when nobody chose a name."""

from __future__ import annotations


def run_folder_name(*, task: str, reward: str, teacher: str, labels: int, agent: str, seed: int) -> str:
    """``TASK-REWARD-...-sSEED``: equal for runs that have these the same."""
    parts = [task.replace("/", "_"), reward]
    if reward == "learned":
        parts += [teacher, str(labels)]
    if agent != "ppo":
        parts.append(agent)
    return "-".join([*parts, f"s{seed}"])
