"""Fused attention: two products forward, five backward, scores never leave the core.

Causal attention skips the half of the scores above the diagonal.
"""

from __future__ import annotations

from suiren.mapper.attend import Attention
from suiren.mapper.work import Kernel, Product, Work
from suiren.trace.call import Call

OPS = frozenset(
    """
_scaled_dot_product_fused_attention_overrideable
_scaled_dot_product_fused_attention_overrideable_backward
""".split()
)


def work(call: Call) -> Work:
    """One kernel; keys and values are read once, and rows of queries keep their softmax."""
    backward = call.name.endswith("_backward")
    q, k = call.tensor("query"), call.tensor("key")
    rows, keys = q.shape[2], k.shape[2]
    causal = call.arguments.get("is_causal") is True
    share = _causal_share(rows, keys) if causal else 1.0
    # Q·K and P·V forward; those and the gradients of Q, K and V backward
    depth, value_depth = q.shape[3], call.tensor("value").shape[3]
    inner = 3 * depth + 2 * value_depth if backward else depth + value_depth
    scores = round(q.shape[0] * q.shape[1] * rows * keys * share)
    product = Product(
        q.shape[0] * q.shape[1], rows, keys, inner, q.dtype, "math" in call.arguments,
        q.bytes, 2 * k.bytes, q.bytes, share,
    )  # fmt: skip
    read = sum(t.bytes for t in call.inputs() if not t.on_host)
    written = sum(t.bytes for t in call.results() if not t.on_host)
    # scale, mask, running maximum and sum, rescale: about eight lane operations a score
    shape = Attention(
        q.shape[0], q.shape[1], k.shape[1], rows, keys, depth, value_depth,
        "tf32" if "math" in call.arguments else q.dtype, q.dtype, causal,
    )  # fmt: skip
    kernel = Kernel(product, 8.0 * scores, scores, read, written, dtype=q.dtype, attention=shape,
                    backward=backward)  # fmt: skip
    return Work("attention", (kernel,))


def recomputed_share(call: Call) -> float:
    """Part of the op's FLOP that computes scores a second time: hardware FLOP, not model FLOP."""
    if call.name not in OPS or not call.name.endswith("_backward"):
        return 0.0
    depth, value_depth = call.tensor("query").shape[3], call.tensor("value").shape[3]
    return depth / (3 * depth + 2 * value_depth)


def _causal_share(rows: int, keys: int) -> float:
    """Share of the score matrix on or below the diagonal that starts at its upper left corner."""
    square = min(rows, keys)
    kept = square * (square + 1) // 2 + max(0, rows - keys) * keys
    return kept / (rows * keys) if rows and keys else 1.0
