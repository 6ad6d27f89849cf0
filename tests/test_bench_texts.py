"""The benchmark of texts: both methods run on equal work, and a peer that cannot be had is named."""

from __future__ import annotations

from pathlib import Path

import pytest

from experiments import bench_texts
from experiments.bench_peer import PeerUnavailable
from experiments.bench_texts import COMPLETION, PAIRS, PROMPT, RESPONSES, TRL, run_dpo, run_grpo
from prefrl.language.bench import context_of
from prefrl.language.tasks.task import make_task


def test_both_methods_are_timed_over_the_steps_behind_the_warm_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench_texts, "WARM_UP", 1)
    dpo, grpo = run_dpo(2, 0, 1), run_grpo(2, 0, 1)
    assert (dpo.steps, grpo.steps) == (2 * PAIRS, 2 * RESPONSES)
    assert dpo.seconds > 0
    assert grpo.seconds > 0


def test_texts_are_as_long_as_the_peers() -> None:
    task = make_task("experiments.bench_texts:RandomTexts")
    assert context_of(task) == PROMPT + COMPLETION
    assert len(task.symbols) == 62


def test_a_peer_that_cannot_be_installed_is_named_and_we_are_measured_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_args: object, **_options: object) -> Path:
        raise PeerUnavailable("it cannot be installed: no network")

    monkeypatch.setattr(bench_texts, "WARM_UP", 0)
    monkeypatch.setattr(bench_texts, "install", refuse)
    benches = bench_texts.bench_texts(
        steps=1, threads=1, seeds=(0,), folder=tmp_path, peer=True, say=lambda _line: None
    )
    assert [bench.name for bench in benches] == ["DPO texts", "GRPO texts"]
    for bench in benches:
        assert list(bench.samples) == ["PrefRL"]
        assert TRL in bench.missing
