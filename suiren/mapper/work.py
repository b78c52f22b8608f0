"""The work of a call: one or more kernels, each with what it computes and what it moves.

Knows no chip. Amounts are what the operation needs, before padding to any engine.
"""

from __future__ import annotations

from dataclasses import dataclass

from suiren.mapper.attend import Attention
from suiren.mapper.convolve import Convolution
from suiren.trace.call import Call, Tensor

#: The widest access of one thread.
WIDE_BYTES = 16


@dataclass(frozen=True, slots=True)
class Product:
    """`batch` products [m, k] × [k, n] of one format; operand bytes count memory once."""

    batch: int
    m: int
    n: int
    k: int
    dtype: str
    """Stored format of the operands."""
    tf32: bool = False
    """Operands of f32 enter the engine as TF32."""
    a_bytes: int = 0
    b_bytes: int = 0
    c_bytes: int = 0
    share: float = 1.0
    """Part of the output that is computed at all: causal attention skips the rest."""
    out: str = ""
    """Format of the result where it is not the operands'."""
    grain_bytes: int = WIDE_BYTES
    """The widest access with which all rows of both operands and of the result can be reached,
    because all start at multiples of it."""

    @property
    def flop(self) -> int:
        """One multiply-accumulate is two FLOP."""
        return round(2 * self.batch * self.m * self.n * self.k * self.share)


@dataclass(frozen=True, slots=True)
class HostWork:
    """What the host's own processors do, on memory of their own."""

    bytes: float
    """Read and written."""
    ops: int
    """Ops that the host's framework ran for it, one after the other."""
    bytes_per_s: float = 0.0
    """What the host streams for this rank; 0 for all that the usual host of the card streams."""


@dataclass(frozen=True, slots=True)
class Kernel:
    """One launch on the device."""

    product: Product | None = None
    lane_ops: float = 0.0
    """Operations of one vector lane; a fused multiply-add is one."""
    special_ops: float = 0.0
    """exp, log, rsqrt, tanh …"""
    read_bytes: float = 0.0
    write_bytes: float = 0.0
    link_bytes: float = 0.0
    """Bytes over the host link."""
    dtype: str = "f32"
    """Format of the vector work."""
    launches: int = 1
    attention: Attention | None = None
    """Fused attention, of which `product` counts the FLOP."""
    backward: bool = False
    """Whether the attention runs backward."""
    convolution: tuple[Convolution, str] | None = None
    """A convolution and its pass (forward, input, weight), of which `product` counts the FLOP."""
    depthwise: tuple[str, int, int] | None = None
    """The pass of a depthwise convolution, the numbers it goes over and the window's positions;
    `product` counts the FLOP."""
    host: HostWork | None = None
    """Work that no card does."""

    @property
    def bytes(self) -> float:
        """Bytes read and written, each operand once."""
        return self.read_bytes + self.write_bytes


@dataclass(frozen=True, slots=True)
class Work:
    """What a call asks of any chip."""

    family: str
    kernels: tuple[Kernel, ...]
    approximated: bool = False
    """True where only the traffic was counted, because no family covers the op."""

    @property
    def product_flop(self) -> int:
        """FLOP of all matrix products."""
        return sum(k.product.flop for k in self.kernels if k.product is not None)

    @property
    def bytes(self) -> float:
        """Bytes read and written by all kernels."""
        return sum(k.bytes for k in self.kernels)


def traffic(call: Call, skip: frozenset[str] = frozenset()) -> tuple[int, int]:
    """(read, written) bytes: every argument read once, every result written once."""
    read = sum(
        t.bytes
        for name, value in call.arguments.items()
        if name not in skip
        for t in _device_tensors(value)
    )
    written = sum(t.bytes for value in call.outputs for t in _device_tensors(value))
    if not call.outputs and call.name.endswith("_"):
        written = sum(t.bytes for t in _device_tensors(call.arguments.get("self")))
    return read, written


def _device_tensors(value: object) -> list[Tensor]:
    if isinstance(value, Tensor):
        return [] if value.on_host else [value]
    if isinstance(value, tuple):
        return [t for item in value for t in _device_tensors(item)]
    return []


def streaming(call: Call, lane_ops: float, special_ops: float = 0.0) -> Kernel:
    """A kernel that reads every argument and writes every result once."""
    read, written = traffic(call)
    return Kernel(
        lane_ops=lane_ops,
        special_ops=special_ops,
        read_bytes=read,
        write_bytes=written,
        dtype=main_dtype(call),
    )


def main_dtype(call: Call) -> str:
    """Format of the call's first floating tensor, f32 if it has none."""
    for tensor in (*call.inputs(), *call.results()):
        if tensor.dtype in ("f32", "bf16", "f16", "f64"):
            return tensor.dtype
    return "f32"


def numel(call: Call) -> int:
    """Elements of the largest tensor of the call."""
    return max((t.numel for t in (*call.inputs(), *call.results())), default=0)
