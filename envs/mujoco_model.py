"""Loading MuJoCo and the models of its tasks, without its messages in the terminal and the working folder."""

import contextlib
import importlib
import importlib.resources
import os
from collections.abc import Iterator
from types import ModuleType
from typing import Any

from envs.errors import WorldError


def import_mujoco() -> ModuleType:
    """Import mujoco.

    Raises:
        WorldError: the graphics library that the variable MUJOCO_GL asks for is missing.
    """
    try:
        return importlib.import_module("mujoco")
    except ModuleNotFoundError as error:
        raise WorldError(f"MuJoCo tasks need the package {error.name!r}: pip install mujoco") from error
    except (AttributeError, ImportError, OSError, RuntimeError) as error:
        setting = os.environ.get("MUJOCO_GL")
        raise WorldError(f"mujoco cannot be loaded with MUJOCO_GL={setting} ({error}): unset it") from error


def load_model(model_file: str) -> Any:
    """Load one of the models that Gymnasium's MuJoCo environments are made of (a mujoco.MjModel).

    Raises:
        WorldError: the installed gymnasium has no such file.
    """
    mujoco = import_mujoco()
    # The file, not gymnasium.envs.mujoco: importing that package would also import imageio and glfw.
    path = importlib.resources.files("gymnasium") / "envs" / "mujoco" / "assets" / model_file
    if not path.is_file():
        raise WorldError(f"gymnasium has no model {model_file!r}: install gymnasium 1.2 or newer")
    with quiet_mujoco():
        return mujoco.MjModel.from_xml_path(str(path))


@contextlib.contextmanager
def quiet_mujoco() -> Iterator[None]:
    """Keep MuJoCo from writing MUJOCO_LOG.TXT into the working folder and warnings to the terminal.

    Whoever runs MuJoCo under it looks at its counters of warnings instead.
    """
    mujoco = import_mujoco()
    previous = mujoco.get_mju_user_warning()
    mujoco.set_mju_user_warning(_ignore)
    try:
        yield
    finally:
        mujoco.set_mju_user_warning(previous)


def _ignore(_message: str) -> None:
    pass
