"""Soaking: memory that grows is told from memory that is flat; a short soak and a short tour in a browser."""

import json
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from test_person import TINY

from experiments.bench_app import BenchAppConfig, run_bench_app
from experiments.sample_runs import make_small
from experiments.soak import Memory, SoakConfig, growth, run_soak
from experiments.tour import TourConfig, run_tour
from prefrl.errors import UsageError


def samples(count: int, per_minute: float) -> list[Memory]:
    """Memory of which that of the scripts grows by so much, after a first quarter of warming up."""
    warm = count // 4
    return [
        Memory(i, 80.0 + 40.0 * (i >= warm), 300.0, 20.0 + per_minute * max(0, i - warm))
        for i in range(count)
    ]


def test_memory_that_only_warms_up_is_flat() -> None:
    found = growth(samples(60, per_minute=0.0))
    assert {name: row["flat"] for name, row in found.items()} == {
        "server": True,
        "tabs": True,
        "scripts": True,
    }
    assert found["server"] == {"second": 120.0, "last": 120.0, "highest": 120.0, "flat": True}


def test_memory_that_goes_on_growing_is_found() -> None:
    found = growth(samples(60, per_minute=0.5))
    assert [name for name, row in found.items() if not row["flat"]] == ["scripts"]
    assert found["scripts"]["last"] - found["scripts"]["second"] == 15.0


def test_impossible_soaks_and_tours_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="must be above 0"):
        SoakConfig(minutes=0)
    with pytest.raises(UsageError, match="3 samples say nothing"):
        growth(samples(3, per_minute=0.0))
    with pytest.raises(UsageError, match="--widths and --height must be at least 200"):
        TourConfig(widths=(100,))
    with pytest.raises(UsageError, match="is no folder"):
        run_tour(TourConfig(tmp_path / "nowhere"))


@pytest.mark.browser
def test_a_short_soak_measures_server_tabs_and_scripts(browser: Any, tmp_path: Path) -> None:
    config = SoakConfig(
        minutes=0.4,
        task="probe-target",
        per_minute=240,
        every_seconds=0.1,
        train_options=TINY,
        out=tmp_path / "soak.json",
    )
    assert run_soak(config, browser=lambda: nullcontext(browser)) in (0, 1)  # too short for a verdict
    result = json.loads((tmp_path / "soak.json").read_text())
    assert result["problems"] == []
    assert result["answers"] >= 1
    assert all(one["server"] > 20 and one["tabs"] > 20 and one["scripts"] > 1 for one in result["samples"])


@pytest.mark.browser
def test_the_latency_is_measured_beside_a_training_and_kept(browser: Any, tmp_path: Path) -> None:
    config = BenchAppConfig(
        only=("label",),
        task="probe-target",
        answers=6,
        per_minute=240,
        train_options=TINY,
        results=tmp_path / "bench.jsonl",
    )
    run_bench_app(config, browser=lambda: nullcontext(browser))
    (line,) = map(json.loads, (tmp_path / "bench.jsonl").read_text().splitlines())
    (kept,) = line["benches"]
    figures = kept["contenders"]["PrefRL"]
    assert kept["bench"] == "app label"
    assert figures["answers"] >= 6
    latency = figures["latency_ms"]
    assert latency["count"] == 0 or 0 < latency["median"] <= latency["largest"]


@pytest.mark.browser
def test_a_tour_has_a_picture_of_every_page(browser: Any, tmp_path: Path) -> None:
    make_small(tmp_path / "runs")
    config = TourConfig(tmp_path / "runs", out=tmp_path / "tour", widths=(1024,), live=None)
    assert run_tour(config, browser=lambda: nullcontext(browser)) == 0
    pictures = sorted((tmp_path / "tour").iterdir())
    names = {picture.name for picture in pictures}
    assert {"label-1024-light.webp", "label-1024-dark.webp", "runs-1024-light.webp"} <= names
    with Image.open(tmp_path / "tour" / "label-1024-light.webp") as light:
        assert light.width == 1024
        assert light.height >= 800
        bright = light.convert("L").resize((1, 1)).getpixel((0, 0))
    with Image.open(tmp_path / "tour" / "label-1024-dark.webp") as dark:
        assert dark.convert("L").resize((1, 1)).getpixel((0, 0)) < bright
