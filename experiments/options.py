"""Options of a command: tyro reads them into frozen dataclasses; what is wrong with them becomes one line."""

from __future__ import annotations

import io
from collections.abc import Sequence
from contextlib import redirect_stderr
from typing import TypeVar

import tyro

from prefrl.errors import UsageError

Options = TypeVar("Options")

_FRAME = "│╭╮╰╯ "


def parse_options(
    kind: type[Options], args: Sequence[str], *, command: str, default: Options | None = None
) -> Options:
    """The options of ``prefrl COMMAND`` that ``args`` give, on top of a default.

    Raises:
        UsageError: an unknown option or a value of the wrong kind; the message names it.
        SystemExit: ``--help`` was asked for and printed.
    """
    on_top_of = tyro.MISSING_NONPROP if default is None else default
    said = io.StringIO()
    try:
        with redirect_stderr(said):
            return tyro.cli(kind, args=args, prog=f"prefrl {command}", default=on_top_of)
    except SystemExit as stop:
        if not stop.code:
            raise
        raise UsageError(f"{_first_paragraph(said.getvalue())}; see prefrl {command} --help") from None


def value_after(flag: str, args: Sequence[str]) -> str | None:
    """What follows a flag, as ``--flag value`` or ``--flag=value``; None where it is not given."""
    for index, arg in enumerate(args):
        if arg == flag and index + 1 < len(args):
            return args[index + 1]
        if arg.startswith(flag + "="):
            return arg.removeprefix(flag + "=")
    return None


def _first_paragraph(box: str) -> str:
    """What tyro says in its box, up to the first rule: the sentence without the page of help below it."""
    words: list[str] = []
    for line in box.splitlines():
        inside = line.strip(_FRAME)
        if line.startswith("╭"):
            continue
        if not inside.strip("─"):
            break
        words.append(inside)
    return " ".join(words).rstrip(".") or "the options cannot be read"
