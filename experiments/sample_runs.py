"""Folders of runs with invented figures, of every size and state of repair, to measure pages with.

Nothing here has been trained. What is large is large where runs grow: queries, answers, rows of metrics.
"""

from __future__ import annotations

import io
import json
import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image

from experiments.presets import preset
from prefrl.clip_files import ClipNote, Sheet, save_note, save_sheet
from prefrl.config_io import config_to_dict
from prefrl.feedback import Answer, Kind, Query, Source, make_id
from prefrl.runs.log import CONFIG, METRICS, RunFolder
from prefrl.runs.status import State, StatusWriter
from prefrl.store.feedback_store import FeedbackStore

TASK = "half-cheetah"
LABELLERS = ("ada", "bob", "eve")
STORE = "feedback.sqlite"
OPEN = 20
"""Queries of a run that want an answer, with clips to look at."""
BATCH = 5000
FRAMES, SIDE = 30, 64


def make_empty(folder: Path) -> None:
    """A folder without a run."""
    folder.mkdir(parents=True)


def make_small(folder: Path) -> None:
    """A run that people answer, one by the oracle and one on the true reward."""
    make_human_run(folder / "human", answers=60, rows=60)
    make_scripted_run(folder / "oracle", reward="learned", rows=60)
    make_scripted_run(folder / "true", reward="true", rows=60)


def make_large(folder: Path) -> None:
    """A run with 50,000 answers and 10,000 rows of metrics beside twenty others."""
    make_human_run(folder / "human", answers=50_000, rows=10_000)
    for seed in range(10):
        make_scripted_run(folder / f"oracle-s{seed}", reward="learned", seed=seed, rows=250)
        make_scripted_run(folder / f"true-s{seed}", reward="true", seed=seed, rows=250)


def make_damaged(folder: Path) -> None:
    """Runs of which each lacks something else: a store, a config, whole lines of metrics."""
    for name in ("bad-store", "no-store", "bad-config", "bad-metrics", "bad-summary"):
        make_human_run(folder / name, answers=20, rows=20)
    (folder / "bad-store" / STORE).write_bytes(b"this is no database" * 500)
    (folder / "no-store" / STORE).unlink()
    (folder / "bad-config" / CONFIG).write_text('{"config": {"task": ')
    (folder / "bad-metrics" / METRICS).write_bytes(b'{"step": 1}\n\xff\xfe{"step"\n{"step": "two"}\n{"st')
    (folder / "bad-summary" / "summary.json").write_text("[")


SIZES: dict[str, Callable[[Path], None]] = {
    "empty": make_empty,
    "small": make_small,
    "large": make_large,
    "damaged": make_damaged,
}


def make_human_run(folder: Path, *, answers: int, rows: int) -> None:
    """A run with so many answers by three people, and some open pairs whose clips are drawn."""
    steps, labels = 1_000_000, answers + OPEN
    config = replace(preset(TASK), teacher="human", labels=labels, steps=steps)
    run = RunFolder.create(folder, config_to_dict(config))
    with FeedbackStore(folder / STORE) as store:
        for first in range(0, labels, BATCH):
            numbers = range(first, min(first + BATCH, labels))
            queries = [_query(folder.name, number) for number in numbers]
            said = [_answer(query) for query in queries if query.counter < answers]
            store.add([*queries, *said])
        waiting = store.open_queries(folder.name, OPEN)
    _draw(folder, [item for query in waiting for item in query.items])
    _write_metrics(run, rows=rows, steps=steps, labels=answers, top=3000.0)
    message = "stopped by hand"
    StatusWriter(folder, steps=steps, budget=labels).write(
        State.STOPPED, step=steps // 2, labels=answers, message=message
    )


