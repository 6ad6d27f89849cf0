"""What a scripted person's sitting took, and how their run did beside the oracle's."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean, median
from typing import Any

import numpy as np

from experiments.report_data import read_runs
from experiments.scripted_person import Sitting
from prefrl.errors import UsageError
from prefrl.runs.folders import Run, read_run
from prefrl.statistics import normalised_score

LATE_SHARE = 0.25
"""Agreement is averaged over this share of a run's sessions, the last ones."""
MEASURES = {
    "true_return": ("true return", 1),
    "normalised_score": ("normalised score", 2),
    "agreement": ("agreement", 3),
    "reward_correlation": ("correlation", 3),
}
"""What runs are compared by, with its name and digits for people."""


def figures_of(sitting: Sitting, memory: Sequence[float]) -> dict[str, Any]:
    """Pace, time per answer, latency (also of the presses beside training), and the server's memory.

    Args:
        sitting: of at least one answer.
        memory: of the server in MiB, taken after every answer.
    """
    beside = [press.latency for press in sitting.presses if press.training and press.latency is not None]
    return {
        "answers": len(sitting.presses),
        "minutes": round(sitting.seconds / 60, 2),
        "per_minute": round(sitting.per_minute, 1),
        "seconds_per_answer": round(median(press.seconds for press in sitting.presses), 2),
        "latency_ms": summary_of(sitting.latencies, digits=1),
        "latency_beside_training_ms": summary_of(beside, digits=1),
        "waits_for_a_pair": len(sitting.presses) - 1 - len(sitting.latencies),
        "server_mib": {"first": round(memory[0]), "last": round(memory[-1]), "highest": round(max(memory))},
    }


def summary_of(values: Sequence[float], *, digits: int) -> dict[str, float | int]:
    """Count, median, ninth decile and largest; only the count where there is nothing."""
    if not values:
        return {"count": 0}
    ninth = float(np.quantile(values, 0.9))
    numbers = {"median": median(values), "ninth_decile": ninth, "largest": max(values)}
    return {"count": len(values)} | {name: round(number, digits) for name, number in numbers.items()}


def compare(person: Path, oracle: Sequence[Path], *, baseline: Sequence[Path]) -> dict[str, Any]:
    """The person's run beside the oracle's: each run's measures, and their mean and range over the oracle's.

    Args:
        person: a finished run folder.
        oracle: finished run folders of several seeds.
        baseline: runs on the true reward, whole or condensed; without those of the task there are no
            normalised scores.
    """
    mine = read_run(person)
    paths = [path for path in baseline if path.is_dir()]
    true = [
        run for run in (read_runs(paths) if paths else []) if (run.task, run.reward) == (mine.task, "true")
    ]
    rows = {path.name: measures_of(read_run(path), true) for path in (person, *oracle)}
    names = [path.name for path in oracle]
    spread = {key: _mean_and_range([rows[name][key] for name in names]) for key in MEASURES}
    return {"runs": rows, "oracle": spread, "baseline_runs": len(true)}


def measures_of(run: Run, baseline: Sequence[Run]) -> dict[str, float | None]:
    """True return, score between untrained and baseline, agreement and correlation on fresh segments."""
    true_return, untrained = run.number("true_return_mean"), run.number("untrained_return_mean")
    top = fmean(one.number("true_return_mean") for one in baseline) if baseline else math.nan
    try:
        score = normalised_score([true_return], [untrained], [top])
    except (UsageError, ValueError):
        score = math.nan
    held_out = run.column("agreement")
    held_out = held_out[np.isfinite(held_out)]
    late = held_out[-max(1, math.ceil(LATE_SHARE * len(held_out))) :]
    numbers = {
        "true_return": true_return,
        "normalised_score": score,
        "agreement": float(late.mean()) if len(late) else math.nan,
        "reward_correlation": run.number("reward_correlation"),
    }
    return {name: number if math.isfinite(number) else None for name, number in numbers.items()}


def describe(result: dict[str, Any]) -> str:
    """The result of `prefrl person`, on a few lines."""
    work, comparison = result["labelling"], result["comparison"]
    memory, beside = work["server_mib"], work["latency_beside_training_ms"]
    lines = [
        f"{work['answers']} answers in {work['minutes']} minutes: {work['per_minute']} per minute, "
        f"{work['seconds_per_answer']} s each at the median",
        f"key to next frame: {_words(work['latency_ms'])}; beside training: {_words(beside)}; "
        f"no pair was ready {work['waits_for_a_pair']} times",
        f"server: {memory['first']} MiB at first, {memory['last']} at the end, {memory['highest']} at most",
        *(result["problems"] or ["every answer was stored once, as it was meant"]),
    ]
    for name, row in comparison["runs"].items():
        found = [
            f"{words} {row[key]:.{digits}f}"
            for key, (words, digits) in MEASURES.items()
            if row[key] is not None
        ]
        lines.append(f"{name}: {', '.join(found)}")
    return "\n".join(lines)


def _words(latency: dict[str, float]) -> str:
    if not latency["count"]:
        return "nothing to measure"
    return (
        f"{latency['median']} ms at the median of {latency['count']}, {latency['ninth_decile']} for 9 of 10"
    )


def _mean_and_range(values: Sequence[float | None]) -> list[float] | None:
    known = [value for value in values if value is not None]
    return [fmean(known), min(known), max(known)] if known else None
