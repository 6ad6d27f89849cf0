"""Asking models over HTTP: a local server that answers, stumbles, refuses and lies as real ones do."""

import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from experiments.text import TextConfig, run_text
from experiments.text_endpoint import PAUSES, Endpoint, NoAnswerError, key_from
from prefrl.errors import UsageError
from prefrl.store.feedback_store import FeedbackStore
from prefrl.texts.response_files import read_responses

KEY = "sk-very-secret"
Reply = tuple[int, dict[str, str], bytes]


def completion(text: Any) -> Reply:
    return 200, {}, json.dumps({"choices": [{"message": {"role": "assistant", "content": text}}]}).encode()


class Models:
    """A server whose answers a test decides: ``reply(body, count)`` for the count-th request."""

    def __init__(self) -> None:
        self.reply: Callable[[dict[str, Any], int], Reply] = lambda body, _: completion(
            f"{body['model']} on {body['messages'][-1]['content']}"
        )
        self.requests: list[tuple[str, dict[str, str], dict[str, Any]]] = []
        models, lock = self, threading.Lock()

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                with lock:
                    models.requests.append((self.path, dict(self.headers), body))
                    count = len(models.requests)
                status, headers, content = models.reply(body, count)
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self.server.server_port}/v1"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


@pytest.fixture
def models() -> Iterator[Models]:
    found = Models()
    yield found
    found.server.shutdown()
    found.server.server_close()


@pytest.fixture
def config(models: Models, tmp_path: Path) -> TextConfig:
    prompts = tmp_path / "prompts.txt"
    prompts.write_text("Why?\nHow?\nWhen?\n", encoding="utf-8")
    return TextConfig(
        tmp_path / "texts", endpoint=models.address, models=("terse", "chatty"), prompts=prompts, parallel=2
    )


def test_every_model_is_asked_every_prompt(config: TextConfig, models: Models) -> None:
    assert run_text(config) == 0
    responses = read_responses(config.folder)
    assert {(one.prompt, one.model, one.text) for one in responses.values()} == {
        (prompt, model, f"{model} on {prompt}")
        for prompt in ("Why?", "How?", "When?")
        for model in ("terse", "chatty")
    }
    path, headers, body = models.requests[0]
    assert path == "/v1/chat/completions"
    assert "Authorization" not in headers
    assert (body["temperature"], body["max_tokens"]) == (1.0, 512)
    with FeedbackStore(config.folder / "feedback.sqlite") as store:
        assert [query.counter for query in store.queries("texts")] == [0, 1, 2]


def test_the_same_model_twice_gives_two_samples(config: TextConfig, models: Models) -> None:
    models.reply = lambda _body, count: completion(f"sample {count}")
    assert run_text(replace(config, models=("one", "one"))) == 0
    assert len(read_responses(config.folder)) == 6


