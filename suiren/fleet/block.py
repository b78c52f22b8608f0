"""The calls of one layer on one rank, forward and backward, and the collectives between them."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from suiren.fleet.attention import attention
from suiren.fleet.mixture import mixture
from suiren.fleet.ops import Ops
from suiren.fleet.part import PRODUCTS, Comm, Part, Task, again, captured, chain
from suiren.fleet.selected import selected
from suiren.fleet.share import Share
from suiren.fleet.written import gated, norm
from suiren.trace.call import Call, Tensor


@lru_cache(maxsize=4096)
def layer(share: Share, experts: bool = False, cross: bool = False) -> Part:
    """One layer; `experts`: a mixture; `cross`: it attends to an encoder too."""
    model, ops, rows = share.model, share.ops, share.rows
    d = model.d_model
    if share.framework.source is not None:
        return recomputed(share.framework.source.layer(share, experts, cross), share)
    graphs = share.framework.graphs
    parts = [norm(share, rows, d), enter(share), attention(share), leave(share), rest(share)]
    parts = [captured(chain(parts))] if "attn" in graphs else parts
    if cross:
        parts += parts
    parts += [norm(share, rows, d)]
    dense = [enter(share), mlp(share), leave(share)]
    dense = [captured(chain(dense))] if "mlp" in graphs else dense
    parts += [mixture(share)] if experts else dense
    whole = chain([*parts, rest(share)])
    if share.recompute == "full":
        return again(whole, (("layer input", ops.size(rows, d)),))
    if share.recompute == "selective" and share.framework.selects == "products":
        return selected(whole, share)
    return whole


def recomputed(whole: Part, share: Share) -> Part:
    """A traced layer with what the layout computes again before backward.

    `selective`: results of products and of attention, and sums over tensor parallel ranks, are
    kept, as PyTorch's selective checkpoint keeps them, whether or not backward reads them;
    everything else is computed again, gathers included. PyTorch stops computing again once
    backward has all it reads, so the layer's last product never runs twice.
    """
    size = share.ops.size(share.rows, share.model.d_model)
    if share.recompute == "full":
        back = (*_read_later(whole.forward), *whole.backward)
        return Part(whole.forward, back, (("layer input", size),), whole.working_bytes)
    if share.recompute == "none":
        return whole
    repeated = tuple(t for t in _read_later(whole.forward) if not _is_kept(t))
    results = (_result(t, share.tp) for t in whole.forward if _is_kept(t))
    read = sum(size for name, size in whole.saved if name not in DEAR)
    return Part(whole.forward, (*repeated, *whole.backward), (("layer input", size), *results),
                whole.working_bytes + read)  # fmt: skip


#: Kept tensors of a traced part that selective recomputation does not compute again.
DEAR = ("product", "attention")


def _is_kept(task: Task) -> bool:
    """Whether a task is a product, fused attention or a sum over ranks."""
    if isinstance(task, Comm):
        return task.op in ("all_reduce", "reduce_scatter")
    return task.name in PRODUCTS or "attention" in task.name


def _read_later(forward: tuple[Task, ...]) -> tuple[Task, ...]:
    """A forward pass without a last product and its sums, whose results only the next layer reads.

    Where anything else follows, such as a norm, all of it is needed.
    """
    for end in range(len(forward) - 1, -1, -1):
        task = forward[end]
        if isinstance(task, Call) and task.name in ("mm", "addmm"):
            return forward[:end]
        if not (isinstance(task, Call) and task.name == "add") and not _is_kept(task):
            break
    return forward


def _result(task: Task, tp: int) -> tuple[str, float]:
    """What a task leaves, with its bytes."""
    if isinstance(task, Comm):
        return "sum", task.size_bytes / (tp if task.op == "reduce_scatter" else 1)
    name = "attention" if "attention" in task.name else "product"
    return name, float(sum(t.bytes for t in task.results()))


def enter(share: Share) -> Part:
    """What a tensor parallel group exchanges before a column-split product.

    The exchange of the input's gradient stands with the product (`input_gradient`) where it runs
    beside the weight's.
    """
    if share.tp == 1:
        return Part()
    size = share.stream_bytes
    if share.sequence_parallel:
        beside = int(share.overlap_tensor)
        forward = (Comm("all_gather", size, "tp", beside),)
        return Part(forward, () if is_async(share) else (Comm("reduce_scatter", size, "tp"),))
    return Part((), () if is_async(share) else (Comm("all_reduce", size, "tp"),))


def leave(share: Share) -> Part:
    """What the group exchanges after a row-split product."""
    if share.tp == 1:
        return Part()
    size = share.stream_bytes
    if share.sequence_parallel:
        beside = int(share.overlap_tensor)
        return Part(
            (Comm("reduce_scatter", size, "tp", -beside),),
            (Comm("all_gather", size, "tp", beside),),
        )
    return Part((Comm("all_reduce", size, "tp"),))


def is_async(share: Share) -> bool:
    """Whether an input's gradient is exchanged beside the product of the weight's gradient."""
    return share.tp > 1 and share.framework.async_input_gradient


def input_gradient(share: Share) -> tuple[Task, ...]:
    """The exchanges that run beside the weight's gradient of a column-split product."""
    if not is_async(share):
        return ()
    size = share.stream_bytes
    if share.sequence_parallel:  # the input was not kept whole: it is gathered once more
        return (Comm("all_gather", size, "tp", -1), Comm("reduce_scatter", size, "tp", 1))
    return (Comm("all_reduce", size, "tp", 1),)


