"""What a query puts before a labeller: the clips of a run's segments, or the texts of a collection."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Protocol

from prefrl.clip_files import ClipNote, read_note, read_wishes, wish_clips
from prefrl.feedback import Query
from prefrl.texts.response_files import Response


class Exhibits(Protocol):
    """One look at what a run's queries are about."""

    def ready(self, query: Query) -> bool:
        """Whether everything that the query compares can be shown now."""
        ...

    def problem(self, query: Query) -> str:
        """Why it cannot be shown, and not for want of time; empty where there is no such reason."""
        ...

    def wish(self, queries: Sequence[Query]) -> None:
        """Asks for what the queries compare to be made ready, if it can be."""
        ...

    def shown(self, query: Query, order: Sequence[int]) -> dict[str, Any]:
        """What the page needs of a query that is ready, its items from left to right; no ids of items."""
        ...


class Clips:
    """The clips of a run folder, each note read once."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._notes: dict[str, ClipNote | None] = {}

    def ready(self, query: Query) -> bool:
        return all((note := self._note(item)) and note.sheet for item in query.items)

    def problem(self, query: Query) -> str:
        notes = [self._note(item) for item in query.items]
        return next((note.problem for note in notes if note is not None and note.problem), "")

    def wish(self, queries: Sequence[Query]) -> None:
        items = [item for query in queries for item in query.items]
        if any(item not in read_wishes(self._folder) for item in items):
            wish_clips(self._folder, items)

    def shown(self, query: Query, order: Sequence[int]) -> dict[str, Any]:
        notes = [self._note(query.items[place]) for place in order]
        return {"clips": [asdict(note) | {"item": ""} for note in notes if note is not None]}

    def _note(self, item: str) -> ClipNote | None:
        if item not in self._notes:
            self._notes[item] = read_note(self._folder, item)
        return self._notes[item]


class Texts:
    """The responses of a text collection, beside their prompt; who wrote them stays here.

    Args:
        responses: by id.
        markdown: whether the page is to show them as Markdown.
    """

    def __init__(self, responses: Mapping[str, Response], *, markdown: bool) -> None:
        self._responses, self._markdown = responses, markdown

    def ready(self, query: Query) -> bool:
        return all(item in self._responses for item in query.items)

    def problem(self, query: Query) -> str:
        return "" if self.ready(query) else "a text of it is not in responses.jsonl"

    def wish(self, queries: Sequence[Query]) -> None:
        """Texts are there or they are not."""

    def shown(self, query: Query, order: Sequence[int]) -> dict[str, Any]:
        responses = [self._responses[query.items[place]] for place in order]
        texts = [response.text for response in responses]
        return {"clips": [], "prompt": responses[0].prompt, "texts": texts, "markdown": self._markdown}
