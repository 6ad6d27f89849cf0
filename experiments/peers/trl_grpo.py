"""How fast TRL's GRPOTrainer is: completions per second, written and learned from, as JSON.

Groups of 8 to random prompts, no reference (its default), one pass over each batch, fp32; completions are
kept from ending early, so that there is equal work at every step. The reward costs nothing. Run by a Python
of its own; nothing of PrefRL is imported here.
"""

from __future__ import annotations

import tempfile
from typing import Any

from trl_model import make_clock, make_model, make_tokenizer, parse, some_words, write_figures

GROUP = 8


def reward(completions: list[Any], **_kwargs: Any) -> list[float]:
    """Counts a word: something that differs within groups."""
    return [float(completion.count("w7")) for completion in completions]


def main() -> None:
    """Times the optimizer steps after the warm-up."""
    options = parse("TRL's GRPO on a tiny GPT-2", batch=64)
    import numpy as np
    import torch
    from datasets import Dataset
    from trl import GRPOConfig, GRPOTrainer

    torch.set_num_threads(options.threads)
    rng, steps = np.random.default_rng(options.seed), options.warm_up + options.steps
    rows = [{"prompt": some_words(options.prompt_tokens, rng)} for _ in range(steps * options.batch // GROUP)]
    model, clock = make_model(options.seed), make_clock(options.warm_up)
    with tempfile.TemporaryDirectory() as folder:
        config = GRPOConfig(
            output_dir=folder,
            per_device_train_batch_size=options.batch,
            num_generations=GROUP,
            max_completion_length=options.completion_tokens,
            generation_kwargs={"min_new_tokens": options.completion_tokens},
            max_steps=steps,
            learning_rate=1e-4,
            beta=0.0,
            num_iterations=1,
            bf16=False,
            use_cpu=True,
            gradient_checkpointing=False,
            report_to="none",
            save_strategy="no",
            logging_steps=steps,
            disable_tqdm=True,
            seed=options.seed,
        )
        trainer = GRPOTrainer(
            model,
            reward_funcs=reward,
            args=config,
            train_dataset=Dataset.from_list(rows),
            processing_class=make_tokenizer(),
            callbacks=[clock],
        )
        trainer.train()
    write_figures(options, clock, model, "completions")


if __name__ == "__main__":
    main()
