"""Which tensors of a recorded step have a parameter's shard's shape: told by comparing two ranks.

Two ranks that asked for the same ops differ in some tensors' shapes. Each such tensor is as large
as some parameter's shard in both. Where several parameters are possible that other ranks cut
differently, the storage tells which: it holds a weight or an optimizer state of that name, or was
made beside a tensor that is known. Gradients share a storage; they stand in lists in the order of
the parameters, or as in the list of an op that is known.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import prod

import numpy as np

from suiren.torch.distributed.cuts import Cut
from suiren.trace.call import Call, Float, Tensor
from suiren.trace.program import Kind, Label, Program, Step

ROUND_BYTES = 512
"""Allocations are rounded up to this, as PyTorch's caching allocator does."""
Shape = tuple[int, ...]
Pair = tuple[Shape, Shape]


class NotAlike(ValueError):  # noqa: N818 - reads as what it is
    """Two ranks differ in more than shards' shapes, or it cannot be told whose shapes they are."""


@dataclass(frozen=True, slots=True)
class Slot:
    """A tensor of an op as two ranks gave it."""

    group: tuple[str, int]
    """Argument or result and place in its list; ("", -1) for every tensor outside of lists."""
    lower: Tensor
    higher: Tensor
    storage: int
    """Number of the lower rank's storage, 0 for none."""

    @property
    def pair(self) -> Pair:
        """Both shapes."""
        return self.lower.shape, self.higher.shape

    @property
    def is_uneven(self) -> bool:
        """True if the ranks differ in it."""
        return self.lower.shape != self.higher.shape


@dataclass
class Op:
    """An op of the step in which the ranks differ."""

    event: int
    slots: list[Slot]
    is_moved: bool = False
    """Its peer lies as far from one rank as from the other."""
    cuts: list[Cut | None] = field(default_factory=list)
    """Whose shard each slot is as large as; None for even slots and where it is not known yet."""

    @property
    def is_known(self) -> bool:
        """True once every uneven slot's parameter is found."""
        sides = zip(self.slots, self.cuts, strict=True)
        return all(cut is not None or not slot.is_uneven for slot, cut in sides)

    def lists(self) -> Iterator[tuple[tuple[Pair, ...], list[int]]]:
        """(shapes of a list, where its slots are) of every list that has uneven slots."""
        by_name: dict[str, list[int]] = defaultdict(list)
        for at, slot in enumerate(self.slots):
            if slot.group[1] >= 0:
                by_name[slot.group[0]].append(at)
        for where in by_name.values():
            if any(self.slots[at].is_uneven for at in where):
                yield tuple(self.slots[at].pair for at in where), where


