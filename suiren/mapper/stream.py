"""Streaming work priced by a program: load tiles, spend lane and special work, store tiles.

`stream` covers everything that passes over memory once: pointwise chains, casts, fills,
optimizer steps, sums. Copies move words of 16 bytes. A tile of work counts lane operations and
special results; where there is none, one lane operation a word stays, for its address.

Every core walks through its tiles with several loads under way, as a GPU's resident blocks
have together. The tile is the one with the shortest simulated time; sizes are rounded to half
a per cent, so that calls of nearly one size are timed once.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from math import ceil, log2

from suiren.core.index import Index, Range
from suiren.core.pace import vector_lanes
from suiren.core.program import Grid, Loop, Node, Program, Step
from suiren.core.tile import Tensor, Tile, View
from suiren.core.timing import LONG_RUN_BYTES, Timing, time_program
from suiren.dtype import itemsize_bytes
from suiren.hw.held import Held
from suiren.hw.spec import Card

WORD_BYTES = 16
#: The format of a word of 16 bytes.
WORD = "c128"
#: Loads and results under way in a core.
STAGES, RESULTS = 4, 2
#: Sizes are rounded to this many steps an octave.
STEPS_AN_OCTAVE = 128
_LEAST_TILE, _MOST_TILE = 512, 64 * 1024


@dataclass(frozen=True, slots=True)
class Work:
    """What a stream moves and computes: bytes, lane operations, special results."""

    reads: int
    writes: int
    lanes: int
    special: int
    dtype: str

    @property
    def bytes(self) -> int:
        """Bytes read and written."""
        return self.reads + self.writes


def stream(
    reads_bytes: float, writes_bytes: float, lanes: float, special: float, dtype: str, card: Card,
    warm: float = 0.0, like: Card | None = None,
) -> Timing:  # fmt: skip
    """The time of a streaming kernel on a card, launch not included.

    `lanes` are operations of one lane in `dtype` (narrow formats compute in f32), `special`
    results of the special unit; `warm` is the share of the reads that lies in the shared level.
    With `like`, the work is cut as is the fastest on that card.
    """
    work = Work(rounded(reads_bytes), rounded(writes_bytes), rounded(lanes), rounded(special),
                lane_format(dtype))  # fmt: skip
    if like is None:
        return _fastest(work, round(warm, 2), Held(card))[1]
    return _alike(work, round(warm, 2), Held(card), Held(like))


def lane_format(dtype: str) -> str:
    """The format in which lanes compute on stored numbers."""
    return dtype if itemsize_bytes(dtype) > 4 else "f32"


def rounded(amount: float) -> int:
    """The amount to a step of half a per cent; small ones as they are."""
    if amount <= STEPS_AN_OCTAVE:
        return max(0, round(amount))
    return round(2 ** (round(log2(amount) * STEPS_AN_OCTAVE) / STEPS_AN_OCTAVE))


@lru_cache(maxsize=65536)
def _fastest(work: Work, warm: float, held: Held) -> tuple[int, Timing]:
    """(blocks of a core's share, time)."""
    if not work.bytes and not work.lanes and not work.special:
        return 1, Timing()
    return _best(lambda blocks: _timed(work, blocks, warm, held.card), _first(work, held.card))


@lru_cache(maxsize=65536)
def _alike(work: Work, warm: float, held: Held, like: Held) -> Timing:
    if not work.bytes and not work.lanes and not work.special:
        return Timing()
    return _timed(work, _fastest(work, warm, like)[0], warm, held.card)


def _timed(work: Work, blocks: int, warm: float, card: Card) -> Timing:
    near = {"x": warm} if warm else None
    return time_program(_program(work, blocks, card), card, warm=near)


def _best(timed: Callable[[int], Timing], first: set[int]) -> tuple[int, Timing]:
    """The fastest way to cut a share in blocks, doubling and halving from the best first one on.

    Long blocks hide latency and keep a page of memory open; short ones fill the pipeline sooner.
    """
    found = {blocks: timed(blocks) for blocks in sorted(first)}
    best = min(found, key=lambda blocks: found[blocks].seconds)
    for up in (True, False):
        while (blocks := 2 * best if up else best // 2) and blocks not in found:
            found[blocks] = timed(blocks)
            if found[blocks].seconds >= found[best].seconds:
                break
            best = blocks
    return best, found[best]


def _first(work: Work, card: Card) -> set[int]:
    """Blocks of a core's share: by the tile that hides latency, and the longest page by page."""
    share = max(work.bytes, work.lanes // 64, 1) / card.cores
    many = max(ceil(share / tile_bytes(card)), min(STAGES, int(share) // _LEAST_TILE))
    run = min((n for n in (work.reads, work.writes) if n), default=0) / card.cores
    pages = int(run // LONG_RUN_BYTES)
    return {many, pages} if 0 < pages < many else {many}


@lru_cache(maxsize=256)
def _tile_bytes(held: Held) -> int:
    card = held.card
    pace = card.pace
    rate = max(card.memory_bytes_per_s, card.l2_bytes_per_s * pace.l2_efficiency / 2)
    flight = rate * (pace.l2_latency_s + card.memory_latency_s) / card.cores
    room = card.chip.scratchpad_bytes / (STAGES + RESULTS)
    return 1 << round(log2(max(_LEAST_TILE, min(flight, room, _MOST_TILE))))


def tile_bytes(card: Card) -> int:
    """Bytes of a tile of which a few under way hide the latency of memory."""
    return _tile_bytes(Held(card))


def _program(work: Work, blocks: int, card: Card) -> Program:
    """The stream spread evenly over the cores, each of which takes its share in blocks.

    Shares are whole words, and the tensors as long as all shares together.
    """
    cores = min(int(card.cores), max(1, work.bytes // _LEAST_TILE, work.lanes // _LEAST_TILE))
    parts = blocks * cores
    found = Parts()
    body: list[Node] = []
    sources: tuple[Tile, ...] = ()
    place = Index(0, ((0, blocks), (1, 1)))
    if work.reads:
        x = found.tile(words(work.reads / parts), STAGES)
        view = found.piece("x", parts * x.numel, place * x.numel, x.numel)
        body += [Step("load", (x,), (), view, {"pad": 0.0}), Step("wait", (x,))]
        sources = (x,)
    y = found.tile(words(work.writes / parts), RESULTS)
    if work.writes:
        body.append(Step("acquire", (y,)))
    body += found.compute(y, sources, work.lanes / parts, work.special / parts, work.dtype, card)
    body += [Step("release", sources)] if sources else []
    if work.writes:
        view = found.piece("y", parts * y.numel, place * y.numel, y.numel)
        body.append(Step("store", (y,), (), view, {"add": False}))
    grid = Grid((0,), (cores,), (1,), [Loop(1, blocks, 1, body)])
    return Program("stream", tuple(found.tensors), tuple(found.tiles), (grid,), ("y",))


def words(amount_bytes: float) -> int:
    """Words of 16 bytes that hold so many bytes, at least one."""
    return max(1, ceil(amount_bytes / WORD_BYTES))


class Parts:
    """Tensors and tiles of a program of words, numbered as they come."""

    def __init__(self) -> None:
        self.tensors: list[Tensor] = []
        self.tiles: list[Tile] = []

    def tile(self, size: int, buffers: int = 1, dtype: str = WORD) -> Tile:
        """A tile of `size` numbers."""
        number = len(self.tiles)
        space = "scratchpad" if dtype == WORD else "registers"
        self.tiles.append(Tile(f"tile{number}", (size,), dtype, space, buffers, number))  # type: ignore[arg-type]
        return self.tiles[-1]

    def piece(self, name: str, length: int, start: Index, size: int) -> View:
        """`size` words from `start` on, of a tensor of `length` words."""
        tensor = next((t for t in self.tensors if t.name == name), None)
        if tensor is None:
            tensor = Tensor(name, (length,), WORD)
            self.tensors.append(tensor)
        return View(tensor, (Range(start, size),))

    def compute(
        self, into: Tile, sources: tuple[Tile, ...], lanes: float, special: float, dtype: str,
        card: Card,
    ) -> list[Step]:  # fmt: skip
        """Steps that spend so much work on a tile; their operands' sizes are the amounts."""
        if dtype != "f32":
            lanes *= vector_lanes(card, "f32") / vector_lanes(card, dtype)
        amount = self.tile(max(1, round(lanes)), 1, "f32")
        steps = [Step("fma", (into,), (*sources, amount))]
        if special:
            results = self.tile(max(1, round(special)), 1, "f32")
            steps.append(Step("exp", (into,), (*sources, results)))
        return steps
