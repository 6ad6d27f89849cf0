"""Filling a text collection with what language models say to prompts; each answer is kept as it comes."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait

from experiments.text_collection import Collection
from experiments.text_endpoint import Endpoint, NoAnswerError
from prefrl.errors import UsageError
from prefrl.texts.response_files import Response, append_responses
from prefrl.texts.text_records import prompt_text

HOPELESS = 3
"""Failures in a row after which we stop asking."""

Prompt = str | list[dict[str, str]]


def fetch_responses(
    collection: Collection,
    endpoint: Endpoint,
    models: Sequence[str],
    prompts: Sequence[Prompt],
    *,
    parallel: int,
    sleep: Callable[[float], None] = time.sleep,
    told: Callable[[], object] = lambda: None,
) -> list[str]:
    """Asks every model every prompt that the collection lacks its answer to; pairs can be labelled meanwhile.

    Args:
        models: one per slot of the collection; the same one twice gives two samples.
        parallel: requests at once.
        told: called after each answer.

    Returns:
        What went wrong, one line per answer that is still missing.

    Raises:
        UsageError: the server refuses for good, or nothing has come several times in a row; what has come is
            kept.
    """
    texts = _known_texts(collection, prompts)
    for place, prompt in enumerate(prompts):
        collection.add_queries(collection.queries(place, prompt_text(prompt), texts[place]))
    missing = [
        (place, slot)
        for place in range(len(prompts))
        for slot in range(len(models))
        if texts[place][slot] is None
    ]
    problems: list[str] = []
    in_a_row = 0

    def ask(place: int, slot: int) -> str:
        return endpoint.ask(models[slot], prompts[place], sleep=sleep)

    for (place, slot), future in _as_they_come(ask, missing, parallel):
        try:
            text = future.result()
        except NoAnswerError as error:
            problems.append(f"prompt {place + 1}: {error}")
            in_a_row += 1
            if in_a_row == HOPELESS:
                raise UsageError(
                    f"{HOPELESS} failures in a row, the last: {error}; the same command goes on from here"
                ) from error
            continue
        in_a_row = 0
        prompt = prompt_text(prompts[place])
        append_responses(
            collection.folder, [Response(collection.response_id(place, slot), prompt, text, models[slot])]
        )
        texts[place][slot] = text
        collection.add_queries(collection.queries(place, prompt, texts[place]))
        told()
    return problems


def _known_texts(collection: Collection, prompts: Sequence[Prompt]) -> list[list[str | None]]:
    """What the collection has already, by prompt and slot."""
    known = collection.known()
    found = [
        [known.get(collection.response_id(place, slot)) for slot in range(collection.slots)]
        for place in range(len(prompts))
    ]
    return [[None if response is None else response.text for response in row] for row in found]


def _as_they_come(
    ask: Callable[[int, int], str], wanted: Sequence[tuple[int, int]], parallel: int
) -> Iterator[tuple[tuple[int, int], Future[str]]]:
    """Asks for what is wanted, so many at once, in order; whoever stops listening stops the asking."""
    waiting = iter(wanted)
    running: dict[Future[str], tuple[int, int]] = {}
    with ThreadPoolExecutor(parallel) as pool:
        while True:
            while len(running) < parallel and (next_one := next(waiting, None)) is not None:
                running[pool.submit(ask, *next_one)] = next_one
            if not running:
                return
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                yield running.pop(future), future
