"""Work along rows priced by a program: softmax, norms, sums of rows.

A block of rows is loaded, folded, and written; a kernel that needs a second look at a row takes
it out of the core's scratchpad where the block fits, and loads it again where it does not. How
many rows a core works on at once, with how many threads, and how often a row is looked at is the
library's choice (`RowPlan`); without one the kernel is a tuned one that looks once.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from math import ceil

from suiren.core.index import Index
from suiren.core.pace import vector_lanes
from suiren.core.program import Grid, Loop, Node, Program, Step
from suiren.core.tile import Tile
from suiren.core.timing import Timing, time_program
from suiren.dtype import itemsize_bytes
from suiren.hw.held import Held
from suiren.hw.spec import Card
from suiren.mapper.stream import (
    RESULTS,
    Parts,
    lane_format,
    rounded,
    tile_bytes,
    words,
)

#: Families whose scratchpad is also the cache of loads.
CACHED = frozenset({"pascal", "volta", "turing", "ampere", "ada", "hopper", "blackwell"})
#: Blocks of rows under way in a core.
STAGES = 2


@dataclass(frozen=True, slots=True)
class RowPlan:
    """How a library works on rows."""

    resident: int
    """Rows that a core works on at once."""
    looks: int = 1
    """How often a row is read."""
    cycles: float = 0.0
    """Cycles for which a row's threads keep a core issuing, beyond the lanes' work: shuffles,
    barriers, addresses. They are the same on cores of 64 and of 128 lanes."""


@dataclass(frozen=True, slots=True)
class _Rows:
    count: int
    in_bytes: int
    out_bytes: int
    lanes: int
    special: int
    dtype: str
    resident: int
    looks: int


def rows(
    count: int, cols: int, lanes: float, special: float, dtype: str, card: Card, *,
    out_bytes: float | None = None, plan: RowPlan | None = None, warm: float = 0.0,
) -> Timing:  # fmt: skip
    """The time of a kernel along `count` rows of `cols` numbers, launch not included.

    `lanes` and `special` are per element; `out_bytes` is what a row leaves behind (as much as
    it reads if None); `warm` is the share of the rows that lies in the shared level.
    """
    row_bytes = cols * itemsize_bytes(dtype)
    wide = plan or tuned(row_bytes, card)
    width = vector_lanes(card, lane_format(dtype))
    work = _Rows(
        rounded(count), row_bytes, round(row_bytes if out_bytes is None else out_bytes),
        round(lanes * cols + wide.cycles * width), round(special * cols),
        lane_format(dtype), wide.resident, wide.looks,
    )  # fmt: skip
    return _timed(work, round(warm, 2), Held(card))


def tuned(row_bytes: int, card: Card) -> RowPlan:
    """A kernel that keeps its rows in the core: enough to hide latency, one look if they fit."""
    resident = max(1, tile_bytes(card) // max(1, row_bytes))
    looks = 1 if (STAGES + RESULTS) * row_bytes <= card.chip.scratchpad_bytes else 2
    return RowPlan(resident, looks)


@lru_cache(maxsize=65536)
def _timed(work: _Rows, warm: float, held: Held) -> Timing:
    card = held.card
    return time_program(_program(work, card), card, warm={"x": warm} if warm else None)


def _again(work: _Rows, card: Card) -> float:
    """Share of a row that a second look loads again: the rest is still in the core's cache.

    None of it while the rows at work and their results fit, all once they are twice as much.
    """
    if card.chip.family not in CACHED:
        return 1.0
    full = work.resident * (work.in_bytes + work.out_bytes) / card.chip.scratchpad_bytes
    return float(min(1.0, max(0.0, full - 1)))


def _program(work: _Rows, card: Card) -> Program:
    """The rows spread evenly over the cores, `resident` at a time."""
    cores = min(int(card.cores), max(1, work.count))
    share = ceil(work.count / cores)
    blocks = ceil(share / work.resident)
    across = share / blocks
    parts = Parts()
    place = Index(0, ((0, blocks), (1, 1)))
    size = words(across * work.in_bytes)
    length = size * cores * blocks
    lanes, special = across * work.lanes / work.looks, across * work.special / work.looks
    y, folded = parts.tile(words(across * work.out_bytes), RESULTS), parts.tile(1, 1, "f32")
    body: list[Node] = []
    for look in range(work.looks):
        part = round(size * _again(work, card)) if look else size
        sources: tuple[Tile, ...] = (folded,) if look else ()
        if part:
            x = parts.tile(part, STAGES)
            view = parts.piece("x", length, place * size, part)
            body += [Step("load", (x,), (), view, {"pad": 0.0}), Step("wait", (x,))]
            sources = (*sources, x)
        last = look == work.looks - 1
        body += [Step("acquire", (y,))] if last else []
        body += parts.compute(y if last else folded, sources, lanes, special, work.dtype, card)
        body += [Step("release", (x,))] if part else []
    view = parts.piece("y", y.numel * cores * blocks, place * y.numel, y.numel)
    body.append(Step("store", (y,), (), view, {"add": False}))
    grid = Grid((0,), (cores,), (1,), [Loop(1, blocks, 1, body)])
    return Program("rows", tuple(parts.tensors), tuple(parts.tiles), (grid,), ("y",))
