"""What a labeller's answers weigh: on record, from the next fit on, in a run and offline."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from test_fitting import MEMBERS, ONE_STEP, Problem, a_fitter, a_problem, full_batch_loss, generator
from test_fitting import member_parameters as parameters
from test_human_run import make_human_learner
from test_offline import fit as fit_offline
from test_offline import write_answers, write_segments
from torch import Tensor

from prefrl.bags import bootstrap_counts
from prefrl.errors import UsageError
from prefrl.feedback import Answer, Kind, Query, Remark, RemarkKind, Source
from prefrl.feedback_sets import FeedbackSet
from prefrl.labellers.labelling import Labelling
from prefrl.labellers.weights import labeller_weights, set_weight
from prefrl.store.feedback_store import FeedbackStore


def fitted(problem: Problem, feedback: FeedbackSet) -> tuple[Tensor, float]:
    """The parameters after one full-batch step, and its training loss."""
    fitter = a_fitter(ONE_STEP)
    report = fitter.fit(problem.items, [feedback], generator())
    return parameters(fitter.ensemble), report.train_loss


def weighed(problem: Problem, weights: Tensor) -> FeedbackSet:
    return replace(problem.feedback(), weights=weights)


def test_full_weight_changes_no_bit() -> None:
    problem = a_problem()
    plain, ones = fitted(problem, problem.feedback()), fitted(problem, weighed(problem, torch.ones(40)))
    assert torch.equal(plain[0], ones[0])
    assert plain[1] == ones[1]


def test_the_training_loss_is_the_weighted_mean_over_each_bag() -> None:
    problem, weights = a_problem(), torch.linspace(0.0, 1.0, 40)
    losses, counts = (
        full_batch_loss(problem, problem.feedback()),
        bootstrap_counts(40, MEMBERS, seed=(0, 0)).T,
    )
    by_hand = ((losses * counts * weights).sum(1) / (counts * weights).sum(1)).mean()
    assert fitted(problem, weighed(problem, weights))[1] == pytest.approx(by_hand.item())
    assert fitted(problem, problem.feedback())[1] != pytest.approx(by_hand.item())


def test_what_weighs_nothing_teaches_nothing_and_moves_nobody() -> None:
    problem, flipped = a_problem(), a_problem()
    weights = torch.ones(40)
    weights[:7] = 0.0
    flipped.preference[:7] = 1 - flipped.preference[:7]
    assert torch.equal(
        fitted(problem, weighed(problem, weights))[0], fitted(flipped, weighed(flipped, weights))[0]
    )
    assert not torch.equal(fitted(problem, problem.feedback())[0], fitted(flipped, flipped.feedback())[0])


def test_the_out_of_bag_loss_does_not_hear_those_left_out() -> None:
    problem, flipped = a_problem(), a_problem()
    weights = torch.ones(40)
    weights[:20] = 0.0
    flipped.preference[:20] = 1 - flipped.preference[:20]
    reports = [
        a_fitter(ONE_STEP).fit(one.items, [weighed(one, weights)], generator()) for one in (problem, flipped)
    ]
    assert reports[0].validation_loss == reports[1].validation_loss


def test_nothing_that_counts_is_nothing_to_fit() -> None:
    problem = a_problem()
    with pytest.raises(UsageError, match="no feedback to fit"):
        a_fitter().fit(problem.items, [weighed(problem, torch.zeros(40))], generator())


def test_the_newest_decision_stands_and_all_are_kept(tmp_path: Path) -> None:
    with FeedbackStore(tmp_path / "feedback.sqlite") as store:
        store.add([Query("q", "run", Kind.PAIR, ("a", "b"))])
        for weight in (0.0, 0.5, 0.0):
            set_weight(store, "run", "bob", weight, by="ada", clock=lambda: 5.0)
        set_weight(store, "other", "bob", 0.25, by="ada")
        remarks = store.remarks("run", kind=RemarkKind.WEIGHT)
        assert [(one.content, one.labeller, one.made_at) for one in remarks] == [
            ("0.0", "ada", 5.0), ("0.5", "ada", 5.0), ("0.0", "ada", 5.0),
        ]  # fmt: skip
        assert labeller_weights(store.remarks("run")) == {"bob": 0.0}
        assert labeller_weights(store.remarks("other")) == {"bob": 0.25}


@pytest.mark.parametrize("weight", [-0.1, 1.5, float("nan"), "much", None, True])
def test_an_impossible_weight_is_refused(tmp_path: Path, weight: object) -> None:
    with FeedbackStore(tmp_path / "feedback.sqlite") as store:
        with pytest.raises(UsageError, match="give a number from 0 to 1"):
            set_weight(store, "run", "bob", weight, by="ada")  # type: ignore[arg-type]
        assert store.remarks("run") == []


@pytest.mark.parametrize("content", ["much", "2.0", "nan", ""])
def test_an_impossible_weight_from_a_file_is_named(content: str) -> None:
    with pytest.raises(UsageError, match="remark m gives bob the weight"):
        labeller_weights([Remark("m", "run", RemarkKind.WEIGHT, "bob", "ada", content)])


def test_a_weight_set_while_a_run_goes_on_holds_from_its_next_fit(tmp_path: Path) -> None:
    with FeedbackStore(tmp_path / "feedback.sqlite") as store:
        learner = make_human_learner(tmp_path, store)
        first, second, _ = store.queries("run")
        for name, query, value in (("ada", first, 1.0), ("bob", second, 0.0)):
            Labelling(store, "run", labeller=name, seed=0).answer(query, value, shown=(0, 1))
        assert learner.feedback().weights is None
        before = learner.feedback()
        set_weight(store, "run", "bob", 0.25, by="eve")
        after = learner.feedback()
        assert after.weights is not None
        assert after.weights.tolist() == [1.0, 0.25]
        assert after.items.equal(before.items)
        set_weight(store, "run", "bob", 0.0, by="eve")
        assert learner.begin_fit(0)
        learner.take_up_fit()
        assert learner.labels == 2  # given, and spent
        set_weight(store, "run", "ada", 0.0, by="eve")
        assert not learner.begin_fit(0)


def test_offline_fits_leave_out_and_weigh_too(tmp_path: Path) -> None:
    ids = write_segments(tmp_path / "segments", 60, np.random.default_rng(0))
    recorded = (tmp_path / "feedback.sqlite", tmp_path / "segments")
    with FeedbackStore(recorded[0]) as store:
        write_answers(store, recorded[1], ids, pairs=60)
        plain = fit_offline(recorded)
        first = store.queries("run")[0].id
        store.add(
            [
                Answer("liar", first, 0.0, Source.PERSON, "liar"),
                Answer("late", first, 0.0, Source.PERSON, "late"),
            ]
        )
        store.add([Remark("m", "run", RemarkKind.LATE, first, "late")])
        set_weight(store, "run", "liar", 0.0, by="ada")
        without = fit_offline(recorded)
        set_weight(store, "run", "liar", 0.5, by="ada")
        halved = fit_offline(recorded)
    steps = np.ones((2, 3)), np.ones((2, 1))
    assert np.array_equal(plain.model.predict(*steps), without.model.predict(*steps))
    assert (without.report.labels, without.report.left_out, without.report.ignored) == (60, 1, 1)
    assert (halved.report.labels, halved.report.left_out) == (61, 0)
    assert not np.array_equal(plain.model.predict(*steps), halved.model.predict(*steps))
