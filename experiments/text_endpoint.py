"""Asking language models behind an OpenAI-compatible address, patiently and without giving anything away.

The key goes to the address that the user names and nowhere else: no redirect is followed, and it is not sent
unencrypted to another machine.
"""

from __future__ import annotations

import http.client
import json
import os
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from prefrl.errors import UsageError
from prefrl.feedback_checks import check_text, shortened
from prefrl.texts.response_files import LONGEST_TEXT

PATH = "/chat/completions"
LOCAL = {"localhost", "127.0.0.1", "::1"}
PAUSES = (1.0, 2.0, 4.0, 8.0)
"""Seconds before each further attempt, where the server does not ask for more."""
LONGEST_PAUSE = 60.0
LARGEST_ANSWER = 8 * 2**20
PASSING = {408, 409, 425, 429, 500, 502, 503, 504, 529}
"""Statuses that may pass; every other one but 200 would come again."""
FIXES = {
    400: "check --models and the prompt",
    401: "check the key in the variable that --key-from names",
    403: "the key may not use this model",
    404: "check --endpoint and --models",
}

Messages = Sequence[dict[str, str]]


class NoAnswerError(Exception):
    """A prompt that this model did not answer; another may be."""


@dataclass(frozen=True)
class Endpoint:
    """Where to ask and how. Raises `UsageError` for an address that cannot be, or one that is not safe."""

    address: str
    """Such as https://example.org/v1; what follows /v1 is added."""
    key: str | None = None
    temperature: float = 1.0
    max_tokens: int = 512
    timeout_seconds: float = 120.0

    def __post_init__(self) -> None:
        parts = urlsplit(self.address)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.username or parts.query:
            raise UsageError(
                f"--endpoint {shortened(self.address)} is no plain http(s) address such as https://host/v1"
            )
        if self.key and parts.scheme == "http" and parts.hostname not in LOCAL:
            raise UsageError(f"--endpoint {self.address} would send the key unencrypted: use https")

    @property
    def url(self) -> str:
        """The address that is asked."""
        base = self.address.rstrip("/")
        return base if base.endswith(PATH) else f"{base}{PATH}"

    def ask(self, model: str, prompt: str | Messages, *, sleep: Callable[[float], None] = time.sleep) -> str:
        """What a model says to a prompt; tries again where that may help.

        Raises:
            NoAnswerError: no usable answer after all attempts, or one without text.
            UsageError: the server refuses in a way that will not change.
        """
        messages = [{"role": "user", "content": prompt}] if isinstance(prompt, str) else list(prompt)
        body = {
            "model": model,
            "messages": messages,
            "temperature": self.temperature,
            "max_tokens": self.max_tokens,
        }
        for attempt in range(len(PAUSES) + 1):
            try:
                return _text(self._post(body))
            except _PassingError as error:
                if attempt == len(PAUSES):
                    raise NoAnswerError(f"{model} after {attempt + 1} attempts: {error}") from error
                sleep(max(PAUSES[attempt], min(error.seconds, LONGEST_PAUSE)))
        raise AssertionError

    def _post(self, body: dict[str, Any]) -> bytes:
        headers = {"Content-Type": "application/json", "User-Agent": "prefrl"}
        if self.key:
            headers["Authorization"] = f"Bearer {self.key}"
        request = urllib.request.Request(self.url, json.dumps(body).encode(), headers, method="POST")
        try:
            with _OPENER.open(request, timeout=self.timeout_seconds) as answer:
                content: bytes = answer.read(LARGEST_ANSWER + 1)
        except urllib.error.HTTPError as error:
            raise self._explained(error) from error
        except (OSError, http.client.HTTPException) as error:
            raise _PassingError(
                f"{self.url} cannot be reached ({getattr(error, 'reason', error)})"
            ) from error
        if len(content) > LARGEST_ANSWER:
            raise NoAnswerError(f"an answer of more than {LARGEST_ANSWER // 2**20} MiB")
        return content

    def _explained(self, error: urllib.error.HTTPError) -> Exception:
        said = _reason(error.read(10_000) if error.fp else b"")
        if self.key:
            said = said.replace(self.key, "***")
        what = f"{self.url} answers {error.code}: {said}"
        if error.code in PASSING:
            return _PassingError(what, _seconds(error.headers.get("Retry-After")))
        if 300 <= error.code < 400:
            return UsageError(
                f"{self.url} sends us elsewhere, which we do not follow: name that as --endpoint"
            )
        return UsageError(f"{what}: {FIXES.get(error.code, 'check --endpoint')}")


def key_from(variable: str | None) -> str | None:
    """The key in an environment variable; it is used and never stored or shown.

    Raises:
        UsageError: there is no such variable, or it holds something that cannot be a key.
    """
    if variable is None:
        return None
    key = os.environ.get(variable, "").strip()
    if not key:
        raise UsageError(f"--key-from {variable}: there is no such environment variable, or it is empty")
    if not (key.isascii() and key.isprintable() and " " not in key):
        raise UsageError(f"--key-from {variable}: what it holds cannot be a key (spaces or other characters)")
    return key


class _PassingError(Exception):
    """What may be otherwise in a while; ``seconds`` are what the server asks to wait."""

    def __init__(self, what: str, seconds: float = 0.0) -> None:
        super().__init__(what)
        self.seconds = seconds


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any) -> None:
        """None: the redirect is an error, and the key stays here."""


_OPENER = urllib.request.build_opener(_NoRedirect)


def _text(content: bytes) -> str:
    try:
        text = json.loads(content)["choices"][0]["message"]["content"]
    except (ValueError, KeyError, IndexError, TypeError, RecursionError) as error:
        raise NoAnswerError(f"an answer that is no chat completion: {shortened(content[:200])}") from error
    try:
        check_text("the answer", text, LONGEST_TEXT)
    except UsageError as error:
        raise NoAnswerError(str(error)) from error
    if not text.strip():
        raise NoAnswerError("an answer without text")
    return str(text)


def _reason(content: bytes) -> str:
    """What the server says is wrong, in a line."""
    try:
        found = json.loads(content)["error"]
        found = found["message"] if isinstance(found, dict) else found
    except (ValueError, KeyError, TypeError, RecursionError):
        found = content.decode(errors="replace")
    shown = "".join(one if one.isprintable() else " " for one in str(found)[:2000])
    return " ".join(shown.split())[:300] or "no reason given"


def _seconds(value: str | None) -> float:
    try:
        return max(0.0, float(value or 0))
    except ValueError:
        return 0.0
