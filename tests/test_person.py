"""The scripted person: sees the screen, presses the oracle's keys, and finds out what went astray."""

import json
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fake_runs import make_run
from waiting_run import make_waiting_run

from experiments.browser import LabelPage
from experiments.person import PERSON, PersonConfig, run_person, train_words, went_astray
from experiments.person_figures import compare, describe, figures_of
from experiments.scripted_person import Press, ScriptedPerson, Sitting, sit
from prefrl.clip_files import read_note
from prefrl.control.segment_files import load_segments
from prefrl.errors import UsageError
from prefrl.runs.log import RunFolder
from prefrl.store.feedback_store import FeedbackStore

RUN = "human"
TINY = (
    "--num-envs 8 --rollout-steps 32 --num-threads 1 --evaluation-episodes 2 --device cpu --ppo.epochs 1 "
    "--query.segment-length 10 --query.sessions 2 --query.pool-size 40 --query.open-queries 6 "
    "--reward-model.fit.first-gradient-steps 10 --reward-model.fit.max-gradient-steps 5"
)
LONG = Sitting(
    [Press(f"q{i}", 1.0, 2.0 + i, latency, i > 0) for i, latency in enumerate([9.0, 30.0, None])], 6.0
)


@pytest.fixture(scope="module")
def waiting_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_waiting_run(tmp_path_factory.mktemp("made") / RUN, pairs=6)


@pytest.mark.browser
def test_a_person_in_the_browser_and_the_oracle_train_runs_of_equal_budgets(
    browser: Any, tmp_path: Path
) -> None:
    config = PersonConfig(
        "probe-target",
        pairs=12,
        steps=1024,
        per_minute=120,
        oracle_seeds=(0,),
        baseline=(),
        train_options=TINY,
        run=tmp_path,
    )
    assert run_person(config, browser=lambda: nullcontext(browser)) == 0
    result = json.loads((tmp_path / "person.json").read_text())
    assert result["problems"] == []
    work, runs = result["labelling"], result["comparison"]["runs"]
    assert work["answers"] == 12
    assert work["latency_ms"]["count"] + work["waits_for_a_pair"] == 11
    assert work["server_mib"]["highest"] > 20
    summaries = [RunFolder.open(tmp_path / name).read_summary() or {} for name in (PERSON, "oracle-s0")]
    assert [one["labels"] for one in summaries] == [12, 12]
    assert runs.keys() == {PERSON, "oracle-s0"}
    with FeedbackStore(tmp_path / PERSON / "feedback.sqlite") as store:
        answers, queries = store.current_answers(PERSON), {one.id: one for one in store.queries(PERSON)}
    for answer in answers:
        segments = load_segments(tmp_path / PERSON / "segments", list(queries[answer.query_id].items))
        left, right = segments.true_reward.sum(1)
        assert answer.value == (1.0 if left > right else 0.0 if left < right else 0.5)


@pytest.mark.browser
def test_an_answer_that_goes_astray_is_found(
    browser: Any, serve: Any, runs: Path, store: FeedbackStore
) -> None:
    page = LabelPage(browser.new_context(), serve(runs), RUN, "script")
    sitting = sit(ScriptedPerson(page, runs / RUN, store, per_minute=120), 3, trains=lambda: False)
    page.wait_for_receipts(3)
    assert went_astray(page, sitting, store) == []
    first, second, third = sitting.presses
    wrong = Sitting([replace(first, value=0.25), replace(second, query="another"), third, third])
    words = "\n".join(went_astray(page, wrong, store))
    assert f"{first.query}: 0.25 was meant, {first.value} is stored" in words
    assert "another was not acknowledged" in words
    assert "another was answered and is not stored" in words
    assert f"{second.query} is stored, and nobody answered it" in words
    assert "4 presses were for 3 pairs" in words


@pytest.mark.parametrize("swapped", [False, True], ids=["as asked", "swapped"])
def test_the_key_follows_the_sides_on_the_screen(runs: Path, store: FeedbackStore, swapped: bool) -> None:
    person = ScriptedPerson(None, runs / RUN, store, per_minute=60)  # type: ignore[arg-type] - sees no page
    for query in store.queries(RUN):
        notes = [read_note(runs / RUN, item) for item in query.items]
        pictures = [note.sheet.file for note in notes if note is not None and note.sheet is not None]
        left, right = load_segments(runs / RUN / "segments", list(query.items)).true_reward.sum(1)
        shown = {"query": query.id, "pictures": pictures[::-1] if swapped else pictures}
        value, key = person.decide(shown)
        assert value == float(left > right)
        assert key == ("ArrowLeft" if bool(left > right) != swapped else "ArrowRight")
    with pytest.raises(UsageError, match="whose clips are"):
        person.decide({"query": query.id, "pictures": ["a.webp", "b.webp"]})


def test_both_runs_are_told_the_same() -> None:
    words = train_words(PersonConfig(pairs=300, steps=1000, train_options="--num-envs 4"), 7)
    options = "--steps 1000 --labels 300 --seed 7 --query.pace labels --query.max-steps-per-label 4"
    assert " ".join(words) == f"{options} --num-envs 4"


def test_the_figures_of_a_sitting() -> None:
    figures = figures_of(LONG, [100.0, 130.4, 120.0])
    assert figures["per_minute"] == 30.0
    assert figures["seconds_per_answer"] == 3.0
    assert figures["latency_ms"] == {"count": 2, "median": 19.5, "ninth_decile": 27.9, "largest": 30.0}
    assert figures["latency_beside_training_ms"]["count"] == 1
    assert figures["waits_for_a_pair"] == 0
    assert figures["server_mib"] == {"first": 100, "last": 120, "highest": 130}


def test_runs_are_compared_with_the_oracles_and_the_baseline(tmp_path: Path) -> None:
    person = make_run(tmp_path / PERSON, top=2000.0, untrained=0.0)
    oracle = [make_run(tmp_path / f"oracle-s{seed}", seed=seed, top=2000.0, untrained=0.0) for seed in (0, 1)]
    make_run(tmp_path / "true", reward="true", top=4000.0, untrained=0.0)
    make_run(tmp_path / "hopper", task="hopper", reward="true", top=9.0)
    compared = compare(person, oracle, baseline=[tmp_path / "true", tmp_path / "hopper", tmp_path / "none"])
    assert compared["baseline_runs"] == 1
    assert 0.4 < compared["runs"][PERSON]["normalised_score"] < 0.6
    mean, low, high = compared["oracle"]["true_return"]
    assert low <= mean <= high
    words = describe({"labelling": figures_of(LONG, [1.0]), "problems": [], "comparison": compared})
    assert "every answer was stored once" in words
    assert "oracle-s1: true return" in words
    without = compare(person, [], baseline=[])
    assert without["runs"][PERSON]["normalised_score"] is None
    assert without["oracle"]["agreement"] is None


def test_impossible_settings_and_half_done_runs_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--pairs must be at least 4"):
        PersonConfig(pairs=3)
    (tmp_path / PERSON).mkdir()
    with pytest.raises(UsageError, match="has no result yet: delete it"):
        run_person(PersonConfig(run=tmp_path))
