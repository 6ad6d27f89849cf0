"""The kinds of queries that pages show, and what they call them."""

from __future__ import annotations

from typing import Any

NOUNS = {
    "pair": ("pair", "pairs"),
    "ranking": ("set of clips", "sets of clips"),
    "like": ("clip", "clips"),
    "rating": ("clip", "clips"),
}
"""What one query of a kind is called, and several."""


def asked_kind(query: object) -> str:
    """What a run asks, by its ``query`` settings; pairs where they do not say, as in runs of long ago."""
    kind = query.get("kind") if isinstance(query, dict) else None
    return kind if isinstance(kind, str) and kind in NOUNS else "pair"


def asked_clips(query: Any) -> int:
    """Clips that one query of a run shows."""
    kind = asked_kind(query)
    size = query.get("ranking_size") if isinstance(query, dict) else None
    if kind == "ranking":
        return size if type(size) is int and 2 <= size <= 5 else 3
    return 2 if kind == "pair" else 1
