"""Many simulations of one MuJoCo task on native threads, with their failures told apart."""

import os
from typing import Any

import numpy as np

from envs.mujoco_model import import_mujoco, load_model, quiet_mujoco
from envs.mujoco_tasks import MujocoTask
from envs.mujoco_terms import Bools, Floats, Physics

_CONTACT_FORCES = "cfrc_ext"


class Simulations:
    """`mujoco.batch.Batch` for one task: results are bit-identical at any number of threads.

    Contact forces are left out by a batch's step; asking for them costs a slower path, one simulation after
    another, that reproduces what Gymnasium computes.
    """

    def __init__(self, task: MujocoTask, num_envs: int, *, fields: tuple[str, ...], num_threads: int) -> None:
        mujoco = import_mujoco()
        from mujoco.batch import Batch, SimulationError

        self._mujoco = mujoco
        self._failure: type[Exception] = SimulationError
        self._frame_skip = task.frame_skip
        self._with_forces = _CONTACT_FORCES in fields
        self.model: Any = load_model(task.model_file)
        threads = num_threads or len(os.sched_getaffinity(0))
        self._batch = Batch(self.model, num_envs, threads, persistent=self._with_forces)
        self.step_seconds: float = self.model.opt.timestep * task.frame_skip
        self.qpos0, self.qvel0 = self.model.qpos0.copy(), np.zeros(self.model.nv)
        self._controls = self._batch.bind("ctrl")
        derived = {field: self._batch.bind(field) for field in fields if field != _CONTACT_FORCES}
        if self._with_forces:
            derived[_CONTACT_FORCES] = np.zeros((num_envs, self.model.nbody, 6))
            self._scratch = mujoco.MjData(self.model)
        self.physics = Physics(self._batch.bind("qpos"), self._batch.bind("qvel"), derived)
        self._unstable = self._instability_counters()

    @property
    def rows(self) -> Floats:
        """All that MuJoCo needs to continue each simulation (mjSTATE_INTEGRATION), live [N, S]."""
        rows: Floats = self._batch.state
        return rows

    def states(self) -> Floats:
        """Return qpos and qvel of every simulation, fresh [N, nq + nv]: enough to draw and to restore it."""
        return self.rows[:, 1 : 1 + self.model.nq + self.model.nv].copy()

    def step(self, actions: np.ndarray) -> Bools:
        """Take one step of the task; return which simulations failed [N].

        MuJoCo raises in some failed simulations; others, whose state is not finite or huge, it resets on its
        own and says so in its counters of warnings only. A reset of what failed clears the counters.
        """
        self._controls[:] = actions
        failed = np.zeros(len(actions), np.bool_)
        try:
            with quiet_mujoco():
                self._batch.step(nstep=self._frame_skip)
        except self._failure as error:
            failed[error.ids] = True  # type: ignore[attr-defined]
        if self._unstable.any():
            failed |= self._unstable.any(axis=1)
        if self._with_forces:
            self._compute_forces()
        return failed

    def reset(self, environments: np.ndarray, qpos: Floats, qvel: Floats) -> None:
        """Start these simulations from the given positions and speeds, as Gymnasium's set_state does."""
        ids = environments.astype(np.int32)
        self._batch.reset(ids, stage=self._mujoco.mjtStage.mjSTAGE_NONE.value)
        self.physics.qpos[ids] = qpos
        self.physics.qvel[ids] = qvel
        with quiet_mujoco():
            self._batch.forward(ids)
        if self._with_forces:
            self.physics[_CONTACT_FORCES][ids] = 0.0

    def _compute_forces(self) -> None:
        forces = self.physics[_CONTACT_FORCES]
        for i in range(len(forces)):
            self._batch.get_data(i, self._scratch)
            self._mujoco.mj_rnePostConstraint(self.model, self._scratch)
            forces[i] = self._scratch.cfrc_ext

    def _instability_counters(self) -> np.ndarray:
        """Live counters of positions, speeds or accelerations that are not finite or huge [N, 3]."""
        kinds = self._mujoco.mjtWarning
        first, last = kinds.mjWARN_BADQPOS.value, kinds.mjWARN_BADQACC.value
        counters: np.ndarray = self._batch.warning[:, first : last + 1, 1]
        return counters
