"""Checkpoints: the whole state of a run in one file that is either whole or not there.

A file is written aside, synced, then renamed to `checkpoint-<step>-<digest>.pt`. The digest of its content
stands in its name, so a torn or flipped file is known before it is loaded, and the checkpoint before it is
used. Loading never runs code: `torch.load(weights_only=True)`, NumPy arrays stored as bytes.
"""

import hashlib
import os
import re
import warnings
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch

from prefrl.errors import UsageError
from prefrl.files import explained_disk_errors, sync_folder

FORMAT_VERSION = 2
"""Rises whenever what a run saves can no longer go on from what it saved before."""
KEPT = 2
ARRAY = "__numpy__"
"""The key that marks a dictionary as an array in disguise."""
DIGITS = 32
NAME = re.compile(rf"checkpoint-(\d{{12,}})-([0-9a-f]{{{DIGITS}}})\.pt")
PLAIN = (str, int, float, bool, type(None))
BIT_GENERATORS = ("PCG64", "PCG64DXSM", "MT19937", "Philox", "SFC64")


def save_checkpoint(folder: str | Path, step: int, state: dict[str, Any]) -> Path:
    """Write the state after a step, durably, and drop all but the newest two; returns the file.

    `state` nests dictionaries, lists and tuples of tensors, NumPy arrays and scalars, numbers, texts and
    None; types, dtypes and shapes come back as they were, tensors on the CPU and detached. Checkpoints of
    the same or a later step are replaced: they belong to a run that went on differently. Raises `UsageError`
    where the disk refuses, with earlier checkpoints intact, and `TypeError` for anything else in the state.
    """
    folder = Path(folder)
    encoded = {"version": FORMAT_VERSION, "step": step, "state": _encode(state, "state")}
    with explained_disk_errors(f"write a checkpoint into {folder}"):
        folder.mkdir(parents=True, exist_ok=True)
        aside = folder / f".checkpoint.{os.getpid()}.aside"
        try:
            with aside.open("wb") as file:
                hashing = _HashingFile(file)
                torch.save(encoded, hashing)  # type: ignore[arg-type]
                _raise_refused(hashing)
                file.flush()
                os.fsync(file.fileno())
            path = folder / f"checkpoint-{step:012d}-{hashing.digest()}.pt"
            aside.replace(path)
        except RuntimeError as error:  # torch reports a failed write in its own words
            aside.unlink(missing_ok=True)
            _raise_refused(hashing)
            raise UsageError(f"cannot write a checkpoint into {folder}: {_first_line(error)}") from error
        except BaseException:
            aside.unlink(missing_ok=True)
            raise
        sync_folder(folder)
        _drop_others(folder, path)
    return path


def load_checkpoint(folder: str | Path) -> tuple[int, dict[str, Any]]:
    """The step and state of the newest checkpoint that is whole; warns of each newer one that is not.

    Raises `UsageError` where there is none, or where another version of PrefRL has written it.
    """
    folder = Path(folder)
    broken: list[str] = []
    for _ in range(3):  # a running training may replace the files between listing and reading
        files = _checkpoints(folder)
        for path in files:
            try:
                step, state = _read(path)
            except FileNotFoundError:
                continue
            except (OSError, ValueError) as error:
                if path.name not in broken:
                    broken.append(path.name)
                    warnings.warn(
                        f"checkpoint {path} cannot be read ({_first_line(error)}): trying the one before",
                        stacklevel=2,
                    )
                continue
            return step, state
        if not files or broken:
            break
    if broken:
        raise UsageError(f"no checkpoint in {folder} can be read ({', '.join(broken)}): start the run again")
    raise UsageError(f"there is no checkpoint in {folder}: start the run without --resume")


def generator_state(generator: np.random.Generator) -> dict[str, Any]:
    """The state of a NumPy generator, for a checkpoint."""
    return dict(generator.bit_generator.state)


def restore_generator(state: dict[str, Any]) -> np.random.Generator:
    """A generator that continues where `generator_state` was taken."""
    name = state.get("bit_generator")
    if name not in BIT_GENERATORS:
        raise UsageError(
            f"the checkpoint's random generator is {name!r}: use one of {', '.join(BIT_GENERATORS)}"
        )
    bit_generator = getattr(np.random, name)()
    bit_generator.state = state
    return np.random.Generator(bit_generator)


