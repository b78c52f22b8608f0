"""Weights of one rank of a stage, experts apart."""

from __future__ import annotations

from dataclasses import dataclass

from suiren.fleet.layout import Layout
from suiren.fleet.model import Model


@dataclass(frozen=True, slots=True)
class Weights:
    """Weights of one rank of a stage; experts apart, because other ranks share them."""

    dense: float
    experts: float

    @property
    def all(self) -> float:
        """Both."""
        return self.dense + self.experts


def layers_before(model: Model, layout: Layout, stage: int) -> list[tuple[int, int]]:
    """(first layer, layers) of each chunk of a stage."""
    counts = layout.stage_layers(model)
    found, first = [], 0
    for chunk in range(layout.vpp):
        for s in range(layout.pp):
            if s == stage:
                found.append((first, counts[s][chunk]))
            first += counts[s][chunk]
    return found


def weights_of(model: Model, layout: Layout, stage: int) -> Weights:
    """Weights of one rank of a stage."""
    dense = experts = 0.0
    norms = 2 * model.norm_params
    for first, count in layers_before(model, layout, stage):
        for n in range(first, first + count):
            mixed = model.expert_params() if model.has_experts(n) else 0
            rest = model.layer_params(n) - mixed - norms
            if n >= model.layers - model.decoder_layers:
                rest += model.attention_params()
            dense += rest / layout.tp + norms
            experts += mixed / (layout.ep if layout.ep > 1 else layout.tp)
    if stage == layout.pp - 1 and model.more_predicted:
        mixed = model.expert_params() if model.experts else 0
        split = model.layer_params() - mixed - norms + 2 * model.d_model**2
        dense += model.more_predicted * (split / layout.tp + norms)
        experts += model.more_predicted * mixed / (layout.ep if layout.ep > 1 else layout.tp)
    table = model.embedding_params / layout.tp
    if stage == 0:
        dense += table + (model.seq * model.d_model if model.positions == "learned" else 0)
    if stage == layout.pp - 1:
        dense += model.norm_params + (0 if model.tied and layout.pp == 1 else table)
    return Weights(dense, experts)
