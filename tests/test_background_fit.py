"""Fits beside the agent's learning: taken up when told to, whole, and as if nothing had run beside them."""

import io
import os
import pickle
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from tiny_runs import Killed, figures, killed_at, run_tiny, tiny
from torch import Tensor

from prefrl.control import background_fit
from prefrl.control.background_fit import BackgroundFit
from prefrl.control.fit_worker import FitWorker
from prefrl.control.reward_networks import VectorRewardNetwork
from prefrl.ensemble import RewardEnsemble
from prefrl.feedback_sets import FeedbackSet
from prefrl.fit_config import FitConfig
from prefrl.fitting import RewardFitter
from prefrl.likelihoods import pair_log_likelihood_loss
from prefrl.runs.log import read_metrics

CONFIG = FitConfig(first_gradient_steps=8, max_gradient_steps=4, batch_size=4)


class Steps:
    """Random items of four steps."""

    def __init__(self) -> None:
        self.steps = torch.randn(12, 4, 3, generator=torch.Generator().manual_seed(5))

    def inputs(self, rows: Tensor) -> Tensor:
        return self.steps[rows]

    def mask(self, rows: Tensor) -> None:
        del rows


def an_ensemble() -> RewardEnsemble:
    torch.manual_seed(0)
    return RewardEnsemble(VectorRewardNetwork(3, members=2, hidden=4), members=2)


def some_feedback(value: float = 1.0) -> FeedbackSet:
    pairs = torch.arange(12).reshape(-1, 2)
    return FeedbackSet(pairs, torch.full((6,), value), lambda r, t: pair_log_likelihood_loss(r, t))


def numbers(ensemble: RewardEnsemble) -> list[Tensor]:
    return [part.clone() for part in ensemble.state_dict().values()]


def assert_same(left: list[Tensor], right: list[Tensor]) -> None:
    for one, other in zip(left, right, strict=True):
        torch.testing.assert_close(one, other, rtol=0.0, atol=0.0)


@pytest.fixture(params=[False, True], ids=["here", "aside"])
def fitting(request: pytest.FixtureRequest) -> Iterator[BackgroundFit]:
    """After its first fit."""
    fitting = after_first_fit(aside=request.param)
    yield fitting
    fitting.close()


def after_first_fit(*, aside: bool) -> BackgroundFit:
    fitting = BackgroundFit(an_ensemble(), CONFIG, seed=3, aside=aside)
    fitting.begin(Steps(), [some_feedback()])
    fitting.take_up()
    while fitting._worker is not None and not fitting._worker.started:
        time.sleep(0.05)
    return fitting


def test_the_ensemble_changes_when_the_fit_is_taken_up_and_not_before(fitting: BackgroundFit) -> None:
    before = numbers(fitting.ensemble)
    fitting.begin(Steps(), [some_feedback(0.0)])
    fitting.wait()
    assert (fitting.pending, fitting.ensemble.version) == (True, 1)
    assert_same(numbers(fitting.ensemble), before)

    report, seconds = fitting.take_up()

    plain, generator = an_ensemble(), torch.Generator().manual_seed(3)
    fitter = RewardFitter(plain, CONFIG, seed=3)
    fitter.fit(Steps(), [some_feedback()], generator)
    expected = fitter.fit(Steps(), [some_feedback(0.0)], generator)
    assert (report, fitting.ensemble.version, fitting.pending) == (expected, 2, False)
    assert seconds > 0
    assert_same(numbers(fitting.ensemble), numbers(plain))


def test_one_fit_at_a_time(fitting: BackgroundFit) -> None:
    fitting.begin(Steps(), [some_feedback()])
    with pytest.raises(RuntimeError, match="under way"):
        fitting.begin(Steps(), [some_feedback()])
    fitting.take_up()
    with pytest.raises(RuntimeError, match="no fit has begun"):
        fitting.take_up()


