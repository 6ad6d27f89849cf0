"""Where this application is: the workplace that its pages show, one for all sessions."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path

import streamlit as st

from ui.metrics_feed import Feeds
from ui.run_control import RunControl
from ui.run_request import Catalogue, read_catalogue
from ui.shelf import Shelf
from ui.workplace import Workplace

FOLDER = "PREFRL_UI_FOLDER"
"""Environment variable that tells the pages which runs to show."""


@st.cache_resource
def workplace() -> Workplace:
    """The runs that this server was started for."""
    return Workplace(Path(os.environ[FOLDER]))


@st.cache_resource
def run_control() -> RunControl:
    """Starts, stops and resumes these runs."""
    return RunControl(workplace())


@st.cache_resource
def feeds() -> Feeds:
    """The metrics of the runs that somebody looks at."""
    return Feeds()


@st.cache_resource
def shelf() -> Shelf:
    """All of these runs with their curves and figures."""
    return Shelf(workplace())


@cache
def catalogue() -> Catalogue:
    """What runs can be started; raises Refusal, and asks again, where the command line does not answer.

    Not Streamlit's cache: that is for sessions, and the server asks before there is one.
    """
    return read_catalogue()
