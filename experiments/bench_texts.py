"""DPO and GRPO on a tiny transformer, with equal work: PrefRL's training code against TRL's trainers.

The same sizes (0.46 million parameters, 8 tokens of prompt, 24 of completion), batches, fp32, threads; the
peer's side is in ``peers/``. DPO asks policy and reference for both sides of fresh pairs in every step; GRPO
writes groups of 8, which are kept from ending early, and learns from them once, without a reference.
"""

from __future__ import annotations

import string
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from experiments.bench_peer import PeerUnavailable, install, run_script
from experiments.bench_rows import Bench, Sample, alternate
from prefrl.language.config import LanguageConfig, RolloutConfig, WarmStartConfig
from prefrl.language.model_config import ModelConfig

TRL = "TRL 1.16.0"
TRL_PINS = ("trl==1.16.0",)
PEERS = Path(__file__).parent / "peers"
PAIRS, RESPONSES, GROUP = 32, 64, 8
PROMPT, COMPLETION = 8, 24
WARM_UP = 5


class RandomTexts:
    """A task that costs nothing: 62 symbols at random, to score a completion is to count one of them."""

    name = "random-texts"
    symbols = tuple(string.ascii_letters + string.digits)
    longest_prompt = PROMPT
    longest_completion = COMPLETION - 1

    def prompts(self, split: str, count: int, rng: np.random.Generator) -> list[str]:  # noqa: ARG002
        return ["".join(row) for row in rng.choice(self.symbols, (count, PROMPT))]

    def demonstrate(self, prompt: str, rng: np.random.Generator) -> str:  # noqa: ARG002
        return "".join(rng.choice(self.symbols, self.longest_completion))

    def score(self, prompt: str, completion: str) -> float:  # noqa: ARG002
        return float(completion.count("a"))

    def archetype(self, prompt: str) -> str:  # noqa: ARG002
        return "any"

    def difficulty(self, prompt: str) -> float:  # noqa: ARG002
        return 0.0

    def marks(self, prompt: str, completion: str) -> tuple[()]:  # noqa: ARG002
        return ()


def bench_texts(
    *,
    steps: int,
    threads: int,
    seeds: Sequence[int],
    folder: Path,
    peer: bool,
    say: Callable[[str], None],
) -> list[Bench]:
    """Pairs per second of DPO and completions per second of GRPO; the peer in a process of its own."""
    python, missing = None, {}
    if peer:
        try:
            python = install(folder / "trl", TRL_PINS, say=say)
        except PeerUnavailable as error:
            say(f"{TRL}: {error}")
            missing = {TRL: str(error).partition(":\n")[0]}
    benches = []
    for name, run, batch in (("DPO", run_dpo, PAIRS), ("GRPO", run_grpo, RESPONSES)):
        contenders: dict[str, Callable[[int], Sample]] = {
            "PrefRL": lambda seed, run=run: run(steps, seed, threads)  # type: ignore[misc]
        }
        if python is not None:
            script = PEERS / f"trl_{name.lower()}.py"
            contenders[TRL] = _peer(python, script, steps, batch, threads, folder / "trl")
        kept = {
            "steps": steps,
            "batch": batch,
            "threads": threads,
            "prompt": PROMPT,
            "completion": COMPLETION,
        }
        benches.append(Bench(f"{name} texts", alternate(contenders, seeds, say=say), kept, missing))
    return benches


def run_dpo(steps: int, seed: int, threads: int) -> Sample:
    """The core's loss on the track's models, a reference forward pass in every step."""
    import torch

    from prefrl.adam import Adam
    from prefrl.direct_losses import dpo_loss
    from prefrl.language.completions import completion_inputs, completion_log_prob, frozen_log_prob
    from prefrl.language.responses import encode_responses
    from prefrl.language.supervised import descend

    with _threads(threads):
        bench = _make_bench(LanguageConfig(), seed)
        reference, optimizer = bench.model.copy(), Adam(bench.trained, learning_rate=1e-4)
        rng, task = np.random.default_rng(seed), bench.task
        batches = []
        for _ in range(WARM_UP + steps):
            prompts = task.prompts("train", PAIRS, rng)
            sides = [[task.demonstrate(prompt, rng) for prompt in prompts] for _ in range(2)]
            encoded = encode_responses(
                prompts * 2, sides[0] + sides[1], bench.tokenizer, context=bench.model.context
            )
            batches.append(encoded)
        started = 0.0
        for step, both in enumerate(batches):
            if step == WARM_UP:
                started = time.perf_counter()
            log_prob = completion_log_prob(bench.model, completion_inputs(both)).sum(1)
            ratios = (log_prob - frozen_log_prob(reference, both).sum(1)).view(2, PAIRS).T
            loss = dpo_loss(ratios, torch.ones(PAIRS), beta=0.1).mean()
            descend(optimizer, loss, max_grad_norm=1.0)
        return Sample(steps * PAIRS, time.perf_counter() - started, seed)


def run_grpo(steps: int, seed: int, threads: int) -> Sample:
    """The stage as a run has it: writing, scoring, advantages within groups, one pass of the update."""
    from prefrl.language.policy_stage import PolicyStage
    from prefrl.language.reward_source import make_source

    base = LanguageConfig()
    config = replace(
        base,
        algorithm="grpo",
        reward="verifiable",
        steps=(WARM_UP + steps) * RESPONSES,
        rollout=RolloutConfig(prompts=RESPONSES // GROUP, copies=GROUP, drop_dead_groups=False),
        ppo=replace(base.ppo, minibatch_size=RESPONSES, epochs=1, learning_rate=1e-4),
    )
    with _threads(threads):
        bench = _make_bench(config, seed)
        # Never ending early is what makes the work equal; what pads is then a symbol as good as any.
        bench.model.suppressed = bench.tokenizer.end
        stage = PolicyStage(bench, make_source(bench, None))
        started = 0.0
        for step in range(WARM_UP + steps):
            if step == WARM_UP:
                started = time.perf_counter()
            row = stage.advance()
        seconds = time.perf_counter() - started
    assert row["length"] == COMPLETION, "completions ended early: the work is not equal"
    return Sample(steps * RESPONSES, seconds, seed)


def _make_bench(config: LanguageConfig, seed: int) -> Any:
    from prefrl.language.bench import make_bench

    sized = ModelConfig(layers=4, heads=4, width=96)
    return make_bench(
        replace(
            config,
            task=f"{__name__}:RandomTexts",
            seed=seed,
            model=sized,
            device="cpu",
            warm_start=WarmStartConfig(steps=0),
        )
    )


def _peer(
    python: Path, script: Path, steps: int, batch: int, threads: int, folder: Path
) -> Callable[[int], Sample]:
    def run(seed: int) -> Sample:
        options = {"steps": steps, "warm-up": WARM_UP, "batch": batch, "seed": seed}
        options |= {"prompt-tokens": PROMPT, "completion-tokens": COMPLETION}
        options |= {"threads": threads} if threads else {}
        words = [f"--{name}={value}" for name, value in options.items()]
        figures = run_script(python, script, words, folder)
        return Sample(steps * batch, figures["seconds"], seed)

    return run


@contextmanager
def _threads(threads: int) -> Iterator[None]:
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(threads or before)
    try:
        yield
    finally:
        torch.set_num_threads(before)
