"""``prefrl language train TASK --algorithm X``: one run of the language track in one folder."""

from __future__ import annotations

import dataclasses
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, get_args

import tyro

from experiments.language_presets import language_preset
from experiments.options import parse_options, value_after
from prefrl.errors import UsageError
from prefrl.language.config import Algorithm, LanguageConfig

USAGE = "usage: prefrl language train TASK --algorithm X [--seed S] [--run DIR] [--resume]; see its --help"


@dataclass(frozen=True)
class LanguageOptions(LanguageConfig):
    """Warm-start a language model on a task, then improve it."""

    task: Annotated[str, tyro.conf.Positional] = "addition"
    """addition, walks, reviews, word-problems, or your own as my.module:MyTask."""
    run: Path | None = None
    """The run folder; by default a folder in runs/ named after the settings."""
    resume: bool = False
    """Continue the run in --run from its newest checkpoint, with its own settings."""


def main(args: list[str]) -> int:
    """Trains, prints the summary and where it is."""
    if not args or args[0] != "train":
        if args and args[0] in ("-h", "--help"):
            print(USAGE)
            return 0
        raise UsageError(USAGE)
    options = parse(args[1:])
    folder = options.run or default_folder(options)
    print(describe(train_language(settings_of(options), folder, resume=options.resume)))
    print(f"run folder: {folder}")
    return 0


def parse(args: list[str]) -> LanguageOptions:
    """Options on top of the preset of task and algorithm, or of what a resumed run was started with."""
    named = bool(args) and not args[0].startswith("-")
    if "--resume" in args and (folder := value_after("--run", args)) is not None:
        from prefrl.language.training import load_language_config

        base = load_language_config(folder)
        args = args if named else [base.task, *args]
    else:
        algorithm = value_after("--algorithm", args) or "grpo"
        if algorithm not in get_args(Algorithm):
            raise UsageError(
                f"there is no algorithm {algorithm!r}: choose from {', '.join(get_args(Algorithm))}"
            )
        base = language_preset(args[0] if named else "addition", algorithm)  # type: ignore[arg-type]
    values = {field.name: getattr(base, field.name) for field in dataclasses.fields(base)}
    return parse_options(LanguageOptions, args, command="language train", default=LanguageOptions(**values))


def settings_of(options: LanguageOptions) -> LanguageConfig:
    """The run's settings without those of the command."""
    return LanguageConfig(
        **{field.name: getattr(options, field.name) for field in dataclasses.fields(LanguageConfig)}
    )


def default_folder(config: LanguageConfig) -> Path:
    """``runs/TASK-ALGORITHM-REWARD-sSEED``: two runs with these the same share it; the second is refused."""
    task = config.task.replace(":", "_").replace("/", "_")
    return Path("runs") / f"{task}-{config.algorithm}-{config.reward}-s{config.seed}"


def train_language(
    config: LanguageConfig, folder: Path, *, resume: bool = False, quiet: bool = False
) -> dict[str, Any]:
    """One run with a progress bar on stderr.

    Raises:
        UsageError: bad settings or folder, a full disk; also when the run was stopped (it is saved).
    """
    from prefrl.language.training import Interrupted, train_text

    if config.asks and config.teacher == "human" and not quiet:
        print(f"label it in the browser with: prefrl label {folder}", file=sys.stderr)
    with LanguageBar(config, quiet=quiet) as bar:
        try:
            return train_text(config, folder, resume=resume, watch=bar.update)
        except Interrupted as stop:
            raise UsageError(str(stop)) from stop


SHOWN = {
    "gold": "gold",
    "true_return": "true",
    "learned_return": "learned",
    "labels": "labels",
    "agreement": "agreement",
    "implicit_agreement": "agreement",
    "kl_per_sequence": "kl",
}
"""Columns of the metrics that the progress bar shows, and what it calls them."""


class LanguageBar:
    """Texts, texts per second, gold and learned score on one line."""

    def __init__(self, config: LanguageConfig, *, quiet: bool = False) -> None:
        self.config, self.quiet = config, quiet
        self.bar: Any = None
        self.shown: dict[str, str] = {}

    def __enter__(self) -> LanguageBar:
        return self

    def __exit__(self, *_: object) -> None:
        if self.bar is not None:
            self.bar.close()

    def update(self, row: dict[str, Any]) -> None:
        """Takes in one row of metrics; the first one opens the bar, so that a run that cannot be has none."""
        from tqdm import tqdm

        if self.bar is None:
            name = f"{self.config.task} {self.config.algorithm} s{self.config.seed}"
            options = {"unit": "text", "unit_scale": True, "disable": self.quiet, "file": sys.stderr}
            self.bar = tqdm(desc=name, total=self.config.warm_start.steps + self.config.steps, **options)
        self.shown |= {label: f"{row[key]:.3g}" for key, label in SHOWN.items() if row.get(key) is not None}
        self.shown.pop("waiting for", None)
        if "waiting" in row:
            self.shown["waiting for"] = row["waiting"]
        self.bar.set_postfix(self.shown, refresh=False)
        self.bar.update(row.get("step", self.bar.n) - self.bar.n)


def describe(summary: dict[str, Any]) -> str:
    """The summary's figures on one line."""
    asked = f", {summary['labels']} labels" if summary["labels"] else ""
    moved = f", KL {summary['kl']:.2f} nats" if summary["kl"] is not None else ""
    return (
        f"{summary['task']} by {summary['algorithm']}: gold {summary['gold_before']:.3f} -> "
        f"{summary['gold_after']:.3f} (sampled {summary['gold_sampled_before']:.3f} -> "
        f"{summary['gold_sampled_after']:.3f}){moved}{asked}, {summary['wall_seconds']:.0f} s"
    )
