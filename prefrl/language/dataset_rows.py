"""The parts of a row of a data set of texts: which format it is of, its lists, a prompt left implicit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from prefrl.errors import UsageError
from prefrl.feedback_checks import shortened
from prefrl.texts.text_records import Messages, check_filled, check_response, take_field

Format = Literal["prompt", "prompt_completion", "preference", "unpaired", "ranking", "stepwise"]
SIDES = ("chosen", "rejected")


def format_of(row: Mapping[str, Any]) -> Format:
    """The format that a row's fields are of.

    Raises:
        UsageError: of none.
    """
    if "chosen" in row or "rejected" in row:
        return "preference"
    if "completions" in row:
        return "stepwise" if "labels" in row else "ranking"
    if "completion" in row:
        return "unpaired" if "label" in row else "prompt_completion"
    if "prompt" in row:
        return "prompt"
    raise UsageError(
        f"has the fields {', '.join(map(str, row)) or 'none'}: give 'prompt'; with 'completion', and 'label';"
        " with 'chosen' and 'rejected'; or with 'completions', and 'ranking' or 'labels'"
    )


def take_list(row: Mapping[str, Any], name: str) -> list[Any]:
    """A field that is a list with something in it.

    Raises:
        UsageError: it is missing, empty, or something else.
    """
    value = take_field(row, name)
    if not isinstance(value, list | tuple) or not value:
        raise UsageError(f"'{name}' is {shortened(value)}: give a list")
    return list(value)


def implicit_prompt(chosen: str | Messages, rejected: str | Messages) -> tuple[str | Messages, list[str]]:
    """The prompt that both sides begin with, and what is left of each.

    Of strings the longest common beginning, less a last space (which then begins the completions), as in TRL;
    of conversations all messages but the last.

    Raises:
        UsageError: they have no such beginning, or one is a text and the other a conversation.
    """
    if isinstance(chosen, str) and isinstance(rejected, str):
        differ = (place for place, (a, b) in enumerate(zip(chosen, rejected, strict=False)) if a != b)
        prompt = chosen[: next(differ, min(len(chosen), len(rejected)))].removesuffix(" ")
        if not prompt.strip():
            raise UsageError("has no 'prompt', and 'chosen' and 'rejected' do not begin alike: give it")
        return prompt, [
            check_filled(side[len(prompt) :], name)
            for side, name in zip((chosen, rejected), SIDES, strict=True)
        ]
    if isinstance(chosen, str) or isinstance(rejected, str):
        raise UsageError("has a text and a conversation as 'chosen' and 'rejected': give two of a kind")
    if len(chosen) < 2 or chosen[:-1] != rejected[:-1]:
        raise UsageError("has no 'prompt', and its conversations differ before their last message: give it")
    return chosen[:-1], [
        check_response(side, name)[1] for side, name in zip((chosen, rejected), SIDES, strict=True)
    ]
