"""Norms, rotary positions and gates as a framework writes them: a kernel each, or op by op."""

from __future__ import annotations

from suiren.fleet.part import Part, chain
from suiren.fleet.share import Share
from suiren.trace.call import Tensor


def norm(share: Share, rows: int, width: int) -> Part:
    """A norm over rows of `width`; RMSNorm in FP32 step by step where nothing joins it.

    Its plain form is the composite of ATen (`rms_norm_composite`), and what transformers' modules
    write: to FP32, square, mean, root, scaled, back, times the weight.
    """
    ops, rms = share.ops, share.model.norm == "rms"
    how = share.framework
    if how.written == "joined" or how.joins_norms or not rms:
        return ops.norm(rows, width, rms)
    x, weight, line = ops.tensor(rows, width), ops.tensor(width), Tensor("f32", (rows, 1))
    wide = Tensor("f32", x.shape)
    up = ops.call("aten::_to_copy", x, out=(wide,))
    down = ops.call("aten::_to_copy", wide, out=(x,))
    one = ops.call("aten::mul", wide, out=(wide,))
    scaled = ops.call("aten::mul", wide, line, out=(wide,))
    small = ops.call("aten::rsqrt", line, out=(line,))
    summed = ops.call("aten::mean", wide, out=(line,))
    weighed = ops.call("aten::mul", x, weight, out=(x,))
    two = ops.call("aten::mul", wide, wide, out=(wide,))
    added = ops.call("aten::add", wide, wide, out=(wide,))
    of_weight = ops.call("aten::sum", x, out=(weight,))
    forward = (up, one, summed, small, scaled, down, weighed)
    # the product with the weight, the scale, its root, the square, then the sum of both ways
    backward = (weighed, ops.call("aten::mul", x, x, out=(x,)), of_weight, up, scaled, two,
                summed, small, scaled, two, added, down)  # fmt: skip
    return Part(forward, backward, (("norm in FP32", float(wide.bytes)),
                                    ("norm before its weight", float(x.bytes))))  # fmt: skip


def turned(share: Share) -> Part:
    """Rotary positions of queries and keys."""
    model, ops = share.model, share.ops
    if model.positions != "rotary":
        return Part()
    width = model.rotary_dim or model.head
    q = ops.tensor(share.tokens, share.heads * width)
    k = ops.tensor(share.tokens, (share.groups if not model.kv_rank else 1) * width)
    angles = Tensor("f32", (share.seq, width))
    parts = [_turned(share, t, angles) for t in (q, k)]
    if model.kv_rank:  # the turned part is laid beside the rest
        whole = ops.tensor(share.tokens, share.heads * model.head)
        parts += [ops.stream("aten::cat", whole, out=(whole,), back=(whole,), grad=(whole,))] * 2
    return chain(parts)


def _turned(share: Share, x: Tensor, angles: Tensor) -> Part:
    ops, written = share.ops, share.framework.written
    if written == "complex":  # FP32 pairs, times a complex number each, back
        wide = Tensor("f32", x.shape)
        calls = (ops.call("aten::_to_copy", x, out=(wide,)),
                 ops.call("aten::mul", wide, angles, out=(wide,)),
                 ops.call("aten::_to_copy", wide, out=(x,)))  # fmt: skip
        return Part(calls, calls)
    if written == "halves":  # x cos + (-second half, first half) sin
        half = Tensor(x.dtype, (x.shape[0], x.shape[1] // 2))
        times = ops.call("aten::mul", x, angles, out=(x,))
        minus = ops.call("aten::neg", half, out=(half,))
        laid = ops.call("aten::cat", half, half, out=(x,))
        added = ops.call("aten::add", x, x, out=(x,))
        forward = (times, minus, laid, times, added)
        # halves of a gradient are laid into zeros of the whole, twice
        return Part(forward, (times, laid, laid, added, minus, times, added))
    return ops.stream("te::mul", x, angles, out=(x,), back=(x, angles), grad=(x,))


def gated(share: Share, rows: int, width: int) -> Part:
    """silu(first half) x second half, as one kernel or as two."""
    ops = share.ops
    out, both = ops.tensor(rows, width), ops.tensor(rows, 2 * width)
    kept = (("activation input", float(both.bytes)),)
    if share.framework.written == "joined":
        return ops.stream("te::glu", both, out=(out,), back=(out, both), grad=(both,),
                          name_back="te::glu_backward", saved=kept)  # fmt: skip
    times = ops.call("aten::mul", out, out, out=(out,))
    forward = (ops.call("aten::silu", out, out=(out,)), times)
    backward = (times, times, ops.call("aten::silu_backward", out, out, out=(out,)))
    return Part(forward, backward, (*kept, ("activation before its gate", float(out.bytes))))
