"""Runs whose teacher is a person: labels set the pace, nothing blocks on one pair, no answer is lost."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tiny_runs import Killed, run_tiny, tiny

from experiments.train import world_maker
from prefrl.control import pace
from prefrl.control.build import make_learner
from prefrl.control.rollouts import Collector
from prefrl.control.segment_files import load_segments
from prefrl.control.training import make_agent
from prefrl.devices import make_device
from prefrl.feedback import Remark, RemarkKind, make_id
from prefrl.labellers.labelling import Labelling
from prefrl.runs.log import read_metrics
from prefrl.store.feedback_store import FeedbackStore

HUMAN = tiny(teacher="human", labels=16, steps=1024, query={"open_queries": 6, "max_steps_per_label": 200})
INITIAL = 4
"""Labels before training: a quarter of 16."""
ROLLOUT = 256


@pytest.fixture(autouse=True)
def _no_time_to_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pace, "POLL_SECONDS", 0.0)


class Person:
    """Looks at the run whenever it reports, and then does as told; prefers the larger true return.

    Sees the rows of metrics as a progress bar does, and meets the trainer in the store alone.
    """

    def __init__(self, folder: Path, act: Callable[["Person", dict[str, Any]], None]) -> None:
        self.folder, self.act = folder, act
        self.rows: list[dict[str, Any]] = []
        self.store: FeedbackStore | None = None

    def __call__(self, row: dict[str, Any]) -> None:
        if not row.keys() > {"step"}:
            return  # the run begins
        self.rows.append(row)
        if len(self.rows) > 3000:
            raise AssertionError(f"the run does not end: {row}")
        if self.store is None:
            self.store = FeedbackStore(self.folder / "feedback.sqlite", must_exist=True)
        self.act(self, row)

    @property
    def session(self) -> Labelling:
        assert self.store is not None
        return Labelling(self.store, self.folder.name, labeller="ada", seed=0)

    def answer(self, count: int, *, spare: tuple[int, ...] = (), skip: bool = False) -> None:
        """Answers so many open pairs, but never those with a counter in ``spare``."""
        assert self.store is not None
        pairs = [one for one in self.store.open_queries(self.folder.name, 100) if one.counter not in spare]
        for query in pairs[:count]:
            left, right = load_segments(self.folder / "segments", list(query.items)).true_reward.sum(1)
            self.session.answer(query, None if skip else float(left > right), shown=(0, 1), seconds=3.0)

    @property
    def waits(self) -> list[dict[str, Any]]:
        return [row for row in self.rows if "waiting" in row]

    @property
    def trained(self) -> list[dict[str, Any]]:
        return [row for row in self.rows if "policy_loss" in row]


def train_with(folder: Path, act: Callable[[Person, dict[str, Any]], None], **given: Any) -> Any:
    """The person and the summary of a whole run."""
    person = Person(folder, act)
    return person, run_tiny(folder, given.pop("config", HUMAN), watch=person, **given)


def one_at_a_time(person: Person, _row: dict[str, Any]) -> None:
    person.answer(1)


def test_a_run_starts_after_the_initial_share_of_labels_and_says_so(tmp_path: Path) -> None:
    person, _ = train_with(tmp_path / "run", one_at_a_time)
    first = person.rows.index(person.trained[0])
    said = [row["waiting"] for row in person.rows[:first] if "waiting" in row]
    assert said == [f"{missing} of the first {INITIAL} labels" for missing in (4, 3, 2, 1)]
    fit = next(row for row in person.rows if "reward_version" in row)
    assert fit["labels"] >= INITIAL
    assert person.rows.index(fit) < first


def test_waiting_is_shown_but_not_logged(tmp_path: Path) -> None:
    person, _ = train_with(tmp_path / "run", one_at_a_time)
    assert person.waits
    assert all("waiting" not in row for row in read_metrics(tmp_path / "run"))


def test_a_run_trains_on_while_answers_come_in(tmp_path: Path) -> None:
    person, _ = train_with(tmp_path / "run", one_at_a_time)
    labels = [row["labels"] for row in person.trained]
    assert labels == sorted(labels)
    assert len(set(labels)) > 3
    versions = [row["reward_version"] for row in person.rows if "reward_version" in row]
    assert versions == list(range(1, len(versions) + 1))
    assert len(versions) > 2


def test_a_run_ends_when_steps_and_labels_are_both_spent(tmp_path: Path) -> None:
    person, summary = train_with(tmp_path / "run", one_at_a_time)
    assert summary["labels"] == 16
    assert summary["steps"] >= 1024
    assert summary["exact"] is False
    assert (summary["teacher"], summary["skips"]) == ("human", 0)
    assert person.store is not None
    assert person.store.counts("run").labels == 16
    assert person.store.counts("run").open == 0


def test_the_last_fit_knows_every_label(tmp_path: Path) -> None:
    person, _ = train_with(tmp_path / "run", one_at_a_time)
    assert [row for row in person.rows if "reward_version" in row][-1]["labels"] == 16


def test_a_person_who_is_quicker_than_the_steps_is_not_asked_for_more_than_the_budget(tmp_path: Path) -> None:
    person, summary = train_with(
        tmp_path / "run", lambda person, _: person.answer(100), config=tiny(**vars(HUMAN) | {"steps": 4096})
    )
    assert (summary["labels"], summary["steps"]) == (16, 4096)
    assert person.store is not None
    assert person.store.counts("run").queries == 16


def test_one_pair_that_nobody_answers_blocks_nothing(tmp_path: Path) -> None:
    def act(person: Person, _row: dict[str, Any]) -> None:
        person.answer(1, spare=(0,) if len(person.trained) < 8 else ())

    person, summary = train_with(tmp_path / "run", act)
    assert summary["labels"] == 16
    assert len(person.trained) >= 8


def test_a_run_pauses_once_it_is_too_far_ahead_of_its_labels(tmp_path: Path) -> None:
    def act(person: Person, row: dict[str, Any]) -> None:
        # Lazy after the first labels, until the run has asked three times.
        asked = sum(row["waiting"].startswith("more labels") for row in person.waits)
        if row["step"] <= 512 or asked >= 3:
            person.answer(1)

    person, summary = train_with(tmp_path / "run", act)
    pauses = [row for row in person.waits if row["waiting"].startswith("more labels")]
    assert pauses[0]["waiting"] == "more labels: {step} steps are trained on {labels}".format(**pauses[0])
    assert len({row["step"] for row in pauses[:3]}) == 1
    for row in person.trained:
        assert row["step"] - HUMAN.initial_steps <= 200 * row["labels"] + ROLLOUT
    assert summary["labels"] == 16


def test_skips_are_no_progress_and_new_pairs_replace_them(tmp_path: Path) -> None:
    def act(person: Person, _row: dict[str, Any]) -> None:
        person.answer(1, skip=len(person.rows) % 2 == 0)

    person, summary = train_with(tmp_path / "run", act)
    assert summary["labels"] == 16
    assert summary["skips"] > 5
    assert person.store is not None
    counts = person.store.counts("run")
    assert counts.queries == 16 + summary["skips"] + counts.open


def test_skips_alone_never_start_the_training(tmp_path: Path) -> None:
    def act(person: Person, _row: dict[str, Any]) -> None:
        person.answer(2, skip=True)
        if len(person.waits) == 20:
            raise Killed

    person = Person(tmp_path / "run", act)
    with pytest.raises(Killed):
        run_tiny(tmp_path / "run", HUMAN, watch=person)
    assert not person.trained
    assert {row["waiting"] for row in person.waits} == {f"{INITIAL} of the first {INITIAL} labels"}
    assert person.waits[-1]["skips"] > 20


@pytest.mark.parametrize("skips", [0, 3], ids=["answers", "skips first"])
def test_answers_from_before_the_first_checkpoint_survive_a_death(tmp_path: Path, skips: int) -> None:
    config = replace(HUMAN, checkpoint_every_steps=10**6)

    def act(person: Person, _row: dict[str, Any]) -> None:
        person.answer(1, skip=len(person.waits) <= skips)
        if len(person.waits) == skips + 3:
            raise Killed

    with pytest.raises(Killed):
        run_tiny(tmp_path / "run", config, watch=Person(tmp_path / "run", act))
    with FeedbackStore(tmp_path / "run" / "feedback.sqlite") as store:
        before = store.answers("run")
    assert len(before) >= 3
    clips = {path: path.read_bytes() for path in (tmp_path / "run" / "segments").glob("*.npz")}
    person, summary = train_with(tmp_path / "run", one_at_a_time, config=config, resume=True)
    assert all(row["labels"] >= 3 for row in person.waits)
    assert summary["labels"] == 16
    with FeedbackStore(tmp_path / "run" / "feedback.sqlite") as store:
        assert store.answers("run")[: len(before)] == before
    assert all(path.read_bytes() == content for path, content in clips.items())


def test_answers_given_while_the_trainer_is_dead_are_used_after_it_resumes(tmp_path: Path) -> None:
    def dies(person: Person, row: dict[str, Any]) -> None:
        person.answer(1)
        if row["step"] == 1024:
            raise Killed

    person = Person(tmp_path / "run", dies)
    with pytest.raises(Killed):
        run_tiny(tmp_path / "run", HUMAN, watch=person)
    assert person.store is not None
    before = person.store.counts("run").labels
    person.answer(2)
    assert person.store.counts("run").labels == before + 2
    later, summary = train_with(tmp_path / "run", one_at_a_time, resume=True)
    fit = next(row for row in later.rows if "reward_version" in row)
    assert fit["labels"] >= before + 2
    assert summary["labels"] == 16


def make_human_learner(folder: Path, store: FeedbackStore) -> Any:
    """A learner with some pairs out, and no trainer around it."""
    env = world_maker(HUMAN)(HUMAN.num_envs, 0)
    learner = make_learner(HUMAN, env, store, folder / "segments", run="run", device=make_device("cpu"))
    trainer: Any = make_agent(HUMAN, world_maker(HUMAN), store, folder, make_device("cpu"))
    rollout = Collector(env, trainer.actor, np.random.default_rng(0)).collect_rollout(32)
    learner.observe(rollout, env, 0, share=1.0)
    learner.ask(3, 0)
    trainer.close()
    env.close()
    return learner


def test_an_undone_answer_is_not_fitted_and_a_new_one_is(tmp_path: Path) -> None:
    with FeedbackStore(tmp_path / "feedback.sqlite") as store:
        learner = make_human_learner(tmp_path, store)
        ada = Labelling(store, "run", labeller="ada", seed=0)
        for value in (1.0, 0.75):
            (query,) = ada.take(1)
            ada.answer(query, value, shown=(1, 0))
        assert learner.feedback().targets.tolist() == [1.0, 0.75]
        assert ada.undo() == query
        assert learner.feedback().targets.tolist() == [1.0]
        assert learner.labels == 1
        (again,) = ada.take(1)
        assert again == query
        ada.answer(again, 0.0, shown=(0, 1))
        assert learner.feedback().targets.tolist() == [1.0, 0.0]


def test_an_answer_that_came_late_is_not_fitted_and_spends_nothing(tmp_path: Path) -> None:
    with FeedbackStore(tmp_path / "feedback.sqlite") as store:
        learner = make_human_learner(tmp_path, store)
        ada, bob = (Labelling(store, "run", labeller=name, seed=0) for name in ("ada", "bob"))
        (query,) = ada.take(1)
        bob.answer(query, 0.0, shown=(0, 1))
        ada.answer(query, 1.0, shown=(0, 1))
        assert learner.feedback().targets.tolist() == [0.0]
        assert learner.labels == 1


def test_a_closed_query_is_replaced_by_another(tmp_path: Path) -> None:
    with FeedbackStore(tmp_path / "feedback.sqlite") as store:
        learner = make_human_learner(tmp_path, store)
        before = learner.unanswered()
        store.add([Remark("close", "run", RemarkKind.CLOSE, store.queries("run")[0].id, "ada")])
        assert learner.unanswered() == before - 1


def test_a_segment_left_by_a_death_before_its_query_is_replaced(tmp_path: Path) -> None:
    stale = tmp_path / "segments" / f"{make_id('run', 0, 'segment', 0)}.npz"
    stale.parent.mkdir()
    stale.write_bytes(b"of another rollout")
    with FeedbackStore(tmp_path / "feedback.sqlite") as store:
        learner = make_human_learner(tmp_path, store)
        items = [item for query in store.queries("run") for item in query.items]
    assert stale.stem in items
    stored = load_segments(stale.parent, [stale.stem])
    assert torch.from_numpy(stored.inputs).equal(learner.bank.inputs(torch.tensor([0])))


def test_a_late_answer_to_an_early_pair_does_not_move_the_others(tmp_path: Path) -> None:
    with FeedbackStore(tmp_path / "feedback.sqlite") as store:
        learner = make_human_learner(tmp_path, store)
        first, second, third = store.queries("run")
        ada = Labelling(store, "run", labeller="ada", seed=0)
        ada.answer(third, 1.0, shown=(0, 1))
        ada.answer(second, 0.5, shown=(0, 1))
        before = learner.feedback()
        ada.answer(first, 0.0, shown=(0, 1))
        after = learner.feedback()
        assert after.targets.tolist() == [1.0, 0.5, 0.0]
        assert after.items[:2].equal(before.items)
