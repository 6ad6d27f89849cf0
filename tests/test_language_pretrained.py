"""A tiny model of transformers, saved to disk, goes through every stage and back into plain transformers."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_text_runs import tiny

from prefrl.errors import UsageError
from prefrl.language.completions import frozen_log_prob
from prefrl.language.pretrained import (
    PretrainedModel,
    PretrainedReward,
    load_pretrained,
    load_pretrained_reward,
)
from prefrl.language.reward_network import make_reward_ensemble
from prefrl.language.sampling import sample_responses
from prefrl.language.tasks.task import make_task
from prefrl.language.tokenizers import SymbolTokenizer
from prefrl.language.training import MODEL, train_text

transformers = pytest.importorskip("transformers")
PROMPTS = ["a>b:", "c>d:", "z>a:"]


def save_tiny(folder: Path, kind: str = "llama", **changes: Any) -> Path:
    """A random model over the symbols of walks."""
    torch.manual_seed(0)
    tokenizer = SymbolTokenizer(make_task("walks").symbols)
    shape = {"vocab_size": len(tokenizer), "eos_token_id": 1, "bos_token_id": 1, "pad_token_id": 0}
    if kind == "llama":
        config = transformers.LlamaConfig(
            hidden_size=16,
            intermediate_size=32,
            num_hidden_layers=2,
            num_attention_heads=2,
            num_key_value_heads=1,
            max_position_embeddings=32,
            **shape,
            **changes,
        )
    else:
        config = transformers.GPT2Config(n_embd=16, n_layer=2, n_head=2, n_positions=32, **shape, **changes)
    transformers.AutoModelForCausalLM.from_config(config).save_pretrained(folder)
    tokenizer.save(folder)
    return folder


@pytest.fixture(params=["llama", "gpt2"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    return save_tiny(tmp_path / "model", request.param)


def test_what_it_writes_has_the_log_probabilities_of_the_model_without_a_cache(folder: Path) -> None:
    model, tokenizer = load_pretrained(str(folder))
    generator = torch.Generator().manual_seed(0)
    responses = sample_responses(
        model, tokenizer, [*PROMPTS, "a>b:"], longest=8, generator=generator, copies=3, batch=4
    )
    assert responses.log_prob is not None
    torch.testing.assert_close(responses.log_prob, frozen_log_prob(model, responses), atol=1e-5, rtol=1e-4)


def test_padding_on_the_left_changes_nothing(folder: Path) -> None:
    model, _ = load_pretrained(str(folder))
    rows = torch.randint(2, 28, (3, 6), generator=torch.Generator().manual_seed(1))
    padded = torch.cat([torch.zeros(3, 2, dtype=torch.long), rows], 1)
    with torch.no_grad():
        found = model.hidden(padded, torch.full((3,), 2))[:, 2:]
        torch.testing.assert_close(found, model.hidden(rows, None), atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("algorithm", ["sft", "reward", "ppo", "dpo", "grpo"])
def test_every_stage_works_and_the_result_loads_in_plain_transformers(algorithm: Any, tmp_path: Path) -> None:
    start = save_tiny(tmp_path / "start")
    config = tiny(algorithm=algorithm, start=str(start))
    config = replace(config, reward_model=replace(config.reward_model, members=1))
    summary = train_text(config, tmp_path / "run")
    assert 0 <= summary["gold_after"] <= 1
    net = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "run" / MODEL)
    tokenizer = transformers.AutoTokenizer.from_pretrained(tmp_path / "run" / MODEL)
    assert net(torch.tensor([tokenizer("a>b:")["input_ids"]])).logits.shape == (1, 4, len(tokenizer))
    before = transformers.AutoModelForCausalLM.from_pretrained(start).state_dict()
    assert any(not torch.equal(one, before[name]) for name, one in net.state_dict().items())


def test_adapters_alone_are_trained_and_merged_when_saved(tmp_path: Path) -> None:
    pytest.importorskip("peft")
    model, tokenizer = load_pretrained(str(save_tiny(tmp_path / "start")), lora_rank=2)
    moving = [name for name, one in model.named_parameters() if one.requires_grad]
    assert moving
    assert all("lora" in name for name in moving)
    with torch.no_grad():
        for name, one in model.named_parameters():
            if "lora_B" in name:
                one.fill_(0.1)
    model.save(tmp_path / "saved", tokenizer)
    merged, _ = load_pretrained(str(tmp_path / "saved"))
    rows = torch.randint(2, 28, (2, 5), generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        torch.testing.assert_close(merged.hidden(rows, None), model.hidden(rows, None), atol=1e-5, rtol=1e-4)


def test_a_sequence_classifier_is_a_reward_network_with_the_same_score(tmp_path: Path) -> None:
    config = transformers.LlamaConfig(
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        vocab_size=20,
        num_labels=1,
        pad_token_id=0,
    )
    net = transformers.AutoModelForSequenceClassification.from_config(config).eval()
    net.save_pretrained(tmp_path)
    network = load_pretrained_reward(str(tmp_path)).eval()
    rows = torch.randint(2, 20, (3, 5), generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        torch.testing.assert_close(network(rows)[0, :, -1], net(rows).logits[:, 0])


def test_several_members_of_transformers_are_refused(tmp_path: Path) -> None:
    model, _ = load_pretrained(str(save_tiny(tmp_path)))
    assert isinstance(model, PretrainedModel)
    with pytest.raises(UsageError, match="members must be 1 with a model of transformers, not 2"):
        make_reward_ensemble(model, members=2, from_policy=True, device=torch.device("cpu"))
    ensemble = make_reward_ensemble(model, members=1, from_policy=True, device=torch.device("cpu"))
    assert isinstance(ensemble.network, PretrainedReward)


def test_a_model_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"nothing.* cannot be loaded"):
        load_pretrained(str(tmp_path / "nothing"))
