"""What the machine at hand offers, one check per function; `experiments.doctor` puts them together."""

from __future__ import annotations

import importlib.metadata
import math
import os
import shutil
import subprocess
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Level = Literal["ok", "warn", "fail"]
GIB = 2**30
CGROUPS = Path("/sys/fs/cgroup")
PAPER_GAMES = ("beam_rider", "breakout", "enduro", "pong", "qbert", "seaquest", "space_invaders")
GL_PACKAGES = "apt-get install libegl1 libegl-mesa0 libgl1-mesa-dri libopengl0"

RENDER_ONE_FRAME = """
import mujoco
model = mujoco.MjModel.from_xml_string(
    '<mujoco><worldbody><light pos="0 0 3"/><geom type="sphere" size=".3"/></worldbody></mujoco>')
data = mujoco.MjData(model)
mujoco.mj_forward(model, data)
with mujoco.Renderer(model, 32, 32) as renderer:
    renderer.update_scene(data)
    print("drawn" if renderer.render().std() > 1 else "empty")
"""

WRITE_VIDEOS = """
import importlib.util, pathlib, tempfile
import numpy as np
from PIL import features
found = ["gif"] + ["webp"] * bool(features.check("webp"))
try:
    import cv2
    with tempfile.TemporaryDirectory() as folder:
        for name, code in (("mp4 (H.264)", "avc1"), ("mp4 (MPEG-4)", "mp4v")):
            file = pathlib.Path(folder) / f"{code}.mp4"
            writer = cv2.VideoWriter(str(file), cv2.VideoWriter.fourcc(*code), 15, (64, 64))
            for shade in range(15):
                writer.write(np.full((64, 64, 3), 10 * shade, np.uint8))
            writer.release()
            found += [name] * (file.exists() and cv2.VideoCapture(str(file)).read()[0])
except ImportError:
    pass
found += [name for name in ("imageio_ffmpeg", "av") if importlib.util.find_spec(name)]
print(", ".join(found))
"""


@dataclass(frozen=True)
class Check:
    """One thing looked at: how it stands, what was found and, unless all is well, what to do."""

    level: Level
    name: str
    found: str
    fix: str = ""


def check_cores() -> list[Check]:
    """Cores that exist, that this process may run on, and that its control group pays for."""
    present, allowed, quota = os.cpu_count() or 1, allowed_cores(), cpu_quota()
    found = f"{usable_cores()} usable ({present} present, {allowed} allowed"
    found += ", no quota)" if quota is None else f", quota {quota:g})"
    threads = os.environ.get("OMP_NUM_THREADS", "")
    if threads.isdigit() and int(threads) <= usable_cores():
        return [Check("ok", "cores", f"{found}, OMP_NUM_THREADS={threads}")]
    if quota is not None and quota < allowed:
        fix = f"libraries start {allowed} threads on {quota:g} cores: export OMP_NUM_THREADS={usable_cores()}"
        return [Check("warn", "cores", found, fix)]
    return [Check("ok", "cores", found)]


def usable_cores() -> int:
    """Cores worth starting a thread on: those allowed, at most what the control group's quota pays for."""
    quota = cpu_quota()
    return max(1, allowed_cores() if quota is None else min(allowed_cores(), math.ceil(quota)))


def allowed_cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def cpu_quota(root: Path = CGROUPS) -> float | None:
    """Cores that the control group at ``root`` (version 2 or 1) pays for; None where nothing limits them."""
    quota, period = (read_words(root / "cpu.max") or ["max", "1"])[:2]
    if quota == "max":
        quota = (read_words(root / "cpu" / "cpu.cfs_quota_us") or ["-1"])[0]
        period = (read_words(root / "cpu" / "cpu.cfs_period_us") or ["100000"])[0]
    return int(quota) / int(period) if int(quota) > 0 else None


def check_memory(*, root: Path = CGROUPS, need_gib: float = 4.0) -> list[Check]:
    """Memory of the machine or of the control group, whichever is smaller."""
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    limit = (
        read_words(root / "memory.max") or read_words(root / "memory" / "memory.limit_in_bytes") or ["max"]
    )[0]
    size = total if limit == "max" else min(total, int(limit))
    if size < need_gib * GIB:
        fix = f"games need about {need_gib:g} GiB: use fewer environments or a larger machine"
        return [Check("warn", "memory", f"{size / GIB:.1f} GiB", fix)]
    return [Check("ok", "memory", f"{size / GIB:.1f} GiB")]


