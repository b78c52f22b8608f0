"""Rewrites of a step: each takes what was asked and returns what would be asked instead.

A rewrite returns None where it has nothing to change.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from suiren.advise.asked import Ask, Asked
from suiren.events.queue import SYNC
from suiren.hw.spec import Card
from suiren.mapper.families import fused, work_of
from suiren.mapper.families.host import is_on_host
from suiren.mapper.work import Work
from suiren.trace.call import Call, Tensor, Value

_PRODUCTS = frozenset({"matmul", "convolution", "attention"})
_FUSIBLE = frozenset({"pointwise", "copy", "random", "normalisation", "reduction"})
#: A product starts a fused kernel, elementwise ops may follow.
_HEADS = frozenset({"matmul", "convolution"})
_EPILOGUE = frozenset({"pointwise", "copy", "random"})


def map_ops(asked: Asked, change: Callable[[Ask], Ask | None]) -> Asked | None:
    """Applies a change to every op; None from `change` keeps the op as it is."""
    out: list[Ask | tuple[int, int, int, int, int]] = []
    changed = False
    for ask in asked.asks:
        new = change(ask) if isinstance(ask, Ask) else None
        changed = changed or new is not None
        out.append(ask if new is None else new)
    return replace(asked, asks=tuple(out)) if changed else None


def recall(ask: Ask, call: Call) -> Ask:
    """The op with another call, and that call's work."""
    return replace(ask, call=call, work=work_of(call))


def map_tensors(call: Call, change: Callable[[Tensor], Tensor]) -> Call:
    """The call with every tensor changed, arguments first, in order."""

    def value(v: Value) -> Value:
        if isinstance(v, Tensor):
            return change(v)
        if isinstance(v, tuple):
            return tuple(change(t) if isinstance(t, Tensor) else t for t in v)
        return v

    arguments = {k: value(v) for k, v in call.arguments.items()}
    changed = Call(call.op, arguments, tuple(value(v) for v in call.outputs))
    return fused.follow(call, changed, _as_changed) if call.name == "fused" else changed


def _as_changed(tensor: Tensor, old: Tensor, new: Tensor) -> Tensor:
    """The tensor changed as `old` was into `new`, which has as many elements."""
    dtype = new.dtype if tensor.dtype == old.dtype else tensor.dtype
    times = new.numel // old.numel if old.numel else 1
    return (_grown(tensor, times) if times > 1 else tensor).with_dtype(dtype)


def use_tf32(asked: Asked, card: Card) -> Asked | None:
    """`torch.set_float32_matmul_precision("high")`: float32 products take TF32 operands."""
    if "tf32" not in card.formats():
        return None

    def change(ask: Ask) -> Ask | None:
        call = ask.call
        if ask.work.family == "fused":
            fast = fused.in_tf32(call)
            return None if fast is None else recall(ask, fast)
        if ask.work.family not in _PRODUCTS or "math" in call.arguments:
            return None
        if next(iter(call.inputs())).dtype != "f32":
            return None
        return recall(ask, Call(call.op, {**call.arguments, "math": "tf32"}, call.outputs))

    return map_ops(asked, change)


def _grown(tensor: Tensor, times: int) -> Tensor:
    """The tensor with its outermost dimension in memory, where the batch lies, made larger."""
    if not tensor.shape:
        return tensor
    strides = tensor.strides or _contiguous(tensor.shape)
    outer = max(range(len(strides)), key=lambda i: (strides[i], tensor.shape[i], -i))
    shape = tuple(n * times if i == outer else n for i, n in enumerate(tensor.shape))
    return Tensor(tensor.dtype, shape, tensor.strides, tensor.on_host)


def _contiguous(shape: tuple[int, ...]) -> tuple[int, ...]:
    strides, step = [], 1
    for n in reversed(shape):
        strides.append(step)
        step *= max(1, n)
    return tuple(reversed(strides))


def grow_batch(asked: Asked, times: int) -> Asked | None:
    """A batch `times` as large: activations grow in their batch dimension, weights do not."""

    def change(ask: Ask) -> Ask | None:
        if ask.phase == "optimizer":
            return None
        ids = iter(ask.allocations)

        def grown(t: Tensor) -> Tensor:
            return t if next(ids, 0) in asked.lasting else _grown(t, times)

        return recall(ask, map_tensors(ask.call, grown))

    return map_ops(asked, change)


