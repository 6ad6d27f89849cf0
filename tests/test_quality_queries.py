"""Gold pairs, hidden repeats and practice: when they are asked, of whom, and that none is learned from."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tiny_runs import run_tiny, tiny

from experiments.train import world_maker
from prefrl.control.build import make_learner
from prefrl.control.preference_learner import PreferenceLearner
from prefrl.control.quality_queries import OPEN_REPEATS, REPEAT_GAP
from prefrl.control.rollouts import Collector
from prefrl.control.segment_files import load_segments
from prefrl.control.training import make_agent
from prefrl.devices import make_device
from prefrl.feedback import Purpose, Query
from prefrl.labellers.labelling import Labelling
from prefrl.labellers.quality import expected_values
from prefrl.labellers.statistics import labelling_statistics
from prefrl.store.feedback_store import FeedbackStore
from prefrl.store.rebuild import rebuild_store


@pytest.fixture
def store(tmp_path: Path) -> Iterator[FeedbackStore]:
    with FeedbackStore(tmp_path / "feedback.sqlite") as store:
        yield store


def make_human_learner(store: FeedbackStore, **query: Any) -> PreferenceLearner:
    """A learner whose pool is full and that has asked nothing."""
    assert store.path is not None
    folder, config = store.path.parent, tiny(teacher="human", query=query)
    env = world_maker(config)(config.num_envs, 0)
    learner = make_learner(config, env, store, folder / "segments", run="run", device=make_device("cpu"))
    trainer: Any = make_agent(config, world_maker(config), store, folder, make_device("cpu"))
    rollout = Collector(env, trainer.actor, np.random.default_rng(0)).collect_rollout(32)
    learner.observe(rollout, env, 0, share=1.0)
    trainer.close()
    env.close()
    return learner


def session(store: FeedbackStore, name: str = "ada", **settings: Any) -> Labelling:
    return Labelling(store, "run", labeller=name, seed=0, **settings)


def purposes(store: FeedbackStore) -> Counter[str]:
    return Counter(str(query.purpose) for query in store.queries("run"))


def answer_all(learner: PreferenceLearner, labelling: Labelling, count: int) -> list[Query]:
    """Takes and answers one by one, left each time; the learner looks after every answer, as a run does."""
    answered = []
    for _ in range(count):
        (query,) = labelling.take(1)
        shown = labelling.repeat_order(query) or (0, 1)
        labelling.answer(query, 1.0, shown=shown)
        answered.append(query)
        learner.feedback()
        learner.ask_again(0)
    return answered


def test_gold_pairs_are_hidden_among_the_others_at_their_rate(store: FeedbackStore) -> None:
    learner = make_human_learner(store, gold_fraction=0.25)
    for count in (7, 1, 12):
        learner.ask(count, 0)
    assert purposes(store) == {"training": 20, "gold": 5}
    asked = store.queries("run")
    assert [query.counter for query in asked] == list(range(25))
    assert len({query.id.partition("-")[0] for query in asked}) == 1
    places = [query.counter for query in asked if query.purpose is Purpose.GOLD]
    assert max(places) - min(places) > len(places)  # not in a row


def test_what_is_expected_of_gold_is_what_the_true_return_says(store: FeedbackStore, tmp_path: Path) -> None:
    learner = make_human_learner(store, gold_fraction=0.5)
    learner.ask(16, 0)
    gold = store.queries("run", purposes=[Purpose.GOLD])
    assert len(gold) == 8
    spread = learner.pool.segments().true_reward.sum(1).std()
    for query in gold:
        left, right = load_segments(tmp_path / "segments", list(query.items)).true_reward.sum(1)
        assert abs(left - right) >= spread
        assert expected_values(store, "run")[query.id] == float(left > right)
    assert len({item for query in gold for item in query.items}) == 16


def test_what_is_expected_outlives_the_store(store: FeedbackStore, tmp_path: Path) -> None:
    make_human_learner(store, gold_fraction=0.5, practice_pairs=2).ask(4, 0)
    expected = expected_values(store, "run")
    assert len(expected) == 4
    store.export_jsonl(tmp_path / "export.jsonl")
    for source in ("export.jsonl", "feedback.jsonl"):
        rebuild_store(tmp_path / source, tmp_path / f"from-{source}.sqlite")
        with FeedbackStore(tmp_path / f"from-{source}.sqlite") as rebuilt:
            assert expected_values(rebuilt, "run") == expected


def test_nothing_is_learned_from_gold_repeats_and_practice(store: FeedbackStore) -> None:
    learner = make_human_learner(store, gold_fraction=0.5, repeat_fraction=0.5, practice_pairs=2)
    learner.ask(30, 0)
    ada = session(store)
    for query in ada.practice(2):
        ada.answer(query, 1.0, shown=(0, 1))
    answered = answer_all(learner, ada, 40)
    counts = Counter(str(query.purpose) for query in answered)
    assert counts["gold"] > 5
    assert counts["repeat"] > 2
    assert len(learner.feedback()) == learner.labels == store.counts("run").labels == counts["training"]
    assert len(learner.bank) == len(
        {i for q in store.queries("run", purposes=[Purpose.TRAINING]) for i in q.items}
    )


def test_repeats_come_at_their_rate_to_the_same_labeller_later(store: FeedbackStore) -> None:
    learner = make_human_learner(store, repeat_fraction=0.2)
    learner.ask(60, 0)
    ada, bob = session(store), session(store, "bob")
    answered = answer_all(learner, ada, 40)
    repeats = [query for query in answered if query.repeat_of is not None]
    assert len(repeats) == int(0.2 * (40 - len(repeats)))
    assert len({query.repeat_of for query in repeats}) == len(repeats)
    order = [query.id for query in answered]
    gaps = [order.index(query.id) - order.index(query.repeat_of or "") for query in repeats]
    assert min(gaps) > REPEAT_GAP
    assert not any(query.repeat_of for query in answer_all(learner, bob, 5))


def test_sides_of_a_repeat_are_swapped_and_both_are_on_record(store: FeedbackStore) -> None:
    learner = make_human_learner(store, repeat_fraction=0.3, gold_fraction=0.2)
    learner.ask(40, 0)
    answer_all(learner, session(store), 40)
    shown = {answer.query_id: answer.shown for answer in store.current_answers("run")}
    answered = [one for one in store.queries("run", purposes=[Purpose.REPEAT]) if one.id in shown]
    assert len(answered) > 3
    assert all(shown[one.id] == shown[one.repeat_of or ""][::-1] for one in answered)
    expected = expected_values(store, "run")
    statistics = labelling_statistics(store.answer_table("run"), expected, rng=np.random.default_rng(0))
    (ada,) = statistics.labellers
    assert ada.repeats == len(answered)
    assert ada.gold_answers == sum(query in shown for query in expected)


def test_a_labeller_who_leaves_leaves_few_repeats_behind(store: FeedbackStore) -> None:
    learner = make_human_learner(store, repeat_fraction=0.5)
    learner.ask(50, 0)
    ada = session(store)
    for query in ada.take(40):
        ada.answer(query, 1.0, shown=(0, 1))
    for labels in range(5):
        learner.feedback()
        learner.labels += labels  # as if others went on
        learner.ask_again(0)
    assert purposes(store)["repeat"] == OPEN_REPEATS


def test_with_overlap_every_answer_is_a_comparison_of_its_own(store: FeedbackStore) -> None:
    learner = make_human_learner(store, overlap=2)
    learner.ask(3, 0)
    first = store.queries("run")[0]
    session(store, "ada", overlap=2).answer(first, 1.0, shown=(0, 1))
    assert (learner.unanswered(), learner.missing()) == (2, 5)
    session(store, "bob", overlap=2).answer(first, 0.0, shown=(0, 1))
    session(store, "eve", overlap=2).answer(first, 0.0, shown=(0, 1))  # too late
    feedback = learner.feedback()
    assert feedback.targets.tolist() == [1.0, 0.0]
    assert feedback.items[0].equal(feedback.items[1])
    assert (learner.labels, learner.missing()) == (2, 4)


def test_a_resumed_learner_counts_on_and_asks_no_second_practice(store: FeedbackStore) -> None:
    query = {"gold_fraction": 0.5, "practice_pairs": 2, "repeat_fraction": 0.5}
    learner = make_human_learner(store, **query)
    learner.ask(14, 0)
    saved = learner.state_dict()
    answer_all(learner, session(store), 20)
    learner.ask(2, 0)
    before = store.queries("run")
    other = make_human_learner(store, **query)
    other.load_state_dict(saved)
    other.adopt()
    assert [one.query_id for one in other.asked] == [one.query_id for one in learner.asked]
    assert sorted(other.bank.ids) == sorted(learner.bank.ids)
    other.ask(2, 0)
    after = store.queries("run")
    assert after[: len(before)] == before
    assert purposes(store)["practice"] == 2
    assert [query.counter for query in after] == list(range(len(after)))


def test_a_scripted_teacher_is_not_checked(tmp_path: Path) -> None:
    run_tiny(tmp_path / "run", tiny(query={"practice_pairs": 3}))
    with FeedbackStore(tmp_path / "run" / "feedback.sqlite") as store:
        assert {query.purpose for query in store.queries("run")} == {Purpose.TRAINING}
        assert store.remarks("run") == []


@pytest.mark.parametrize("kind", ["ranking", "like", "rating"])
def test_every_kind_is_asked_again_of_who_has_answered_it(store: FeedbackStore, kind: str) -> None:
    learner = make_human_learner(store, kind=kind, repeat_fraction=0.5)
    learner.ask(14, 0)
    ada = session(store)
    value = {"ranking": (2, 0, 1), "like": True, "rating": 4}[kind]
    for _ in range(16):
        (query,) = ada.take(1)
        before = {one.query_id: one.shown for one in store.answers("run")}
        shown = ada.repeat_order(query) or tuple(range(len(query.items)))
        if query.repeat_of is not None:
            assert shown == before[query.repeat_of][::-1]
        ada.answer(query, value, shown=shown)
        learner.feedback()
        learner.ask_again(0)
    assert purposes(store) == {"training": 14, "repeat": 3}
    assert learner.labels == 16 - 3  # repeats spend nothing
    repeats = [query for query in store.queries("run") if query.purpose is Purpose.REPEAT]
    assert {str(query.kind) for query in repeats} == {kind}
