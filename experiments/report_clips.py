"""The clips of a run, ready to be put into a page: moving, and as one still for whoever wants no motion."""

import base64
import io
from dataclasses import dataclass
from html import escape
from pathlib import Path

from PIL import Image

from prefrl.runs.folders import Run

_TYPES = {"WEBP": "image/webp", "GIF": "image/gif"}
_QUERIES = 4  # how many queries of a run are shown


@dataclass(frozen=True)
class Clip:
    """A moving picture and its first frame, both as data URIs."""

    name: str
    moving: str
    still: str
    width: int
    height: int
    frames: int


def read_clips(run: Run, *, megabytes: float) -> tuple[list[Clip], list[str]]:
    """before, after and the first queries of a run, where they exist; notes on clips that cannot be shown."""
    folder = run.path / "clips"
    wanted = [folder / f"{name}{ending}" for name in ("before", "after") for ending in (".webp", ".gif")]
    queries = sorted(path for ending in ("webp", "gif") for path in folder.glob(f"query_*.{ending}"))
    clips, notes = [], []
    for path in [path for path in wanted if path.is_file()] + queries[:_QUERIES]:
        try:
            clips.append(_read_clip(path, megabytes))
        except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
            notes.append(f"{path} is not shown: {error}")
    return clips, notes


def clip_figure(clip: Clip, caption: str) -> str:
    """A clip as a <figure>; the style sheet shows the still instead where motion is not wanted."""
    size = f'width="{clip.width}" height="{clip.height}"'
    words = escape(caption)
    return (
        f'<figure class="clip"><img class="moving" src="{clip.moving}" {size} alt="Clip: {words}">'
        f'<img class="still" src="{clip.still}" {size} alt="First frame: {words}">'
        f"<figcaption>{words}</figcaption></figure>"
    )


def _read_clip(path: Path, megabytes: float) -> Clip:
    size = path.stat().st_size / 1e6
    if size > megabytes:
        raise ValueError(f"it has {size:.1f} MB, the limit (--clip-megabytes) is {megabytes:g}")
    content = path.read_bytes()
    with Image.open(io.BytesIO(content), formats=list(_TYPES)) as picture:
        kind, frames = str(picture.format), int(getattr(picture, "n_frames", 1))
        first = io.BytesIO()
        picture.convert("RGB").save(first, "WEBP", quality=85)
        width, height = picture.size
    return Clip(
        path.stem, _uri(_TYPES[kind], content), _uri("image/webp", first.getvalue()), width, height, frames
    )


def _uri(kind: str, content: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"
