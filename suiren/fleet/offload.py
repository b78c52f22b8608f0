"""The optimizer on the host: gradients go down, weights come back, states never leave it."""

from __future__ import annotations

from suiren.hw.fact import Fact, assumed, derived
from suiren.hw.spec import Card

#: Memory traffic of the host's Adam for a weight: gradient, FP32 weight and both moments are
#: read, the last three written, and the weight's short form.
ADAM_BYTES: Fact = derived(30.0, "4 + 3 x 4 read, 3 x 4 + 2 written; Ren et al. 2021, section 5")
#: Host memory bandwidth that a card's share of a two-socket host sustains.
HOST_BYTES_PER_S: Fact = assumed(
    40e9, "two sockets of eight DDR4-3200 channels, 410 GB/s, shared by eight cards, 80 % of it"
)


def host_optimizer_s(params: float, grad_bytes: float, item_bytes: float, card: Card) -> float:
    """Seconds of one optimizer step for `params` weights of a card whose states lie on the host.

    The two transfers and the update follow each other by blocks, so that the slower of link and
    host memory counts, as ZeRO-Offload overlaps them (Ren et al. 2021, section 4).
    """
    link_s = params * max(grad_bytes, item_bytes) / float(card.host_bytes_per_s)
    return max(link_s, params * float(ADAM_BYTES) / float(HOST_BYTES_PER_S))
