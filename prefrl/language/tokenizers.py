"""From texts to whole numbers and back: the symbols of a task, and two that stand for no text."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Final, Protocol

from prefrl.errors import UsageError
from prefrl.files import explained_disk_errors, write_atomically

PADDING: Final = "<pad>"
END: Final = "<end>"
FILE: Final = "tokenizer.json"


class Tokenizer(Protocol):
    """What the language track needs of a tokenizer."""

    @property
    def padding(self) -> int:
        """Fills rows of a batch; never looked at."""
        ...

    @property
    def end(self) -> int:
        """Ends a completion."""
        ...

    def __len__(self) -> int:
        """Tokens in the vocabulary."""
        ...

    def encode(self, text: str) -> list[int]:
        """The tokens of a text, without an end."""
        ...

    def decode(self, tokens: Sequence[int]) -> str:
        """The text of tokens; padding and end stand for nothing."""
        ...

    def save(self, folder: Path) -> None:
        """Writes what ``load`` of the same kind, and transformers, read."""
        ...


class SymbolTokenizer:
    """A vocabulary of symbols, characters or words; of those that fit the longest is taken.

    Args:
        symbols: each once; none empty.
    """

    padding: Final = 0
    end: Final = 1

    def __init__(self, symbols: Iterable[str]) -> None:
        self.symbols = tuple(symbols)
        if not self.symbols or "" in self.symbols or len(set(self.symbols)) != len(self.symbols):
            raise UsageError("a vocabulary needs symbols, none empty and each once")
        self._vocabulary = {symbol: place for place, symbol in enumerate((PADDING, END, *self.symbols))}
        self._pattern = re.compile(symbol_pattern(self.symbols))

    def __len__(self) -> int:
        return len(self._vocabulary)

    def encode(self, text: str) -> list[int]:
        """See ``Tokenizer.encode``.

        Raises:
            UsageError: the text holds something that is none of the symbols; the message names it.
        """
        tokens, place = [], 0
        while place < len(text):
            match = self._pattern.match(text, place)
            if match is None:
                raise UsageError(
                    f"{text[place : place + 10]!r} in {text!r} is not in the vocabulary: "
                    "leave it out, or use the tokenizer it belongs to"
                )
            tokens.append(self._vocabulary[match.group()])
            place = match.end()
        return tokens

    def decode(self, tokens: Sequence[int]) -> str:
        """See ``Tokenizer.decode``."""
        return "".join(self.symbols[token - 2] for token in tokens if token >= 2)

    def save(self, folder: Path) -> None:
        """As ``tokenizer.json`` in the format of Hugging Face's tokenizers."""
        content = json.dumps(_hugging_face_form(self._vocabulary, self._pattern.pattern), indent=1)
        write_atomically(folder / FILE, content.encode())
        described = {
            "tokenizer_class": "PreTrainedTokenizerFast",
            "pad_token": PADDING,
            "eos_token": END,
            "clean_up_tokenization_spaces": False,
        }
        write_atomically(folder / "tokenizer_config.json", json.dumps(described, indent=1).encode())

    @classmethod
    def load(cls, folder: Path) -> SymbolTokenizer:
        """The tokenizer that was saved in a folder.

        Raises:
            UsageError: there is none, or one of another kind.
        """
        path = folder / FILE
        with explained_disk_errors(f"read {path}"):
            content = path.read_bytes()
        try:
            vocabulary = json.loads(content)["model"]["vocab"]
            symbols = sorted(vocabulary, key=vocabulary.__getitem__)
        except (ValueError, KeyError, TypeError) as error:
            raise UsageError(f"{path} is not the tokenizer of a task: check the folder") from error
        if symbols[:2] != [PADDING, END]:
            raise UsageError(f"{path} is not the tokenizer of a task: check the folder")
        return cls(symbols[2:])


def symbol_pattern(symbols: Iterable[str]) -> str:
    """A regular expression that takes the longest symbol."""
    return "|".join(
        re.escape(symbol) for symbol in sorted(symbols, key=lambda symbol: (-len(symbol), symbol))
    )


def _hugging_face_form(vocabulary: dict[str, int], pattern: str) -> dict[str, Any]:
    special = [
        {
            "id": vocabulary[name],
            "content": name,
            "single_word": False,
            "lstrip": False,
            "rstrip": False,
            "normalized": False,
            "special": True,
        }
        for name in (PADDING, END)
    ]
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": special,
        "normalizer": None,
        "pre_tokenizer": {
            "type": "Split",
            "pattern": {"Regex": pattern},
            "behavior": "Isolated",
            "invert": False,
        },
        "post_processor": None,
        "decoder": {"type": "Fuse"},
        "model": {"type": "WordLevel", "vocab": vocabulary, "unk_token": PADDING},
    }
