"""What benchmarks measure: samples of contenders taken in turn, their table, and the lines that are kept."""

from __future__ import annotations

import datetime
import json
import os
import platform
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean, median
from typing import Any

from experiments.report_tables import text_table
from prefrl.errors import UsageError
from prefrl.files import explained_disk_errors, mend_lines
from prefrl.runs.provenance import provenance

HEADER = ["benchmark", "contender", "steps/s", "PrefRL is", "last time", "return", "fitting"]
HEADER += ["steps", "labels", "seeds"]
Ratios = dict[tuple[str, str], float]
"""Our rate over another contender's, by benchmark and contender."""
BUSY_LOAD = 0.5
"""Other processes per core above which timings mean little."""


@dataclass(frozen=True)
class Sample:
    """One timed run of one contender."""

    steps: int
    """Agent steps of whatever purpose."""
    seconds: float
    seed: int = 0
    labels: int | None = None
    true_return: float | None = None
    """Mean over fresh episodes of the final policy."""
    learned_steps: int | None = None
    """Steps that the policy learned from, where they are fewer."""
    fitting_share: float | None = None
    """Share of the seconds that went into fitting rewards, in [0, 1]."""

    @property
    def rate(self) -> float:
        """Steps per second."""
        return self.steps / self.seconds


@dataclass(frozen=True)
class Bench:
    """One comparison: ``samples`` of each contender, ours first."""

    name: str
    samples: dict[str, list[Sample]]
    settings: dict[str, Any]
    missing: dict[str, str] = field(default_factory=dict)
    """Contenders that could not run, and why."""

    def rate(self, contender: str) -> float:
        """Median steps per second."""
        return median(sample.rate for sample in self.samples[contender])

    def ratios(self) -> dict[str, float]:
        """Our median rate over each other contender's."""
        ours, *others = self.samples
        return {other: self.rate(ours) / self.rate(other) for other in others}


def alternate(
    contenders: Mapping[str, Callable[[int], Sample]], seeds: Sequence[int], *, say: Callable[[str], None]
) -> dict[str, list[Sample]]:
    """Runs every contender once per seed, in turn (A B A B): a drift of the machine meets all alike."""
    samples: dict[str, list[Sample]] = {name: [] for name in contenders}
    for seed in seeds:
        for name, run in contenders.items():
            sample = run(seed)
            samples[name].append(sample)
            say(f"  {name}, seed {seed}: {sample.rate:,.0f} steps/s, {sample.seconds:.1f} s")
    return samples


def table(benches: Iterable[Bench], last: Ratios) -> str:
    """One line per contender; ``last`` holds earlier ratios by benchmark and contender."""
    rows = []
    for bench in benches:
        ratios = bench.ratios()
        for name, samples in bench.samples.items():
            before = last.get((bench.name, name)) if name in ratios else None
            rows.append(
                [
                    bench.name,
                    name,
                    f"{bench.rate(name):,.0f}",
                    f"{ratios[name]:.2f}x" if name in ratios else "",
                    "" if before is None else f"{before:.2f}x",
                    _spread([s.true_return for s in samples]),
                    _share([s.fitting_share for s in samples]),
                    f"{round(median(s.steps for s in samples)):,}",
                    "" if samples[0].labels is None else str(samples[0].labels),
                    " ".join(str(s.seed) for s in samples),
                ]
            )
        rows += [[bench.name, name, "did not run", *[""] * (len(HEADER) - 3)] for name in bench.missing]
    return text_table(HEADER, rows, words=2)


def record(benches: Sequence[Bench], machine: Mapping[str, Any]) -> dict[str, Any]:
    """What is kept of a run of the command: one small JSON object."""
    figures = [
        {
            "bench": bench.name,
            "settings": bench.settings,
            "contenders": {name: _figures(samples) for name, samples in bench.samples.items()},
            "ratios": {name: round(ratio, 3) for name, ratio in bench.ratios().items()},
            "missing": bench.missing,
        }
        for bench in benches
    ]
    return stamped(figures, machine)


