"""Runs gathered into experiments: everything alike but the seed."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from prefrl.runs.folders import Run


@dataclass(frozen=True)
class Group:
    """Runs that differ in their seed only; `variant` says what else sets them apart."""

    task: str
    reward: str
    teacher: str
    labels: int
    agent: str
    variant: str
    runs: tuple[Run, ...]

    @property
    def method(self) -> tuple[str, str, str, int, str]:
        """Everything but the task and the seeds: the same method has the same colour on every task."""
        return self.reward, self.agent, self.teacher, self.labels, self.variant

    @property
    def label(self) -> str:
        """The method in words."""
        source = (
            f"{self.labels:,} {self.teacher} labels" if self.reward == "learned" else f"{self.reward} reward"
        )
        words = f"{source}, {self.agent}"
        return f"{words} ({self.variant})" if self.variant else words


def group_runs(runs: Iterable[Run]) -> tuple[list[Group], list[str]]:
    """Groups by task, reward, teacher, labels, agent and any other differing setting; notes on runs left out.

    Of two runs of the same seed and settings only the one that went further counts: a mean over seeds must
    not count a seed twice.
    """
    alike: dict[tuple[str, str, str, int, str], list[Run]] = {}
    for run in runs:
        alike.setdefault((run.task, run.reward, run.teacher, run.labels, run.agent), []).append(run)
    groups: list[Group] = []
    notes: list[str] = []
    for (task, reward, teacher, labels, agent), members in alike.items():
        differing = _differing([run.settings for run in members])
        variants: dict[str, list[Run]] = {}
        for run in members:
            name = ", ".join(f"{key} {run.settings.get(key, 'unset')}" for key in differing)
            variants.setdefault(name, []).append(run)
        for variant, same in variants.items():
            kept, dropped = _one_per_seed(same)
            groups.append(Group(task, reward, teacher, labels, agent, variant, tuple(kept)))
            notes += dropped
    order = {"true": 0, "learned": 1}
    groups.sort(
        key=lambda group: (group.task, order.get(group.reward, 2), group.agent, group.labels, group.label)
    )
    return groups, notes


def _differing(settings: Sequence[Mapping[str, str]]) -> list[str]:
    keys = dict.fromkeys(key for each in settings for key in each)
    return [key for key in keys if len({each.get(key) for each in settings}) > 1]


def _one_per_seed(runs: Sequence[Run]) -> tuple[list[Run], list[str]]:
    kept: dict[int, Run] = {}
    notes = []
    for run in sorted(runs, key=lambda run: (not run.finished, -run.steps)):
        if run.seed in kept:
            notes.append(
                f"{run.path} is left out: same settings and seed as {kept[run.seed].path}, which went further"
            )
        else:
            kept[run.seed] = run
    return [kept[seed] for seed in sorted(kept)], notes