def test_an_interrupted_command_goes_on_with_what_is_missing(
    config: TextConfig, models: Models, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("experiments.text_endpoint.PAUSES", (0.0,))
    answer = models.reply
    models.reply = lambda body, count: answer(body, count) if count <= 3 else (503, {}, b"busy")
    with pytest.raises(UsageError, match=r"3 failures in a row.*answers 503: busy.*the same command"):
        run_text(config)
    kept = read_responses(config.folder)
    assert len(kept) == 3
    models.reply, before = answer, len(models.requests)
    assert run_text(config) == 0
    assert len(models.requests) - before == 3
    assert kept.items() <= read_responses(config.folder).items()
    with FeedbackStore(config.folder / "feedback.sqlite") as store:
        assert len(store.queries("texts")) == 3


def test_one_prompt_without_an_answer_does_not_stop_the_others(
    config: TextConfig, models: Models, capsys: pytest.CaptureFixture[str]
) -> None:
    answer = models.reply
    models.reply = lambda body, count: (
        completion(None) if body["messages"][0]["content"] == "How?" else answer(body, count)
    )
    assert run_text(config) == 1
    said = capsys.readouterr()
    assert "4 of 6 answers" in said.out
    assert "prompt 2: the answer is None" in said.err
    assert "2 are missing; the same command asks for them again" in said.err


def test_what_may_pass_is_tried_again_after_a_pause(models: Models) -> None:
    stumbles = [(500, {}, b""), (429, {"Retry-After": "7"}, b'{"error": {"message": "slow down"}}')]
    models.reply = lambda _body, count: stumbles[count - 1] if count <= 2 else completion("here")
    slept: list[float] = []
    assert Endpoint(models.address).ask("m", "Why?", sleep=slept.append) == "here"
    assert slept == [PAUSES[0], 7.0]


def test_patience_ends_with_what_the_server_said(models: Models) -> None:
    models.reply = lambda _body, _count: (429, {"Retry-After": "999"}, b'{"error": {"message": "slow down"}}')
    slept: list[float] = []
    with pytest.raises(NoAnswerError, match=r"m after 5 attempts: .* answers 429: slow down"):
        Endpoint(models.address).ask("m", "Why?", sleep=slept.append)
    assert slept == [60.0] * len(PAUSES)


@pytest.mark.parametrize(
    ("reply", "said"),
    [
        (
            (401, {}, b'{"error": {"message": "bad key sk-very-secret"}}'),
            r"401: bad key \*\*\*: check the key",
        ),
        ((403, {}, b""), "403: no reason given: the key may not"),
        ((404, {}, b'{"error": "no such model"}'), "404: no such model: check --endpoint and --models"),
        ((418, {}, b"<h1>\x1b[31mteapot</h1>"), r"418: <h1> \[31mteapot</h1>: check --endpoint"),
        ((302, {"Location": "http://127.0.0.1:9/steal"}, b""), "sends us elsewhere"),
        ((307, {"Location": "http://127.0.0.1:9/steal"}, b""), "sends us elsewhere"),
    ],
)
def test_a_refusal_that_will_not_change_stops_at_once(models: Models, reply: Reply, said: str) -> None:
    models.reply = lambda _body, _count: reply
    with pytest.raises(UsageError, match=said) as caught:
        Endpoint(models.address, key=KEY).ask("m", "Why?", sleep=lambda _: None)
    assert KEY not in str(caught.value)
    assert len(models.requests) == 1
    assert models.requests[0][1]["Authorization"] == f"Bearer {KEY}"


@pytest.mark.parametrize(
    "content",
    [b"", b"<html>", b"[]", b"{}", b'{"choices": []}', b'{"choices": [{"message": "hi"}]}', b"[" * 100_000],
)
def test_an_answer_of_another_shape_is_no_answer(models: Models, content: bytes) -> None:
    models.reply = lambda _body, _count: (200, {}, content)
    with pytest.raises(NoAnswerError, match="no chat completion"):
        Endpoint(models.address).ask("m", "Why?")


@pytest.mark.parametrize("text", [None, 7, "", "  \n", "a\0b", "\ud800", "x" * 50_001, ["hi"]])
def test_an_answer_that_cannot_be_shown_is_no_answer(models: Models, text: Any) -> None:
    models.reply = lambda _body, _count: completion(text)
    with pytest.raises(NoAnswerError):
        Endpoint(models.address).ask("m", "Why?")


def test_an_endless_answer_is_not_read_to_its_end(models: Models) -> None:
    models.reply = lambda _body, _count: (200, {}, b" " * (9 * 2**20))
    with pytest.raises(NoAnswerError, match="more than 8 MiB"):
        Endpoint(models.address).ask("m", "Why?")


def test_a_server_that_is_silent_or_gone_is_said_to_be_so(models: Models) -> None:
    release = threading.Event()

    def wait(_body: dict[str, Any], _count: int) -> Reply:
        release.wait(60)
        return completion("late")

    models.reply = wait
    with pytest.raises(NoAnswerError, match=r"cannot be reached .*timed out"):
        Endpoint(models.address, timeout_seconds=0.2).ask("m", "Why?", sleep=lambda _: None)
    release.set()
    with pytest.raises(NoAnswerError, match="cannot be reached"):
        Endpoint("http://127.0.0.1:9/v1").ask("m", "Why?", sleep=lambda _: None)


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("example.org/v1", "no plain http"),
        ("file:///etc/passwd", "no plain http"),
        ("https://user:pass@example.org/v1", "no plain http"),
        ("https://example.org/v1?key=1", "no plain http"),
        ("http://example.org/v1", "unencrypted: use https"),
    ],
)
def test_an_address_that_is_none_or_not_safe_is_refused(address: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        Endpoint(address, key=KEY)


def test_the_address_may_name_the_whole_path() -> None:
    assert Endpoint("https://example.org/v1/").url == "https://example.org/v1/chat/completions"
    assert (
        Endpoint("https://example.org/v1/chat/completions").url == "https://example.org/v1/chat/completions"
    )


def test_the_key_is_read_from_its_variable_and_never_stored(
    config: TextConfig, models: Models, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MY_KEY", f" {KEY}\n")
    assert run_text(replace(config, key_from="MY_KEY")) == 0
    assert all(headers["Authorization"] == f"Bearer {KEY}" for _, headers, _ in models.requests)
    assert all(KEY.encode() not in path.read_bytes() for path in config.folder.rglob("*") if path.is_file())
    said = capsys.readouterr()
    assert KEY not in said.out + said.err
    with pytest.raises(UsageError, match="OTHER_KEY: there is no such environment variable"):
        key_from("OTHER_KEY")
    monkeypatch.setenv("MY_KEY", f"{KEY}\nX-Header: 1")
    with pytest.raises(UsageError, match="cannot be a key") as caught:
        key_from("MY_KEY")
    assert KEY not in str(caught.value)


def test_options_that_do_not_fit_together_are_named(config: TextConfig, tmp_path: Path) -> None:
    for wrong in (replace(config, file=tmp_path / "x"), TextConfig(tmp_path / "y")):
        with pytest.raises(UsageError, match="either --file, or --endpoint"):
            run_text(wrong)
    for wrong in (replace(config, prompts=None), replace(config, models=("one",))):
        with pytest.raises(UsageError, match="--prompts FILE and two to 5 --models"):
            run_text(wrong)
    with pytest.raises(UsageError, match="--parallel"):
        replace(config, parallel=0)
