"""Curves over steps, labels and the time people gave."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from prefrl.feedback import Answer, Kind, Purpose, Query, Source
from prefrl.labellers.human_time import human_minutes
from prefrl.runs.curves import group_curve, mean_curve
from prefrl.runs.folders import Run, read_run
from prefrl.runs.groups import Group, group_runs
from prefrl.store.answer_table import AnswerTable
from prefrl.store.feedback_store import FeedbackStore

ROWS = [
    {"step": 0, "true_return": 0.0},
    {"step": 100, "true_return": 1.0, "labels": 10, "skips": 0},
    {"step": 200, "true_return": 3.0, "labels": 10, "skips": 0},
    {"step": 300, "true_return": None, "labels": 15, "skips": 0},
    {"step": 400, "true_return": 5.0, "labels": 20, "skips": 2},
    {"step": 500, "true_return": 6.0, "labels": 19, "skips": 3},
]


def a_run(folder: Path, rows: list[dict[str, Any]] = ROWS, *, seed: int = 0, shift: float = 0.0) -> Run:
    folder.mkdir(parents=True)
    config = {
        "task": "hopper",
        "reward": "learned",
        "teacher": "human",
        "labels": 20,
        "seed": seed,
        "steps": 500,
    }
    (folder / "config.json").write_text(json.dumps({"config": config}))
    moved = [row | {"true_return": None if (y := row["true_return"]) is None else y + shift} for row in rows]
    (folder / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in moved))
    return read_run(folder)


def one_group(*runs: Run) -> Group:
    ((group,), _) = group_runs(runs)
    return group


def no_minutes(_run: Run) -> Any:
    return np.zeros(0)


def at(group: Group, x: float, **given: Any) -> float:
    curve = group_curve(group, "true_return", rng=np.random.default_rng(0), **given)
    assert curve is not None
    return float(np.interp(x, curve.grid, curve.mean, left=np.nan, right=np.nan))


def test_over_steps_a_curve_is_the_mean_over_seeds(tmp_path: Path) -> None:
    group = one_group(a_run(tmp_path / "a"), a_run(tmp_path / "b", seed=1, shift=2.0))
    assert at(group, 100, over="steps", minutes=no_minutes) == pytest.approx(2.0)
    assert at(group, 500, over="steps", minutes=no_minutes) == pytest.approx(7.0)


def test_over_labels_the_last_return_with_so_many_labels_counts(tmp_path: Path) -> None:
    group = one_group(a_run(tmp_path / "a"))
    curve = group_curve(group, "true_return", over="labels", minutes=no_minutes, rng=np.random.default_rng(0))
    assert curve is not None
    assert curve.grid[-1] == 20
    known = np.isfinite(curve.mean)
    assert curve.grid[known][0] == 10
    assert curve.mean[known][0] == pytest.approx(3.0)
    assert curve.mean[-1] == pytest.approx(6.0)  # an answer withdrawn at the end takes no label back


def test_over_minutes_every_answer_costs_its_time_skips_too(tmp_path: Path) -> None:
    group = one_group(a_run(tmp_path / "a"))
    minutes = np.arange(23) / 2
    curve = group_curve(
        group, "true_return", over="minutes", minutes=lambda _run: minutes, rng=np.random.default_rng(0)
    )
    assert curve is not None
    assert curve.grid[-1] == pytest.approx(11.0)  # 22 answers
    assert at(group, 8.0, over="minutes", minutes=lambda _run: minutes) == pytest.approx(4.5)


def test_without_labels_or_times_there_is_no_curve_over_them(tmp_path: Path) -> None:
    bare = one_group(a_run(tmp_path / "a", [{"step": 1, "true_return": 2.0}]))
    rng = np.random.default_rng(0)
    assert group_curve(bare, "true_return", over="labels", minutes=no_minutes, rng=rng) is None
    answered = one_group(a_run(tmp_path / "b"))
    assert group_curve(answered, "true_return", over="minutes", minutes=no_minutes, rng=rng) is None


def test_a_mean_stops_where_the_shortest_seed_stops() -> None:
    long, short = (np.array([0.0, last]) for last in (100.0, 50.0))
    flat = np.array([1.0, 1.0])
    curve = mean_curve([(long, flat), (short, flat)], last=100.0, rng=np.random.default_rng(0))
    assert np.isfinite(curve.mean).sum() == (curve.grid <= 50.0).sum()


def answers_of(folder: Path, given: list[tuple[float | None, Purpose]]) -> AnswerTable:
    """The answers of a store to one query each, with so many seconds."""
    with FeedbackStore(folder / "feedback.sqlite") as store:
        for n, (seconds, purpose) in enumerate(given):
            query = Query(
                id=f"q{n}", run="run", kind=Kind.PAIR, items=(f"a{n}", f"b{n}"), policy_step=0,
                reward_version=0, counter=n, purpose=purpose,
            )  # fmt: skip
            answer = Answer(
                id=f"x{n}", query_id=query.id, value=None if n % 2 else 1.0, source=Source.PERSON,
                labeller="ada", seconds=seconds,
            )  # fmt: skip
            store.add([query, answer])
        return store.answer_table("run")


def test_minutes_add_up_with_every_answer_that_counts_skips_too(tmp_path: Path) -> None:
    training = Purpose.TRAINING
    table = answers_of(tmp_path, [(None, training), (30.0, training), (6.0, training), (12.0, training)])
    np.testing.assert_allclose(human_minutes(table), np.cumsum([0, 12, 30, 6, 12]) / 60)


def test_answers_that_do_not_count_cost_their_time_too(tmp_path: Path) -> None:
    table = answers_of(tmp_path, [(30.0, Purpose.PRACTICE), (6.0, Purpose.TRAINING), (4.0, Purpose.GOLD)])
    np.testing.assert_allclose(human_minutes(table), [0.0, 36 / 60])


@pytest.mark.parametrize("given", [[], [(None, Purpose.TRAINING)]])
def test_without_a_time_there_are_no_minutes(tmp_path: Path, given: list[Any]) -> None:
    assert len(human_minutes(answers_of(tmp_path, given))) == 0
