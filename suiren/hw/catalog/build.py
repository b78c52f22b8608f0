"""Builders that turn a short block of datasheet numbers into a Chip, a Card or a Link.

A plain number in a block is a fact `published` in the block's `source`; a number of
another origin is written as a `Fact`. What a datasheet leaves out is filled in by rule
here, and is then `assumed` with the rule as its source. All units are base units.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TypedDict, Unpack

from suiren.hw.behaviour import AS_A100
from suiren.hw.catalog.block import CardBlock, ChipBlock
from suiren.hw.fact import Fact, Kind, assumed, derived, published
from suiren.hw.families import behaviour
from suiren.hw.pace import Pace
from suiren.hw.spec import Card, Chip, Link
from suiren.units import GB, TFLOP

#: Payload of a host link, one direction: GT/s × lanes × 128/130 / 8 bits.
HOST_GB_PER_S = {
    "3.0 x16": 15.75,
    "4.0 x8": 15.75,
    "4.0 x16": 31.5,
    "5.0 x8": 31.5,
    "5.0 x16": 63.0,
    "6.0 x16": 121.0,
}
IDLE_SHARE = 0.15
#: A100 38.6 B for 1024, H100 80.1 B for 2048, fitted on their GEMM rows.
PORT_BYTES_PER_MAC = 0.039
L2_BYTES_PER_CORE_CYCLE = 64


def fact(value: float, source: str) -> Fact:
    """The value itself if it is a Fact, else a fact published in `source`."""
    return value if isinstance(value, Fact) else published(value, source)


def chip(**block: Unpack[ChipBlock]) -> Chip:
    """A chip whose plain numbers are published in `source`; MACs are per core and cycle."""
    source = block["source"]
    groups, process_nm = block.get("core_groups"), block.get("process_nm")
    return Chip(
        name=block["name"],
        title=block["title"],
        vendor=block["vendor"],
        family=block["family"],
        year=block["year"],
        core_name=block["core_name"],
        matrix={f: fact(macs, source) for f, macs in block["matrix"].items()},
        vector={f: fact(lanes, source) for f, lanes in block["vector"].items()},
        special_per_cycle=fact(block["special_per_cycle"], source),
        tile_mnk=block["tile_mnk"],
        scratchpad_bytes=fact(block["scratchpad_bytes"], source),
        register_bytes=fact(block["register_bytes"], source),
        lacks=block.get("lacks", frozenset()),
        skips=block.get("skips", {}),
        core_groups=None if groups is None else fact(groups, source),
        process_nm=None if process_nm is None else fact(process_nm, source),
    )


def card(**block: Unpack[CardBlock]) -> Card:
    """A card whose plain numbers are published in `source`; behaviour comes by family."""
    source = block["source"]
    filled = _filled(block)
    vector_clock_hz = block.get("vector_clock_hz")
    return Card(
        name=block["name"],
        title=block["title"],
        chip=block["chip"],
        year=block["year"],
        form=block["form"],
        use=block.get("use", "train+infer"),
        cores=fact(block["cores"], source),
        clock_hz=fact(block["clock_hz"], source),
        vector_clock_hz=None if vector_clock_hz is None else fact(vector_clock_hz, source),
        memory_bytes=fact(block["memory_bytes"], source),
        memory_bytes_per_s=fact(block["memory_bytes_per_s"], source),
        memory_type=block["memory_type"],
        l2_bytes=fact(block["l2_bytes"], source),
        tdp_w=fact(block["tdp_w"], source),
        printed_flop_per_s={f: fact(p, source) for f, p in block.get("printed", {}).items()},
        link=block.get("link"),
        aliases=block.get("aliases", ()),
        capability=block.get("capability", (1, 0)),
        conflicts=block.get("conflicts", ()),
        notes=block.get("notes", ()),
        pace=block.get("pace") or _pace(block, filled),
        **filled,
    )


class _Filled(TypedDict):
    l2_bytes_per_s: Fact
    host_bytes_per_s: Fact
    idle_w: Fact
    launch_s: Fact
    host_issue_s: Fact
    matrix_efficiency: Fact
    memory_efficiency: Fact
    memory_latency_s: Fact


def _filled(block: CardBlock) -> _Filled:
    """The fields a block may leave out: as given, else by rule or by family."""
    source, row = block["source"], behaviour(block["chip"].family)
    filled = _Filled(
        l2_bytes_per_s=_l2_rate(block),
        host_bytes_per_s=_host_rate(block),
        idle_w=assumed(
            round(IDLE_SHARE * block["tdp_w"], 1),
            "unpublished; 15 % of the TDP, as datacentre cards draw when idle",
        ),
        launch_s=row.launch_s,
        host_issue_s=row.host_issue_s,
        matrix_efficiency=row.matrix_efficiency,
        memory_efficiency=row.memory_efficiency,
        memory_latency_s=row.memory_latency_s,
    )
    for name in filled:
        if name in block:
            filled[name] = fact(block[name], source)  # type: ignore[literal-required]
    return filled


#: A chip of so few cores has large ones, with ports of their own kind.
FEW_CORES = 4


def _wide_enough(block: CardBlock, pace: Pace) -> Pace:
    """Few large cores: what was carried over from many small ones could not stream the memory."""
    shared = float(_l2_rate(block)) if block["cores"] <= FEW_CORES else 0.0
    rate = max(float(block["memory_bytes_per_s"]), shared)
    needed = rate / (block["cores"] * block["clock_hz"])
    port = pace.port_bytes_per_cycle
    if port.kind != "assumed" or port >= needed:
        return pace
    why = "unpublished; all cores together stream what they share at its rate"
    return replace(pace, port_bytes_per_cycle=assumed(needed, why))


def _pace(block: CardBlock, filled: _Filled) -> Pace:
    """The family's row; an energy nobody fitted is what uses up the TDP at full rate."""
    carried = behaviour(block["chip"].family).pace
    pace = _wide_enough(block, carried)
    if pace.mac_j.source != AS_A100:
        return pace
    rate = _macs(block["chip"])
    if not rate:
        return pace
    wide = _port_of(block["chip"])
    if wide > pace.port_bytes_per_cycle and pace is carried:
        why = f"unpublished; {PORT_BYTES_PER_MAC:g} B a multiply-accumulate, as the A100 and H100"
        pace = replace(pace, port_bytes_per_cycle=assumed(wide, why))
    joules = (block["tdp_w"] - filled["idle_w"]) / (rate * block["cores"] * block["clock_hz"])
    why = "unpublished; the engines at full 16-bit rate are taken to use up the TDP"
    return replace(pace, mac_j=assumed(joules, why))


