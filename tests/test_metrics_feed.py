"""Metrics as they come: nothing twice, nothing lost that matters, bounded however long the run."""

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prefrl.runs.log import METRICS, RunFolder, read_metrics, read_metrics_from
from ui import metrics_feed
from ui.metrics_feed import Feeds, MetricsFeed, Thinned


def write(folder: Path, rows: list[dict[str, Any]], *, torn: str = "") -> None:
    with (folder / METRICS).open("a") as file:
        file.write("".join(json.dumps(row) + "\n" for row in rows) + torn)


def test_what_comes_is_read_once_and_a_line_that_is_being_written_later(tmp_path: Path) -> None:
    feed = MetricsFeed(tmp_path)
    assert feed.look() == {}
    write(tmp_path, [{"step": 1, "true_return": 5}], torn='{"step": 2, "true')
    assert feed.look() == {"true_return": [(1, 5.0)]}
    write(tmp_path, [], torn='_return": 7.5}\n')
    assert feed.look() == feed.look() == {"true_return": [(1, 5.0), (2, 7.5)]}


def test_only_what_is_new_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    starts: list[int] = []

    def spy(path: Path, start: int, **given: Any) -> Any:
        starts.append(start)
        return read_metrics_from(path, start, **given)

    monkeypatch.setattr(metrics_feed, "read_metrics_from", spy)
    feed = MetricsFeed(tmp_path)
    write(tmp_path, [{"step": step, "labels": step} for step in range(100)])
    feed.look()
    size = (tmp_path / METRICS).stat().st_size
    starts.clear()
    write(tmp_path, [{"step": 100, "labels": 100}])
    feed.look()
    assert min(starts) == size


def test_a_resumed_run_that_rewrites_its_file_is_read_anew(tmp_path: Path) -> None:
    rows = [{"step": step, "true_return": float(step)} for step in range(10)]
    write(tmp_path, rows)
    feed = MetricsFeed(tmp_path)
    feed.look()
    RunFolder(tmp_path).truncate_after(4)
    write(tmp_path, [{"step": 5, "true_return": -1.0}] * 9)  # longer than it was
    assert feed.look()["true_return"][4:6] == [(4, 4.0), (5, -1.0)]
    (tmp_path / METRICS).unlink()
    assert feed.look() == {}


def test_what_is_no_number_is_left_out(tmp_path: Path) -> None:
    write(
        tmp_path, [{"step": 1, "a": None, "b": "x", "c": [1], "d": True, "e": 2}], torn="not json\n{}\n[]\n"
    )
    write(tmp_path, [{"step": "1", "e": 3}], torn='{"step": 2, "e": NaN}\n')
    assert MetricsFeed(tmp_path).look() == {"e": [(1, 2.0)]}


def test_a_long_file_is_read_in_pieces(tmp_path: Path) -> None:
    write(tmp_path, [{"step": step} for step in range(100)])
    rows, start = [], 0
    while True:
        piece, end = read_metrics_from(tmp_path / METRICS, start, most=150)
        if end == start:
            break
        assert end - start <= 150
        rows, start = rows + piece, end
    assert rows == read_metrics(tmp_path)
    (tmp_path / METRICS).write_text("x" * 400)
    assert read_metrics_from(tmp_path / METRICS, 0, most=150) == ([], 150)


@given(st.integers(0, 5000), st.integers(2, 50))
def test_a_series_stays_bounded_ordered_and_up_to_date(count: int, most: int) -> None:
    series = Thinned(most)
    for step in range(count):
        series.add((step, float(-step)))
    points = list(series)
    assert len(points) <= most + 1
    assert points == sorted(set(points))
    assert all(value == -step for step, value in points)
    if count:
        assert (points[0], points[-1], series.newest) == ((0, 0.0), (count - 1, 1.0 - count), points[-1])
        gaps = {b[0] - a[0] for a, b in pairwise(points[:-1])}
        assert len(gaps) <= 1


def test_feeds_are_shared_and_the_oldest_is_forgotten(tmp_path: Path) -> None:
    feeds = Feeds(most=2)
    first = feeds.of(tmp_path / "1")
    feeds.of(tmp_path / "2")
    assert feeds.of(tmp_path / "1") is first
    feeds.of(tmp_path / "3")
    assert feeds.of(tmp_path / "1") is first
    assert len(feeds._feeds) == 2
