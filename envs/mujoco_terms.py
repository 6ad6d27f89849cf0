"""Observations, rewards and terminations of the eight MuJoCo tasks as pure functions over all environments.

Two forms. "Native" is Gymnasium's v5 environment, term by term. "Paper" is Christiano et al. 2017, A.1: no
torque cost, and what was a termination is a term of the reward. Rows are environments: qpos is [N, nq].

MuJoCo's derived fields (xpos, site_xpos, qfrc_constraint, cfrc_ext) lag one substep behind qpos after a step.
Gymnasium reads them as they are, and so do these functions.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


@dataclass(frozen=True)
class Physics:
    """Live views of the simulations' fields; a derived field that a task does not read stays empty."""

    qpos: Floats
    qvel: Floats
    fields: dict[str, Floats]

    def __getitem__(self, field: str) -> Floats:
        return self.fields[field]


@dataclass(frozen=True)
class Transition:
    """What a reward is a function of: the physics after the step, and what the step was."""

    physics: Physics
    velocity: Floats
    """Forward velocity of the step, metres per second [N]; zeros where the task has none."""
    action: NDArray[np.floating]
    """The action as given, before MuJoCo clips it to the control range [N, nu]."""


def first_joint(physics: Physics) -> Floats:
    """The coordinate whose rate of change is the forward velocity: the first joint's, in metres."""
    return physics.qpos[:, 0]


def torso_position(physics: Physics) -> Floats:
    """The ant's: the torso's position along x, which is a derived field."""
    return physics["xpos"][:, 1, 0]


def without_first(physics: Physics) -> Floats:
    """Half-cheetah: qpos but x, and qvel."""
    return np.concatenate((physics.qpos[:, 1:], physics.qvel), axis=1)


def without_first_clipped(physics: Physics) -> Floats:
    """Hopper, walker2d: qpos but x, and qvel clipped to 10."""
    return np.concatenate((physics.qpos[:, 1:], np.clip(physics.qvel, -10, 10)), axis=1)


def without_first_two(physics: Physics) -> Floats:
    """Swimmer, and the ant of the paper form: qpos but x and y, and qvel."""
    return np.concatenate((physics.qpos[:, 2:], physics.qvel), axis=1)


def ant_with_contacts(physics: Physics) -> Floats:
    """The ant of the native form: with the contact forces on its 13 bodies, clipped to 1."""
    forces = np.clip(physics["cfrc_ext"][:, 1:], -1.0, 1.0).reshape(len(physics.qpos), -1)
    return np.concatenate((physics.qpos[:, 2:], physics.qvel, forces), axis=1)


def whole_state(physics: Physics) -> Floats:
    """Inverted pendulum: qpos and qvel."""
    return np.concatenate((physics.qpos, physics.qvel), axis=1)


def arm_and_target(physics: Physics) -> Floats:
    """Reacher: angles of the arm, target, speeds of the arm, and the way from target to fingertip."""
    theta = physics.qpos[:, :2]
    parts = (np.cos(theta), np.sin(theta), physics.qpos[:, 2:], physics.qvel[:, :2], _reach(physics)[:, :2])
    return np.concatenate(parts, axis=1)


def cart_and_two_poles(physics: Physics) -> Floats:
    """Inverted double pendulum: cart, angles, clipped speeds and the force that stops the cart."""
    angles = physics.qpos[:, 1:]
    speeds = np.clip(physics.qvel, -10, 10)
    force = np.clip(physics["qfrc_constraint"][:, :1], -10, 10)
    return np.concatenate((physics.qpos[:, :1], np.sin(angles), np.cos(angles), speeds, force), axis=1)


def hopper_falls(physics: Physics) -> Bools:
    """z <= 0.7, |angle| >= 0.2 or any other number of the state beyond 100."""
    z, angle = physics.qpos[:, 1], physics.qpos[:, 2]
    sane = _all_below(physics.qpos[:, 2:], 100.0) & _all_below(physics.qvel, 100.0)
    return ~(sane & (z > 0.7) & (np.abs(angle) < 0.2))


def walker_falls(physics: Physics) -> Bools:
    """z outside (0.8, 2.0) or |angle| >= 1."""
    z, angle = physics.qpos[:, 1], physics.qpos[:, 2]
    return ~((z > 0.8) & (z < 2.0) & (np.abs(angle) < 1.0))


def ant_falls(physics: Physics) -> Bools:
    """z outside [0.2, 1.0] or a state that is not finite."""
    z = physics.qpos[:, 2]
    finite = np.isfinite(physics.qpos).all(axis=1) & np.isfinite(physics.qvel).all(axis=1)
    return ~(finite & (z >= 0.2) & (z <= 1.0))


