"""The loop of the paper with PrefRL's own PPO: collect, reward, update, cut, ask, fit."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch

from prefrl.control.acting import Actor
from prefrl.control.build import make_actor
from prefrl.control.config import TrainConfig
from prefrl.control.evaluation import MakeEnv
from prefrl.control.pace import Row
from prefrl.control.policies import PixelBody
from prefrl.control.preference_learner import PreferenceLearner
from prefrl.control.rollouts import Collector, Rollout
from prefrl.control.sessions import Sessions
from prefrl.control.tower_steps import make_steps
from prefrl.control.training_loop import TrainingLoop
from prefrl.policy_gradient import explained_variance, generalised_advantages
from prefrl.ppo import PolicyBatch, improve_policy
from prefrl.schedules import adapt_learning_rate
from prefrl.value_scale import ValueScale


class Trainer(TrainingLoop):
    """The loop with PrefRL's own PPO; everything that changes during a run is its own."""

    def __init__(
        self, config: TrainConfig, make_env: MakeEnv, learner: PreferenceLearner | None, device: torch.device
    ) -> None:
        super().__init__(config, make_env, learner, device)
        self.actor: Actor = make_actor(config, self.env, device)
        self.policy, self.moments = self.actor.policy, self.actor.moments
        self.steps = make_steps(
            self.policy, config.ppo.learning_rate, micro_batch_size=config.ppo.micro_batch_size
        )
        self.optimizer = self.steps.optimizer
        self.value_scale = ValueScale()
        self.collector = Collector(self.env, self.actor, np.random.default_rng([config.seed, 0]))
        self.learning_rate = config.ppo.learning_rate
        self.sessions = Sessions(config, learner, self.env, self.collector.episodes)
        self._generator = torch.Generator().manual_seed(config.seed)

    @property
    def exact(self) -> bool:
        at_once = self.learner is None or self.learner.teacher.answers_at_once
        return at_once and self.device.type == "cpu" and bool(getattr(self.env, "exact", False))

    def state_dict(self) -> dict[str, Any]:
        return {
            "step": self.step,
            "policy": self.policy.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "learning_rate": self.learning_rate,
            "moments": None if self.moments is None else self.moments.state_dict(),
            "value_scale": self.value_scale.state_dict(),
            "collector": self.collector.state_dict(),
            "sessions": self.sessions.state_dict(),
            "generator": self._generator.get_state(),
            "torch": torch.get_rng_state(),
        }

    def load_state_dict(self, state: dict[str, Any], *, repeat: bool) -> None:
        self.step, self.learning_rate = state["step"], state["learning_rate"]
        self.policy.load_state_dict(state["policy"])
        self.optimizer.load_state_dict(state["optimizer"])
        if self.moments is not None:
            self.moments.load_state_dict(state["moments"])
        self.value_scale.load_state_dict(state["value_scale"])
        self.collector.load_state_dict(state["collector"])
        self.sessions.load_state_dict(state["sessions"], repeat=repeat)
        self._generator.set_state(state["generator"])
        torch.set_rng_state(state["torch"])

    def _explore(self) -> Iterator[Row]:
        if self.step < self.config.initial_steps:
            rollout = self._collect()
            self._take_in(rollout)
            yield self.sessions.explored(rollout, self.step)
        else:
            yield from self.sessions.begin(self.step)

    def _advance(self) -> Row:
        rollout = self._collect()
        reward = self._reward(rollout)
        # The very first rollout only measures the inputs: an update would be undone by their normalisation.
        first = self.step == rollout.steps
        updated = {} if first else self._update(rollout, reward)
        self._take_in(rollout)
        return updated | self.sessions.advanced(rollout, reward, self.step)

    def _collect(self) -> Rollout:
        rollout = self.collector.collect_rollout(self.config.rollout_steps)
        self.step += rollout.steps
        return rollout

    def _reward(self, rollout: Rollout) -> np.ndarray:
        if self.learner is not None:
            return self.learner.predict(rollout.observation, rollout.world_action)
        if self.config.reward == "constant":
            return np.zeros_like(rollout.true_reward)
        return rollout.true_reward

    def _update(self, rollout: Rollout, reward: np.ndarray) -> Row:
        """Advantages in the reward's own units, values in normalised ones, then the shared PPO update."""
        config, scale = self.config.ppo, self.value_scale
        value = scale.denormalise(rollout.value)
        next_value = np.where(rollout.terminated, 0.0, scale.denormalise(rollout.next_value))
        rewards, values, next_values = (
            torch.from_numpy(np.asarray(array, dtype=np.float64)) for array in (reward, value, next_value)
        )
        advantage, return_ = generalised_advantages(
            rewards,
            values,
            next_values,
            torch.from_numpy(rollout.end),
            discount=config.discount,
            gae_lambda=config.gae_lambda,
        )
        if not torch.isfinite(return_).all():
            raise FloatingPointError(f"training has diverged: a return at step {self.step} is not finite")
        explained = explained_variance(values, return_)
        scale.update_with_head(return_.numpy(), self.policy.value_head)
        normalised = (torch.from_numpy(scale.normalise(array)) for array in (value, return_.numpy()))
        batch = self._batch(rollout, advantage, *normalised)
        self._set_learning_rate()
        self.policy.train()
        metrics = improve_policy(self.steps, batch, config, generator=self._generator)
        if config.target_kl is not None:
            self.learning_rate = adapt_learning_rate(
                self.learning_rate, metrics["last_kl"], config.target_kl, maximum=config.max_learning_rate
            )
        return metrics | {"explained_variance": explained, "learning_rate": self.learning_rate}

    def _take_in(self, rollout: Rollout) -> None:
        """Input normalisation: of vectors over all observations so far, of frames over the first rollout."""
        if self.moments is not None:
            self.moments.update(rollout.observation.reshape(rollout.steps, -1))
        elif self.step == rollout.steps:
            body = self.policy.body
            assert isinstance(body, PixelBody)
            body.frames.measure(torch.from_numpy(rollout.observation[::4]))

    def _batch(
        self, rollout: Rollout, advantage: torch.Tensor, value: torch.Tensor, return_: torch.Tensor
    ) -> PolicyBatch:
        flat_observation = rollout.observation.reshape(rollout.steps, *rollout.observation.shape[2:])
        inputs = {
            "observation": torch.from_numpy(self.actor.observe(flat_observation)).to(self.device),
            "action": torch.from_numpy(rollout.action.reshape(rollout.steps, *rollout.action.shape[2:])).to(
                self.device
            ),
        }
        numbers = (torch.from_numpy(rollout.log_prob), value, advantage, return_)
        return PolicyBatch(inputs, *(x.float().flatten().to(self.device) for x in numbers))

    def _set_learning_rate(self) -> None:
        config = self.config.ppo
        share = (
            1.0
            if config.target_kl is not None
            else 1.0 - (1.0 - config.final_learning_rate_fraction) * self.progress
        )
        for group in self.optimizer.param_groups:
            group["lr"] = self.learning_rate * share
