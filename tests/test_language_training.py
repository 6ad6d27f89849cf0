"""Whole runs of the language track, tiny: every algorithm, exact resume, controls, and bad input."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
import torch
from tiny_text_runs import tiny

from experiments.cli import main
from experiments.language import default_folder, describe, parse, settings_of
from experiments.language_presets import TASKS, language_preset
from prefrl.config_io import config_from_dict, config_to_dict
from prefrl.errors import UsageError
from prefrl.feedback import Answer, Source
from prefrl.language.config import Algorithm, LanguageConfig, TextQueryConfig, WarmStartConfig
from prefrl.language.evaluation import diversity, evaluate_model, evaluation_prompts, sequence_kl
from prefrl.language.model_files import load_small_model
from prefrl.language.tasks.task import make_task
from prefrl.language.trainer import TextTrainer
from prefrl.language.training import MODEL, STORE, WARM_START, load_language_config, train_text
from prefrl.runs.log import RunFolder
from prefrl.store.feedback_store import FeedbackStore
from prefrl.texts.response_files import read_responses

ALGORITHMS: tuple[Algorithm, ...] = get_args(Algorithm)


DIES_AT = {"sft": 1, "reward": 1, "dpo": 2, "ipo": 2, "kto": 2}
"""Rows of the algorithm's stage after which a run is killed, some way behind its last checkpoint; else 4."""


class Stop(Exception):
    """What a killed process looks like from inside."""


def same_run(folder: Path, other: Path) -> None:
    """Two run folders tell the same story, but for the time it took."""
    timed = {"seconds", "steps_per_second", "fit_seconds", "wall_seconds", "commit"}
    rows, theirs = (RunFolder.open(one).read_metrics() for one in (folder, other))
    clean = [[{k: v for k, v in row.items() if k not in timed} for row in one] for one in (rows, theirs)]
    assert clean[0] == clean[1]
    mine, yours = (json.loads((one / "summary.json").read_text()) for one in (folder, other))
    assert {k: v for k, v in mine.items() if k not in timed} == {
        k: v for k, v in yours.items() if k not in timed
    }


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_every_algorithm_trains_and_a_killed_run_resumes_exactly(
    algorithm: Algorithm, tmp_path: Path
) -> None:
    config = tiny(algorithm=algorithm)
    whole = train_text(config, tmp_path / "whole" / "run")
    left = DIES_AT.get(algorithm, 4)

    def kill(row: dict[str, Any]) -> None:
        nonlocal left
        left -= row["stage"] == algorithm
        if not left:
            raise Stop

    with pytest.raises(Stop):
        train_text(config, tmp_path / "killed" / "run", watch=kill)
    resumed = train_text(config, tmp_path / "killed" / "run", resume=True)
    same_run(tmp_path / "whole" / "run", tmp_path / "killed" / "run")
    assert resumed["exact"]
    assert 0 <= whole["gold_before"] <= 1
    assert 0 <= whole["gold_after"] <= 1
    assert whole["algorithm"] == algorithm


def test_the_models_of_a_run_can_be_loaded_and_differ(tmp_path: Path) -> None:
    train_text(tiny(task="addition"), tmp_path / "run")
    rows = torch.tensor([[2, 3, 4]])
    before, after = (load_small_model(tmp_path / "run" / name)[0] for name in (WARM_START, MODEL))
    assert before.hidden(rows, None).shape == after.hidden(rows, None).shape
    fresh = train_text(
        replace(tiny(task="addition", algorithm="sft"), start=str(tmp_path / "run" / MODEL)),
        tmp_path / "next",
    )
    assert fresh["steps"] == 256 + 128


def test_a_finished_run_is_not_trained_again_and_other_settings_are_refused(tmp_path: Path) -> None:
    config = tiny(algorithm="sft")
    done = train_text(config, tmp_path / "run")
    assert train_text(config, tmp_path / "run", resume=True)["gold_after"] == done["gold_after"]
    with pytest.raises(UsageError, match="was started with seed 0, not 1"):
        train_text(replace(config, seed=1), tmp_path / "run", resume=True)
    with pytest.raises(UsageError, match="holds a run already"):
        train_text(config, tmp_path / "run")


