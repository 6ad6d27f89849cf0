"""Text collections: made from groups of responses, each pair of a group a query."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import chain, combinations
from pathlib import Path
from typing import Any

from experiments.text_formats import ResponseGroup
from prefrl.errors import UsageError
from prefrl.feedback import Kind, Query, make_id
from prefrl.runs.log import CONFIG, RunFolder
from prefrl.store.feedback_store import FeedbackStore
from prefrl.texts.response_files import TASK, Response, append_responses, prompt_id, read_responses

STORE = "feedback.sqlite"


class Collection:
    """A folder of responses and of what people say about them.

    Args:
        folder: of a collection; see ``begin``.
    """

    def __init__(self, folder: Path) -> None:
        self.folder, self.name = folder, folder.resolve().name
        self.settings = RunFolder.open(folder).config
        self.seed = int(self.settings["seed"])
        self.slots = int(self.settings["responses_per_prompt"])

    @classmethod
    def begin(
        cls,
        folder: Path,
        *,
        pairs: int,
        responses_per_prompt: int,
        markdown: bool,
        seed: int,
        source: Mapping[str, Any],
    ) -> Collection:
        """A new collection without texts; or the one that was begun there just so, to go on with.

        Args:
            folder: new, empty, or a collection's.
            pairs: queries there will be.
            responses_per_prompt: at most.
            markdown: whether texts are shown as sanitised Markdown; otherwise as they are.
            seed: ids follow from it.
            source: where the texts are from.

        Raises:
            UsageError: there is something else in the folder, or the disk refuses.
        """
        settings = {
            "task": TASK,
            "reward": "learned",
            "teacher": "human",
            "labels": pairs,
            "seed": seed,
            "markdown": markdown,
            "responses_per_prompt": responses_per_prompt,
            "source": dict(source),
        }
        if not (folder / CONFIG).exists():
            RunFolder.create(folder, settings)
            append_responses(folder, [])
        elif RunFolder.open(folder).config != settings:
            raise UsageError(f"{folder} holds a run or another collection: name a new folder")
        return cls(folder)

    def response_id(self, group: int, slot: int) -> str:
        """The id of a prompt's slot-th response: opaque, the same at every call."""
        return make_id(self.name, self.seed, "response", group * self.slots + slot)

    def add(self, groups: Mapping[int, ResponseGroup]) -> None:
        """Stores the responses of prompts, by their places, and then the queries about them.

        What is stored already changes nothing, so an interrupted call can be repeated.
        """
        known = self.known()
        new = [
            Response(self.response_id(place, slot), group.prompt, text, group.models[slot])
            for place, group in groups.items()
            for slot, text in enumerate(group.texts)
            if self.response_id(place, slot) not in known
        ]
        append_responses(self.folder, new)
        asked = (self.queries(place, group.prompt, group.texts) for place, group in groups.items())
        self.add_queries(chain.from_iterable(asked))

    def add_queries(self, queries: Iterable[Query]) -> None:
        """Stores queries; those that are there already are left."""
        with FeedbackStore(self.folder / STORE) as store:
            store.add_queries(queries)

    def queries(self, place: int, prompt: str, texts: Sequence[str | None]) -> list[Query]:
        """One query for every two texts of a prompt that are there and differ, in order of their slots."""
        every = list(combinations(range(self.slots), 2))
        return [
            Query(
                id=make_id(self.name, self.seed, "query", place * len(every) + number),
                run=self.name,
                kind=Kind.PAIR,
                items=(self.response_id(place, left), self.response_id(place, right)),
                group=prompt_id(prompt),
                counter=place * len(every) + number,
            )
            for number, (left, right) in enumerate(every)
            if is_pair(texts, left, right)
        ]

    def known(self) -> dict[str, Response]:
        """The responses so far, by id."""
        return read_responses(self.folder)

    def name_in(self, store: FeedbackStore) -> str:
        """What the collection is called in its store: its folder's name when it began."""
        names = store.runs()
        return names[0] if len(names) == 1 else self.name


def is_pair(texts: Sequence[str | None], left: int, right: int) -> bool:
    """Whether two texts are there and differ."""
    return right < len(texts) and None not in (texts[left], texts[right]) and texts[left] != texts[right]


def count_pairs(groups: Sequence[ResponseGroup]) -> int:
    """Pairs of responses to the same prompt that differ."""
    return sum(
        is_pair(group.texts, left, right)
        for group in groups
        for left, right in combinations(range(len(group.texts)), 2)
    )
