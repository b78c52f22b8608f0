"""Loss scales, skipped steps, and the loss of both runs step by step."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch


@dataclass
class Scaling:
    """What the script's GradScaler does."""

    is_scaled: bool = False
    """Between `scale(loss)` and `update()`: overflow is looked for by the scaler."""
    skipped: list[int] = field(default_factory=list)
    """Steps that the scaler skipped."""
    scale: float = 0.0


@dataclass(frozen=True)
class Loss:
    """The root of a backward, in both runs."""

    step: int
    card: float
    shadow: float


def watch_scaler(
    scaling: Scaling,
    step_now: Callable[[], int],
    on_skip: Callable[[], None],
    on_loss: Callable[[torch.Tensor], None],
) -> Callable[[], None]:
    """Follows every GradScaler from now on; returns what ends it."""
    kind = torch.amp.GradScaler
    scale, step, update = kind.scale, kind.step, kind.update

    def scaled(self: Any, outputs: Any) -> Any:
        if self.is_enabled():
            scaling.is_scaled = True
            if isinstance(outputs, torch.Tensor) and outputs.numel() == 1:
                on_loss(outputs)
        found = scale(self, outputs)
        if self.is_enabled():
            scaling.scale = float(self.get_scale())
        return found

    def stepped(self: Any, optimizer: Any, *arguments: Any, **keywords: Any) -> Any:
        before = step_now()
        found = step(self, optimizer, *arguments, **keywords)
        states = getattr(self, "_per_optimizer_states", {}).get(id(optimizer), {})
        flags = states.get("found_inf_per_device", {})
        if self.is_enabled() and any(float(flag) for flag in flags.values()):
            scaling.skipped.append(before)
            if step_now() == before:
                on_skip()
        return found

    def updated(self: Any, *arguments: Any, **keywords: Any) -> Any:
        scaling.is_scaled = False
        return update(self, *arguments, **keywords)

    kind.scale, kind.step, kind.update = scaled, stepped, updated  # type: ignore[method-assign]

    def stop() -> None:
        kind.scale, kind.step, kind.update = scale, step, update  # type: ignore[method-assign]

    return stop


def watch_backward(on_root: Callable[[torch.Tensor], None]) -> Callable[[], None]:
    """Calls `on_root` with what every backward starts from; returns what ends it."""
    original = torch.autograd.backward

    def backward(tensors: Any, *arguments: Any, **keywords: Any) -> Any:
        roots = (tensors,) if isinstance(tensors, torch.Tensor) else tuple(tensors)
        if len(roots) == 1 and roots[0].numel() == 1:
            on_root(roots[0])
        return original(tensors, *arguments, **keywords)

    torch.autograd.backward = backward

    def stop() -> None:
        torch.autograd.backward = original

    return stop
