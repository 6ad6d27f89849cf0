"""Settings of a run of the language track; read without torch, so that a command line starts at once."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, Literal, get_args

from prefrl.errors import UsageError
from prefrl.fit_config import FitConfig
from prefrl.kl_controllers import KLConfig
from prefrl.language.model_config import ModelConfig
from prefrl.ppo_config import PPOConfig

Algorithm = Literal[
    "sft",
    "reward",
    "ppo",
    "ppo-ptx",
    "reinforce",
    "grpo",
    "dr-grpo",
    "rloo",
    "dpo",
    "ipo",
    "kto",
    "best-of-n",
    "rejection",
]
Reward = Literal["verifiable", "learned", "random"]
TeacherName = Literal["oracle", "mistake", "noisy", "skip", "myopic", "equal", "shuffled", "human"]

ON_PREFERENCES: Final = ("reward", "dpo", "ipo", "kto")
"""Algorithms that take comparisons and nothing else."""
ON_SCORES: Final = ("ppo", "ppo-ptx", "reinforce", "grpo", "dr-grpo", "rloo", "best-of-n", "rejection")
"""Algorithms that take scores, wherever these come from."""
WITH_VALUES: Final = ("ppo", "ppo-ptx")


@dataclass(frozen=True)
class WarmStartConfig:
    """Supervised learning from demonstrations, before anything else."""

    steps: int = 20_000
    """Demonstrations at most; each is new, so this is one epoch. 0 leaves it out."""
    stop_at: float | None = 0.5
    """Stop once this mean gold score is reached by the likeliest completions of fresh training prompts; none
    goes on to the end. Without a stop there is little left to improve."""
    check_every_steps: int = 640
    """Demonstrations between two looks at the gold score."""
    check_prompts: int = 128
    """Prompts per look."""
    batch_size: int = 64
    """Demonstrations per gradient step."""
    learning_rate: float = 2e-3
    """Step size of Adam, after a linear rise over the first 50 gradient steps."""
    max_grad_norm: float = 1.0
    """Gradients are scaled down to this global norm."""
    curriculum: bool = False
    """From easy to hard: the hardest prompts come only towards the end."""

    def __post_init__(self) -> None:
        for name in ("check_every_steps", "check_prompts", "batch_size", "learning_rate", "max_grad_norm"):
            if not getattr(self, name) > 0:
                raise UsageError(f"warm_start.{name} must be above 0, not {getattr(self, name)}")
        if self.steps < 0:
            raise UsageError(f"warm_start.steps must not be below 0, not {self.steps}")


@dataclass(frozen=True)
class RolloutConfig:
    """What the policy writes between two updates."""

    prompts: int = 64
    """Different prompts."""
    copies: int = 4
    """Responses to each: the size of a group."""
    baseline: Literal["prompt", "archetype"] = "prompt"
    """Whose mean score a response is held against without a value function: that of the responses to its
    prompt, or to all prompts of its kind."""
    deviation: Literal["sample", "population", "batch", "none"] = "sample"
    """What GRPO divides by: see ``prefrl.group_advantages``."""
    drop_dead_groups: bool = True
    """Leave groups whose responses all score the same out of the update, which they could not move (part of
    the dynamic sampling of Yu et al. 2025); they are counted. Has no effect with a value function, or where
    the KL is in the loss."""
    missing_end_penalty: float = 0.0
    """Taken off the score of a response that was cut off before its end."""
    whiten_rewards: bool = False
    """Scale the rewards of a rollout to deviation 1, without shifting their mean (Stiennon et al. 2020)."""

    def __post_init__(self) -> None:
        for name in ("prompts", "copies"):
            if getattr(self, name) < 1:
                raise UsageError(f"rollout.{name} must be at least 1, not {getattr(self, name)}")
        if not self.missing_end_penalty >= 0:
            raise UsageError(
                f"rollout.missing_end_penalty must not be below 0, not {self.missing_end_penalty}"
            )


@dataclass(frozen=True)
class ValueConfig:
    """The value function of PPO: a network of its own."""

    start: Literal["scratch", "policy", "reward"] = "policy"
    """Begin from nothing, from the warm start, or from the first member of the reward ensemble."""


@dataclass(frozen=True)
class TextRewardConfig:
    """The reward ensemble: transformers with a number for each text."""

    members: int = 2
    """Networks, each fitted on its own bootstrap of the answers."""
    start: Literal["policy", "scratch"] = "policy"
    """Begin from the warm start's weights, or from nothing."""
    reading: Literal["last", "sum"] = "last"
    """A text's return: what stands at its last token, or the sum over its completion's tokens, as over the
    steps of a segment; then every token has a reward of its own."""
    centring: float = 0.01
    """Weight of the squared sum of a pair's returns (Eisenstein et al. 2023: 0.01); 0 leaves it out."""
    fit: FitConfig = field(
        default_factory=lambda: FitConfig(
            learning_rate=5e-4,
            batch_size=64,
            first_gradient_steps=300,
            max_gradient_steps=100,
            error_rate=0.02,
            max_grad_norm=1.0,
        )
    )

    def __post_init__(self) -> None:
        if self.members < 1:
            raise UsageError(f"reward_model.members must be at least 1, not {self.members}")
        if not self.centring >= 0:
            raise UsageError(f"reward_model.centring must not be below 0, not {self.centring}")


