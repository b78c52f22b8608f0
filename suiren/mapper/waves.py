"""How long every step of a product's program takes in a wave of tiles, for all candidates at once.

The steps are those of the real kernel, traced once for each way its program is built; what
differs between candidates is columns, by the arithmetic of `core.timing.durations`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from suiren.core.compiled import compiled
from suiren.core.instruction import INSTRUCTIONS
from suiren.core.loop import BEGIN, MATRIX, PAUSE, REPEAT, Nest
from suiren.core.pace import PRODUCTS, Engines, lane_format, step_s
from suiren.core.phase import Phase
from suiren.core.program import Step
from suiren.mapper.candidate import Candidates, Floats, Ints, Shape, ceil_div
from suiren.mapper.grids import Flow, Grid, Piece
from suiren.units import PS_PER_S


@dataclass(frozen=True, slots=True, eq=False)
class Action:
    """A step of a traced grid: what it does and how often."""

    engine: int
    tensor: str
    """Of a load or store; empty for what computes."""
    is_store: bool
    is_product: bool
    is_inner: bool
    """Whether it stands in the grid's loop."""
    lanes: float
    special: float
    dtype: str
    latency_ps: int


@dataclass(frozen=True, slots=True, eq=False)
class Body:
    """A grid's body as the compiled nest takes it."""

    nest: Nest
    actions: tuple[Action, ...]
    is_fresh: bool


#: The bodies of a candidate's grids, by its place.
Bodies = Callable[[int], tuple[Body, ...]]


def body_of(phase: Phase, buffers: tuple[int, ...], engines: Engines) -> Body:
    """The body of a traced grid: one loop at most, its steps in order."""
    begin = (BEGIN if phase.grid.fresh else PAUSE, 0, len(phase.steps), 0, ())
    inner = {op[2] for loop in phase.ops if loop[0] == REPEAT for op in loop[1]}
    steps = enumerate(zip(phase.steps, phase.engines, strict=True))
    actions = tuple(_action(step, engine, at in inner, engines) for at, (step, engine) in steps)
    return Body(compiled((begin, *phase.ops), buffers), actions, phase.grid.fresh)


def _action(step: Step, engine: int, is_inner: bool, engines: Engines) -> Action:
    if step.view is not None:
        is_store = step.name == "store"
        name = "c" if is_store else step.view.tensor.name
        return Action(engine, name, is_store, False, is_inner, 0.0, 0.0, "", 0)
    instruction = INSTRUCTIONS[step.name]
    latency = engines.compute(step).latency
    return Action(engine, "", False, step.name in PRODUCTS, is_inner, instruction.lanes,
                  instruction.special, lane_format(step), latency)  # fmt: skip


@dataclass(frozen=True, slots=True, eq=False)
class Work:
    """What the compute steps of one tile work on."""

    numel: Ints
    """Numbers of a tile of the result."""
    product_s: Floats
    """A step's products at the engine's rate."""
    least_s: Floats
    """What a matrix step takes at least."""
    trips: Floats
    """How often the loop runs in a tile, on average."""


def product_work(shape: Shape, engines: Engines, ways: Candidates, trips: Floats) -> Work:
    """Of the grid that multiplies."""
    card = engines.card
    engine, macs_per_s = engines.product_engine(shape.dtype)
    grain = card.chip.tile_mnk if engine == "matrix" else (1, 1, 1)
    sizes = [ways.tm, ways.tn, ways.tk]
    if "padding" in card.chip.skips:
        sizes = [np.minimum(size, most) for size, most in
                 zip(sizes, (shape.m, shape.n, shape.k), strict=True)]  # fmt: skip
    m, n, k = (ceil_div(size, g) * g for size, g in zip(sizes, grain, strict=True))
    least = step_s(shape.dtype, card) * ways.tk.astype(np.float64)
    return Work(ways.tm * ways.tn, (m * n * k).astype(np.float64) / macs_per_s, least, trips)


@dataclass(frozen=True, slots=True, eq=False)
class Wave:
    """Durations of a wave of every candidate, picoseconds [candidates, 3 · (steps + 1)]."""

    table: Ints
    busy: tuple[Ints, ...]
    """Of each action."""
    latency: tuple[Ints, ...]
    charge: tuple[Ints, ...]
    start: int
    """What it takes to begin a tile."""


