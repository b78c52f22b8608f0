"""Convolutions as implicit matrix products, forward and backward.

Forward: [N·out, Cin/g·window] × [Cin/g·window, Cout/g] for each of g groups. Backward is
two such products: one for the input, one for the weight.
"""

from __future__ import annotations

from math import prod

from suiren.mapper.convolve import Convolution
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
                                       dtype=x.dtype,
                                       convolution=_plain(call, x, w, "forward"),
                                       depthwise=_depthwise(call, x, w, "forward", y.numel)),
                                ))  # fmt: skip


def _plain(call: Call, x: Tensor, w: Tensor, direction: str) -> tuple[Convolution, str] | None:
    """A 2-D convolution without groups and dilation, for which algorithms are chosen."""
    flat = len(x.shape) == 4 and len(w.shape) == 4 and min(*x.shape, *w.shape) > 0
    if not flat or _groups(call) > 1 or call.arguments.get("transposed") is True:
        return None
    if set(call.ints("dilation", (1,))) != {1} or x.dtype not in ("f32", "bf16", "f16"):
        return None
    stride, padding = (call.ints(n, (d,)) for n, d in (("stride", 1), ("padding", 0)))
    shape = Convolution(
        x.shape[0], x.shape[1], w.shape[0], (x.shape[2], x.shape[3]), (w.shape[2], w.shape[3]),
        (stride[0], stride[-1]), (padding[0], padding[-1]),
        "tf32" if "math" in call.arguments else x.dtype,
    )  # fmt: skip
    return shape, direction


def _depthwise(
    call: Call, x: Tensor, w: Tensor, direction: str, made: int
) -> tuple[str, int, int] | None:
    """The pass of a convolution with a group for every channel, and the numbers it goes over."""
    flat = len(x.shape) == 4 and len(w.shape) == 4
    if not flat or w.shape[1] != 1 or _groups(call) != x.shape[1] or _groups(call) == 1:
        return None
    if call.arguments.get("transposed") is True:
        return None
    return direction, made, prod(w.shape[2:])


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
        kernels.append(
            Kernel(
                product,
                0,
                0,
                gy.bytes + w.bytes,
                x.bytes,
                dtype=x.dtype,
                convolution=_plain(call, x, w, "input"),
                depthwise=_depthwise(call, x, w, "input", x.numel),
            )
        )
    if wants[1]:
        product = Product(forward.batch, forward.n, forward.k, forward.m, x.dtype, forward.tf32,
                          gy.bytes, x.bytes, w.bytes)  # fmt: skip
        kernels.append(
            Kernel(
                product,
                0,
                0,
                gy.bytes + x.bytes,
                w.bytes,
                dtype=x.dtype,
                convolution=_plain(call, x, w, "weight"),
                depthwise=_depthwise(call, x, w, "weight", gy.numel),
            )
        )
    if len(wants) > 2 and wants[2]:
        channels = gy.shape[1] if len(gy.shape) > 1 else 1
        kernels.append(
            Kernel(None, gy.numel, 0, gy.bytes, channels * gy.itemsize_bytes, dtype=gy.dtype)
        )
    return Work("convolution", tuple(kernels))
