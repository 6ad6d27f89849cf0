"""A real browser on a real server, for tests marked ``browser``: Chromium as the system has it."""

import os
import shutil
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from experiments.label import free_port

NAMES = ("chromium", "chromium-browser", "google-chrome")
READY = '[data-testid="stApp"][data-test-connection-state="CONNECTED"][data-test-script-state="notRunning"]'
PATIENCE = 30_000
"""Milliseconds a page may take; generous, because the machine may be busy."""


def chromium() -> str | None:
    """The path of the system's Chromium, or None."""
    return os.environ.get("PREFRL_CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """A headless Chromium; skipped, visibly, where the system has none."""
    path = chromium()
    if path is None:
        pytest.skip("no Chromium on this machine: install it (apt-get install chromium) to run browser tests")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()


class Server:
    """The app's server for a folder of runs; it can be killed and started again at the same port."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.port = folder, free_port(20_000 + os.getpid() % 20_000)
        self.process: subprocess.Popen[bytes] | None = None
        self.start()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Starts it and waits until it answers."""
        command = [sys.executable, "-m", "ui", str(self.folder), "--port", str(self.port)]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        for _ in range(600):
            try:
                urllib.request.urlopen(f"{self.address}/_stcore/health", timeout=5).read()
                return
            except OSError:
                time.sleep(0.1)
        raise TimeoutError("the server does not answer")

    def kill(self) -> None:
        """SIGKILL: nothing is said goodbye to."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()


@pytest.fixture
def serve() -> Iterator[Any]:
    """Starts servers for folders, and ends them after the test."""
    servers: list[Server] = []

    def start(folder: Path) -> Server:
        servers.append(Server(folder))
        return servers[-1]

    yield start
    for server in servers:
        server.kill()


class LabelPage:
    """The labelling page of a run, as somebody at a keyboard sees it."""

    def __init__(self, context: Any, server: Server, run: str, labeller: str) -> None:
        self.page = context.new_page()
        self.problems: list[str] = []
        self.page.on("pageerror", lambda error: self.problems.append(str(error)))
        self.page.add_init_script(
            """
            localStorage.setItem("prefrl:warned", "1");
            window.receipts = []; window.latencies = [];
            addEventListener("prefrl:receipt", (e) => window.receipts.push(e.detail.receipt), true);
            addEventListener("prefrl:shown", (e) => window.latencies.push(e.detail.latency), true);
            """
        )
        self.address = f"{server.address}/?run={run}&labeller={labeller}"
        self.open()

    def open(self) -> None:
        """Loads the page (again) and waits for the first pair."""
        self.page.goto(self.address)
        self.page.wait_for_selector(READY, timeout=PATIENCE)
        self.page.wait_for_selector(".label-page", timeout=PATIENCE)
        if self.page.locator("dialog[open]").count() or not self.seen_instructions():
            self.page.locator("dialog[open] button").last.click(timeout=PATIENCE)
        self.wait_for_pair()

    def seen_instructions(self) -> bool:
        """Whether this browser has shown the instructions before."""
        return bool(
            self.page.evaluate("Object.keys(localStorage).some((k) => k.startsWith('prefrl:instructions:'))")
        )

    def wait_for_pair(self) -> None:
        """Until two clips are on the screen."""
        self.page.wait_for_selector(".label-page:not(.empty)", timeout=PATIENCE)

    def press(self, key: str) -> None:
        self.page.keyboard.press(key)

    def words(self, place: str) -> str:
        """What stands in a place of the page."""
        return str(self.page.locator(f"[data-place={place}]").inner_text())

    def wait_for(self, place: str, words: str) -> None:
        """Until a place of the page says something."""
        self.page.locator(f"[data-place={place}]", has_text=words).wait_for(timeout=PATIENCE)

    @property
    def receipts(self) -> list[dict[str, Any]]:
        """What the server has acknowledged since the page was loaded."""
        found: list[dict[str, Any]] = self.page.evaluate("window.receipts")
        return found
