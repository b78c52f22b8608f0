"""Runs a program on real arrays, as unkindly as the chip may.

Tiles start as NaN, a slot that is given back turns to NaN, loads arrive as late as `wait`
allows and stores as late as the next owner of their slot allows. Values are rounded to the
format of the tile they land in after every instruction.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from suiren.core.check import check_order, check_protocol
from suiren.core.formats import round_to
from suiren.core.index import Index, Range
from suiren.core.instruction import INSTRUCTIONS, Array
from suiren.core.program import Grid, Node, Program, Step
from suiren.core.protocol import Race, slots_of
from suiren.core.tile import KernelMistake, Tile, View

Places = dict[int, int]


def emulate(program: Program, arrays: Mapping[str, Any]) -> dict[str, Array]:
    """The written tensors after the program ran on `arrays` (by tensor name).

    Tensors that are written and not given start as NaN. Raises Race and KernelMistake.
    """
    check_order(program)
    check_protocol(program)
    machine = _Machine(program, arrays)
    for node in program.nodes:
        machine.run(node, {})
    machine.barrier()
    return {name: machine.memory[name] for name in program.written}


class _Machine:
    def __init__(self, program: Program, arrays: Mapping[str, Any]) -> None:
        self.memory: dict[str, Array] = {}
        for tensor in program.tensors:
            given = arrays.get(tensor.name)
            if given is None and tensor.name not in program.written:
                raise KernelMistake(f"{program.name} reads {tensor.name}, which was not given")
            values = np.full(tensor.shape, np.nan) if given is None else np.asarray(given)
            if values.shape != tensor.shape:
                raise KernelMistake(f"{program.name}: {tensor.name} is {list(tensor.shape)}, "
                                    f"but {list(values.shape)} was given")  # fmt: skip
            self.memory[tensor.name] = round_to(values.astype(np.float64), tensor.dtype)
        self.data = {
            t.number: [np.full(t.shape, np.nan) for _ in range(t.buffers)] for t in program.tiles
        }
        self.slots = slots_of(program, self._poison)
        #: Elements stored since the last barrier, and by which line.
        self.stored: dict[str, tuple[Array, str]] = {}

    def _poison(self, tile: Tile, slot: int) -> None:
        self.data[tile.number][slot] = np.full(tile.shape, np.nan)

    def run(self, node: Node, places: Places) -> None:
        if isinstance(node, Step):
            self.step(node, places)
        elif isinstance(node, Grid):
            for tile in range(node.tiles):
                at = {**places, **node.iterations(tile)}
                for inner in node.body:
                    self.run(inner, at)
        else:
            for iteration in range(node.trips(places)):
                at = {**places, node.number: iteration}
                for inner in node.body:
                    self.run(inner, at)

    def barrier(self) -> None:
        """Every store is done; what it wrote may be read."""
        for held in self.slots.values():
            while held.storing:
                held.finish_store()
        self.stored.clear()

    def step(self, step: Step, places: Places) -> None:
        if step.name == "barrier":
            self.barrier()
            return
        tile = step.tiles[0]
        held = self.slots[tile.number]
        if step.name in ("wait", "release", "acquire"):
            getattr(held, step.name)(step)
        elif step.name == "load":
            spots = self._spots(step, places)
            held.load(step, lambda slot: self._arrive(step, spots, slot))
        elif step.name == "store":
            spots = self._spots(step, places)
            held.store(step, lambda slot: self._leave(step, spots, slot))
        else:
            self._compute(step, tile, places)

    def _compute(self, step: Step, tile: Tile, places: Places) -> None:
        slot = self.slots[tile.number].slot_for(step, "writes")
        old = self.data[tile.number][slot]
        if step.name in ("iota", "edge"):
            self.data[tile.number][slot] = _positions(step, old, places)
            return
        sources = [self._value(step, s, places) for s in step.sources]
        instruction = INSTRUCTIONS[step.name]
        if instruction.accumulates:
            sources.insert(0, old)
        with np.errstate(all="ignore"):
            result = np.asarray(instruction.meaning(*sources, **step.attributes))
        values = np.broadcast_to(result, tile.shape).astype(np.float64)
        self.data[tile.number][slot] = round_to(values, tile.dtype)

    def _value(self, step: Step, source: object, places: Places) -> Any:
        if isinstance(source, Tile):
            return self.data[source.number][self.slots[source.number].slot_for(step, "reads")]
        if isinstance(source, Index):
            return float(source.at(places))
        return source

    # ---- copies -------------------------------------------------------------------------

    def _spots(self, step: Step, places: Places) -> tuple[Array, Array]:
        """Flat places in the stored tensor of every element of the view, and which exist."""
        view = step.view
        assert view is not None
        axes: list[Array] = []
        inside: list[Array] = []
        kept: list[int] = []
        for d, (place, size) in enumerate(zip(view.places, view.tensor.shape, strict=True)):
            at, ok = self._along(step, place, size, places)
            axes.append(np.clip(at, 0, size - 1))
            inside.append(ok)
            if not isinstance(place, Index):
                kept.append(d)
        grids = np.meshgrid(*axes, indexing="ij") if axes else []
        exists = np.ones([len(a) for a in axes], bool)
        for ok in np.meshgrid(*inside, indexing="ij") if inside else []:
            exists = exists & ok
        stored = view.tensor.stored
        order = view.tensor.order or tuple(range(len(view.tensor.shape)))
        flat = np.zeros(exists.shape, np.int64)
        strides = np.cumprod([1, *stored.shape[:0:-1]])[::-1]
        for d, grid in enumerate(grids):
            flat = flat + grid * int(strides[order[d]])
        shape = [len(axes[d]) for d in kept]
        return _grouped(view, flat.reshape(shape)), _grouped(view, exists.reshape(shape))

    def _along(
        self, step: Step, place: Range | Index | Tile, size: int, places: Places
    ) -> tuple[Array, Array]:
        if isinstance(place, Tile):
            values = self._value(step, place, places).reshape(-1)
            known = np.isfinite(values)
            at = np.where(known, values, -1).astype(np.int64)
            return at, (at >= 0) & (at < size)
        if isinstance(place, Index):
            one = np.array([place.at(places)])
            return one, (one >= 0) & (one < size)
        at = place.start.at(places) + place.stride * np.arange(place.size)
        return at, (at >= 0) & (at < size) & (np.arange(place.size) < place.inside(places))

    def _arrive(self, step: Step, spots: tuple[Array, Array], slot: int) -> None:
        (tile,), view = step.tiles, step.view
        assert view is not None
        flat, exists = spots
        name = view.tensor.stored.name
        stored, line = self.stored.get(name, (None, ""))
        if stored is not None and stored.reshape(-1)[flat[exists]].any():
            raise Race(f"loads a part of {name} that this store may not have written yet:",
                       step.line, line, "put a barrier between the two")  # fmt: skip
        values = np.where(exists, self.memory[name].reshape(-1)[flat], _number(step, "pad"))
        self.data[tile.number][slot] = round_to(values.reshape(tile.shape), tile.dtype)

    def _leave(self, step: Step, spots: tuple[Array, Array], slot: int) -> None:
        (tile,), view = step.tiles, step.view
        assert view is not None
        flat, exists = spots
        name = view.tensor.stored.name
        memory = self.memory[name].reshape(-1)
        mask, line = self.stored.setdefault(name, (np.zeros(memory.shape, bool), step.line))
        spot, values = flat[exists], self.data[tile.number][slot].reshape(flat.shape)[exists]
        add = bool(step.attributes["add"])
        if not add and mask[spot].any():
            raise Race(f"stores to a part of {name} that this store also writes:", step.line,
                       line, "let the tiles be disjoint, or store with add=True")  # fmt: skip
        if add:
            np.add.at(memory, spot, values)
        else:
            memory[spot] = values
            mask[spot] = True
        dtype = view.tensor.dtype
        memory[spot] = round_to(memory[spot], dtype)


def _grouped(view: View, values: Array) -> Array:
    if not view.groups:
        return values
    order = [d for group in view.groups for d in group]
    return values.transpose(order).reshape(view.shape)


def _positions(step: Step, old: Array, places: Places) -> Array:
    at = step.attributes["places"]
    axis = step.attributes["axis"]
    assert isinstance(at, Range) and isinstance(axis, int)
    along = [1] * old.ndim
    along[axis] = at.size
    if step.name == "iota":
        run = at.start.at(places) + at.stride * np.arange(at.size, dtype=np.float64)
        return np.broadcast_to(run.reshape(along), old.shape).copy()
    keep = (np.arange(at.size) < at.inside(places)).reshape(along)
    return np.where(keep, old, _number(step, "value"))


def _number(step: Step, name: str) -> float:
    value = step.attributes[name]
    assert isinstance(value, (int, float))
    return float(value)