def wave_of(
    body: Body, grid: Grid, work: Work, engines: Engines, tiles: Ints, beside: Ints
) -> Wave:
    """Durations where so many `tiles` are at work in all, and `beside` on the fullest core."""
    card = engines.card
    busy = [_computing(action, work, engines, beside) for action in body.actions]
    shares = _shares(body, grid, work, engines, busy, tiles, beside)
    latency, charge = [], []
    zero = np.zeros(len(tiles), np.int64)
    for at, action in enumerate(body.actions):
        late, owed = zero + action.latency_ps, zero
        if action.engine == MATRIX:
            slower = _ps(work.product_s * beside * shares.stretch)
            stretched = np.maximum(busy[at], slower)
            busy[at] = np.where(shares.stretch > 1, stretched, busy[at])
        elif action.is_store:
            part = grid.pieces[action.tensor].each / grid.stores.core
            busy[at], owed = _ps(part * shares.store_s), _ps(part * shares.charge_s)
        elif action.tensor:
            part = grid.pieces[action.tensor].each / grid.loads.core
            busy[at] = _ps(card.pace.copy_issue_s + part * shares.load_s)
            late = _ps(card.pace.l2_latency_s + card.memory_latency_s * grid.miss[action.tensor])
        latency.append(late)
        charge.append(owed)
    start = round(card.pace.tile_start_s * PS_PER_S)
    columns = [c for three in zip(busy, latency, charge, strict=True) for c in three]
    table = np.stack([*columns, zero + start, zero, zero], axis=1)
    return Wave(table, tuple(busy), tuple(latency), tuple(charge), start)


def _ps(seconds: NDArray[np.floating[Any]]) -> Ints:
    whole: Ints = np.rint(seconds * PS_PER_S).astype(np.int64)
    return whole


def _computing(action: Action, work: Work, engines: Engines, beside: Ints) -> Ints:
    """Busy time of a compute step for `beside` tiles, zero for a copy."""
    if action.tensor:
        return np.zeros(len(beside), np.int64)
    if not action.is_product:
        lanes, special = work.numel * action.lanes, work.numel * action.special
        seconds = engines.lane_s(lanes, special, action.dtype)  # type: ignore[arg-type]
        return _ps(seconds * beside)
    if action.engine != MATRIX:
        return _ps(work.product_s * beside + engines.card.pace.vector_step_s)
    return _ps(np.maximum(work.product_s * beside, work.least_s))


@dataclass(frozen=True, slots=True, eq=False)
class _Shares:
    load_s: Floats
    store_s: Floats
    charge_s: Floats
    stretch: Floats


def _shares(
    body: Body, grid: Grid, work: Work, engines: Engines, busy: list[Ints], tiles: Ints,
    beside: Ints,
) -> _Shares:  # fmt: skip
    """`core.timing._shares`, on columns."""
    card, pace, inf = engines.card, engines.card.pace, float("inf")
    loads, stores = grid.loads, grid.stores
    port = pace.port_bytes_per_cycle * engines.matrix_hz
    l2_rate = card.l2_bytes_per_s * pace.l2_efficiency or inf
    memory_rate = card.memory_bytes_per_s or inf
    store_rate = card.l2_bytes_per_s * pace.store_share or inf
    l2_s = np.maximum(loads.core * beside / port, loads.l2 * tiles / l2_rate)
    memory_s = loads.printed * tiles / memory_rate
    write_s = stores.printed * tiles / memory_rate
    store_s = np.maximum(stores.l2 * tiles / store_rate, stores.core * beside / port)
    if not card.l2_bytes_per_s:
        store_s = np.maximum(store_s, write_s)
    matrix_s = np.zeros(len(tiles))
    for action, taken in zip(body.actions, busy, strict=True):
        if action.engine == MATRIX:
            matrix_s = matrix_s + taken * (work.trips if action.is_inner else 1.0) / PS_PER_S
    load_s = np.maximum(l2_s, memory_s)
    top = np.maximum(matrix_s, load_s)
    lost = pace.overlap_loss * (matrix_s + l2_s + memory_s - top)
    heavy = matrix_s >= load_s
    with np.errstate(divide="ignore", invalid="ignore"):
        stretch = np.where(heavy & (top > 0), 1 + lost / top, 1.0)
    load_s = np.where(heavy, load_s, load_s + lost)
    full = fullness(grid, loads, stores=False) * load_s
    charge_s = np.maximum(0.0, memory_s + write_s - full) / fullness(grid, stores, stores=True)
    return _Shares(load_s, store_s, charge_s, stretch)


def fullness(grid: Grid, flow: Flow, stores: bool) -> Floats:
    """Bytes that a full tile loads or stores over those of the average one, at least 1."""
    full: Floats = np.zeros(len(grid.tiles))
    for name, piece in grid.pieces.items():
        if (name == "c") == stores:
            full = full + _moved(piece)
    return np.maximum(1.0, full / flow.core)


def _moved(piece: Piece) -> Floats:
    return piece.each * piece.executions