def test_a_fit_that_fails_says_so_and_leaves_the_ensemble_alone(fitting: BackgroundFit) -> None:
    before = numbers(fitting.ensemble)

    def fit() -> None:
        fitting.begin(Steps(), [some_feedback(float("nan"))])
        fitting.take_up()

    with pytest.raises(FloatingPointError, match="not finite"):
        fit()
    assert not fitting.pending
    assert_same(numbers(fitting.ensemble), before)


def test_a_fit_that_is_not_taken_up_yet_survives_saving(fitting: BackgroundFit) -> None:
    fitting.begin(Steps(), [some_feedback(0.0)])
    other = BackgroundFit(an_ensemble(), CONFIG, seed=3, aside=False)
    other.load_state_dict(fitting.state_dict())
    assert (other.pending, other.ensemble.version) == (True, 1)
    assert fitting.take_up() == other.take_up()
    for one in (fitting, other):
        one.begin(Steps(), [some_feedback(1.0)])
        one.take_up()
    assert fitting.ensemble.version == other.ensemble.version == 3
    assert_same(numbers(fitting.ensemble), numbers(other.ensemble))


def test_a_fit_whose_process_dies_is_made_here() -> None:
    fitting = after_first_fit(aside=True)
    assert fitting._worker is not None
    twin = BackgroundFit(an_ensemble(), CONFIG, seed=3, aside=False)
    twin.load_state_dict(fitting.state_dict())
    os.kill(fitting._worker._process.pid, signal.SIGKILL)
    fitting._worker._process.wait()
    for value in (0.0, 1.0):
        for one in (fitting, twin):
            one.begin(Steps(), [some_feedback(value)])
            one.take_up()
    assert_same(numbers(fitting.ensemble), numbers(twin.ensemble))


def test_a_fit_whose_process_dies_while_it_answers_is_made_here(monkeypatch: pytest.MonkeyPatch) -> None:
    fitting, twin = (after_first_fit(aside=aside) for aside in (True, False))
    assert fitting._worker is not None
    monkeypatch.setattr(fitting._worker._process, "stdout", io.BytesIO(pickle.dumps("x" * 99)[:40]))
    for one in (fitting, twin):
        one.begin(Steps(), [some_feedback(0.0)])
        one.take_up()
    assert_same(numbers(fitting.ensemble), numbers(twin.ensemble))


@pytest.mark.parametrize(("background", "late"), [(False, 0), (True, 2)])
def test_the_reward_changes_at_once_or_two_rollouts_after_its_session(
    tmp_path: Path, background: bool, late: int
) -> None:
    # Sessions three rollouts apart, so that none cuts another short.
    config = tiny(steps=5120, query={"sessions": 5}, reward_model={"background_fits": background})
    run_tiny(tmp_path / "run", config)
    rows = [row for row in read_metrics(tmp_path / "run") if "true_return" in row]
    sessions = [index for index, row in enumerate(rows) if "reward_correlation" in row]
    fits = [index for index, row in enumerate(rows) if "fit_loss" in row]
    last = len(rows) - 1
    assert fits == sorted({min(index + late, last) for index in sessions})
    assert len(sessions) >= 3


@pytest.fixture
def ready_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Waits for each fitting process: a tiny run would be over before it has started."""

    class ReadyWorker(FitWorker):
        def __init__(self) -> None:
            super().__init__()
            while not self.started:
                time.sleep(0.05)

    monkeypatch.setattr(background_fit, "FitWorker", ReadyWorker)


@pytest.mark.usefixtures("ready_workers")
def test_runs_that_fit_aside_end_at_the_same_figures_however_often_they_die(tmp_path: Path) -> None:
    config = tiny(reward_model={"background_fits": True})
    undisturbed = figures(tmp_path / "undisturbed", run_tiny(tmp_path / "undisturbed", config))
    assert [row["reward_version"] for row in undisturbed[1] if "reward_version" in row] == [1, 2, 4]
    broken = tmp_path / "broken"
    for rows in (4, 2, 1):  # the second time while a fit waits to be taken up
        with pytest.raises(Killed):
            run_tiny(broken, config, resume=broken.exists(), watch=killed_at(rows))
    assert figures(broken, run_tiny(broken, config, resume=True)) == undisturbed
