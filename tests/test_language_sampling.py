"""Sampling: what is written does not depend on the batch, and is distributed as the model says."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from prefrl.errors import UsageError
from prefrl.language.completions import frozen_distribution, frozen_log_prob
from prefrl.language.model_config import ModelConfig
from prefrl.language.models import SmallModel
from prefrl.language.responses import Responses
from prefrl.language.sampling import sample_responses
from prefrl.language.tokenizers import SymbolTokenizer
from prefrl.language.transformer import Transformer

TOKENIZER = SymbolTokenizer("abcd")
PROMPTS = ["a", "abc", "db", "ccdd", "a"]
LONGEST = 6


@pytest.fixture
def model() -> SmallModel:
    torch.manual_seed(3)
    body = Transformer(len(TOKENIZER), 12, ModelConfig(layers=2, heads=2, width=8)).double()
    with torch.no_grad():
        body.embedding.mul_(8.0)  # far from uniform
    return SmallModel(body, suppressed=TOKENIZER.padding)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def written(model: SmallModel, **options: object) -> Responses:
    settings = {"longest": LONGEST, "generator": seeded(), "copies": 3} | options
    return sample_responses(model, TOKENIZER, PROMPTS, **settings)  # type: ignore[arg-type]


def test_the_batch_size_changes_nothing(model: SmallModel) -> None:
    whole = written(model)
    for batch in (1, 4, 7):
        part = written(model, batch=batch)
        assert part.completions == whole.completions
        assert part.log_prob is not None
        torch.testing.assert_close(part.log_prob, whole.log_prob)


def test_neighbours_change_nothing(model: SmallModel) -> None:
    whole = written(model, copies=1)
    draws = torch.rand(len(PROMPTS), LONGEST, generator=seeded(), dtype=torch.float64)
    for place, prompt in enumerate(PROMPTS):
        generator = seeded()
        torch.rand(place * LONGEST, generator=generator, dtype=torch.float64)
        assert torch.equal(torch.rand(LONGEST, generator=generator, dtype=torch.float64), draws[place])
        generator = seeded()
        torch.rand(place * LONGEST, generator=generator, dtype=torch.float64)
        alone = sample_responses(model, TOKENIZER, [prompt], longest=LONGEST, generator=generator)
        assert alone.completions[0] == whole.completions[place]


def test_log_probabilities_are_those_of_the_model_without_a_cache(model: SmallModel) -> None:
    responses = written(model)
    assert responses.log_prob is not None
    torch.testing.assert_close(responses.log_prob, frozen_log_prob(model, responses))
    assert (responses.log_prob[responses.mask.bool()] < 0).all()


def test_mask_end_and_text_belong_together(model: SmallModel) -> None:
    responses = written(model, copies=8)
    assert set(responses.finished.tolist()) == {True, False}
    for place in range(len(responses)):
        row = responses.written[place, : int(responses.lengths[place])].tolist()
        assert bool(responses.finished[place]) == (row[-1] == TOKENIZER.end)
        assert responses.completions[place] == TOKENIZER.decode(row)
        assert TOKENIZER.end not in row[:-1]
        assert int(responses.last[place]) == len(row) - 1
        assert len(row) == LONGEST or responses.finished[place]


def test_copies_of_a_prompt_stand_side_by_side(model: SmallModel) -> None:
    assert list(written(model).prompts) == [prompt for prompt in PROMPTS for _ in range(3)]


def test_without_a_generator_the_likeliest_token_is_written(model: SmallModel) -> None:
    responses = written(model, generator=None, copies=1)
    likeliest = frozen_distribution(model, responses).argmax(-1)
    assert torch.equal(likeliest[responses.mask.bool()], responses.written[responses.mask.bool()])


def first_tokens(model: SmallModel, temperature: float) -> tuple[Tensor, Tensor]:
    """How often each token came first, and how often the model says it should."""
    responses = sample_responses(
        model, TOKENIZER, ["ab"], longest=1, generator=seeded(1), copies=20_000, temperature=temperature
    )
    counts = torch.bincount(responses.written[:, 0], minlength=len(TOKENIZER)).double() / len(responses)
    said = frozen_distribution(model, responses.take(torch.tensor([0])))[0, 0]
    return counts, torch.softmax(said / temperature, -1)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0])
def test_tokens_come_as_often_as_the_model_says(model: SmallModel, temperature: float) -> None:
    counts, expected = first_tokens(model, temperature)
    assert counts[TOKENIZER.padding] == 0
    assert (counts - expected).abs().max() < 4 * (0.25 / 20_000) ** 0.5


def test_taking_rows_takes_all_of_them(model: SmallModel) -> None:
    responses = written(model)
    order = torch.tensor([4, 0])
    taken = responses.take(order)
    assert taken.completions == (responses.completions[4], responses.completions[0])
    assert torch.equal(taken.tokens, responses.tokens[order])
    assert taken.log_prob is not None
    assert responses.log_prob is not None
    assert torch.equal(taken.log_prob, responses.log_prob[order])


def test_impossible_wishes_are_refused(model: SmallModel) -> None:
    with pytest.raises(UsageError, match="temperature must be above 0, not 0"):
        written(model, temperature=0.0)
    with pytest.raises(UsageError, match="of 4 tokens and a completion of 9 do not fit into a context of 12"):
        written(model, longest=9)
