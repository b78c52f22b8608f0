"""What a call takes on a card: the simulated time of its kernels, one after the other.

Parts of a call, each as if it ran alone:

    matrix   padded tiles, in waves over the cores
    vector   lane and special operations over all cores
    memory   bytes that device memory must move
    l2       bytes that tiles pull through the shared memory level
    link     bytes over the host link

What the host computes itself (`suiren.mapper.host`) occupies no part of the card.

A collective takes what the network of a cluster says (`suiren.fleet.placed`), which its call
carries; a call that was placed on no cluster takes no time.

Nothing here may beat the roofline (`Price.roofline_s`), and a test holds that.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from suiren.core.pace import matrix_format, vector_lanes
from suiren.core.timing import Timing
from suiren.dtype import PEAK_NAME
from suiren.hw.spec import Card
from suiren.mapper.families import work_of
from suiren.mapper.host import WHY, host_s
from suiren.mapper.own import OWN, time_kernel
from suiren.mapper.plans import Plans, plans_of
from suiren.mapper.power import mac_j, transport_j
from suiren.mapper.timed import is_resident, timings
from suiren.mapper.work import Kernel, Product, Work
from suiren.trace.call import Call
from suiren.units import PS_PER_S

PARTS = ("matrix", "vector", "memory", "l2", "link")
#: Namespace of the collectives.
COLLECTIVES = "eccl::"


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
    engine_j: float = 0.0
    """Energy of matrix and vector engines at full clock, beyond idle power."""
    memory_j: float = 0.0
    """Energy of moving bytes, at any clock."""
    engine_s: float = 0.0
    """Part of `busy_s` that the engines bound: a lower clock stretches it."""

    @property
    def total_s(self) -> float:
        """Launch and work."""
        return self.busy_s + self.launch_s

    def busy_at(self, clock: float) -> float:
        """`busy_s` at a share of the full clock."""
        return self.busy_s + self.engine_s * (1 / clock - 1)

    def energy_j(self, clock: float = 1.0) -> float:
        """Energy beyond idle power: voltage follows the clock, energy its square."""
        return self.engine_j * clock**2 + self.memory_j


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
    engine_j: float = 0.0
    memory_j: float = 0.0
    engine_s: float = 0.0


def price(call: Call, card: Card, plans: Plans | None = None) -> Price:
    """The price of a call: its family's work, kernel by kernel; an own kernel by its program."""
    if call.op.startswith("suiren::") and call.name in OWN:
        return _price_own(call, card)
    if call.op.startswith(COLLECTIVES):
        return _price_collective(call)
    return price_work(work_of(call), card, plans)


def _price_collective(call: Call) -> Price:
    """Its launch is part of what the network says."""
    given = {name: call.arguments.get(name, 0) for name in ("takes_ps", "least_ps")}
    seconds, least_s = (v / PS_PER_S if isinstance(v, int) else 0.0 for v in given.values())
    inside = call.arguments.get("crosses_nodes") is not True
    return Price(
        "collective" if inside else "collective between nodes", seconds, 0.0, "collective",
        dict.fromkeys(PARTS, 0.0), min(least_s, seconds), {}, 0.0, 0.0, 0.0, 0.0, 1, False,
    )  # fmt: skip


def _price_own(call: Call, card: Card) -> Price:
    program = OWN[call.name].program([(t.shape, t.dtype) for t in call.inputs()])
    found = time_kernel(program, card)
    timing, dtype = found.timing, program.tensors[0].dtype
    parts = {part: min(timing.parts_s.get(part, 0.0), timing.seconds) for part in PARTS}
    name = matrix_format(dtype, card)
    bound = max(parts["matrix"], parts["vector"])
    return Price(
        "own", timing.seconds, card.launch_s, timing.why, parts,
        min(found.roofline.seconds, timing.seconds),
        {name: found.roofline.flop} if found.roofline.flop else {}, 2 * timing.macs,
        timing.memory_bytes, timing.l2_bytes, 0.0, 1, False, "",
        timing.macs * mac_j(card, dtype) + timing.lanes * card.pace.lane_j,
        transport_j(timing, card),
        bound if timing.why in ("matrix", "vector") else 0.0,
    )  # fmt: skip


def price_work(work: Work, card: Card, plans: Plans | None = None) -> Price:
    """The price of some work on a card; `plans` are the card's own if none are given."""
    total = _Sum()
    for kernel in work.kernels:
        price_kernel(kernel, card, total, plans or plans_of(card))
    why = max(total.bound_s, key=lambda part: total.bound_s[part], default="memory")
    return Price(
        work.family, total.busy_s, total.launches * card.launch_s, why, total.parts_s,
        total.roofline_s, total.flop, total.padded_flop, total.memory_bytes, total.l2_bytes,
        total.link_bytes, total.launches, work.approximated, total.emulated, total.engine_j,
        total.memory_j, total.engine_s,
    )  # fmt: skip


