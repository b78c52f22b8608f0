"""What a call takes on a card: the time of each kernel on each engine and memory level.

Products run as kernels of the operator library, chosen and timed by simulation (`plans.py`);
what streams through is a kernel too. A call's kernels follow each other. Parts, each as if it
ran alone:

    matrix   padded tiles, in waves over the cores
    vector   lane and special operations over all cores
    memory   bytes that device memory must move
    l2       bytes that tiles pull through the shared memory level
    link     bytes over the host link

Nothing here may beat the roofline (`Price.roofline_s`), and a test holds that.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from suiren.core.pace import matrix_format
from suiren.dtype import PEAK_NAME
from suiren.hw.spec import Card
from suiren.mapper.estimate import Shape
from suiren.mapper.families import work_of
from suiren.mapper.own import OWN, time_kernel
from suiren.mapper.plans import Plans, plans_of
from suiren.mapper.power import mac_j
from suiren.mapper.tile import peak_format, time_product
from suiren.mapper.work import Kernel, Product, Work
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
    return price_work(work_of(call), card, plans)


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
        timing.memory_bytes * card.pace.memory_byte_j + timing.l2_bytes * card.pace.l2_byte_j,
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
    product = kernel.product
    if product is not None and product.share == 1.0 and min(product.m, product.n, product.k) > 0:
        _price_product(kernel, product, card, total, plans)
    else:
        _price_stream(kernel, card, total)


def _price_product(kernel: Kernel, product: Product, card: Card, total: _Sum, plans: Plans) -> None:
    """A product by its plan; what the kernel moves and computes besides is its epilogue."""
    shape = shape_of(product)
    name = matrix_format(shape.dtype, card)
    near = 1.0 if _is_resident(kernel, card) else 0.0
    plan = plans.plan(shape, {"a": near, "b": near} if near else None)
    timing = plan.timing
    extra = max(0.0, kernel.bytes - _operand_bytes(kernel))
    rate = card.memory_bytes_per_s * card.memory_efficiency
    extra_s = extra / rate if rate and not near else 0.0
    lanes_s = vector_s(kernel, card)
    busy_s = timing.seconds + max(extra_s, lanes_s)
    parts = dict.fromkeys(PARTS, 0.0)
    for part, seconds in timing.parts_s.items():
        parts[part] = min(seconds, timing.seconds)
    parts["memory"] += extra_s
    parts["vector"] = min(busy_s, parts["vector"] + lanes_s)
    why = max(parts, key=lambda part: parts[part])
    ideal_s = product.flop / card.peak_flop_per_s(name)
    if not near and card.memory_bytes_per_s:
        ideal_s = max(ideal_s, _cold_bytes(kernel, card) / card.memory_bytes_per_s)
    total.flop[name] = total.flop.get(name, 0.0) + product.flop
    total.padded_flop += max(2.0 * timing.macs, float(product.flop))
    total.emulated = total.emulated or _emulated(product, name, card)
    bound = min(busy_s, max(parts["matrix"], parts["vector"]))
    total.engine_s += bound if why in ("matrix", "vector") else 0.0
    total.engine_j += timing.macs * mac_j(card, shape.dtype) + kernel.lane_ops * card.pace.lane_j
    total.memory_j += (timing.memory_bytes + extra) * card.pace.memory_byte_j
    total.memory_j += timing.l2_bytes * card.pace.l2_byte_j
    _collect(kernel, parts, why, busy_s, min(ideal_s, busy_s), timing.memory_bytes + extra,
             timing.l2_bytes, total)  # fmt: skip


def shape_of(product: Product) -> Shape:
    """The product as the tuner takes it; a complex one is four real ones."""
    dtype, batch = "tf32" if product.tf32 else product.dtype, product.batch
    if dtype in ("c64", "c128"):
        dtype, batch = ("f32" if dtype == "c64" else "f64"), 4 * batch
    return Shape(batch, product.m, product.n, product.k, dtype, product.dtype
                 if product.dtype in ("f32", "bf16", "f16", "f64") else dtype)  # fmt: skip


def _cold_bytes(kernel: Kernel, card: Card) -> float:
    """Bytes that must come out of device memory: results may stay near."""
    product = kernel.product
    written = product.c_bytes if product is not None else kernel.write_bytes
    near = min(written, card.l2_bytes)
    return max(0.0, kernel.bytes - near)


def _emulated(product: Product, name: str, card: Card) -> str:
    wanted = "tf32" if product.tf32 else PEAK_NAME.get(product.dtype, "fp32")
    if name != wanted and card.peak_flop_per_s(wanted) == 0:
        return f"{wanted} is not native; runs in {name}"
    return ""


def _price_stream(kernel: Kernel, card: Card, total: _Sum) -> None:
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
        total.engine_j += tiled.padded_flop / 2 * mac_j(card, kernel.product.dtype)
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
    total.engine_j += (kernel.lane_ops + kernel.special_ops) * card.pace.lane_j
    total.memory_j += moved * card.pace.memory_byte_j + l2_bytes * card.pace.l2_byte_j
    why = max(parts, key=lambda part: parts[part])
    busy_s = parts[why] + card.memory_latency_s * kernel.launches
    total.engine_s += busy_s if why in ("matrix", "vector") else 0.0
    _collect(kernel, parts, why, busy_s, ideal_s, moved, l2_bytes, total)


def _collect(
    kernel: Kernel, parts: dict[str, float], why: str, busy_s: float, ideal_s: float,
    moved: float, l2_bytes: float, total: _Sum,
) -> None:  # fmt: skip
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
