"""The routes of the labelling page where a run asks for rankings, likes or ratings: in, out, and refused."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from labelling_steps import KEPT, entry, post
from starlette.applications import Starlette
from starlette.testclient import TestClient
from waiting_run import make_waiting_run

from prefrl.feedback import Kind
from prefrl.labellers.screen import query_value, screen_value
from prefrl.labellers.statistics import labelling_statistics
from prefrl.store.exports import FORMATS, read_any_records, write_records
from prefrl.store.feedback_store import FeedbackStore
from ui.api import api_routes
from ui.desk import Desk
from ui.instructions import instructions_for
from ui.tickets import Tickets, load_secret
from ui.workplace import Workplace

RUN = "human"
QUERIES = 8
CLIPS = {"pair": 2, "ranking": 3, "like": 1, "rating": 1}
VALUES: dict[str, list[Any]] = {
    "ranking": [[2, 0, 1], [0, 1, 2], [1, 2, 0]],
    "like": [True, False, True],
    "rating": [1, 10, 7],
}


@pytest.fixture(scope="module", params=["ranking", "like", "rating"])
def waiting_run(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    query = {"kind": request.param, "ranking_size": 3}
    return make_waiting_run(tmp_path_factory.mktemp(request.param) / RUN, pairs=QUERIES, query=query)


@pytest.fixture
def kind(store: FeedbackStore) -> str:
    return str(store.queries(RUN)[0].kind)


@pytest.fixture
def client(runs: Path) -> TestClient:
    return TestClient(Starlette(routes=api_routes(Desk(Workplace(runs), Tickets(load_secret(runs))))))


def deck(client: TestClient, labeller: str = "ada") -> list[dict[str, Any]]:
    response = client.get("/prefrl/deck", params={"run": RUN, "labeller": labeller})
    assert response.status_code == 200, response.text
    handed: dict[str, Any] = response.json()
    assert handed["practice"] == []
    queries: list[dict[str, Any]] = handed["pairs"]
    return queries


def plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def test_a_query_comes_with_as_many_clips_as_its_kind_shows(client: TestClient, kind: str) -> None:
    queries = deck(client)
    assert {query["kind"] for query in queries} == {kind}
    assert {len(query["clips"]) for query in queries} == {CLIPS[kind]}


def test_an_answer_is_stored_in_the_order_of_the_query_and_shown_in_that_of_the_screen(
    client: TestClient, store: FeedbackStore, kind: str
) -> None:
    queries, values = deck(client), VALUES[kind]
    assert post(client, *map(entry, queries, values)) == [KEPT] * 3
    asked = {query.id: query for query in store.queries(RUN)}
    stored = {answer.query_id: answer for answer in store.answers(RUN)}
    for query, value in zip(queries, values, strict=False):
        answer = stored[query["query"]]
        assert sorted(answer.shown) == list(range(CLIPS[kind]))
        assert plain(screen_value(asked[answer.query_id], answer.value, answer.shown)) == value
    listed = client.get("/prefrl/mine", params={"run": RUN, "labeller": "ada"}).json()["pairs"]
    assert [one["value"] for one in listed] == values[::-1]
    assert all(one["ready"] for one in listed)


def test_orders_on_the_screen_differ_so_that_no_place_is_preferred(kind: str) -> None:
    shown = {tuple(Tickets(b"x").order(RUN, f"q{n}", "ada", CLIPS[kind])) for n in range(200)}
    assert len(shown) == {"ranking": 6}.get(kind, 1)


def test_an_answer_is_changed_taken_back_and_skipped(
    client: TestClient, store: FeedbackStore, kind: str
) -> None:
    first, second = deck(client)[:2]
    old, new = VALUES[kind][:2]
    assert post(client, entry(first, old)) == [KEPT]
    (listed,) = client.get("/prefrl/mine", params={"run": RUN, "labeller": "ada"}).json()["pairs"]
    assert post(client, entry(listed, new), entry(second, None)) == [KEPT] * 2
    assert store.answers(RUN)[1].supersedes == store.answers(RUN)[0].id
    again = entry(listed) | {"revision": 2, "withdrawn": True}
    assert post(client, again) == [KEPT]
    assert [(one.query_id, one.value) for one in store.current_answers(RUN)] == [(second["query"], None)]
    assert (store.counts(RUN).labels, store.counts(RUN).skips) == (0, 1)


FORGED: dict[str, list[Any]] = {
    "ranking": [
        [0, 0, 1], [0, 1], [0, 1, 2, 3], [1, 2, 3], [-1, 0, 1], [0.0, 1.0, 2.0], ["0", "1", "2"],
        [True, False, 2], [[0], [1], [2]], [], {}, "012", 1.0, True, 3,
    ],
    "rating": [11, 0, -1, 5.5, 7.0, True, "7", [7], 10**30, {}],
    "like": [1.0, 0, 1, "true", [True], {}],
}  # fmt: skip


def test_forged_answers_are_refused_and_nothing_is_stored(
    client: TestClient, store: FeedbackStore, kind: str
) -> None:
    query = deck(client)[0]
    for value in FORGED[kind]:
        (receipt,) = post(client, entry(query, value))
        assert receipt["status"] == "refused", value
        assert f"is no answer to a query of kind {kind}" in receipt["reason"] or "give" in receipt["reason"]
    assert store.answers(RUN) == []
    assert post(client, entry(query, VALUES[kind][0])) == [KEPT]  # the query is as open as before


def test_a_number_that_json_does_not_know_is_refused(client: TestClient, kind: str) -> None:
    query = deck(client)[0]
    body = json.dumps({"labeller": "ada", "answers": [entry(query, float("nan"))]})
    response = client.post("/prefrl/answers", content=body, headers={"Content-Type": "application/json"})
    assert response.json()["receipts"][0]["status"] == "refused"
    del kind


def test_each_kind_has_instructions_of_its_own(kind: str) -> None:
    words = {
        "ranking": "Put the clips in order",
        "like": "Like the clip if",
        "rating": "Rate the clip from 1",
    }
    found = instructions_for("pong", kind)
    assert words[kind] in found.text
    assert "Better is a clip in which it returns the ball" in found.text
    assert "Prefer" not in found.text
    assert found.version == instructions_for("pong").version


def test_every_form_of_export_brings_the_answers_back(
    client: TestClient, store: FeedbackStore, tmp_path: Path, kind: str
) -> None:
    post(client, *map(entry, deck(client), [*VALUES[kind], None]))
    for form in FORMATS:
        file = tmp_path / f"answers.{form}"
        write_records(store.records(RUN), file, form=form)
        with FeedbackStore(tmp_path / f"{form}.sqlite") as other:
            intake = other.take_in(read_any_records(file))
            assert intake.problems == ()
            assert other.answers(RUN) == store.answers(RUN)
            assert other.queries(RUN) == store.queries(RUN)


def test_labellers_are_compared_by_what_they_say(
    client: TestClient, store: FeedbackStore, runs: Path, kind: str
) -> None:
    queries = deck(client)[:3]
    tickets = Tickets(load_secret(runs))
    asked = {query.id: query for query in store.queries(RUN)}
    for query, value in zip(queries, VALUES[kind], strict=True):
        post(client, entry(query, value))
        mine = tickets.read(query["ticket"]).shown
        meant = query_value(asked[query["query"]], tuple(value) if isinstance(value, list) else value, mine)
        (theirs,) = [one for one in store.answers(RUN) if one.query_id == query["query"]]
        assert theirs.value == meant
    found = labelling_statistics(store.answer_table(RUN), {}, rng=np.random.default_rng(0))
    (ada,) = found.labellers
    assert (ada.answers, ada.shared) == (3, 0)
    assert np.isnan(ada.equal.estimate)
    assert np.isnan(ada.left.estimate)


def test_what_a_run_waits_for_is_called_by_its_name(runs: Path, kind: str) -> None:
    view = Workplace(runs).run(RUN)
    assert (view.kind, view.clips) == (kind, CLIPS[kind])
    assert Kind(view.kind) is Kind(kind)
