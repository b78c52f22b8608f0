"""The calls of attention on one rank: products with queries, keys and values, scores, output."""

from __future__ import annotations

from suiren.fleet.ops import FP8
from suiren.fleet.part import Comm, Part, Task, again, chain
from suiren.fleet.share import Share
from suiren.fleet.written import norm, turned
from suiren.trace.call import Call, Tensor, Value


def attention(share: Share) -> Part:
    """Attention without its norm, its residual and the exchanges around it."""
    model, ops, how = share.model, share.ops, share.framework
    core = flash(share) if model.attention == "flash" else unfused(share)
    if share.recompute == "selective" and how.selects == "scores":
        core = again(core, _qkv_kept(share))
    own_bias = model.bias and not how.fused
    width = share.heads * model.value_head
    # fused attention keeps its result for its own backward pass: one tensor for both, unless the
    # product keeps it in a narrow format
    is_kept = model.attention == "flash" and not ops.is_narrow
    output = ops.linear(share.tokens, width, model.d_model, own_bias,
                        saved="" if is_kept else "attention output", accumulate=how.accumulate,
                        rank=how.other_rank)  # fmt: skip
    inward = latent(share) if model.kv_rank else projection(share)
    return chain([inward, head_norms(share), turned(share), core, output])


def projection(share: Share) -> Part:
    """Queries, keys and values from the input."""
    from suiren.fleet.block import input_gradient

    model, ops, how = share.model, share.ops, share.framework
    d, rows = model.d_model, share.tokens
    q, kv = share.heads * model.head, share.groups * model.head
    saved = (("attention input", ops.size(share.rows, d)),)
    if how.merged_qkv:
        n = q + 2 * kv
        one = ops.linear(rows, d, n, model.bias, beside=input_gradient(share),
                         accumulate=how.accumulate, rank=how.adapter_rank)  # fmt: skip
        # queries, keys and values are views of one result: their gradients are laid together
        joined = ops.call("aten::cat", ops.tensor(rows, n), out=(ops.tensor(rows, n),))
        return Part(one.forward, (joined, *one.backward), saved)
    parts = [ops.linear(rows, d, n, model.bias, accumulate=how.accumulate, rank=how.adapter_rank)
             for n in (q, kv, kv)]  # fmt: skip
    x = ops.tensor(rows, d)
    add = ops.call("aten::add", x, x, out=(x,))
    whole = chain(parts)
    return Part(whole.forward, (*whole.backward, add, add), saved)


def latent(share: Share) -> Part:
    """Queries, keys and values through their low-rank forms."""
    from suiren.fleet.block import input_gradient

    model, ops, rows = share.model, share.ops, share.tokens
    d, heads, add = model.d_model, share.heads, share.framework.accumulate
    q, kv = model.q_rank or d, model.kv_rank
    wide = heads * (model.head - model.rotary_dim + model.value_head)
    parts = []
    if model.q_rank:
        parts += [ops.linear(rows, d, q, accumulate=add), ops.norm(rows, q, True)]
    widen = chain([
        ops.linear(rows, q, heads * model.head, accumulate=add, beside=input_gradient(share)),
        ops.linear(rows, kv, wide, accumulate=add),
    ])  # fmt: skip
    parts += [ops.linear(rows, d, kv + model.rotary_dim, accumulate=add), ops.norm(rows, kv, True)]
    whole = chain([*parts, again(widen) if share.framework.recomputes_latent else widen])
    return Part(whole.forward, whole.backward, (("attention input", ops.size(share.rows, d)),))


def head_norms(share: Share) -> Part:
    """A norm over each head of queries and of keys (Qwen3 technical report, section 2)."""
    model = share.model
    if not model.head_norms:
        return Part()
    counts = (share.heads, share.groups)
    return chain(norm(share, share.tokens * n, model.head) for n in counts)


def _qkv_kept(share: Share) -> tuple[tuple[str, float], ...]:
    model = share.model
    width = (share.heads + share.groups) * model.head + share.groups * model.value_head
    return (("queries, keys, values", share.ops.size(share.tokens, width)),)


def unfused(share: Share) -> Part:
    """Scores in memory: two batched products around scale, mask, softmax and dropout."""
    model, ops = share.model, share.ops
    batch, s, keys = share.micro_batch * share.heads, share.seq, model.seq
    depth, wide = model.head, model.value_head
    scores, mask = ops.tensor(batch, s, keys), Tensor("b8", (batch, s, keys))
    kept = ops.size(batch, s, keys)
    first = Part(
        (ops.bmm(batch, s, depth, keys, "b"),),
        (ops.bmm(batch, s, keys, depth), ops.bmm(batch, keys, s, depth, "a")),
        _qkv_kept(share),
    )
    parts = [*_around(share), first, *_softmax(share, scores)]
    if model.dropout:
        parts.append(ops.stream(
            "aten::native_dropout", scores, out=(scores, mask), back=(scores, mask), grad=(scores,),
            name_back="aten::native_dropout_backward",
            saved=(("scores' dropout", float(mask.bytes)), ("scores after dropout", kept)),
        ))  # fmt: skip
    parts.append(Part(
        (ops.bmm(batch, s, keys, wide),),
        (ops.bmm(batch, s, wide, keys, "b"), ops.bmm(batch, keys, s, wide, "a")),
    ))  # fmt: skip
    result = ops.tensor(share.tokens, share.heads * wide)
    parts.append(Part((ops.call("aten::clone", result, out=(result,)),)))
    return chain(parts)