def _macs(chip: Chip) -> float:
    """Multiply-accumulates of one core in a cycle at the rate of 16-bit formats."""
    return max(
        chip.matrix.get("bf16", 0.0), chip.matrix.get("fp16", 0.0), chip.vector.get("fp32", 0.0)
    ) or max([*chip.matrix.values(), *chip.vector.values()], default=0.0)


def _port_of(chip: Chip) -> float:
    """Bytes a cycle that a core of this size takes in, where no port was measured or published.

    A core with the products of sixty GPU cores is not fed through the port of one.
    """
    if behaviour(chip.family).pace.port_bytes_per_cycle.kind != "assumed":
        return 0.0
    return PORT_BYTES_PER_MAC * _macs(chip)


def _l2_rate(block: CardBlock) -> Fact:
    """64 B per core and cycle, as NVIDIA's and AMD's L1 take in; at least twice the memory.

    More where the core's port is wider.
    """
    if not block["l2_bytes"]:
        return assumed(0.0, "no cache is shared by the cores")
    each = max(L2_BYTES_PER_CORE_CYCLE, _port_of(block["chip"]))
    by_ports = each * block["cores"] * block["clock_hz"]
    if each > L2_BYTES_PER_CORE_CYCLE and by_ports > 2 * block["memory_bytes_per_s"]:
        return assumed(by_ports, "unpublished; as much as the ports of the cores take in")
    if by_ports < 2 * block["memory_bytes_per_s"]:
        return assumed(2 * block["memory_bytes_per_s"], "unpublished; twice the memory's taken")
    return assumed(
        by_ports, "unpublished; 64 B per core and cycle, the port width of NVIDIA's and AMD's L1"
    )


def _host_rate(block: CardBlock) -> Fact:
    """Bytes a second of the host link named in the block, PCIe 4.0 x16 if none is."""
    lanes = block.get("host")
    if lanes is None:
        return assumed(HOST_GB_PER_S["4.0 x16"] * GB, "host link not stated; PCIe 4.0 x16 taken")
    return derived(HOST_GB_PER_S[lanes] * GB, f"PCIe {lanes}: GT/s × lanes × 128/130 / 8")


def link(name: str, ports: float, gb_per_s: float, source: str) -> Link:
    """Chip-to-chip ports; `gb_per_s` is all ports and both directions, in GB/s."""
    return Link(name=name, ports=fact(ports, source), bytes_per_s=scaled(gb_per_s, GB, source))


def scaled(value: float, unit: float, source: str) -> Fact:
    """`value` in `unit`, keeping the source and kind a Fact already has."""
    given = fact(value, source)
    return given.at(given * unit)


def tera(**peaks: float) -> dict[str, float]:
    """Printed dense peaks in TFLOP/s (TOP/s for int8), by format."""
    return {
        name: peak.at(peak * TFLOP) if isinstance(peak, Fact) else peak * TFLOP
        for name, peak in peaks.items()
    }


def macs(tflops: float, cores: int, clock_hz: float, source: str, kind: Kind = "derived") -> Fact:
    """MACs of one core in a cycle that give a printed peak in TFLOP/s at a clock.

    `kind` is `assumed` where the clock or the number of cores is.
    """
    value = tflops * TFLOP / (2 * cores * clock_hz)
    how = f"{tflops:g} TFLOP/s / (2 × {cores} × {clock_hz / 1e9:.4g} GHz); {source}"
    return Fact(value, how, kind)


def clock(tflops: float, cores: int, core_macs: float, source: str, kind: Kind = "derived") -> Fact:
    """Clock in Hz at which `cores` of `core_macs` MACs each give a peak in TFLOP/s.

    `kind` is `assumed` where the MACs or the number of cores are.
    """
    value = tflops * TFLOP / (2 * cores * core_macs)
    return Fact(value, f"{tflops:g} TFLOP/s / (2 × {cores} × {core_macs:g}); {source}", kind)
