"""``prefrl fit RUN``: a reward fitted once more to all of a run's stored answers, without its world."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from experiments.options import parse_options
from prefrl.errors import UsageError

if TYPE_CHECKING:
    from prefrl.calibration import Calibration
    from prefrl.control.config import RewardConfig
    from prefrl.control.offline import OfflineFit, OfflineReport


@dataclass(frozen=True)
class FitOptions:
    """Fit a reward model to a run's stored answers, and say how far it can be believed."""

    run: Annotated[Path, tyro.conf.Positional]
    """The run folder: its feedback.sqlite and segments/ are read."""
    out: Path | None = None
    """A file to save the model to; by default nothing is saved."""
    seed: int = 0
    """Of the first parameters, the bootstrap and the order of minibatches."""
    max_epochs: int = 500
    """Passes over the answers at most."""
    max_gradient_steps: int = 5000
    """Gradient steps at most."""
    patience_epochs: int = 10
    """Stop when the out-of-bag loss has not improved for so many passes."""
    device: str = "auto"
    """Where to fit: auto, cpu, cuda, cuda:1, ..."""
    json: bool = False
    """Print one JSON object instead of a table."""


def main(args: list[str]) -> int:
    return run_fit(parse_options(FitOptions, args, command="fit"))


def run_fit(options: FitOptions) -> int:
    """Fits, prints the report, says where the model is; returns the exit code 0.

    Raises:
        UsageError: no run there, no usable answers, a segment that is missing, a full disk.
        FloatingPointError: the fit has diverged.
    """
    from prefrl.control.run_settings import load_config

    settings = load_config(options.run)
    if settings.reward != "learned":
        raise UsageError(f"{options.run} learns from the {settings.reward} reward: it has no answers")
    fit = replace(
        settings.reward_model.fit,
        max_epochs=options.max_epochs,
        first_gradient_steps=options.max_gradient_steps,
        patience_epochs=options.patience_epochs,
    )
    report = _fit(options, replace(settings.reward_model, fit=fit)).report
    print(json.dumps(as_plain(report)) if options.json else describe(report))
    if options.out is not None:
        print(f"reward model: {options.out}", file=sys.stderr if options.json else sys.stdout)
    return 0


def _fit(options: FitOptions, config: RewardConfig) -> OfflineFit:
    """With a progress bar of gradient steps on stderr."""
    from tqdm import tqdm

    from prefrl.control.offline import fit_reward_offline

    with tqdm(total=options.max_gradient_steps, unit="step", desc="fit", file=sys.stderr) as bar:

        def show(steps: int, train_loss: float, log_loss: float) -> None:
            bar.set_postfix({"train": f"{train_loss:.3f}", "out of bag": f"{log_loss:.3f}"}, refresh=False)
            bar.update(steps - bar.n)

        return fit_reward_offline(
            options.run / "feedback.sqlite",
            options.run / "segments",
            config=config,
            seed=options.seed,
            out=options.out,
            device=options.device,
            on_epoch=show,
        )


def describe(report: OfflineReport) -> str:
    """The report as a page of text."""
    apart = [f"{report.skips} skips"] if report.skips else []
    apart += [f"{report.ignored} that check labellers or came late"] if report.ignored else []
    apart += [f"{report.left_out} of labellers with weight 0"] if report.left_out else []
    rows = [
        ("labels", f"{report.labels}" + (f" ({', '.join(apart)} left out)" if apart else "")),
        ("segments", f"{report.segments}"),
        ("fit", f"{report.gradient_steps} gradient steps, {report.epochs} epochs"),
        ("training loss", f"{report.train_loss:.4f} nats per answer"),
        ("out-of-bag loss", f"{report.log_loss:.4f}  (guessing: {report.guess_loss:.4f})"),
        ("entropy floor", f"{report.entropy_floor:.4f}  (no model can do better on these answers)"),
        ("agreement", _agreement(report.agreement)),
        ("calibration", f"{report.calibration.expected_error:.3f} expected error"),
    ]
    lines = [f"{name:<16} {value}" for name, value in rows]
    return "\n".join([*lines, *_calibration_table(report.calibration)])


def _agreement(share: float | None) -> str:
    if share is None:
        return "unknown: nothing was compared"
    return f"{share:.1%} of out-of-bag comparisons predicted right"


def _calibration_table(table: Calibration) -> list[str]:
    """One line per bin that is not empty: what was predicted, what was answered."""
    lines = ["  predicted  answered  answers"]
    columns = zip(
        table.mean_probability.tolist(), table.mean_outcome.tolist(), table.count.tolist(), strict=True
    )
    lines += [f"  {said:9.2f}  {happened:8.2f}  {count:7d}" for said, happened, count in columns if count]
    return lines


def as_plain(report: OfflineReport) -> dict[str, object]:
    """The report as JSON has it."""
    figures = {name: getattr(report, name) for name in report.__dataclass_fields__ if name != "calibration"}
    return figures | {"calibration_error": report.calibration.expected_error}
