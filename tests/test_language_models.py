"""Padding, batches, members and the cache change nothing; files load in plain transformers."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from prefrl.errors import UsageError
from prefrl.language.completions import completion_inputs, completion_log_prob, frozen_log_prob
from prefrl.language.model_config import ModelConfig
from prefrl.language.model_files import SETTINGS, WEIGHTS, is_small_model, load_small_model
from prefrl.language.models import SmallModel
from prefrl.language.responses import encode_responses
from prefrl.language.reward_network import copy_members_
from prefrl.language.tokenizers import FILE, SymbolTokenizer
from prefrl.language.transformer import Transformer

TOKENIZER = SymbolTokenizer("abcdefgh")
CONTEXT = 16
CONFIG = ModelConfig(layers=2, heads=2, width=16)


@pytest.fixture
def model() -> SmallModel:
    torch.manual_seed(0)
    return SmallModel(Transformer(len(TOKENIZER), CONTEXT, CONFIG), suppressed=TOKENIZER.padding).double()


def tokens(rows: int, length: int, seed: int = 0) -> Tensor:
    return torch.randint(2, len(TOKENIZER), (rows, length), generator=torch.Generator().manual_seed(seed))


def test_later_tokens_change_nothing_before_them(model: SmallModel) -> None:
    short, long = tokens(3, 5), torch.cat([tokens(3, 5), tokens(3, 4, seed=1)], 1)
    torch.testing.assert_close(model.hidden(long, None)[:, :5], model.hidden(short, None))


def test_padding_on_the_left_changes_nothing(model: SmallModel) -> None:
    rows = tokens(3, 6)
    for columns in (1, 4):
        padded = torch.cat([torch.full((3, columns), TOKENIZER.padding), rows], 1)
        found = model.hidden(padded, torch.full((3,), columns))[:, columns:]
        torch.testing.assert_close(found, model.hidden(rows, None))


def test_what_stands_in_the_padding_changes_nothing_and_is_no_nan(model: SmallModel) -> None:
    rows = tokens(2, 8)
    other = torch.cat([tokens(2, 3, seed=5), rows[:, 3:]], 1)
    padding = torch.full((2,), 3)
    found = model.hidden(rows, padding)
    assert torch.isfinite(found).all()
    torch.testing.assert_close(found[:, 3:], model.hidden(other, padding)[:, 3:])


def test_gradients_through_padding_are_finite(model: SmallModel) -> None:
    model.hidden(tokens(2, 8), torch.tensor([3, 0])).sum().backward()
    assert all(torch.isfinite(one.grad).all() for one in model.parameters() if one.grad is not None)


def test_the_batch_changes_nothing(model: SmallModel) -> None:
    rows, padding = tokens(4, 7), torch.tensor([0, 2, 1, 0])
    whole = model.hidden(rows, padding)
    for place in range(4):
        torch.testing.assert_close(
            model.hidden(rows[place : place + 1], padding[place : place + 1])[0], whole[place]
        )


def test_the_cache_changes_nothing(model: SmallModel) -> None:
    rows, padding = tokens(3, 10), torch.tensor([0, 2, 1])
    whole = model.hidden(rows, padding)
    last, cache = model.start(rows[:, :4], padding, room=10)
    torch.testing.assert_close(last, whole[:, 3])
    for place in range(4, 10):
        torch.testing.assert_close(model.step(rows[:, place], cache), whole[:, place])


def test_rows_of_a_cache_can_be_dropped_and_doubled(model: SmallModel) -> None:
    rows, padding = tokens(3, 6), torch.tensor([0, 2, 1])
    _, cache = model.start(rows[:, :5], padding, room=6)
    order = torch.tensor([2, 0, 2])
    found = model.step(rows[order, 5], cache.select(order))
    torch.testing.assert_close(found, model.hidden(rows, padding)[order, 5])


def test_members_are_transformers_of_their_own() -> None:
    torch.manual_seed(1)
    together = Transformer(len(TOKENIZER), CONTEXT, CONFIG, members=3).double()
    rows = tokens(2, 5)
    whole = together(rows)
    for member in range(3):
        alone = Transformer(len(TOKENIZER), CONTEXT, CONFIG).double()
        state = {name: one[member : member + 1] for name, one in together.state_dict().items()}
        alone.load_state_dict(state)
        torch.testing.assert_close(alone(rows)[0], whole[member])


def test_members_can_begin_from_one(model: SmallModel) -> None:
    together = Transformer(len(TOKENIZER), CONTEXT, CONFIG, members=2).double()
    copy_members_(together, model.body)
    rows = tokens(2, 5)
    for found in together(rows):
        torch.testing.assert_close(found, model.hidden(rows, None))


def test_padding_is_never_written_and_the_rest_is_normalised(model: SmallModel) -> None:
    log_probs = model.log_probs(model.hidden(tokens(2, 4), None))
    assert (log_probs[..., TOKENIZER.padding].exp() == 0).all()
    torch.testing.assert_close(log_probs.exp().sum(-1), torch.ones(2, 4, dtype=torch.float64))


def test_the_log_probability_of_a_completion_does_not_depend_on_its_neighbours(model: SmallModel) -> None:
    prompts, completions = ["ab", "abcd", "a"], ["c", "de", "fgha"]
    together = frozen_log_prob(model, encode_responses(prompts, completions, TOKENIZER, context=CONTEXT))
    for place, (prompt, completion) in enumerate(zip(prompts, completions, strict=True)):
        alone = frozen_log_prob(model, encode_responses([prompt], [completion], TOKENIZER, context=CONTEXT))
        torch.testing.assert_close(together[place, : alone.shape[1]], alone[0])
        assert (together[place, alone.shape[1] :] == 0).all()


def test_the_gradient_of_a_completions_log_probability_is_finite_where_it_has_ended(
    model: SmallModel,
) -> None:
    responses = encode_responses(["ab", "a"], ["c", "defg"], TOKENIZER, context=CONTEXT)
    completion_log_prob(model, completion_inputs(responses)).sum().backward()
    assert all(torch.isfinite(one.grad).all() for one in model.parameters() if one.grad is not None)


def test_too_long_a_text_is_refused(model: SmallModel) -> None:
    with pytest.raises(UsageError, match="more than the context of 16 holds"):
        model.hidden(tokens(1, 17), None)
    with pytest.raises(UsageError, match=r"the prompt 'abc.*' of 15 tokens and a completion of 3 do not fit"):
        encode_responses(["abcdefghabcdefg"], ["ab"], TOKENIZER, context=CONTEXT)


def test_an_empty_prompt_and_unknown_symbols_are_refused() -> None:
    with pytest.raises(UsageError, match="a prompt is empty"):
        encode_responses([""], ["ab"], TOKENIZER, context=CONTEXT)
    with pytest.raises(UsageError, match="a prompt is empty, or there is none"):
        encode_responses([], [], TOKENIZER, context=CONTEXT)
    with pytest.raises(UsageError, match="' zebra' in 'a zebra' is not in the vocabulary"):
        TOKENIZER.encode("a zebra")


def test_the_longest_symbol_is_taken_first() -> None:
    tokenizer = SymbolTokenizer(["a", "ab", "abc", "c"])
    assert tokenizer.encode("abcabac") == [4, 3, 2, 5]


def test_a_saved_model_comes_back_exactly(model: SmallModel, tmp_path: Path) -> None:
    model.float().save(tmp_path, TOKENIZER)
    again, tokenizer = load_small_model(tmp_path)
    assert isinstance(tokenizer, SymbolTokenizer)
    assert tokenizer.symbols == TOKENIZER.symbols
    rows = tokens(2, 6)
    assert torch.equal(again.hidden(rows, None), model.hidden(rows, None))
    assert is_small_model(tmp_path)


def test_a_saved_model_says_the_same_in_plain_transformers(model: SmallModel, tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    model.float().save(tmp_path, TOKENIZER)
    theirs = transformers.AutoModelForCausalLM.from_pretrained(tmp_path)
    rows = tokens(2, 6)
    with torch.no_grad():
        torch.testing.assert_close(theirs(rows).logits, model.logits(model.hidden(rows, None)))
    tokenizer = transformers.AutoTokenizer.from_pretrained(tmp_path)
    assert tokenizer("abba")["input_ids"] == TOKENIZER.encode("abba")
    assert tokenizer.decode(TOKENIZER.encode("abba")) == "abba"
    written = theirs.generate(rows, max_new_tokens=8, do_sample=True)
    assert (written[:, 6:] != TOKENIZER.padding).any()


def test_a_model_of_another_vocabulary_is_refused(model: SmallModel, tmp_path: Path) -> None:
    model.save(tmp_path, TOKENIZER)
    SymbolTokenizer("abc").save(tmp_path)
    with pytest.raises(UsageError, match="a model of 10 tokens and a tokenizer of 5"):
        load_small_model(tmp_path)


def test_damaged_and_missing_files_are_named(model: SmallModel, tmp_path: Path) -> None:
    assert not is_small_model(tmp_path)
    with pytest.raises(UsageError, match=FILE):
        load_small_model(tmp_path)
    model.save(tmp_path, TOKENIZER)
    weights = (tmp_path / WEIGHTS).read_bytes()
    (tmp_path / WEIGHTS).write_bytes(weights[: len(weights) // 2])
    with pytest.raises(UsageError, match=rf"{WEIGHTS} is damaged"):
        load_small_model(tmp_path)
    settings = (tmp_path / SETTINGS).read_text()
    (tmp_path / WEIGHTS).write_bytes(weights)
    (tmp_path / SETTINGS).write_text(settings.replace('"n_embd": 16', '"n_embd": 32'))
    with pytest.raises(UsageError, match=r"wte.weight in .* is \(10, 16\), and \(10, 32\)"):
        load_small_model(tmp_path)
    (tmp_path / SETTINGS).write_text("{}")
    with pytest.raises(UsageError, match="not the config of a model"):
        load_small_model(tmp_path)


def test_an_impossible_shape_is_refused() -> None:
    with pytest.raises(UsageError, match=r"model.width 10 must be a multiple of model.heads 4"):
        ModelConfig(width=10)