def price_kernel(kernel: Kernel, card: Card, total: _Sum, plans: Plans) -> None:
    """Adds one kernel to the sum."""
    if kernel.host is not None:
        seconds = host_s(kernel.host, card)
        total.bound_s[WHY] = total.bound_s.get(WHY, 0.0) + seconds
        total.busy_s += seconds
        total.roofline_s += seconds
        return
    product = kernel.product
    dtype = "f32" if product is None else ("tf32" if product.tf32 else product.dtype)
    name = matrix_format(dtype, card)
    if product is not None:
        total.flop[name] = total.flop.get(name, 0.0) + product.flop
        total.emulated = total.emulated or _emulated(product, name, card)
    found = timings(kernel, card, plans)
    ideal_s = _ideal_s(kernel, name, card)
    seconds = sum(t.seconds for t in found)
    for timing in found:
        _add(timing, dtype, card, total, None if product is None else product.flop / 2)
    if product is not None:
        total.padded_flop += max(2.0 * sum(t.macs for t in found), float(product.flop))
    if kernel.link_bytes:
        link_s = kernel.link_bytes / card.host_bytes_per_s
        busy_s = link_s + card.memory_latency_s * kernel.launches
        total.parts_s["link"] += link_s
        total.bound_s["link"] = total.bound_s.get("link", 0.0) + busy_s
        total.busy_s += busy_s
        total.link_bytes += kernel.link_bytes
        ideal_s, seconds = max(ideal_s, link_s), seconds + busy_s
    total.roofline_s += min(ideal_s, seconds)
    total.launches += max(kernel.launches, len(found)) if kernel.launches else 0


def _add(timing: Timing, dtype: str, card: Card, total: _Sum, useful: float | None = None) -> None:
    parts = {p: min(timing.parts_s.get(p, 0.0), timing.seconds) for p in PARTS}
    why = max(parts, key=lambda part: parts[part])
    total.busy_s += timing.seconds
    total.bound_s[why] = total.bound_s.get(why, 0.0) + timing.seconds
    for part, seconds in parts.items():
        total.parts_s[part] += seconds
    if why in ("matrix", "vector"):
        total.engine_s += parts[why]
    total.memory_bytes += timing.memory_bytes
    total.l2_bytes += timing.l2_bytes
    macs = timing.macs
    if useful is not None and "zeros" in card.chip.skips:
        macs = min(macs, useful)  # padding is zeros, and zeros take no energy
    total.engine_j += macs * mac_j(card, dtype) if macs else 0.0
    total.engine_j += (timing.lanes + timing.special) * card.pace.lane_j
    total.memory_j += transport_j(timing, card)


def _ideal_s(kernel: Kernel, name: str, card: Card) -> float:
    """The least time: useful work at an engine's peak, or bytes at a printed bandwidth."""
    flop = kernel.product.flop if kernel.product is not None else 0
    ideal_s = flop / card.peak_flop_per_s(name)
    if kernel.convolution is not None and kernel.convolution[0].taps > 1:
        ideal_s /= 4  # Winograd's F(4x4, 3x3) takes that many fewer multiplications
    if kernel.product is None:
        ideal_s = max(ideal_s, vector_s(kernel, card))
    if is_resident(kernel, card) or not card.memory_bytes_per_s:
        return ideal_s
    # results may stay in the shared level
    cold = kernel.bytes - min(kernel.write_bytes, card.l2_bytes)
    return float(max(ideal_s, cold / card.memory_bytes_per_s))


def _emulated(product: Product, name: str, card: Card) -> str:
    wanted = "tf32" if product.tf32 else PEAK_NAME.get(product.dtype, "fp32")
    if name != wanted and card.peak_flop_per_s(wanted) == 0:
        return f"{wanted} is not native; runs in {name}"
    return ""


def vector_s(kernel: Kernel, card: Card) -> float:
    """Lane and special operations, spread over all cores; the two run beside each other."""
    clock_hz = (card.vector_clock_hz or card.clock_hz) * card.cores
    lane_s = kernel.lane_ops / (vector_lanes(card, kernel.dtype) * clock_hz)
    special_s = kernel.special_ops / (card.chip.special_per_cycle * clock_hz)
    return float(max(lane_s, special_s))
