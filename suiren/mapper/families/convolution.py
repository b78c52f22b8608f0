"""Convolutions as implicit matrix products, forward and backward.

Forward: [N·out, Cin/g·window] × [Cin/g·window, Cout/g] for each of g groups. Backward is
two such products: one for the input, one for the weight.
"""

from __future__ import annotations

from math import prod

from suiren.mapper.work import Kernel, Product, Work
from suiren.trace.call import Call, Tensor

OPS = frozenset(
    """
convolution convolution_overrideable _convolution cudnn_convolution convolution_backward
convolution_backward_overrideable conv2d conv1d conv3d
""".split()
)


def work(call: Call) -> Work:
    """One product forward, one per requested gradient backward."""
    if "backward" in call.name:
        return _backward(call)
    tensors = list(call.inputs())
    x, w = tensors[0], tensors[1]
    y = next(iter(call.results()))
    bias = sum(t.bytes for t in tensors[2:3])
    product = _forward(call, x, w, y)
    lanes = y.numel if bias else 0
    return Work("convolution", (Kernel(product, lanes, 0, x.bytes + w.bytes + bias, y.bytes,
                                       dtype=x.dtype),))  # fmt: skip


def _groups(call: Call) -> int:
    groups = call.arguments.get("groups")
    return groups if isinstance(groups, int) and groups > 0 else 1


def _forward(call: Call, x: Tensor, w: Tensor, y: Tensor) -> Product:
    groups = _groups(call)
    window = prod(w.shape[2:])
    tf32 = "math" in call.arguments
    if call.arguments.get("transposed") is True:  # the gradient of a convolution, by its input
        m, n, k = x.shape[0] * prod(x.shape[2:]), w.shape[1] * window, w.shape[0] // groups
    else:
        m, n, k = y.shape[0] * prod(y.shape[2:]), w.shape[0] // groups, w.shape[1] * window
    return Product(groups, m, n, k, x.dtype, tf32, x.bytes, w.bytes, y.bytes)


def _backward(call: Call) -> Work:
    tensors = list(call.inputs())
    gy, x, w = tensors[0], tensors[1], tensors[2]
    mask = call.arguments.get("output_mask")
    wants = [bool(v) for v in mask] if isinstance(mask, tuple) else [True, True, False]
    forward = _forward(call, x, w, gy)
    kernels: list[Kernel] = []
    if wants[0]:
        product = Product(forward.batch, forward.m, forward.k, forward.n, x.dtype, forward.tf32,
                          gy.bytes, w.bytes, x.bytes)  # fmt: skip
        kernels.append(Kernel(product, 0, 0, gy.bytes + w.bytes, x.bytes, dtype=x.dtype))
    if wants[1]:
        product = Product(forward.batch, forward.n, forward.k, forward.m, x.dtype, forward.tf32,
                          gy.bytes, x.bytes, w.bytes)  # fmt: skip
        kernels.append(Kernel(product, 0, 0, gy.bytes + x.bytes, w.bytes, dtype=x.dtype))
    if len(wants) > 2 and wants[2]:
        channels = gy.shape[1] if len(gy.shape) > 1 else 1
        kernels.append(
            Kernel(None, gy.numel, 0, gy.bytes, channels * gy.itemsize_bytes, dtype=gy.dtype)
        )
    return Work("convolution", tuple(kernels))
