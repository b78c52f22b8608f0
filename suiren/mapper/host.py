"""Time that the host's processors take for their own part of a step."""

from __future__ import annotations

from suiren.hw.default_node import node_for
from suiren.hw.host import share_bytes_per_s
from suiren.hw.spec import Card
from suiren.mapper.work import HostWork

#: Why an op of the host takes its time.
WHY = "host work"


def host_s(work: HostWork, card: Card) -> float:
    """Seconds of some work on the host that this card sits in.

    Its bytes stream from and to the host's memory, and every op costs the framework what issuing
    one costs; where no rate is given, one rank alone has the usual box of the card for itself.
    """
    rate = work.bytes_per_s or share_bytes_per_s(node_for(card), 1)
    return work.bytes / rate + work.ops * float(card.host_issue_s)
