"""The metrics of a run as they come: read on from where the last look ended, thinned to what a chart shows.

However long a run, a feed holds a bounded number of points, and a look costs what is new.
"""

from __future__ import annotations

import math
import threading
from collections import OrderedDict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from prefrl.runs.log import METRICS, read_metrics_from

POINTS = 300
"""Most points of a series: about one per two pixels of a chart."""
MOST_FEEDS = 16
"""Runs whose points are kept, those that somebody has looked at last."""

Point = tuple[int, float]
"""Step and value."""


class Thinned:
    """A series that drops every second of its points whenever there are too many; its newest always stays.

    Args:
        most: points to keep, beside the newest.
    """

    def __init__(self, most: int = POINTS) -> None:
        self.most = most
        self._points: list[Point] = []
        self._newest: Point | None = None
        self._every = 1
        self._seen = 0

    def add(self, point: Point) -> None:
        """Appends a point."""
        if self._seen % self._every == 0:
            self._points.append(point)
            if len(self._points) > self.most:
                self._points = self._points[::2]
                self._every *= 2
        self._seen += 1
        self._newest = point

    def __iter__(self) -> Iterator[Point]:
        yield from self._points
        if self._newest is not None and self._points[-1] != self._newest:
            yield self._newest

    @property
    def newest(self) -> Point | None:
        """The last point that was added."""
        return self._newest


class MetricsFeed:
    """The series of a run's metrics.

    Args:
        folder: the run's.
        most: points of each series.
    """

    def __init__(self, folder: Path, *, most: int = POINTS) -> None:
        self.path = folder / METRICS
        self.most = most
        self._lock = threading.Lock()
        self._series: dict[str, Thinned] = {}
        self._offset = 0
        self._file: tuple[int, int] | None = None

    def look(self) -> dict[str, list[Point]]:
        """Every series with finite numbers, by its name, after reading what is new.

        Raises:
            UsageError: the file cannot be read.
        """
        with self._lock:
            self._read_on()
            return {name: list(series) for name, series in self._series.items()}

    def _read_on(self) -> None:
        identity = self._identity()
        if identity != self._file or (identity and self.path.stat().st_size < self._offset):
            self._series, self._offset, self._file = {}, 0, identity
        while True:
            rows, offset = read_metrics_from(self.path, self._offset)
            for row in rows:
                self._take_in(row)
            if offset <= self._offset:
                return
            self._offset = offset

    def _take_in(self, row: dict[str, Any]) -> None:
        for name, value in row.items():
            if name != "step" and type(value) in (int, float) and math.isfinite(value):
                self._series.setdefault(name, Thinned(self.most)).add((row["step"], float(value)))

    def _identity(self) -> tuple[int, int] | None:
        try:
            found = self.path.stat()
        except OSError:
            return None
        return found.st_dev, found.st_ino


class Feeds:
    """The feeds of the runs that somebody looks at."""

    def __init__(self, most: int = MOST_FEEDS) -> None:
        self.most = most
        self._lock = threading.Lock()
        self._feeds: OrderedDict[Path, MetricsFeed] = OrderedDict()

    def of(self, folder: Path) -> MetricsFeed:
        """The feed of the run in a folder, one for everybody who looks at it."""
        with self._lock:
            feed = self._feeds.pop(folder, None) or MetricsFeed(folder)
            self._feeds[folder] = feed
            while len(self._feeds) > self.most:
                self._feeds.popitem(last=False)
            return feed
