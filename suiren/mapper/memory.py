"""Memory over time and who owns it at the peak: read from allocations, no chip involved."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from suiren.trace.program import Kind, Program, Step

#: Kinds in the order reports show them.
KINDS = ("weights", "gradients", "optimizer state", "activations", "temporaries", "data", "other")


@dataclass(frozen=True, slots=True)
class Owner:
    """Live bytes of one kind under one name."""

    kind: str
    name: str
    bytes: int


@dataclass(frozen=True)
class MemoryUse:
    """The highest point of a step."""

    peak_bytes: int
    start_bytes: int
    """What was allocated before the step began."""
    owners: tuple[Owner, ...]
    """At the peak, largest first."""
    curve: tuple[tuple[int, int], ...]
    """(event index, allocated bytes) after every change."""
    corners: tuple[tuple[int, int], ...] = ()
    """(fixed bytes, bytes that grow with the batch) at every point of the step that no other
    point exceeds in both."""

    def by_kind(self) -> dict[str, int]:
        """Bytes at the peak by kind, every kind named."""
        sums = dict.fromkeys(KINDS, 0)
        for owner in self.owners:
            sums[owner.kind] = sums.get(owner.kind, 0) + owner.bytes
        return sums


@dataclass(slots=True)
class _Allocation:
    number: int
    bytes: int
    context: int
    in_step: bool


def live_before(step: Step) -> dict[int, tuple[int, int]]:
    """Number -> (bytes, context) when the step began: what is live at its end, rewound."""
    now = {int(n): (int(size), int(c)) for n, c, size in step.live.tolist()}
    for kind, what, context, _, value in reversed(step.events.tolist()):
        if kind == Kind.ALLOC:
            now.pop(what, None)
        elif kind == Kind.FREE:
            now[what] = (value, context)
    return now


def peak_bytes(step: Step) -> int:
    """The most a step has allocated, as `memory_use` finds it, without the owners."""
    events = step.events
    signs = np.select([events["kind"] == Kind.ALLOC, events["kind"] == Kind.FREE], [1, -1], 0)
    moves = signs * events["value"]
    start = int(step.live["bytes"].sum()) - int(moves.sum())
    return start + max(0, int(np.cumsum(moves).max(initial=0)))


def memory_use(program: Program, step: Step) -> MemoryUse:
    """Replays a step's allocations and names the owners at its highest point."""
    before = {
        n: _Allocation(n, size, context, in_step=False)
        for n, (size, context) in live_before(step).items()
    }
    moves, after = _moves(step, before)
    survivors = {id(a) for a in after.values() if a.in_step}
    total = start = sum(a.bytes for a in before.values())
    curve = [(0, total)]
    for index, sign, allocation in moves:
        total += sign * allocation.bytes
        curve.append((index, total))
    top = max(range(len(curve)), key=lambda i: curve[i][1])
    return MemoryUse(
        curve[top][1],
        start,
        _owners(program, _live_at(before, moves[:top]), survivors),
        tuple(curve),
        _corners(program, before, moves, survivors, _summed(program, step, before, moves)),
    )


def kinds_over_time(
    program: Program, step: Step
) -> tuple[npt.NDArray[np.int64], dict[str, npt.NDArray[np.int64]]]:
    """Event indices and live bytes by kind after every change of a step, event 0 first.

    The sums at the highest point are those of `memory_use(…).by_kind()`.
    """
    before = {
        n: _Allocation(n, size, context, in_step=False)
        for n, (size, context) in live_before(step).items()
    }
    moves, after = _moves(step, before)
    survivors = {id(a) for a in after.values() if a.in_step}
    moved = {kind: np.zeros(len(moves) + 1, np.int64) for kind in KINDS}
    kinds: dict[int, str] = {}
    at_start = [(0, 0, 1, allocation) for allocation in before.values()]
    for row, _, sign, allocation in at_start + [(n, *m) for n, m in enumerate(moves, 1)]:
        kind = kinds.get(id(allocation))
        if kind is None:
            kind = _kind_and_name(program, allocation, survivors, just_labelled=False)[0]
            kinds[id(allocation)] = kind
            if kind not in moved:
                moved[kind] = np.zeros(len(moves) + 1, np.int64)
        moved[kind][row] += sign * allocation.bytes
    indices = np.array([0, *(index for index, _, _ in moves)], np.int64)
    return indices, {kind: np.cumsum(column) for kind, column in moved.items()}


_Move = tuple[int, int, "_Allocation"]