def _around(share: Share) -> list[Part]:
    """Queries, keys and values laid head by head where a framework does not read them in place."""
    if share.framework.merged_qkv and share.framework.fused:
        return []
    ops = share.ops
    one = ops.tensor(share.tokens, share.heads * share.model.head)
    copy = ops.call("aten::clone", one, out=(one,))
    return [Part((copy, copy, copy), (copy,))]


def _softmax(share: Share, scores: Tensor) -> list[Part]:
    model, ops = share.model, share.ops
    kept = (("scores", float(scores.bytes)),)
    batch, s, keys = scores.shape
    if share.framework.fused and batch % share.framework.softmax_rows:
        return _softmax_alone(share, scores)
    if share.framework.fused:
        # the causal kernel reads the half below the diagonal and writes zeros above it
        read = ops.tensor(batch, s, keys // 2 if model.causal else keys)
        return [ops.stream("megatron::_softmax", read, out=(scores,), back=(read, read),
                           grad=(scores,), name_back="megatron::_softmax_backward_data",
                           saved=kept)]  # fmt: skip
    scale = ops.stream("aten::div", scores, out=(scores,), back=(scores,), grad=(scores,))
    line = ops.tensor(1, s, keys)
    mask = Part((ops.call("aten::add", scores, line, out=(scores,)),))
    soft = ops.stream("aten::_softmax", scores, out=(scores,), back=(scores, scores),
                      grad=(scores,), name_back="aten::_softmax_backward_data",
                      saved=kept)  # fmt: skip
    return [scale, mask, soft]


def _softmax_alone(share: Share, scores: Tensor) -> list[Part]:
    """What Megatron does where its kernel cannot be used: in FP32, step by step."""
    ops, wide = share.ops, Tensor("f32", scores.shape)
    cast = ops.call("aten::_to_copy", scores, out=(wide,))
    back = ops.call("aten::_to_copy", wide, out=(scores,))
    scale = ops.stream("aten::mul", wide, out=(wide,), back=(wide,), grad=(wide,))
    mask = ops.stream("aten::masked_fill", wide, out=(wide,), back=(wide,), grad=(wide,))
    soft = ops.stream("aten::_softmax", wide, out=(wide,), back=(wide, wide), grad=(wide,),
                      name_back="aten::_softmax_backward_data",
                      saved=(("scores", float(wide.bytes)),))  # fmt: skip
    return [Part((cast,), (back,)), scale, mask, soft, Part((back,), (cast,))]


def flash(share: Share) -> Part:
    """Fused attention; a context parallel group passes keys and values around beside it."""
    model, ops = share.model, share.ops
    b, s = share.micro_batch, share.seq
    # each rank of a context group holds an early and a late piece, so that all have as much
    # below the diagonal: the same work as its queries against half of all keys; a window's
    # tokens are priced against as many keys as they see on average
    causal = model.causal and share.cp == 1 and not model.window
    keys = model.seq if causal or not model.causal else max(1, round(model.seen_keys))
    narrow = share.framework.attends_narrow and ops.is_narrow
    dtype = FP8 if narrow else ops.dtype
    q = Tensor(dtype, (b, share.heads, s, model.head))
    k = Tensor(dtype, (b, share.groups, keys, model.head))
    v = Tensor(dtype, (b, share.groups, keys, model.value_head))
    out = Tensor(ops.dtype, (b, share.heads, s, model.value_head))
    stats = Tensor("f32", (b, share.heads, s))
    name = "aten::_scaled_dot_product_fused_attention_overrideable"
    head: dict[str, Value] = {"query": q, "key": k, "value": v}
    forward: list[Task] = [Call(name, {**head, "is_causal": causal}, (out, stats))]
    back: dict[str, Value] = {
        "grad_out": out,
        **head,
        "out": out,
        "logsumexp": stats,
        "is_causal": causal,
    }
    grads = tuple(Tensor(ops.dtype, t.shape) for t in (q, k, v))
    backward: list[Task] = [Call(name + "_backward", back, grads)]
    if narrow:
        casts = [ops.call("aten::clone", Tensor(ops.dtype, t.shape), out=(t,)) for t in (q, k, v)]
        forward[:0] = casts
        backward.insert(0, ops.call("aten::clone", out, out=(Tensor(FP8, out.shape),)))
    if share.cp > 1:
        size = float(grads[1].bytes + grads[2].bytes) * model.seq / keys
        forward.insert(0, Comm("all_gather", size, "cp", 1))
        backward.insert(0, Comm("all_gather", 2 * size, "cp", 1))
        # keys come round piece by piece; what each piece gives is added to the others'
        piece = ops.tensor(b, share.groups, s, model.head + model.value_head)
        forward += [ops.call("aten::add", out, out, out=(out,))] * (share.cp - 1)
        backward += [ops.call("aten::add", q, q, out=(q,)),
                     ops.call("aten::add", piece, piece, out=(piece,))] * (share.cp - 1)
    kept = (*_qkv_kept(share), ("attention output", float(out.bytes)),
            ("softmax sums", float(stats.bytes)))  # fmt: skip
    return Part(tuple(forward), tuple(backward), kept)
