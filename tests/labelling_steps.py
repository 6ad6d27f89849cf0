"""What somebody does who labels: in the browser by keys, or over the routes by entries."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from starlette.testclient import TestClient

from experiments.browser import LabelPage

KEPT = {"status": "kept", "known": False}
"""The receipt of an answer that was stored and counts."""


def answer(page: LabelPage, *keys: str, lockout: float = 0.2) -> None:
    """Waits for a query and its lockout, then presses."""
    page.wait_for_pair()
    time.sleep(lockout)
    for key in keys:
        page.press(key)


def wait_until(condition: Callable[[], bool], seconds: float = 30.0) -> None:
    """Until it is so."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it never happened"
        time.sleep(0.05)


def entry(query: dict[str, Any], value: Any = 1.0, **more: Any) -> dict[str, Any]:
    """An answer as the page hands it in."""
    return {"ticket": query["ticket"], "revision": query["revision"], "value": value, "seconds": 2.0} | more


def post(client: TestClient, *entries: Any, labeller: str = "ada") -> list[dict[str, Any]]:
    """Hands in entries; their receipts."""
    response = client.post("/prefrl/answers", json={"labeller": labeller, "answers": list(entries)})
    assert response.status_code == 200, response.text
    receipts: list[dict[str, Any]] = response.json()["receipts"]
    return receipts
