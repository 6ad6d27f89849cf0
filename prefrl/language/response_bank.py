"""The responses of a run that are compared: their texts in a file, their tokens in a table."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from prefrl.errors import UsageError
from prefrl.feedback import make_id
from prefrl.language.bench import Bench
from prefrl.language.responses import Responses
from prefrl.language.reward_network import ResponseTable
from prefrl.texts.response_files import Response, append_responses, read_responses


class ResponseBank:
    """Responses in the order in which they were first compared.

    Args:
        bench: with tokenizer and context of the reward networks.
        folder: the run's, where the texts go.
        run: the run's name in its store; ids follow from it.
    """

    def __init__(self, bench: Bench, folder: Path, run: str) -> None:
        self.bench, self.folder, self.run = bench, folder, run
        self.responses: list[Response] = []
        self.table = self._empty_table()

    def add(self, written: Responses) -> np.ndarray:
        """Takes in responses, and writes them down first of all: a query never lacks its texts.

        Returns their rows. [n]
        """
        before = len(self.responses)
        fresh = [
            Response(self._id(before + place), prompt, text)
            for place, (prompt, text) in enumerate(zip(written.prompts, written.completions, strict=True))
        ]
        append_responses(self.folder, fresh)
        self._take_in(fresh)
        return np.arange(before, before + len(fresh))

    def read_on(self) -> dict[str, int]:
        """Takes in what the file holds beyond what is known; returns the row of every response by its id."""
        texts, fresh = read_responses(self.folder), list[Response]()
        while (name := self._id(len(self.responses) + len(fresh))) in texts:
            fresh.append(texts[name])
        self._take_in(fresh)
        return {one.id: row for row, one in enumerate(self.responses)}

    def restore(self, names: list[str]) -> None:
        """Reads responses back from the file, in this order.

        Raises:
            UsageError: one of them is missing.
        """
        if not names:
            return
        texts = read_responses(self.folder)
        if missing := [name for name in names if name not in texts]:
            raise UsageError(f"response {missing[0]} is not in {self.folder}: restore responses.jsonl")
        self._take_in([texts[name] for name in names])

    def table_of(self, written: Responses) -> ResponseTable:
        """Responses as the reward networks see them; they are not taken in."""
        table = self._empty_table()
        table.add(written.prompts, written.completions, written.finished.tolist())
        return table

    def gold(self, rows: list[int]) -> np.ndarray:
        """Gold scores, which teachers see. [rows]"""
        texts = (self.responses[row] for row in rows)
        return np.array([self.bench.task.score(one.prompt, one.text) for one in texts])

    def _take_in(self, responses: list[Response]) -> None:
        """A text that fills all the room there is was cut off before its end."""
        self.responses += responses
        room, encode = self.bench.longest, self.bench.tokenizer.encode
        finished = [len(encode(one.text)) < room for one in responses]
        self.table.add([one.prompt for one in responses], [one.text for one in responses], finished)

    def _empty_table(self) -> ResponseTable:
        bench = self.bench
        return ResponseTable(
            bench.tokenizer, bench.model.context, bench.device, reading=bench.config.reward_model.reading
        )

    def _id(self, counter: int) -> str:
        return make_id(self.run, self.bench.config.seed, "response", counter)
