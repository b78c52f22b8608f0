"""What a kernel's author writes: `@kernel("a T[M,K]; b T[K,N] -> c T[M,N]")` over a `Core`.

    @kernel("a T[M,K]; b T[K,N] -> c T[M,N]", M=4096, N=4096, K=4096, T="bf16")
    def matmul(core, a, b, c, tm=128, tn=128, tk=64, stages=3):
        x = core.scratchpad((tm, tk), a.dtype, buffers=stages)
        y = core.scratchpad((tk, tn), b.dtype, buffers=stages)
        acc, out = core.registers((tm, tn)), core.scratchpad((tm, tn), c.dtype)
        for i, j in core.grid((a.shape[0], tm), (b.shape[1], tn)):
            core.fill(acc, 0)
            for k in core.loop(a.shape[1], tk):
                core.load(x, a[i, k]), core.load(y, b[k, j])
                core.wait(x, y)
                core.matmul(acc, x, y)
                core.release(x, y)
            core.acquire(out)
            core.cast(out, acc)
            core.store(c[i, j], out)

The function runs once; a loop's body is written down once, whatever its trip count.

Protocol of a tile with slots: `load` takes the next free slot and starts to fill it, `wait`
makes the oldest load the tile's content, `release` gives its slot back. `acquire` takes a
free slot for the engines to write, `store` copies it out and gives it back when done.
Engines run beside each other and respect each other's results; only copies need the protocol.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from suiren.core.index import Index, Range
from suiren.core.instruction import INSTRUCTIONS
from suiren.core.program import Grid, Loop, Node, Step
from suiren.core.tile import KernelMistake, Space, Tile, View
from suiren.core.where import line_outside, source_of

Source = Tile | float | Index
_HERE = __file__


def _line() -> str:
    return line_outside(_HERE)


@dataclass(eq=False)
class Core:
    """The core a kernel is written for; collects what the author asks of it."""

    tiles: list[Tile] = field(default_factory=list)
    written: list[str] = field(default_factory=list)
    _bodies: list[list[Node]] = field(default_factory=lambda: [[]])
    _loops: int = 0
    _filled: dict[int, tuple[int, ...]] = field(default_factory=dict)

    # ---- storage ------------------------------------------------------------------------

    def scratchpad(self, shape: tuple[int, ...], dtype: str = "f32", buffers: int = 1) -> Tile:
        """A tile in the core's scratchpad with `buffers` slots."""
        return self._tile(shape, dtype, buffers, "scratchpad")

    def registers(self, shape: tuple[int, ...], dtype: str = "f32", buffers: int = 1) -> Tile:
        """A tile in the core's registers or accumulators."""
        return self._tile(shape, dtype, buffers, "registers")

    def _tile(self, shape: tuple[int, ...], dtype: str, buffers: int, space: Space) -> Tile:
        line = _line()
        if buffers < 1 or any(size < 1 for size in shape):
            raise KernelMistake(
                f"{source_of(line)}\na tile needs sizes and buffers of at least 1; "
                f"got {list(shape)} with {buffers} buffers"
            )
        tile = Tile(f"tile{len(self.tiles)}", shape, dtype, space, buffers, len(self.tiles), line)
        self.tiles.append(tile)
        return tile

    # ---- loops --------------------------------------------------------------------------

    def loop(
        self, extent: int, step: int = 1, start: int = 0, stop: Index | None = None
    ) -> Iterator[Any]:
        """A loop over positions: yields one Range of `step` positions, or an Index if `step` is 1.

        `stop` ends the loop before that position, which may depend on loops around it.
        """
        yield from self._loop(extent, step, start, stop, unit=step == 1)

    def blocks(
        self, extent: int, step: int, start: int = 0, stop: Index | None = None
    ) -> Iterator[Range]:
        """As `loop`, but a Range even for blocks of one position."""
        yield from self._loop(extent, step, start, stop, unit=False)

    def _loop(
        self, extent: int, step: int, start: int, stop: Index | None, unit: bool
    ) -> Iterator[Any]:
        line = _line()
        if step < 1:
            raise KernelMistake(f"{source_of(line)}\na loop's step is at least 1, not {step}")
        loop = Loop(self._number(), extent, step, [], start, stop, line)
        place = Index(start, ((loop.number, step),))
        self._put(loop)
        self._bodies.append(loop.body)
        yield place if unit else Range(place, step, 1, place, extent)
        self._bodies.pop()

    def grid(
        self,
        *axes: tuple[int, int] | int,
        first: int = 0,
        count: int | None = None,
        descending: bool = False,
        square: bool = False,
        resident: int = 1,
        fresh: bool = False,
    ) -> Iterator[Any]:
        """Deals tiles out to the cores: an axis is `(extent, step)`, or a plain extent.

        Yields a Range for each `(extent, step)` and an Index for each plain extent (one of
        them alone, not in a tuple). See `program.Grid` for the options.
        """
        line = _line()
        if len(self._bodies) > 1:
            raise KernelMistake(f"{source_of(line)}\na grid cannot stand inside a loop")
        pairs = [axis if isinstance(axis, tuple) else (axis, 1) for axis in axes]
        numbers = tuple(self._number() for _ in pairs)
        grid = Grid(numbers, tuple(e for e, _ in pairs), tuple(s for _, s in pairs), [],
                    first, count, descending, square, resident, fresh, line)  # fmt: skip
        places: list[Any] = []
        for axis, number, (extent, step) in zip(axes, numbers, pairs, strict=True):
            place = Index(0, ((number, step),))
            unit = not isinstance(axis, tuple)
            places.append(place if unit else Range(place, step, 1, place, extent))
        self._put(grid)
        self._bodies.append(grid.body)
        yield places[0] if len(places) == 1 else tuple(places)
        self._bodies.pop()

    def _number(self) -> int:
        self._loops += 1
        return self._loops - 1

    # ---- movement -----------------------------------------------------------------------

    def load(
        self, tile: Tile, view: View, pad: float = 0.0, multicast: Range | Index | None = None,
        compressed: float = 1.0,
    ) -> None:  # fmt: skip
        """Starts to fill the tile's next slot; positions outside the tensor become `pad`.

        `multicast` names a grid axis that the view does not depend on: neighbours along it
        read the same data, and the copy engine sends it to a whole group of cores at once.
        `compressed` is the share of its bytes that sparse data takes on the way, on chips whose
        copy engines compress.
        """
        line = _line()
        _fit(tile, view, line)
        attributes: dict[str, object] = {"pad": pad}
        if multicast is not None:
            attributes["multicast"] = _axis(multicast, view, line)
        if compressed != 1.0:
            attributes["compressed"] = compressed
        self._filled[tile.number] = view.clipped
        self._put(Step("load", (tile,), _indices(view), view, attributes, line))

    def store(self, view: View, tile: Tile, add: bool = False) -> None:
        """Starts to copy the tile out and gives its slot back when done; `add` adds in memory."""
        line = _line()
        _fit(tile, view, line)
        name = view.tensor.stored.name
        if name not in self.written:
            self.written.append(name)
        self._put(Step("store", (tile,), _indices(view), view, {"add": add}, line))

    def wait(self, *tiles: Tile) -> None:
        """Until the oldest load of each tile has arrived; it is the tile's content from here on."""
        line = _line()
        for tile in tiles:
            self._put(Step("wait", (tile,), line=line))

    def release(self, *tiles: Tile) -> None:
        """Gives the slot of each tile back to be filled again, once its readers are done."""
        line = _line()
        for tile in tiles:
            self._put(Step("release", (tile,), line=line))

    def acquire(self, *tiles: Tile) -> None:
        """Takes a free slot of each tile for the engines to write."""
        line = _line()
        for tile in tiles:
            self._put(Step("acquire", (tile,), line=line))

    def barrier(self) -> None:
        """Until every core has come here and all its copies are done; not inside a grid."""
        line = _line()
        if len(self._bodies) > 1:
            raise KernelMistake(f"{source_of(line)}\na barrier cannot stand inside a loop")
        self._put(Step("barrier", line=line))

    # ---- positions ----------------------------------------------------------------------

    def iota(self, tile: Tile, places: Range, axis: int = 1) -> None:
        """Writes the positions of a range along an axis of the tile."""
        line = _line()
        if tile.shape[axis] != places.size:
            raise KernelMistake(f"{source_of(line)}\niota: {places.size} positions along an axis "
                                f"of {tile.shape[axis]} of {list(tile.shape)}")  # fmt: skip
        self._put(Step("iota", (tile,), (), None, {"places": places, "axis": axis}, line))

    def edge(self, tile: Tile, places: Range, value: float, axis: int = 1) -> None:
        """Sets what lies beyond the range's extent to `value`; nothing on inner tiles."""
        line = _line()
        if tile.shape[axis] != places.size:
            raise KernelMistake(f"{source_of(line)}\nedge: {places.size} positions along an axis "
                                f"of {tile.shape[axis]} of {list(tile.shape)}")  # fmt: skip
        if places.has_edge:
            attributes = {"places": places, "axis": axis, "value": value}
            self._put(Step("edge", (tile,), (tile,), None, attributes, line))

    # ---- instructions -------------------------------------------------------------------

    def __getattr__(self, name: str) -> Callable[..., None]:
        if name not in INSTRUCTIONS:
            raise AttributeError(f"a core has no instruction {name!r}; it has "
                                 f"{', '.join(sorted(INSTRUCTIONS))}")  # fmt: skip

        def issue(tile: Tile, *sources: Source, **attributes: object) -> None:
            self._issue(name, tile, sources, attributes)

        return issue

    def _issue(
        self, name: str, tile: Tile, sources: tuple[Source, ...], attributes: dict[str, object]
    ) -> None:
        line = _line()
        instruction = INSTRUCTIONS[name]
        shapes = [s.shape if isinstance(s, Tile) else () for s in sources]
        try:
            if instruction.accumulates:
                shape = instruction.shape(tile.shape, *shapes, **attributes)
            else:
                shape = instruction.shape(*shapes, **attributes)
                if name in ("fill", "cast") or not shape:
                    shape = _stretch(shape, tile.shape)
        except KernelMistake as mistake:
            raise KernelMistake(f"{source_of(line)}\n{name}: {mistake}") from None
        except TypeError:
            raise KernelMistake(f"{source_of(line)}\n{name} does not take {len(sources)} sources "
                                f"with {sorted(attributes)}") from None  # fmt: skip
        if shape != tile.shape:
            raise KernelMistake(f"{source_of(line)}\n{name} gives {list(shape)}, but its "
                                f"destination is {list(tile.shape)}")  # fmt: skip
        inside = self._inside(name, sources, attributes)
        self._put(Step(name, (tile,), sources, None, attributes, line, inside))

    def _inside(
        self, name: str, sources: tuple[Source, ...], attributes: dict[str, object]
    ) -> tuple[int, ...]:
        """How much of a product's (m, n, k) its operands' tensors can fill."""
        if INSTRUCTIONS[name].engine != "matrix":
            return ()
        x, y = (self._filled.get(s.number, s.shape) for s in sources if isinstance(s, Tile))
        m, k = x[::-1] if attributes.get("transpose_x") else x
        k2, n = y[::-1] if attributes.get("transpose_y") else y
        return (m, n, min(k, k2))

    def _put(self, node: Node) -> None:
        self._bodies[-1].append(node)


def _stretch(shape: tuple[int, ...], to: tuple[int, ...]) -> tuple[int, ...]:
    fits = len(shape) <= len(to) and all(
        s in (1, t) for s, t in zip(reversed(shape), reversed(to), strict=False)
    )
    return to if fits else shape


def _fit(tile: Tile, view: View, line: str) -> None:
    if view.shape != tile.shape:
        raise KernelMistake(
            f"{source_of(line)}\nthe piece of {view.tensor.name} is {list(view.shape)}, "
            f"but the tile is {list(tile.shape)}"
        )


def _indices(view: View) -> tuple[Tile, ...]:
    return tuple([p for p in view.places if isinstance(p, Tile)])


def _axis(place: Range | Index, view: View, line: str) -> int:
    start = place.start if isinstance(place, Range) else place
    (loop,) = start.loops() or (None,)
    for p in view.places:
        at = p.start if isinstance(p, Range) else p
        if isinstance(at, Index) and loop in at.loops():
            raise KernelMistake(f"{source_of(line)}\nmulticast along an axis that the piece needs")
    if loop is None:
        raise KernelMistake(f"{source_of(line)}\nmulticast needs an axis of the grid")
    return loop
