"""Answers as they stand on a screen, where items are in another order, and as the store has them."""

from __future__ import annotations

from collections.abc import Sequence

from prefrl.feedback import Kind, Query, Value


def query_value(query: Query, screen: Value, shown: Sequence[int]) -> Value:
    """A value in the query's order of items from one in the order on the screen.

    A pair's is P(what stands left on the screen is better), a ranking's the places on the screen, best first.
    """
    if screen is None or query.kind not in (Kind.PAIR, Kind.RANKING):
        return screen
    if query.kind is Kind.PAIR:
        assert isinstance(screen, float | int)
        return float(screen) if tuple(shown) == (0, 1) else 1.0 - float(screen)
    assert isinstance(screen, tuple)
    return tuple(shown[int(place)] for place in screen)


def screen_value(query: Query, value: Value, shown: Sequence[int]) -> Value:
    """The inverse of ``query_value``: what was said, in the order on the screen."""
    if value is None or query.kind is not Kind.RANKING:
        return query_value(query, value, shown)  # swapping a pair's sides twice changes nothing
    assert isinstance(value, tuple)
    return tuple(list(shown).index(int(item)) for item in value)
