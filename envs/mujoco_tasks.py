"""The paper's eight MuJoCo tasks as data: which model, which terms, which horizons, which start.

Numbers are those of Gymnasium's v5 environments; paper horizons and rewards are those of Christiano et al.
2017, A.1, as its authors' later code composes them.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from envs import mujoco_terms as terms
from envs.mujoco_terms import Bools, Floats, Physics, Transition

Start = Callable[[np.random.Generator, Floats, Floats], tuple[Floats, Floats]]
"""(generator, qpos0, qvel0) -> (qpos, qvel) of a first state, drawing exactly as Gymnasium's reset does."""


@dataclass(frozen=True)
class Form:
    """What one reward form observes, pays and ends."""

    observe: Callable[[Physics], Floats]
    reward: Callable[[Transition], Floats]
    falls: Callable[[Physics], Bools]
    horizon: int
    """Steps after which an episode is truncated."""
    fields: tuple[str, ...] = ()
    """Derived MuJoCo fields that the functions read."""


@dataclass(frozen=True)
class MujocoTask:
    """One task; both forms run the same model."""

    name: str
    gymnasium_id: str
    model_file: str
    frame_skip: int
    start: Start
    paper: Form
    native: Form
    position: Callable[[Physics], Floats] | None = None
    """The coordinate whose change per second is the forward velocity."""
    fields: tuple[str, ...] = ()
    """Derived MuJoCo fields that the position and both forms read."""


def uniform_start(noise: float) -> Start:
    """Uniform noise on positions and speeds."""

    def start(generator: np.random.Generator, qpos: Floats, qvel: Floats) -> tuple[Floats, Floats]:
        first = qpos + generator.uniform(-noise, noise, qpos.size)
        return first, qvel + generator.uniform(-noise, noise, qvel.size)

    return start


def normal_speed_start(noise: float) -> Start:
    """Uniform noise on positions, normal noise on speeds."""

    def start(generator: np.random.Generator, qpos: Floats, qvel: Floats) -> tuple[Floats, Floats]:
        first = qpos + generator.uniform(-noise, noise, qpos.size)
        return first, qvel + noise * generator.standard_normal(qvel.size)

    return start


def reacher_start(generator: np.random.Generator, qpos: Floats, qvel: Floats) -> tuple[Floats, Floats]:
    """A target within 0.2 of the arm's root, at rest."""
    first = generator.uniform(-0.1, 0.1, qpos.size) + qpos
    while True:
        target = generator.uniform(-0.2, 0.2, 2)
        if np.linalg.norm(target) < 0.2:
            break
    first[-2:] = target
    speeds = qvel + generator.uniform(-0.005, 0.005, qvel.size)
    speeds[-2:] = 0
    return first, speeds


_TASKS = (
    MujocoTask(
        name="hopper",
        gymnasium_id="Hopper-v5",
        model_file="hopper.xml",
        frame_skip=4,
        start=uniform_start(5e-3),
        paper=Form(terms.without_first_clipped, terms.speed_and_height, terms.never_falls, 1000),
        native=Form(terms.without_first_clipped, terms.native_hopper, terms.hopper_falls, 1000),
        position=terms.first_joint,
    ),
    MujocoTask(
        name="walker2d",
        gymnasium_id="Walker2d-v5",
        model_file="walker2d_v5.xml",
        frame_skip=4,
        start=uniform_start(5e-3),
        paper=Form(terms.without_first_clipped, terms.speed_and_height_walker, terms.never_falls, 1000),
        native=Form(terms.without_first_clipped, terms.native_walker2d, terms.walker_falls, 1000),
        position=terms.first_joint,
    ),
    MujocoTask(
        name="swimmer",
        gymnasium_id="Swimmer-v5",
        model_file="swimmer.xml",
        frame_skip=4,
        start=uniform_start(0.1),
        paper=Form(terms.without_first_two, terms.forward_speed, terms.never_falls, 1000),
        native=Form(terms.without_first_two, terms.native_swimmer, terms.never_falls, 1000),
        position=terms.first_joint,
    ),
    MujocoTask(
        name="half-cheetah",
        gymnasium_id="HalfCheetah-v5",
        model_file="half_cheetah.xml",
        frame_skip=5,
        start=normal_speed_start(0.1),
        paper=Form(terms.without_first, terms.forward_speed, terms.never_falls, 1000),
        native=Form(terms.without_first, terms.native_half_cheetah, terms.never_falls, 1000),
        position=terms.first_joint,
    ),
    MujocoTask(
        name="ant",
        gymnasium_id="Ant-v5",
        model_file="ant.xml",
        frame_skip=5,
        start=normal_speed_start(0.1),
        paper=Form(terms.without_first_two, terms.speed_and_height_ant, terms.never_falls, 1000),
        native=Form(terms.ant_with_contacts, terms.native_ant, terms.ant_falls, 1000, fields=("cfrc_ext",)),
        position=terms.torso_position,
        fields=("xpos",),
    ),
    MujocoTask(
        name="reacher",
        gymnasium_id="Reacher-v5",
        model_file="reacher.xml",
        frame_skip=2,
        start=reacher_start,
        paper=Form(terms.arm_and_target, terms.closeness, terms.never_falls, 50),
        native=Form(terms.arm_and_target, terms.native_reacher, terms.never_falls, 50),
        fields=("xpos",),
    ),
    MujocoTask(
        name="inverted-double-pendulum",
        gymnasium_id="InvertedDoublePendulum-v5",
        model_file="inverted_double_pendulum.xml",
        frame_skip=5,
        start=normal_speed_start(0.1),
        paper=Form(terms.cart_and_two_poles, terms.double_uprightness, terms.never_falls, 50),
        native=Form(terms.cart_and_two_poles, terms.native_double_pendulum, terms.tip_falls, 1000),
        fields=("site_xpos", "qfrc_constraint"),
    ),
    MujocoTask(
        name="inverted-pendulum",
        gymnasium_id="InvertedPendulum-v5",
        model_file="inverted_pendulum.xml",
        frame_skip=2,
        start=uniform_start(0.01),
        paper=Form(terms.whole_state, terms.uprightness, terms.never_falls, 25),
        native=Form(terms.whole_state, terms.native_pendulum, terms.pole_falls, 1000),
    ),
)

MUJOCO_TASKS: dict[str, MujocoTask] = {task.name: task for task in _TASKS}
