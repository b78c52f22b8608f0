"""What a call takes on a card: the time of each kernel on each engine and memory level.

A kernel's engines work beside each other, so its time is the largest of its parts; a call's
kernels follow each other. Parts:

    matrix   padded tiles, in waves over the cores, at the engine's sustained rate
    vector   lane and special operations over all cores
    memory   bytes that device memory must move, at its sustained bandwidth
    l2       bytes that tiles pull through the shared memory level
    link     bytes over the host link

Nothing here may beat the roofline (`Price.roofline_s`), and a test holds that.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from suiren.dtype import PEAK_NAME
from suiren.hw.spec import Card
from suiren.mapper.families import work_of
from suiren.mapper.tile import peak_format, time_product
from suiren.mapper.work import Kernel, Work
from suiren.trace.call import Call

PARTS = ("matrix", "vector", "memory", "l2", "link")

#: A kernel whose whole footprint is below this share of the shared level finds its operands
#: there, because the kernel before it just wrote them.
RESIDENT_SHARE = 0.25


@dataclass(frozen=True, slots=True)
class Price:
    """One call on one card. Seconds, FLOP and bytes."""

    family: str
    busy_s: float
    launch_s: float
    why: str
    """The part that bounds the call's longest kernel."""
    parts_s: Mapping[str, float]
    """Time of each part, as if it ran alone."""
    roofline_s: float
    """The least time any kernel could take: useful work at the engine's peak or bytes at the
    printed bandwidth of the level that holds them, whichever is longer."""
    flop: Mapping[str, float]
    """Useful matrix FLOP by peak format."""
    padded_flop: float
    memory_bytes: float
    l2_bytes: float
    link_bytes: float
    launches: int
    approximated: bool
    emulated: str = ""
    """Why the call runs slower than its format suggests; empty if it does not."""

    @property
    def total_s(self) -> float:
        """Launch and work."""
        return self.busy_s + self.launch_s


@dataclass
class _Sum:
    """Collects the kernels of one call."""

    busy_s: float = 0.0
    parts_s: dict[str, float] = field(default_factory=lambda: dict.fromkeys(PARTS, 0.0))
    bound_s: dict[str, float] = field(default_factory=dict)
    roofline_s: float = 0.0
    flop: dict[str, float] = field(default_factory=dict)
    padded_flop: float = 0.0
    memory_bytes: float = 0.0
    l2_bytes: float = 0.0
    link_bytes: float = 0.0
    launches: int = 0
    emulated: str = ""


def price(call: Call, card: Card) -> Price:
    """The price of a call: its family's work, kernel by kernel."""
    return price_work(work_of(call), card)


def price_work(work: Work, card: Card) -> Price:
    """The price of some work on a card."""
    total = _Sum()
    for kernel in work.kernels:
        price_kernel(kernel, card, total)
    why = max(total.bound_s, key=lambda part: total.bound_s[part], default="memory")
    return Price(
        work.family, total.busy_s, total.launches * card.launch_s, why, total.parts_s,
        total.roofline_s, total.flop, total.padded_flop, total.memory_bytes, total.l2_bytes,
        total.link_bytes, total.launches, work.approximated, total.emulated,
    )  # fmt: skip


def price_kernel(kernel: Kernel, card: Card, total: _Sum) -> None:
    """Adds one kernel to the sum: the seam where an exact simulation takes over."""
    parts = dict.fromkeys(PARTS, 0.0)
    moved, l2_bytes = kernel.bytes, kernel.bytes
    ideal_s = 0.0
    if kernel.product is not None:
        extra = max(0.0, kernel.bytes - _operand_bytes(kernel))
        tiled = time_product(kernel.product, card, _is_resident(kernel, card), extra)
        parts["matrix"] = tiled.matrix_s
        l2_bytes = tiled.l2_bytes
        moved = tiled.memory_bytes + extra
        name = peak_format(kernel.product, card)
        total.flop[name] = total.flop.get(name, 0.0) + kernel.product.flop
        total.padded_flop += tiled.padded_flop
        ideal_s = kernel.product.flop / card.peak_flop_per_s(name)
        total.emulated = total.emulated or tiled.emulated
    parts["vector"] = vector_s(kernel, card)
    ideal_s = max(ideal_s, parts["vector"])
    if card.l2_bytes_per_s:
        parts["l2"] = max(l2_bytes, kernel.bytes) / card.l2_bytes_per_s
    if _is_resident(kernel, card):
        ideal_s = max(ideal_s, kernel.bytes / card.l2_bytes_per_s)
        moved = 0.0
    if not card.memory_bytes_per_s:  # all of it lives in the cores
        moved = 0.0
    if moved:
        parts["memory"] = moved / (card.memory_bytes_per_s * card.memory_efficiency)
        ideal_s = max(ideal_s, kernel.bytes / card.memory_bytes_per_s)
    if kernel.link_bytes:
        parts["link"] = kernel.link_bytes / card.host_bytes_per_s
        ideal_s = max(ideal_s, parts["link"])
    _add(kernel, card, parts, ideal_s, moved, l2_bytes, total)


def _add(
    kernel: Kernel,
    card: Card,
    parts: dict[str, float],
    ideal_s: float,
    moved: float,
    l2_bytes: float,
    total: _Sum,
) -> None:
    why = max(parts, key=lambda part: parts[part])
    latency_s = card.memory_latency_s if kernel.launches else 0.0
    busy_s = parts[why] + latency_s * max(1, kernel.launches) * bool(kernel.launches)
    total.busy_s += busy_s
    total.bound_s[why] = total.bound_s.get(why, 0.0) + busy_s
    total.roofline_s += ideal_s
    for part, seconds in parts.items():
        total.parts_s[part] += seconds
    total.memory_bytes += moved
    total.l2_bytes += l2_bytes
    total.link_bytes += kernel.link_bytes
    total.launches += kernel.launches


def vector_s(kernel: Kernel, card: Card) -> float:
    """Lane and special operations, spread over all cores; the two run beside each other."""
    lanes = _lanes(card, kernel.dtype)
    clock_hz = card.vector_clock_hz or card.clock_hz
    lane_s = kernel.lane_ops / (card.cores * lanes * clock_hz)
    special_s = kernel.special_ops / (card.cores * card.chip.special_per_cycle * clock_hz)
    return float(max(lane_s, special_s))


def _lanes(card: Card, dtype: str) -> float:
    vector = card.chip.vector
    name = PEAK_NAME.get(dtype, "fp32")
    if name in vector:
        return vector[name]
    if name == "fp64" and "fp32" in vector:
        return vector["fp32"] / 16  # emulated with pairs of floats
    return vector.get("fp32", card.chip.special_per_cycle)


def _is_resident(kernel: Kernel, card: Card) -> bool:
    return 0 < kernel.bytes <= RESIDENT_SHARE * card.l2_bytes and card.l2_bytes_per_s > 0


def _operand_bytes(kernel: Kernel) -> float:
    product = kernel.product
    return 0.0 if product is None else product.a_bytes + product.b_bytes + product.c_bytes
