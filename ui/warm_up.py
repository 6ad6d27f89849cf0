"""What the first visitors would otherwise wait for: imports, and the list of tasks."""

from __future__ import annotations

import importlib
import threading
from contextlib import suppress

from ui.refusals import Refusal

PAGES = (
    "page_label",
    "page_training",
    "page_baselines",
    "page_diagnostics",
    "page_preferences",
    "page_labellers",
    "page_data",
    "page_runs",
    "page_start",
)


def warm_up_aside() -> threading.Thread:
    """Warms up beside the server, which answers meanwhile."""
    thread = threading.Thread(target=warm_up, name="warm-up", daemon=True)
    thread.start()
    return thread


def warm_up() -> None:
    """Imports what the pages import, and what Streamlit puts off until it sends its first table or chart."""
    for name in PAGES:
        importlib.import_module(f"ui.{name}")
    from streamlit.dataframe_util import convert_anything_to_arrow_bytes

    convert_anything_to_arrow_bytes({"x": [0.0]})
    from ui.here import catalogue

    with suppress(Refusal):  # whoever opens the page is told why
        catalogue()
