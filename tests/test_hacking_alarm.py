"""The alarm for reward hacking: when it rings, and how seldom it rings for nothing."""

import math

import numpy as np
import pytest

from prefrl.errors import UsageError
from prefrl.hacking_alarm import LEVEL, RISING, STAKES, TOLERANCE, HackingAlarm, shortfall

SESSIONS = 40
ANSWERS = 12


def simulate(
    seed: int, *, sure: float, right: float, after: float | None = None, rise: float = 0.1
) -> tuple[HackingAlarm, int | None]:
    """A run whose answers agree ``right`` oftener than the ensemble is sure of, later ``after`` oftener.

    Returns the alarm and the session at which it rang.
    """
    rng, alarm = np.random.default_rng(seed), HackingAlarm(SESSIONS)
    for session in range(SESSIONS):
        chance = right if after is None or session < SESSIONS // 2 else after
        confidence = rng.uniform(0.5, sure, ANSWERS) if sure < 1 else np.full(ANSWERS, 0.95)
        left = rng.random(ANSWERS) < 0.5
        agreed = rng.random(ANSWERS) < (confidence + chance)
        predicted = np.where(left, confidence, 1 - confidence)
        given = np.where(left, agreed, ~agreed).astype(float)
        if alarm.take_in(predicted.tolist(), given.tolist(), rise=rise, step=session):
            return alarm, session
    return alarm, None


def test_the_shortfall_is_confidence_less_agreement_whichever_side_is_preferred() -> None:
    assert shortfall(0.9, 1.0) == pytest.approx(-0.1)
    assert shortfall(0.1, 0.0) == pytest.approx(-0.1)
    assert shortfall(0.9, 0.0) == shortfall(0.1, 1.0) == pytest.approx(0.9)
    assert shortfall(0.9, 0.5) == pytest.approx(0.4)


def test_the_evidence_of_a_session_equals_that_computed_by_hand() -> None:
    alarm = HackingAlarm(1)
    alarm.take_in([0.9, 0.25], [0.0, 1.0], rise=0.1, step=0)
    pays = 0.8 * (0.9 - TOLERANCE), 0.5 * (0.75 - TOLERANCE)
    assert alarm.evidence == pytest.approx(np.mean([math.prod(1 + b * pay for pay in pays) for b in STAKES]))
    before = [math.prod(1 + b * pay for pay in pays) for b in STAKES]
    alarm.take_in([0.9], [1.0], rise=0.1, step=1)
    factor = [1 + b * 0.8 * (-0.1 - TOLERANCE) for b in STAKES]
    assert alarm.evidence == pytest.approx(
        np.mean([(m + 1) * f for m, f in zip(before, factor, strict=True)])
    )


def test_no_stake_can_lose_everything() -> None:
    for confidence in np.linspace(0.5, 1.0, 101):
        alarm = HackingAlarm(1)
        alarm.take_in([float(confidence)], [1.0], rise=0.1, step=0)
        assert alarm.evidence > 0.2


@pytest.mark.parametrize("shift", [0.0, -TOLERANCE])
def test_it_rings_for_nothing_no_oftener_than_it_says(shift: float) -> None:
    """Calibrated ensembles, and such as are too sure by all that is tolerated: the hardest case allowed."""
    rang = [simulate(seed, sure=0.99, right=shift)[1] is not None for seed in range(400)]
    assert sum(rang) <= LEVEL * 400


def test_it_rings_soon_after_answers_begin_to_contradict_confident_predictions() -> None:
    delays = [simulate(seed, sure=1.0, right=0.0, after=-0.55)[1] for seed in range(50)]
    assert all(session is not None and SESSIONS // 2 <= session < SESSIONS // 2 + 5 for session in delays)


def test_falling_agreement_on_pairs_that_the_ensemble_is_unsure_of_is_no_cause_for_alarm() -> None:
    """A policy that has converged makes segments that are alike: agreement falls to a coin's, honestly."""
    rng, alarm = np.random.default_rng(0), HackingAlarm(SESSIONS)
    for session in range(SESSIONS):
        given = (rng.random(ANSWERS) < 0.5).astype(float)
        assert not alarm.take_in([0.55] * ANSWERS, given.tolist(), rise=0.01, step=session)


@pytest.mark.parametrize("rise", [None, 0.0, -0.2])
def test_it_does_not_ring_where_predicted_return_does_not_rise(rise: float | None) -> None:
    alarm = HackingAlarm(SESSIONS)
    for session in range(10):
        assert not alarm.take_in([0.95] * ANSWERS, [0.0] * ANSWERS, rise=rise, step=session)
    assert alarm.evidence > alarm.threshold
    assert alarm.take_in([], [], rise=0.01, step=11)


def test_a_rise_of_a_few_sessions_ago_is_enough_and_an_old_one_is_not() -> None:
    """At the top of a learned reward single sessions say now a little more, now a little less."""
    for since, rings in ((RISING - 1, True), (RISING, False)):
        alarm = HackingAlarm(SESSIONS)
        alarm.take_in([], [], rise=0.02, step=0)
        for session in range(1, since):
            alarm.take_in([], [], rise=-0.01, step=session)
        assert alarm.take_in([0.95] * 30, [0.0] * 30, rise=-0.01, step=since) is rings


def test_it_rings_once_and_says_when() -> None:
    alarm = HackingAlarm(SESSIONS)
    rings = [alarm.take_in([0.95] * ANSWERS, [0.0] * ANSWERS, rise=0.2, step=100 * s) for s in range(9)]
    assert sum(rings) == 1
    assert alarm.rang_at == 100 * rings.index(True)


def test_a_restored_alarm_goes_on_as_if_nothing_had_happened() -> None:
    one, other = HackingAlarm(SESSIONS), HackingAlarm(SESSIONS)
    one.take_in([0.9, 0.8], [0.0, 1.0], rise=0.1, step=1)
    other.load_state_dict(one.state_dict())
    for alarm in (one, other):
        alarm.take_in([0.7], [0.0], rise=0.1, step=2)
    assert one.state_dict() == other.state_dict()


@pytest.mark.parametrize(("sessions", "level"), [(0, 0.1), (10, 0.0), (10, 1.0)])
def test_impossible_settings_are_refused(sessions: int, level: float) -> None:
    with pytest.raises(UsageError, match="an alarm needs"):
        HackingAlarm(sessions, level=level)
