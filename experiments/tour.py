"""``prefrl tour FOLDER``: a picture of every page of the app, in several widths, light and dark.

For the time of the tour a run of its own trains in the folder and is answered by scripted labellers, so that
the pages that show something live have it.
"""

from __future__ import annotations

import io
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlencode

import tyro
from PIL import Image

from experiments.bench_pages import WatchedPage, page_addresses
from experiments.browser import PATIENCE, OpenBrowser, Server, open_browser
from experiments.options import parse_options
from experiments.tour_run import RUN, tour_run
from prefrl.errors import UsageError
from prefrl.files import explained_disk_errors

Scheme = Literal["light", "dark"]
SECONDS_TO_DRAW = 2.0
"""Charts and pictures come after the page has come to rest."""
SIGN_IN = "/prefrl/sign-in"
UNDER_WAY = "being drawn|being fitted"
TALLEST = 2600
"""Pages are shown whole, but for what goes on for longer, in pixels."""


@dataclass(frozen=True)
class TourConfig:
    """Take a picture of every page of the app, in several widths, light and dark."""

    folder: Annotated[Path, tyro.conf.Positional] = Path("runs")
    """A folder of runs to show."""
    out: Path = Path("runs/tour")
    """Folder for the pictures, PAGE-WIDTH-SCHEME.webp."""
    widths: tuple[int, ...] = (1024, 1600)
    """Widths of the window in pixels."""
    height: int = 800
    """Its least height; a page that is longer is shown whole."""
    schemes: tuple[Scheme, ...] = ("light", "dark")
    """What the system prefers."""
    live: str | None = "half-cheetah"
    """Task of the run that trains meanwhile; None: only what is in the folder."""
    answers: int = 120
    """Answers that it has got before the first picture."""
    diagnosed: str | None = None
    """Name of the run that the page Diagnostics shows."""
    quality: int = 50
    """Of the WebP pictures, 1 to 100."""

    def __post_init__(self) -> None:
        if not self.widths or min(*self.widths, self.height) < 200 or not 1 <= self.quality <= 100:
            raise UsageError("--widths and --height must be at least 200, --quality 1 to 100")


def main(args: list[str]) -> int:
    return run_tour(parse_options(TourConfig, args, command="tour"))


def run_tour(config: TourConfig, *, browser: OpenBrowser = open_browser) -> int:
    """Takes the pictures and prints their paths; returns 1 where a page reports an error, else 0.

    Raises:
        UsageError: no browser, no such folder, a full disk, a live run that does not begin.
    """
    if not config.folder.is_dir():
        raise UsageError(f"{config.folder} is no folder: name the one that holds your runs")
    with explained_disk_errors(f"make {config.out}"):
        config.out.mkdir(parents=True, exist_ok=True)
    problems: list[str] = []
    with browser() as chromium, _served(config) as server:
        for width in config.widths:
            for scheme in config.schemes:
                problems += _take_pictures(chromium, server, config, width, scheme)
    for problem in dict.fromkeys(problems):
        print(f"a page reports: {problem}")
    return 1 if problems else 0


@contextmanager
def _served(config: TourConfig) -> Iterator[Server]:
    """The app on the folder, with a live run in it where one is wanted, which is deleted afterwards."""
    if config.live is None:
        server = Server(config.folder)
        try:
            yield server
        finally:
            server.kill()
        return
    with tour_run(config.folder, config.live, answers=config.answers) as live:
        try:
            yield live.server
        finally:
            live.end()
            shutil.rmtree(config.folder / RUN)
            live.output.unlink(missing_ok=True)


def _take_pictures(
    chromium: Any, server: Server, config: TourConfig, width: int, scheme: Scheme
) -> list[str]:
    """Every page in one width and scheme; returns what the pages complained of."""
    context = chromium.new_context(
        viewport={"width": width, "height": config.height}, color_scheme=scheme, reduced_motion="reduce"
    )
    problems = []
    for name, address in page_addresses(context, server):
        watched = WatchedPage(context)
        watched.open(_asking_for(address, config.diagnosed if name == "Diagnostics" else config.live and RUN))
        if name == "Label" and config.live:
            _show_dialogs(watched.page, config, f"{width}-{scheme}")
            watched.page.wait_for_selector(".label-page:not(.empty)", timeout=PATIENCE)
        _wait_for_drawings(watched.page)
        _settle(watched.page)
        _show_whole(watched.page, config)
        _save(watched.page, config, f"{name}-{width}-{scheme}")
        problems += [f"{name}: {error}" for error in watched.errors]
        watched.page.close()
    page = context.new_page()
    page.goto(f"{server.address}{SIGN_IN}")
    _save(page, config, f"sign-in-{width}-{scheme}")
    context.close()
    return problems


def _asking_for(address: str, run: str | None) -> str:
    return f"{address}?{urlencode({'run': run, 'labeller': 'ada'})}" if run else address


def _show_dialogs(page: Any, config: TourConfig, name: str) -> None:
    """What opens over the labelling page: the instructions, by themselves at first; the answers given."""
    _settle(page)
    for title, action in (("instructions", "help"), ("my-answers", "answers")):
        if not page.locator("dialog[open]").count():
            page.locator(f"[data-action={action}]").click(timeout=PATIENCE)
        _settle(page)
        _save(page, config, f"{title}-{name}")
        page.keyboard.press("Escape")
        page.wait_for_selector("dialog:not([open])", state="attached", timeout=PATIENCE)


def _wait_for_drawings(page: Any) -> None:
    """Until nothing on the page is still being drawn or fitted."""
    with suppress(Exception):  # what takes longer than that is shown as it is
        page.wait_for_function(f"!/{UNDER_WAY}/.test(document.body.innerText)", timeout=PATIENCE)


def _settle(page: Any) -> None:
    """Waits for as long as charts and pictures take."""
    page.wait_for_timeout(1000 * SECONDS_TO_DRAW)


def _show_whole(page: Any, config: TourConfig) -> None:
    """Makes the window as high as what is in it."""
    size = page.viewport_size
    content = page.evaluate("document.querySelector('[data-testid=stMainBlockContainer]')?.scrollHeight ?? 0")
    if content > config.height:
        page.set_viewport_size({"width": size["width"], "height": min(int(content), TALLEST)})
        _settle(page)


def _save(page: Any, config: TourConfig, name: str) -> None:
    path = config.out / f"{re.sub(r'[^a-z0-9]+', '-', name.lower()).strip('-')}.webp"
    picture = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
    with explained_disk_errors(f"write {path}"):
        picture.save(path, format="WEBP", quality=config.quality, method=6)
    print(path, flush=True)
