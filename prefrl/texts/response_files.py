"""Responses that people compare, as a file: ``responses.jsonl`` in the folder of a text collection.

A collection is to texts what a run folder is to clips: a config that says what it is, a store of feedback
whose items are ids of responses, and the texts. Ids say nothing of the model that wrote a response.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from prefrl.errors import UsageError
from prefrl.feedback_checks import check_name, check_text
from prefrl.files import explained_disk_errors, mend_lines

RESPONSES = "responses.jsonl"
TASK = "text"
"""What the config of a collection names as its task."""
LONGEST_TEXT = 50_000
"""Characters of a prompt or a response."""


@dataclass(frozen=True)
class Response:
    """A completion with its prompt. Raises `UsageError` for texts that cannot be stored."""

    id: str
    prompt: str
    text: str
    model: str | None = None
    """Who wrote it, as far as we know; never shown to those who compare."""

    def __post_init__(self) -> None:
        check_name("response id", self.id)
        check_text("prompt", self.prompt, LONGEST_TEXT)
        check_text("response", self.text, LONGEST_TEXT)
        if self.model is not None:
            check_name("model", self.model)


def is_collection(settings: object) -> bool:
    """Whether a config, as it was read, is that of a text collection, not of a run."""
    return isinstance(settings, Mapping) and settings.get("task") == TASK


def holds_texts(folder: Path) -> bool:
    """Whether a folder is that of a collection."""
    return (folder / RESPONSES).is_file()


def prompt_id(prompt: str) -> str:
    """The group of all queries about a prompt."""
    return f"prompt-{hashlib.sha256(prompt.encode()).hexdigest()[:24]}"


def append_responses(folder: Path, responses: Iterable[Response]) -> None:
    """Adds responses at the end of the file; they are on disk when this returns.

    Raises:
        UsageError: the disk refuses.
    """
    path = folder / RESPONSES
    content = "".join(json.dumps(asdict(response)) + "\n" for response in responses)
    with explained_disk_errors(f"write {path}"):
        if path.exists():
            mend_lines(path)
        with path.open("a", encoding="utf-8") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())


def read_responses(folder: Path) -> dict[str, Response]:
    """The responses of a collection by their ids; a last line that is being written is left out.

    Raises:
        UsageError: there is no such file, or a line of it is damaged.
    """
    path = folder / RESPONSES
    with explained_disk_errors(f"read {path}"):
        lines = path.read_bytes().split(b"\n")[:-1]
    found = {}
    for number, line in enumerate(lines, 1):
        try:
            response = Response(**json.loads(line))
        except (ValueError, TypeError, UsageError) as error:
            raise UsageError(f"{path} line {number} is damaged ({error}): restore the file") from error
        found[response.id] = response
    return found
