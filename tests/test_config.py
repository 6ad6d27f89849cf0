"""Settings: read strictly, refused when impossible, documented field by field, fit for every task."""

import ast
import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pytest

from envs import make_vector_env
from envs.tasks import GAME_NAMES, MUJOCO_NAMES, PROBE_NAMES
from experiments.presets import preset
from prefrl.config_io import config_from_dict, config_to_dict
from prefrl.control.config import PolicyConfig, RewardConfig, TrainConfig
from prefrl.control.query_config import QueryConfig
from prefrl.control.sac_config import SACConfig
from prefrl.errors import UsageError
from prefrl.fit_config import FitConfig
from prefrl.ppo_config import PPOConfig

ROOT = Path(__file__).parents[1]


def settings_classes() -> list[Any]:
    """(file and class, the class's syntax tree) of every class of settings."""
    found = []
    for path in sorted([*(ROOT / "prefrl").rglob("*.py"), *(ROOT / "experiments").glob("*.py")]):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ClassDef) and node.name.endswith(("Config", "Options")):
                found.append(pytest.param(node, id=f"{path.relative_to(ROOT)}:{node.name}"))
    return found


@pytest.mark.parametrize("settings", settings_classes())
def test_every_setting_is_documented_below_its_field(settings: ast.ClassDef) -> None:
    assert ast.get_docstring(settings)
    for field, below in zip(settings.body, [*settings.body[1:], None], strict=True):
        if not isinstance(field, ast.AnnAssign):
            continue
        assert isinstance(field.target, ast.Name)
        nested = field.value is not None and "default_factory" in ast.dump(field.value)
        said = (
            isinstance(below, ast.Expr)
            and isinstance(below.value, ast.Constant)
            and isinstance(below.value.value, str)
            and below.value.value.strip().endswith((".", ")"))
        )
        assert said or nested, f"{settings.name}.{field.target.id} has no sentence below it"


@pytest.mark.parametrize("settings", settings_classes())
def test_settings_are_frozen(settings: ast.ClassDef) -> None:
    assert any("frozen" in ast.dump(decorator) for decorator in settings.decorator_list)


@dataclass(frozen=True)
class Inner:
    rate: float = 0.5
    pair: tuple[float, float] = (1.0, 2.0)


@dataclass(frozen=True)
class Outer:
    count: int = 1
    name: str | None = None
    kind: Literal["a", "b"] = "a"
    on: bool = False
    inner: Inner = dataclasses.field(default_factory=Inner)


def test_settings_come_back_from_json_as_they_were() -> None:
    config = preset("pong")
    assert config_from_dict(TrainConfig, json.loads(json.dumps(config_to_dict(config)))) == config


def test_missing_settings_keep_their_defaults() -> None:
    assert config_from_dict(Outer, {"inner": {"rate": 0.25}}) == Outer(inner=Inner(rate=0.25))


def test_a_whole_number_will_do_where_any_number_is_wanted() -> None:
    rate = config_from_dict(Outer, {"inner": {"rate": 1}}).inner.rate
    assert (rate, type(rate)) == (1.0, float)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"cuont": 2}, "config has no setting 'cuont': choose from count, name, kind, on, inner"),
        ({"inner": {"rat": 2}}, "config.inner has no setting 'rat'"),
        ({"count": "2"}, "config.count cannot be '2': give int"),
        ({"count": 2.5}, "config.count cannot be 2.5"),
        ({"count": True}, "config.count cannot be True"),
        ({"count": None}, "config.count cannot be None"),
        ({"name": 3}, "config.name cannot be 3"),
        ({"kind": "c"}, "config.kind cannot be 'c': give one of a, b"),
        ({"on": 1}, "config.on cannot be 1"),
        ({"inner": 3}, "config.inner must be a group of settings, not 3"),
        ({"inner": {"pair": [1.0]}}, "config.inner.pair cannot be"),
        ({"inner": {"pair": [1.0, "x"]}}, "config.inner.pair cannot be"),
    ],
)
def test_a_setting_that_cannot_be_is_refused_by_name(values: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError) as caught:
        config_from_dict(Outer, values)
    assert message in str(caught.value)


