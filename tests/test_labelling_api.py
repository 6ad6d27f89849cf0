"""The routes of the labelling page: what they hand out and take in, and what they refuse."""

import json
from pathlib import Path
from typing import Any

import pytest
from labelling_steps import KEPT, entry, post
from starlette.applications import Starlette
from starlette.testclient import TestClient
from waiting_run import make_waiting_run

from prefrl.clip_files import note_path
from prefrl.feedback import Remark, RemarkKind
from prefrl.store.feedback_store import FeedbackStore
from ui.api import LARGEST_BODY, api_routes
from ui.desk import MOST_ENTRIES, Desk
from ui.tickets import SECRET, Tickets, load_secret
from ui.workplace import Workplace

RUN = "human"
PAIRS = 8


@pytest.fixture(scope="module")
def waiting_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_waiting_run(tmp_path_factory.mktemp("made") / RUN, pairs=PAIRS)


def serve(runs: Path, now: list[float] | None = None) -> TestClient:
    """The server's routes; a second call is the server started again."""
    clock = (lambda: now[0]) if now else None
    settings = {"clock": clock} if clock else {}
    desk = Desk(Workplace(runs), Tickets(load_secret(runs)), **settings)  # type: ignore[arg-type]
    return TestClient(Starlette(routes=api_routes(desk)))


@pytest.fixture
def client(runs: Path) -> TestClient:
    return serve(runs)


def deck(client: TestClient, labeller: str = "ada") -> list[dict[str, Any]]:
    response = client.get("/prefrl/deck", params={"run": RUN, "labeller": labeller})
    assert response.status_code == 200, response.text
    pairs: list[dict[str, Any]] = response.json()["pairs"]
    return pairs


def test_pairs_come_with_their_clips_and_what_the_run_does(client: TestClient) -> None:
    answer = client.get("/prefrl/deck", params={"run": RUN, "labeller": "ada"}).json()
    assert len(answer["pairs"]) == PAIRS // 2  # half of what is free: others come, too
    first = answer["pairs"][0]
    assert (first["kind"], first["revision"], len(first["clips"])) == ("pair", 0, 2)
    for clip in first["clips"]:
        picture = client.get(f"/prefrl/clips/{clip['sheet']['file']}", params={"run": RUN})
        assert picture.headers["content-type"] == "image/webp"
        assert "immutable" in picture.headers["cache-control"]
        assert picture.content[:4] == b"RIFF"
    status = answer["status"]
    assert (status["labels"], status["budget"]) == (0, 16)
    assert status["state"] == "waiting"
    assert status["sentence"] == "The agent waits for 4 of the first 4 labels."


def test_ids_of_items_and_true_rewards_stay_on_the_server(client: TestClient, store: FeedbackStore) -> None:
    shown = client.get("/prefrl/deck", params={"run": RUN, "labeller": "ada"}).text
    assert all(item not in shown for query in store.queries(RUN) for item in query.items)
    assert "reward" not in shown


def test_an_answer_is_stored_as_it_was_meant(client: TestClient, store: FeedbackStore) -> None:
    pairs = deck(client)
    values = [1.0, 0.75, 0.5, None]
    assert (
        post(client, *(entry(pair, value) for pair, value in zip(pairs, values, strict=True))) == [KEPT] * 4
    )
    stored = {answer.query_id: answer for answer in store.answers(RUN)}
    for pair, value in zip(pairs, values, strict=True):
        answer = stored[pair["query"]]
        assert (answer.labeller, answer.seconds, str(answer.source)) == ("ada", 2.0, "person")
        swapped = answer.shown == (1, 0)
        assert answer.value == (1.0 - value if swapped and value is not None else value)


def test_sides_are_random_recorded_and_the_same_after_a_reload(client: TestClient, runs: Path) -> None:
    tickets = Tickets(load_secret(runs))
    orders = [tickets.order(RUN, f"q{number}", "ada", 2) for number in range(400)]
    assert 150 < sum(order == (0, 1) for order in orders) < 250
    assert deck(client) == deck(serve(runs))


