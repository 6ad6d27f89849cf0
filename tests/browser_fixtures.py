"""Fixtures of the tests marked ``browser``: a Chromium, and servers that end with the test."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from experiments.browser import Server, chromium, open_browser


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """A headless Chromium; skipped, visibly, where the system has none."""
    if chromium() is None:
        pytest.skip("no Chromium on this machine: install it (apt-get install chromium) to run browser tests")
    with open_browser() as browser:
        yield browser


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


@pytest.fixture
def server(runs: Path, serve: Any) -> Any:
    """The app for the test's copy of the module's run."""
    return serve(runs)


@pytest.fixture
def context(browser: Any) -> Iterator[Any]:
    """A browser profile of the test's own."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    yield context
    context.close()
