"""What a session finds out: answers judged before they are fitted, without changing what is learned."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tiny_runs import TINY, Killed, figures, killed_at, run_tiny, tiny

from experiments.train import world_maker
from prefrl.control.audits import CONFIDENT, audits_due, choose_audits
from prefrl.control.session_reports import newest_pairs, predict_preferences, predicted_rise
from prefrl.control.training import make_agent
from prefrl.devices import make_device
from prefrl.diagnostics import MOST_PAIRS, read_diagnostics
from prefrl.feedback_sets import FeedbackSet
from prefrl.fitting import RewardFitter
from prefrl.hacking_alarm import HackingAlarm
from prefrl.store.feedback_store import FeedbackStore

ALARM_FIGURES = ("alarm_evidence", "alarm_rang_at")


def trained(folder: Path, config: Any = TINY) -> Any:
    """The trainer of a run after its last row, its world and store closed."""
    with FeedbackStore(folder / "feedback.sqlite") as store:
        trainer = make_agent(config, world_maker(config), store, folder, make_device("cpu"))
        for _ in trainer.run():
            pass
        trainer.close()
    return trainer


def test_fresh_answers_are_judged_by_the_ensemble_that_has_not_seen_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected: list[float] = []
    first: list[int] = []
    fit = RewardFitter.fit

    def judging(self: RewardFitter, items: Any, feedback: Any, generator: Any, **given: Any) -> Any:
        """By a second method: logits of all answers so far, of which the newest are fresh."""
        if self.ensemble.version:
            pairs = feedback[0].items[first[0] + len(expected) :]
            left, right = (self.ensemble.returns(items, pairs[:, side]).double() for side in (0, 1))
            chance = (1 / (1 + np.exp(-(left - right).detach().numpy()))).mean(0)
            expected.extend((0.9 * chance + 0.05).tolist())
        else:
            first.append(len(feedback[0]))
        return fit(self, items, feedback, generator, **given)

    monkeypatch.setattr(RewardFitter, "fit", judging)
    run_tiny(tmp_path / "run", tiny(reward_model={"background_fits": False}))  # where the patch reaches it
    sessions = read_diagnostics(tmp_path / "run").sessions
    assert [one.session for one in sessions] == [0, 1, 2, 3]
    assert sessions[0].answers == ()
    found = [answer.predicted for one in sessions for answer in one.answers]
    assert first[0] + len(expected) == 24
    assert found == pytest.approx(expected, rel=1e-4)


def test_metrics_and_files_tell_the_same_agreement(tmp_path: Path) -> None:
    run_tiny(tmp_path / "run")
    _, rows = figures(tmp_path / "run", {})
    told = [row for row in rows if "fresh_agreement" in row]
    sessions = read_diagnostics(tmp_path / "run").sessions
    assert sessions[0].agreement is None
    assert [row["fresh_agreement"] for row in told] == [one.agreement for one in sessions[1:]]
    assert sum(row["fresh_answers"] for row in told) + sessions[0].labels == 24


def test_every_answer_is_fresh_once(tmp_path: Path) -> None:
    run_tiny(tmp_path / "run")
    judged = [a.query for one in read_diagnostics(tmp_path / "run").sessions for a in one.answers]
    assert len(judged) == len(set(judged)) > 10


def test_watching_changes_nothing_that_is_learned(tmp_path: Path) -> None:
    watched, unwatched = (
        figures(tmp_path / name, run_tiny(tmp_path / name, tiny(query={"hacking_alarm": name == "on"})))
        for name in ("on", "off")
    )
    assert any("alarm_evidence" in row for row in watched[1])
    stripped = [{k: v for k, v in row.items() if k not in ALARM_FIGURES} for row in watched[1]]
    assert (watched[0], stripped) == unwatched


def test_the_newest_pairs_are_shown_with_the_reward_of_each_step(tmp_path: Path) -> None:
    learner = trained(tmp_path).learner
    newest = [one.query_id for one in learner.asked[: -1 - MOST_PAIRS : -1]]
    assert [pair.query for pair in learner.reports.last.pairs] == newest
    feedback = FeedbackSet(
        torch.tensor([one.rows for one in learner.asked]), torch.ones(24), lambda r, _: r[..., 0]
    )
    pairs = newest_pairs(learner.ensemble, learner.bank, feedback, learner.usable, 0.1)
    assert [pair.query for pair in pairs] == newest
    pair, asked = pairs[0], learner.asked[-1]
    inputs = learner.bank.inputs(torch.tensor([asked.rows[0]]))
    assert pair.left.item == learner.bank.ids[asked.rows[0]]
    assert pair.left.rewards == pytest.approx(learner.ensemble.predict(inputs)[0].tolist())
    again = predict_preferences(learner.ensemble, learner.bank, torch.tensor([asked.rows]), 0.1)
    assert pair.predicted == pytest.approx(float(again))


def test_a_rise_is_seen_where_the_newest_segments_are_predicted_to_be_better(tmp_path: Path) -> None:
    learner = trained(tmp_path).learner
    pool = learner.pool.segments()
    order = np.argsort(learner.model.predict(pool.inputs[..., :4], pool.inputs[..., 4:]).sum(1))
    up, down = (
        predicted_rise(learner.ensemble, learner.layout, learner.bank, pool.take(rows))
        for rows in (order, order[::-1])
    )
    assert up is not None
    assert down is not None
    assert up > down
    learner.ensemble.version = 0
    assert predicted_rise(learner.ensemble, learner.layout, learner.bank, pool) is None


def test_audits_put_newest_segments_beside_earlier_ones_that_they_are_sure_to_surpass(tmp_path: Path) -> None:
    learner = trained(tmp_path).learner
    with torch.no_grad():  # an ensemble with an opinion: twenty gradient steps leave it without one
        learner.ensemble.network.head.weight.mul_(20.0)
    pool, bank = learner.pool.segments(), learner.bank
    rng = np.random.default_rng(0)

    def chosen(*, suspicious: bool) -> np.ndarray:
        return choose_audits(learner.ensemble, learner.layout, bank, pool, 5, suspicious=suspicious, rng=rng)

    pairs = chosen(suspicious=False)
    assert len(pairs) == len(set(pairs[:, 0])) == 5
    assert (pairs[:, 0] >= len(pool) // 2).all()
    rows = bank.add([f"new {i}" for i in range(len(pool))], pool)
    sides = torch.from_numpy(np.stack([rows[pairs[:, 0]], pairs[:, 1]], 1))
    assert (predict_preferences(learner.ensemble, bank, sides, 0.0) >= CONFIDENT).all()


def test_suspects_are_the_segments_of_highest_predicted_return(tmp_path: Path) -> None:
    learner = trained(tmp_path).learner
    with torch.no_grad():
        learner.ensemble.network.head.weight.mul_(20.0)
    pool = learner.pool.segments()
    pairs = choose_audits(
        learner.ensemble, learner.layout, learner.bank, pool, 3, suspicious=True, rng=np.random.default_rng(0)
    )
    returns = learner.model.ensemble.returns
    rows = learner.bank.add([f"new {i}" for i in range(len(pool))], pool)[len(pool) // 2 :]
    best = len(pool) // 2 + np.argsort(
        -returns(learner.bank, torch.from_numpy(rows)).mean(0).detach().numpy()
    )
    assert pairs[:, 0].tolist() == best[:3].tolist()


def test_audits_are_their_share_of_the_queries() -> None:
    assert [audits_due(asked, 3, 0.5) for asked in (0, 3, 6)] == [1, 2, 1]
    assert sum(audits_due(asked, 1, 0.1) for asked in range(100)) == 10
    assert audits_due(50, 20, 0.0) == 0


def test_a_run_with_audits_is_repeatable_and_resumable(tmp_path: Path) -> None:
    config = tiny(query={"audit_share": 0.5})
    whole, broken = tmp_path / "whole" / "run", tmp_path / "broken" / "run"
    undisturbed = figures(whole, run_tiny(whole, config))
    with pytest.raises(Killed):
        run_tiny(broken, config, watch=killed_at(7))
    assert figures(broken, run_tiny(broken, config, resume=True)) == undisturbed
    assert read_diagnostics(broken) == read_diagnostics(whole)
    assert any(one.audit for report in read_diagnostics(whole).sessions for one in report.answers)


def test_after_an_alarm_the_suspicious_segments_are_asked_about(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[bool] = []

    def spied(*given: Any, suspicious: bool, **others: Any) -> np.ndarray:
        asked.append(suspicious)
        return choose_audits(*given, suspicious=suspicious, **others)

    rung = iter([False, False, True, False])
    monkeypatch.setattr("prefrl.control.query_maker.choose_audits", spied)
    monkeypatch.setattr(HackingAlarm, "take_in", lambda *_given, **_others: next(rung))
    summary = run_tiny(tmp_path / "run")
    assert asked == [True]
    assert summary["labels"] == 24
    assert [one.rang for one in read_diagnostics(tmp_path / "run").sessions] == [False, False, True, False]