def test_two_labellers_are_handed_different_pairs(client: TestClient) -> None:
    ada, bob, eve = (deck(client, name) for name in ("ada", "bob", "eve"))
    handed = [pair["query"] for pairs in (ada, bob, eve) for pair in pairs]
    assert len(handed) == len(set(handed)) == PAIRS
    assert len(eve) == 2


def test_an_expired_lease_goes_on_and_the_late_answer_is_kept(runs: Path, store: FeedbackStore) -> None:
    now = [1000.0]
    client = serve(runs, now)
    pair = deck(client)[0]
    now[0] += 601.0
    assert deck(client, "bob")[0]["query"] == pair["query"]
    assert post(client, entry(deck(client, "bob")[0]), labeller="bob") == [KEPT]
    assert post(client, entry(pair)) == [{"status": "late", "known": False}]
    assert post(client, entry(pair)) == [{"status": "late", "known": True}]
    assert store.counts(RUN).labels == 1
    assert len(store.answers(RUN)) == 2


def test_an_answer_sent_again_after_the_server_died_is_one(runs: Path, store: FeedbackStore) -> None:
    pair = deck(serve(runs))[0]
    assert post(serve(runs), entry(pair)) == [KEPT]
    assert post(serve(runs), entry(pair)) == [{"status": "kept", "known": True}]
    assert len(store.answers(RUN)) == 1


def test_two_tabs_that_disagree_leave_the_first_answer(client: TestClient, store: FeedbackStore) -> None:
    pair = deck(client)[0]
    post(client, entry(pair, 1.0))
    (second,) = post(client, entry(pair, 0.0))
    assert second["status"] == "refused"
    assert "another window" in second["reason"]
    assert len(store.answers(RUN)) == 1


def test_an_answer_is_changed_and_taken_back(client: TestClient, store: FeedbackStore) -> None:
    pair = deck(client)[0]
    changed = entry(pair, 0.5, revision=1)
    taken_back = {"ticket": pair["ticket"], "revision": 2, "withdrawn": True}
    assert post(client, entry(pair), changed, taken_back) == [KEPT] * 3
    assert store.current_answers(RUN) == []
    again = next(one for one in deck(client) if one["query"] == pair["query"])
    assert again["revision"] == 3
    assert post(client, entry(again)) == [KEPT]
    assert store.counts(RUN).labels == 1


def test_own_answers_come_back_newest_first_as_they_were_given(client: TestClient) -> None:
    pairs = deck(client)
    values = [1.0, 0.75, None]
    post(client, *(entry(pair, value) for pair, value in zip(pairs, values, strict=False)))
    post(client, entry(deck(client, "bob")[0]), labeller="bob")
    mine = client.get("/prefrl/mine", params={"run": RUN, "labeller": "ada"}).json()["pairs"]
    assert [(one["query"], one["value"], one["revision"]) for one in mine] == [
        (pair["query"], value, 1) for pair, value in zip(pairs[2::-1], values[::-1], strict=True)
    ]
    assert post(client, entry(mine[0], 0.0)) == [KEPT]


def test_pairs_are_given_back_on_leaving(client: TestClient) -> None:
    mine = deck(client)
    assert mine[0]["query"] not in [pair["query"] for pair in deck(client, "bob")]
    leaving = {"labeller": "ada", "tickets": [pair["ticket"] for pair in mine]}
    assert client.post("/prefrl/returns", json=leaving).status_code == 200
    assert mine[0]["query"] in [pair["query"] for pair in deck(client, "bob")]


def test_a_broken_clip_is_reported_and_its_pair_goes_back(client: TestClient, store: FeedbackStore) -> None:
    pair = deck(client)[0]
    report = {"labeller": "ada", "ticket": pair["ticket"], "note": "black"}
    assert client.post("/prefrl/flags", json=report).status_code == 200
    (remark,) = store.remarks(RUN, kind=RemarkKind.FLAG)
    assert (remark.subject, remark.content, remark.labeller) == (pair["query"], "black", "ada")


