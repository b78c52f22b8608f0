"""A recorded pass of a small stack of layers taken apart: first part, one layer, last part.

A model of thousands of kernels repeats one layer. A stack of `depth` equal layers is recorded
forward and backward; the layer in the middle stands for every layer of the model.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from suiren.fleet.part import PRODUCTS, Comm, Part, Task
from suiren.trace.call import Call, parse_call
from suiren.trace.program import Context, Kind, Program, Step

#: Recorded names of collectives that a tensor parallel group runs.
COMMS = {"all_reduce", "all_gather", "reduce_scatter", "all_to_all", "broadcast"}


@dataclass(frozen=True, slots=True)
class Stack:
    """Parts of a model as they were recorded on one rank."""

    layer: Part
    embedding: Part
    head: Part

    def as_json(self) -> dict[str, Any]:
        """Plain values that `stack_from_json` reads back."""
        return {name: _part_json(getattr(self, name)) for name in self.__slots__}


def stack_from_json(found: dict[str, Any]) -> Stack:
    """The parts that `as_json` wrote."""
    return Stack(*(_part_from_json(found[name]) for name in ("layer", "embedding", "head")))


def _part_json(part: Part) -> dict[str, Any]:
    return {
        "forward": [_task_json(t) for t in part.forward],
        "backward": [_task_json(t) for t in part.backward],
        "saved": [list(pair) for pair in part.saved], "working": part.working_bytes,
    }  # fmt: skip


def _task_json(task: Task) -> Any:
    return str(task) if isinstance(task, Call) else [task.op, task.size_bytes, task.group]


def _task(found: Any) -> Task:
    return parse_call(found) if isinstance(found, str) else Comm(*found)


def _part_from_json(found: dict[str, Any]) -> Part:
    return Part(
        tuple(_task(t) for t in found["forward"]), tuple(_task(t) for t in found["backward"]),
        tuple((str(name), float(size)) for name, size in found["saved"]), float(found["working"]),
    )  # fmt: skip


@dataclass(slots=True)
class _Open:
    """A part while its events are read."""

    forward: list[Task] = field(default_factory=list)
    backward: list[Task] = field(default_factory=list)
    saved: dict[str, float] = field(default_factory=dict)
    working: float = 0.0

    def part(self) -> Part:
        """The part, read."""
        return Part(tuple(self.forward), tuple(self.backward), tuple(self.saved.items()),
                    self.working)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Taken:
    """One event with where it belongs: slot -1 before the layers, `depth` after them."""

    kind: Kind
    what: int
    value: int
    slot: int
    is_forward: bool


def taken(
    events: Sequence[Any], contexts: Sequence[Context], prefix: str, depth: int
) -> Iterator[Taken]:
    """Every event with its slot.

    Paths say which layer an op serves; what stands outside layers belongs before or after them
    by its place in the order, which holds for ops of the loss too.
    """
    slot, is_forward = -1, True
    for kind, what, context, _, value in events:
        if kind in (Kind.OP, Kind.ALLOC):
            place = contexts[context]
            if is_forward and place.phase == "backward":
                is_forward, slot = False, depth
            slot = _slot(slot, place.path, is_forward, prefix, depth)
        yield Taken(Kind(kind), what, value, slot, is_forward)


def _slot(now: int, path: str, is_forward: bool, prefix: str, depth: int) -> int:
    if path.startswith(prefix + "."):
        number = path[len(prefix) + 1 :].partition(".")[0]
        return int(number) if number.isdigit() else now
    if is_forward:
        return depth if now == depth - 1 else now
    return -1 if now == 0 and path else now


def read_stack(
    events: Sequence[Any], contexts: Sequence[Context], calls: Sequence[Call], prefix: str,
    depth: int,
) -> Stack:  # fmt: skip
    """The parts of a recorded forward and backward pass of `depth` layers under `prefix`.

    Events are rows of `EVENT` as tuples. Raises ValueError where no layer was recorded.
    """
    rows = list(taken(events, contexts, prefix, depth))
    parts = {slot: _Open() for slot in range(-1, depth + 1)}
    for row in rows:
        if row.kind == Kind.OP:
            task = _as_task(calls[row.what])
            if task is not None:
                opened = parts[row.slot]
                (opened.forward if row.is_forward else opened.backward).append(task)
    _keep(rows, calls, parts)
    middle = parts[depth // 2]
    if not any(isinstance(t, Call) for t in middle.forward):
        raise ValueError(f"no op was recorded under {prefix}")
    return Stack(middle.part(), parts[-1].part(), parts[depth].part())


def whole_step(step: Step, program: Program) -> Part:
    """Forward and backward of a script's step as one part; its optimizer is left out.

    Gradients that are allocated while backward runs are no working memory: a layout counts them.
    """
    standing = {n for n, label in program.labels.items() if label.kind == "gradients"}
    rows: list[Taken] = []
    is_forward = True
    for kind, what, context, _, value in step.events.tolist():
        phase = program.contexts[context].phase if kind in (Kind.OP, Kind.ALLOC) else ""
        if phase == "optimizer" or (kind in (Kind.ALLOC, Kind.FREE) and what in standing):
            continue
        is_forward = is_forward and phase not in ("backward", "recompute")
        rows.append(Taken(Kind(kind), what, value, 0, is_forward))
    opened = {0: _Open()}
    for row in rows:
        if row.kind == Kind.OP:
            task = _as_task(program.calls[row.what])
            if task is not None:
                (opened[0].forward if row.is_forward else opened[0].backward).append(task)
    _keep(rows, program.calls, opened)
    return opened[0].part()


def _as_task(call: Call) -> Task | None:
    if not call.op.startswith("eccl::"):
        return call
    name = call.name
    size = call.arguments.get("size_bytes")
    return Comm(name, float(size), "tp") if name in COMMS and isinstance(size, int) else None


def _keep(rows: Sequence[Taken], calls: Sequence[Call], parts: dict[int, _Open]) -> None:
    """What each part keeps from forward to backward, and its peak above that."""
    live: dict[int, tuple[int, int, str]] = {}
    turn = next((n for n, r in enumerate(rows) if not r.is_forward), len(rows))
    for index, row in enumerate(rows[:turn]):
        if row.kind == Kind.ALLOC:
            live[row.what] = row.slot, row.value, _made_by(rows, index, calls)
        elif row.kind == Kind.FREE:
            live.pop(row.what, None)
    for slot, size, name in live.values():
        kept = parts[slot].saved
        kept[name] = kept.get(name, 0.0) + size
    below, upto = 0.0, {}
    for slot in sorted(parts):
        below += sum(parts[slot].saved.values())
        upto[slot] = below
    held, sizes = 0, {}
    for row in rows:
        if row.kind == Kind.ALLOC:
            sizes[row.what] = row.value
            held += row.value
            opened = parts[row.slot]
            opened.working = max(opened.working, held - upto[row.slot])
        elif row.kind == Kind.FREE:
            held -= sizes.pop(row.what, 0)


def _made_by(rows: Sequence[Taken], index: int, calls: Sequence[Call]) -> str:
    """What kind of op an allocation is for."""
    for row in rows[index + 1 : index + 8]:
        if row.kind == Kind.OP:
            name = calls[row.what].name
            if name in PRODUCTS:
                return "product"
            return "attention" if "attention" in name else "other"
    return "other"
