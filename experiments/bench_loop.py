"""The whole preference loop on half-cheetah: against `imitation`, and how much of it is fitting."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from experiments.bench_peer import IMITATION, PeerUnavailable, install, run_script
from experiments.bench_ppo import run_ours
from experiments.bench_rows import Bench, Sample, alternate
from experiments.presets import preset
from experiments.train import world_maker
from prefrl.control.config import TrainConfig

TASK = "half-cheetah"
SCRIPT = Path(__file__).parent / "peers" / "imitation_loop.py"
MEMBERS, EPOCHS = 3, 10


def loop_settings(*, steps: int, labels: int, seed: int, threads: int, episodes: int) -> TrainConfig:
    """What ``prefrl train half-cheetah --labels ... --steps ...`` runs."""
    base = preset(TASK)
    return replace(
        base,
        steps=steps,
        labels=labels,
        seed=seed,
        num_threads=threads,
        evaluation_episodes=episodes,
        device="cpu",
        ppo=replace(base.ppo, epochs=EPOCHS),
        reward_model=replace(base.reward_model, members=MEMBERS),
    )


def bench_loop(
    *,
    steps: int,
    labels: int,
    threads: int,
    episodes: int,
    seeds: Sequence[int],
    folder: Path,
    peer_ppo: str | None,
    say: Callable[[str], None],
) -> Bench:
    """Equal labels, PPO epochs, ensemble members, and steps: ours are as many as the peer has taken in all.

    ``peer_ppo`` names the peer's PPO settings; None leaves the peer out.
    """
    taken: dict[int, int] = {}

    def ours(seed: int) -> Sample:
        budget = taken.get(seed, steps)
        return run_ours(
            loop_settings(steps=budget, labels=labels, seed=seed, threads=threads, episodes=episodes), folder
        )

    contenders: dict[str, Callable[[int], Sample]] = {"PrefRL": ours}
    missing: dict[str, str] = {}
    settings: dict[str, Any] = {"steps": steps, "labels": labels, "threads": threads, "episodes": episodes}
    settings |= {"peer_ppo": peer_ppo}
    if peer_ppo is not None:
        peer = Imitation(folder / "imitation", peer_ppo, steps, labels, episodes, taken)
        try:
            peer.install(say)
            contenders = {IMITATION: peer.run, **contenders}
            samples = alternate(contenders, seeds, say=say)
        except PeerUnavailable as error:
            say(f"{IMITATION}: {error}")
            missing = {IMITATION: str(error).partition(":\n")[0]}
            samples = alternate({"PrefRL": ours}, seeds, say=say)
    else:
        samples = alternate(contenders, seeds, say=say)
    ordered = {name: samples[name] for name in sorted(samples, key=lambda name: name != "PrefRL")}
    return Bench(f"loop {TASK}", ordered, settings, missing)


class Imitation:
    """The peer's loop in a process of its own; ``taken`` is told how many steps each seed took."""

    def __init__(
        self, folder: Path, ppo: str, steps: int, labels: int, episodes: int, taken: dict[int, int]
    ) -> None:
        self.folder, self.taken, self.labels = folder, taken, labels
        budgets = {"steps": steps, "labels": labels, "episodes": episodes}
        fixed = {"members": MEMBERS, "epochs": EPOCHS, "envs": 8, "ppo": ppo}
        self.options = [f"--{name}={value}" for name, value in (budgets | fixed).items()]
        self.python: Path | None = None

    def install(self, say: Callable[[str], None]) -> None:
        """Raises PeerUnavailable where that fails."""
        self.python = install(self.folder, say=say)

    def run(self, seed: int) -> Sample:
        """One run. Raises PeerUnavailable where it fails."""
        assert self.python is not None, "install it first"
        figures = run_script(self.python, SCRIPT, [*self.options, f"--seed={seed}"], self.folder)
        self.taken[seed] = figures["steps"]
        return Sample(
            figures["steps"],
            figures["seconds"],
            seed,
            labels=figures["labels"],
            true_return=figures["return_mean"],
            learned_steps=figures["learned_steps"],
        )


def bench_fitting(
    *, task: str, steps: int, labels: int, threads: int, seeds: Sequence[int], say: Callable[[str], None]
) -> Bench:
    """The share of a run's wall time that goes into fitting the ensemble.

    Fits are as frequent per step as in a run of the preset's length. The first, longer fit weighs more in a
    shorter run, so what is measured bounds the share of a whole run from above.
    """
    base = preset(task)
    sessions = max(1, round(base.query.sessions * steps / base.steps))
    config = replace(
        base,
        steps=steps,
        labels=labels,
        num_threads=threads,
        device="cpu",
        query=replace(base.query, sessions=sessions),
    )
    runs = {"PrefRL": lambda seed: time_fitting(replace(config, seed=seed))}
    settings = {"steps": steps, "labels": labels, "threads": threads, "sessions": sessions}
    return Bench(f"fitting {task}", alternate(runs, seeds, say=say), settings)


def time_fitting(config: TrainConfig) -> Sample:
    """One run without evaluation; fits count whole, also those beside the agent's learning."""
    from prefrl.control.training import make_agent
    from prefrl.devices import make_device
    from prefrl.store.feedback_store import FeedbackStore

    with tempfile.TemporaryDirectory() as aside:
        folder = Path(aside) / "run"
        folder.mkdir()
        with FeedbackStore(folder / "feedback.sqlite") as store:
            trainer: Any = make_agent(config, world_maker(config), store, folder, make_device(config.device))
            started = time.perf_counter()
            fitting = sum(row.get("fit_seconds", 0.0) for row in trainer.run())
            seconds = time.perf_counter() - started
            trainer.close()
    return Sample(trainer.step, seconds, config.seed, trainer.learner.labels, fitting_share=fitting / seconds)
