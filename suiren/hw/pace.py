"""How fast a core's engines start, hand over and finish: what no datasheet prints.

These facts time a tile program (`suiren.core`). They are fitted on measured kernels for some
families (docs/validation.md) and carried to relatives by rule; `behaviour.py` holds the rows.
"""

from __future__ import annotations

from dataclasses import dataclass

from suiren.hw.fact import Fact


@dataclass(frozen=True, kw_only=True)
class Pace:
    """Pace facts of one family of chips; every Card carries a row."""

    sustained_clock: Fact
    """Clock under load as a share of the printed one, before the power limit is reached."""
    matrix_step_s: Fact
    """Least time of one matrix instruction for every 128 bytes of depth: operands must be
    fetched from the scratchpad and sums handed on."""
    packed_step_s: Fact
    """The same for formats of which many numbers share a scale: the scales must be there too."""
    narrow_share: Fact
    """Share of `matrix_efficiency` that formats of 8 bits and fewer reach."""
    matrix_start_s: Fact
    """What a product into fresh sums costs the matrix engine besides: its pipeline fills, and
    drains before another engine reads them. A chain of products into the same sums does not."""
    fold_s: Fact
    """How much later than other results a sum or maximum along an axis is there: its partial
    results pass from lane to lane."""
    vector_step_s: Fact
    """What one product instruction of the vector engine costs besides its multiply-adds: its
    programs meet at a barrier and fetch their first operands from the scratchpad."""
    overlap_loss: Fact
    """Engines disturb each other: the busiest of a tile loses this share of the others' time."""
    vector_efficiency: Fact
    """Share of the vector engine's peak that pointwise code reaches."""
    stream_efficiency: Fact
    """Share of the printed memory bandwidth that copies of long runs sustain; the card's
    `memory_efficiency` is that of the short rows of a matrix tile."""
    instruction_s: Fact
    """Result of an instruction to its first use on another engine."""
    copy_issue_s: Fact
    """Time the load engine spends on one copy besides its bytes."""
    pipeline_start_s: Fact
    """Once a kernel, where it sets up asynchronous copies for tiles that begin fresh: barriers,
    descriptors, the scratchpad's division."""
    tile_start_s: Fact
    """From a free core to the first instruction of its next tile."""
    l2_latency_s: Fact
    """From a load's issue to its first byte, out of the shared level."""
    l2_efficiency: Fact
    """Share of the shared level's bandwidth that many cores sustain together."""
    l2_share: Fact
    """Share of the shared level's capacity in which all data survives."""
    l2_softness: Fact
    """Beyond that capacity, by which share of it the surviving part falls to none."""
    port_bytes_per_cycle: Fact
    """Bytes a core takes in from the shared level in a cycle."""
    store_share: Fact
    """Bandwidth of all cores writing results, as a share of the shared level's."""
    multicast: Fact
    """Cores that one load of a shared operand serves at once."""
    barrier_s: Fact
    """All cores stop, wait for their stores and go on."""
    mac_j: Fact
    """Energy of a 16-bit multiply-accumulate with its share of everything in the core."""
    vector_mac_j: Fact
    """Energy of a 32-bit multiply-accumulate of a product on the vector engine, likewise."""
    voltage_floor: Fact
    """Share of the printed clock below which the voltage falls no further: from there on power
    goes with the clock, above with its cube."""
    memory_byte_j: Fact
    """Energy of a byte between device memory and a core."""
    l2_byte_j: Fact
    """Energy of a byte between the shared level and a core."""
    lane_j: Fact
    """Energy of a 32-bit lane operation."""
