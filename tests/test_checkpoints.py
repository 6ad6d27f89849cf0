"""Checkpoints come back exactly, or the one before does, or an error says why."""

import os
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from small_disk import files_limited_to

from prefrl.checkpoints import generator_state, load_checkpoint, restore_generator, save_checkpoint
from prefrl.errors import UsageError


def equal(left: Any, right: Any) -> bool:
    """Same types, dtypes, shapes and bits, all the way down."""
    if type(left) is not type(right):
        return False
    if isinstance(left, dict):
        return list(left) == list(right) and all(equal(left[key], right[key]) for key in left)
    if isinstance(left, list | tuple):
        return len(left) == len(right) and all(map(equal, left, right))
    if isinstance(left, torch.Tensor):
        same = left.dtype == right.dtype and left.shape == right.shape
        return (
            same
            and left.contiguous().view(-1).numpy().tobytes() == right.contiguous().view(-1).numpy().tobytes()
        )
    if isinstance(left, np.ndarray | np.generic):
        return left.dtype == right.dtype and left.shape == right.shape and left.tobytes() == right.tobytes()
    return bool(left == right)


SCALARS = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text())
ARRAYS = hnp.arrays(
    st.one_of(
        hnp.boolean_dtypes(), hnp.integer_dtypes(), hnp.unsigned_integer_dtypes(), hnp.floating_dtypes()
    ),
    hnp.array_shapes(min_dims=0, min_side=0, max_side=4),
)
STATES = st.recursive(
    st.one_of(SCALARS, ARRAYS),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.lists(inner, max_size=3).map(tuple),
        st.dictionaries(st.one_of(st.text(max_size=5), st.integers()), inner, max_size=3),
    ),
    max_leaves=8,
)


