"""Votes on texts, the reward fitted to them, and its file."""

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from text_pairs import make_collection, numbered_pair

from experiments.text_fit import TextFitConfig, run_text_fit
from prefrl.errors import UsageError
from prefrl.feedback import Query, Remark, RemarkKind
from prefrl.labellers.labelling import Labelling
from prefrl.labellers.weights import set_weight
from prefrl.language.feature_reward import (
    FeatureRewardNetwork,
    cross_validate,
    fit_feature_reward,
    predict,
)
from prefrl.member_layers import squared_norms
from prefrl.store.feedback_store import FeedbackStore
from prefrl.texts.features import text_features
from prefrl.texts.fit_file import FILE, load_text_fit
from prefrl.texts.response_files import read_responses
from prefrl.texts.votes import Votes, read_votes

NAME = "texts"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return make_collection(tmp_path / NAME, *map(numbered_pair, range(24)))


@pytest.fixture
def store(folder: Path) -> Iterator[FeedbackStore]:
    with FeedbackStore(folder / "feedback.sqlite") as store:
        yield store


def labelling(store: FeedbackStore, labeller: str = "ada", overlap: int = 2) -> Labelling:
    return Labelling(store, NAME, labeller=labeller, seed=0, overlap=overlap)


def votes_of(store: FeedbackStore, folder: Path) -> Votes:
    return read_votes(store, NAME, read_responses(folder))


def answer(labeller: Labelling, query: Query, value: float | None) -> None:
    labeller.answer(query, value, shown=(0, 1), seconds=1.0)


def test_a_pair_has_one_vote_however_many_answer_it(store: FeedbackStore, folder: Path) -> None:
    queries = store.queries(NAME)
    ada, bob = labelling(store), labelling(store, "bob")
    answer(ada, queries[0], 1.0)
    answer(bob, queries[0], 0.5)
    answer(ada, queries[1], 0.0)
    answer(ada, queries[2], None)
    votes = votes_of(store, folder)
    assert (votes.answers, votes.preference.tolist()) == (3, [0.75, 0.0])
    assert votes.groups == (queries[0].group, queries[1].group)
    responses = read_responses(folder)
    assert votes.left[1].tolist() == list(text_features(responses[queries[1].items[0]].text))
    set_weight(store, NAME, "bob", 0.0, by="ada")
    assert votes_of(store, folder).preference.tolist() == [1.0, 0.0]
    set_weight(store, NAME, "bob", 0.25, by="ada")
    assert votes_of(store, folder).preference.tolist() == [pytest.approx(0.9), 0.0]


def test_late_answers_and_lost_texts_do_not_vote(store: FeedbackStore, folder: Path) -> None:
    queries = store.queries(NAME)
    answer(labelling(store), queries[0], 1.0)
    before = votes_of(store, folder)
    store.add([Remark(id="close", run=NAME, kind=RemarkKind.CLOSE, subject=queries[1].id, labeller="ada")])
    answer(labelling(store, "bob"), queries[1], 1.0)
    assert votes_of(store, folder).digest == before.digest
    responses = read_responses(folder)
    del responses[queries[0].items[1]]
    assert len(read_votes(store, NAME, responses)) == 0


def test_the_network_has_two_layers_and_members_of_their_own() -> None:
    torch.manual_seed(0)
    network = FeatureRewardNetwork(3, members=2, hidden=5)
    x = torch.randn(7, 3)
    network.set_input_moments(x)
    y = (x - x.mean(0)) / x.std(0, correction=0)
    for member in range(2):
        first = network.first.weight.view(2, 5, 3)[member], network.first.bias.view(2, 5)[member]
        hidden = torch.tanh(torch.nn.functional.linear(y, *first))
        expected = hidden @ network.head.weight[member, :, 0] + network.head.bias[member, 0, 0]
        torch.testing.assert_close(network(x)[member], expected)
    assert squared_norms(network, 2).shape == (2,)
    assert network(x.view(7, 1, 3)).shape == (2, 7, 1)


def planted(pairs: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, list[str]]:
    rng = np.random.default_rng(seed)
    left, right = rng.standard_normal((2, pairs, 3))
    preference = (left[:, 0] > right[:, 0]).astype(np.float64)
    return left, right, preference, [f"prompt {number}" for number in range(pairs)]


def test_a_reward_learns_the_feature_that_decides_and_predicts_other_prompts() -> None:
    left, right, preference, groups = planted(80, seed=0)
    held_out = cross_validate(left, right, preference, groups, seed=0)
    assert (held_out.pairs, held_out.folds) == (80, 10)
    assert held_out.agreement.estimate > 0.85
    assert held_out.log_loss < 0.45
    ensemble = fit_feature_reward(left, right, preference, seed=0)
    low, high = predict(ensemble, np.array([[-1.0, 0, 0], [1.0, 0, 0]])).mean(0)
    assert high - low > 1.0


def test_random_answers_cannot_be_predicted_on_other_prompts() -> None:
    left, right, preference, groups = planted(80, seed=0)
    shuffled = np.random.default_rng(1).permutation(preference)
    held_out = cross_validate(left, right, shuffled, groups, seed=0)
    assert held_out.agreement.lower < 0.5 < held_out.agreement.upper


def test_pairs_of_a_prompt_are_never_on_both_sides_of_a_fold() -> None:
    # Every prompt has one pair twice, with random answers: whoever saw its twin would know the answer.
    left, right, preference, groups = planted(40, seed=3)
    coin = np.random.default_rng(4).integers(0, 2, 40).astype(np.float64)
    twice = [np.concatenate([one, one]) for one in (left, right, coin)]
    held_out = cross_validate(*twice, groups + groups, seed=0)
    assert held_out.agreement.estimate < 0.7
    with pytest.raises(UsageError, match="only one"):
        cross_validate(left, right, preference, ["one prompt"] * 40, seed=0)


def test_the_same_votes_and_seed_give_the_same_reward() -> None:
    left, right, preference, _ = planted(20, seed=5)
    torch.manual_seed(1)
    state = torch.get_rng_state()
    one = predict(fit_feature_reward(left, right, preference, seed=2), left)
    assert torch.equal(torch.get_rng_state(), state)
    assert np.array_equal(one, predict(fit_feature_reward(left, right, preference, seed=2), left))


def test_the_command_writes_what_the_page_reads(
    store: FeedbackStore, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(UsageError, match="has 0 answers: give 20"):
        run_text_fit(TextFitConfig(folder))
    responses = read_responses(folder)
    for query in store.queries(NAME):
        left, right = (len(responses[item].text) for item in query.items)
        answer(labelling(store), query, float(left > right))
    assert run_text_fit(TextFitConfig(folder)) == 0
    assert "held-out agreement: 100.0%" in capsys.readouterr().out
    fit = load_text_fit(folder)
    assert fit is not None
    assert (fit.digest, fit.answers, fit.pairs) == (votes_of(store, folder).digest, 24, 24)
    assert fit.agreement.estimate == 1.0
    length = fit.curves[0]
    assert length.feature == "length"
    assert length.reward[-1] > length.reward[0] + 1
    assert all(
        low <= mean <= high
        for low, mean, high in zip(length.lowest, length.reward, length.highest, strict=True)
    )


def test_a_damaged_fit_is_none(tmp_path: Path) -> None:
    assert load_text_fit(tmp_path) is None
    for content in ("{", "[]", "{}", json.dumps({"curves": [{"x": 1}], "agreement": {}})):
        (tmp_path / FILE).write_text(content)
        assert load_text_fit(tmp_path) is None
