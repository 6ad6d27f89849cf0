"""Models in folders: safetensors in GPT-2's names and shapes, which plain transformers load as they are."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor

from prefrl.errors import UsageError
from prefrl.files import explained_disk_errors, write_atomically
from prefrl.language.model_config import ModelConfig
from prefrl.language.models import SmallModel
from prefrl.language.tokenizers import SymbolTokenizer, Tokenizer
from prefrl.language.transformer import Transformer

WEIGHTS: Final = "model.safetensors"
SETTINGS: Final = "config.json"
_NAMES: Final = {
    "before_attention.weight": "ln_1.weight",
    "before_attention.bias": "ln_1.bias",
    "attention.weight": "attn.c_attn.weight",
    "attention.bias": "attn.c_attn.bias",
    "attended.weight": "attn.c_proj.weight",
    "attended.bias": "attn.c_proj.bias",
    "before_feed.weight": "ln_2.weight",
    "before_feed.bias": "ln_2.bias",
    "feed.weight": "mlp.c_fc.weight",
    "feed.bias": "mlp.c_fc.bias",
    "fed.weight": "mlp.c_proj.weight",
    "fed.bias": "mlp.c_proj.bias",
}
"""Of a block: ours and GPT-2's, whose layers keep weights as [in, out], too."""


def save_small_model(model: SmallModel, tokenizer: Tokenizer, folder: Path) -> None:
    """Writes model and tokenizer; what was there is replaced file by file, each whole.

    Raises:
        UsageError: the disk refuses.
    """
    with explained_disk_errors(f"make {folder}"):
        folder.mkdir(parents=True, exist_ok=True)
    weights = {
        theirs: _as_theirs(ours, tensor)
        for ours, tensor in model.body.state_dict().items()
        if (theirs := _their_name(ours))
    }
    tokenizer.save(folder)
    write_atomically(folder / WEIGHTS, save(weights, metadata={"format": "pt"}))
    write_atomically(folder / SETTINGS, json.dumps(_settings(model, tokenizer), indent=1).encode())
    quiet = {"suppress_tokens": [tokenizer.padding]} | {
        "eos_token_id": tokenizer.end,
        "pad_token_id": tokenizer.padding,
    }
    write_atomically(folder / "generation_config.json", json.dumps(quiet, indent=1).encode())


def load_small_model(folder: Path) -> tuple[SmallModel, SymbolTokenizer]:
    """The model and tokenizer in a folder that ``save_small_model`` wrote.

    Raises:
        UsageError: there is none, it is of another form, damaged, or its parts do not fit together.
    """
    tokenizer = SymbolTokenizer.load(folder)
    settings = _read_settings(folder / SETTINGS)
    if settings["vocab_size"] != len(tokenizer):
        raise UsageError(
            f"{folder} holds a model of {settings['vocab_size']} tokens and a tokenizer of {len(tokenizer)}: "
            "they do not belong together"
        )
    config = ModelConfig(layers=settings["n_layer"], heads=settings["n_head"], width=settings["n_embd"])
    body = Transformer(settings["vocab_size"], settings["n_positions"], config)
    path = folder / WEIGHTS
    with explained_disk_errors(f"read {path}"):
        try:
            theirs = load_file(path)
        except SafetensorError as error:
            raise UsageError(f"{path} is damaged ({error}): restore it") from error
    _take_over(body, {name.removeprefix("transformer."): tensor for name, tensor in theirs.items()}, path)
    return SmallModel(body, suppressed=tokenizer.padding), tokenizer


def _take_over(body: Transformer, theirs: dict[str, Tensor], path: Path) -> None:
    state = body.state_dict()
    for ours, tensor in state.items():
        name = _their_name(ours).removeprefix("transformer.")
        if name not in theirs:
            raise UsageError(f"{path} lacks {name}: it is no model of GPT-2's form")
        wanted = _as_theirs(ours, tensor).shape
        if theirs[name].shape != wanted:
            raise UsageError(
                f"{name} in {path} is {tuple(theirs[name].shape)}, and {tuple(wanted)} by its {SETTINGS}: "
                "they do not belong together"
            )
        state[ours] = theirs[name].reshape(tensor.shape)
    body.load_state_dict(state)


def _their_name(ours: str) -> str:
    match ours.split(".", 2):
        case ["embedding"]:
            return "transformer.wte.weight"
        case ["positions"]:
            return "transformer.wpe.weight"
        case ["norm", part]:
            return f"transformer.ln_f.{part}"
        case [_, block, rest]:
            return f"transformer.h.{block}.{_NAMES[rest]}"
    raise KeyError(ours)


def _as_theirs(ours: str, tensor: Tensor) -> Tensor:
    flat = tensor.detach()[0]
    return (flat[0] if ours.endswith("bias") and flat.dim() == 2 else flat).contiguous().cpu()


def _settings(model: SmallModel, tokenizer: Tokenizer) -> dict[str, Any]:
    config = model.body.config
    return {
        "architectures": ["GPT2LMHeadModel"],
        "model_type": "gpt2",
        "vocab_size": model.body.vocabulary,
        "n_positions": model.context,
        "n_ctx": model.context,
        "n_embd": config.width,
        "n_layer": config.layers,
        "n_head": config.heads,
        "activation_function": "relu",
        "attn_pdrop": 0.0,
        "embd_pdrop": 0.0,
        "resid_pdrop": 0.0,
        "layer_norm_epsilon": 1e-5,
        "bos_token_id": tokenizer.end,
        "eos_token_id": tokenizer.end,
        "pad_token_id": tokenizer.padding,
        "tie_word_embeddings": True,
        "dtype": str(model.body.embedding.dtype).removeprefix("torch."),
    }


def _read_settings(path: Path) -> dict[str, Any]:
    with explained_disk_errors(f"read {path}"):
        content = path.read_bytes()
    try:
        settings: dict[str, Any] = json.loads(content)
        wanted = {"model_type": "gpt2", "activation_function": "relu", "tie_word_embeddings": True}
        if any(settings.get(name, value) != value for name, value in wanted.items()):
            raise UsageError(f"{path} is not one of our models ({wanted}): load it by transformers instead")
        numbers = ("vocab_size", "n_positions", "n_embd", "n_layer", "n_head")
        return {name: int(settings[name]) for name in numbers}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UsageError(f"{path} is not the config of a model: check the folder") from error


def is_small_model(folder: Path) -> bool:
    """Whether a folder looks like one that ``save_small_model`` wrote."""
    try:
        _read_settings(folder / SETTINGS)
        SymbolTokenizer.load(folder)
    except UsageError:
        return False
    return True
