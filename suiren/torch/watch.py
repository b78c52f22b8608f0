"""Watches a script without changing it: module paths, optimizer steps, owners of memory."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch.optim.optimizer import (
    register_optimizer_step_post_hook,
    register_optimizer_step_pre_hook,
)

from suiren.torch import _shim
from suiren.trace.program import Label

paths: list[str] = [""]
"""Module path by number; number 0 is outside every module."""
_numbers: dict[tuple[int, str], int] = {}
roots: list[weakref.ref[torch.nn.Module]] = []
labels: dict[int, Label] = {}
gradients: dict[int, tuple[int, int]] = {}
"""By number of a storage that was named as a gradient's: its bytes and context."""
_settled = False
"""After two steps what lives long is known; later users of a freed number do not rename it."""


@dataclass
class Captured:
    """What a captured graph does besides running kernels; it happens at every replay."""

    calls: list[tuple[torch.nn.Module, Any, Any]] = field(default_factory=list)
    """Root modules and what they were called with."""
    steps: list[torch.optim.Optimizer] = field(default_factory=list)

    def batches_arrive(self) -> None:
        """Root modules are called: the record sees the batch."""
        for module, arguments, keywords in self.calls:
            _shim.enter(module, arguments, keywords)
            _shim.leave()

    def optimizers_step(self) -> None:
        """Optimizers step, the first of them ending the step."""
        for optimizer in dict.fromkeys(self.steps):
            has_stepped(optimizer)


captured: Captured | None = None
"""While a graph is captured: what is seen of it."""


# ---- module paths


def _name_in_roots(module: torch.nn.Module) -> str | None:
    """The module's path from a root already seen: the root's class, then attributes."""
    known = _places.get(id(module))
    if known is None or known[0]() is not module:
        for root in reversed(list(_live_roots())):
            for name, child in root.named_modules():
                path = f"{type(root).__name__}.{name}" if name else type(root).__name__
                _places[id(child)] = weakref.ref(child), path
        known = _places.get(id(module))
    return known[1] if known is not None and known[0]() is module else None


_places: dict[int, tuple[weakref.ref[torch.nn.Module], str]] = {}
"""By a module's address: the module, and its path from the first root that holds it."""


def _path_number(parent: int, module: torch.nn.Module) -> int:
    name = _name_in_roots(module)
    if name is None and parent == 0:
        roots.append(weakref.ref(module))
        label_module(module)
    if name is None:
        kind = type(module).__name__
        name = f"{paths[parent]}.{kind}" if parent else kind
    _forget_at_death(module)
    number = _numbers.get((parent, name))
    if number is None:
        number = _numbers[(parent, name)] = len(paths)
        paths.append(name)
    return number


_alive: dict[int, weakref.ref[torch.nn.Module]] = {}


def _forget_at_death(module: torch.nn.Module) -> None:
    address = id(module)

    def died(_: object) -> None:
        _alive.pop(address, None)
        _shim.forget_module(address)

    if address not in _alive:
        _alive[address] = weakref.ref(module, died)


def _watch_calls() -> None:
    original = torch.nn.Module.__call__
    enter, leave = _shim.enter, _shim.leave
    is_traced = torch.compiler.is_dynamo_compiling
    depth = 0

    def __call__(self: torch.nn.Module, *arguments: Any, **keywords: Any) -> Any:  # noqa: N807
        nonlocal depth
        if is_traced():
            return original(self, *arguments, **keywords)
        if captured is not None and not depth:
            captured.calls.append((self, arguments, keywords))
        depth += 1
        enter(self, arguments, keywords)
        try:
            return original(self, *arguments, **keywords)
        finally:
            depth -= 1
            leave()

    torch.nn.Module.__call__ = __call__


# ---- what lives in memory


def label_module(root: torch.nn.Module) -> None:
    """Names the storages of a module's parameters and buffers, and of gradients they have."""
    prefix = type(root).__name__
    for name, parameter in root.named_parameters():
        _label(parameter, "weights", f"{prefix}.{name}")
        if parameter.grad is not None:
            _label(parameter.grad, "gradients", f"{prefix}.{name}")
    for name, buffer in root.named_buffers():
        _label(buffer, "weights", f"{prefix}.{name}")


