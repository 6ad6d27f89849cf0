"""What both of TRL's measurements share: a tiny GPT-2, a tokenizer of as many words, a clock.

Run by a Python of its own, in which TRL 1.16.0 is installed; nothing of PrefRL is imported here.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

VOCABULARY = 64
LAYERS, HEADS, WIDTH = 4, 4, 96
"""With 64 words and 64 places 0.46 million parameters."""
CONTEXT = 64


def parse(description: str, *, batch: int, args: list[str] | None = None) -> argparse.Namespace:
    """The options; equal work is the caller's business."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--steps", type=int, default=30, help="optimizer steps that are timed")
    parser.add_argument("--warm-up", type=int, default=5, help="optimizer steps before the clock starts")
    parser.add_argument("--batch", type=int, default=batch, help="pairs or completions per optimizer step")
    parser.add_argument("--prompt-tokens", type=int, default=8)
    parser.add_argument("--completion-tokens", type=int, default=24, help="the end of text included")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, required=True, help="where the figures are written")
    return parser.parse_args(args)


def make_tokenizer() -> Any:
    """Words w0, w1, ... between spaces, one token each; the first two numbers are padding and end."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    words = {"<pad>": 0, "<end>": 1} | {f"w{number}": number for number in range(2, VOCABULARY)}
    tokenizer = Tokenizer(models.WordLevel(words, unk_token="<pad>"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token="<pad>", eos_token="<end>")


def make_model(seed: int) -> Any:
    """The tiny GPT-2, its parameters drawn, without dropout."""
    import torch
    from transformers import GPT2Config, GPT2LMHeadModel

    torch.manual_seed(seed)
    config = GPT2Config(
        vocab_size=VOCABULARY,
        n_positions=CONTEXT,
        n_embd=WIDTH,
        n_layer=LAYERS,
        n_head=HEADS,
        resid_pdrop=0.0,
        embd_pdrop=0.0,
        attn_pdrop=0.0,
        bos_token_id=1,
        eos_token_id=1,
        pad_token_id=0,
    )
    return GPT2LMHeadModel(config)


def some_words(count: int, rng: Any) -> str:
    """So many random words."""
    return " ".join(f"w{number}" for number in rng.integers(2, VOCABULARY, count))


def make_clock(warm_up: int) -> Any:
    """A callback of the trainer that notes when the warm-up was over and when the last step was."""
    from transformers import TrainerCallback

    class Clock(TrainerCallback):
        started = ended = 0.0

        def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:  # noqa: ARG002
            self.ended = time.perf_counter()
            if state.global_step == warm_up:
                self.started = self.ended

    return Clock()


def write_figures(options: argparse.Namespace, clock: Any, model: Any, unit: str) -> None:
    """Items per second, and what they were, as JSON."""
    import torch
    import trl

    seconds = clock.ended - clock.started
    figures = {
        f"{unit}_per_second": options.steps * options.batch / seconds,
        "seconds": seconds,
        "steps": options.steps,
        "batch": options.batch,
        "prompt_tokens": options.prompt_tokens,
        "completion_tokens": options.completion_tokens,
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "threads": torch.get_num_threads(),
        "trl": trl.__version__,
        "torch": torch.__version__,
    }
    options.out.write_text(json.dumps(figures) + "\n")
