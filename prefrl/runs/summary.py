"""What reports and pages say of each group of runs, in numbers."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from prefrl.errors import UsageError
from prefrl.runs.folders import Run
from prefrl.runs.groups import Group
from prefrl.statistics import Interval, bootstrap_interval, normalised_score_interval


@dataclass(frozen=True)
class GroupSummary:
    """One row of the table: a group over its finished seeds; NaN or None where the runs do not say."""

    group: Group
    finished: int
    true_return: Interval | None
    untrained_return: float
    score: Interval | None
    score_note: str
    reward_correlation: float
    labels: float
    skips: float
    steps: float
    steps_per_second: float
    wall_seconds: float
    exact: str
    commits: tuple[str, ...]


def summarise_groups(
    groups: Sequence[Group], *, confidence: float = 0.95, resamples: int = 2000, seed: int = 0
) -> list[GroupSummary]:
    """Every group with its return, its normalised score against its true-reward group, and its cost.

    `seed` draws the bootstrap resamples; every group starts from it anew, so that no row depends on another.
    """
    return [_summarise(group, groups, confidence, resamples, seed) for group in groups]


def _summarise(
    group: Group, groups: Sequence[Group], confidence: float, resamples: int, seed: int
) -> GroupSummary:
    finished = [run for run in group.runs if np.isfinite(run.number("true_return_mean"))]
    returns = [run.number("true_return_mean") for run in finished]
    interval = None
    if returns:
        rng = np.random.default_rng(seed)
        interval = bootstrap_interval(returns, rng=rng, confidence=confidence, resamples=resamples)
    score, note = _score(group, groups, confidence, resamples, seed)
    return GroupSummary(
        group=group,
        finished=len(finished),
        true_return=interval,
        untrained_return=_mean(finished, "untrained_return_mean"),
        score=score,
        score_note=note,
        reward_correlation=_mean(finished, "reward_correlation"),
        labels=_mean(finished, "labels"),
        skips=_mean(finished, "skips"),
        steps=_mean(finished, "steps"),
        steps_per_second=_mean(finished, "steps_per_second"),
        wall_seconds=_mean(finished, "wall_seconds"),
        exact=_exact(finished),
        commits=tuple(dict.fromkeys(run.commit for run in group.runs)),
    )


def _score(
    group: Group, groups: Sequence[Group], confidence: float, resamples: int, seed: int
) -> tuple[Interval | None, str]:
    if group.reward == "true":
        return None, ""
    baselines = [other for other in groups if other.reward == "true" and _comparable(group, other)]
    if not baselines:
        return None, "no true-reward run of the same task, agent and number of steps"
    baseline = max(baselines, key=lambda other: (len(_pairs(group, other)), _settings_shared(group, other)))
    pairs = _pairs(group, baseline)
    if not pairs:
        return None, "no finished seed in common with the true-reward runs"
    learned, untrained, true = zip(*pairs.values(), strict=True)
    try:
        rng = np.random.default_rng(seed)
        interval = normalised_score_interval(
            learned, untrained, true, rng=rng, confidence=confidence, resamples=resamples
        )
    except UsageError as error:
        return None, str(error)
    unpaired = len({run.seed for run in (*group.runs, *baseline.runs)}) - len(pairs)
    seeds = ", ".join(str(seed) for seed in pairs)
    return interval, f"over seeds {seeds} only: the others lack a partner" if unpaired else ""


def _comparable(group: Group, other: Group) -> bool:
    def form(run: Run) -> tuple[str, str, float, str | None]:
        forms = [
            value for key, value in run.settings.items() if key.split(".")[-1] in ("reward_form", "horizon")
        ]
        return run.task, run.agent, run.steps_planned, " ".join(forms)

    return form(group.runs[0]) == form(other.runs[0])


def _pairs(group: Group, baseline: Group) -> dict[int, tuple[float, float, float]]:
    """Seed -> (learned, untrained, true) for the seeds that have all three."""
    trues = {run.seed: run for run in baseline.runs}
    pairs = {}
    for run in group.runs:
        if run.seed in trues:
            partner = trues[run.seed]
            untrained = [each.number("untrained_return_mean") for each in (run, partner)]
            known = [value for value in untrained if np.isfinite(value)]
            row = (
                run.number("true_return_mean"),
                known[0] if known else float("nan"),
                partner.number("true_return_mean"),
            )
            if np.isfinite(row).all():
                pairs[run.seed] = row
    return pairs


def _settings_shared(group: Group, other: Group) -> int:
    mine, theirs = group.runs[0].settings, other.runs[0].settings
    return sum(theirs.get(key) == value for key, value in mine.items())


def _mean(runs: Sequence[Run], key: str) -> float:
    values = [run.number(key) for run in runs if np.isfinite(run.number(key))]
    return float(np.mean(values)) if values else float("nan")


def _exact(runs: Sequence[Run]) -> str:
    answers = {bool(run.summary.get("exact")) for run in runs if run.summary.get("exact") is not None}
    return {0: "", 1: "yes" if answers == {True} else "no"}.get(len(answers), "some")
