"""The numbers by which NCCL predicts, and so chooses: they decide, they do not time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from suiren.hw.fact import Fact, published
from suiren.units import GB, us

_SOURCE = "NVIDIA NCCL 2.18 to 2.27, src/graph/tuning.cc"
_TOPO = "NVIDIA NCCL, src/graph/topo.h"

#: (algorithm, protocol) -> seconds once a collective.
BASE_S: Mapping[tuple[str, str], Fact] = {
    (a, p): published(s * us, f"{_SOURCE}: baseLat")
    for a, p, s in (
        ("tree", "ll", 6.8), ("tree", "ll128", 14.0), ("tree", "simple", 8.4), ("ring", "ll", 6.6),
        ("ring", "ll128", 14.0), ("ring", "simple", 8.4), ("switch", "simple", 0.0),
    )
}  # fmt: skip
#: (where, algorithm, protocol) -> seconds a hop. `link` between cards, `pcie`, `net` between nodes.
HOP_S: Mapping[tuple[str, str, str], Fact] = {
    (where, algorithm, protocol): published(s * us, f"{_SOURCE}: hwLat")
    for where, algorithm, hops in (
        ("link", "tree", (0.6, 1.25, 4.0)), ("link", "ring", (0.6, 1.9, 3.4)),
        ("pcie", "tree", (1.0, 1.9, 4.0)), ("pcie", "ring", (1.0, 2.5, 5.7)),
        ("net", "tree", (5.0, 8.5, 14.0)), ("net", "ring", (2.7, 4.0, 14.0)),
        ("link", "switch", (0.0, 0.0, 25.0)), ("net", "switch", (0.0, 0.0, 18.0)),
    )
    for protocol, s in zip(("ll", "ll128", "simple"), hops, strict=True)
}  # fmt: skip
#: How well the tree keeps to the model, by the power of two above 64 bytes.
TREE_SHARE: Mapping[str, tuple[float, ...]] = {
    "ll": (1, 1, 1, 1, .9, .8, .7, .7, .7, .7, .6, .5, .4, .4, .5, .6, .7, .8, .9, 1, 1, 1, 1),
    "ll128": (1, 1, 1, 1, 1, .9, .8, .8, .8, .7, .6, .6, .6, .6, .6, .6, .8, .9, .9, .9, .9, 1, 1),
    "simple": (.9, .9, .9, .9, .9, .9, .9, .8, .7, .6, .6, .5, .5, .5, .5, .6, .7, .8, .7, .7, .8,
               .9, .9),
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Generation:
    """What NCCL assumes of one compute capability, for one node, two, and more."""

    ll_bytes_per_s: tuple[Fact, Fact, Fact]
    link_share: Fact
    """Of a link's printed rate, what it counts on."""
    in_switch_share: Fact | None = None
    """The same for sums in the switch."""
    ll128: bool = True
    """Whether it trusts flags beside 120 bytes: tuning.cc does for capabilities 7.0, 8.0, 9.0."""


def _ll(gb_per_s: float) -> Fact:
    return published(gb_per_s * GB, f"{_SOURCE}: llMaxBws")


def _generation(
    ll: tuple[float, float, float], link: float, printed: float, in_switch: float | None = None,
    *, ll128: bool = True,
) -> Generation:
    return Generation(
        ll_bytes_per_s=(_ll(ll[0]), _ll(ll[1]), _ll(ll[2])),
        link_share=published(link / printed, f"{_TOPO}, search.cc: {link:g} of {printed:g} GB/s"),
        ll128=ll128,
        in_switch_share=None if in_switch is None
        else published(in_switch, f"{_SOURCE}: nvlsEfficiency"),
    )  # fmt: skip


#: By the family of the chip.
GENERATIONS: Mapping[str, Generation] = {
    "volta": _generation((39.0, 39.0, 20.4), 150, 150),
    "ampere": _generation((87.7, 22.5, 19.0), 240, 300),
    "hopper": _generation((141.0, 45.0, 35.0), 360, 450, 0.85),
    "blackwell": _generation((282.0, 90.0, 70.0), 720, 900, 0.74, ll128=False),
}
#: Above this many cards the switch is asked to add up: below, it saves nothing.
IN_SWITCH_FROM = published(5, f"{_SOURCE}: ring and switch predict alike on four cards")
#: What the message with flags beside 120 bytes leaves, and what a tree does.
LL128_SHARE = published(0.92, f"{_SOURCE}: 120 of 128 bytes, and its cost")
TREE_RATE = published(0.92, f"{_SOURCE}: a tree's rate over the ring's")
LL_SHARE = published(0.5, f"{_SOURCE}: a flag beside every word")
TREE_LL = published(1 / 3.8, f"{_SOURCE}")
TREE_LL128 = published(7 / 9, f"{_SOURCE}: inside one node")
PLATEAU = published(1.4, f"{_SOURCE}: latency of a simple ring over nodes")
