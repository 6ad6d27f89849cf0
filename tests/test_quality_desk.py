"""The routes where labellers practise, are checked without knowing, and look at what they have said."""

import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from labelling_steps import entry, post
from starlette.applications import Starlette
from starlette.testclient import TestClient
from waiting_run import make_waiting_run

from prefrl.clip_files import note_path, read_wishes
from prefrl.feedback import Purpose, Query
from prefrl.labellers.quality import expected_values
from prefrl.store.feedback_store import Counts, FeedbackStore
from ui import instructions
from ui.api import api_routes
from ui.desk import MOST_REMEMBERED, Desk
from ui.instructions import GAMES, ROBOTS, instructions_for
from ui.progress import shown_progress
from ui.tickets import Tickets, load_secret
from ui.workplace import Workplace

RUN = "human"
PAIRS = 12


@pytest.fixture(scope="module")
def waiting_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    query = {"practice_pairs": 2, "gold_fraction": 0.5, "repeat_fraction": 0.5, "overlap": 2}
    return make_waiting_run(tmp_path_factory.mktemp("made") / RUN, pairs=PAIRS, labels=48, query=query)


@pytest.fixture
def client(runs: Path) -> TestClient:
    return TestClient(Starlette(routes=api_routes(Desk(Workplace(runs), Tickets(load_secret(runs))))))


def deck(client: TestClient, labeller: str = "ada") -> dict[str, Any]:
    response = client.get("/prefrl/deck", params={"run": RUN, "labeller": labeller})
    assert response.status_code == 200, response.text
    handed: dict[str, Any] = response.json()
    return handed


def mine(client: TestClient, **params: Any) -> dict[str, Any]:
    answer: dict[str, Any] = client.get(
        "/prefrl/mine", params={"run": RUN, "labeller": "ada", **params}
    ).json()
    return answer


def answer_some(client: TestClient, count: int, value: float = 1.0) -> list[str]:
    """Ada answers as many of what she is handed; the queries' ids."""
    given: list[str] = []
    while len(given) < count:
        pairs = deck(client)["pairs"][: count - len(given)]
        assert {receipt["status"] for receipt in post(client, *(entry(pair, value) for pair in pairs))} == {
            "kept"
        }
        given += [pair["query"] for pair in pairs]
    return given


def add_repeat(store: FeedbackStore, original: str) -> Query:
    """What the trainer does once it is time."""
    (query,) = store.queries(RUN, query_ids=[original])
    repeat = replace(
        query,
        id=query.id[:-3] + "abc",
        counter=store.next_counter(RUN),
        purpose=Purpose.REPEAT,
        repeat_of=original,
    )
    store.add([repeat])
    return repeat


def test_nothing_tells_gold_and_repeats_from_what_counts(client: TestClient, store: FeedbackStore) -> None:
    first = answer_some(client, 3)
    repeat = add_repeat(store, first[0])
    handed = deck(client)
    assert handed["pairs"][0]["query"] == repeat.id
    purposes = {query.id: query.purpose for query in store.queries(RUN)}
    by_purpose = {purposes[pair["query"]]: pair for pair in handed["pairs"]}
    assert set(by_purpose) == {Purpose.TRAINING, Purpose.GOLD, Purpose.REPEAT}
    assert len({frozenset(pair) for pair in handed["pairs"]}) == 1
    assert {(pair["kind"], pair["revision"], len(pair["ticket"])) for pair in handed["pairs"]} == {
        ("pair", 0, len(handed["pairs"][0]["ticket"]))
    }
    words = json.dumps(handed)
    assert not any(word in words for word in ("gold", "repeat", "purpose", "expected", "training"))
    receipts = post(client, *(entry(pair) for pair in by_purpose.values()))
    assert receipts == [{"status": "kept", "known": False}] * 3
    listed = mine(client)["pairs"]
    assert len({frozenset(pair) for pair in listed}) == 1
    assert store.counts(RUN).labels == sum(purposes[query] is Purpose.TRAINING for query in first) + 1


