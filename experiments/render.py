"""``prefrl render RUN``: films the policy before and after training, and clips that were compared."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np
import tyro

from experiments.options import parse_options
from prefrl.errors import UsageError
from prefrl.files import explained_disk_errors, write_atomically

if TYPE_CHECKING:
    from prefrl.control.acting import WorldActor
    from prefrl.control.config import TrainConfig

FRAMES_PER_SECOND = {
    "hopper": 125,
    "walker2d": 125,
    "swimmer": 25,
    "half-cheetah": 20,
    "ant": 20,
    "reacher": 50,
}
GAME_FRAMES_PER_SECOND = 15


@dataclass(frozen=True)
class RenderConfig:
    """Film a run's policy as animated pictures in its folder clips/."""

    run: Annotated[Path, tyro.conf.Positional]
    """The run folder."""
    steps: int = 100
    """Agent steps per film."""
    start: int = 50
    """Step of the episode at which a film begins."""
    seed: int = 0
    """Seed of the filmed episode."""
    style: Literal["plain", "pretty"] = "pretty"
    """MuJoCo's drawing: plain is several times faster."""
    format: Literal["webp", "gif", "mp4"] = "webp"
    """webp and gif play in every browser; mp4 needs the package imageio-ffmpeg."""

    def __post_init__(self) -> None:
        if self.steps < 1 or self.start < 0 or self.seed < 0:
            raise UsageError("--steps must be at least 1, --start and --seed at least 0")


def main(args: list[str]) -> int:
    return run_render(parse_options(RenderConfig, args, command="render"))


def run_render(config: RenderConfig) -> int:
    """Writes ``before`` and ``after`` films and prints their paths; returns the exit code 0.

    Raises:
        UsageError: no run or checkpoint there, or a format that this machine cannot write.
        WorldError: no GL to draw with, or a world that cannot be drawn again.
    """
    from experiments.train import world_maker
    from prefrl.control.run_settings import load_config
    from prefrl.control.saved_policy import load_actor, make_actor
    from prefrl.devices import make_device

    settings = load_config(config.run)
    make_env = world_maker(settings)
    folder = config.run / "clips"
    with explained_disk_errors(f"make {folder}"):
        folder.mkdir(exist_ok=True)
    trained, step = load_actor(config.run, settings, make_env)
    untrained = make_actor(settings, make_env, make_device(settings.device))
    for name, actor in (("before", untrained), ("after", trained)):
        frames = film(actor, settings, config)
        path = folder / f"{name}.{config.format}"
        write_film(path, frames, fps=frames_per_second(settings.task))
        policy = "the untrained policy" if name == "before" else f"step {step}"
        print(f"{path}: {len(frames)} frames of {policy}")
    return 0


def film(actor: WorldActor, settings: TrainConfig, config: RenderConfig) -> np.ndarray:
    """``[steps, height, width, 3]``: part of one episode of this policy, from where ``start`` says."""
    from envs.clips import capture_replay, render_clip
    from experiments.train import world_maker

    env = world_maker(settings)(1, config.seed)
    rng, states = np.random.default_rng(config.seed), []
    try:
        actor.refresh()
        observation, infos = env.reset()
        seed, taken = int(infos["episode_seed"][0]), 0
        while taken < config.start + config.steps:
            states.append(infos.get("state"))
            action = actor.act(observation, rng, greedy=not actor.discrete)
            observation, _, _, _, infos = env.step(action)
            taken += 1
            if infos["episode_end"][0]:
                break
        start = max(0, min(config.start, taken - config.steps))
        kept = None if states[0] is None else np.concatenate(states[start:taken])
        replay = capture_replay(env, episode_seed=seed, start=start, length=taken - start, states=kept)
        frames: np.ndarray = render_clip(settings.task, replay, style=config.style)
        return frames
    finally:
        env.close()


def frames_per_second(task: str) -> int:
    """Real time for the robots, the paper's 15 frames per second for the games."""
    return FRAMES_PER_SECOND.get(task, GAME_FRAMES_PER_SECOND)


def write_film(path: Path, frames: np.ndarray, *, fps: int) -> None:
    """Writes ``[n, height, width, 3]`` bytes as WebP, GIF or MP4, by the file's ending.

    Raises:
        UsageError: a full disk, or no writer for MP4 here.
    """
    if path.suffix == ".mp4":
        with explained_disk_errors(f"write {path}"):
            _write_mp4(path, frames, fps)
        return
    from PIL import Image

    # Browsers slow down pictures shorter than 20 ms: drop frames instead.
    stride = max(1, round(fps / 50))
    pictures = [Image.fromarray(frame) for frame in frames[::stride]]
    options: dict[str, Any] = {"method": 2, "quality": 80} if path.suffix == ".webp" else {}
    encoded = io.BytesIO()
    pictures[0].save(
        encoded,
        format=path.suffix.removeprefix("."),
        save_all=True,
        append_images=pictures[1:],
        duration=round(1000 * stride / fps),
        loop=0,
        **options,
    )
    write_atomically(path, encoded.getvalue())


def _write_mp4(path: Path, frames: np.ndarray, fps: int) -> None:
    try:
        import imageio.v2 as imageio
        import imageio_ffmpeg  # noqa: F401 - the writer that imageio looks for
    except ImportError as error:
        raise UsageError(
            "mp4 needs the package imageio-ffmpeg: pip install imageio-ffmpeg, or use --format webp"
        ) from error
    imageio.mimwrite(path, list(frames), fps=fps, macro_block_size=2)
