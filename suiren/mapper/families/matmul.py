"""Matrix products: mm, addmm, bmm and their relatives."""

from __future__ import annotations

from suiren.mapper.work import WIDE_BYTES, Kernel, Product, Work
from suiren.trace.call import Call, Tensor

OPS = frozenset(
    """
mm addmm bmm baddbmm addbmm mv addmv dot vdot matmul linear _addmm_activation addr ger
_grouped_mm
""".split()
)


def work(call: Call) -> Work:
    """One product; a bias is read and added in the epilogue."""
    a, b, bias = _operands(call)
    batch, m, k = _three(a)
    n = b.shape[-1] if len(b.shape) > 1 else 1
    if call.name.rstrip("_") in ("ger", "addr"):  # an outer product
        m, n, k = a.numel, b.numel, 1
    result = next(iter(call.results()), None)
    c_bytes = result.bytes if result is not None else 0
    product = Product(batch, m, n, k, a.dtype, "math" in call.arguments, a.bytes, b.bytes, c_bytes,
                      out=result.dtype if result is not None else "",
                      grain_bytes=min(map(_grain_bytes, (a, b, *call.results()))))  # fmt: skip
    bias_bytes = bias.bytes if bias is not None else 0
    lane_ops = batch * m * n if bias is not None else 0
    return Work("matmul", (Kernel(product, lane_ops, 0, a.bytes + b.bytes + bias_bytes, c_bytes,
                                  dtype=a.dtype),))  # fmt: skip


def _operands(call: Call) -> tuple[Tensor, Tensor, Tensor | None]:
    tensors = list(call.inputs())
    if call.name.rstrip("_") in (
        "addmm",
        "baddbmm",
        "addbmm",
        "_addmm_activation",
        "addmv",
        "addr",
    ):
        return tensors[1], tensors[2], tensors[0]
    if call.name == "linear":
        weight = tensors[1]
        turned = Tensor(weight.dtype, (weight.shape[1], weight.shape[0]))
        return tensors[0], turned, tensors[2] if len(tensors) > 2 else None
    return tensors[0], tensors[1], None


def row_of(t: Tensor) -> int:
    """Elements from one row of a matrix to the next; 0 for what is none."""
    if len(t.shape) < 2:
        return 0
    return max(t.strides[-2:]) if t.strides else t.shape[-1]


def _grain_bytes(t: Tensor) -> int:
    """The largest power of two, 16 at most, at a multiple of which every row starts."""
    row_bytes = row_of(t) * t.itemsize_bytes
    return min(WIDE_BYTES, row_bytes & -row_bytes) or WIDE_BYTES


def _three(a: Tensor) -> tuple[int, int, int]:
    if len(a.shape) == 1:
        return 1, 1, a.shape[0]
    if len(a.shape) == 2:
        return 1, a.shape[0], a.shape[1]
    batch = 1
    for n in a.shape[:-2]:
        batch *= n
    return batch, a.shape[-2], a.shape[-1]