@dataclass(frozen=True)
class TextQueryConfig:
    """Which pairs of responses are compared, and when."""

    selector: Literal["disagreement", "random"] = "random"
    """How pairs are chosen among candidates of one prompt each."""
    initial_fraction: float = 0.5
    """Share of the labels asked for before the policy moves."""
    half_life: float = 1.0
    """Progress at which the rate of the other labels has fallen to half: ``prefrl.schedules.labels_due``."""
    sessions: int = 6
    """Times during the run at which labels are asked for and the reward is fitted again."""
    copies: int = 4
    """Responses to each prompt that pairs are made of."""
    pairs_per_prompt: int = 2
    """Pairs asked about each prompt."""
    temperature: float = 1.0
    """Of the responses that are compared."""

    def __post_init__(self) -> None:
        if self.copies < 2:
            raise UsageError(f"query.copies must be at least 2, not {self.copies}")
        if not 1 <= self.pairs_per_prompt <= self.copies * (self.copies - 1) // 2:
            raise UsageError(
                f"query.pairs_per_prompt must lie between 1 and the pairs of {self.copies} responses, "
                f"not {self.pairs_per_prompt}"
            )
        if self.sessions < 0:
            raise UsageError(f"query.sessions must not be below 0, not {self.sessions}")
        if not 0 < self.initial_fraction <= 1:
            raise UsageError(f"query.initial_fraction must lie in (0, 1], not {self.initial_fraction}")
        if not self.temperature > 0:
            raise UsageError(f"query.temperature must be above 0, not {self.temperature}")


@dataclass(frozen=True)
class DirectConfig:
    """DPO, IPO and KTO: the policy learns from the comparisons themselves."""

    beta: float = 0.5
    """β of DPO and KTO, τ of IPO: how dearly leaving the warm start is bought. At 0.1, usual for large
    models, small ones fall apart within two passes."""
    batch_size: int = 64
    """Comparisons per gradient step."""
    learning_rate: float = 5e-5
    """Step size of Adam."""
    label_smoothing: float = 0.0
    """Share of answers assumed to be wrong, in [0, 1/2) (DPO)."""
    smoothing: Literal["conservative", "robust"] = "conservative"
    """Form of DPO's label smoothing."""
    length_normalised: bool = False
    """IPO on each response's mean over its tokens, as some libraries have it, instead of the paper's sum."""
    max_grad_norm: float = 1.0
    """Gradients are scaled down to this global norm."""

    def __post_init__(self) -> None:
        for name in ("beta", "batch_size", "learning_rate", "max_grad_norm"):
            if not getattr(self, name) > 0:
                raise UsageError(f"direct.{name} must be above 0, not {getattr(self, name)}")
        if not 0 <= self.label_smoothing < 0.5:
            raise UsageError(f"direct.label_smoothing must lie in [0, 1/2), not {self.label_smoothing}")