def test_pairs_without_clips_wait_and_are_counted(
    client: TestClient, runs: Path, store: FeedbackStore
) -> None:
    first = store.queries(RUN)[0]
    note_path(runs / RUN, first.items[0]).unlink()
    answer = client.get("/prefrl/deck", params={"run": RUN, "labeller": "ada"}).json()
    assert first.id not in [pair["query"] for pair in answer["pairs"]]
    lacking = [query for query in store.queries(RUN) if first.items[0] in query.items]
    assert answer["status"]["undrawn"] == len(lacking)


def test_closed_queries_are_not_handed_out(client: TestClient, store: FeedbackStore) -> None:
    first = store.queries(RUN)[0]
    store.add([Remark("close", RUN, RemarkKind.CLOSE, first.id, "ada")])
    assert first.id not in [pair["query"] for pair in deck(client)]


@pytest.mark.parametrize(
    "change",
    [
        {"ticket": "forged"},
        {"ticket": None},
        {"ticket": "a.b"},
        {"ticket": "x" * 100_000},
        {"ticket": 7},
        {"value": 0.3},
        {"value": "1.0"},
        {"value": True},
        {"value": [0, 1]},
        {"value": {"$gt": 0}},
        {"value": 1e308},
        {"seconds": -1.0},
        {"seconds": 1e9},
        {"seconds": "fast"},
        {"seconds": True},
        {"revision": -1},
        {"revision": 5},
        {"revision": 1.5},
        {"revision": "0"},
        {"revision": 10**30},
        {"withdrawn": True},
    ],
)
def test_a_hostile_answer_is_refused_and_leaves_nothing(
    client: TestClient, store: FeedbackStore, change: dict[str, Any]
) -> None:
    (receipt,) = post(client, entry(deck(client)[0]) | change)
    assert receipt["status"] == "refused"
    assert receipt["reason"]
    assert store.answers(RUN) == []


def test_a_refused_answer_does_not_keep_the_others_out(client: TestClient, store: FeedbackStore) -> None:
    first, second, *_ = deck(client)
    statuses = [one["status"] for one in post(client, entry(first), "nonsense", entry(second))]
    assert statuses == ["kept", "refused", "kept"]
    assert len(store.answers(RUN)) == 2


def test_a_ticket_of_another_labeller_is_refused(client: TestClient, store: FeedbackStore) -> None:
    (receipt,) = post(client, entry(deck(client)[0]), labeller="mallory")
    assert receipt["status"] == "refused"
    assert store.answers(RUN) == []


def test_a_ticket_of_another_server_is_refused(client: TestClient, runs: Path) -> None:
    pair = deck(client)[0]
    (runs / SECRET).unlink()
    (receipt,) = post(serve(runs), entry(pair))
    assert receipt["status"] == "refused"
    assert "reload" in receipt["reason"]


def test_every_changed_character_breaks_a_ticket(client: TestClient) -> None:
    pair = deck(client)[0]
    ticket = pair["ticket"]
    forged = [entry(pair, ticket=ticket[:place] + "A" + ticket[place + 1 :]) for place in range(0, 60, 3)]
    forged = [one for one in forged if one["ticket"] != ticket]
    assert {receipt["status"] for receipt in post(client, *forged)} == {"refused"}


def test_only_the_owner_may_read_the_secret(runs: Path) -> None:
    load_secret(runs)
    assert (runs / SECRET).stat().st_mode & 0o077 == 0
    assert load_secret(runs) == load_secret(runs)


@pytest.mark.parametrize("name", ["../human", "/etc", "", "nope", "human/../human", "human\x00", "x" * 9999])
def test_only_runs_of_the_list_exist(client: TestClient, name: str) -> None:
    response = client.get("/prefrl/status", params={"run": name})
    assert response.status_code == 404
    assert set(response.json()) == {"error"}


