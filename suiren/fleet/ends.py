"""The calls of what stands around the layers: embedding, head and loss, optimizer."""

from __future__ import annotations

from functools import lru_cache

from suiren.fleet.block import input_gradient, is_async, layer
from suiren.fleet.framework import Framework
from suiren.fleet.ops import Ops
from suiren.fleet.part import Comm, Part, Task, chain
from suiren.fleet.share import Share
from suiren.trace.call import Call, Tensor, Value


@lru_cache(maxsize=1024)
def embedding(share: Share) -> Part:
    """Tokens looked up, positions added, dropout; a vocabulary split over tp is summed."""
    if share.framework.source is not None:
        return share.framework.source.embedding(share)
    model, ops, rows = share.model, share.ops, share.tokens
    x, table = ops.tensor(rows, model.d_model), ops.tensor(share.vocab, model.d_model)
    ids = Tensor("i64", (rows,))
    look = Call("aten::embedding", {"weight": table, "indices": ids}, (x,))
    back = Call("aten::embedding_dense_backward", {"grad_output": x, "indices": ids}, (table,))
    parts = [Part((look,), (back,))]
    if share.tp > 1:
        mask = Tensor("b8", (rows,))
        small = ops.call("aten::lt", ids, out=(mask,))
        parts.append(Part((small, small), ()))
        parts.append(ops.exchange("all_reduce", "", share.stream_bytes, "tp"))
    if model.positions == "learned":
        parts.append(ops.stream("aten::add", x, x, out=(x,), back=(x,), grad=(x,)))
    out = ops.tensor(share.rows, model.d_model)
    if model.dropout:
        drop = Tensor("b8", out.shape)
        parts.append(ops.stream("aten::native_dropout", out, out=(out, drop), back=(out, drop),
                                grad=(out,), name_back="aten::native_dropout_backward",
                                saved=(("dropout mask", float(drop.bytes)),)))  # fmt: skip
    return chain(parts)


@lru_cache(maxsize=1024)
def head(share: Share) -> Part:
    """Last norm, logits and the cross entropy over a vocabulary split over tp."""
    if share.framework.source is not None:
        return share.framework.source.head(share)
    model, ops, rows = share.model, share.ops, share.tokens
    d = model.d_model
    beside = input_gradient(share) if is_async(share) else ()
    # frameworks that multiply in narrow formats leave the head in the activations'
    plain = Ops(ops.dtype, ops.dtype) if ops.is_narrow else ops
    accumulate = "frozen" if share.framework.accumulate == "frozen" else "none"
    product = plain.linear(rows, d, share.vocab, saved="head input", beside=beside,
                           accumulate=accumulate)  # fmt: skip
    around = [ops.norm(share.rows, d, model.norm == "rms")]
    if share.tp > 1 and not is_async(share):
        around.append(ops.exchange("", "all_reduce", share.stream_bytes, "tp"))
    return chain([*around, product, loss(share)])


@lru_cache(maxsize=1024)
def ending(share: Share) -> Part:
    """The head, and where a model predicts further tokens a layer and a head more for each.

    Such a layer joins the last hidden state with the next token's embedding by a product
    (DeepSeek-V3 technical report, section 2.2).
    """
    model = share.model
    parts = [head(share)]
    for _ in range(model.more_predicted):
        join = share.ops.linear(share.tokens, 2 * model.d_model, model.d_model,
                                accumulate=share.framework.accumulate)  # fmt: skip
        norm = share.ops.norm(share.rows, model.d_model, model.norm == "rms")
        parts += [norm, norm, join, layer(share, model.experts > 0), head(share)]
    return chain(parts)


def loss(share: Share) -> Part:
    """The cross entropy, FP32 unless the framework's kernel reads the logits as they are."""
    ops, rows = share.ops, share.tokens
    half = share.framework.loss == "half"
    logits = ops.tensor(rows, share.vocab)
    wide = logits if half else Tensor("f32", logits.shape)
    line = Tensor(wide.dtype, (rows,))
    sums = (Comm("all_reduce", line.bytes, "tp"),) if share.tp > 1 else ()
    if share.framework.loss == "fused":
        first = ops.call("te::_log_softmax", logits, out=(line,))
        second = ops.call("te::mul", logits, line, out=(logits,))
        return Part((first, *sums, second), (ops.call("te::mul", logits, out=(logits,)),),
                    (("logits", float(logits.bytes)),))  # fmt: skip
    forward: list[Task] = []
    if logits.dtype != wide.dtype:
        forward.append(ops.call("aten::_to_copy", logits, out=(wide,)))
    forward += [ops.call("aten::amax", wide, out=(line,)), *sums,
                ops.call("aten::sub", wide, line, out=(wide,)), *sums,
                ops.call("aten::exp", wide, out=(wide,)), ops.call("aten::sum", wide, out=(line,)),
                *sums, ops.call("aten::div", wide, line, out=(wide,))]  # fmt: skip
    backward: list[Task] = [ops.call("aten::mul", wide, line, out=(wide,))]
    if logits.dtype != wide.dtype:
        backward.append(ops.call("aten::_to_copy", wide, out=(logits,)))
    kept = (("logits", float(logits.bytes)), ("softmax of logits", 2.0 * wide.bytes))
    return Part(tuple(forward), tuple(backward), kept)


def optimizer(how: Framework, params: float, dtype: str) -> tuple[Task, ...]:
    """What a rank's optimizer issues for its weights, and the cost of keeping them in `dtype`."""
    n = max(1, round(params))
    ops = Ops(dtype, dtype)
    full, half = Tensor("f32", (n,)), ops.tensor(n)
    gradient = full if how.fp32_gradients or how.optimizer == "megatron" else half
    arguments: dict[str, Value] = {"self": (full,), "grads": (gradient,), "exp_avgs": (full,),
                                   "exp_avg_sqs": (full,)}  # fmt: skip
    adam = Call("aten::_fused_adamw_", arguments, ())
    back = ops.call("aten::_to_copy", full, out=(half,))
    if how.optimizer == "none":
        return ()
    if how.optimizer == "fused" or dtype == "f32":
        # the kernel writes the weights' short form itself
        return (adam, ops.call("aten::fill", out=(half,))) if dtype != "f32" else (adam,)
    checked: list[Task] = []
    if not how.fp32_gradients:
        checked.append(ops.call("aten::_to_copy", half, out=(full,)))
    checked += [
        Call("aten::_amp_foreach_non_finite_check_and_unscale_", {"self": (full,)}, ()),
        ops.call("aten::linalg_vector_norm", full, out=(Tensor("f32", ()),)),
        Call("aten::_foreach_mul_", {"self": (full,)}, ()),
    ]  # fmt: skip
    return (*checked, adam, back)
