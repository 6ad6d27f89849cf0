"""DPO, IPO and KTO on texts: the core's direct losses on comparisons of the warm start's own responses."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from prefrl.adam import Adam
from prefrl.direct_losses import (
    balanced_weights,
    dpo_loss,
    ipo_loss,
    kto_loss,
    kto_reference_point,
    mismatched,
)
from prefrl.errors import UsageError
from prefrl.language.bench import Bench, Row
from prefrl.language.completions import completion_inputs, completion_log_prob, frozen_log_prob, rows_of
from prefrl.language.preferences import Compared, TextPreferences
from prefrl.language.responses import Responses, encode_responses
from prefrl.language.supervised import descend


class DirectStage:
    """All comparisons are asked for at the start; then it passes over them until the steps are spent.

    Args:
        bench: with the policy as the warm start left it, which is the reference and wrote the responses.
        preferences: asks for the comparisons; without an ensemble.
    """

    def __init__(self, bench: Bench, preferences: TextPreferences) -> None:
        self.bench, self.preferences, self.config = bench, preferences, bench.config.direct
        self.algorithm = bench.config.algorithm
        self.reference = bench.model.copy()
        self.optimizer = Adam(bench.trained, learning_rate=self.config.learning_rate)
        self.step = 0
        self._order: list[int] = []
        """Comparisons that this pass has not come to yet."""
        self._data: _Comparisons | None = None

    @property
    def done(self) -> bool:
        return self.step >= self.bench.config.steps

    def advance(self) -> Row:
        """One gradient step; the first call asks."""
        if self._data is None:
            if not self.preferences.asked:
                self.preferences.ask(self.bench.config.labels)
            if (waiting := self.preferences.waits_for()) is not None:
                return {"waiting": waiting}
            self._data = self._collect()
        chosen = self._next()
        loss, row = self._loss(self._data, chosen)
        row["grad_norm"] = descend(self.optimizer, loss, self.config.max_grad_norm)
        self.step += len(chosen)
        return {"direct_loss": float(loss.detach()), "labels": len(self._data.preference)} | row

    def state_dict(self) -> dict[str, Any]:
        return {
            "step": self.step,
            "preferences": self.preferences.state_dict(),
            "reference": self.reference.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "order": list(self._order),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.step, self._order = state["step"], list(state["order"])
        self.preferences.load_state_dict(state["preferences"])
        self.reference.load_state_dict(state["reference"])
        self.optimizer.load_state_dict(state["optimizer"])

    def _collect(self) -> _Comparisons:
        """The comparisons as batches; what the reference says of both sides is computed once."""
        found = self.preferences.compared()
        if not len(found.preference):
            raise UsageError(
                "there is no comparison to learn from: collect answers first (skips do not count)"
            )
        left, right = (self._encode(found, side) for side in (0, 1))
        reference = torch.stack([frozen_log_prob(self.reference, side).sum(1) for side in (left, right)], 1)
        names = {prompt: place for place, prompt in enumerate(sorted(set(left.prompts)))}
        return _Comparisons(
            left,
            right,
            reference,
            torch.from_numpy(found.preference).to(reference),
            torch.tensor([names[prompt] for prompt in left.prompts], device=reference.device),
        )

    def _encode(self, found: Compared, side: int) -> Responses:
        rows = found.rows[:, side].tolist()
        texts = [self.preferences.bank.responses[row] for row in rows]
        table, end = self.preferences.bank.table, self.bench.tokenizer.end
        return encode_responses(
            [one.prompt for one in texts],
            [one.text for one in texts],
            self.bench.tokenizer,
            context=self.bench.model.context,
            device=self.bench.device,
            finished=[table.rows[row][-1] == end for row in rows],
        )

    def _next(self) -> Tensor:
        assert self._data is not None
        if not self._order:
            count = len(self._data.preference)
            self._order = torch.randperm(count, generator=self.bench.generator).tolist()
        size = min(self.config.batch_size, self.bench.config.steps - self.step)
        chosen, self._order = self._order[:size], self._order[size:]
        return torch.tensor(chosen, device=self.bench.device)

    def _loss(self, data: _Comparisons, chosen: Tensor) -> tuple[Tensor, Row]:
        log_prob = torch.stack([self._summed(side, chosen) for side in (data.left, data.right)], 1)
        ratios = log_prob - data.reference[chosen]
        preference = data.preference[chosen]
        config = self.config
        if self.algorithm == "kto":
            loss = self._kto(data, chosen, ratios, preference)
        elif self.algorithm == "ipo":
            lengths = torch.stack([data.left.lengths[chosen], data.right.lengths[chosen]], 1)
            loss = ipo_loss(
                ratios, preference, beta=config.beta, lengths=lengths if config.length_normalised else None
            ).mean()
        else:
            loss = dpo_loss(
                ratios,
                preference,
                beta=config.beta,
                label_smoothing=config.label_smoothing,
                smoothing=config.smoothing,
            ).mean()
        with torch.no_grad():
            margin = (ratios[:, 0] - ratios[:, 1]) * (2.0 * preference - 1.0)
            row = {"margin": float(margin.mean()), "implicit_agreement": float((margin > 0).double().mean())}
        return loss, row

    def _kto(self, data: _Comparisons, chosen: Tensor, ratios: Tensor, preference: Tensor) -> Tensor:
        """Each comparison is a like of its better side and a dislike of the other; ties say nothing."""
        decided = preference != 0.5
        if not bool(decided.any()):
            return 0.0 * ratios.sum()
        liked = torch.stack([preference > 0.5, preference < 0.5], 1)[decided].flatten()
        weights = balanced_weights(liked)
        return kto_loss(
            ratios[decided].flatten(),
            liked,
            self._reference_point(data, chosen),
            beta=self.config.beta,
            desirable_weight=weights[0],
            undesirable_weight=weights[1],
        ).mean()

    @torch.no_grad()
    def _reference_point(self, data: _Comparisons, chosen: Tensor) -> Tensor:
        """z0 from the left side of other prompts' comparisons; 0 in a minibatch of a single prompt."""
        prompts = data.prompt[chosen]
        if len(torch.unique(prompts)) < 2:
            return torch.zeros(())
        partner = chosen[mismatched(prompts)]
        mixed = encode_responses(
            [data.left.prompts[place] for place in chosen.tolist()],
            [data.left.completions[place] for place in partner.tolist()],
            self.bench.tokenizer,
            context=self.bench.model.context,
            device=self.bench.device,
            finished=data.left.finished[partner].tolist(),
        )
        gone = frozen_log_prob(self.bench.model, mixed) - frozen_log_prob(self.reference, mixed)
        return kto_reference_point(gone.sum(1))

    def _summed(self, side: Responses, chosen: Tensor) -> Tensor:
        return completion_log_prob(self.bench.model, rows_of(completion_inputs(side), chosen)).sum(1)


class _Comparisons:
    """Both sides of every comparison, what the reference says of them, and the answers."""

    def __init__(
        self, left: Responses, right: Responses, reference: Tensor, preference: Tensor, prompt: Tensor
    ) -> None:
        self.left, self.right = left, right
        self.reference, self.preference, self.prompt = reference, preference, prompt
