"""Texts and conversations in the records of public data sets, checked; and files of them, line by line.

Every complaint names the field, and the caller adds where the record stands.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from prefrl.errors import UsageError
from prefrl.feedback_checks import check_text, shortened
from prefrl.files import explained_disk_errors
from prefrl.texts.response_files import LONGEST_TEXT

Messages = list[dict[str, str]]
ROLES = ("system", "user", "assistant", "tool")


def read_records(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Where each record of a JSONL file stands, and the record.

    Raises:
        UsageError: as :func:`read_lines`, or a line that is no JSON object.
    """
    for where, line in read_lines(path):
        try:
            record = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise UsageError(f"{where} is no JSON ({error}): give one JSON object per line") from error
        if not isinstance(record, dict):
            raise UsageError(f"{where} is {shortened(record)}: give a JSON object")
        yield where, record


def read_lines(path: Path) -> Iterator[tuple[str, str]]:
    """Where each line of a file that is not empty stands, and the line.

    Raises:
        UsageError: no such file, or a line that is not UTF-8.
    """
    with explained_disk_errors(f"read {path}"):
        lines = path.read_bytes().split(b"\n")
    for number, line in enumerate(lines, 1):
        if line.strip():
            try:
                yield f"{path} line {number}", line.decode("utf-8-sig")
            except UnicodeDecodeError as error:
                raise UsageError(f"{path} line {number} is not UTF-8: save the file as UTF-8") from error


def prompt_text(prompt: str | Messages) -> str:
    """A prompt as people read it: one message as it is, a conversation with its roles."""
    if isinstance(prompt, str):
        return prompt
    if len(prompt) == 1:
        return prompt[0]["content"]
    return "\n\n".join(f"{message['role'].capitalize()}: {message['content']}" for message in prompt)


def take_conversation(record: Mapping[str, Any], name: str) -> str | Messages:
    """A field that is a text or a list of messages.

    Raises:
        UsageError: it is missing, empty, or something else.
    """
    value = take_field(record, name)
    return check_filled(value, name) if isinstance(value, str) else check_messages(value, name)


def check_messages(value: Any, name: str) -> Messages:
    """A conversation: messages with a known role and a text.

    Raises:
        UsageError: it is something else.
    """
    if not isinstance(value, list) or not value:
        raise UsageError(f"'{name}' is {shortened(value)}: give a text or a list of messages")
    messages = []
    for place, message in enumerate(value):
        here = f"{name}[{place}]"
        if not isinstance(message, dict) or message.get("role") not in ROLES:
            raise UsageError(f"'{here}' is {shortened(message)}: give a role of {', '.join(ROLES)}")
        content = check_filled(take_field(message, "content"), f"{here}.content")
        messages.append({"role": message["role"], "content": content})
    return messages


def check_response(value: Any, name: str) -> tuple[Messages, str]:
    """What comes before a response in its conversation (nothing where it is a text), and its text.

    Raises:
        UsageError: it is neither, or the conversation does not end with the assistant.
    """
    if isinstance(value, str):
        return [], check_filled(value, name)
    messages = check_messages(value, name)
    role = messages[-1]["role"]
    if role != "assistant":
        raise UsageError(f"'{name}' ends with a message of the {role}: end it with the assistant's")
    return messages[:-1], check_filled(messages[-1]["content"], name)


def take_field(record: Mapping[str, Any], name: str) -> Any:
    """A field of a record.

    Raises:
        UsageError: it is missing.
    """
    if name not in record:
        raise UsageError(f"has no '{name}'")
    return record[name]


def check_filled(value: Any, name: str) -> str:
    """A text that is not blank.

    Raises:
        UsageError: it is blank, too long, or no text that can be stored.
    """
    check_text(f"'{name}'", value, LONGEST_TEXT)
    if not value.strip():
        raise UsageError(f"'{name}' is empty: give a text")
    return str(value)