def rounded_bytes(tensor: Tensor, shape: Shape) -> int:
    """What an allocation for such a tensor takes."""
    return -(-prod(shape) * tensor.itemsize_bytes // ROUND_BYTES) * ROUND_BYTES


def slots_of(lower: Call, higher: Call, storages: Sequence[int]) -> list[Slot]:
    """Tensors of an op, paired; raises NotAlike where more than shapes and the peer differ."""
    if lower.arguments.keys() != higher.arguments.keys():
        raise NotAlike(f"{lower.op}: other arguments")
    found: list[Slot] = []
    named = [(name, value, higher.arguments[name]) for name, value in lower.arguments.items()]
    results = zip(lower.outputs, higher.outputs, strict=True)
    named.extend(("->" + str(at), *both) for at, both in enumerate(results))
    for name, one, other in named:
        in_list = isinstance(one, tuple) and isinstance(other, tuple)
        ones = one if isinstance(one, tuple) else (one,)
        others = other if isinstance(other, tuple) else (other,)
        if len(ones) != len(others) or in_list != isinstance(one, tuple):
            raise NotAlike(f"{lower.op}: {name} has other lengths")
        for place, (a, b) in enumerate(zip(ones, others, strict=True)):
            if isinstance(a, Tensor) and isinstance(b, Tensor):
                group = (name, place) if in_list else ("", -1)
                storage = storages[len(found)] if len(found) < len(storages) else 0
                found.append(Slot(group, a, b, storage))
            elif name != "peer" and a != b and not (isinstance(a, Float) and isinstance(b, Float)):
                raise NotAlike(f"{lower.op}: {name} is {a} and {b}")
    for slot in found:
        kinds = [(t.dtype, t.strides, t.on_host) for t in (slot.lower, slot.higher)]
        if kinds[0] != kinds[1] or (slot.is_uneven and slot.lower.strides is not None):
            raise NotAlike(f"{lower.op}: {slot.lower} and {slot.higher}")
    return found


class Named:
    """Finds whose shards the uneven tensors of a step are."""

    def __init__(
        self, cuts: Sequence[tuple[Cut, Pair]], labels: Mapping[int, Label], live: Mapping[int, int]
    ) -> None:
        self.by_pair: dict[Pair, dict[tuple[int, int], Cut]] = defaultdict(dict)
        self.by_name: dict[str, tuple[Cut, Pair]] = {}
        for cut, pair in cuts:
            self.by_pair[pair].setdefault((cut.dim, cut.length), cut)
            self.by_name[cut.name] = cut, pair
        self.labels, self.live = labels, live
        self.made: dict[int, list[tuple[int, int]]] = {}

    def find(self, program: Program, step: Step, ops: list[Op]) -> None:
        """Fills in the cuts of every op; raises NotAlike where one cannot be told."""
        for op in ops:
            op.cuts = [None] * len(op.slots)
        self.made = _allocated(step)
        left = len(ops) + 1
        while unknown := [op for op in ops if not op.is_known]:
            if len(unknown) == left:
                name = program.calls[int(step.events["what"][unknown[0].event])].op
                raise NotAlike(f"{name}: several parameters may be meant")
            left = len(unknown)
            self._by_storage(ops)
            self._by_order(ops)

    def _by_storage(self, ops: list[Op]) -> None:
        known: dict[tuple[int, int], Cut] = {}
        for op in ops:
            beside: dict[tuple[int, Pair], Cut] = {}
            owns = [self._own(slot, op.event) for slot in op.slots]
            uneven = [at for at, slot in enumerate(op.slots) if slot.is_uneven]
            for at in (*uneven, *uneven):
                slot, own = op.slots[at], owns[at]
                place = slot.group[1], slot.pair
                cut = op.cuts[at] or self._one(slot) or beside.get(place)
                if cut is None and own is not None:
                    cut = known.get(own)
                if cut is not None and cut in self.by_pair[slot.pair].values():
                    op.cuts[at] = beside[place] = cut
                    if own is not None:
                        known[own] = cut

    def _own(self, slot: Slot, event: int) -> tuple[int, int] | None:
        """The allocation of the step that holds a slot and nothing else: storage and event."""
        before = [m for m in self.made.get(slot.storage, ()) if m[0] < event]
        own_bytes = rounded_bytes(slot.lower, slot.lower.shape)
        if not before or before[-1][1] != own_bytes:
            return None
        return slot.storage, before[-1][0]

    def _one(self, slot: Slot) -> Cut | None:
        """The only cut of these shapes, or the one whose weight or state the storage holds."""
        possible = self.by_pair.get(slot.pair)
        if not possible:
            raise NotAlike(f"{slot.lower} and {slot.higher} are no parameter's shards")
        if len(possible) == 1:
            return next(iter(possible.values()))
        label = self.labels.get(slot.storage)
        own_bytes = rounded_bytes(slot.lower, slot.lower.shape)
        if label is None or slot.storage in self.made:
            return None
        if self.live.get(slot.storage) != own_bytes:  # holds more than this tensor
            return None
        named = self.by_name.get(label.name) or self.by_name.get(label.name.rpartition(".")[0])
        if named is None or named[1] != slot.pair:
            return None
        return possible[named[0].dim, named[0].length]

    def _by_order(self, ops: list[Op]) -> None:
        """Lists of the same shapes in the same order are of the same parameters."""
        orders: dict[tuple[Pair, ...], set[tuple[Cut | None, ...]]] = defaultdict(set)
        every = self.by_name.values()
        orders[tuple(pair for _, pair in every)].add(
            tuple(
                self.by_pair[pair][cut.dim, cut.length] if pair[0] != pair[1] else None
                for cut, pair in every
            )
        )
        for op in ops:
            for shapes, where in op.lists():
                if all(op.cuts[at] is not None or not op.slots[at].is_uneven for at in where):
                    orders[shapes].add(tuple(op.cuts[at] for at in where))
        for op in ops:
            for shapes, where in op.lists():
                if len(orders.get(shapes, ())) == 1:
                    (order,) = orders[shapes]
                    for at, cut in zip(where, order, strict=True):
                        op.cuts[at] = op.cuts[at] or cut


def _allocated(step: Step) -> dict[int, list[tuple[int, int]]]:
    """(event, bytes) of every allocation of each storage number, ascending."""
    found: dict[int, list[tuple[int, int]]] = defaultdict(list)
    for event in np.flatnonzero(step.events["kind"] == Kind.ALLOC).tolist():
        _, number, _, _, size = step.events[event].tolist()
        found[number].append((event, size))
    return found