def stamped(benches: Sequence[Mapping[str, Any]], machine: Mapping[str, Any]) -> dict[str, Any]:
    """Figures of benchmarks with the time and the machine: the line that is kept."""
    now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    return {"time": now, **machine, "benches": list(benches)}


def append(line: Mapping[str, Any], file: Path) -> None:
    """Appends one line of JSON, after cutting off what a crash left half-written.

    Raises:
        UsageError: the disk refuses.
    """
    with explained_disk_errors(f"write {file}"):
        file.parent.mkdir(parents=True, exist_ok=True)
        if file.exists():
            mend_lines(file)
        with file.open("a", encoding="utf-8") as out:
            out.write(json.dumps(line, separators=(",", ":")) + "\n")


def last_ratios(file: Path, machine: Mapping[str, Any], benches: Iterable[Bench]) -> Ratios:
    """The newest kept ratio of each benchmark and contender, from equal settings on an equal machine.

    Raises:
        UsageError: the file holds something else.
    """
    if not file.exists():
        return {}
    settings = {bench.name: _plain(bench.settings) for bench in benches}
    found = {}
    try:
        for line in map(json.loads, file.read_text(encoding="utf-8").splitlines()):
            if (line["processor"], line["cores"]) != (machine["processor"], machine["cores"]):
                continue
            for kept in line["benches"]:
                if settings.get(kept["bench"]) == kept["settings"]:
                    found.update({(kept["bench"], name): ratio for name, ratio in kept["ratios"].items()})
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UsageError(f"{file} holds no benchmarks ({error!r}): name another with --results") from error
    return found


def this_machine() -> dict[str, Any]:
    """Processor, usable cores, load of the last minute, commit and versions."""
    origin = provenance()
    return {
        "processor": processor_name(),
        "cores": origin["cores"],
        "load": round(os.getloadavg()[0], 2),
        "python": origin["python"],
        "commit": origin["commit"],
        "versions": origin["versions"],
    }


def describe(machine: Mapping[str, Any]) -> str:
    """The machine and the versions, for people."""
    versions = ", ".join(f"{name} {version}" for name, version in machine["versions"].items())
    place = f"{machine['processor']}, {machine['cores']} cores, load {machine['load']}"
    return f"{place}, commit {machine['commit']}\nPython {machine['python']}, {versions}"


def is_busy(machine: Mapping[str, Any]) -> bool:
    """Whether other processes would slow the measurements."""
    return bool(machine["load"] > BUSY_LOAD * machine["cores"])


def processor_name(cpuinfo: Path = Path("/proc/cpuinfo")) -> str:
    """The processor's name where the system tells it, else its architecture."""
    try:
        names = [line for line in cpuinfo.read_text().splitlines() if line.startswith("model name")]
    except OSError:
        names = []
    return names[0].partition(":")[2].strip() if names else platform.machine()


def _figures(samples: Sequence[Sample]) -> dict[str, Any]:
    figures: dict[str, Any] = {
        "steps_per_second": [round(s.rate, 1) for s in samples],
        "steps": [s.steps for s in samples],
        "seeds": [s.seed for s in samples],
        "labels": samples[0].labels,
        "returns": [None if s.true_return is None else round(s.true_return, 1) for s in samples],
        "fitting_share": [None if s.fitting_share is None else round(s.fitting_share, 4) for s in samples],
        "learned_steps": [s.learned_steps for s in samples],
    }
    nothing = (None, [None] * len(samples))
    return {name: value for name, value in figures.items() if value not in nothing}


def _spread(values: Sequence[float | None]) -> str:
    known = [value for value in values if value is not None]
    if not known:
        return ""
    mean, low, high = (f"{round(value):,}" for value in (fmean(known), min(known), max(known)))
    return f"{mean} ({low} to {high})" if len(known) > 1 else mean


def _share(values: Sequence[float | None]) -> str:
    known = [value for value in values if value is not None]
    return f"{100 * median(known):.1f}%" if known else ""


def _plain(settings: Mapping[str, Any]) -> Any:
    return json.loads(json.dumps(settings))
