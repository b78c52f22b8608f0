"""The shape of every machine: a Chip (silicon), the Card that sells it, the Node that holds cards.

All chips share one shape. A chip is cores; a core has a matrix engine, a vector engine,
a scratchpad and a copy engine; cores share an L2 and the device memory. A DTU's SIP, a
GPU's SM, a TPU's TensorCore and an Ascend's AI core are rows of facts in that shape.

What follows from facts is derived here and never stored; what a datasheet prints is kept
beside it (`printed_flop_per_s`), and `check.py` holds the two together.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields

from suiren.hw.fact import Fact
from suiren.hw.pace import Pace
from suiren.hw.topology import Topology

#: Formats in which a peak is printed, in the order reports show them.
PEAK_FORMATS = ("fp64", "fp32", "tf32", "bf16", "fp16", "fp8", "fp4", "int8")


@dataclass(frozen=True, kw_only=True)
class Conflict:
    """Sources that disagree on one field: every version is kept, one is used."""

    field: str
    versions: tuple[str, ...]
    """Each as `value (source)`."""
    used: str
    """Which one stands in the catalogue, and why."""


@dataclass(frozen=True, kw_only=True)
class Link:
    """Chip-to-chip ports of a card."""

    name: str
    ports: Fact
    bytes_per_s: Fact
    """All ports, both directions summed: the way vendors print it."""


@dataclass(frozen=True, kw_only=True)
class Chip:
    """Silicon: what one core can do in a cycle, and what all cores share."""

    name: str
    title: str
    vendor: str
    family: str
    """Chips of a family share behaviour facts (launch cost, efficiencies)."""
    year: int
    core_name: str
    """The vendor's word for a core: SIP, SM, CU, TensorCore."""
    matrix: Mapping[str, Fact]
    """Peak format -> multiply-accumulates of one core's matrix engine in a cycle."""
    vector: Mapping[str, Fact]
    """Peak format -> fused multiply-adds of one core's vector engine in a cycle."""
    special_per_cycle: Fact
    """exp, rsqrt, tanh … of one core in a cycle."""
    tile_mnk: tuple[int, int, int]
    """Granularity of the matrix engine: a product is padded to multiples of these."""
    scratchpad_bytes: Fact
    """L1 or scratchpad of one core."""
    register_bytes: Fact
    """Accumulators of one core; bounds the output tile a core holds."""
    lacks: frozenset[str] = frozenset()
    """Stored formats the chip cannot compute natively (`i64`, `f64`)."""
    skips: Mapping[str, str] = field(default_factory=dict)
    """What the chip does not spend on, with the source: `padding` (positions beyond a tensor's
    edge take no time), `zeros` (a zero operand takes no energy), `compression` (copy engines
    move sparse data compressed)."""
    core_groups: Fact | None = None
    """Groups of cores around a shared memory: SIC clusters of a DTU, GPCs of a GPU."""
    process_nm: Fact | None = None

    @property
    def is_gpu(self) -> bool:
        """Its cores run threads that load, store and send by instructions of their own.

        Other chips have engines for it beside their cores.
        """
        return self.vendor in ("NVIDIA", "AMD")


