"""Transport: how a communication library drives one kind of link, message by message.

What a wire can carry is the topology's; what a library makes of it is here: the cost of a
start, of a hop, and the share of the wire that its message formats leave for payload.
"""

from __future__ import annotations

from dataclasses import dataclass

from suiren.hw.fact import Fact


@dataclass(frozen=True, kw_only=True)
class Protocol:
    """One message format: `ll` (a flag beside every word), `ll128` (beside 120 bytes), `simple`."""

    base_s: Fact
    """Once a collective: launch, first and last synchronisation."""
    hop_s: Fact
    """Once for each card that data passes through, beyond the wires' own latency."""
    share: Fact
    """Payload bytes a second over the wire's."""
    last: Fact
    """What the last step costs more: the copy to where the result belongs, as a share of a step."""


@dataclass(frozen=True, kw_only=True)
class Transport:
    """How messages travel over one generation of links."""

    name: str
    carried_from: str = ""
    """The generation whose numbers stand here, where nobody measured this one."""
    ll: Protocol
    ll128: Protocol
    simple: Protocol
    pairs: Protocol
    """Messages between many pairs at once: all_to_all, gather, scatter."""
    message: Protocol
    """One message from one card to another."""
    in_switch: Protocol | None = None
    """Sums and copies made in the switch; `share` of the wire, whatever the number of cards."""
    hides_s: Fact | None = None
    """Steps of `simple` that take longer than this hide the hop behind the bytes."""

    def protocol(self, name: str) -> Protocol:
        """The protocol of a field's name; raises ValueError where the link has none."""
        found = getattr(self, name)
        if not isinstance(found, Protocol):
            raise ValueError(f"{self.name} has no protocol {name}")
        return found