def test_what_a_labeller_is_told_moves_with_every_answer_whether_it_counts_or_not(
    client: TestClient, store: FeedbackStore
) -> None:
    """Or else the number that stood still would tell, afterwards, which pair was a check."""
    add_repeat(store, answer_some(client, 2)[0])
    purposes, before, seen = {query.id: query.purpose for query in store.queries(RUN)}, deck(client), set()
    assert before["status"]["budget"] == 48 * 2  # a gold pair and a repeat for every two labels
    for number in range(8):
        pair = deck(client)["pairs"][0]
        seen.add(purposes[pair["query"]])
        post(client, entry(pair, None if number % 2 else 1.0))
        after = deck(client)
        moved = {
            name: after["status"][name] - before["status"][name]
            for name in before["status"]
            if after["status"][name] != before["status"][name] and name not in ("undrawn", "step")
        }
        assert moved == {"skips" if number % 2 else "labels": 1}
        before = after
    assert seen == {Purpose.TRAINING, Purpose.GOLD, Purpose.REPEAT}
    assert not any(digit.isdigit() for digit in before["status"]["sentence"])


def test_a_run_is_complete_for_labellers_once_it_is_complete_for_its_trainer() -> None:
    counts = Counts(queries=20, labels=9, skips=0, open=1, missing=1, other_answers=9, check_labels=9)
    settings = {"labels": 10, "query": {"gold_fraction": 0.3, "repeat_fraction": 0.2}}
    assert shown_progress(counts, settings) == {"labels": 14, "budget": 15, "skips": 0}
    assert shown_progress(replace(counts, labels=10, check_labels=0), settings)["labels"] == 15
    assert shown_progress(counts, {"labels": 10}) == {"labels": 9, "budget": 10, "skips": 0}


def test_a_repeat_comes_with_its_sides_swapped(client: TestClient, runs: Path, store: FeedbackStore) -> None:
    tickets = Tickets(load_secret(runs))
    first = answer_some(client, 4)
    for original in first:
        add_repeat(store, original)
        before = next(one.shown for one in store.answers(RUN) if one.query_id == original)
        pair = deck(client)["pairs"][0]
        assert tickets.read(pair["ticket"]).shown == before[::-1]
        assert post(client, entry(pair))[0]["status"] == "kept"
        assert [one.shown for one in store.answers(RUN)][-1] == before[::-1]


def test_a_repeat_is_not_for_others_not_even_with_a_ticket(
    client: TestClient, runs: Path, store: FeedbackStore
) -> None:
    repeat = add_repeat(store, answer_some(client, 1)[0])
    pair = deck(client)["pairs"][0]
    assert pair["query"] == repeat.id
    assert repeat.id not in [one["query"] for one in deck(client, "mallory")["pairs"]]
    assert post(client, entry(pair), labeller="mallory")[0]["status"] == "refused"
    genuine = Tickets(load_secret(runs)).read(pair["ticket"])
    signed = Tickets(load_secret(runs)).sign(replace(genuine, labeller="mallory"))
    (receipt,) = post(client, entry(pair, ticket=signed), labeller="mallory")
    assert receipt["status"] == "refused"
    assert [one.labeller for one in store.answers(RUN)] == ["ada"]


def test_practice_comes_before_the_first_answer_and_says_what_was_expected(
    client: TestClient, runs: Path, store: FeedbackStore
) -> None:
    handed = deck(client)
    practice = {query.id for query in store.queries(RUN, purposes=[Purpose.PRACTICE])}
    assert {pair["query"] for pair in handed["practice"]} == practice
    assert len(practice) == 2
    assert not practice & {pair["query"] for pair in handed["pairs"]}
    expected = expected_values(store, RUN)
    for pair in handed["practice"]:
        (receipt,) = post(client, entry(pair, 0.5))
        swapped = Tickets(load_secret(runs)).read(pair["ticket"]).shown == (1, 0)
        value = expected[pair["query"]]
        assert isinstance(value, float)
        assert receipt == {"status": "kept", "known": False, "expected": 1.0 - value if swapped else value}
    assert deck(client)["practice"] == []
    assert len(deck(client, "bob")["practice"]) == 2
    assert mine(client)["pairs"] == []
    counts = store.counts(RUN)
    assert (counts.labels, counts.other_answers) == (0, 2)


def test_who_has_answered_needs_no_practice(client: TestClient) -> None:
    answer_some(client, 1)
    assert deck(client)["practice"] == []


def test_the_version_of_the_instructions_stands_beside_each_answer(
    client: TestClient, store: FeedbackStore
) -> None:
    pair, other = deck(client)["pairs"][:2]
    assert post(client, entry(pair, instructions=1))[0]["status"] == "kept"
    assert post(client, entry(other))[0]["status"] == "kept"
    assert [one.instruction_version for one in store.answers(RUN)] == [1, 0]


