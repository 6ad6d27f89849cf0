"""Whole runs that ask for rankings, likes and ratings: what they ask, what they learn, how they resume."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from tiny_runs import Killed, figures, killed_at, run_tiny, tiny

from experiments.fit import FitOptions, run_fit
from prefrl.control.config import TrainConfig
from prefrl.control.query_config import QueryConfig
from prefrl.diagnostics import read_diagnostics
from prefrl.errors import UsageError
from prefrl.feedback import Kind
from prefrl.fit_config import FitConfig
from prefrl.store.feedback_store import FeedbackStore

KINDS = ["ranking", "like", "rating"]
CLIPS = {"pair": 2, "ranking": 4, "like": 1, "rating": 1}
THOROUGH = FitConfig(learning_rate=3e-3, first_gradient_steps=200, max_gradient_steps=60)


def asking(kind: str, **changes: Any) -> TrainConfig:
    query = {"kind": kind, "ranking_size": 4} | changes.pop("query", {})
    return tiny(query=query, **changes)


@contextmanager
def stored(folder: Path) -> Iterator[FeedbackStore]:
    with FeedbackStore(folder / "feedback.sqlite", must_exist=True) as store:
        yield store


@pytest.fixture(scope="module", params=KINDS)
def run(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path, Any]:
    """A whole run of each kind, its folder and its figures."""
    folder = tmp_path_factory.mktemp(request.param) / "run"
    settings = {"labels": 120, "query": {"pool_size": 200}, "reward_model": {"fit": THOROUGH}}
    summary = run_tiny(folder, asking(request.param, **settings))
    return request.param, folder, figures(folder, summary)


def test_a_run_learns_from_answers_of_its_kind(run: tuple[str, Path, Any]) -> None:
    kind, folder, (summary, rows) = run
    assert (summary["labels"], summary["skips"]) == (120, 0)
    fits = [row for row in rows if "held_out_agreement" in row]
    assert fits[-1]["reward_version"] == 4
    assert fits[-1]["held_out_agreement"] > 0.7
    assert summary["reward_correlation"] > 0.5
    with stored(folder) as store:
        assert {query.kind for query in store.queries("run")} == {Kind(kind)}
        assert {answer.labeller for answer in store.answers("run")} == {"oracle"}


def test_no_clip_comes_twice_in_a_ranking_or_alone(run: tuple[str, Path, Any]) -> None:
    kind, folder, _ = run
    with stored(folder) as store:
        queries = store.queries("run")
    assert all(len(query.items) == len(set(query.items)) == CLIPS[kind] for query in queries)
    pictures = [(folder / "segments" / f"{item}.npz") for query in queries for item in query.items]
    if kind != "ranking":  # the same stretch of the same episode would be two equal files
        contents = [_content(path) for path in pictures]
        assert len(contents) == len(set(contents)) == 120


def _content(path: Path) -> bytes:
    import numpy as np

    with np.load(path) as arrays:
        return bytes(arrays["inputs"].tobytes())


def test_every_session_judges_what_is_fresh(run: tuple[str, Path, Any]) -> None:
    kind, folder, _ = run
    sessions = read_diagnostics(folder).sessions
    fresh = [answer for one in sessions for answer in one.answers]
    assert len(fresh) + sessions[0].labels == 120
    assert {answer.given for answer in fresh} == {0.0, 1.0}
    assert sum((one.predicted > 0.5) == (one.given == 1.0) for one in fresh) / len(fresh) > 0.6
    assert all(one.pairs for one in sessions[1:])
    assert (sessions[-1].threshold < float("inf")) is (kind == "ranking")  # who listens for the alarm


def test_a_reward_is_fitted_to_the_answers_of_a_finished_run(
    run: tuple[str, Path, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    kind, folder, _ = run
    assert run_fit(FitOptions(folder, max_gradient_steps=200, max_epochs=20)) == 0
    said = capsys.readouterr().out
    guess = {"ranking": "3.1781", "like": "0.6931", "rating": "2.3026"}[kind]
    assert "labels           120\n" in said
    assert f"(guessing: {guess})" in said
    assert "of out-of-bag comparisons predicted right" in said


@pytest.mark.parametrize(
    ("kind", "background"), [("ranking", False), ("like", False), ("rating", False), ("rating", True)]
)
def test_a_run_that_dies_ends_at_the_undisturbed_figures(tmp_path: Path, kind: str, background: bool) -> None:
    config = asking(kind, reward_model={"background_fits": background})
    whole, broken = tmp_path / "whole" / "run", tmp_path / "broken" / "run"
    undisturbed = figures(whole, run_tiny(whole, config))
    with pytest.raises(Killed):
        run_tiny(broken, config, watch=killed_at(7))
    assert figures(broken, run_tiny(broken, config, resume=True)) == undisturbed
    assert read_diagnostics(broken) == read_diagnostics(whole)


def test_a_pool_without_another_clip_to_show_is_asked_about_later(tmp_path: Path) -> None:
    summary = run_tiny(tmp_path / "run", asking("like", labels=200, query={"pool_size": 20}))
    with stored(tmp_path / "run") as store:
        queries = store.queries("run")
    assert summary["labels"] == len(queries) <= 200
    assert len({query.items for query in queries}) == len(queries)


@pytest.mark.parametrize(
    ("settings", "fault"),
    [
        ({"kind": "marks"}, "query.kind must be one of pair, ranking, like, rating, not 'marks'"),
        ({"kind": "ranking", "ranking_size": 6}, r"query.ranking_size must lie in \[2, 5\], not 6"),
        ({"kind": "ranking", "ranking_size": 1}, r"query.ranking_size must lie in \[2, 5\], not 1"),
        ({"kind": "like", "gold_fraction": 0.1}, "query.gold_fraction is about pairs.*kind like, not 0.1"),
        ({"kind": "rating", "practice_pairs": 2}, "query.practice_pairs is about pairs.*kind rating, not 2"),
        (
            {"kind": "like", "audit_share": 0.1},
            "query.audit_share puts newest .* shows one clip, not 0.1",
        ),
    ],
)
def test_what_a_kind_cannot_have_is_refused(settings: dict[str, Any], fault: str) -> None:
    with pytest.raises(UsageError, match=fault):
        QueryConfig(**settings)


def test_the_defaults_follow_the_kind() -> None:
    assert [QueryConfig(kind=kind).practice for kind in ("pair", "ranking", "like")] == [3, 0, 0]
    assert [QueryConfig(kind=kind).alarmed for kind in ("pair", "ranking", "rating")] == [True, True, False]
    assert QueryConfig(kind="ranking", audit_share=0.2).audit_share == 0.2
    assert [
        TrainConfig(teacher="human", query=QueryConfig(kind=kind)).audit_share for kind in ("ranking", "like")
    ] == [0.1, 0.0]


def test_rankings_are_audited_by_newest_beside_earlier_clips(tmp_path: Path) -> None:
    config = asking("ranking", query={"audit_share": 0.5}, reward_model={"fit": THOROUGH})
    run_tiny(tmp_path / "run", config)
    audits = [
        one for report in read_diagnostics(tmp_path / "run").sessions for one in report.answers if one.audit
    ]
    assert audits
    with stored(tmp_path / "run") as store:
        asked = store.queries("run", query_ids=[one.query for one in audits])
    assert all(len(set(query.items)) == 4 for query in asked)
