"""The host of a box: its processors and their memory, which all cards of the box share."""

from __future__ import annotations

from suiren.hw.fact import Fact, assumed
from suiren.hw.spec import Card, Host, Node
from suiren.units import GB

#: Share of the printed memory bandwidth that a long stream over all cores sustains.
STREAM_SHARE: Fact = assumed(
    0.8, "STREAM on two-socket servers, every socket on memory of its own: three quarters to nine "
    "tenths of channels × rate × 8 bytes",
)  # fmt: skip
#: What one core streams, however much memory stands behind it.
CORE_BYTES_PER_S: Fact = assumed(
    10 * GB, "a server core keeps some ten to sixteen lines of 64 bytes in flight over 90 ns"
)


def ddr(sockets: int, channels: int, mega_transfers: int) -> float:
    """Bytes a second of all memory channels: 8 bytes a transfer."""
    return sockets * channels * mega_transfers * 1e6 * 8


#: The usual two sockets by the card's host link, bytes a second up to which it counts.
_USUAL = (
    (20 * GB, "two sockets of six DDR4-2933 channels", 40.0, ddr(2, 6, 2933)),
    (40 * GB, "two sockets of eight DDR4-3200 channels", 64.0, ddr(2, 8, 3200)),
    (80 * GB, "two sockets of eight DDR5-4800 channels", 96.0, ddr(2, 8, 4800)),
    (float("inf"), "two sockets of twelve DDR5-6400 channels", 128.0, ddr(2, 12, 6400)),
)


def host_of(node: Node) -> Host:
    """The node's host; where nobody published it, the usual one of its cards' time."""
    return node.host if node.host is not None else _usual(node.card)


def _usual(card: Card) -> Host:
    _, title, cores, rate = next(row for row in _USUAL if float(card.host_bytes_per_s) < row[0])
    why = f"the box's processors are unpublished: {title} taken, usual beside such a card"
    return Host(title=title, cores=assumed(cores, why), memory_bytes_per_s=assumed(rate, why))


def streams_bytes_per_s(host: Host) -> float:
    """What all cores together stream from and to the host's memory."""
    memory = float(host.memory_bytes_per_s) * float(STREAM_SHARE)
    return min(memory, float(host.cores) * float(CORE_BYTES_PER_S))


def share_bytes_per_s(node: Node, ranks: int) -> float:
    """A rank's share of it where `ranks` of the node's cards are in use, at least one."""
    return streams_bytes_per_s(host_of(node)) / max(1, min(ranks, int(node.num_cards)))


def facts_of(node: Node) -> dict[str, Fact]:
    """What a time of the host's work rests on, by name."""
    host = host_of(node)
    facts = {"host.memory_bytes_per_s": host.memory_bytes_per_s, "host.stream_share": STREAM_SHARE}
    by_memory = float(host.memory_bytes_per_s) * float(STREAM_SHARE)
    if by_memory > streams_bytes_per_s(host):
        facts = {"host.cores": host.cores, "host.core_bytes_per_s": CORE_BYTES_PER_S}
    return facts