def pole_falls(physics: Physics) -> Bools:
    """|angle| > 0.2 or a state that is not finite."""
    finite = np.isfinite(physics.qpos).all(axis=1) & np.isfinite(physics.qvel).all(axis=1)
    return ~finite | (np.abs(physics.qpos[:, 1]) > 0.2)


def tip_falls(physics: Physics) -> Bools:
    """The tip of the double pendulum at a height of 1 or less."""
    return physics["site_xpos"][:, 0, 2] <= 1


def never_falls(physics: Physics) -> Bools:
    """No state ends an episode."""
    return np.zeros(len(physics.qpos), dtype=np.bool_)


def forward_speed(step: Transition) -> Floats:
    """Paper, half-cheetah and swimmer: v."""
    return step.velocity.copy()


def speed_and_height(step: Transition) -> Floats:
    """Paper, hopper: v + z."""
    return step.velocity + step.physics.qpos[:, 1]


def speed_and_height_walker(step: Transition) -> Floats:
    """Paper, walker2d: v + z - 1."""
    return step.velocity + step.physics.qpos[:, 1] - 1.0


def speed_and_height_ant(step: Transition) -> Floats:
    """Paper, ant: v + z - 1.2."""
    return step.velocity + step.physics.qpos[:, 2] - 1.2


def closeness(step: Transition) -> Floats:
    """Paper, reacher: minus the distance from fingertip to target."""
    return -_distance(step.physics)


def uprightness(step: Transition) -> Floats:
    """Paper, inverted pendulum: 1 - angle^2."""
    return 1.0 - step.physics.qpos[:, 1] ** 2


def double_uprightness(step: Transition) -> Floats:
    """Paper, double pendulum: 10 - 0.01 x² - (y - 2)² - 1e-3 w1² - 5e-3 w2² + 10 (y - 1); tip at (x, y)."""
    height = step.physics["site_xpos"][:, 0, 2]
    return _minus_tip_penalties(10.0, step.physics) + 10.0 * (height - 1.0)


def native_half_cheetah(step: Transition) -> Floats:
    """v - 0.1 |a|^2."""
    return step.velocity - _control_cost(step.action, 0.1)


def native_swimmer(step: Transition) -> Floats:
    """v - 1e-4 |a|^2."""
    return step.velocity - _control_cost(step.action, 1e-4)


def native_hopper(step: Transition) -> Floats:
    """v + healthy - 1e-3 |a|^2."""
    return step.velocity + ~hopper_falls(step.physics) - _control_cost(step.action, 1e-3)


def native_walker2d(step: Transition) -> Floats:
    """v + healthy - 1e-3 |a|^2."""
    return step.velocity + ~walker_falls(step.physics) - _control_cost(step.action, 1e-3)


def native_ant(step: Transition) -> Floats:
    """v + healthy - (0.5 |a|^2 + 5e-4 |clipped contact forces|^2)."""
    forces = np.clip(step.physics["cfrc_ext"], -1.0, 1.0).reshape(len(step.velocity), -1)
    costs = _control_cost(step.action, 0.5) + 5e-4 * np.sum(np.square(forces), axis=1)
    return step.velocity + ~ant_falls(step.physics) - costs


def native_reacher(step: Transition) -> Floats:
    """-distance - |a|^2."""
    return -_distance(step.physics) - _control_cost(step.action, 1.0)


def native_pendulum(step: Transition) -> Floats:
    """1 while the pole stands, 0 at its fall."""
    return (~pole_falls(step.physics)).astype(np.float64)


def native_double_pendulum(step: Transition) -> Floats:
    """10 standing - 0.01 x^2 - (y - 2)^2 - 1e-3 w1^2 - 5e-3 w2^2."""
    return _minus_tip_penalties(10.0 * ~tip_falls(step.physics), step.physics)


def _reach(physics: Physics) -> Floats:
    fingertip, target = physics["xpos"][:, 3], physics["xpos"][:, 4]
    return fingertip - target


def _distance(physics: Physics) -> Floats:
    return np.sqrt(np.sum(np.square(_reach(physics)), axis=1))


def _minus_tip_penalties(bonus: NDArray[np.floating] | float, physics: Physics) -> Floats:
    x, y = physics["site_xpos"][:, 0, 0], physics["site_xpos"][:, 0, 2]
    w1, w2 = physics.qvel[:, 1], physics.qvel[:, 2]
    return bonus - (0.01 * x**2 + (y - 2) ** 2) - (1e-3 * w1**2 + 5e-3 * w2**2)


def _control_cost(action: NDArray[np.floating], weight: float) -> NDArray[np.floating]:
    # In the action's own precision, as Gymnasium does.
    return weight * np.sum(np.square(action), axis=1)


def _all_below(values: Floats, limit: float) -> Bools:
    return np.asarray((np.abs(values) < limit).all(axis=1))