def check_gpu() -> list[Check]:
    """The GPU that ``--device auto`` would take; none is no fault."""
    try:
        import torch
    except ImportError as error:
        return [Check("fail", "torch", f"cannot be imported: {error}", "make setup")]
    threads = f"torch {torch.__version__}, {torch.get_num_threads()} threads"
    if not torch.cuda.is_available():
        if shutil.which("nvidia-smi") and torch.version.cuda is None:
            fix = "install torch's CUDA build, see https://pytorch.org/get-started/locally"
            return [Check("warn", "GPU", f"there is one, but this is torch's CPU build ({threads})", fix)]
        return [Check("ok", "GPU", f"none; the CPU is used ({threads})")]
    free, total = torch.cuda.mem_get_info()
    memory = f"{free / GIB:.0f} of {total / GIB:.0f} GiB free"
    numbers = "bf16" if torch.cuda.is_bf16_supported() else "no bf16"
    return [Check("ok", "GPU", f"{torch.cuda.get_device_name()}, {memory}, {numbers} ({threads})")]


def check_gl(seconds: float = 60.0) -> list[Check]:
    """Draw one frame without a display, in a process of its own: a broken driver may hang or crash it."""
    backend = os.environ.get("MUJOCO_GL", "egl")
    output = run_python(RENDER_ONE_FRAME, seconds, {"MUJOCO_GL": backend})
    if output.endswith("drawn"):
        return [Check("ok", "GL", f"MuJoCo draws with MUJOCO_GL={backend}")]
    fix = f"{GL_PACKAGES}, and export MUJOCO_GL=egl; training works without, clips of MuJoCo tasks do not"
    return [Check("fail", "GL", f"MuJoCo cannot draw with MUJOCO_GL={backend}: {output or 'no output'}", fix)]


def check_codecs(seconds: float = 60.0) -> list[Check]:
    """Moving pictures that can be written here, found out by writing some."""
    output = run_python(WRITE_VIDEOS, seconds, {"OPENCV_LOG_LEVEL": "SILENT", "OPENCV_FFMPEG_LOGLEVEL": "-8"})
    found = output.rpartition("\n")[2]
    if "webp" not in found:
        return [Check("warn", "codecs", found or "none", "make setup (pillow brings webp)")]
    if "H.264" not in found and "imageio_ffmpeg" not in found:
        found += "; no mp4 that browsers play, for it: pip install imageio-ffmpeg"
    return [Check("ok", "codecs", found)]


def check_versions(requirements: Iterable[str] | None = None) -> list[Check]:
    """Installed packages against the oldest versions that PrefRL works with."""
    from packaging.requirements import Requirement

    if requirements is None:
        try:
            requirements = importlib.metadata.requires("prefrl") or []
        except importlib.metadata.PackageNotFoundError:
            return [Check("warn", "versions", "prefrl itself is not installed", "make setup")]
    checks, sound = [], []
    for wish in map(Requirement, requirements):
        if wish.marker is not None and not wish.marker.evaluate({"extra": ""}):
            continue
        try:
            version = importlib.metadata.version(wish.name)
        except importlib.metadata.PackageNotFoundError:
            checks.append(Check("fail", wish.name, "not installed", f"pip install '{wish}'"))
            continue
        if wish.specifier.contains(version, prereleases=True):
            sound.append(f"{wish.name} {version}")
        else:
            checks.append(Check("fail", wish.name, version, f"pip install '{wish}'"))
    return [*checks, Check("ok", "versions", ", ".join(sound))]


def check_roms(games: Sequence[str] = PAPER_GAMES) -> list[Check]:
    """The games of the paper, which ale-py brings along."""
    try:
        import ale_py.roms
    except ImportError as error:
        return [Check("fail", "games", f"ale-py cannot be imported: {error}", "make setup")]
    present = set(ale_py.roms.get_all_rom_ids())
    missing = [game for game in games if game not in present or not ale_py.roms.get_rom_path(game)]
    if missing:
        return [
            Check("fail", "games", f"no ROM of {', '.join(missing)}", "pip install --force-reinstall ale-py")
        ]
    return [Check("ok", "games", f"{len(present)} ROMs")]


def check_disk(folder: Path, *, need_gib: float = 1.0, comfortable_gib: float = 10.0) -> list[Check]:
    """Free space where runs are written."""
    free = shutil.disk_usage(folder).free / GIB
    found = f"{free:.1f} GiB free in {folder.resolve()}"
    level: Level = "ok" if free >= comfortable_gib else "warn" if free >= need_gib else "fail"
    fix = "" if level == "ok" else "free some space: `prefrl clean RUN` shows what old runs take"
    return [Check(level, "disk", found, fix)]


def read_words(file: Path) -> list[str]:
    try:
        return file.read_text().split()
    except OSError:
        return []


def run_python(code: str, seconds: float, environment: dict[str, str]) -> str:
    """What the code prints last, or the last line of what went wrong."""
    command = [sys.executable, "-c", code]
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
            env=os.environ | environment,
        )
    except subprocess.TimeoutExpired:
        return f"no answer within {seconds:g} s"
    lines = (done.stdout if done.returncode == 0 else done.stderr).strip().splitlines()
    return lines[-1] if lines else f"exit code {done.returncode}"
