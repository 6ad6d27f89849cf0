"""Policy gradients on texts: PPO, PPO-ptx, REINFORCE, GRPO, Dr.GRPO and RLOO, all by the core's update.

They differ in how a response is judged (a value function or the others of its group) and in the settings of
the update, which presets choose; the loop is one.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from prefrl.adam import Adam
from prefrl.kl_controllers import make_kl_controller
from prefrl.language.advantages import Prepared, group_batch, value_batch
from prefrl.language.bench import Bench, Row
from prefrl.language.completions import chosen_log_prob, completion_hidden, frozen_log_prob
from prefrl.language.config import WITH_VALUES
from prefrl.language.evaluation import gold_scores
from prefrl.language.responses import Responses, encode_responses
from prefrl.language.reward_source import RewardSource
from prefrl.language.rewards import check_rewards, penalise_missing_end
from prefrl.language.supervised import draw_demonstrations, supervised_loss
from prefrl.language.value_model import ValueModel, make_value_model
from prefrl.ppo import Evaluation, update_policy
from prefrl.schedules import linear


class PolicyStage:
    """Write, judge, improve; until the config's steps (responses) are spent.

    Args:
        bench: with the policy as the warm start left it, which is the reference.
        source: of rewards; it may learn on the way.
    """

    def __init__(self, bench: Bench, source: RewardSource) -> None:
        self.bench, self.source, self.config = bench, source, bench.config
        self.reference = bench.model.copy()
        self.value: ValueModel | None = None
        self.kl = make_kl_controller(self.config.kl)
        self.optimizer: Adam | None = None
        self.step = 0

    @property
    def done(self) -> bool:
        return self.step >= self.config.steps

    @property
    def progress(self) -> float:
        """Share of the stage that is over, in [0, 1]."""
        return min(1.0, self.step / self.config.steps)

    def advance(self) -> Row:
        """One rollout and one update; or what the source has to say before there is a reward."""
        if (said := self.source.prepare(self.progress)) is not None:
            return said
        if self.optimizer is None:
            self._begin()
        responses = self._collect()
        gold = gold_scores(self.bench.task, responses)
        rewards = penalise_missing_end(
            check_rewards(self.source(responses), responses),
            responses,
            self.config.rollout.missing_end_penalty,
        )
        row: Row = {
            "true_return": float(gold.mean()),
            "learned_return": float(rewards.reshape(len(responses), -1).sum(1).mean()),
            "length": float(responses.lengths.double().mean()),
            "finished": float(responses.finished.double().mean()),
        }
        row |= self._improve(responses, rewards)
        self.step += len(responses)
        return row

    def state_dict(self) -> dict[str, Any]:
        return {
            "step": self.step,
            "source": self.source.state_dict(),
            "reference": self.reference.state_dict(),
            "value": None if self.value is None else self.value.state_dict(),
            "optimizer": None if self.optimizer is None else self.optimizer.state_dict(),
            "kl": self.kl.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.step = state["step"]
        self.source.load_state_dict(state["source"])
        self.reference.load_state_dict(state["reference"])
        self.kl.load_state_dict(state["kl"])
        if state["optimizer"] is not None:
            self._begin()
            assert self.optimizer is not None
            self.optimizer.load_state_dict(state["optimizer"])
            if self.value is not None:
                self.value.load_state_dict(state["value"])

    def _begin(self) -> None:
        """Made once there is a reward, because the value function may begin from it."""
        parameters = list(self.bench.trained)
        if self.config.algorithm in WITH_VALUES:
            self.value = make_value_model(
                self.bench.model, self.config.value, self.source.ensemble, self.bench.device
            )
            parameters += [one for one in self.value.parameters() if one.requires_grad]
        self.optimizer = Adam(parameters, learning_rate=self.config.ppo.learning_rate)

    def _collect(self) -> Responses:
        rollout = self.config.rollout
        return self.bench.write(
            self.bench.task.prompts("train", rollout.prompts, self.bench.rng), copies=rollout.copies
        )

    def _improve(self, responses: Responses, rewards: Tensor) -> Row:
        config, optimizer = self.config, self.optimizer
        assert optimizer is not None
        prepared, said = self._prepare(responses, rewards)
        rate = linear(1.0, config.ppo.final_learning_rate_fraction)(self.progress)
        for group in optimizer.param_groups:
            group["lr"] = config.ppo.learning_rate * rate
        extra = self._pretraining_loss if config.algorithm == "ppo-ptx" else None
        updated = update_policy(
            self._evaluate,
            optimizer,
            prepared.batch,
            config.ppo,
            generator=self.bench.generator,
            extra_loss=extra,
        )
        return {**said, **prepared.metrics, **updated, "learning_rate": config.ppo.learning_rate * rate}

    def _prepare(self, responses: Responses, rewards: Tensor) -> tuple[Prepared, Row]:
        config = self.config
        reference, said = self._held_against(responses)
        coefficient = self.kl.coefficient
        if reference is not None:
            sequences = said["kl_per_sequence"], said["kl_per_token"]
            self.kl.update(
                nats_per_sequence=sequences[0], nats_per_token=sequences[1], sequences=len(responses)
            )
        if self.value is not None:
            return value_batch(
                responses,
                rewards,
                self.value.predict(responses),
                reference,
                kl_coefficient=coefficient,
                discount=config.ppo.discount,
                gae_lambda=config.ppo.gae_lambda,
                whiten=config.rollout.whiten_rewards,
            ), said
        grouped = config.algorithm in ("grpo", "dr-grpo")
        return group_batch(
            responses,
            rewards,
            self._groups(responses),
            reference,
            kl_coefficient=coefficient,
            deviation=config.rollout.deviation if grouped else None,
            drop_dead=config.rollout.drop_dead_groups and not config.ppo.kl_coefficient,
        ), said

    def _held_against(self, responses: Responses) -> tuple[Tensor | None, Row]:
        """The reference's log-probabilities, where a penalty asks for them, and the KL by its k1 estimate."""
        if not (self.config.kl.coefficient or self.config.ppo.kl_coefficient):
            return None, {}
        reference = frozen_log_prob(self.reference, responses)
        assert responses.log_prob is not None
        gone = (responses.log_prob - reference) * responses.mask
        return reference, {
            "kl_coefficient": self.kl.coefficient,
            "kl_per_sequence": float(gone.sum(1).mean()),
            "kl_per_token": float(gone.sum() / responses.mask.sum()),
        }

    def _groups(self, responses: Responses) -> Tensor:
        if self.config.rollout.baseline == "prompt":
            return torch.arange(len(responses), device=self.bench.device) // self.config.rollout.copies
        kinds = [self.bench.task.archetype(prompt) for prompt in responses.prompts]
        names = {name: place for place, name in enumerate(sorted(set(kinds)))}
        return torch.tensor([names[kind] for kind in kinds], device=self.bench.device)

    def _evaluate(self, inputs: dict[str, Tensor]) -> Evaluation:
        model, mask = self.bench.model, inputs["mask"]
        log_probs = model.log_probs(completion_hidden(model, inputs))
        # Without a bonus the entropy is only reported: nothing need flow back through it.
        spread = log_probs if self.config.ppo.entropy_coefficient else log_probs.detach()
        entropy = -(spread.exp() * spread).sum(-1) * mask
        value = torch.zeros_like(mask) if self.value is None else self.value(inputs)
        return Evaluation(chosen_log_prob(log_probs, inputs), entropy, value)

    def _pretraining_loss(self) -> Tensor:
        """``γ_ptx`` times the cross-entropy of fresh demonstrations (Ouyang et al. 2022, eq. 2)."""
        bench = self.bench
        prompts, completions = draw_demonstrations(
            bench.task, self.config.ppo.minibatch_size, bench.rng, progress=1.0, curriculum=False
        )
        batch = encode_responses(
            prompts, completions, bench.tokenizer, context=bench.model.context, device=bench.device
        )
        return self.config.pretraining_coefficient * supervised_loss(bench.model, batch)