def fuse_optimizer(asked: Asked, sizes: list[tuple[int, str]], num_states: int) -> Asked | None:
    """One fused launch series over all parameters instead of many small or foreach ones."""
    mine = [a for a in asked.ops() if a.phase == "optimizer"]
    if not mine or not sizes or any(a.call.name.startswith("_fused_") for a in mine):
        return None
    if any(is_on_host(a.call) for a in mine):
        return None
    own = tuple(Tensor(dtype, (n,)) for n, dtype in sizes)
    name = "_fused_adamw_" if num_states >= 2 else "_fused_sgd_"
    arguments: dict[str, Value] = {"self": own, "grads": own}
    for key in (
        ("exp_avgs", "exp_avg_sqs") if num_states >= 2 else ("momentum_buffer_list",) * num_states
    ):
        arguments[key] = own
    fused = Call(f"aten::{name}", arguments, ())
    last = max(i for i, a in enumerate(asked.asks) if isinstance(a, Ask) and a.phase == "optimizer")
    out = [
        recall(a, fused) if i == last and isinstance(a, Ask) else a
        for i, a in enumerate(asked.asks)
        if i == last or not (isinstance(a, Ask) and a.phase == "optimizer")
    ]
    return replace(asked, asks=tuple(out))


def drop_syncs(asked: Asked) -> Asked | None:
    """The host never waits: values are read once in a while, not in every step."""
    if any(is_on_host(a.call) for a in asked.ops()):
        return None  # it computes on what it waits for
    kept = tuple(a for a in asked.asks if isinstance(a, Ask) or a[0] != SYNC)
    return replace(asked, asks=kept) if len(kept) < len(asked.asks) else None


def keep_activations(asked: Asked) -> Asked | None:
    """No activation checkpointing: nothing is computed twice."""
    kept = tuple(a for a in asked.asks if not (isinstance(a, Ask) and a.phase == "recompute"))
    return replace(asked, asks=kept) if len(kept) < len(asked.asks) else None


def fuse_chains(asked: Asked) -> Asked | None:
    """What a compiler does: neighbouring elementwise, norm and reduction ops become one kernel.

    A product takes the elementwise ops that follow on its result as its epilogue. Inside a group
    an intermediate stays in the core; it goes to memory only if an op outside reads it.
    """
    out: list[Ask | tuple[int, int, int, int, int]] = []
    group: list[tuple[int, Ask]] = []
    changed = False

    def close() -> None:
        nonlocal changed
        if len(group) > 1:
            out.append(_fused(asked, group))
            changed = True
        else:
            out.extend(ask for _, ask in group)
        group.clear()

    for index, ask in enumerate(asked.asks):
        if isinstance(ask, Ask) and _can_join(ask, group):
            group.append((index, ask))
            continue
        close()
        if isinstance(ask, Ask) and _can_join(ask, []):
            group.append((index, ask))
        else:
            out.append(ask)
    close()
    return replace(asked, asks=tuple(out)) if changed else None


#: A fused kernel holds this many ops at most, as compilers bound register use.
MAX_FUSED = 24


def _can_join(ask: Ask, group: list[tuple[int, Ask]]) -> bool:
    if ask.phase == "optimizer" or len(ask.work.kernels) != 1:
        return False
    if ask.work.kernels[0].launches != 1:
        return False
    if not group:
        return ask.work.family in _FUSIBLE or ask.work.family in _HEADS
    first = group[0][1]
    followers = _EPILOGUE if first.work.family in _HEADS else _FUSIBLE
    if ask.work.family not in followers:
        return False
    if first.work.family in _HEADS and _result_numel(ask) != _result_numel(first):
        return False
    if first.phase != ask.phase or first.stream != ask.stream or len(group) >= MAX_FUSED:
        return False
    members = {n for _, a in group for n in a.allocations if n}
    return any(n in members for n in ask.allocations if n)


def _result_numel(ask: Ask) -> int:
    return max((t.numel for t in ask.call.results()), default=0)


def _fused(asked: Asked, group: list[tuple[int, Ask]]) -> Ask:
    """One kernel that reads what comes from outside and writes what is needed outside."""
    end = group[-1][0]
    made: set[int] = set()
    seen: dict[int, int] = {}
    read = written = 0
    for _, ask in group:
        inputs = list(ask.call.inputs())
        results = list(ask.call.results())
        ids = list(ask.allocations)
        unread = 1 if ask.call.name == "copy_" else 0
        reads = inputs if ask.work.kernels[0].read_bytes else []
        for tensor, n in list(zip(reads, ids, strict=False))[unread:]:
            if not tensor.on_host and n not in made and seen.get(n, 0) < tensor.bytes:
                read += tensor.bytes - seen.get(n, 0)
                seen[n] = tensor.bytes
        for tensor, n in zip(results, ids[len(inputs) :], strict=False):
            if n not in made:
                made.add(n)
                if asked.last_read.get(n, end + 1) > end:
                    written += tensor.bytes
    kernels = [ask.work.kernels[0] for _, ask in group]
    kernel = replace(
        kernels[0], lane_ops=sum(k.lane_ops for k in kernels),
        special_ops=sum(k.special_ops for k in kernels), read_bytes=read, write_bytes=written,
        dtype=kernels[-1].dtype,
    )  # fmt: skip
    last = group[-1][1]
    return replace(last, work=Work("fused", (kernel,)))
