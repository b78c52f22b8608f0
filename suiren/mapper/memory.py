"""Memory over time and who owns it at the peak: read from allocations, no chip involved."""

from __future__ import annotations

from dataclasses import dataclass

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
    batch_owners: tuple[Owner, ...] = ()
    """At the highest point before the optimizer steps: what grows with the batch lives there."""
    optimizer_peak_bytes: int = 0
    """Highest point while the optimizer steps."""

    def by_kind(self) -> dict[str, int]:
        """Bytes at the peak by kind, every kind named."""
        return _by_kind(self.owners)

    @property
    def batch_bytes(self) -> int:
        """What grows with the batch: activations, temporaries and data at their highest."""
        kinds = _by_kind(self.batch_owners)
        return kinds["activations"] + kinds["temporaries"] + kinds["data"]

    @property
    def fixed_bytes(self) -> int:
        """What lies beside the batch at its highest point: weights, gradients, state."""
        return sum(owner.bytes for owner in self.batch_owners) - self.batch_bytes


def _by_kind(owners: tuple[Owner, ...]) -> dict[str, int]:
    sums = dict.fromkeys(KINDS, 0)
    for owner in owners:
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


def memory_use(program: Program, step: Step) -> MemoryUse:
    """Replays a step's allocations and names the owners at its highest point."""
    live = {
        n: _Allocation(n, size, context, in_step=False)
        for n, (size, context) in live_before(step).items()
    }
    total = start = sum(a.bytes for a in live.values())
    overall, batch, optimizer = _Peak(total, dict(live)), _Peak(total, dict(live)), _Peak(0, {})
    curve = [(0, total)]
    for index, (kind, what, context, _, value) in enumerate(step.events.tolist()):
        if kind == Kind.ALLOC:
            live[what] = _Allocation(what, value, context, in_step=True)
            total += value
        elif kind == Kind.FREE:
            gone = live.pop(what, None)
            total -= gone.bytes if gone else value
        else:
            continue
        curve.append((index, total))
        overall.see(total, live)
        optimizes = program.contexts[context].phase == "optimizer"
        (optimizer if optimizes and kind == Kind.ALLOC else batch).see(total, live)
    survivors = {id(a) for a in live.values() if a.in_step}
    return MemoryUse(
        overall.bytes,
        start,
        _owners(program, overall.live, survivors),
        tuple(curve),
        _owners(program, batch.live, survivors),
        optimizer.bytes,
    )


@dataclass(slots=True)
class _Peak:
    """The highest total seen and what was live then."""

    bytes: int
    live: dict[int, _Allocation]

    def see(self, total: int, live: dict[int, _Allocation]) -> None:
        if total > self.bytes:
            self.bytes, self.live = total, dict(live)


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
