"""Reward networks on texts and comparisons of them: batches change nothing, nothing is asked twice."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
import torch
from tiny_text_runs import tiny
from torch import Tensor

from prefrl.ensemble import RewardEnsemble
from prefrl.errors import UsageError
from prefrl.feedback import Answer, Source
from prefrl.language.assessment import answer_probability, assess_text_reward
from prefrl.language.bench import make_bench
from prefrl.language.config import LanguageConfig, TeacherName
from prefrl.language.preferences import TextPreferences
from prefrl.language.responses import encode_responses
from prefrl.language.reward_network import ResponseTable, RewardTransformer, make_reward_ensemble
from prefrl.language.tokenizers import SymbolTokenizer
from prefrl.language.value_model import make_value_model
from prefrl.store.feedback_store import FeedbackStore
from prefrl.teacher_config import SCRIPTED_TEACHERS
from prefrl.teachers import TEACHER_NAMES, make_teacher
from prefrl.texts.response_files import read_responses

CPU = torch.device("cpu")
TOKENIZER = SymbolTokenizer("abcd")
PROMPTS, TEXTS, DONE = ["a", "bb", "a"], ["cd", "d", "abcd"], [True, True, False]


def table(reading: str = "last") -> ResponseTable:
    found = ResponseTable(TOKENIZER, 12, CPU, reading=reading)  # type: ignore[arg-type]
    found.add(PROMPTS, TEXTS, DONE)
    return found


def config(**changes: object) -> LanguageConfig:
    return replace(tiny(algorithm="ppo"), **changes)


def preferences(folder: Path, settings: LanguageConfig, store: FeedbackStore) -> TextPreferences:
    bench = make_bench(settings)
    ensemble = make_reward_ensemble(bench.model, members=2, from_policy=True, device=CPU)
    return TextPreferences(bench, store, folder, run="run", ensemble=ensemble)


def ensemble_of(members: int = 2) -> RewardEnsemble:
    bench = make_bench(config())
    torch.manual_seed(1)
    ensemble = make_reward_ensemble(bench.model, members=members, from_policy=True, device=CPU).double()
    with torch.no_grad():
        assert isinstance(ensemble.network, RewardTransformer)
        ensemble.network.head.weight.normal_()
    return ensemble


def test_the_return_is_read_at_the_last_real_token_or_summed_over_the_completion() -> None:
    rows = torch.arange(3)
    assert table().mask(rows).tolist() == [[0, 0, 0, 1, 0], [0, 0, 0, 1, 0], [0, 0, 0, 0, 1]]
    assert table("sum").mask(rows).tolist() == [[0, 1, 1, 1, 0], [0, 0, 1, 1, 0], [0, 1, 1, 1, 1]]
    end = TOKENIZER.end
    assert table().inputs(rows)[0].tolist() == [2, 4, 5, end, TOKENIZER.padding]
    assert table().inputs(rows)[2].tolist()[-1] != end


@pytest.mark.parametrize("reading", ["last", "sum"])
def test_the_batch_does_not_change_a_return(reading: str) -> None:
    ensemble, bench = ensemble_of(), make_bench(config())
    texts = ResponseTable(bench.tokenizer, bench.model.context, CPU, reading=reading)  # type: ignore[arg-type]
    texts.add(["a>b:", "c>d:", "e>f:"], ["xyz", "q", "abcdefgh"], [True, False, True])
    together = ensemble.predict_returns(texts, torch.arange(3))
    for row in range(3):
        alone = ensemble.predict_returns(texts, torch.tensor([row]))[:, 0]
        torch.testing.assert_close(alone, together[:, row])


def test_members_begin_alike_and_their_heads_differ() -> None:
    ensemble = ensemble_of(3)
    assert isinstance(ensemble.network, RewardTransformer)
    embedding, head = ensemble.network.body.embedding, ensemble.network.head.weight
    assert torch.equal(embedding[0], embedding[2])
    assert not torch.equal(head[0], head[2])
    assert all(len(one) == 3 for one in ensemble.parameters())


def test_too_long_and_empty_texts_are_refused() -> None:
    with pytest.raises(UsageError, match="has 14 tokens: the reward model takes 1 to 12"):
        table().add(["a"], ["abcdabcdabcd"], [True])


def test_scores_are_what_the_ensemble_says_of_the_texts(tmp_path: Path) -> None:
    with FeedbackStore(tmp_path / "store.sqlite") as store:
        for reading in ("last", "sum"):
            settings = config()
            settings = replace(settings, reward_model=replace(settings.reward_model, reading=reading))
            learner = preferences(tmp_path, settings, store)
            written = learner.bench.write(["a>b:", "c>d:", "e>f:"], copies=2)
            score = learner.score(written)
            assert learner.ensemble is not None
            texts = learner.bank.table_of(written)
            with torch.no_grad():
                raw = learner.ensemble(texts.inputs(torch.arange(6))).mean(0)
            if reading == "last":
                expected = (raw * texts.mask(torch.arange(6))).sum(1)
                torch.testing.assert_close(score, expected)
                continue
            for row in range(6):
                length = int(written.lengths[row])
                torch.testing.assert_close(score[row, :length], raw[row, 4 : 4 + length])
                assert (score[row, length:] == 0).all()


def test_pairs_are_of_one_prompt_and_different_texts_where_there_are_any(tmp_path: Path) -> None:
    with FeedbackStore(tmp_path / "store.sqlite") as store:
        learner = preferences(tmp_path, config(), store)
        learner.ask(30)
        queries = store.queries("run")
    texts = read_responses(tmp_path)
    assert len(queries) == 30
    for query in queries:
        left, right = (texts[item] for item in query.items)
        assert left.prompt == right.prompt
        assert left.text != right.text
    assert len({query.group for query in queries}) >= 15


def test_a_fit_learns_the_teachers_order_of_what_it_was_shown(tmp_path: Path) -> None:
    """Longer is better: what a teacher of this test says of any pair."""
    settings = config()
    settings = replace(
        settings,
        labels=200,
        reward_model=replace(
            settings.reward_model,
            fit=replace(settings.reward_model.fit, learning_rate=3e-3, first_gradient_steps=120),
        ),
    )
    with FeedbackStore(tmp_path / "store.sqlite") as store:
        learner = preferences(tmp_path, settings, store)
        learner.bench.task.score = lambda _prompt, text: len(text) / 16  # type: ignore[method-assign]
        learner.ask(200)
        row = learner.fit()
        written = learner.bench.write(learner.bench.task.prompts("train", 40, np.random.default_rng(0)))
        scores = learner.score(written).sum(1)  # walks are summed over their steps
        correlation = np.corrcoef(scores, written.lengths)[0, 1]
    assert row["labels"] == 200
    assert row["agreement"] > 0.8
    assert correlation > 0.7


def test_queries_asked_after_the_last_checkpoint_are_taken_over_and_not_asked_again(tmp_path: Path) -> None:
    settings = config(teacher="human")
    with FeedbackStore(tmp_path / "store.sqlite") as store:
        first = preferences(tmp_path, settings, store)
        state = first.state_dict()
        first.ask(10)
        asked = store.queries("run")
        store.add_answer(Answer("answer", asked[3].id, 1.0, source=Source.PERSON, labeller="Ada"))
        second = preferences(tmp_path, settings, store)
        second.load_state_dict(state)
        torch.rand(1, generator=second.bench.generator)  # whatever has changed since
        second.ask(12)
        assert store.queries("run")[:10] == asked
        assert len(store.queries("run")) == 12
        assert list(second.asked) == [query.id for query in store.queries("run")]
        found = second.compared()
        left, right = found.rows[0]
        assert (second.bank.responses[left].id, second.bank.responses[right].id) == asked[3].items


def test_a_saved_state_comes_back_with_its_texts_or_says_what_is_missing(tmp_path: Path) -> None:
    with FeedbackStore(tmp_path / "store.sqlite") as store:
        first = preferences(tmp_path, config(), store)
        first.ask(10)
        state = first.state_dict()
        second = preferences(tmp_path, config(), store)
        second.load_state_dict(state)
        assert second.bank.table.rows == first.bank.table.rows
        assert second.asked == first.asked
        (tmp_path / "responses.jsonl").write_text("")
        with pytest.raises(UsageError, match=r"is not in .*: restore responses.jsonl"):
            preferences(tmp_path, config(), store).load_state_dict(state)


def test_the_best_agreement_is_that_of_who_knows_the_gold_score() -> None:
    rng = np.random.default_rng(0)
    gold = rng.random(400)
    for teacher in ("oracle", "noisy", "mistake"):
        found = assess_text_reward(3.0 * gold - 1.0, gold, 4, teacher)
        assert found["expected_agreement"] == pytest.approx(found["best_agreement"])
        assert found["reward_correlation"] == pytest.approx(1.0)
    assert assess_text_reward(gold, gold, 4, "oracle")["best_agreement"] == 1.0
    assert assess_text_reward(gold, gold, 4, "mistake")["best_agreement"] == pytest.approx(0.9)
    against = assess_text_reward(-gold, gold, 4, "mistake")
    assert against["expected_agreement"] == pytest.approx(0.1)


def test_a_noisy_teacher_answers_as_often_as_its_formula_says() -> None:
    rng = np.random.default_rng(0)
    gold = rng.random((20_000, 2))
    answers = make_teacher("noisy", rng).answer(gold[:, :1], gold[:, 1:], candidate_std=float(gold.std()))
    chance = answer_probability(SCRIPTED_TEACHERS["noisy"], gold[:, 0] - gold[:, 1], float(gold.std()))
    for low in (0.1, 0.3, 0.5, 0.7):
        near = (chance >= low) & (chance < low + 0.2)
        assert answers[near].mean() == pytest.approx(chance[near].mean(), abs=0.03)


def test_the_teachers_that_can_be_named_are_those_of_the_core() -> None:
    assert get_args(TeacherName) == TEACHER_NAMES


def values(start: str, ensemble: RewardEnsemble | None) -> Tensor:
    bench = make_bench(config())
    settings = replace(config().value, start=start)
    model = make_value_model(bench.model, settings, ensemble, CPU)
    responses = encode_responses(["a>b:", "c>d:"], ["xyz", "q"], bench.tokenizer, context=bench.model.context)
    return model.predict(responses)


def test_a_value_function_begins_at_zero_or_from_the_reward() -> None:
    for start in ("scratch", "policy"):
        assert (values(start, None) == 0).all()
    ensemble = ensemble_of().float()
    found = values("reward", ensemble)
    bench = make_bench(config())
    tokens = torch.tensor([bench.tokenizer.encode("a>b:xyz")])
    with torch.no_grad():
        expected = ensemble(tokens)[0, 0, 3:7]  # before each token of the completion, its end included
    torch.testing.assert_close(found[0], expected)
    with pytest.raises(UsageError, match=r"value.start reward needs a learned reward"):
        values("reward", None)
