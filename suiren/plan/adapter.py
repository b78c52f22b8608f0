"""Low-rank adapters (Hu et al. 2021): linear layers stay as they are, two small ones learn."""

from __future__ import annotations

from collections.abc import Collection

import torch
from torch import nn


class Adapted(nn.Module):
    """`frozen(x) + second(first(x))`, of which only the last two are trained."""

    def __init__(self, frozen: nn.Linear, rank: int) -> None:
        super().__init__()
        self.frozen = frozen
        place = {"device": frozen.weight.device, "dtype": frozen.weight.dtype}
        self.first = nn.Linear(frozen.in_features, rank, bias=False, **place)
        self.second = nn.Linear(rank, frozen.out_features, bias=False, **place)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The frozen layer's output with the adapter's added."""
        result: torch.Tensor = self.frozen(x) + self.second(self.first(x))
        return result


def adapt(model: nn.Module, rank: int, names: Collection[str]) -> None:
    """Freezes a model and gives each linear layer of those names an adapter, in place."""
    for parent in list(model.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, nn.Linear) and name in names:
                setattr(parent, name, Adapted(child, rank))
    freeze(model)
    embedding = model.get_input_embeddings()  # type: ignore[operator]
    # as peft does for checkpointed layers: gradients have to reach the adapters of every layer
    embedding.register_forward_hook(lambda _m, _i, out: out.requires_grad_(True))


def freeze(model: nn.Module) -> None:
    """Lets nothing but adapters learn, in place."""
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(name.split(".")[-2] in ("first", "second"))