@pytest.mark.parametrize(
    "file", ["..%2F..%2Fconfig.json", "config.json", "feedback.sqlite", f"{'0' * 32}.webp", ".ui-secret"]
)
def test_only_sheets_are_served(client: TestClient, file: str) -> None:
    assert client.get(f"/prefrl/clips/{file}", params={"run": RUN}).status_code == 404


@pytest.mark.parametrize("name", ["", "x" * 201, "two\nlines", None])
def test_a_labeller_needs_a_name(client: TestClient, name: str | None) -> None:
    params = {"run": RUN} | ({} if name is None else {"labeller": name})
    response = client.get("/prefrl/deck", params=params)
    assert response.status_code == 400
    assert "name" in response.json()["error"]


@pytest.mark.parametrize(
    ("content", "kind", "status"),
    [
        (b"{", "application/json", 400),
        (b"[]", "application/json", 400),
        (b"[" * 100_000, "application/json", 400),
        (b"labeller=ada", "application/x-www-form-urlencoded", 415),
        (b"{}", "text/plain", 415),
        (b'{"labeller": "ada"}', "application/json", 400),
        (b'{"labeller": "ada", "answers": {}}', "application/json", 400),
        (b" " * (LARGEST_BODY + 1), "application/json", 413),
    ],
)
def test_a_request_of_another_shape_is_refused(
    client: TestClient, content: bytes, kind: str, status: int
) -> None:
    response = client.post("/prefrl/answers", content=content, headers={"Content-Type": kind})
    assert response.status_code == status
    assert set(response.json()) == {"error"}


def test_too_many_answers_at_once_are_refused(client: TestClient) -> None:
    pair = deck(client)[0]
    many = {"labeller": "ada", "answers": [entry(pair)] * (MOST_ENTRIES + 1)}
    assert client.post("/prefrl/answers", json=many).status_code == 400


def test_where_nothing_can_be_stored_the_page_is_told_to_keep_its_answers(
    client: TestClient, store: FeedbackStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    pair = deck(client)[0]
    with monkeypatch.context() as patch:

        def full(*_: Any) -> int:
            raise OSError(28, "No space left on device")

        patch.setattr("prefrl.store.journal.os.fsync", full)
        body = {"labeller": "ada", "answers": [entry(pair)]}
        response = client.post("/prefrl/answers", json=body)
        assert response.status_code == 503
        assert "disk is full" in response.json()["error"]
    assert post(client, entry(pair))[0]["status"] == "kept"
    assert len(store.answers(RUN)) == 1


def test_a_run_that_nobody_labels_or_that_is_damaged_says_so(runs: Path) -> None:
    config = runs / RUN / "config.json"
    values = json.loads(config.read_text())
    values["config"]["teacher"] = "oracle"
    config.write_text(json.dumps(values))
    response = serve(runs).get("/prefrl/status", params={"run": RUN})
    assert (response.status_code, "--teacher human" in response.json()["error"]) == (409, True)
    values["config"]["teacher"] = "human"
    config.write_text(json.dumps(values))
    (runs / RUN / "feedback.sqlite").write_bytes(b"not a database" * 100)
    response = serve(runs).get("/prefrl/status", params={"run": RUN})
    assert response.status_code == 503
    assert "feedback.sqlite" in response.json()["error"]
    config.write_text("{")
    assert serve(runs).get("/prefrl/status", params={"run": RUN}).status_code == 409


@pytest.mark.parametrize("value", [True, [0, 1], 7, 0.3, "left"])
def test_an_answer_of_another_kind_to_a_pair_is_refused(
    client: TestClient, store: FeedbackStore, value: Any
) -> None:
    (receipt,) = post(client, entry(deck(client)[0], value))
    assert receipt["status"] == "refused"
    assert store.answers(RUN) == []