@pytest.mark.parametrize("version", [2, -1, True, "1", 1.0, None, 10**30])
def test_instructions_that_never_were_are_refused(
    client: TestClient, store: FeedbackStore, version: Any
) -> None:
    (receipt,) = post(client, entry(deck(client)["pairs"][0], instructions=version))
    assert receipt["status"] == "refused"
    assert store.answers(RUN) == []


def test_words_and_versions_of_the_instructions_change_together() -> None:
    tasks = [*sorted(GAMES | ROBOTS), "another", instructions.TASK]
    words = "\n\n".join(
        f"{task} {instructions_for(task).version}\n{instructions_for(task).text}" for task in tasks
    )
    digest = hashlib.sha256(words.encode()).hexdigest()[:16]
    assert digest == "8ee6a710c0c85e21", (
        "raise VERSION, or the task's in TASK_VERSIONS, and put the new digest here"
    )


def test_own_answers_are_listed_page_by_page(client: TestClient) -> None:
    given = answer_some(client, MOST_REMEMBERED + 3)
    page = mine(client)
    assert page["answers"] == len(given)
    following = mine(client, before=str(page["older"]))
    assert following["older"] is None
    listed = [pair["query"] for pair in page["pairs"] + following["pairs"]]
    assert listed == given[::-1]
    assert all(pair["ready"] and len(pair["clips"]) == 2 for pair in page["pairs"])
    assert all(pair["answered_at"] > 0 for pair in page["pairs"])


def test_an_old_answer_is_changed_and_nothing_is_lost(client: TestClient, store: FeedbackStore) -> None:
    given = answer_some(client, MOST_REMEMBERED + 2)
    oldest = mine(client, before=str(mine(client)["older"]))["pairs"][-1]
    assert (oldest["query"], oldest["value"]) == (given[0], 1.0)
    assert post(client, entry(oldest, 0.5))[0]["status"] == "kept"
    before, after = store.answers(RUN, query_ids=[given[0]])
    assert after.supersedes == before.id
    assert (mine(client)["pairs"][0]["query"], mine(client)["pairs"][0]["value"]) == (given[0], 0.5)


def test_an_answer_whose_clip_is_gone_is_listed_and_its_clip_wished_for(
    client: TestClient, runs: Path, store: FeedbackStore
) -> None:
    (given,) = answer_some(client, 1)
    (query,) = store.queries(RUN, query_ids=[given])
    note_path(runs / RUN, query.items[0]).unlink()
    (pair,) = mine(client)["pairs"]
    assert (pair["ready"], pair["clips"], pair["value"]) == (False, [], 1.0)
    assert set(read_wishes(runs / RUN)) == set(query.items)
    assert post(client, entry(pair, 0.0))[0]["status"] == "kept"


@pytest.mark.parametrize("before", ["", "-1", "x", "1e3", "²", "9" * 30])
def test_a_page_that_cannot_be_is_refused(client: TestClient, before: str) -> None:
    params = {"run": RUN, "labeller": "ada", "before": before}
    assert client.get("/prefrl/mine", params=params).status_code == 400


def test_two_labellers_answer_the_same_pairs_where_overlap_is_wanted(
    client: TestClient, store: FeedbackStore
) -> None:
    ada, bob, eve = (
        {pair["query"] for pair in deck(client, name)["pairs"]} for name in ("ada", "bob", "eve")
    )
    assert ada & bob
    assert not ada & bob & eve
    shared = min(ada & bob)
    for name in ("ada", "bob"):
        pair = next(pair for pair in deck(client, name)["pairs"] if pair["query"] == shared)
        assert post(client, entry(pair), labeller=name)[0]["status"] == "kept"
    assert len(store.current_answers(RUN, query_ids=[shared])) == 2


def test_nothing_is_handed_out_once_the_labels_are_complete(runs: Path, store: FeedbackStore) -> None:
    config = runs / RUN / "config.json"
    values = json.loads(config.read_text())
    values["config"]["labels"] = 4
    config.write_text(json.dumps(values))
    tickets = Tickets(load_secret(runs))
    late = TestClient(Starlette(routes=api_routes(Desk(Workplace(runs), tickets))))
    while store.counts(RUN).labels < 4:
        post(late, entry(deck(late)["pairs"][0]))
    assert deck(late)["pairs"] == []
    assert deck(late, "bob")["pairs"] == []
    taken_back = mine(late)["pairs"][0]
    while store.counts(RUN).labels == 4:
        post(late, {"ticket": taken_back["ticket"], "revision": taken_back["revision"], "withdrawn": True})
        taken_back = mine(late)["pairs"][0]
    assert deck(late)["pairs"]
