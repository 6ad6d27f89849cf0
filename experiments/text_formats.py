"""Files of prompts and responses, as public data sets have them, read line by line.

One JSON object per line; keys that are not named here are left alone:

    {"prompt": P, "responses": [R, R, ...]}  with "models": [name, ...]
    {"prompt": P, "response_a": R, "response_b": R} with "model_a" and "model_b"
    {"prompt": P, "chosen": R, "rejected": R}       "prompt" may be left out where R are conversations

P and R are texts or lists of messages ({"role": ..., "content": ...}), of which a response is the last.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from prefrl.errors import UsageError
from prefrl.feedback_checks import check_name, shortened
from prefrl.texts.text_records import (
    check_filled,
    check_response,
    prompt_text,
    read_lines,
    read_records,
    take_conversation,
    take_field,
)

MOST_RESPONSES = 5


@dataclass(frozen=True)
class ResponseGroup:
    """What several writers made of one prompt."""

    prompt: str
    texts: tuple[str, ...]
    models: tuple[str | None, ...]


def read_groups(path: Path) -> list[ResponseGroup]:
    """The prompts with their responses in a JSONL file.

    Raises:
        UsageError: no such file, nothing in it, or a line that is not as above (line and field are named).
    """
    groups = []
    for where, record in read_records(path):
        try:
            groups.append(_group(record))
        except UsageError as error:
            raise UsageError(f"{where}: {error}") from error
    if not groups:
        raise UsageError(f"{path} is empty: give one JSON object per line, with a prompt and two responses")
    return groups


def read_prompts(path: Path) -> list[str | list[dict[str, str]]]:
    """Prompts to be answered, each a text or a list of messages: a JSONL file, or else a text per line.

    Raises:
        UsageError: as ``read_groups``.
    """
    if path.suffix == ".jsonl":
        prompts = []
        for where, record in read_records(path):
            try:
                prompts.append(take_conversation(record, "prompt"))
            except UsageError as error:
                raise UsageError(f"{where}: {error}") from error
    else:
        prompts = [check_filled(line.strip(), where) for where, line in read_lines(path)]
    if not prompts:
        raise UsageError(f"{path} is empty: give one prompt per line")
    return prompts


def _group(record: dict[str, Any]) -> ResponseGroup:
    if "responses" in record:
        values, models = _listed(record)
    elif "response_a" in record or "response_b" in record:
        values = {name: take_field(record, name) for name in ("response_a", "response_b")}
        models = [record.get("model_a"), record.get("model_b")]
    elif "chosen" in record or "rejected" in record:
        values, models = {name: take_field(record, name) for name in ("chosen", "rejected")}, [None, None]
    else:
        raise UsageError("has no 'responses', no 'response_a' and 'response_b', no 'chosen' and 'rejected'")
    for model in models:
        if model is not None:
            check_name("the name of a model", model)
    sides = [check_response(value, name) for name, value in values.items()]
    prompt = _prompt(record, [before for before, _ in sides])
    return ResponseGroup(prompt, tuple(text for _, text in sides), tuple(models))


def _listed(record: dict[str, Any]) -> tuple[dict[str, Any], list[Any]]:
    values = record["responses"]
    if not isinstance(values, list) or not 2 <= len(values) <= MOST_RESPONSES:
        raise UsageError(f"'responses' is {shortened(values)}: give a list of 2 to {MOST_RESPONSES}")
    models = record.get("models", [None] * len(values))
    if not isinstance(models, list) or len(models) != len(values):
        raise UsageError(f"'models' is {shortened(models)}: give one name for each response")
    return {f"responses[{place}]": value for place, value in enumerate(values)}, models


def _prompt(record: dict[str, Any], contexts: list[list[dict[str, str]]]) -> str:
    if "prompt" in record:
        return check_filled(prompt_text(take_conversation(record, "prompt")), "prompt")
    if not all(contexts):
        raise UsageError("has no 'prompt': give it, or give the responses as whole conversations")
    if any(context != contexts[0] for context in contexts):
        raise UsageError("has conversations that differ before their last message, and no 'prompt'")
    return check_filled(prompt_text(contexts[0]), "prompt")
