"""The server: Streamlit's pages and the routes of the labelling page, in one process."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import streamlit as st
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware

from ui.api import api_routes
from ui.desk import Desk
from ui.here import FOLDER
from ui.tickets import Tickets, load_secret
from ui.workplace import Workplace

SCRIPT = Path(__file__).parent / "app.py"
LOCAL_HOSTS = ("127.0.0.1", "localhost")
CONFIG: dict[str, Any] = {
    "browser.gatherUsageStats": False,
    "client.showErrorDetails": "none",
    "client.toolbarMode": "minimal",
    "server.fileWatcherType": "none",
    "server.headless": True,
}


def make_app(folder: Path) -> st.App:
    """The application for the runs in a folder."""
    os.environ[FOLDER] = str(folder.resolve())
    desk = Desk(Workplace(folder), Tickets(load_secret(folder)))
    # A page elsewhere whose name is made to point at this machine must not act for whoever sits here.
    local = Middleware(TrustedHostMiddleware, allowed_hosts=list(LOCAL_HOSTS), www_redirect=False)
    return st.App(SCRIPT, routes=api_routes(desk), middleware=[local])


def serve(folder: Path, *, host: str, port: int) -> None:
    """Serves until stopped."""
    make_app(folder).run(config=CONFIG | {"server.address": host, "server.port": port})
