"""How fast TRL's DPOTrainer is: pairs per second with a reference model, as JSON.

Random pairs of equal lengths, fp32, a policy and a reference of 0.46 million parameters; the data are
tokenized before the clock starts. Run by a Python of its own; nothing of PrefRL is imported here.
"""

from __future__ import annotations

import tempfile

from trl_model import make_clock, make_model, make_tokenizer, parse, some_words, write_figures


def main() -> None:
    """Times the optimizer steps after the warm-up."""
    options = parse("TRL's DPO on a tiny GPT-2", batch=32)
    import numpy as np
    import torch
    from datasets import Dataset
    from trl import DPOConfig, DPOTrainer

    torch.set_num_threads(options.threads)
    rng, steps = np.random.default_rng(options.seed), options.warm_up + options.steps
    rows = [
        {
            "prompt": some_words(options.prompt_tokens, rng) + " ",
            "chosen": some_words(options.completion_tokens - 1, rng),
            "rejected": some_words(options.completion_tokens - 1, rng),
        }
        for _ in range(steps * options.batch)
    ]
    model, clock = make_model(options.seed), make_clock(options.warm_up)
    with tempfile.TemporaryDirectory() as folder:
        config = DPOConfig(
            output_dir=folder,
            per_device_train_batch_size=options.batch,
            max_steps=steps,
            learning_rate=1e-4,
            beta=0.1,
            bf16=False,
            use_cpu=True,
            gradient_checkpointing=False,
            report_to="none",
            save_strategy="no",
            logging_steps=steps,
            disable_tqdm=True,
            seed=options.seed,
        )
        trainer = DPOTrainer(
            model,
            make_model(options.seed),
            args=config,
            train_dataset=Dataset.from_list(rows),
            processing_class=make_tokenizer(),
            callbacks=[clock],
        )
        trainer.train()
    write_figures(options, clock, model, "pairs")


if __name__ == "__main__":
    main()
