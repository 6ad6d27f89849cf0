"""Settings of the transformer; read without torch."""

from __future__ import annotations

from dataclasses import dataclass

from prefrl.errors import UsageError


@dataclass(frozen=True)
class ModelConfig:
    """A decoder-only transformer of GPT-2's form (Radford et al. 2019), small enough for two cores."""

    layers: int = 3
    """Blocks of attention and feed-forward."""
    heads: int = 4
    """Attention heads per block."""
    width: int = 128
    """Numbers per token; a multiple of ``heads``."""

    def __post_init__(self) -> None:
        for name in ("layers", "heads", "width"):
            if getattr(self, name) < 1:
                raise UsageError(f"model.{name} must be at least 1, not {getattr(self, name)}")
        if self.width % self.heads:
            raise UsageError(f"model.width {self.width} must be a multiple of model.heads {self.heads}")
