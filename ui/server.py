"""The server: Streamlit's pages and the routes of the labelling page, in one process."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import streamlit as st
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware

from prefrl.access import LOCAL_HOSTS
from ui.api import api_routes
from ui.desk import Desk
from ui.door import Door
from ui.gate import Gate
from ui.here import FOLDER
from ui.sign_in import sign_in_routes
from ui.tickets import Tickets, load_secret
from ui.visitors import EXPOSED
from ui.warm_up import warm_up_aside
from ui.workplace import Workplace

SCRIPT = Path(__file__).parent / "app.py"
CONFIG: dict[str, Any] = {
    "browser.gatherUsageStats": False,
    "client.showErrorDetails": "none",
    "client.toolbarMode": "minimal",
    "server.fileWatcherType": "none",
    "server.headless": True,
    "server.maxUploadSize": 64,  # MiB
    # Streamlit's red is too pale for words on its own tint, and its grey for small print.
    "theme.light.primaryColor": "#0b62c4",
    "theme.light.textColor": "#0b0d10",
    "theme.dark.primaryColor": "#4689e3",
}


def make_app(folder: Path, *, exposed: bool = False) -> st.App:
    """The application for the runs in a folder; ``exposed`` where other machines can reach it."""
    os.environ[FOLDER], os.environ[EXPOSED] = str(folder.resolve()), "1" if exposed else ""
    secret = load_secret(folder)
    desk, door = Desk(Workplace(folder), Tickets(secret)), Door(folder, secret, exposed=exposed)
    # A page elsewhere whose name is made to point at this machine must not act for whoever sits here. Where
    # codes are asked for, it has no session, and only those who set the server up know its names.
    hosts = ["*"] if exposed else [host for host in LOCAL_HOSTS if ":" not in host]
    middleware = [
        Middleware(TrustedHostMiddleware, allowed_hosts=hosts, www_redirect=False),
        Middleware(Gate, door=door),
    ]
    return st.App(SCRIPT, routes=[*sign_in_routes(door), *api_routes(desk)], middleware=middleware)


def serve(folder: Path, *, host: str, port: int) -> None:
    """Serves until stopped."""
    app = make_app(folder, exposed=host not in LOCAL_HOSTS)
    warm_up_aside()
    app.run(config=CONFIG | {"server.address": host, "server.port": port})