def _moves(
    step: Step, before: dict[int, _Allocation]
) -> tuple[list[_Move], dict[int, _Allocation]]:
    """(event index, +1 or -1, allocation) of every change, and what is live at the end."""
    live = dict(before)
    moves: list[_Move] = []
    for index, (kind, what, context, _, value) in enumerate(step.events.tolist()):
        if kind == Kind.ALLOC:
            live[what] = _Allocation(what, value, context, in_step=True)
            moves.append((index, 1, live[what]))
        elif kind == Kind.FREE:
            gone = live.pop(what, None) or _Allocation(what, value, context, in_step=False)
            moves.append((index, -1, gone))
    return moves, live


def _live_at(before: dict[int, _Allocation], moves: list[_Move]) -> dict[int, _Allocation]:
    live = dict(before)
    for _, sign, allocation in moves:
        if sign > 0:
            live[allocation.number] = allocation
        else:
            live.pop(allocation.number, None)
    return live


#: Kinds that grow with the batch, unless the optimizer made them for itself.
_MOVING = frozenset({"activations", "temporaries", "data"})


def _summed(
    program: Program, step: Step, before: dict[int, _Allocation], moves: list[_Move]
) -> set[int]:
    """Ids of allocations that backward adds to what outlasts the step.

    They are the gradients of one of several batches, as large as the weights whatever the batch.
    """
    events = step.events
    sums = [n for n, call in enumerate(program.calls) if call.op == "aten::add_.Tensor"]
    ops = np.flatnonzero(events["kind"] == Kind.OP)
    freed = {id(a) for _, sign, a in moves if sign < 0}
    live, found, at = dict(before), set(), 0
    for index in ops[np.isin(events["what"][ops], sums)].tolist():
        while at < len(moves) and moves[at][0] < index:
            live[moves[at][2].number] = moves[at][2]  # a number is read only while it is taken
            at += 1
        start = int(events["value"][index])
        into, other = (live.get(int(n)) for n in step.storages[start : start + 2])
        if into is None or other is None or (into.in_step and id(into) in freed):
            continue
        if program.contexts[other.context].phase == "backward":
            found.add(id(other))
    return found


def _corners(
    program: Program, before: dict[int, _Allocation], moves: list[_Move], survivors: set[int],
    summed: set[int],
) -> tuple[tuple[int, int], ...]:  # fmt: skip
    """Points (fixed, moving) of the step that are highest in some direction."""

    def moves_with_batch(a: _Allocation) -> bool:
        if id(a) in summed or program.contexts[a.context].phase == "optimizer":
            return False
        return _kind_and_name(program, a, survivors, False)[0] in _MOVING

    point = [0, 0]
    for allocation in before.values():
        point[moves_with_batch(allocation)] += allocation.bytes
    points = {(point[0], point[1])}
    for _, sign, allocation in moves:
        point[moves_with_batch(allocation)] += sign * allocation.bytes
        points.add((point[0], point[1]))
    kept: list[tuple[int, int]] = []
    for fixed, moving in sorted(points, reverse=True):
        if not kept or moving > kept[-1][1]:
            kept.append((fixed, moving))
    return tuple(kept)


def owners_of(program: Program, live: list[tuple[int, int, int]]) -> tuple[Owner, ...]:
    """Owners of (number, bytes, context) rows, for the moment memory runs out."""
    rows = {n: _Allocation(n, size, context, in_step=False) for n, size, context in live}
    return _owners(program, rows, set(), just_labelled=True)


def _owners(
    program: Program,
    live: dict[int, _Allocation],
    survivors: set[int],
    just_labelled: bool = False,
) -> tuple[Owner, ...]:
    sums: dict[tuple[str, str], int] = {}
    for allocation in live.values():
        key = _kind_and_name(program, allocation, survivors, just_labelled)
        sums[key] = sums.get(key, 0) + allocation.bytes
    rows = [Owner(kind, name, size) for (kind, name), size in sums.items()]
    return tuple(sorted(rows, key=lambda o: (-o.bytes, o.kind, o.name)))


def _kind_and_name(
    program: Program, a: _Allocation, survivors: set[int], just_labelled: bool
) -> tuple[str, str]:
    context = program.contexts[a.context] if a.context < len(program.contexts) else None
    phase, path = (context.phase, context.path) if context else ("forward", "")
    label = program.labels.get(a.number)
    # Numbers are reused: inside a step a label only counts for what the model was built from.
    built = id(a) in survivors and phase in ("forward", "data")
    if label is not None and (not a.in_step or (built and label.kind == "weights")):
        return label.kind, label.name
    if not a.in_step and not just_labelled:
        kind = {"optimizer": "optimizer state", "backward": "gradients"}.get(phase, "other")
        return kind, path or phase
    if phase == "backward":
        return ("gradients" if id(a) in survivors else "temporaries"), path or "backward"
    if phase == "optimizer":
        return ("optimizer state" if id(a) in survivors else "temporaries"), "optimizer"
    if phase == "data":
        return "data", "batch"
    return "activations", path or "outside any module"
