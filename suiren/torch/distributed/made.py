"""The steady step of a rank that does not run, made from one that ran and checked on another.

Ranks along a dimension whose shards have other sizes ask for the same ops. The step of one that
ran is written down with the sizes of another place. It must come out right for a second rank that
ran, to the last event; only then it is made for the places between.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from suiren.mapper.memory import peak_bytes
from suiren.torch.distributed import sameness
from suiren.torch.distributed.cuts import Cut
from suiren.torch.distributed.job import Ran
from suiren.torch.distributed.outcome import RankOutcome
from suiren.torch.distributed.shard_slots import (
    Named,
    NotAlike,
    Op,
    Pair,
    rounded_bytes,
    slots_of,
)
from suiren.trace.call import Call, Tensor, Value
from suiren.trace.program import LIVE, Kind, Program, Step

MEMORY = (Kind.ALLOC, Kind.FREE)
LASTING = ("weights", "optimizer state")


class Maker:
    """Makes steady steps of ranks along one dimension from two that ran there.

    Raises NotAlike where `lower`'s step, with the sizes of `higher`, is not the step of `higher`.
    """

    def __init__(self, lower: Ran, higher: Ran, cards_per_node: int) -> None:
        self.lower, self.higher, self.cards_per_node = lower, higher, cards_per_node
        self.program, self.step = _settled(lower)
        other, other_step = _settled(higher)
        self.ranks, pairs = _cuts(lower, higher)
        live = {number: size for number, _, size in self.step.live.tolist()}
        self.ops = _uneven(self.program, self.step, other, other_step)
        named = Named(pairs, self.program.labels, live)
        named.find(self.program, self.step, self.ops)
        self.fresh = _fresh(self.step, self.ops)
        self.kept = _kept(self.program, self.step, other, other_step, named)
        made = self.make(higher.rank)
        if made.digest != higher.digest:
            raise NotAlike(f"what is made for rank {higher.rank} is not what it did")

    def make(self, rank: int) -> Ran:
        """What the rank does in its steady step; the dimension must hold it."""
        facts = _facts(self.program, self.lower.rank, rank)
        labels = dict(self.program.labels)
        writer = _Writer(self, rank)
        step = writer.step()
        for number in writer.gone:
            labels.pop(number, None)
        states = {n.name.rsplit(".", 1)[-1] for n in labels.values() if n.kind == "optimizer state"}
        facts |= {"rank": rank, "optimizer_states": len(states - {"step"}),
                  "made_from": [self.lower.rank, self.higher.rank]}  # fmt: skip
        program = Program(writer.calls, self.program.contexts, [step], [0], None, labels, facts)
        outcome = RankOutcome((rank,), program, 0, "finished")
        return Ran(outcome, sameness.digest(program, self.cards_per_node), (), (), None)


def _settled(ran: Ran) -> tuple[Program, Step]:
    """A rank's program and steady step; raises NotAlike if another step takes more memory."""
    program = ran.outcome.program
    key = program.steady()
    if key is None or ran.outcome.ended != "finished":
        raise NotAlike("no steady step")
    step = program.distinct[key]
    if max(map(peak_bytes, program.distinct)) > peak_bytes(step):
        raise NotAlike("another step takes more memory than the steady one")
    return program, step


def _cuts(lower: Ran, higher: Ran) -> tuple[Sequence[int], list[tuple[Cut, Pair]]]:
    """(ranks of the dimension, cuts along it with both ranks' shapes)."""
    there = {(cut.name, cut.ranks): cut.here for cut in higher.cuts or ()}
    found: list[tuple[Cut, Pair]] = []
    for cut in lower.cuts or ():
        if higher.rank not in cut.ranks:
            continue
        other = there.get((cut.name, cut.ranks))
        places = [cut.ranks.index(ran.rank) for ran in (lower, higher)]
        if other is None or [cut.at(p) for p in places] != [cut.here, other]:
            raise NotAlike(f"{cut.name} is not cut as its sizes say")
        found.append((cut, (cut.here, other)))
    ranks = {cut.ranks for cut, _ in found}
    if len(ranks) != 1:
        raise NotAlike("parameters are cut along several dimensions at once")
    return ranks.pop(), found