def rest(share: Share) -> Part:
    """Bias, dropout and the residual after a part."""
    model, ops = share.model, share.ops
    x = ops.tensor(share.rows, model.d_model)
    bias = (ops.tensor(model.d_model),) if model.bias else ()
    if not model.dropout:
        return ops.stream("aten::add", x, *bias, x, out=(x,), back=(x, x), grad=(x,))
    mask = Tensor("b8", x.shape)
    kept = (("dropout mask", float(mask.bytes)),)
    if share.framework.fused:
        backward: list[Task] = [ops.call("jit::native_dropout_backward", x, mask, out=(x,))]
        if model.bias:
            backward.append(ops.call("aten::sum", x, out=bias))
        joined = ops.call("jit::native_dropout", x, *bias, x, out=(x, mask))
        added = ops.call("aten::add", x, x, out=(x,))
        return Part((joined,), (*backward, added), kept)
    drop = ops.stream("aten::native_dropout", x, out=(x, mask), back=(x, mask), grad=(x,),
                      name_back="aten::native_dropout_backward", saved=kept)  # fmt: skip
    return chain([drop, ops.stream("aten::add", x, x, out=(x,), back=(x, x), grad=(x,))])


def mlp(share: Share) -> Part:
    """The feed-forward part."""
    width = share.model.d_ff // share.tp
    return feed_forward(share, share.tokens, width, enters=share.tp > 1)


def feed_forward(share: Share, rows: int, width: int, enters: bool = False) -> Part:
    """Two or three products around an activation, `rows` tokens wide."""
    model, ops, how = share.model, share.ops, share.framework
    d, wide = model.d_model, width * (2 if model.gated else 1)
    own_bias = model.bias and not how.fused
    split = share.sequence_parallel and enters
    first = ops.linear(
        rows, d, wide, own_bias, saved="" if split else "feed-forward input",
        beside=input_gradient(share) if enters else (), accumulate=how.accumulate,
        rank=how.other_rank,
    )  # fmt: skip
    if split:
        kept = ("feed-forward input", ops.size(share.rows, d))
        first = Part(first.forward, first.backward, (*first.saved, kept))
    second = ops.linear(rows, width, d, own_bias, saved="activation output",
                        accumulate=how.accumulate, rank=how.other_rank)  # fmt: skip
    return chain([first, activation(share, rows, width), second])


def activation(share: Share, rows: int, width: int) -> Part:
    """The activation between the products."""
    model, ops = share.model, share.ops
    out = ops.tensor(rows, width)
    kept = (("activation input", ops.size(rows, width * (2 if model.gated else 1))),)
    if model.gated:
        return gated(share, rows, width)
    if model.activation == "tanh" and not share.framework.fused:
        return _by_tanh(ops, out, kept)
    bias = (ops.tensor(width),) if model.bias and share.framework.fused else ()
    part = ops.stream("aten::gelu", out, *bias, out=(out,), back=(out, out, *bias), grad=(out,),
                      name_back="aten::gelu_backward", saved=kept)  # fmt: skip
    if not bias:
        return part
    return Part(part.forward, (*part.backward, ops.call("aten::sum", out, out=bias)), part.saved)


def _by_tanh(ops: Ops, x: Tensor, kept: tuple[tuple[str, float], ...]) -> Part:
    """0.5 x (1 + tanh(c (x + a x^3))) op by op, as GPT-2's module writes it."""
    one, two, add = ("aten::mul", x), ("aten::mul", x, x), ("aten::add", x, x)
    power, back = ("aten::pow", x), ("aten::tanh_backward", x, x)
    forward: list[tuple[Any, ...]] = [power, one, add, one, ("aten::tanh", x), ("aten::add", x),
                                      one, two]  # fmt: skip
    backward: list[tuple[Any, ...]] = [two, two, one, back, one, power, one, two, one, add, add]
    return Part(
        tuple(ops.call(name, *inputs, out=(x,)) for name, *inputs in forward),
        tuple(ops.call(name, *inputs, out=(x,)) for name, *inputs in backward),
        tuple((name, 3 * size) for name, size in kept),
    )
