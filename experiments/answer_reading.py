"""From keys to an answer: at once, or clip by clip for a ranking; and an answer in words."""

from __future__ import annotations

from experiments.answer_keys import HELP, HELP_ALWAYS, Act, Key, KeySource
from prefrl.feedback import HIGHEST_RATING, Kind, Value


def help_on(kind: Kind) -> str:
    """What keys there are."""
    return f"{HELP[kind]}\n{HELP_ALWAYS}"


def read_answer(keys: KeySource, kind: Kind, clips: int) -> Key:
    """Reads until something is said of a query, or something else is wanted: undo, or quit."""
    placed: list[int] = []
    key = keys.read()
    while key.act not in (Act.ANSWER, Act.UNDO, Act.QUIT):
        if key.act is Act.SEND and len(placed) == clips - 1:
            return Key(Act.ANSWER, (*placed, *(place for place in range(clips) if place not in placed)))
        if key.act in (Act.HELP, Act.UNKNOWN):
            print(help_on(kind))
        else:
            placed = _placed(placed, key, clips)
            print(_so_far(placed, clips), flush=True)
        key = keys.read(fresh=False)
    return key


def said(kind: Kind, value: Value) -> str:
    """An answer in words, as the labeller gave it."""
    if value is None:
        return "skipped"
    match kind:
        case Kind.RANKING:
            assert isinstance(value, tuple)
            return _in_order(value)
        case Kind.LIKE:
            return "like" if value else "dislike"
        case Kind.RATING:
            return f"{value} of {HIGHEST_RATING}"
    assert isinstance(value, float)
    return {1.0: "left", 0.75: "slightly left", 0.5: "equal", 0.25: "slightly right", 0.0: "right"}[value]


def _placed(placed: list[int], key: Key, clips: int) -> list[int]:
    """The clips placed after another key; the last one needs none."""
    if key.act is Act.TAKE:
        return placed[:-1]
    if key.act is not Act.PLACE:
        return placed
    assert isinstance(key.value, int)
    if key.value in placed:
        return [place for place in placed if place != key.value]
    return [*placed, key.value] if len(placed) < clips - 1 else placed


def _so_far(placed: list[int], clips: int) -> str:
    missing = clips - 1 - len(placed)
    return f"{_in_order(placed) or 'none yet'}: {f'{missing} to come' if missing else 'Enter sends'}"


def _in_order(places: list[int] | tuple[float, ...]) -> str:
    return " > ".join(str(int(place) + 1) for place in places)
