"""Moving pictures of MuJoCo episodes from stored states: the same states give the same pixels.

"plain" is fast and enough to judge a behaviour by; "pretty" has shadows, reflections, sky and haze.
"""

import threading
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from envs.errors import WorldError
from envs.mujoco_graphics import choose_graphics, no_graphics
from envs.mujoco_model import import_mujoco, load_model, quiet_mujoco
from envs.mujoco_tasks import MUJOCO_TASKS

SIZES: dict[str, tuple[int, int]] = {"plain": (320, 240), "pretty": (640, 480)}
"""Width and height in pixels of each style."""

_COSTLY_EFFECTS = ("mjRND_SHADOW", "mjRND_REFLECTION", "mjRND_SKYBOX", "mjRND_HAZE")


@dataclass(frozen=True)
class _FixedView:
    """A camera that stands still, for the tasks whose models have none of their own."""

    lookat: tuple[float, float, float]
    distance: float
    azimuth: float
    elevation: float


_FIXED_VIEWS = {
    "reacher": _FixedView((0.0, 0.0, 0.0), distance=0.85, azimuth=90.0, elevation=-90.0),
    "inverted-pendulum": _FixedView((0.0, 0.0, 0.2), distance=2.6, azimuth=90.0, elevation=-8.0),
    "inverted-double-pendulum": _FixedView((0.0, 0.0, 0.5), distance=3.8, azimuth=90.0, elevation=-8.0),
}


@dataclass
class _Cache(threading.local):
    """Renderers by task and style; a graphics context belongs to the thread that made it."""

    renderers: dict[tuple[str, str], "StateRenderer"] = field(default_factory=dict)


_CACHE = _Cache()


def render_states(task: str, states: NDArray[np.float64], *, style: str = "plain") -> NDArray[np.uint8]:
    """Draw stored states with the camera that follows the body, as Gymnasium's does.

    Args:
        task: one of the eight MuJoCo tasks.
        states: qpos and qvel, [L, nq + nv], as in the `state` of a world's infos.
        style: "plain" (320x240) or "pretty" (640x480).

    Returns:
        Frames [L, H, W, 3].

    Raises:
        WorldError: the states are not the task's, or this machine cannot draw; the message says what to do.
    """
    if style not in SIZES:
        raise WorldError(f"style is {style!r}: give {' or '.join(SIZES)}")
    key = (task, style)
    if key not in _CACHE.renderers:
        _CACHE.renderers[key] = StateRenderer(task, style)
    return _CACHE.renderers[key].render(states)


def close_renderers() -> None:
    """Free the graphics memory of this thread's cached renderers."""
    while _CACHE.renderers:
        _CACHE.renderers.popitem()[1].close()


def check_graphics() -> str:
    """Draw one picture; return the name of the backend that could.

    Raises:
        WorldError: this machine cannot draw; the message says what to do.
    """
    renderer = StateRenderer("inverted-pendulum", "plain")
    renderer.render(np.zeros((1, 4)))
    renderer.close()
    return renderer.backend


class StateRenderer:
    """One model with its graphics context."""

    def __init__(self, task: str, style: str) -> None:
        self._mujoco = import_mujoco()
        self._task = task
        self._model = load_model(MUJOCO_TASKS[task].model_file)
        self._data = self._mujoco.MjData(self._model)
        self._camera = self._make_camera()
        self._floors = _floors(self._mujoco, self._model)
        width, height = SIZES[style]
        self.backend = choose_graphics()
        self._renderer = self._make_renderer(width, height)
        if style == "plain":
            for effect in _COSTLY_EFFECTS:
                self._renderer.scene.flags[getattr(self._mujoco.mjtRndFlag, effect)] = False

    def render(self, states: NDArray[np.float64]) -> NDArray[np.uint8]:
        """Draw states [L, nq + nv] as frames [L, H, W, 3]."""
        positions = self._model.nq
        if states.ndim != 2 or states.shape[1] != positions + self._model.nv:
            wanted = f"[length, {positions + self._model.nv}]"
            raise WorldError(f"states of {self._task} have shape {states.shape}: give {wanted}")
        frames = np.empty((len(states), self._renderer.height, self._renderer.width, 3), np.uint8)
        self._mujoco.mj_resetData(self._model, self._data)
        for frame, state in zip(frames, states, strict=True):
            self._data.qpos[:], self._data.qvel[:] = state[:positions], state[positions:]
            with quiet_mujoco():
                self._mujoco.mj_forward(self._model, self._data)
            self._lay_floors()
            self._renderer.update_scene(self._data, camera=self._camera)
            self._renderer.render(out=frame)
        return frames

    def _lay_floors(self) -> None:
        """Move the floors below the body, by whole tiles: they end after 20 or 40 metres, runners do not.

        Only the picture is moved, after all forces are known.
        """
        body = self._data.xpos[1, :2]
        for geom, tile in self._floors.items():
            self._data.geom_xpos[geom, :2] = tile * np.round(body / tile)

    def close(self) -> None:
        """Free the graphics context."""
        self._renderer.close()

    def _make_camera(self) -> Any:
        view = _FIXED_VIEWS.get(self._task)
        if view is None:
            return "track"
        camera = self._mujoco.MjvCamera()
        camera.type = self._mujoco.mjtCamera.mjCAMERA_FREE
        camera.lookat[:] = view.lookat
        camera.distance, camera.azimuth, camera.elevation = view.distance, view.azimuth, view.elevation
        return camera

    def _make_renderer(self, width: int, height: int) -> Any:
        try:
            return self._mujoco.Renderer(self._model, height, width)
        except Exception as error:  # whatever the drivers raise: none of it is ours
            raise no_graphics(error) from error


def _floors(mujoco: Any, model: Any) -> dict[int, NDArray[np.float64]]:
    """The textured planes that end somewhere, each with its texture's period, [2], in metres."""
    found = {}
    for geom in range(model.ngeom):
        size, material = model.geom_size[geom, :2], int(model.geom_matid[geom])
        if model.geom_type[geom] == mujoco.mjtGeom.mjGEOM_PLANE and material >= 0 and size.all():
            found[geom] = 2.0 * size / model.mat_texrepeat[material]
    return found