class _Writable(Protocol):
    def write(self, content: bytes, /) -> int: ...
    def flush(self) -> None: ...


class _HashingFile:
    """What torch writes into: passes everything on, hashes it, and remembers why the disk refused."""

    def __init__(self, file: _Writable) -> None:
        self.refused: OSError | None = None
        self._file = file
        self._hash = hashlib.sha256()

    def write(self, content: bytes) -> int:
        self._hash.update(content)
        try:
            return self._file.write(content)
        except OSError as error:
            self.refused = error
            raise

    def flush(self) -> None:
        self._file.flush()

    def digest(self) -> str:
        return self._hash.hexdigest()[:DIGITS]


def _raise_refused(hashing: _HashingFile) -> None:
    if hashing.refused is not None:
        raise hashing.refused


def _read(path: Path) -> tuple[int, dict[str, Any]]:
    match = NAME.fullmatch(path.name)
    assert match is not None, path
    with path.open("rb") as file:
        if hashlib.file_digest(file, "sha256").hexdigest()[:DIGITS] != match[2]:
            raise ValueError("it is torn or altered")
        file.seek(0)
        try:
            content = torch.load(file, map_location="cpu", weights_only=True)
        except Exception as error:  # whatever torch says of a file that is whole but not ours
            raise ValueError(_first_line(error)) from error
    version = content.get("version", 1)
    if version != FORMAT_VERSION:
        raise UsageError(
            f"checkpoint {path} has format {version}, this PrefRL reads {FORMAT_VERSION} only: resume with"
            " the version that began the run, or start it again"
        )
    return content["step"], _decode(content["state"])


def _checkpoints(folder: Path) -> list[Path]:
    """Newest first; of two for the same step the one written last."""
    if not folder.is_dir():
        return []
    found = [(int(match[1]), path) for path in folder.iterdir() if (match := NAME.fullmatch(path.name))]
    return [path for _, path in sorted(found, key=lambda one: (one[0], _written(one[1])), reverse=True)]


def _written(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return 0.0


def _drop_others(folder: Path, newest: Path) -> None:
    files = _checkpoints(folder)
    step = int(newest.name.split("-")[1])
    earlier = [path for path in files if int(path.name.split("-")[1]) < step]
    kept = {newest, *earlier[: KEPT - 1]}
    for path in [*(file for file in files if file not in kept), *folder.glob(".checkpoint.*.aside")]:
        path.unlink(missing_ok=True)


def _encode(value: Any, where: str) -> Any:
    if isinstance(value, torch.Tensor):
        tensor = value.detach()
        whole = tensor.untyped_storage().nbytes() == tensor.nbytes
        return tensor if whole else tensor.clone()  # torch saves all of the memory that a view looks into
    if isinstance(value, np.ndarray | np.generic):
        return _encode_array(value, where)
    if type(value) in PLAIN:
        return value
    if isinstance(value, dict):
        if ARRAY in value:
            raise TypeError(f"{where} uses the reserved key {ARRAY!r}")
        return {_plain_key(key, where): _encode(one, f"{where}[{key!r}]") for key, one in value.items()}
    if type(value) in (list, tuple):
        return type(value)(_encode(one, f"{where}[{index}]") for index, one in enumerate(value))
    raise TypeError(f"{where} is a {type(value).__name__}, which a checkpoint cannot hold")


def _encode_array(value: np.ndarray | np.generic, where: str) -> dict[str, Any]:
    array = np.asarray(value, order="C")
    if array.dtype.hasobject or array.dtype.names:
        raise TypeError(f"{where} is an array of {array.dtype}, which a checkpoint cannot hold")
    content = array.reshape(-1).view(np.uint8)
    return {
        ARRAY: torch.from_numpy(content if content.flags.writeable else content.copy()),
        "dtype": array.dtype.str,
        "shape": list(array.shape),
        "scalar": isinstance(value, np.generic),
    }


def _plain_key(key: Any, where: str) -> Any:
    if type(key) not in (str, int):
        raise TypeError(f"{where} has the key {key!r}: use texts or whole numbers")
    return key


def _decode(value: Any) -> Any:
    if isinstance(value, dict):
        if ARRAY in value:
            array = value[ARRAY].numpy().view(value["dtype"]).reshape(value["shape"])
            return array[()] if value["scalar"] else array
        return {key: _decode(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_decode(one) for one in value)
    return value


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
