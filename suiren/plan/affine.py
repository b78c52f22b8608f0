"""Parts at any micro-batch from those at two and three sequences.

A sequence more adds the same to every size of a recorded pass: rows of matrices, batches,
strides, bytes. Two recordings of one structure are two points of a line, the rest lies on it.
A single sequence does not: some of its views need no copy.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from suiren.fleet.part import Comm, Part, Task
from suiren.plan.pieces import Stack
from suiren.trace.call import Call, Tensor


class NotAlike(ValueError):  # noqa: N818 - reads as what it is
    """Two recordings of different structure: what lies between or beyond is not known."""


def at(two: Stack, three: Stack, micro_batch: int) -> Stack:
    """The parts at a micro-batch; raises NotAlike where the recordings differ in more than size."""
    step = micro_batch - 2
    return Stack(*(_part(getattr(two, n), getattr(three, n), step) for n in two.__slots__))


def _part(one: Part, two: Part, step: int) -> Part:
    if [n for n, _ in one.saved] != [n for n, _ in two.saved]:
        raise NotAlike("other kinds of tensors are kept")
    saved = tuple((n, a + step * (b - a))
                  for (n, a), (_, b) in zip(one.saved, two.saved, strict=True))  # fmt: skip
    return Part(
        _tasks(one.forward, two.forward, step), _tasks(one.backward, two.backward, step), saved,
        max(0.0, one.working_bytes + step * (two.working_bytes - one.working_bytes)),
    )  # fmt: skip


def _tasks(one: tuple[Task, ...], two: tuple[Task, ...], step: int) -> tuple[Task, ...]:
    if len(one) != len(two):
        raise NotAlike(f"{len(one)} and {len(two)} tasks")
    return tuple(_task(a, b, step) for a, b in zip(one, two, strict=True))


def _task(a: Task, b: Task, step: int) -> Task:
    if isinstance(a, Comm) and isinstance(b, Comm) and a.op == b.op:
        return replace(a, size_bytes=a.size_bytes + step * (b.size_bytes - a.size_bytes))
    if isinstance(a, Call) and isinstance(b, Call) and a.op == b.op:
        if a.arguments.keys() != b.arguments.keys():
            raise NotAlike(f"{a.op} has other arguments")
        arguments = {n: _value(v, b.arguments[n], step) for n, v in a.arguments.items()}
        return Call(a.op, arguments, _value(a.outputs, b.outputs, step))
    raise NotAlike(f"{a} and {b}")


def _value(a: Any, b: Any, step: int) -> Any:
    """The value on the line through two: sizes move, everything else has to be equal."""
    if isinstance(a, tuple) and isinstance(b, tuple) and len(a) == len(b):
        return tuple(_value(x, y, step) for x, y in zip(a, b, strict=True))
    if isinstance(a, Tensor) and isinstance(b, Tensor):
        if a.dtype != b.dtype or len(a.shape) != len(b.shape) or a.on_host != b.on_host:
            raise NotAlike(f"{a} and {b}")
        return Tensor(a.dtype, _value(a.shape, b.shape, step), _strides(a, b, step), a.on_host)
    if type(a) is int and type(b) is int:
        return a + step * (b - a)
    if a == b or (type(a) is type(b) and not isinstance(a, (str, bool, int, type(None)))):
        return a
    raise NotAlike(f"{a} and {b}")


def _strides(a: Tensor, b: Tensor, step: int) -> tuple[int, ...] | None:
    """Strides on the line; None where both are contiguous."""
    if (a.strides is None) != (b.strides is None):
        raise NotAlike(f"{a} and {b}")
    found: tuple[int, ...] | None = _value(a.strides, b.strides, step)
    return found
