"""One training step of a model on the host and on the card, and how far apart they end."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

SEED = 0


@dataclass
class Row:
    """What one architecture did. Differences are relative; None where there is nothing to tell."""

    name: str
    class_name: str = ""
    outcome: str = "not tried"
    """`equal`, `differs`, `fails` on the card, or `not tried`: the host could not run it."""
    reason: str = ""
    size: str = ""
    """Which of the sets of shrinking rules made it small."""
    inputs: str = ""
    parameters: int = 0
    own_loss: bool = False
    loss: float | None = None
    loss_difference: float | None = None
    gradient_difference: float | None = None
    bf16_outcome: str = "not tried"
    bf16_reason: str = ""
    bf16_loss_difference: float | None = None
    approximated_share: float | None = None
    approximated: dict[str, float] = field(default_factory=dict)
    """Share of the step's time, by op."""
    hazards: dict[str, int] = field(default_factory=dict)
    """How often each kind of hazard was met."""


#: What a loss and gradients may differ by, relative: FP32 sums in another order; BF16 keeps 8
#: bits of mantissa.
LOSS_BOUND = {torch.float32: 1e-5, torch.bfloat16: 2.0**-7}
GRADIENT_BOUND = {torch.float32: 1e-4, torch.bfloat16: 2.0**-4}

_DRAWS = {
    getattr(torch, name)
    for name in """rand randn randint randperm rand_like randn_like randint_like normal bernoulli
    multinomial poisson""".split()
} | {
    getattr(torch.Tensor, name)
    for name in "normal_ uniform_ bernoulli_ random_ exponential_ multinomial bernoulli".split()
}


class DrawnOnTheHost(TorchFunctionMode):
    """Random numbers come from the host's generator, so that both sides see the same ones."""

    def __torch_function__(
        self, function: Callable[..., Any], types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        kwargs = dict(kwargs or {})
        if function not in _DRAWS:
            return function(*args, **kwargs)
        device = kwargs.pop("device", None)
        own = next((a.device for a in args if isinstance(a, torch.Tensor)), None)
        host = [a.cpu() if isinstance(a, torch.Tensor) else a for a in args]
        if function.__name__.endswith("_"):
            host[0] = torch.empty_like(host[0])
            return args[0].copy_(function(*host, **kwargs))
        return function(*host, **kwargs).to(device or own or "cpu")


def moved(value: Any, device: str, dtype: torch.dtype) -> Any:
    """The value with all its tensors on the device, floats in the format."""
    if isinstance(value, torch.Tensor):
        return value.to(device, dtype) if value.is_floating_point() else value.to(device)
    if isinstance(value, dict):
        return {k: moved(v, device, dtype) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(moved(v, device, dtype) for v in value)
    return value


def tensors(value: Any) -> Iterator[torch.Tensor]:
    """The floating tensors with a gradient that an output holds."""
    if isinstance(value, torch.Tensor):
        if value.is_floating_point() and value.requires_grad:
            yield value
    elif isinstance(value, dict):
        for entry in value.values():
            yield from tensors(entry)
    elif isinstance(value, (list, tuple)):
        for entry in value:
            yield from tensors(entry)


def loss_of(output: Any) -> tuple[torch.Tensor, bool]:
    """The model's own loss, or the mean square of everything that it gives."""
    own = getattr(output, "loss", None)
    if isinstance(own, torch.Tensor) and own.requires_grad:
        return own.sum(), True
    parts = [t.float().square().mean() for t in tensors(output)]
    if not parts:
        raise ValueError("the output holds nothing to train on")
    return torch.stack(parts).sum(), False


@contextmanager
def _seeded() -> Iterator[None]:
    import random

    import numpy as np

    random.seed(SEED)
    np.random.seed(SEED)
    torch.manual_seed(SEED)
    with DrawnOnTheHost():
        yield


@dataclass(frozen=True)
class Trained:
    """What a step left behind, all on the host."""

    loss: float
    own_loss: bool
    gradients: list[torch.Tensor | None]
    weights: list[torch.Tensor]


def train(model: torch.nn.Module, feed: dict[str, Any], device: str, dtype: torch.dtype) -> Trained:
    """One step of AdamW; the model given stays as it is."""
    model = copy.deepcopy(model).to(device=device, dtype=dtype).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    with _seeded():
        loss, own = loss_of(model(**moved(feed, device, dtype)))
        loss.backward()
    gradients = [
        None if p.grad is None else p.grad.to("cpu", copy=True) for p in model.parameters()
    ]
    optimizer.step()
    return Trained(loss.item(), own, gradients, [p.detach().cpu() for p in model.parameters()])


def relative(ours: float, theirs: float) -> float:
    """|ours − theirs| over |theirs|; 0 where both are the same or both not a number."""
    if ours == theirs or (math.isnan(ours) and math.isnan(theirs)):
        return 0.0
    return abs(ours - theirs) / max(abs(theirs), 1e-30)


def gradients_apart(ours: Trained, theirs: Trained) -> float:
    """Norm of the difference of all gradients over the norm of the host's.

    Infinities and NaN in the same places are no difference.
    """
    apart = total = 0.0
    for a, b in zip(ours.gradients, theirs.gradients, strict=True):
        if (a is None) != (b is None):
            return math.inf
        if a is None or b is None:
            continue
        a, b = a.to_dense().double(), b.to_dense().double()
        same = (a == b) | (a.isnan() & b.isnan())
        apart += float((a - b).masked_fill(same, 0).square().sum())
        total += float(b.masked_fill(same & ~b.isfinite(), 0).square().sum())
    return math.sqrt(apart / total) if total else math.sqrt(apart)
