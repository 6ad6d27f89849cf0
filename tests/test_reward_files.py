"""Reward models in files: what is saved is what predicts again, and nothing else is taken for one."""

from __future__ import annotations

import dataclasses
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch

from prefrl.control.build import make_ensemble
from prefrl.control.config import RewardConfig
from prefrl.control.layout_files import load_layout, save_layout
from prefrl.control.layouts import Layout
from prefrl.control.reward_files import load_reward_model, save_reward_model
from prefrl.control.reward_model import RewardModel
from prefrl.ensemble import RewardEnsemble
from prefrl.errors import UsageError

VECTOR = Layout("features", (5,))
DISCRETE = Layout("features", (6,), actions=2)
PIXELS = Layout("stack", (20, 20, 4))
CPU = torch.device("cpu")


def an_ensemble(layout: Layout, config: RewardConfig | None = None, *, seed: int = 0) -> RewardEnsemble:
    """An ensemble with parameters, moments and normalisation that no default has."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        ensemble = make_ensemble(layout, config or RewardConfig(pixel_preset="small"), CPU)
        for buffer in ensemble.buffers():
            if buffer.is_floating_point():
                buffer.copy_(torch.rand_like(buffer) + 0.5)
    ensemble.version = 7
    ensemble.eval()
    return ensemble


def some_steps(layout: Layout, *, rows: int = 3) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    if layout.kind != "features":
        return rng.integers(0, 256, (rows, *layout.shape), dtype=np.uint8), rng.integers(0, 3, rows)
    if layout.actions:
        observation = rng.normal(size=(rows, layout.shape[0] - layout.actions))
        return observation, rng.integers(0, layout.actions, rows)
    return rng.normal(size=(rows, layout.shape[0] - 2)), rng.normal(size=(rows, 2))


@pytest.mark.parametrize("layout", [VECTOR, DISCRETE, PIXELS, Layout("image", (20, 24, 3))])
def test_a_loaded_model_predicts_what_the_saved_one_did(layout: Layout, tmp_path: Path) -> None:
    config = RewardConfig(members=2, hidden=9, pixel_preset="small", std=0.3)
    ensemble = an_ensemble(layout, config)
    loaded = load_reward_model(save_reward_model(tmp_path / "reward.pt", ensemble, layout, config))
    steps = some_steps(layout)
    np.testing.assert_array_equal(loaded.predict(*steps), RewardModel(ensemble, layout).predict(*steps))
    assert loaded.layout == layout
    assert loaded.version == 7
    assert loaded.ensemble.reward_std == 0.3


def test_a_run_folder_stands_for_the_model_in_it(tmp_path: Path) -> None:
    path = save_reward_model(tmp_path, an_ensemble(VECTOR), VECTOR, RewardConfig())
    assert path == tmp_path / "reward_model.pt"
    assert load_reward_model(tmp_path).version == 7


def test_loading_leaves_the_random_numbers_of_a_script_alone(tmp_path: Path) -> None:
    path = save_reward_model(tmp_path, an_ensemble(VECTOR), VECTOR, RewardConfig())
    torch.manual_seed(0)
    expected = torch.rand(1)
    torch.manual_seed(0)
    load_reward_model(path)
    assert torch.rand(1) == expected


def test_predictions_take_any_leading_dimensions_and_do_not_depend_on_chunks(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model = RewardModel(an_ensemble(DISCRETE), DISCRETE)
    observation, action = some_steps(DISCRETE, rows=12)
    flat = model.predict(observation, action)
    monkeypatch.setattr("prefrl.control.reward_model.FEATURE_CHUNK", 5)
    shaped = model.predict(observation.reshape(4, 3, -1), action.reshape(4, 3))
    assert shaped.shape == (4, 3)
    np.testing.assert_allclose(shaped.reshape(-1), flat, rtol=1e-6)


def test_a_saved_file_is_read_without_pickles(tmp_path: Path) -> None:
    path = save_reward_model(tmp_path, an_ensemble(VECTOR), VECTOR, RewardConfig())
    assert torch.load(path, weights_only=True)["layout"]["kind"] == "features"


def test_a_pickle_that_would_run_code_is_refused(tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return (Path.touch, (tmp_path / "sprung",))  # type: ignore[return-value]

    path = tmp_path / "trap.pt"
    torch.save({"format": "prefrl.reward_model", "trap": Trap()}, path)
    with pytest.raises(UsageError, match=r"trap.pt is damaged or no reward model"):
        load_reward_model(path)
    assert not (tmp_path / "sprung").exists()


@pytest.mark.parametrize("content", [b"", b"not a model", pickle.dumps({"a": 1}), b"PK\x03\x04torn"])
def test_foreign_bytes_are_refused_in_one_line(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "foreign.pt"
    path.write_bytes(content)
    with pytest.raises(UsageError, match=r"foreign\.pt") as caught:
        load_reward_model(path)
    assert "\n" not in str(caught.value)


def test_a_torn_file_and_every_flipped_byte_of_a_tensor_is_noticed(tmp_path: Path) -> None:
    path = save_reward_model(tmp_path, an_ensemble(VECTOR), VECTOR, RewardConfig())
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(UsageError, match="damaged"):
        load_reward_model(path)
    weights = torch.load(save_reward_model(tmp_path, an_ensemble(VECTOR), VECTOR, RewardConfig()))["state"]
    raw = weights["network.second.weight"].numpy().tobytes()
    place = whole.index(raw[:32])
    path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
    with pytest.raises(UsageError, match="digest"):
        load_reward_model(path)


def test_other_torch_files_and_newer_formats_are_named(tmp_path: Path) -> None:
    path = tmp_path / "other.pt"
    torch.save({"weights": torch.zeros(2)}, path)
    with pytest.raises(UsageError, match="no reward model of PrefRL"):
        load_reward_model(path)
    torch.save({"format": "prefrl.reward_model", "format_version": 2}, path)
    with pytest.raises(UsageError, match="has format 2, this PrefRL reads 1"):
        load_reward_model(path)


def test_a_model_whose_settings_do_not_fit_its_parameters_is_refused(tmp_path: Path) -> None:
    config = dataclasses.replace(RewardConfig(), hidden=8)
    path = save_reward_model(tmp_path, an_ensemble(VECTOR), VECTOR, config)
    with pytest.raises(UsageError, match="does not fit this version") as caught:
        load_reward_model(path)
    assert "\n" not in str(caught.value)


def test_a_missing_file_and_an_impossible_device_are_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there is no reward model at"):
        load_reward_model(tmp_path / "nowhere.pt")
    with pytest.raises(UsageError, match="there is no reward model at"):
        load_reward_model(tmp_path)
    path = save_reward_model(tmp_path, an_ensemble(VECTOR), VECTOR, RewardConfig())
    with pytest.raises(UsageError, match="device"):
        load_reward_model(path, device="tpu")


@pytest.mark.gpu
def test_a_model_fitted_on_a_gpu_predicts_the_same_on_a_cpu(tmp_path: Path) -> None:
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device here")
    ensemble = an_ensemble(PIXELS).cuda()
    path = save_reward_model(tmp_path, ensemble, PIXELS, RewardConfig(pixel_preset="small"))
    steps = some_steps(PIXELS)
    there = load_reward_model(path, device="auto")
    assert there.ensemble.shift.is_cuda
    np.testing.assert_allclose(there.predict(*steps), load_reward_model(path).predict(*steps), atol=1e-3)


def test_a_layout_comes_back_from_its_folder(tmp_path: Path) -> None:
    for number, layout in enumerate((VECTOR, DISCRETE, PIXELS)):
        folder = tmp_path / str(number)
        folder.mkdir()
        save_layout(folder, layout)
        assert load_layout(folder) == layout


def test_a_layout_that_is_missing_or_damaged_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"there is no .*layout.json"):
        load_layout(tmp_path)
    unknown, short = '{"kind": "sound", "shape": [1], "actions": 0}', '{"kind": "stack", "shape": [1]}'
    for text in ("{", "[]", unknown, short):
        (tmp_path / "layout.json").write_text(text)
        with pytest.raises(UsageError, match="is damaged"):
            load_layout(tmp_path)