def make_scripted_run(folder: Path, *, reward: str, rows: int, seed: int = 0) -> None:
    """A finished run without people."""
    config = replace(preset(TASK), reward=reward, seed=seed)  # type: ignore[arg-type]
    run = RunFolder.create(folder, config_to_dict(config))
    labels = config.labels if reward == "learned" else 0
    if labels:
        with FeedbackStore(folder / STORE) as store:
            queries = [_query(folder.name, number) for number in range(labels)]
            store.add([*queries, *(_answer(query, oracle=True) for query in queries)])
    top = 4000.0 + 100 * seed
    _write_metrics(run, rows=rows, steps=config.steps, labels=labels, top=top)
    summary = {
        "task": TASK,
        "seed": seed,
        "steps": config.steps,
        "labels": labels,
        "skips": 0,
        "teacher": "oracle" if labels else None,
        "reward": reward,
        "agent": "ppo",
        "true_return_mean": top,
        "true_return_std": 60.0,
        "untrained_return_mean": -1.0,
        "steps_per_second": 8000.0,
        "wall_seconds": 130.0,
        "fit_seconds": 20.0,
        "reward_correlation": 0.97 if labels else None,
        "exact": True,
    }
    run.write_summary(summary)
    StatusWriter(folder, steps=config.steps, budget=labels).write(
        State.FINISHED, step=config.steps, labels=labels
    )


def _query(run: str, number: int) -> Query:
    items = tuple(make_id(run, 0, "segment", 2 * number + side) for side in (0, 1))
    step, version = 100 * number, number // 50
    name = make_id(run, 0, "query", number)
    return Query(name, run, Kind.PAIR, items, policy_step=step, reward_version=version, counter=number)


def _answer(query: Query, *, oracle: bool = False) -> Answer:
    number = query.counter
    labeller = "oracle" if oracle else LABELLERS[number % len(LABELLERS)]
    return Answer(
        make_id(query.run, 0, "answer", number),
        query.id,
        value=(1.0, 0.0, 1.0, 0.5, 0.0, None, 0.75)[number % 7],
        source=Source.ORACLE if oracle else Source.PERSON,
        labeller=labeller,
        seconds=None if oracle else 1.5 + number % 5,
        shown=() if oracle else ((0, 1), (1, 0))[number % 2],
        answered_at=1.7e9 + 4.0 * number,
    )


def _draw(folder: Path, items: list[str]) -> None:
    """One and the same clip for all items: a square that crosses the picture."""
    columns = math.isqrt(FRAMES) + 1
    picture = np.full((SIDE * math.ceil(FRAMES / columns), SIDE * columns, 3), 60, np.uint8)
    for frame in range(FRAMES):
        top, left = SIDE * (frame // columns) + 24, SIDE * (frame % columns) + frame
        picture[top : top + 16, left : left + 16] = (230, 160, 40)
    encoded = io.BytesIO()
    Image.fromarray(picture).save(encoded, format="WEBP", lossless=True)
    sheet = Sheet(save_sheet(folder, encoded.getvalue()), SIDE, SIDE, columns)
    for item in items:
        save_note(folder, ClipNote(item, frames=FRAMES, frames_per_second=20.0, sheet=sheet))


def _write_metrics(run: RunFolder, *, rows: int, steps: int, labels: int, top: float) -> None:
    lines = "".join(json.dumps(row) + "\n" for row in _rows(rows, steps, labels, top))
    (run.path / METRICS).write_text(lines, encoding="utf-8")


def _rows(rows: int, steps: int, labels: int, top: float) -> Iterator[dict[str, float]]:
    for number in range(1, rows + 1):
        share = number / rows
        row = {"step": round(share * steps), "true_return": top * share**0.5, "steps_per_second": 8000.0}
        row |= {"seconds": 130 * share, "true_reward": 3 * share**0.5, "policy_loss": 0.01 * math.sin(number)}
        if labels:
            row |= {"labels": round(labels * share), "skips": 0, "labels_due": labels * share}
            row |= {
                "learned_return": 500 * share,
                "reward_version": number // 5,
                "log_loss": 0.7 - 0.4 * share,
            }
            row |= {"agreement": 0.6 + 0.3 * share, "reward_correlation": 0.5 + 0.4 * share}
            row |= {"disagreement": 0.1 - 0.05 * share}
        yield row
