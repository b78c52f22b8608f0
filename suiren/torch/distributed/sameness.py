"""What a rank's steady step does, in words that hold for every rank that does the same."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from suiren.trace.call import Call
from suiren.trace.program import Kind, Program, Step

Groups = list[tuple[int, ...]]


def ranks_of(fact: dict[str, Any]) -> tuple[int, ...]:
    """The ranks of a group as `groups.as_facts` keeps it."""
    short = fact["ranks"]
    return tuple(range(*short["range"])) if "range" in short else tuple(short["list"])


def digest(program: Program, cards_per_node: int) -> str:
    """Equal for two ranks whose steady steps ask for the same, each from its own place.

    Ops with their shapes, order, streams and modules count; so do allocations and where a
    group's ranks lie in their nodes. Groups and peers count relative to the rank.
    """
    steady = program.steady()
    step = program.distinct[steady] if steady is not None else program.rest
    if step is None:
        return ""
    words = _Words(program, cards_per_node)
    table = np.stack(_columns(step, words), axis=1)
    live = np.sort(step.live["bytes"])
    return hashlib.sha256(table.tobytes() + live.tobytes()).hexdigest()


def outline(program: Program, cards_per_node: int) -> str:
    """Equal for two ranks whose steady steps differ at most in the sizes of tensors.

    Allocations do not count: tensors without elements have none.
    """
    steady = program.steady()
    step = program.distinct[steady] if steady is not None else program.rest
    if step is None:
        return ""
    columns = _columns(step, _Words(program, cards_per_node, with_sizes=False))
    table = np.stack(columns[:-1], axis=1)
    is_memory = (table[:, 0] == Kind.ALLOC) | (table[:, 0] == Kind.FREE)
    return hashlib.sha256(table[~is_memory].tobytes()).hexdigest()


class _Words:
    """Calls and contexts as numbers that do not depend on the rank."""

    def __init__(
        self, program: Program, cards_per_node: int, with_sizes: bool = True
    ) -> None:
        self.with_sizes = with_sizes
        self.rank = int(program.facts.get("rank", 0))
        self.groups = [ranks_of(fact) for fact in program.facts.get("groups", [])]
        self.cards_per_node = cards_per_node
        self._places: dict[int, int] = {}
        self.calls = _numbers([self.call(call) for call in program.calls])
        self.contexts = _numbers([f"{c.phase} {c.path}" for c in program.contexts])

    def call(self, call: Call) -> str:
        """A call's text, with a group's place and a peer's distance for their numbers."""
        if not call.op.startswith("eccl::"):
            return str(_without_offset(call)) if self.with_sizes else call.op
        group = _integer(call, "group")
        ranks = self.groups[group]
        peer = _integer(call, "peer")
        distance = -1
        if peer in ranks:
            at = ranks.index(peer)
            is_pairwise = call.name in ("send", "recv")
            distance = (at - ranks.index(self.rank)) % len(ranks) if is_pairwise else at
        if group not in self._places:
            self._places[group] = self.place(ranks)
        place = self._places[group]
        if not self.with_sizes:
            return f"{call.op} {place} {distance}"
        tensors = [str(t) for t in (*call.inputs(), *call.results())]
        return f"{call.op} {tensors} {place} {distance} {call.arguments.get('size_bytes')}"

    def place(self, ranks: tuple[int, ...]) -> int:
        """How a group lies in its nodes, wherever it begins.

        Groups beside each other lie alike, as long as each fills its own part of a node.
        """
        per_node = self.cards_per_node
        node, card = divmod(ranks[0], per_node)
        where = tuple((r // per_node - node, r % per_node - card) for r in ranks)
        local = [r % per_node for r in ranks if r // per_node == node]
        stride = local[1] - local[0] if len(local) > 1 else per_node
        span = max(1, abs(local[-1] - local[0]) + abs(stride))
        return hash((where, card % span // max(1, abs(stride))))


#: Pointwise ops that take as long whatever number stands beside their tensor.
_WITH_OFFSET = {"lt", "le", "gt", "ge", "eq", "ne", "add", "sub", "add_", "sub_"}


def _without_offset(call: Call) -> Call:
    """The call without the number that says where a rank's part begins, as in a vocabulary's."""
    other = call.arguments.get("other")
    if call.name.partition(".")[0] in _WITH_OFFSET and isinstance(other, (int, float)):
        return replace(call, arguments={**call.arguments, "other": 0})
    return call


def _integer(call: Call, name: str) -> int:
    value = call.arguments.get(name)
    return value if isinstance(value, int) else -1


def _numbers(texts: list[str]) -> npt.NDArray[np.int64]:
    found = [
        int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big", signed=True)
        for text in texts
    ]
    return np.array(found or [0], dtype=np.int64)


def _columns(step: Step, words: _Words) -> list[npt.NDArray[np.int64]]:
    events = step.events
    kind = events["kind"].astype(np.int64)
    what = events["what"].astype(np.int64)
    is_op = kind == Kind.OP
    is_memory = (kind == Kind.ALLOC) | (kind == Kind.FREE)
    is_event = (kind == Kind.RECORD) | (kind == Kind.WAIT) | (kind == Kind.HOST_WAIT)
    is_call = is_op | (kind == Kind.ENTER)
    said = np.zeros_like(what)
    said[is_call] = words.calls[what[is_call] % len(words.calls)]
    said[is_event] = _by_first_sight(what[is_event])
    value = np.where(is_memory, events["value"].astype(np.int64), 0)
    stream = events["stream"].astype(np.int64) & 0xFFFF
    return [kind, said, words.contexts[events["context"]], stream, value]


def _by_first_sight(numbers: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Numbers replaced by the order in which they are first seen."""
    _, first, back = np.unique(numbers, return_index=True, return_inverse=True)
    return np.argsort(np.argsort(first))[back]