@dataclass(frozen=True)
class LanguageConfig:
    """One run: a warm start, then an algorithm."""

    task: str = "addition"
    """A task of ours, or your own as ``my.module:MyTask``."""
    algorithm: Algorithm = "grpo"
    """What improves on the warm start; ``sft`` is more of it, ``reward`` fits a reward model alone."""
    reward: Reward = "verifiable"
    """What is maximised: the task's own score, a reward learned from comparisons, or noise (a control)."""
    teacher: TeacherName = "oracle"
    """Who compares: a scripted teacher, ``shuffled`` (a control), or a person through the store."""
    labels: int = 2_000
    """Comparisons at most, where any are asked for."""
    steps: int = 40_000
    """Texts that the algorithm trains on: responses; of DPO and its like comparisons, once per pass."""
    seed: int = 0
    """A run is a pure function of its settings and this number."""
    start: str | None = None
    """A folder or name of a model to begin from, of ours or of transformers; none makes a new one."""
    lora_rank: int = 0
    """With a model of transformers: train adapters of this rank alone; 0 trains its weights."""
    torch_threads: int = 0
    """Threads of the networks on a CPU; 0 leaves it to torch."""
    device: str = "auto"
    """Where the networks live: auto, cpu, cuda, ..."""
    evaluation_prompts: int = 256
    """Held-out prompts that are reported on, fewer where there are not so many."""
    checkpoint_every_steps: int = 10_000
    """Steps between checkpoints."""
    pretraining_coefficient: float = 0.5
    """PPO-ptx: weight of the demonstrations' cross-entropy in every step of the policy."""
    best_of: int = 16
    """Responses that best-of-n and rejection sampling choose among."""
    model: ModelConfig = field(default_factory=ModelConfig)
    warm_start: WarmStartConfig = field(default_factory=WarmStartConfig)
    rollout: RolloutConfig = field(default_factory=RolloutConfig)
    ppo: PPOConfig = field(
        default_factory=lambda: PPOConfig(
            learning_rate=3e-4,
            final_learning_rate_fraction=0.1,
            epochs=1,
            minibatch_size=128,
            discount=1.0,
            value_clip=0.2,
            max_grad_norm=1.0,
            normalise_advantages=False,
        )
    )
    kl: KLConfig = field(default_factory=lambda: KLConfig(coefficient=0.0))
    value: ValueConfig = field(default_factory=ValueConfig)
    reward_model: TextRewardConfig = field(default_factory=TextRewardConfig)
    query: TextQueryConfig = field(default_factory=TextQueryConfig)
    direct: DirectConfig = field(default_factory=DirectConfig)

    def __post_init__(self) -> None:
        for name in ("steps", "evaluation_prompts", "checkpoint_every_steps"):
            if getattr(self, name) < 1:
                raise UsageError(f"{name} must be at least 1, not {getattr(self, name)}")
        if self.algorithm not in get_args(Algorithm):
            raise UsageError(
                f"there is no algorithm {self.algorithm!r}: choose from {', '.join(get_args(Algorithm))}"
            )
        if self.lora_rank < 0 or (self.lora_rank and self.start is None):
            raise UsageError(f"lora_rank {self.lora_rank} must not be below 0, and needs a model in start")
        if self.best_of < 2:
            raise UsageError(f"best_of must be at least 2, not {self.best_of}")
        if self.asks and self.labels < 4:
            raise UsageError(f"labels must be at least 4 to learn from comparisons, not {self.labels}")
        if self.value.start == "reward" and self.algorithm in WITH_VALUES and self.reward != "learned":
            raise UsageError("value.start reward needs a learned reward: choose policy or scratch")
        if not self.pretraining_coefficient >= 0:
            raise UsageError(
                f"pretraining_coefficient must not be below 0, not {self.pretraining_coefficient}"
            )

    @property
    def asks(self) -> bool:
        """Whether comparisons are asked for."""
        learned = self.algorithm in ON_SCORES and self.reward == "learned"
        return learned or self.algorithm in ON_PREFERENCES

    @property
    def asks_at_once(self) -> bool:
        """Whether all comparisons are asked for before anything else: where the policy that writes the
        responses does not move, or learns from them directly."""
        return self.algorithm in ON_PREFERENCES or self.algorithm == "best-of-n"

    @property
    def fits(self) -> bool:
        """Whether a reward ensemble is fitted."""
        return self.asks and (self.algorithm == "reward" or self.algorithm in ON_SCORES)