def _uneven(one: Program, step: Step, other: Program, other_step: Step) -> list[Op]:
    """Ops in which two steps differ; raises NotAlike where they do not go side by side."""
    ours, theirs = (np.flatnonzero(~np.isin(s.events["kind"], MEMORY)) for s in (step, other_step))
    if len(ours) != len(theirs):
        raise NotAlike("other numbers of ops")
    same: dict[tuple[int, int], bool] = {}
    found: list[Op] = []
    starts, apart = _starts(step), other.facts["rank"] - one.facts["rank"]
    kinds, what = step.events["kind"], step.events["what"]
    for event, beside in zip(ours.tolist(), theirs.tolist(), strict=True):
        if kinds[event] not in (Kind.OP, Kind.ENTER):
            continue
        pair = int(what[event]), int(other_step.events["what"][beside])
        if pair not in same:
            same[pair] = str(one.calls[pair[0]]) == str(other.calls[pair[1]])
        if not same[pair]:
            start, stop = starts.get(event, (0, 0))
            storages = step.storages[start:stop].tolist()
            calls = one.calls[pair[0]], other.calls[pair[1]]
            found.append(Op(event, slots_of(*calls, storages), is_moved=_is_moved(*calls, apart)))
    return found


def _is_moved(lower: Call, higher: Call, apart: int) -> bool:
    """True if the peers of two calls are as far apart as their ranks; raises NotAlike if else."""
    peers = [call.arguments.get("peer") for call in (lower, higher)]
    if peers[0] == peers[1]:
        return False
    if isinstance(peers[0], int) and peers[1] == peers[0] + apart:
        return True
    raise NotAlike(f"{lower.op}: peers {peers[0]} and {peers[1]}")


def _starts(step: Step) -> dict[int, tuple[int, int]]:
    """Where the storages of every op stand."""
    events = np.flatnonzero(step.events["kind"] == Kind.OP).tolist()
    starts = [*step.events["value"][events].tolist(), len(step.storages)]
    return {e: (a, b) for e, a, b in zip(events, starts, starts[1:], strict=False)}


@dataclass(frozen=True, slots=True)
class _Sized:
    """An allocation that holds one shard."""

    cut: Cut
    tensor: Tensor

    def bytes_at(self, place: int) -> int:
        """What it takes at a place."""
        return rounded_bytes(self.tensor, self.cut.at(place))


def _fresh(step: Step, ops: Sequence[Op]) -> dict[int, _Sized]:
    """By event: allocations made for an op that then writes a shard there."""
    found: dict[int, _Sized] = {}
    kinds, what, value = (step.events[name] for name in ("kind", "what", "value"))
    for op in ops:
        held = {s.storage: _Sized(c, s.lower) for s, c in zip(op.slots, op.cuts, strict=True) if c}
        at = op.event - 1
        while at >= 0 and kinds[at] in MEMORY:
            sized = held.get(int(what[at])) if kinds[at] == Kind.ALLOC else None
            if sized and rounded_bytes(sized.tensor, sized.tensor.shape) == value[at]:
                found[at] = sized
            at -= 1
    return found


def _kept(
    one: Program, step: Step, other: Program, other_step: Step, named: Named
) -> dict[int, _Sized]:
    """By storage: what lives past the step and is as large as a shard, as optimizer states are."""
    theirs = {other.labels.get(n): b for n, _, b in other_step.live.tolist() if n in other.labels}
    found: dict[int, _Sized] = {}
    for number, _, size in step.live.tolist():
        label = one.labels.get(number)
        if label is None or label.kind not in LASTING or number in named.made:
            continue  # a number that the step itself gives out says nothing of what it holds
        if theirs.get(label, 0) == size:
            continue
        known = named.by_name.get(label.name) or named.by_name.get(label.name.rpartition(".")[0])
        if known is None:
            raise NotAlike(f"{label.kind} {label.name} has other sizes")
        found[number] = _Sized(known[0], _stored(known[0].here, size))
    return found


