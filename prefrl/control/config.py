"""Everything a run of the control track can be told; plain frozen dataclasses, read without torch."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Literal

from prefrl.control.query_config import QueryConfig
from prefrl.control.sac_config import SACConfig
from prefrl.errors import UsageError
from prefrl.fit_config import FitConfig
from prefrl.ppo_config import PPOConfig

Teacher = Literal["oracle", "mistake", "noisy", "skip", "myopic", "equal", "shuffled", "human"]


@dataclass(frozen=True)
class RewardConfig:
    """The reward ensemble: its networks and its scale."""

    members: int = 3
    """Reward networks in the ensemble (Christiano et al. 2017: 3)."""
    hidden: int = 64
    """Units per hidden layer."""
    pixel_preset: Literal["paper", "small"] = "paper"
    """Convolutions on frames: the paper's four layers, or two cheap ones for CPUs."""
    dropout: float = 0.5
    """Share of channels dropped on every convolution while fitting (Christiano et al. 2017, A.2)."""
    std: float = 1.0
    """Standard deviation of the learned reward over annotated segments (paper: 1 MuJoCo, 0.05 Atari)."""
    background_fits: bool = False
    """Fit in a process of its own beside PrefRL's PPO, which learns from the reward before it for two more
    rollouts (Christiano et al. 2017, 2.2: the processes run asynchronously)."""
    fit: FitConfig = field(default_factory=FitConfig)

    def __post_init__(self) -> None:
        for name in ("members", "hidden"):
            if getattr(self, name) < 1:
                raise UsageError(f"reward_model.{name} must be at least 1, not {getattr(self, name)}")
        if not 0 < self.std < math.inf:
            raise UsageError(f"reward_model.std must be above 0, not {self.std}")
        if not 0 <= self.dropout < 1:
            raise UsageError(f"reward_model.dropout must lie in [0, 1), not {self.dropout}")


@dataclass(frozen=True)
class PolicyConfig:
    """The policy's network."""

    hidden: int = 64
    """Units per hidden layer of an MLP (Christiano et al. 2017: 64)."""
    pixel_preset: Literal["nature", "small"] = "nature"
    """Convolutions on frames: Mnih et al. 2015, or the smaller net of Mnih et al. 2013."""
    initial_log_std: float = 0.0
    """Logarithm of a continuous policy's first standard deviation, in units of half the action range."""

    def __post_init__(self) -> None:
        if self.hidden < 1:
            raise UsageError(f"policy.hidden must be at least 1, not {self.hidden}")
        if not math.isfinite(self.initial_log_std):
            raise UsageError(f"policy.initial_log_std must be a number, not {self.initial_log_std}")


@dataclass(frozen=True)
class TrainConfig:
    """One run: a task, a reward, a teacher, an agent, and how long."""

    task: str = "half-cheetah"
    """A task of ours, an ALE game, or a Gymnasium id."""
    reward: Literal["learned", "true", "constant"] = "learned"
    """What the agent learns from: the ensemble, the world's reward (baseline), or always zero (control)."""
    teacher: Teacher = "oracle"
    """Who answers the queries: a scripted teacher of B-Pref, shuffled answers (control), or a person."""
    agent: Literal["ppo", "sb3-ppo", "sb3-sac"] = "ppo"
    """PrefRL's own PPO, or a Stable-Baselines3 agent on the same reward."""
    steps: int = 1_000_000
    """Agent steps, those before the first fit included."""
    labels: int = 700
    """Label budget: answers left, right and equal; skips spend it too."""
    seed: int = 0
    """A run with a scripted teacher is a pure function of its settings and this number."""
    reward_form: Literal["paper", "native"] = "paper"
    """The paper's reward and horizon, or the world's own with its terminations."""
    num_envs: int = 64
    """Environments stepped side by side."""
    rollout_steps: int = 64
    """Steps per environment between two updates."""
    num_threads: int = 0
    """Simulator threads; 0 means one per core."""
    torch_threads: int = 1
    """Threads of the networks on a CPU; 0 leaves it to torch. Small networks are fastest with 1."""
    device: str = "auto"
    """Where the networks live: auto, cpu, cuda, cuda:1, ..."""
    evaluation_episodes: int = 20
    """Episodes of the untrained and of the final policy that are reported."""
    checkpoint_every_steps: int = 100_000
    """Agent steps between checkpoints."""
    policy: PolicyConfig = field(default_factory=PolicyConfig)
    ppo: PPOConfig = field(default_factory=PPOConfig)
    sac: SACConfig = field(default_factory=SACConfig)
    reward_model: RewardConfig = field(default_factory=RewardConfig)
    query: QueryConfig = field(default_factory=QueryConfig)

    def __post_init__(self) -> None:
        for name in ("steps", "num_envs", "rollout_steps", "evaluation_episodes", "checkpoint_every_steps"):
            if getattr(self, name) < 1:
                raise UsageError(f"{name} must be at least 1, not {getattr(self, name)}")
        if self.reward == "learned":
            self._check_queries()

    def _check_queries(self) -> None:
        if self.labels < 4:
            raise UsageError(f"labels must be at least 4 to learn a reward, not {self.labels}")
        checking = (self.query.overlap - 1, self.query.repeat_fraction, self.query.gold_fraction)
        if any(checking) and self.teacher != "human":
            raise UsageError(
                "query.overlap, query.repeat_fraction and query.gold_fraction are about people: "
                f"leave them alone with teacher {self.teacher}, or choose teacher human"
            )
        if self.query.segment_length > self.rollout_steps and self.agent == "ppo":
            raise UsageError(
                f"query.segment_length {self.query.segment_length} does not fit into rollout_steps "
                f"{self.rollout_steps}: lengthen the rollout or shorten the segments"
            )

        explored = math.ceil(self.initial_steps / self.rollout) * self.rollout
        if self.agent == "ppo" and explored >= self.steps:
            raise UsageError(
                f"steps {self.steps} leave nothing to learn in: the untrained policy takes {explored}, "
                f"in whole rollouts of {self.rollout}; choose more steps, or lower num_envs or rollout_steps"
            )

    @property
    def rollout(self) -> int:
        """Agent steps between two updates."""
        return self.num_envs * self.rollout_steps

    @property
    def audit_share(self) -> float:
        """``query.audit_share`` with its default filled in; 0 where nobody listens for the alarm."""
        if not self.query.alarmed:
            return 0.0
        default = 0.1 if self.teacher == "human" else 0.0
        return default if self.query.audit_share is None else self.query.audit_share

    @property
    def initial_steps(self) -> int:
        """Agent steps of the untrained policy before the first fit."""
        return max(1, round(self.steps * self.query.initial_steps_fraction))
