"""Where this application is: the workplace that its pages show, one for all sessions."""

from __future__ import annotations

import os
from pathlib import Path

import streamlit as st

from ui.workplace import Workplace

FOLDER = "PREFRL_UI_FOLDER"
"""Environment variable that tells the pages which runs to show."""


@st.cache_resource
def workplace() -> Workplace:
    """The runs that this server was started for."""
    return Workplace(Path(os.environ[FOLDER]))
