"""A fused kernel: several ops in one launch, what passes between them stays in the core.

Its recipe lists the member calls, so that a saved trace needs nothing else:

    addmm(self=bf16[64],mat1=bf16[8,32],mat2=bf16[32,64])->(bf16[8,64]); gelu(self=…)->(…)

A member reads as a line of a trace does, without namespace; `math=true` marks a product
whose f32 operands enter the engine as TF32.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import lru_cache

from suiren.mapper.work import Kernel, Work, traffic
from suiren.trace.call import Call, Tensor, Value, parse_call, parse_tensor

OPS = frozenset({"fused"})
SEPARATOR = "; "
_TENSOR = re.compile(r"[a-z]\w*\[[\d,]*\](?:\{[\d,]*\})?")


@lru_cache(maxsize=4096)
def members(recipe: str) -> tuple[Call, ...]:
    """The calls that a recipe lists; raises CallSyntaxError where it is none."""
    return tuple(parse_call(f"aten::{line}") for line in recipe.split(SEPARATOR) if line)


def recipe_of(calls: Sequence[Call]) -> str:
    """The recipe that lists these calls."""
    return SEPARATOR.join(str(call).split("::", 1)[-1] for call in calls)


def work(call: Call) -> Work:
    """One kernel: the members' arithmetic, inputs read once, outputs written once."""
    from suiren.mapper.families import work_of

    recipe = call.arguments.get("recipe")
    calls = members(recipe if isinstance(recipe, str) else "")
    works = [work_of(member) for member in calls]
    read, written = traffic(call)
    again = sum(_read_again(member, found) for member, found in zip(calls, works, strict=True))
    kernels = [kernel for found in works for kernel in found.kernels]
    kernel = replace(
        next((k for k in kernels if k.product is not None), Kernel()),
        lane_ops=sum(k.lane_ops for k in kernels),
        special_ops=sum(k.special_ops for k in kernels),
        read_bytes=read + again,
        write_bytes=written,
        dtype=_dtype(kernels),
    )
    return Work("fused", (kernel,), any(found.approximated for found in works) or not works)


def _read_again(member: Call, found: Work) -> float:
    """Bytes that a member reads beyond one pass: statistics must be complete before the rest."""
    if found.family != "normalisation":
        return 0.0
    return max(0.0, sum(k.read_bytes for k in found.kernels) - traffic(member)[0])


def _dtype(kernels: list[Kernel]) -> str:
    """The format in which most lane operations are done."""
    lanes: dict[str, float] = {}
    for kernel in kernels:
        lanes[kernel.dtype] = lanes.get(kernel.dtype, 0.0) + kernel.lane_ops + kernel.special_ops
    return max(lanes, key=lambda dtype: lanes[dtype], default="f32")


def in_tf32(call: Call) -> Call | None:
    """The call with its f32 product in TF32; None if it has none or is so already."""
    recipe = call.arguments.get("recipe")
    if not isinstance(recipe, str):
        return None
    from suiren.mapper.families import work_of

    for index, member in enumerate(found := list(members(recipe))):
        operands = [t.dtype for t in member.inputs()]
        if work_of(member).product_flop and "math" not in member.arguments and "f32" in operands:
            found[index] = Call(member.op, {**member.arguments, "math": True}, member.outputs)
            return Call(call.op, {**call.arguments, "recipe": recipe_of(found)}, call.outputs)
    return None


def follow(call: Call, changed: Call, change: Callable[[Tensor, Tensor, Tensor], Tensor]) -> Call:
    """`changed` with its recipe following: it is `call` with other shapes or formats.

    A member's tensor that is none of the call's own takes `change(itself, old, new)` after
    a tensor of the call with as many elements.
    """
    recipe = call.arguments.get("recipe")
    if not isinstance(recipe, str):
        return changed
    pairs = list(
        zip((*call.inputs(), *call.results()), (*changed.inputs(), *changed.results()), strict=True)
    )
    same = dict(pairs)
    near: dict[int, tuple[Tensor, Tensor]] = {}
    for old, new in pairs:
        if old != new:
            near.setdefault(old.numel, (old, new))

    def tensor(match: re.Match[str]) -> str:
        found = parse_tensor(match[0])
        if found in same:
            return str(same[found])
        pair = near.get(found.numel)
        return str(change(found, *pair)) if pair else match[0]

    text: Value = _TENSOR.sub(tensor, recipe)
    return replace(changed, arguments={**changed.arguments, "recipe": text})
