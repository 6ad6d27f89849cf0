"""Tickets: what the server hands out with a query, and believes when it comes back, because it is signed.

A ticket says which query was shown to whom and in which order; so an answer cannot get under another query,
another person's name or another side, whatever a page sends.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import os
import secrets
from dataclasses import dataclass
from pathlib import Path

from ui.refusals import Refusal

SECRET = ".ui-secret"
LONGEST = 2000


@dataclass(frozen=True)
class Ticket:
    """A query of a run as it was shown to a labeller: its items from left to right."""

    run: str
    query_id: str
    labeller: str
    shown: tuple[int, ...]


class Tickets:
    """Signs and reads tickets.

    Args:
        secret: whoever knows it can make tickets.
    """

    def __init__(self, secret: bytes) -> None:
        self._secret = secret

    def sign(self, ticket: Ticket) -> str:
        """The ticket as text that a page keeps and sends back."""
        content = json.dumps([ticket.run, ticket.query_id, ticket.labeller, list(ticket.shown)]).encode()
        return f"{_text(content)}.{_text(self._signature(content))}"

    def read(self, text: object) -> Ticket:
        """The ticket that was signed; raises Refusal for anything else."""
        try:
            if not isinstance(text, str) or len(text) > LONGEST:
                raise ValueError
            content, signature = (_bytes(part) for part in text.split("."))
            if not hmac.compare_digest(signature, self._signature(content)):
                raise ValueError
            run, query_id, labeller, shown = json.loads(content)
        except (ValueError, binascii.Error):
            raise Refusal(403, "this is no ticket of this server: reload the page") from None
        return Ticket(run, query_id, labeller, tuple(shown))

    def order(self, run: str, query_id: str, labeller: str, items: int) -> tuple[int, ...]:
        """A random order of a query's items for a labeller, the same at every call."""
        keys = [
            self._signature(json.dumps(["order", run, query_id, labeller, place]).encode())
            for place in range(items)
        ]
        return tuple(sorted(range(items), key=keys.__getitem__))

    def _signature(self, content: bytes) -> bytes:
        return hmac.new(self._secret, content, hashlib.sha256).digest()


def load_secret(folder: Path) -> bytes:
    """The secret kept in a folder, made at first use; only its owner may read it."""
    path = folder / SECRET
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(secrets.token_bytes(32))
    except FileExistsError:
        pass
    return path.read_bytes()


def _text(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


def _bytes(text: str) -> bytes:
    return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