def test_a_run_that_cannot_begin_leaves_no_folder(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="nowhere"):
        train_text(tiny(start=str(tmp_path / "nowhere")), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_comparisons_and_their_texts_are_in_the_run_folder(tmp_path: Path) -> None:
    train_text(tiny(algorithm="dpo"), tmp_path / "run")
    task = make_task("walks")
    texts = read_responses(tmp_path / "run")
    with FeedbackStore(tmp_path / "run" / STORE) as store:
        (run,) = store.runs()
        queries = {query.id: query for query in store.queries(run)}
        answers = store.current_answers(run)
    assert len(queries) == len(answers) == 40
    for answer in answers:
        left, right = (texts[item] for item in queries[answer.query_id].items)
        assert left.prompt == right.prompt
        gold = [task.score(one.prompt, one.text) for one in (left, right)]
        assert answer.value == (np.sign(gold[0] - gold[1]) + 1) / 2


def test_the_warm_start_stops_inside_the_transition(tmp_path: Path) -> None:
    config = tiny(task="addition", algorithm="sft")
    config = replace(config, warm_start=replace(config.warm_start, stop_at=0.0, steps=100_000), steps=32)
    assert train_text(config, tmp_path / "run")["warm_start_steps"] == 128


def test_the_curriculum_begins_with_easy_prompts() -> None:
    from prefrl.language.supervised import draw_demonstrations

    task, rng = make_task("addition"), np.random.default_rng(0)
    means = [
        np.mean(
            [task.difficulty(p) for p in draw_demonstrations(task, 200, rng, progress=at, curriculum=True)[0]]
        )
        for at in (0.0, 0.5, 1.0)
    ]
    plain = draw_demonstrations(task, 400, rng, progress=0.0, curriculum=False)[0]
    assert means[0] < means[1] < means[2]
    assert means[2] == pytest.approx(np.mean([task.difficulty(p) for p in plain]), abs=0.2)


def test_evaluating_leaves_no_trace_in_the_runs_random_numbers(tmp_path: Path) -> None:
    with FeedbackStore(tmp_path / STORE) as store:
        trainer = TextTrainer(tiny(), store, tmp_path, run="run")
        state = trainer.bench.generator.get_state(), torch.get_rng_state()
        first, second = trainer.evaluate(), trainer.evaluate()
        assert first == second
        assert torch.equal(state[0], trainer.bench.generator.get_state())
        assert torch.equal(state[1], torch.get_rng_state())


def test_a_policy_against_itself_has_no_kl_and_wins_half(tmp_path: Path) -> None:
    with FeedbackStore(tmp_path / STORE) as store:
        bench = TextTrainer(tiny(), store, tmp_path, run="run").bench
    prompts = evaluation_prompts(bench.task, "held_out", 8, seed=0)
    found = evaluate_model(
        bench.model, bench.tokenizer, bench.task, prompts, seed=0, reference=bench.model.copy()
    )
    assert (found.kl, found.win_rate) == (0.0, 0.5)


def test_the_kl_of_sequences_equals_enumeration(tmp_path: Path) -> None:
    """Token by token, without batches: the mean over samples of the exact inner sums."""
    with FeedbackStore(tmp_path / STORE) as store:
        bench = TextTrainer(tiny(), store, tmp_path, run="run").bench
    model, other = bench.model.copy(), bench.model.copy()
    with torch.no_grad():
        for one in other.parameters():
            one.add_(0.3 * torch.randn(one.shape, generator=torch.Generator().manual_seed(1)))
    bench.model = model
    responses = bench.write(bench.task.prompts("train", 4, bench.rng), copies=1)
    found = sequence_kl(model, other, responses, len(bench.tokenizer))
    total = 0.0
    for row in range(len(responses)):
        start = int(responses.padding[row])
        tokens = responses.tokens[row, start:].unsqueeze(0)
        for t in range(int(responses.lengths[row])):
            before = tokens[:, : responses.prompt_columns - start + t]
            with torch.no_grad():
                p, q = (m.log_probs(m.hidden(before, None))[0, -1].exp() for m in (model, other))
            kept = p > 0
            total += float((p[kept] * (p[kept] / q[kept]).log()).sum())
    assert found == pytest.approx(total / len(responses), rel=1e-4)


def test_diversity_counts_distinct_completions_per_prompt() -> None:
    assert diversity(["a", "a", "b", "c"], 2) == pytest.approx(0.75)


def test_a_person_is_waited_for_and_the_answers_are_learned_from(tmp_path: Path) -> None:
    config = tiny(teacher="human", algorithm="reward")
    folder = tmp_path / "run"
    waits = []

    def watch(row: dict[str, Any]) -> None:
        if "waiting" not in row:
            return
        waits.append(row["waiting"])
        with FeedbackStore(folder / STORE) as store:
            for query in store.open_queries("run", 10):
                store.add_answer(Answer(f"a-{query.id}", query.id, 1.0, source=Source.PERSON, labeller="Ada"))

    summary = train_text(config, folder, watch=watch)
    assert waits[:2] == ["40 answers", "30 answers"]
    assert summary["labels"] == 40
    assert not summary["exact"]


def test_the_command_trains_and_resumes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    small = "--steps 32 --warm-start.steps 64 --model.layers 1 --model.width 16 --evaluation-prompts 4"
    folder = str(tmp_path / "run")
    command = ["language", "train", "addition", "--algorithm", "rloo", "--run", folder, *small.split()]
    assert main(command) == 0
    said = capsys.readouterr().out
    assert "addition by rloo: gold " in said
    assert folder in said
    assert main(["language", "train", "--resume", "--run", folder]) == 0
    assert main(command) == 2


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("language", "usage: prefrl language train TASK"),
        ("language train addition --algorithm alchemy", "no algorithm 'alchemy': choose from sft, reward"),
        ("language train subtraction", "unknown task 'subtraction'"),
        ("language train addition --labels 2 --reward learned", "labels must be at least 4"),
        ("language train addition --rollout.copies 0", "rollout.copies must be at least 1"),
        (
            "language train addition --algorithm ppo --value.start reward",
            "value.start reward needs a learned",
        ),
    ],
)
def test_bad_input_is_one_line(words: str, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words.split()) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_every_preset_is_possible_and_survives_being_written_down(task: str, algorithm: Algorithm) -> None:
    config = language_preset(task, algorithm)
    assert config_from_dict(LanguageConfig, json.loads(json.dumps(config_to_dict(config)))) == config
    assert settings_of(parse([task, "--algorithm", algorithm])) == config
    assert default_folder(config).name == f"{task}-{algorithm}-{config.reward}-s0"


