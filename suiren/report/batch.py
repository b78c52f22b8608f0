"""What a step trains on: samples and tokens, read from the calls of the largest root module."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from suiren.trace.call import Tensor
from suiren.trace.program import Kind, Program, Step


@dataclass(frozen=True, slots=True)
class Batch:
    """One step's data. `sequence` and `tokens` are None unless the input is token ids."""

    samples: int
    sequence: int | None
    inputs: tuple[str, ...]
    calls: int
    """Micro-batches of one step."""

    @property
    def tokens(self) -> int | None:
        """Token positions a step trains on."""
        return None if self.sequence is None else self.samples * self.sequence


def batch_of(program: Program, step: Step) -> Batch:
    """Reads the first tensor that entered the model; (1, None) if nothing entered one."""
    entered: Counter[tuple[int, int]] = Counter()
    for kind, what, context, _, training in step.events.tolist():
        if kind == Kind.ENTER and training:
            entered[(context, what)] += 1
    if not entered:
        return Batch(1, None, (), 0)
    sizes = program.facts.get("roots", {})

    def weight(key: tuple[int, int]) -> tuple[int, int]:
        root = program.contexts[key[0]].path
        return int(sizes.get(root, 0)), entered[key]

    main = program.contexts[max(entered, key=weight)[0]].path
    mine = {k: n for k, n in entered.items() if program.contexts[k[0]].path == main}
    samples = 0
    sequence: int | None = None
    inputs: tuple[str, ...] = ()
    for (_, what), times in sorted(mine.items()):
        tensors = list(program.calls[what].inputs())
        if not tensors:
            continue
        first = _data(tensors)
        samples += times * (first.shape[0] if first.shape else 1)
        if first.dtype in ("i64", "i32") and len(first.shape) >= 2:
            sequence = first.shape[1]
        inputs = tuple(str(t) for t in tensors)
    return Batch(max(1, samples), sequence, inputs, sum(mine.values()))


def _data(tensors: list[Tensor]) -> Tensor:
    """Token ids if there are any, otherwise the first input."""
    ids = [t for t in tensors if t.dtype in ("i64", "i32") and len(t.shape) >= 2]
    return ids[0] if ids else tensors[0]
