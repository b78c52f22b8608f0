"""What the host's processors do of a step, as ops of the record.

A call `host::NAME(ops, read_bytes, written_bytes)` is all ops of one name that the host ran on
its own memory in one go, such as an optimizer whose parameters lie there. `placed` adds
`bytes_per_s`, this rank's share of the host.
"""

from __future__ import annotations

from suiren.mapper.work import HostWork, Kernel, Work
from suiren.trace.call import Call

NAMESPACE = "host::"
FAMILY = "host"


def is_on_host(call: Call) -> bool:
    """True for what the host computes."""
    return call.op.startswith(NAMESPACE)


def work(call: Call) -> Work:
    """Its traffic; the card launches nothing."""
    found = HostWork(bytes_of(call), number_of(call, "ops"), rate_of(call))
    return Work(FAMILY, (Kernel(host=found, launches=0),))


def bytes_of(call: Call) -> int:
    """What it reads and writes."""
    return number_of(call, "read_bytes") + number_of(call, "written_bytes")


def rate_of(call: Call) -> int:
    """Bytes a second that the host streams for this rank; 0 where the call was not placed."""
    return number_of(call, "bytes_per_s")


def with_rate(call: Call, bytes_per_s: float) -> Call:
    """The same on a host that streams so much for this rank."""
    arguments = {**call.arguments, "bytes_per_s": max(1, round(bytes_per_s))}
    return Call(call.op, arguments, call.outputs)


def number_of(call: Call, name: str) -> int:
    """An integer argument, 0 where it is missing."""
    value = call.arguments.get(name, 0)
    return value if isinstance(value, int) else 0
