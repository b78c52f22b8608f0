"""The calls of a mixture of experts on one rank; tokens are spread evenly over the experts."""

from __future__ import annotations

from dataclasses import replace

from suiren.fleet.ops import Ops
from suiren.fleet.part import Comm, Part, Task, captured, chain
from suiren.fleet.share import Share
from suiren.trace.call import Call, Tensor, Value


def mixture(share: Share) -> Part:
    """Routing, exchange, the experts of this rank, exchange back, and the shared expert."""
    model = share.model
    tokens = share.rows if share.ep > 1 and share.sequence_parallel else share.tokens
    rows = tokens * model.top_k
    local = max(1, model.experts // share.ep)
    there = _exchange(share, share.ops.size(rows, model.d_model))
    route = _route(share, tokens)
    if "router" in share.framework.graphs:
        route = captured(route)
    parts = [route, _sort(share, tokens, rows), there,
             _experts(share, local, rows), there, _gather_back(share, tokens, rows)]  # fmt: skip
    if model.shared_d_ff:
        from suiren.fleet.block import feed_forward

        parts.append(feed_forward(share, tokens, model.shared_d_ff // share.expert_tp))
    return chain(parts)


def _exchange(share: Share, size_bytes: float) -> Part:
    if share.ep == 1:
        return Part()
    copies = share.model.top_k if share.distinct_tokens else 0
    one = (Comm("all_to_all", size_bytes, "ep", copies=copies),)
    return Part(one, one)


def _route(share: Share, tokens: int) -> Part:
    """Scores of every expert in FP32, the best of them, and their weights."""
    model = share.model
    full = Ops("f32", "f32")
    scores = full.tensor(tokens, model.experts)
    best = full.tensor(tokens, model.top_k)
    choice = Tensor("i64", best.shape)
    first = full.linear(tokens, model.d_model, model.experts, accumulate="none")
    soft = full.stream("aten::_softmax", scores, out=(scores,), back=(scores, scores),
                       grad=(scores,), name_back="aten::_softmax_backward_data")  # fmt: skip
    top = Part((full.call("aten::topk", scores, out=(best, choice)),),
               (full.call("aten::copy", best, out=(scores,)),))  # fmt: skip
    counts = Part((full.call("aten::sum", Tensor("b8", scores.shape),
                             out=(Tensor("i64", (model.experts,)),)),))  # fmt: skip
    return chain([first, soft, top, counts])


def _sort(share: Share, tokens: int, rows: int) -> Part:
    """Every token once for each of its experts, in their order."""
    ops, d = share.ops, share.model.d_model
    few, many = ops.tensor(tokens, d), ops.tensor(rows, d)
    return ops.stream("aten::clone", many, out=(many,), back=(many,), grad=(few,),
                      saved=(("order", rows * 8.0),))  # fmt: skip


def _gather_back(share: Share, tokens: int, rows: int) -> Part:
    """The experts' results, added up; weighted here unless their activation did so."""
    ops, d = share.ops, share.model.d_model
    few, many = ops.tensor(tokens, d), ops.tensor(rows, d)
    if share.framework.weighs_early:
        return ops.stream("aten::sum", many, out=(few,), back=(few,), grad=(many,),
                          name_back="aten::copy")  # fmt: skip
    return ops.stream("aten::mul", many, out=(few,), back=(few, many), grad=(many,),
                      saved=(("expert results", ops.size(rows, d)),))  # fmt: skip


def _experts(share: Share, local: int, rows: int) -> Part:
    """The products of all experts of this rank, one kernel for all, and their activation."""
    from suiren.fleet.block import activation

    model, ops = share.model, share.ops
    width = (model.expert_d_ff or model.d_ff) // share.expert_tp
    # tokens of an expert are padded to blocks (TransformerEngine's `Fp8Padding`: 16, 32 for MXFP8)
    grain = 32 if ops.is_narrow else 8
    each = -(-max(1, rows // local) // grain) * grain
    learns = share.framework.accumulate != "frozen"
    first = _grouped(ops, local, each, model.d_model, width * (2 if model.gated else 1), learns)
    second = _grouped(ops, local, each, width, model.d_model, learns)
    whole = chain([first, activation(share, rows, width), second])
    if share.framework.expert_kernels:
        whole = replace(whole, more_issued=_expert_by_expert(ops, local))
    if share.expert_tp == 1 or share.ep > 1:
        return whole
    reduce = Comm("all_reduce", ops.size(rows, model.d_model), "tp")
    return replace(whole, forward=(*whole.forward, reduce), backward=(*whole.backward, reduce))


def _expert_by_expert(ops: Ops, local: int) -> tuple[float, float]:
    """Kernels of two grouped layers beyond the one a task: a product and a cast for each expert.

    TransformerEngine, pytorch/csrc/extensions/gemm.cpp and cast.cpp: `nvte_multi_tensor_gemm`
    runs a product an expert on several streams; only delayed scaling casts all of them at once.
    """
    casts = (2 if ops.looks_first else 1) if ops.is_narrow else 0
    return 2.0 * (1 + casts) * (local - 1), 2.0 * (2 + casts) * (local - 1)


def _grouped(ops: Ops, local: int, each: int, k: int, n: int, learns: bool) -> Part:
    dtype = ops.taken

    def product(m: int, depth: int, wide: int) -> Task:
        arguments: dict[str, Value] = {"self": Tensor(dtype, (local, m, depth)),
                                       "mat2": Tensor(dtype, (local, depth, wide))}  # fmt: skip
        return Call("aten::bmm", arguments, (ops.tensor(local, m, wide),))

    forward, backward = [product(each, k, n)], [product(each, n, k)]
    if learns:
        backward.append(product(n, each, k))
    if ops.is_narrow:
        forward[:0] = ops.quantised(local * each, k)
        backward[:0] = ops.quantised(local * each, n)
    kept = (("expert input", ops.input_bytes(local * each, k)),)
    return Part(tuple(forward), tuple(backward), kept)
