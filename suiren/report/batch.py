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
    """Micro-batches of one step; 0 where no module was called, so that no batch is known."""

    @property
    def in_words(self) -> str:
        """The size of a batch."""
        if not self.calls:
            return "no module was called, so the batch is not known"
        return f"batch {self.samples}" + (f" × {self.sequence}" if self.sequence else "")

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
    found = _read_by(program, entered, main)
    if found.sequence is None:
        # of a pipeline's chunks on one card only the first reads token ids
        for root in sorted({program.contexts[context].path for context, _ in entered}):
            other = _read_by(program, entered, root)
            if other.sequence is not None and other.calls == found.calls:
                return other
    return found


def _read_by(program: Program, entered: Counter[tuple[int, int]], root: str) -> Batch:
    """What entered one root module."""
    mine = {k: n for k, n in entered.items() if program.contexts[k[0]].path == root}
    turned = root in program.facts.get("sequence_first", [])
    read: list[tuple[int, int, int | None, tuple[str, ...]]] = []
    for (_, what), times in sorted(mine.items()):
        tensors = [t for t in program.calls[what].inputs() if t.shape]
        if tensors:
            batch, sequence = _batch_and_sequence(tensors, turned)
            read.append((times, batch, sequence, tuple(str(t) for t in tensors)))
    # chunks of one class on a card: the first reads token ids, the others what it made of them
    ids = [one for one in read if one[2] is not None]
    read = ids or read
    samples = sum(times * batch for times, batch, _, _ in read)
    calls = sum(times for times, _, _, _ in ids) or sum(mine.values())
    _, _, sequence, inputs = read[-1] if read else (0, 0, None, ())
    return Batch(max(1, samples), sequence, inputs, calls)


def _batch_and_sequence(tensors: list[Tensor], turned: bool) -> tuple[int, int | None]:
    """Samples, and the sequence if every integer input is [batch, sequence, …].

    `turned`: the model takes the sequence first.
    """
    integers = [t for t in tensors if t.dtype in ("i64", "i32")]
    if integers and all(t.shape[:2] == integers[0].shape[:2] for t in integers):
        first = integers[0].shape
        if len(first) >= 2:
            return (first[1], first[0]) if turned else (first[0], first[1])
    if turned and not integers and len(tensors[0].shape) >= 3:
        return tensors[0].shape[1], None
    rows = Counter(t.shape[0] for t in tensors)
    return max(rows, key=lambda n: (rows[n], n == tensors[0].shape[0])), None