@dataclass(frozen=True, kw_only=True)
class Card:
    """A product one can buy: a chip at a clock with memory, links, power and a form factor.

    `--on NAME` names a card.
    """

    name: str
    title: str
    chip: Chip
    year: int
    form: str
    use: str
    """`train`, `infer` or `train+infer`."""
    cores: Fact
    clock_hz: Fact
    """Clock of the matrix engine at the printed peak."""
    memory_bytes: Fact
    memory_bytes_per_s: Fact
    memory_type: str
    l2_bytes: Fact
    l2_bytes_per_s: Fact
    host_bytes_per_s: Fact
    """Host link, one direction."""
    tdp_w: Fact
    idle_w: Fact
    launch_s: Fact
    """Gap between two dependent kernels of a queue that is never empty."""
    host_issue_s: Fact
    """Time the host's framework takes to issue one eager op."""
    matrix_efficiency: Fact
    """Share of the printed matrix peak that a large, well-shaped product sustains."""
    memory_efficiency: Fact
    """Share of the printed memory bandwidth that a long stream sustains."""
    memory_latency_s: Fact
    """From a load's issue to its first byte out of device memory, beyond the shared level's."""
    pace: Pace
    """How fast engines start, hand over and finish."""
    vector_clock_hz: Fact | None = None
    """Clock of the vector engine where the datasheet's differs from `clock_hz`."""
    printed_flop_per_s: Mapping[str, Fact] = field(default_factory=dict)
    """Peak format -> dense peak as the datasheet prints it (operations for int8)."""
    link: Link | None = None
    aliases: tuple[str, ...] = ()
    """Other spellings, in datasheets and in published tables."""
    capability: tuple[int, int] = (1, 0)
    """What `get_device_capability` answers."""
    conflicts: tuple[Conflict, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def can_time(self) -> bool:
        """False where no peak was ever published, so that no time can be told."""
        return bool(self.chip.matrix or self.chip.vector)

    def engine_flop_per_s(self, engine: str, peak_format: str) -> float:
        """Dense peak of one engine (`matrix` or `vector`), 0.0 where it lacks the format.

        Every MAC of every core on every clock; one MAC is two FLOP.
        """
        macs = (self.chip.matrix if engine == "matrix" else self.chip.vector).get(peak_format)
        if macs is None:
            return 0.0
        clock_hz = self.clock_hz
        if engine == "vector" and self.vector_clock_hz is not None:
            clock_hz = self.vector_clock_hz
        return 2 * self.cores * macs * clock_hz

    def peak_flop_per_s(self, peak_format: str) -> float:
        """Dense peak of the faster engine for the format, 0.0 where the chip lacks it."""
        return max(self.engine_flop_per_s(e, peak_format) for e in ("matrix", "vector"))

    def formats(self) -> tuple[str, ...]:
        """Peak formats the chip has, in display order."""
        return tuple(f for f in PEAK_FORMATS if f in self.chip.matrix or f in self.chip.vector)

    def facts(self) -> Iterator[tuple[str, Fact]]:
        """Every fact with its dotted name, chip first."""
        yield from _facts_of(self.chip, "chip.")
        yield from _facts_of(self, "")

    def assumed(self) -> dict[str, Fact]:
        """The facts nobody published, by dotted name."""
        return {name: fact for name, fact in self.facts() if fact.kind == "assumed"}


@dataclass(frozen=True, kw_only=True)
class Host:
    """The processors of a box and their memory."""

    title: str
    cores: Fact
    """Of all sockets."""
    memory_bytes_per_s: Fact
    """Of all sockets' channels, as printed."""


@dataclass(frozen=True, kw_only=True)
class Node:
    """Cards in one box, and how they reach each other and the world."""

    name: str
    title: str
    card: Card
    num_cards: Fact
    wiring: str
    """How the cards are joined, in one sentence."""
    pair_bytes_per_s: Fact
    """One direction between two directly joined cards."""
    nics: Fact | None = None
    nic_bytes_per_s: Fact | None = None
    aliases: tuple[str, ...] = ()
    topology: Topology | None = None
    """Who is wired to whom; None stands for one switch that joins all cards at the pair's rate."""
    host: Host | None = None
    """Its processors; None where nobody published them."""


def _facts_of(owner: object, prefix: str) -> Iterator[tuple[str, Fact]]:
    for f in fields(owner):  # type: ignore[arg-type]
        value = getattr(owner, f.name)
        if isinstance(value, Fact):
            yield prefix + f.name, value
        elif isinstance(value, Mapping):
            for key, fact in value.items():
                if isinstance(fact, Fact):
                    yield f"{prefix}{f.name}.{key}", fact
        elif isinstance(value, (Link, Pace)):
            yield from _facts_of(value, f"{prefix}{f.name}.")
