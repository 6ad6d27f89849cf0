"""The report: what it reads, what it computes, what it refuses, and that its page stands alone."""

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
import tyro
from fake_runs import make_clip, make_run

from experiments.report import ReportConfig, format_table, run_report, summarise
from experiments.report_charts import interval_chart
from experiments.report_curves import chart_rows, task_charts
from experiments.report_data import read_runs
from experiments.report_marks import Style, format_interval, format_number, format_tick, nice_ticks
from experiments.report_tables import format_duration
from prefrl.errors import UsageError
from prefrl.runs.folders import find_runs, read_run
from prefrl.runs.groups import group_runs
from prefrl.runs.summary import summarise_groups
from prefrl.statistics import Interval

NOW = datetime(2026, 1, 2, 3, 4)
HOSTILE = "<script>alert('x')</script>&\"<img src=x onerror=y>"


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    """Three seeds on the true reward, three on 700 labels, one of them unfinished, clips in the first."""
    folder = tmp_path / "runs"
    for seed in range(3):
        make_run(folder / f"true-{seed}", reward="true", seed=seed, top=2000.0)
        make_run(folder / f"learned-{seed}", seed=seed, done=0.5 if seed == 2 else 1.0)
    for place, name in enumerate(("before", "after", "query_1", "query_2")):
        make_clip(folder / "learned-0" / "clips" / f"{name}.webp", colour=place)
    return folder


