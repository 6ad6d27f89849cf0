"""The command line: ``prefrl COMMAND``; each command lives in a file of its own, imported when called."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Sequence

COMMANDS: dict[str, tuple[str, str]] = {
    "train": ("experiments.train", "train an agent from comparisons, or on the true reward"),
    "language": ("experiments.language", "train a language model on a task: language train TASK"),
    "evaluate": ("experiments.evaluate", "play fresh episodes with a run's policy"),
    "render": ("experiments.render", "videos of a run's policy, before and after training"),
    "report": ("experiments.report", "compare runs: curves, table and clips in one HTML file"),
    "label": ("experiments.label", "label in the browser, watch runs"),
    "access": ("experiments.access", "codes for those who use the app from other machines"),
    "answer": ("experiments.answer", "answer a run's open queries in the terminal"),
    "clips": ("experiments.clip_worker", "draw the clips of open queries, until stopped"),
    "text": ("experiments.text", "collect texts of language models to compare"),
    "text-fit": ("experiments.text_fit", "fit a small reward to what people said about texts"),
    "text-bias": ("experiments.text_bias", "plant a bias for length, and see whether it is found"),
    "fit": ("experiments.fit", "fit a reward model to a run's stored answers"),
    "data": ("experiments.data", "a run's answers: export, import, check, back up, rebuild"),
    "tasks": ("experiments.tasks", "the tasks known by name, and their budgets"),
    "doctor": ("experiments.doctor", "what this machine can do, and what to fix"),
    "clean": ("experiments.clean", "disk use of runs, and what can be deleted"),
    "demo": ("experiments.demo", "half-cheetah from 700 comparisons beside the true reward"),
    "crash": ("experiments.crash", "kill a run ten times, resume it, compare its figures"),
    "person": ("experiments.person", "a scripted person labels in a real browser, beside the oracle"),
    "hack": ("experiments.hack", "whether the alarm for reward hacking rings in time, and only then"),
    "bench": ("experiments.bench", "steps per second, beside other libraries"),
    "soak": ("experiments.soak", "label for an hour: does the memory of server and browser stay flat"),
    "tour": ("experiments.tour", "pictures of every page of the app"),
    "bench-app": ("experiments.bench_app", "the browser app: key to next pair, every page on every store"),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command and returns its exit code: 0 done, 2 a mistake in the input, 130 interrupted."""
    args = list(sys.argv[1:] if arguments is None else arguments)
    if not args or args[0] in ("-h", "--help"):
        print(usage())
        return 0
    if args[0] == "--version":
        from prefrl import __version__

        print(f"prefrl {__version__}")
        return 0
    if args[0] not in COMMANDS:
        return fail(f"unknown command {args[0]!r}: choose from {', '.join(COMMANDS)}")
    return run_command(args[0], args[1:])


def run_command(name: str, args: list[str]) -> int:
    """Imports the command's module and calls its ``main``; user errors become one line."""
    from envs.errors import WorldError
    from prefrl.errors import UsageError

    # Waiting OpenMP threads otherwise spin on the cores that the simulators need.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    try:
        command = importlib.import_module(COMMANDS[name][0])
        code: int = command.main(args)
        sys.stdout.flush()
        return code
    except (UsageError, WorldError, FloatingPointError) as error:
        return fail(str(error))
    except KeyboardInterrupt:
        print("prefrl: interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115 - nobody reads on; leave quietly
        return 0


def fail(message: str) -> int:
    """One line on stderr and exit code 2."""
    print(f"prefrl: {' '.join(message.split())}", file=sys.stderr)
    return 2


def usage() -> str:
    """The list of commands."""
    lines = [f"  {name:10} {summary}" for name, (_, summary) in COMMANDS.items()]
    about = "Learn from preferences: compare clips, learn a reward, train on it."
    head = f"usage: prefrl COMMAND [options]\n\n{about}\n"
    return "\n".join([head, *lines, "", "prefrl COMMAND --help lists a command's options."])


if __name__ == "__main__":
    sys.exit(main())
