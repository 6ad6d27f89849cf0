"""The labelling routes with texts: what is handed out, what stays hidden, what is taken in."""

from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient
from text_pairs import SCRIPT, make_collection, numbered_pair

from prefrl.store.feedback_store import FeedbackStore
from prefrl.texts.response_files import RESPONSES, read_responses
from ui.api import api_routes
from ui.desk import Desk
from ui.tickets import Tickets
from ui.workplace import Workplace

NAME = "texts"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    hostile = {"prompt": SCRIPT, "response_a": SCRIPT, "response_b": f"other {SCRIPT}"}
    return make_collection(tmp_path / "runs" / NAME, hostile, *map(numbered_pair, range(1, 16)))


@pytest.fixture
def client(folder: Path) -> TestClient:
    desk = Desk(Workplace(folder.parent), Tickets(b"0"))
    return TestClient(Starlette(routes=api_routes(desk)))


def deck(client: TestClient, labeller: str = "ada") -> dict[str, Any]:
    response = client.get("/prefrl/deck", params={"run": NAME, "labeller": labeller})
    assert response.status_code == 200, response.text
    found: dict[str, Any] = response.json()
    return found


def post(client: TestClient, pair: dict[str, Any], value: Any) -> dict[str, Any]:
    entry = {"ticket": pair["ticket"], "revision": pair["revision"], "value": value, "seconds": 2.0}
    response = client.post("/prefrl/answers", json={"labeller": "ada", "answers": [entry]})
    receipt: dict[str, Any] = response.json()["receipts"][0]
    return receipt


def test_a_prompt_comes_with_its_responses_as_they_are_written(client: TestClient) -> None:
    handed = deck(client)
    first = handed["pairs"][0]
    assert first["prompt"] == SCRIPT
    assert set(first["texts"]) == {SCRIPT, f"other {SCRIPT}"}
    assert (first["kind"], first["clips"], first["markdown"]) == ("pair", [], False)
    assert handed["status"]["budget"] == 16
    assert (
        handed["status"]["sentence"] == "After 20 more answers the page Preferences says what people prefer."
    )


def test_who_wrote_a_response_and_its_id_stay_on_the_server(client: TestClient, folder: Path) -> None:
    shown = client.get("/prefrl/deck", params={"run": NAME, "labeller": "ada"}).text
    mine = client.get("/prefrl/mine", params={"run": NAME, "labeller": "ada"}).text
    for text in (shown, mine):
        assert "model" not in text
        assert "secret" not in text
        assert not any(response in text for response in read_responses(folder))


def test_an_answer_counts_for_the_text_that_was_shown_there(client: TestClient, folder: Path) -> None:
    responses = read_responses(folder)
    for pair in deck(client)["pairs"]:
        longer_is_left = len(pair["texts"][0]) > len(pair["texts"][1])
        assert post(client, pair, 1.0 if longer_is_left else 0.0)["status"] == "kept"
    with FeedbackStore(folder / "feedback.sqlite") as store:
        queries = {query.id: query for query in store.queries(NAME)}
        answers = store.current_answers(NAME)
    assert len(answers) == 8
    for answer in answers:
        left, right = (len(responses[item].text) for item in queries[answer.query_id].items)
        assert answer.value == float(left > right)
    assert len({answer.shown for answer in answers}) == 2  # sides are mixed


def test_own_answers_come_back_with_their_texts(client: TestClient) -> None:
    pair = deck(client)["pairs"][0]
    post(client, pair, 0.75)
    (mine,) = client.get("/prefrl/mine", params={"run": NAME, "labeller": "ada"}).json()["pairs"]
    assert (mine["texts"], mine["prompt"], mine["value"]) == (pair["texts"], pair["prompt"], 0.75)


def test_texts_that_come_later_are_handed_out_then(client: TestClient, folder: Path) -> None:
    content = (folder / RESPONSES).read_bytes()
    (folder / RESPONSES).write_bytes(b"".join(content.splitlines(keepends=True)[:2]))
    handed = deck(client)
    assert (len(handed["pairs"]), handed["status"]["undrawn"]) == (1, 15)
    (folder / RESPONSES).write_bytes(content)
    assert len(deck(client)["pairs"]) > 1


def test_damaged_texts_are_said_to_be_so(client: TestClient, folder: Path) -> None:
    (folder / RESPONSES).write_bytes(b"{\n")
    response = client.get("/prefrl/deck", params={"run": NAME, "labeller": "ada"})
    assert response.status_code == 503
    assert "responses.jsonl line 1 is damaged" in response.json()["error"]


def test_a_clip_of_a_collection_is_not_found(client: TestClient) -> None:
    response = client.get("/prefrl/clips/0123.webp", params={"run": NAME})
    assert response.status_code == 404