def _stored(shape: tuple[int, ...], size_bytes: int) -> Tensor:
    """A tensor of this shape that takes so much memory."""
    for dtype in ("f32", "bf16", "i8", "f64"):
        tensor = Tensor(dtype, shape)
        if rounded_bytes(tensor, shape) == size_bytes:
            return tensor
    raise NotAlike(f"{size_bytes} bytes do not hold one shard")


class _Writer:
    """Writes a step down with the sizes of a place."""

    def __init__(self, maker: Maker, rank: int) -> None:
        self.maker, self.rank = maker, rank
        self.place = maker.ranks.index(rank)
        self.calls = list(maker.program.calls)
        self.gone: set[int] = set()
        """Storages that nothing is left of."""
        self._numbers: dict[tuple[Any, ...], int] = {}

    def step(self) -> Step:
        """The step."""
        maker, step = self.maker, self.maker.step
        events, storages, live = step.events.copy(), step.storages.copy(), step.live.copy()
        ops = {op.event: op for op in maker.ops}
        sizes = {n: sized.bytes_at(self.place) for n, sized in maker.kept.items()}
        left = np.ones(len(events), bool)
        starts = _starts(step)
        self.gone = {number for number, size in sizes.items() if not size}
        for event, (kind, what, _, _, value) in enumerate(step.events.tolist()):
            if kind == Kind.ALLOC:
                sized = maker.fresh.get(event)
                sizes[what] = sized.bytes_at(self.place) if sized else value
                (self.gone.discard if sizes[what] else self.gone.add)(what)
            if kind in MEMORY and what in sizes:
                events["value"][event] = sizes[what]
                left[event] = bool(sizes[what])
            if event in ops:
                events["what"][event] = self._call(ops[event], what)
            if kind == Kind.OP and self.gone:
                own = slice(*starts[event])
                storages[own] = [0 if n in self.gone else n for n in storages[own].tolist()]
        for row in range(len(live)):
            live["bytes"][row] = sizes.get(int(live["number"][row]), int(live["bytes"][row]))
        return Step(events[left], storages, live[live["bytes"] > 0].astype(LIVE))

    def _call(self, op: Op, number: int) -> int:
        """Number of the call with the shapes of the place."""
        key = (number, *(cut and (cut.dim, cut.length) for cut in op.cuts))
        if key not in self._numbers:
            call = self.maker.program.calls[number]
            shapes = iter([cut and cut.at(self.place) for cut in op.cuts])
            arguments = {k: _shaped(v, shapes) for k, v in call.arguments.items()}
            if op.is_moved:
                arguments["peer"] += self.rank - self.maker.lower.rank
            outputs = tuple(_shaped(v, shapes) for v in call.outputs)
            self._numbers[key] = len(self.calls)
            self.calls.append(Call(call.op, arguments, outputs))
        return self._numbers[key]


def _shaped(value: Value, shapes: Any) -> Any:
    """The value with the next shapes in its tensors; None keeps a tensor's own."""
    if isinstance(value, tuple):
        return tuple(_shaped(part, shapes) for part in value)
    if isinstance(value, Tensor):
        shape = next(shapes)
        return value if shape is None else replace(value, shape=shape)
    return value


def _facts(program: Program, like: int, rank: int) -> dict[str, Any]:
    """Facts of a rank that does as `like`: groups that hold it stay, others move along."""
    groups = [_moved(fact, like, rank) for fact in program.facts.get("groups", ())]
    return {**program.facts, "groups": groups}


def _moved(fact: Mapping[str, Any], like: int, rank: int) -> dict[str, Any]:
    if rank in sameness.ranks_of(dict(fact)):
        return dict(fact)
    by = rank - like
    ranks = fact["ranks"]
    if "range" in ranks:
        start, stop, step = ranks["range"]
        return {**fact, "ranks": {"range": [start + by, stop + by, step]}}
    return {**fact, "ranks": {"list": [r + by for r in ranks["list"]]}}
