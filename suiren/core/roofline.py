"""The least time any kernel could take for what a program computes and touches.

Useful operations at the engines' peaks, or every byte of every tensor once at the bandwidth
of device memory (results as far as the shared level cannot keep them), whichever is longer.
Padding counts nowhere. `attainable` takes the rates that the card sustains instead of the
printed ones: the aim of who tunes a kernel.
"""

from __future__ import annotations

from dataclasses import dataclass

from suiren.core.pace import PRODUCTS, engines_of, lane_format, matrix_format, vector_lanes
from suiren.core.phase import Phase, phases
from suiren.core.program import Grid, Loop, Node, Program, Step
from suiren.core.tile import Tile
from suiren.hw.spec import Card


@dataclass(frozen=True, slots=True)
class Roofline:
    """Seconds by part, and the amounts behind them."""

    matrix_s: float
    lanes_s: float
    special_s: float
    memory_s: float
    flop: float
    """Of products; one multiply-accumulate is two."""
    bytes: float

    @property
    def vector_s(self) -> float:
        """Lanes and special units work beside each other."""
        return max(self.lanes_s, self.special_s)

    @property
    def seconds(self) -> float:
        """The longest part."""
        return max(self.matrix_s, self.vector_s, self.memory_s)

    @property
    def why(self) -> str:
        """Its name."""
        parts = {"matrix": self.matrix_s, "vector": self.vector_s, "memory": self.memory_s}
        return max(parts, key=lambda part: parts[part])


def attainable(ideal: Roofline, card: Card) -> Roofline:
    """The roofline at sustained rates: nothing waits for anything, but no engine is ideal."""
    pace = card.pace
    return Roofline(
        ideal.matrix_s / (card.matrix_efficiency * pace.sustained_clock),
        ideal.lanes_s / (pace.vector_efficiency * pace.sustained_clock),
        ideal.special_s / pace.sustained_clock,
        ideal.memory_s / max(card.memory_efficiency, pace.stream_efficiency), ideal.flop,
        ideal.bytes,
    )  # fmt: skip


def roofline(program: Program, card: Card) -> Roofline:
    """The roofline of a program on a card, at printed rates."""
    matrix_s = lanes_s = special_s = flop = 0.0
    parts: dict[tuple[str, bool], dict[object, float]] = {}
    sizes: dict[str, int] = {t.name: t.bytes for t in program.tensors}
    for phase in phases(program, card):
        for step, times in _useful(phase):
            if step.name in PRODUCTS:
                macs = _product_macs(step) * times
                flop += 2 * macs
                x = step.sources[0]
                assert isinstance(x, Tile)
                name = matrix_format(x.dtype, card)
                matrix_s += 2 * macs / card.peak_flop_per_s(name)
            else:
                lanes, special = _lane_s(step, card)
                lanes_s += times * lanes
                special_s += times * special
        for piece in phase.pieces:
            pieces = parts.setdefault((piece.name, piece.is_store), {})
            pieces[piece.where] = max(pieces.get(piece.where, 0.0), piece.unique_bytes)
    # pieces of one tensor that start apart are different parts of it
    touched = {key: min(sum(p.values()), sizes[key[0]]) for key, p in parts.items()}
    made = {name for name, is_store in touched if is_store}
    # what an earlier grid wrote may be read again without leaving the chip
    read = sum(b for (name, is_store), b in touched.items() if not is_store and name not in made)
    written = sum(b for (_, is_store), b in touched.items() if is_store)
    # results may stay in the shared level for the next kernel
    total = read + max(0.0, written - card.l2_bytes)
    rate = card.memory_bytes_per_s
    return Roofline(matrix_s, lanes_s, special_s, total / rate if rate else 0.0, flop, total)


def _useful(phase: Phase) -> list[tuple[Step, float]]:
    """Compute steps with how often they run over the whole grid, edges counted in part."""
    shares = {n: e / (t * s) for n, e, t, s in zip(
        phase.grid.numbers, phase.grid.extents, phase.grid.trips, phase.grid.steps,
        strict=True)}  # fmt: skip
    around: dict[int, float] = {}

    def walk(nodes: list[Node], share: float) -> None:
        for node in nodes:
            if isinstance(node, Loop):
                span = node.longest * node.step
                part = (node.extent - node.start) / span if span and node.stop is None else 1.0
                walk(node.body, share * min(1.0, part))
            elif isinstance(node, Grid):
                walk(node.body, share)
            else:
                around[id(node)] = share

    edge = 1.0
    for share in shares.values():
        edge *= min(1.0, share)
    walk(phase.grid.body, edge)
    return [
        (step, times * phase.grid.tiles * around[id(step)])
        for step, times in zip(phase.steps, phase.executions, strict=True)
        if step.view is None
    ]


def _product_macs(step: Step) -> float:
    x = step.sources[0]
    assert isinstance(x, Tile)
    m, n = step.tiles[0].shape
    k = x.shape[0] if step.attributes.get("transpose_x") else x.shape[1]
    return float(m * n * k)


def _lane_s(step: Step, card: Card) -> tuple[float, float]:
    """Seconds of all cores' lanes and of all their special units for one execution."""
    _, lanes, special = engines_of(card).amounts(step)
    hz = (card.vector_clock_hz or card.clock_hz) * card.cores
    width = vector_lanes(card, lane_format(step))
    return lanes / (width * hz), special / (card.chip.special_per_cycle * hz)
