"""The crowd's labels that Uni-RLHF published, as our records.

Yuan et al. 2024, "Uni-RLHF" (ICLR): a folder per data set with three pickles, ``human_label_*``,
``indices_1_*`` and ``indices_2_*``, whose names say domain, environment, number and length of the clips. A
label is 0 where the first clip is better, 1 where the second is, -1 where both are equal; an index is the
step of the offline data set at which a clip begins.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from experiments.numpy_pickles import read_arrays
from prefrl.errors import UsageError
from prefrl.feedback import Answer, Kind, Query, Source, make_id
from prefrl.store.journal import Record

NAME = re.compile(
    r"^human_label_domain_(?P<domain>[\w.-]+?)_env_(?P<env>[\w.-]+)_num_\d+_len_(?P<length>\d+)_(?P<id>\w+)\.pkl$"
)
PREFERENCES = {0: 1.0, 1: 0.0, -1: 0.5}
LABELLER = "uni-rlhf crowd"
"""Who of the crowd gave which label was not published."""


def read_uni_rlhf(folder: Path) -> Iterator[tuple[int, Record | str]]:
    """Numbered queries and answers of a folder; for a label that cannot be one what is wrong with it.

    A clip's id is ``ENVIRONMENT:FIRST STEP+LENGTH``; the frames are in the offline data set, not here.

    Raises:
        UsageError: the folder holds no such files, or they are no pickles of numbers.
    """
    labels_file, name = _labels_file(folder)
    run, length = f"uni-rlhf {name['env']}", int(name["length"])
    labels = _whole_numbers(labels_file)
    starts = []
    for side in ("1", "2"):
        path = labels_file.with_name(labels_file.name.replace("human_label_", f"indices_{side}_", 1))
        if not path.is_file():
            raise UsageError(f"there is no {path.name} beside {labels_file}: copy all three files")
        starts.append(_whole_numbers(path))
        if len(starts[-1]) != len(labels):
            raise UsageError(f"{path} holds {len(starts[-1])} clips, and there are {len(labels)} labels")
    for number, (label, first, second) in enumerate(zip(labels, *starts, strict=True), 1):
        yield from _records(run, name["env"], length, number, int(label), int(first), int(second))


def _records(
    run: str, env: str, length: int, number: int, label: int, first: int, second: int
) -> Iterator[tuple[int, Record | str]]:
    if label not in PREFERENCES or first < 0 or second < 0:
        yield number, f"label {label} of the clips at {first} and {second} is none of 0, 1 and -1"
        return
    items = (f"{env}:{first}+{length}", f"{env}:{second}+{length}")
    try:
        query = Query(make_id(run, 0, "query", number - 1), run, Kind.PAIR, items, counter=number - 1)
    except UsageError as error:
        yield number, str(error)
        return
    yield number, query
    answer_id = make_id(run, 0, "answer", number - 1)
    yield number, Answer(answer_id, query.id, PREFERENCES[label], Source.PERSON, LABELLER)


def _labels_file(folder: Path) -> tuple[Path, dict[str, str]]:
    found = [(path, NAME.match(path.name)) for path in sorted(folder.glob("human_label_*.pkl"))]
    named = [(path, match.groupdict()) for path, match in found if match is not None]
    if len(named) != 1:
        raise UsageError(
            f"{folder} holds {len(named)} files human_label_domain_..._env_..._len_....pkl, not one: "
            "give the folder of one data set of Uni-RLHF"
        )
    return named[0]


def _whole_numbers(path: Path) -> list[int]:
    content: Any = read_arrays(path)
    try:
        numbers = np.asarray(content, dtype=np.float64).ravel()
    except (ValueError, TypeError):
        numbers = np.array([np.nan])
    if (
        not np.isfinite(numbers).all()
        or (numbers != np.round(numbers)).any()
        or np.abs(numbers).max(initial=0) > 2**52
    ):
        raise UsageError(f"{path} holds no list of whole numbers")
    return [int(number) for number in numbers]