def label_optimizer(optimizer: torch.optim.Optimizer) -> None:
    """Names the storages of an optimizer's parameters, and of its state after them."""
    names = {
        id(p): f"{type(root).__name__}.{n}"
        for root in _live_roots()
        for n, p in root.named_parameters()
    }
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            name = names.get(id(parameter), "parameter")
            _label(parameter, "weights", name, sure=True)
            if parameter.grad is not None:
                _label(parameter.grad, "gradients", name)
    for parameter, state in optimizer.state.items():
        name = names.get(id(parameter), "parameter")
        for key, value in state.items():
            if isinstance(value, torch.Tensor):
                _label(value, "optimizer state", f"{name}.{key}", sure=True)


def _label(tensor: torch.Tensor, kind: str, name: str, sure: bool = False) -> None:
    tensor = getattr(tensor, "_local_tensor", tensor)  # a sharded tensor: what this card holds
    if tensor.device.type != "cpu" and tensor.layout == torch.strided:
        number = _shim.storage_number(tensor)
        if number and (sure or not (_settled and number in labels)):
            labels[number] = Label(kind, name)


def _live_roots() -> Iterable[torch.nn.Module]:
    return [root for reference in roots if (root := reference()) is not None]


def label_everything() -> None:
    """Finds every module and optimizer of the process; for the moment memory runs out."""
    global _settled
    labels.clear()
    _settled = False
    modules, optimizers = [], []
    for thing in gc.get_objects():
        kind = type(thing)
        if issubclass(kind, torch.nn.Module):
            modules.append(thing)
        elif issubclass(kind, torch.optim.Optimizer):
            optimizers.append(thing)
    children = {id(child) for module in modules for child in module.children()}
    for module in modules:
        if id(module) not in children:
            label_module(module)
    for optimizer in optimizers:
        label_optimizer(optimizer)


def _remember_gradients() -> None:
    """Gradients come and go, and what later takes their numbers is none of them."""
    gradients.clear()
    for number, size, context in _shim.live(-1):
        label = labels.get(number)
        if label is not None and label.kind == "gradients":
            gradients[number] = size, context


def labels_of(live: Iterable[tuple[int, int, int]]) -> dict[int, Label]:
    """The labels, but those of gradients whose numbers belong to something else.

    `live` are (number, context, bytes) of everything that outlasted a step.
    """
    taken = {n for n, context, size in live if gradients.get(n, (size, context)) != (size, context)}
    return {n: label for n, label in labels.items() if label.kind != "gradients" or n not in taken}


def _settle(settled: bool) -> None:
    global _settled
    _settled = settled


# ---- steps


def has_stepped(optimizer: torch.optim.Optimizer) -> None:
    """An optimizer stepped without saying so, as in a replayed graph; set by `watch`."""


class _Steps:
    """Tells the end of a training step: the first optimizer that steps leads.

    Where another one steps twice and the leader does not, that one leads from then on.
    """

    def __init__(self, on_step: Callable[[], None]) -> None:
        self.on_step = on_step
        self.leader: weakref.ref[torch.optim.Optimizer] | None = None
        self.last: weakref.ref[torch.optim.Optimizer] | None = None
        self.counts: weakref.WeakKeyDictionary[torch.optim.Optimizer, int]
        self.counts = weakref.WeakKeyDictionary()

    def before(self, optimizer: torch.optim.Optimizer, *_: Any) -> None:
        if self.counts.get(optimizer, 0) < 2:
            for root in _live_roots():
                label_module(root)
        _shim.in_optimizer(True)

    def after(self, optimizer: torch.optim.Optimizer, *_: Any) -> None:
        _shim.in_optimizer(False)
        if captured is not None:
            captured.steps.append(optimizer)
            return
        again = self.last is not None and self.last() is optimizer
        self.last = weakref.ref(optimizer)
        if self.leader is None or self.leader() is None or again:
            self.leader = self.last
        count = self.counts.get(optimizer, 0)
        if count < 2:
            self.counts[optimizer] = count + 1
            label_optimizer(optimizer)
            _remember_gradients()
            _settle(count >= 1)
        if self.leader() is optimizer:
            _shim.end_step()
            self.on_step()


_watching: list[_Steps] = []


def watch(on_step: Callable[[], None]) -> None:
    """Starts watching; `on_step`, the last one given, is called after every training step."""
    if _watching:
        _watching[0].on_step = on_step
        return
    _shim.on_module(_path_number)
    _watch_calls()
    global has_stepped
    steps = _Steps(on_step)
    _watching.append(steps)
    has_stepped = steps.after
    register_optimizer_step_pre_hook(steps.before)
    register_optimizer_step_post_hook(steps.after)
