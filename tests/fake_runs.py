"""Run folders with invented figures, for tests of whatever reads run folders."""

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image


def make_run(
    folder: Path,
    *,
    task: str = "half-cheetah",
    reward: str = "learned",
    seed: int = 0,
    labels: int = 700,
    top: float = 2800.0,
    untrained: float = -280.0,
    steps: int = 1_000_000,
    done: float = 1.0,
    rows: int = 60,
    **settings: Any,
) -> Path:
    """A run towards a true return of `top`; with `done` below 1 it stops there, without a summary."""
    rng = np.random.default_rng([seed, labels, len(task), reward == "true"])
    folder.mkdir(parents=True)
    config = {
        "task": task,
        "reward": reward,
        "teacher": "oracle",
        "labels": labels,
        "agent": "ppo",
        "steps": steps,
        "run": str(folder),
        "policy": {"learning_rate": 3e-4, "horizon": 1000},
        "reward_form": "paper",
        **settings,
    }
    provenance = {"seed": seed, "commit": "0123456789abcdef", "versions": {"torch": "2.13.0"}}
    (folder / "config.json").write_text(json.dumps({"config": config, **provenance}))
    progress = np.linspace(1 / rows, 1.0, rows)
    progress = progress[progress <= done]
    scale = top - untrained
    learning = 1 / (1 + np.exp(-9 * (progress - 0.35 - 0.04 * rng.standard_normal())))
    reached = untrained + scale * (learning + 0.03 * rng.standard_normal(len(progress)))
    lines = [
        json.dumps(_row(i, p, float(value), reward, labels, steps, rng))
        for i, (p, value) in enumerate(zip(progress, reached, strict=True))
    ]
    (folder / "metrics.jsonl").write_text("".join(f"{line}\n" for line in lines))
    if done >= 1.0:
        final = top + 0.05 * scale * rng.standard_normal()
        (folder / "summary.json").write_text(
            json.dumps(_summary(config, provenance, final, untrained, steps, labels, reward, rng))
        )
    return folder


def make_clip(path: Path, *, colour: int = 0, frames: int = 12, size: tuple[int, int] = (210, 160)) -> Path:
    """An animated WebP of a square that crosses the picture."""
    path.parent.mkdir(exist_ok=True)
    pictures = []
    for frame in range(frames):
        pixels = np.full((size[1], size[0], 3), 40, np.uint8)
        left = 10 + frame * (size[0] - 60) // frames
        pixels[60:100, left : left + 40, colour % 3] = 230
        pictures.append(Image.fromarray(pixels))
    pictures[0].save(path, save_all=True, append_images=pictures[1:], duration=60, loop=0)
    return path


def _row(
    index: int, progress: float, true: float, reward: str, labels: int, steps: int, rng: np.random.Generator
) -> dict[str, Any]:
    row: dict[str, Any] = {
        "step": round(progress * steps),
        "true_return": None if index == 0 else true,
        "steps_per_second": 11_000 + 400 * rng.standard_normal(),
        "seconds": progress * 90,
        "policy_loss": 0.01 * rng.standard_normal(),
    }
    if reward != "true":
        noise: NDArray[np.float64] = rng.standard_normal(4)
        row |= {
            "labels": int(labels * (0.25 + 0.75 * progress**0.8)),
            "skips": 0,
            "labels_due": labels * (0.25 + 0.75 * progress**0.8),
            "learned_return": 600 * progress + 25 * noise[0],
            "agreement": min(1.0, 0.6 + 0.3 * progress**0.5 + 0.015 * noise[1]),
            "log_loss": 0.69 - 0.4 * progress**0.5 + 0.02 * noise[2],
            "reward_correlation": min(1.0, 0.95 * progress**0.3 + 0.01 * noise[3]),
            "reward_version": index,
        }
    return row


def _summary(
    config: dict[str, Any],
    provenance: dict[str, Any],
    final: float,
    untrained: float,
    steps: int,
    labels: int,
    reward: str,
    rng: np.random.Generator,
) -> dict[str, Any]:
    learned = reward != "true"
    return {
        **{key: config[key] for key in ("task", "reward", "teacher", "agent")},
        **provenance,
        "steps": steps,
        "labels": labels if learned else 0,
        "skips": 0,
        "true_return_mean": final,
        "true_return_std": 45.0,
        "untrained_return_mean": untrained + 4 * rng.standard_normal(),
        "steps_per_second": 11_200.0,
        "wall_seconds": 89.6,
        "reward_correlation": 0.94 if learned else None,
        "exact": True,
    }