IMPOSSIBLE: list[tuple[Any, dict[str, Any], str]] = [
    (TrainConfig, {"steps": 0}, "steps must be at least 1, not 0"),
    (TrainConfig, {"num_envs": 0}, "num_envs must be at least 1"),
    (TrainConfig, {"rollout_steps": 0}, "rollout_steps must be at least 1"),
    (TrainConfig, {"evaluation_episodes": 0}, "evaluation_episodes must be at least 1"),
    (TrainConfig, {"checkpoint_every_steps": 0}, "checkpoint_every_steps must be at least 1"),
    (TrainConfig, {"labels": 3}, "labels must be at least 4 to learn a reward, not 3"),
    (TrainConfig, {"rollout_steps": 8}, "segment_length 30 does not fit into rollout_steps 8"),
    (TrainConfig, {"steps": 4096}, "steps 4096 leave nothing to learn in: the untrained policy takes 4096"),
    (RewardConfig, {"members": 0}, "members must be at least 1"),
    (RewardConfig, {"dropout": 1.0}, "dropout must lie in"),
    (QueryConfig, {"segment_length": 0}, "segment_length must be at least 1"),
    (QueryConfig, {"open_queries": 0}, "open_queries must be at least 1"),
    (QueryConfig, {"overlap": 0}, "overlap must be at least 1"),
    (QueryConfig, {"repeat_fraction": 0.6}, "repeat_fraction must lie in [0, 0.5], not 0.6"),
    (QueryConfig, {"gold_fraction": -0.1}, "gold_fraction must lie in [0, 0.5], not -0.1"),
    (QueryConfig, {"practice_pairs": -1}, "practice_pairs must be 0 or more"),
    (TrainConfig, {"query": QueryConfig(overlap=2)}, "leave them alone with teacher oracle"),
    (TrainConfig, {"query": QueryConfig(gold_fraction=0.1)}, "leave them alone with teacher oracle"),
    (QueryConfig, {"initial_fraction": 0.0}, "initial_fraction must lie in"),
    (QueryConfig, {"initial_steps_fraction": 1.5}, "initial_steps_fraction must lie in"),
    (FitConfig, {"error_rate": 1.0}, "error_rate must lie in"),
    (FitConfig, {"learning_rate": 0.0}, "learning_rate must be above 0"),
    (FitConfig, {"first_gradient_steps": 0}, "first_gradient_steps must be above 0"),
    (FitConfig, {"weight_decay": -1.0}, "weight_decay must not be below 0"),
    (FitConfig, {"weight_decay_factor": 0.9}, "weight_decay_factor must be at least 1"),
    (FitConfig, {"overfit_ratio": (2.0, 1.0)}, "overfit_ratio must be two rising numbers"),
    (PPOConfig, {"clip": 0.0}, "clip must be above 0"),
    (PPOConfig, {"target_kl": 0.0}, "target_kl must be above 0 or none"),
    (PPOConfig, {"discount": 1.1}, "discount must lie in"),
    (PPOConfig, {"entropy_coefficient": -0.1}, "entropy_coefficient must not be below 0"),
    (PPOConfig, {"reduction": "sum"}, "reduction must be one of"),
]


@pytest.mark.parametrize(("settings", "values", "message"), IMPOSSIBLE)
def test_an_impossible_value_is_refused_by_name(settings: Any, values: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError) as caught:
        settings(**values)
    assert message in str(caught.value)


def test_not_a_number_is_no_setting_anywhere() -> None:
    for settings in (FitConfig, PPOConfig, QueryConfig, RewardConfig, SACConfig, PolicyConfig):
        numbers = [one.name for one in dataclasses.fields(settings) if str(one.type).startswith("float")]
        for name in numbers:
            with pytest.raises(UsageError):
                settings(**{name: float("nan")})


def test_a_baseline_needs_no_labels() -> None:
    assert TrainConfig(reward="true", labels=0).labels == 0


def test_the_first_steps_are_a_share_of_all() -> None:
    assert TrainConfig(steps=1_000_000).initial_steps == 30_000
    assert TrainConfig(steps=10, reward="true").initial_steps == 1


@pytest.mark.parametrize("task", [*MUJOCO_NAMES, *GAME_NAMES, *PROBE_NAMES, "freeway", "Pendulum-v1"])
def test_every_task_has_settings_that_fit_it(task: str) -> None:
    config = preset(task)
    assert config.task == task
    assert config.query.segment_length <= config.rollout_steps
    assert config.ppo.minibatch_size <= config.num_envs * config.rollout_steps
    assert config.steps >= 10 * config.num_envs * config.rollout_steps


@pytest.mark.parametrize("task", MUJOCO_NAMES)
def test_an_episode_is_long_enough_for_a_segment(task: str) -> None:
    env = make_vector_env(task, 1, 0)
    env.reset()
    steps = 1
    while not env.step(env.action_space.sample() * 0)[3].any() and steps < 2000:
        steps += 1
    env.close()
    assert steps >= preset(task).query.segment_length


def test_games_ask_by_the_papers_schedule() -> None:
    config = preset("pong")
    assert (config.query.segment_length, config.query.half_life, config.reward_model.std) == (25, 0.1, 0.05)
    assert isinstance(config.policy, PolicyConfig)