@settings(max_examples=50)
@given(state=st.dictionaries(st.text(max_size=5), STATES, max_size=4))
def test_nested_states_come_back_with_the_same_types_and_bits(
    state: dict[str, Any], tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("checkpoints")
    save_checkpoint(folder, 7, state)
    step, loaded = load_checkpoint(folder)
    assert step == 7
    assert equal(loaded, state)


def test_tensors_arrays_scalars_and_optimiser_states_come_back_exactly(tmp_path: Path) -> None:
    parameter = torch.nn.Parameter(torch.randn(3, 4))
    optimiser = torch.optim.Adam([parameter])
    parameter.square().sum().backward()
    optimiser.step()
    state = {
        "dtypes": [torch.tensor([1.5, float("nan")], dtype=kind) for kind in (torch.float64, torch.float32)],
        "whole": [torch.tensor([1, 0], dtype=kind) for kind in (torch.uint8, torch.int64, torch.bool)],
        "scalar": torch.tensor(3.0),
        "numpy scalar": np.float32(0.1),
        "zero-dimensional": np.array(5, dtype=np.uint8),
        "readonly": np.broadcast_to(np.arange(3), (2, 3)),
        "optimiser": optimiser.state_dict(),
        "torch generator": torch.Generator().get_state(),
        "empty": np.zeros((0, 3), dtype=np.float64),
        "big": 2**128 - 1,
    }
    save_checkpoint(tmp_path, 0, state)
    _, loaded = load_checkpoint(tmp_path)
    state["readonly"] = np.ascontiguousarray(state["readonly"])
    assert equal(loaded, state)
    loaded["readonly"][0, 0] = 9  # what is loaded can be written into
    torch.optim.Adam([parameter]).load_state_dict(loaded["optimiser"])


def test_a_view_is_saved_without_the_memory_that_it_looks_into(tmp_path: Path) -> None:
    path = save_checkpoint(
        tmp_path, 0, {"view": torch.zeros(1000, 1000)[0], "array": np.zeros((1000, 1000))[0]}
    )
    assert path.stat().st_size < 50_000
    assert load_checkpoint(tmp_path)[1]["view"].shape == (1000,)


def test_saving_leaves_the_state_as_it_was(tmp_path: Path) -> None:
    array, tensor = np.arange(4), torch.arange(4.0, requires_grad=True)
    save_checkpoint(tmp_path, 0, {"array": array, "tensor": tensor})
    _, loaded = load_checkpoint(tmp_path)
    loaded["array"][:] = 0
    assert array.tolist() == [0, 1, 2, 3]
    assert tensor.requires_grad
    assert not loaded["tensor"].requires_grad


@pytest.mark.parametrize("name", ["PCG64", "PCG64DXSM", "MT19937", "Philox", "SFC64"])
def test_a_generator_continues_where_it_was(tmp_path: Path, name: str) -> None:
    generator = np.random.Generator(getattr(np.random, name)(3))
    generator.integers(0, 10, size=5, dtype=np.int32)
    save_checkpoint(tmp_path, 1, {"generator": generator_state(generator)})
    restored = restore_generator(load_checkpoint(tmp_path)[1]["generator"])
    assert restored.random(4).tolist() == generator.random(4).tolist()
    assert (
        restored.integers(0, 9, 3, dtype=np.int32).tolist()
        == generator.integers(0, 9, 3, dtype=np.int32).tolist()
    )


def test_a_generator_of_an_unknown_kind_is_refused() -> None:
    with pytest.raises(UsageError, match="random generator is 'os': use one of PCG64"):
        restore_generator({"bit_generator": "os"})


@pytest.mark.parametrize(
    "value",
    [
        object(),
        b"bytes",
        {1.5: 2},
        {"__numpy__": 1},
        np.array([object()]),
        np.zeros(2, dtype="i4,f4"),
        {1, 2},
        lambda: 0,
    ],
)
def test_what_cannot_be_held_is_named_with_its_place(tmp_path: Path, value: Any) -> None:
    with pytest.raises(TypeError, match=r"state\['deep'\]\[0\]"):
        save_checkpoint(tmp_path, 0, {"deep": [value]})
    assert list(tmp_path.iterdir()) == []


def test_the_newest_two_are_kept_and_leftovers_cleared(tmp_path: Path) -> None:
    tmp_path.joinpath(".checkpoint.123.aside").write_bytes(b"left by a kill")
    for step in (10, 20, 30):
        save_checkpoint(tmp_path, step, {"step": step})
    assert sorted(path.name[:23] for path in tmp_path.iterdir()) == [
        "checkpoint-000000000020",
        "checkpoint-000000000030",
    ]


def test_a_checkpoint_replaces_those_of_the_same_and_of_later_steps(tmp_path: Path) -> None:
    for step in (10, 20):
        save_checkpoint(tmp_path, step, {"step": step})
    save_checkpoint(tmp_path, 20, {"step": "again"})
    assert load_checkpoint(tmp_path) == (20, {"step": "again"})
    save_checkpoint(tmp_path, 15, {"step": 15})
    assert load_checkpoint(tmp_path) == (15, {"step": 15})
    assert len(list(tmp_path.iterdir())) == 2


def cut(content: bytes) -> bytes:
    return content[: len(content) // 2]


def flip(content: bytes) -> bytes:
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]


@pytest.mark.parametrize("damage", [cut, flip, lambda _: b""])
def test_a_damaged_newest_checkpoint_is_warned_of_and_the_one_before_loaded(
    tmp_path: Path, damage: Callable[[bytes], bytes]
) -> None:
    save_checkpoint(tmp_path, 10, {"step": 10})
    newest = save_checkpoint(tmp_path, 20, {"array": np.arange(1000)})
    newest.write_bytes(damage(newest.read_bytes()))
    with pytest.warns(UserWarning, match="torn or altered"):
        assert load_checkpoint(tmp_path) == (10, {"step": 10})
    for path in tmp_path.iterdir():
        path.write_bytes(b"")
    with pytest.warns(UserWarning, match="torn"), pytest.raises(UsageError, match="no checkpoint in"):
        load_checkpoint(tmp_path)


def test_no_checkpoint_at_all_is_a_clear_error(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "missing"):
        with pytest.raises(UsageError, match="there is no checkpoint in"):
            load_checkpoint(folder)


def test_a_file_with_code_in_it_is_not_run(tmp_path: Path) -> None:
    import hashlib

    class Attack:
        def __reduce__(self) -> tuple[Any, ...]:
            return os.mkdir, (str(tmp_path / "owned"),)

    file = tmp_path / "attack.pt"
    torch.save({"step": 1, "state": Attack()}, file)
    digest = hashlib.sha256(file.read_bytes()).hexdigest()[:32]
    file.rename(tmp_path / f"checkpoint-000000000001-{digest}.pt")
    with pytest.warns(UserWarning, match="cannot be read"), pytest.raises(UsageError, match="can be read"):
        load_checkpoint(tmp_path)
    assert not (tmp_path / "owned").exists()


@pytest.mark.parametrize("size", [12_400, 1_000_000])
def test_a_full_disk_gives_a_clear_error_and_leaves_the_previous_checkpoint(
    tmp_path: Path, size: int
) -> None:
    save_checkpoint(tmp_path, 10, {"small": 1})
    large = {"large": np.random.default_rng(0).random(size)}
    with files_limited_to(100_000), pytest.raises(UsageError, match="the file would exceed the allowed size"):
        save_checkpoint(tmp_path, 20, large)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert load_checkpoint(tmp_path) == (10, {"small": 1})
    assert len(list(tmp_path.iterdir())) == 1
    save_checkpoint(tmp_path, 20, large)
    assert load_checkpoint(tmp_path)[0] == 20


def test_a_folder_that_cannot_be_made_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(UsageError, match="cannot write a checkpoint into"):
        save_checkpoint(tmp_path / "file", 0, {})


def test_a_checkpoint_of_another_version_is_refused_in_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("prefrl.checkpoints.FORMAT_VERSION", 1)
    save_checkpoint(tmp_path, 10, {"step": 10})
    monkeypatch.undo()
    with pytest.raises(UsageError, match=r"checkpoint .* has format 1, .* only: resume with the version"):
        load_checkpoint(tmp_path)


def test_files_replaced_while_they_are_read_do_not_fail_the_reader(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import prefrl.checkpoints as checkpoints

    save_checkpoint(tmp_path, 10, {"step": 10})
    honest, calls = checkpoints._read, []

    def race(path: Path) -> tuple[int, dict[str, Any]]:
        calls.append(path)
        if len(calls) == 1:
            save_checkpoint(tmp_path, 20, {"step": 20})
            path.unlink()
        return honest(path)

    monkeypatch.setattr(checkpoints, "_read", race)
    assert load_checkpoint(tmp_path) == (20, {"step": 20})
