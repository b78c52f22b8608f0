"""One run on one card: the record goes in, programs and simulated times come out."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from suiren.events.queue import Queues
from suiren.hw.spec import Card
from suiren.mapper.memory import Owner, owners_of
from suiren.mapper.step import Clock, Prices
from suiren.torch import _shim, device, hollow_steps, host_work, profiling, watch
from suiren.torch.launching import read_marks
from suiren.trace.call import Call, parse_call
from suiren.trace.program import EVENT, LIVE, PHASES, Context, Kind, Program, Step
from suiren.units import show_bytes


class Session:
    """Holds the card, follows the record, answers what scripts ask about time and memory."""

    def __init__(self, card: Card) -> None:
        self.card = card
        self.calls: list[Call] = []
        self.clock: Clock | None = None
        self.num_walked = 0
        self.on_step: Callable[[int], None] = lambda _: None
        self.facts: dict[str, Any] = {}
        self.model_facts: dict[str, Any] = {}

    def begin(
        self, *, numerics: bool = True, tf32: str = "auto", memory_bytes: int | None = None
    ) -> None:
        """Starts the device as this card and records from now on."""
        device.start()
        device.configure(self.card, numerics=numerics, tf32=tf32, memory_bytes=memory_bytes)
        hollow_steps.install(is_on=not numerics)
        host_work.install()
        from suiren.torch import gcu

        gcu._card = self.card
        self.facts["numerics"] = numerics
        _shim.on_out_of_memory(self.out_of_memory)
        _shim.on_elapsed(self.elapsed_ms)
        watch.watch(self._stepped)
        profiling.mark, profiling.kernels_since = self.mark, self.kernels_since
        _shim.recording(True)

    def _stepped(self) -> None:
        if _shim.num_steps() <= 2:  # a script that is ended from outside frees its modules
            self.model_facts = _model_facts()
        self.on_step(int(_shim.num_steps()))

    # ---- the record

    def program(self) -> Program:
        """Everything recorded so far."""
        self._read_calls()
        model_facts = _model_facts()
        if not model_facts["parameters"]:
            model_facts = self.model_facts or model_facts
        distinct = [_step(_shim.distinct_step(i)) for i in range(_shim.num_distinct_steps())]
        rest = _step(_shim.events_now())
        return Program(
            calls=self.calls,
            contexts=self._contexts(),
            distinct=distinct,
            order=list(_shim.steps()),
            rest=rest if len(rest.events) else None,
            labels=watch.labels_of(row for step in distinct for row in step.live.tolist()),
            facts={**self.facts, **model_facts},
        )

    def alone(self, key: int) -> Program:
        """One distinct step as a program of its own, with all calls."""
        self._read_calls()
        return Program(
            calls=self.calls,
            contexts=self._contexts(),
            distinct=[_step(_shim.distinct_step(key))],
            order=[0],
            facts={**self.facts, **_model_facts()},
        )

    def _contexts(self) -> list[Context]:
        return [Context(PHASES[phase], watch.paths[path]) for phase, path in _shim.contexts()]

    def _read_calls(self) -> None:
        self.calls.extend(parse_call(line) for line in _shim.signatures(len(self.calls)))

    # ---- questions of the script

    def mark(self) -> profiling.Mark:
        """Where the record is now."""
        return len(_shim.steps()), int(_shim.num_events_now())

    def kernels_since(self, since: profiling.Mark) -> list[tuple[str, float]]:
        """(op, simulated microseconds) of every kernel issued since a mark, launches left out."""
        self._read_calls()
        prices = self.clock.prices if self.clock else Prices(self.calls, self.card)
        steps = [_shim.distinct_step(key) for key in _shim.steps()[since[0] :]]
        rows = np.concatenate([_step(raw).events for raw in (*steps, _shim.events_now())])
        calls = rows["what"][since[1] :][rows["kind"][since[1] :] == Kind.OP].tolist()
        return [
            (self.calls[call].op.split(".")[0], prices.cost(call).busy_ps / 1e6) for call in calls
        ]

    def elapsed_ms(self, first: int, second: int) -> float:
        """Simulated milliseconds between two recorded events."""
        self._read_calls()
        if self.clock is None:
            self.clock = Clock(Prices(self.calls, self.card))
        order = _shim.steps()
        for key in order[self.num_walked :]:
            self.clock.run(key, _step(_shim.distinct_step(key)))
        self.num_walked = len(order)
        now: Queues = copy.deepcopy(self.clock.queues)
        now.run(_step(_shim.events_now()).events.tolist(), self.clock.prices.cost)
        return (now.event_ps.get(second, 0) - now.event_ps.get(first, 0)) / 1e9

    def out_of_memory(self, index: int, size: int) -> str:
        """The text of an out-of-memory error: size, free, capacity and the largest owners."""
        watch.label_everything()
        live = _shim.live(index)
        program = Program(contexts=self._contexts(), labels=watch.labels)
        owners = owners_of(program, [(n, b, c) for n, b, c in live])
        capacity, used = _shim.capacity(), _shim.allocated(index)
        self.facts["out_of_memory"] = {
            "tried_bytes": size,
            "allocated_bytes": used,
            "capacity_bytes": capacity,
            "owners": _rows(owners),
        }
        return (
            f"GCU out of memory. Tried to allocate {show_bytes(size)}. "
            f"GCU {index} ({self.card.title}) has a total capacity of {show_bytes(capacity)} "
            f"of which {show_bytes(capacity - used)} is free. "
            f"{show_bytes(used)} is allocated: {_kinds(owners)}. "
            f"Largest owners: {_largest(owners)}."
        )


#: Owners that a program keeps one by one; the rest is summed by kind.
MAX_OWNERS = 200


def _rows(owners: tuple[Owner, ...]) -> list[dict[str, Any]]:
    rest: dict[str, int] = {}
    for owner in owners[MAX_OWNERS:]:
        rest[owner.kind] = rest.get(owner.kind, 0) + owner.bytes
    kept = [*owners[:MAX_OWNERS], *(Owner(kind, "(others)", n) for kind, n in rest.items())]
    return [{"kind": o.kind, "name": o.name, "bytes": o.bytes} for o in kept]


def _kinds(owners: tuple[Owner, ...]) -> str:
    sums: dict[str, int] = {}
    for owner in owners:
        sums[owner.kind] = sums.get(owner.kind, 0) + owner.bytes
    ranked = sorted(sums.items(), key=lambda item: -item[1])
    return ", ".join(f"{kind} {show_bytes(size)}" for kind, size in ranked) or "nothing"


def _largest(owners: tuple[Owner, ...], count: int = 5) -> str:
    rows = [f"{o.name} ({o.kind}) {show_bytes(o.bytes)}" for o in owners[:count]]
    return "; ".join(rows) or "none"


def _step(raw: tuple[bytes, bytes, bytes]) -> Step:
    events, storages, live = raw
    return Step(
        read_marks(np.frombuffer(events, EVENT)),
        np.frombuffer(storages, np.int32),
        np.frombuffer(live, LIVE),
    )


def _model_facts() -> dict[str, Any]:
    """Sizes that the record does not hold: parameters, optimizer states, root modules."""
    roots = {}
    parameters: list[list[Any]] = []
    for reference in watch.roots:
        root = reference()
        if root is None:
            continue
        own = list(root.parameters())
        roots[type(root).__name__] = sum(p.numel() for p in own)
        if own:
            parameters.extend(
                [p.numel(), _FORMATS.get(p.dtype, "f32")] for p in own if p.requires_grad
            )
    states = [
        n.name.rsplit(".", 1)[-1] for n in watch.labels.values() if n.kind == "optimizer state"
    ]
    return {
        "sequence_first": sorted(_sequence_first()),
        "roots": roots,
        "parameters": parameters,
        "optimizer_states": len(set(states) - {"step"}),
    }


_FORMATS = {
    torch.float32: "f32",
    torch.bfloat16: "bf16",
    torch.float16: "f16",
    torch.float64: "f64",
}


def _sequence_first() -> set[str]:
    """Roots that hold a module which takes the sequence before the batch."""
    found = set()
    for reference in watch.roots:
        root = reference()
        if root is not None and any(m.__dict__.get("batch_first") is False for m in root.modules()):
            found.add(type(root).__name__)
    return found
