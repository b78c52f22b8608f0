"""A part of a model: what it asks of one rank forward and backward, and what it keeps between."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from suiren.trace.call import Call


@dataclass(frozen=True, slots=True)
class Comm:
    """A collective among the ranks of a group."""

    op: str
    size_bytes: float
    group: str
    """`tp`, `cp`, `ep`, `dp`."""
    beside: int = 0
    """How many of the tasks after it run at the same time."""
    copies: int = 0
    """Of an all_to_all of tokens that go once to a place where several of these copies belong:
    a rank, or a node that passes them on to its ranks. 0 where every copy is sent."""


Task = Call | Comm
#: Names of calls that multiply matrices.
PRODUCTS = frozenset({"mm", "addmm", "bmm", "baddbmm", "convolution"})


@dataclass(frozen=True, slots=True)
class Part:
    """Tasks of one part in the order they are issued."""

    forward: tuple[Task, ...] = ()
    backward: tuple[Task, ...] = ()
    saved: tuple[tuple[str, float], ...] = ()
    """(what, bytes) of what forward keeps for backward."""
    working_bytes: float = 0.0
    """What its passes hold at their peak besides what is kept; 0 where nobody looked."""
    more_issued: tuple[float, float] = (0.0, 0.0)
    """Kernels that the host issues besides one a task, forward and backward: many where a task
    stands for a kernel for each expert, less than none where a graph launches them together."""

    @property
    def saved_bytes(self) -> float:
        """Bytes kept from forward to backward."""
        return sum(size for _, size in self.saved)


def chain(parts: Iterable[Part]) -> Part:
    """One part after the other; backward in the opposite order."""
    found = list(parts)
    return Part(
        tuple(task for part in found for task in part.forward),
        tuple(task for part in reversed(found) for task in part.backward),
        tuple(one for part in found for one in part.saved),
        max((part.working_bytes for part in found), default=0.0),
        (sum(p.more_issued[0] for p in found), sum(p.more_issued[1] for p in found)),
    )


def captured(part: Part) -> Part:
    """The part as two CUDA graphs, one forward and one backward: a launch each."""
    one = (1.0 - len(part.forward), 1.0 - len(part.backward))
    return replace(part, more_issued=one)


def again(part: Part, kept: tuple[tuple[str, float], ...] = ()) -> Part:
    """The part with its forward pass computed again before backward; `kept` is all it keeps."""
    forward, backward = part.more_issued
    return Part(part.forward, part.forward + part.backward, kept, part.working_bytes,
                (forward, forward + backward))  # fmt: skip
