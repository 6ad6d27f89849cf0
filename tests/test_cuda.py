"""The same code on a GPU. Skipped, visibly, where there is none."""

from pathlib import Path

import numpy as np
import pytest
import torch

from envs import make_vector_env
from prefrl.control import QueryConfig, TrainConfig, train
from prefrl.control.build import make_ensemble
from prefrl.control.config import RewardConfig
from prefrl.control.layouts import Layout
from prefrl.control.reward_model import RewardModel
from prefrl.devices import make_device

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device on this machine"),
]


def test_auto_chooses_the_gpu() -> None:
    assert make_device("auto").type == "cuda"


@pytest.mark.parametrize(
    "layout", [Layout("features", (23,)), Layout("stack", (84, 84, 4))], ids=["features", "frames"]
)
def test_the_gpu_predicts_the_rewards_that_the_cpu_predicts(layout: Layout) -> None:
    torch.manual_seed(0)
    ensemble = make_ensemble(layout, RewardConfig(), torch.device("cpu"))
    rng = np.random.default_rng(0)
    if layout.kind == "features":
        observation, action = rng.normal(size=(64, 17)), rng.normal(size=(64, 6))
    else:
        observation, action = rng.integers(0, 256, (64, 84, 84, 4), dtype=np.uint8), np.zeros(64, np.int64)
    expected = RewardModel(ensemble, layout).predict(observation, action)
    on_gpu = RewardModel(ensemble.cuda(), layout).predict(observation, action)
    np.testing.assert_allclose(on_gpu, expected, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("task", ["half-cheetah", "pong"])
def test_a_run_on_the_gpu_trains_resumes_and_says_that_it_is_not_exact(task: str, tmp_path: Path) -> None:
    config = TrainConfig(
        task=task,
        steps=4_096,
        labels=16,
        num_envs=8,
        device="cuda",
        evaluation_episodes=1,
        checkpoint_every_steps=1_024,
        query=QueryConfig(segment_length=25, sessions=2, pool_size=40, initial_steps_fraction=0.3),
    )

    def make_env(num_envs: int, seed: int) -> object:
        return make_vector_env(task, num_envs, seed)

    seen = 0

    def stop_in_the_middle(_row: dict[str, object]) -> None:
        nonlocal seen
        seen += 1
        if seen == 6:
            raise RuntimeError("stop here")

    with pytest.raises(RuntimeError, match="stop here"):
        train(config, make_env, tmp_path / "run", watch=stop_in_the_middle)
    summary = train(config, make_env, tmp_path / "run", resume=True)
    assert summary["labels"] == 16
    assert summary["exact"] is False
    assert np.isfinite(summary["true_return_mean"])
