"""``prefrl demo``: half-cheetah from 700 synthetic comparisons, beside the same agent on the true reward."""

from __future__ import annotations

import shutil
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from experiments.options import parse_options
from experiments.presets import preset
from experiments.train import describe, train_task
from prefrl.errors import UsageError


@dataclass(frozen=True)
class DemoConfig:
    """Train on comparisons and on the true reward, then compare the two."""

    task: str = "half-cheetah"
    """A task of ours, an ALE game, or a Gymnasium id."""
    labels: int = 700
    """Synthetic comparisons."""
    steps: int = 500_000
    """Agent steps of each of the two runs."""
    seed: int = 0
    """Seed of both runs."""
    run: Path = Path("runs/demo")
    """Folder for both runs and the report; an earlier demo there is continued or replaced."""
    clips: bool = True
    """Film the policies before and after training for the report."""
    serve: bool = True
    """Serve the app afterwards, where there is a terminal to stop it from."""


def main(args: list[str]) -> int:
    return run_demo(parse_options(DemoConfig, args, command="demo"))


def run_demo(config: DemoConfig) -> int:
    """Trains both, prints the comparison and the report's path; returns the exit code 0."""
    settings = replace(preset(config.task), steps=config.steps, labels=config.labels, seed=config.seed)
    print(f"1/2 {config.task} from {config.labels} comparisons by a synthetic teacher", file=sys.stderr)
    learned = _train(replace(settings, reward="learned"), config.run / "learned")
    print(f"2/2 {config.task} on the true reward", file=sys.stderr)
    true = _train(replace(settings, reward="true"), config.run / "true")
    if config.clips:
        _film(config.run)
    report = _report(config.run)
    print()
    for summary in (learned, true):
        print(describe(summary))
    print(f"normalised score {_score(learned, true)}  (0: untrained, 1: as good as on the true reward)")
    print(f"report: {report}")
    if config.serve and sys.stdin.isatty() and sys.stdout.isatty():
        from experiments.label import LabelConfig, run_label

        return run_label(LabelConfig(config.run.parent))
    return 0


def _train(settings: Any, folder: Path) -> dict[str, Any]:
    """A finished run with the same settings is used as it is, a half-finished one is continued."""
    from prefrl.control.run_settings import check_same_settings

    resume = (folder / "config.json").exists()
    if resume:
        try:
            check_same_settings(folder, settings)
        except UsageError:
            shutil.rmtree(folder)
            resume = False
    return train_task(settings, folder, resume=resume)


def _film(folder: Path) -> None:
    from envs.errors import WorldError
    from experiments.render import RenderConfig, run_render

    for name in ("learned", "true"):
        try:
            run_render(RenderConfig(folder / name))
        except (WorldError, UsageError) as error:
            print(f"no clips: {error}", file=sys.stderr)
            return


def _report(folder: Path) -> Path:
    from experiments.report import ReportConfig, run_report

    out = folder / "report.html"
    run_report(ReportConfig(runs=(folder / "learned", folder / "true"), out=out))
    return out


def _score(learned: dict[str, Any], true: dict[str, Any]) -> str:
    from prefrl.statistics import normalised_score

    try:
        score = normalised_score(
            [learned["true_return_mean"]], [true["untrained_return_mean"]], [true["true_return_mean"]]
        )
    except UsageError as error:
        return f"undefined: {error}"
    return f"{score:.2f}"