class Page(HTMLParser):
    """Tags with their attributes, in order; refuses a page whose tags do not close in turn."""

    EMPTY = frozenset({"meta", "img", "input", "line", "circle", "path", "polyline", "polygon"})

    def __init__(self, content: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self._open: list[str] = []
        self.feed(content)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in self.EMPTY:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in self.EMPTY:
            assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    def all(self, tag: str) -> Iterator[dict[str, str | None]]:
        return (attributes for name, attributes in self.tags if name == tag)


def write_report(runs: Path, **settings: object) -> tuple[str, Page]:
    config = replace(
        ReportConfig(runs=(runs,), out=runs.parent / "out" / "report.html", resamples=200), **settings
    )
    assert run_report(config, now=NOW) == 0
    content = config.out.read_text(encoding="utf-8")
    return content, Page(content)


def test_a_report_is_one_page_that_needs_nothing_else(runs: Path) -> None:
    content, page = write_report(runs)
    addresses = [
        value for _, attributes in page.tags for name, value in attributes.items() if name in ("src", "href")
    ]
    assert len(addresses) == 8  # four clips, each moving and still
    assert all(value and value.startswith("data:image/webp;base64,") for value in addresses)
    assert not re.search(r"https?://|url\(|@import|<script|<link|<iframe", content)


def test_every_chart_has_title_description_and_its_numbers(runs: Path) -> None:
    content, page = write_report(runs)
    charts = [attributes for attributes in page.all("svg") if attributes.get("role") == "img"]
    identities = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(charts) == 8
    assert len(set(identities)) == len(identities)
    for chart in charts:
        assert set((chart["aria-labelledby"] or "").split()) <= set(identities)
    assert content.count("<summary>Numbers</summary>") == 7
    assert all("alt" in attributes for attributes in page.all("img"))


def test_lines_differ_in_more_than_colour() -> None:
    looks = [(Style(place).dash, Style(place).shape) for place in range(-3, 8)]
    assert len(set(looks)) == len(looks)


def test_words_from_files_are_escaped(tmp_path: Path) -> None:
    run = make_run(tmp_path / "runs" / "a", task=HOSTILE, teacher=HOSTILE, agent=HOSTILE)
    make_run(tmp_path / "runs" / "b", task=HOSTILE, reward=HOSTILE, agent=HOSTILE, policy={HOSTILE: HOSTILE})
    config = json.loads((run / "config.json").read_text())
    (run / "config.json").write_text(json.dumps({**config, "commit": HOSTILE}))
    make_run(tmp_path / "runs" / "c", task=HOSTILE, reward="true", agent=HOSTILE, top=9000.0)
    make_clip(run / "clips" / f"query_{HOSTILE.replace('/', '')}.webp")
    (run / "clips" / f"query_0{HOSTILE.replace('/', '')}.webp").write_bytes(b"junk")
    content, page = write_report(tmp_path / "runs", title=HOSTILE)
    assert HOSTILE in "".join(page.words)
    assert not list(page.all("script"))
    assert "<img src=x" not in content
    assert "<script>" not in content
    assert "Normalised score" in content


def test_the_table_holds_returns_scores_and_costs(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_report(runs)
    header, _, true, learned, *rest = capsys.readouterr().out.splitlines()
    assert header.split()[:4] == ["task", "method", "seeds", "true"]
    assert "true reward, ppo" in true
    assert "700 oracle labels, ppo" in learned
    assert "2 of 3" in learned
    assert rest[-1].endswith("report.html")


def test_the_normalised_score_uses_the_seeds_that_both_have(runs: Path) -> None:
    summaries, _ = summarise(read_runs([runs]), resamples=100)
    true, learned = summaries
    figures = {run.path.name: run for summary in summaries for run in summary.group.runs}
    pairs = [(figures[f"learned-{seed}"], figures[f"true-{seed}"]) for seed in (0, 1)]
    reached, baseline = (
        np.mean([pair[side].number("true_return_mean") for pair in pairs]) for side in (0, 1)
    )
    untrained = np.mean([pair[0].number("untrained_return_mean") for pair in pairs])
    assert true.score is None
    assert learned.score is not None
    assert learned.score.estimate == pytest.approx((reached - untrained) / (baseline - untrained))
    assert learned.score_note.startswith("over seeds 0, 1 only")


@pytest.mark.parametrize(
    ("baseline", "note"),
    [
        ({"agent": "sb3-ppo"}, "no true-reward run of the same task, agent"),
        ({"steps": 500}, "no true-reward run of the same task, agent"),
        ({"reward_form": "native"}, "no true-reward run of the same task, agent"),
        ({"seed": 9}, "no finished seed in common"),
        ({"done": 0.5}, "no finished seed in common"),
        ({"top": -400.0}, "not above the untrained return"),
    ],
)
def test_a_score_without_a_sound_baseline_is_left_out_and_explained(
    tmp_path: Path, baseline: dict[str, object], note: str
) -> None:
    make_run(tmp_path / "learned")
    make_run(tmp_path / "true", reward="true", **baseline)  # type: ignore[arg-type]
    summaries, _ = summarise(read_runs([tmp_path]), resamples=50)
    learned = next(summary for summary in summaries if summary.group.reward == "learned")
    assert learned.score is None
    assert note in learned.score_note
    assert note in format_table(summaries)
    assert note in "".join(write_report(tmp_path)[1].words)


def test_runs_with_other_settings_are_not_averaged_as_seeds(tmp_path: Path) -> None:
    for seed in range(2):
        for rate in (1e-3, 3e-4):
            make_run(
                tmp_path / f"{seed}-{rate}", seed=seed, policy={"learning_rate": rate}, device=f"cuda:{seed}"
            )
    groups, notes = group_runs([read_run(path) for path in find_runs([tmp_path])])
    assert [group.variant for group in groups] == [
        "policy.learning_rate 0.0003",
        "policy.learning_rate 0.001",
    ]
    assert [[run.seed for run in group.runs] for group in groups] == [[0, 1], [0, 1]]
    assert notes == []


def test_settings_of_the_learned_reward_do_not_split_true_reward_runs(tmp_path: Path) -> None:
    for seed in range(2):
        make_run(
            tmp_path / f"{seed}", reward="true", seed=seed, labels=seed, teacher=f"{seed}", query={"x": seed}
        )
    groups, _ = group_runs([read_run(path) for path in find_runs([tmp_path])])
    assert [group.label for group in groups] == ["true reward, ppo"]


def test_a_seed_counts_once_and_the_run_that_went_further_counts(tmp_path: Path) -> None:
    make_run(tmp_path / "first", done=0.4)
    make_run(tmp_path / "second", done=0.8)
    make_run(tmp_path / "third")
    groups, notes = group_runs([read_run(path) for path in find_runs([tmp_path, tmp_path / "first"])])
    assert [run.path.name for run in groups[0].runs] == ["third"]
    assert [note.split(" is left out")[0] for note in notes] == [
        str(tmp_path / "second"),
        str(tmp_path / "first"),
    ]


def test_a_run_without_metrics_or_summary_is_reported_as_far_as_it_is(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", done=0.0)
    (run / "metrics.jsonl").unlink()
    words = "".join(write_report(tmp_path)[1].words)
    assert "1 not finished" in words
    assert "No metrics yet" in words
    assert "0% done, no summary" in words


def test_a_torn_last_row_and_rows_repeated_by_a_resume_are_read_once(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", rows=4, done=0.9)
    rows = (run / "metrics.jsonl").read_text().splitlines()
    again = [row.replace('"labels": ', '"labels": 1') for row in rows[1:]]
    (run / "metrics.jsonl").write_text("\n".join([*rows, *again, rows[0][:20]]))
    column = read_run(run).column("labels")
    assert len(column) == 3
    assert (column[1:] > 1000).all()
    assert np.isnan(read_run(run).column("unheard_of")).all()


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("config.json", "{", "config.json"),
        ("config.json", "[]", "config.json"),
        ("config.json", "{}", "names no task"),
        ("config.json", '{"config": {"task": "hopper", "labels": 7, "steps": 9}}', "no number for seed"),
        ("summary.json", "{", "summary.json"),
        ("summary.json", "3", "summary.json"),
    ],
)
def test_a_broken_run_folder_is_refused_in_one_line(
    tmp_path: Path, file: str, content: str, message: str
) -> None:
    run = make_run(tmp_path / "run")
    (run / file).write_text(content)
    with pytest.raises(UsageError, match=message) as refusal:
        read_runs([run])
    assert "\n" not in str(refusal.value)


def test_paths_that_hold_no_run_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is no folder"):
        find_runs([tmp_path / "nowhere"])
    with pytest.raises(UsageError, match="is no run folder"):
        find_runs([tmp_path])
    with pytest.raises(UsageError, match="no run to report"):
        find_runs([])


def test_runs_are_found_in_folders_of_folders_each_once(tmp_path: Path) -> None:
    inner = make_run(tmp_path / "study" / "hopper" / "0")
    assert find_runs([tmp_path / "study", inner, tmp_path / "study" / "hopper"]) == [inner]


@pytest.mark.parametrize("settings", [{"confidence": 1.0}, {"resamples": 0}])
def test_impossible_settings_are_refused(settings: dict[str, float]) -> None:
    with pytest.raises(UsageError, match="must"):
        ReportConfig(runs=(), **settings)  # type: ignore[arg-type]


def test_a_page_that_cannot_be_written_is_a_usage_error(runs: Path) -> None:
    (runs / "file").write_text("")
    with pytest.raises(UsageError, match="file"):
        run_report(ReportConfig(runs=(runs,), out=runs / "file" / "report.html", resamples=10), now=NOW)


def test_an_earlier_page_is_replaced_and_equal_inputs_give_equal_pages(runs: Path) -> None:
    first, _ = write_report(runs)
    assert write_report(runs)[0] == first
    assert [path.name for path in (runs.parent / "out").iterdir()] == ["report.html"]


def test_clips_that_cannot_be_shown_are_named_and_the_others_shown(runs: Path) -> None:
    clips = runs / "learned-0" / "clips"
    (clips / "query_1.webp").write_bytes(b"RIFF....WEBP no picture")
    (clips / "query_2.webp").write_bytes(bytes(1000) + (clips / "before.webp").read_bytes())
    words = "".join(write_report(runs)[1].words)
    assert "query_1.webp is not shown" in words
    assert "query_2.webp is not shown" in words
    _, page = write_report(runs, clip_megabytes=0.0001)
    assert not list(page.all("img"))
    assert "--clip-megabytes" in "".join(page.words)


def test_the_page_names_the_command_that_makes_it(runs: Path) -> None:
    words = "".join(write_report(runs, seed=3, title="A & B")[1].words)
    command = next(line for line in words.split("Made by ") if line.startswith("prefrl report"))
    parsed = tyro.cli(ReportConfig, args=command.replace("'A & B'", "A_and_B").split()[2:])
    assert parsed.runs == (runs,)
    assert (parsed.seed, parsed.resamples, parsed.title) == (3, 200, "A_and_B")


def test_a_mean_curve_ends_where_its_first_seed_ends(runs: Path) -> None:
    groups, _ = group_runs([read_run(path) for path in find_runs([runs])])
    styles = {group.method: Style(place) for place, group in enumerate(groups)}
    chart = task_charts(groups, styles, seed=0, confidence=0.95, resamples=50)[0]
    true, learned = chart.series
    assert np.isfinite(true.y[-1])
    assert np.isfinite(true.lower[-1])
    assert learned.x[np.isfinite(learned.y)].max() <= 500_000 + 1e-6
    assert sum(np.isfinite(seed[1][-1]) for seed in learned.seeds) == 2
    header, rows = chart_rows(chart)
    assert header == ["steps", "true reward, ppo", "700 oracle labels, ppo"]
    assert len(rows) == 11
    assert rows[-1][2] == "–"


def test_no_runs_of_one_seed_claim_an_interval(tmp_path: Path) -> None:
    make_run(tmp_path / "run")
    (group,), _ = group_runs([read_run(tmp_path / "run")])
    (summary,) = summarise_groups([group])
    assert summary.true_return is not None
    assert np.isnan(summary.true_return.lower)
    assert "[" not in format_table([summary])


def test_an_unbounded_interval_is_drawn_to_the_edge() -> None:
    drawn = interval_chart("t", "d", [("x" * 60, Interval(0.5, -np.inf, np.inf), Style(0))], "i")
    assert "[−∞, ∞]" in drawn
    assert "nan" not in drawn
    assert "x" * 45 + "…" in drawn


@pytest.mark.parametrize(
    ("value", "words"),
    [(0, "0"), (-0.001, "−0.001"), (0.8734, "0.873"), (-280.4, "−280"), (2760.2, "2,760"), (11_200, "11.2k"),
     (999_600, "1M"), (1_250_000, "1.25M"), (float("nan"), "–"), (float("-inf"), "−∞")],
)  # fmt: skip
def test_numbers_are_written_for_people(value: float, words: str) -> None:
    assert format_number(value) == words


def test_decimals_ticks_intervals_and_durations_are_written_for_people() -> None:
    assert format_number(-0.001, 2) == "0.00"
    assert format_interval(Interval(1.0, 0.5, 1.25), 2) == "1.00 [0.50, 1.25]"
    assert format_interval(None) == "–"
    assert (format_tick(5000, 12_000), format_tick(5000, 8000)) == ("5k", "5,000")
    durations = [format_duration(seconds) for seconds in (25.2, 89.6, 3720, float("nan"))]
    assert durations == ["25 s", "1 min 30 s", "1 h 02 min", "–"]


@pytest.mark.parametrize(
    ("low", "high"), [(0, 1), (-280, 2800), (0, 1e6), (0.5, 0.5), (-1e-5, 1e-5), (3, 1e9)]
)
def test_ticks_are_round_and_lie_within_the_axis(low: float, high: float) -> None:
    ticks = nice_ticks(low, high, 5)
    assert len(ticks) <= 7
    assert all(low - 1e-9 <= tick <= high + 1e-9 for tick in ticks)
    assert high == low or len(ticks) >= 2
