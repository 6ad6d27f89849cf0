"""The planted bias for length: found where it is strong, and counted as it should be."""

import json
from pathlib import Path

import numpy as np
import pytest

from experiments.text_bias import TextBiasConfig, run_session, run_text_bias
from experiments.text_samples import FEWEST, MOST, sample_text
from prefrl.errors import UsageError
from prefrl.texts.features import feature_table, split_words

ROOT = Path(__file__).parents[1]


def test_sampled_texts_vary_in_each_feature_apart_from_the_others() -> None:
    rng = np.random.default_rng(0)
    texts = [sample_text(rng) for _ in range(150)]
    assert all(FEWEST <= len(split_words(text)) <= MOST for text in texts)
    table = feature_table(texts)
    assert (table.std(0) > [0.4, 10.0, 2.0]).all()
    correlations = np.corrcoef(table.T)[np.triu_indices(3, 1)]
    assert (np.abs(correlations) < 0.25).all()


def test_a_strong_bias_is_found_in_every_session_and_with_its_sign(tmp_path: Path) -> None:
    config = TextBiasConfig(answers=40, bias=6.0, error_rate=0.0, reward=False)
    for number, bias in enumerate((6.0, 6.0, -6.0, -6.0)):
        session = run_session(tmp_path / str(number), config, bias=bias, seed=(1, number))
        assert "length" in session.found
        assert (session.coefficient[0] > 0) == (session.longer_wins > 0.5) == (bias > 0)


def test_the_command_tells_and_writes_its_figures(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "figures.json"
    run_text_bias(TextBiasConfig(sessions=2, answers=20, bias=8.0, error_rate=0.0, reward=False, out=out))
    said = capsys.readouterr().out
    assert "with the bias: 2 sessions" in said
    assert "length       found in 2" in said
    figures = json.loads(out.read_text())
    assert (len(figures["biased"]), len(figures["honest"])) == (2, 2)
    assert figures["config"]["bias"] == 8.0
    assert figures["biased"][0] != figures["biased"][1]


def test_the_readme_says_in_how_many_sessions_the_bias_was_found() -> None:
    figures = json.loads((ROOT / "experiments/results/text_bias.json").read_text(encoding="utf-8"))
    found = sum("length" in session["found"] for session in figures["biased"])
    assert found >= 19
    readme = " ".join((ROOT / "README.md").read_text(encoding="utf-8").split())
    assert f"found in {found} of {len(figures['biased'])} simulated sessions" in readme


def test_too_few_answers_for_the_page_are_refused() -> None:
    with pytest.raises(UsageError, match="--answers at least 20"):
        TextBiasConfig(answers=19)