def test_a_run_of_the_other_track_is_told_so(tmp_path: Path) -> None:
    RunFolder.create(tmp_path / "run", {"task": "hopper"})
    with pytest.raises(UsageError, match="is not a run of prefrl language"):
        load_language_config(tmp_path / "run")


@pytest.mark.parametrize(
    ("kind", "values", "said"),
    [
        (WarmStartConfig, {"batch_size": 0}, "warm_start.batch_size must be above 0"),
        (TextQueryConfig, {"copies": 1}, "query.copies must be at least 2"),
        (TextQueryConfig, {"pairs_per_prompt": 7}, "between 1 and the pairs of 4 responses"),
        (LanguageConfig, {"best_of": 1}, "best_of must be at least 2"),
        (LanguageConfig, {"steps": 0}, "steps must be at least 1"),
    ],
)
def test_impossible_settings_are_refused(kind: Any, values: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        kind(**values)


def test_the_summary_is_described_in_one_line() -> None:
    summary = {
        "task": "walks",
        "algorithm": "dpo",
        "gold_before": 0.4,
        "gold_after": 0.9,
        "gold_sampled_before": 0.3,
        "gold_sampled_after": 0.8,
        "kl": 1.5,
        "labels": 100,
        "wall_seconds": 12.3,
    }
    assert describe(summary) == (
        "walks by dpo: gold 0.400 -> 0.900 (sampled 0.300 -> 0.800), KL 1.50 nats, 100 labels, 12 s"
    )
