"""One op again on the host, in a wider format: the same call on other values."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
from torch._ops import OpOverload

from suiren.numerics.host import is_card

#: Arguments that steer an optimizer and are no part of its arithmetic.
STEERING = frozenset({"state_steps", "grad_scale", "found_inf", "inv_scale"})
_NARROW = (torch.float16, torch.bfloat16, torch.float32)
_FLAGS = {"half_to_float": False, "pin_memory": False}


@dataclass(frozen=True)
class Kind:
    """What is known of an op from its schema."""

    name: str
    """`aten.add.Tensor`."""
    base: str
    """`add`, the same for `add_`, `add.out` and `_foreach_add_`."""
    is_view: bool
    is_random: bool
    is_pointwise: bool
    is_own: bool
    """Of Suiren's namespace: a kernel that the user wrote."""
    written: frozenset[str]
    names: tuple[str, ...]
    overwrites: bool
    """What it writes to is no input: `copy_`, `zero_`, `out=`."""


_OVERWRITING = frozenset({"copy", "zero", "fill", "uniform", "normal", "random", "bernoulli",
                          "exponential", "set", "resize", "log_normal", "cauchy", "geometric",
                          "foreach_copy", "foreach_zero"})  # fmt: skip


@cache
def kind_of(op: OpOverload) -> Kind:
    """The op's kind; worked out once."""
    schema = op._schema
    space, _, name = schema.name.partition("::")
    base = name.strip("_")
    written = frozenset(a.name for a in schema.arguments if a.alias_info and a.alias_info.is_write)
    views = any(r.alias_info is not None and not r.alias_info.is_write for r in schema.returns)
    return Kind(
        name=f"{space}.{name}.{op._overloadname}",
        base=base,
        is_view=views,
        is_random=torch.Tag.nondeterministic_seeded in op.tags and base != "native_dropout",
        is_pointwise=torch.Tag.pointwise in op.tags,
        is_own=space == "suiren" and name != "fused",
        written=written,
        names=tuple(a.name for a in schema.arguments),
        overwrites=base in _OVERWRITING or any(a.is_out for a in schema.arguments),
    )


def tensors_in(thing: Any) -> Iterator[torch.Tensor]:
    """Every tensor of an argument or a result, in order."""
    if isinstance(thing, torch.Tensor):
        yield thing
    elif isinstance(thing, (list, tuple)):
        for item in thing:
            yield from tensors_in(item)
    elif isinstance(thing, dict):
        for item in thing.values():
            yield from tensors_in(item)


@dataclass(frozen=True)
class Asked:
    """One op as it was called."""

    op: OpOverload
    kind: Kind
    args: tuple[Any, ...]
    kwargs: dict[str, Any]

    def named(self) -> Iterator[tuple[str, Any]]:
        """(argument's name, value) of all that was given."""
        yield from zip(self.kind.names, self.args, strict=False)
        yield from self.kwargs.items()

    def inputs(self) -> list[torch.Tensor]:
        """Floating tensors that the op reads, host tensors included."""
        skip = self.kind.written if self.kind.overwrites else frozenset()
        return [
            t
            for name, value in self.named()
            if name not in skip and name not in STEERING
            for t in tensors_in(value)
            if t.is_floating_point()
        ]

    def written(self) -> list[torch.Tensor]:
        """Floating card tensors that the op writes to."""
        return [
            t
            for name, value in self.named()
            if name in self.kind.written and name not in STEERING
            for t in tensors_in(value)
            if is_card(t) and t.is_floating_point()
        ]

    def numbers(self) -> list[float]:
        """Python floats among the arguments."""
        return [v for _, v in self.named() if isinstance(v, float)]


@dataclass(frozen=True)
class Rerun:
    """What an op gave on other values: its floating results, then what it wrote to."""

    results: list[torch.Tensor]
    inputs: dict[int, torch.Tensor]
    """By identity of the card's tensor."""


ValueOf = Callable[[torch.Tensor], torch.Tensor]


def call(
    asked: Asked, value_of: ValueOf, wide: torch.dtype, number_of: Callable[[float], float] = float
) -> tuple[Any, dict[int, torch.Tensor]]:
    """The op's own result on `value_of` of its tensors, with floats wide; what it was given."""
    seen: dict[int, torch.Tensor] = {}

    def swap(value: Any, is_steering: bool) -> Any:
        if isinstance(value, torch.Tensor):
            if id(value) not in seen:
                new = value_of(value)
                if is_steering and new.dtype != value.dtype:
                    new = new.to(value.dtype)
                seen[id(value)] = new
            return seen[id(value)]
        if isinstance(value, torch.dtype):
            return wide if value in _NARROW or value == wide else value
        if isinstance(value, torch.device):
            return torch.device("cpu")
        if isinstance(value, (list, tuple)):
            return type(value)(swap(item, is_steering) for item in value)
        if isinstance(value, float):
            return number_of(value)
        return value

    given = {name: swap(value, name in STEERING) for name, value in asked.named()}
    given.update({k: v for k, v in _FLAGS.items() if k in given})
    if "generator" in given:
        given["generator"] = None
    positional = [given.pop(n) for n in asked.kind.names[: len(asked.args)]]
    return asked.op(*positional, **given), seen


def results_of(asked: Asked, result: Any, swapped: dict[int, torch.Tensor] | None) -> Any:
    """Results in the order in which they are judged: what was written to, then what is new."""
    written = asked.written()
    if swapped is None:
        own = {id(t) for t in written}
        return [*written, *(t for t in tensors_in(result) if id(t) not in own)]
    values = [swapped[id(t)] for t in written]
    own = {id(t) for t in values}
    return [*values, *(t for t in tensors_in(result) if id(t) not in own)]
