"""More boxes: racks that are one node, bridged pairs, boxes with nothing but PCIe."""

from __future__ import annotations

from suiren.hw.catalog import (
    amazon,
    google,
    hosts,
    nvidia_ada,
    nvidia_ampere,
    nvidia_blackwell,
    nvidia_hopper,
    shapes,
)
from suiren.hw.catalog.node import make_node, whole_link
from suiren.hw.catalog.shapes import Box
from suiren.hw.fact import assumed, derived
from suiren.hw.spec import Card, Node

_CARDS: dict[str, Card] = {
    card.name: card
    for room in (amazon, google, nvidia_ada, nvidia_ampere, nvidia_blackwell, nvidia_hopper)
    for card in room.CARDS
}
_NICS = assumed(2, "NICs a node unpublished; two of 100 Gbit/s taken")
_RACK = Box(links=shapes.switched, per_switch=0, cpus=2,
            unknown="two CPUs stand for the 36 of the rack: they carry no links")  # fmt: skip
_PAIRS = Box(links=shapes.pairs, per_switch=4, cpus=1, host=" of bridged pairs",
             unknown="PCIe unpublished: all four cards under one switch taken")  # fmt: skip
_VIDUR = "microsoft/vidur: four cards, NVLink bridges over pairs"
_NVL72 = "NVIDIA GB200 NVL72 datasheet, 2024"


def _rack(name: str, title: str, card: Card) -> Node:
    wiring = "18 trays of four; nine NVSwitch trays join all 72 at the full rate of a card"
    return make_node(name, title, card, 72, wiring, whole_link(card), _NVL72, 72, 50, box=_RACK,
                     host=hosts.grace(36))  # fmt: skip


def _tray(name: str, title: str, card: Card) -> Node:
    wiring = "four GPUs a tray, 18 trays; NVSwitch trays join all 72 at the full rate of a card"
    box = Box(links=shapes.switched, per_switch=0)
    return make_node(name, title, card, 4, wiring, whole_link(card), _NVL72, 4, 50, box=box,
                     host=hosts.grace(2))  # fmt: skip


def _bridged(name: str, title: str, card: Card) -> Node:
    wiring = "a bridge over every two cards; the pairs reach each other through PCIe"
    return make_node(name, title, card, 4, wiring, whole_link(card), _VIDUR, _NICS, 12.5,
                     box=_PAIRS)  # fmt: skip


def _tpu_host(name: str) -> Node:
    card = _CARDS[name]
    wiring = "a 2 × 2 corner of the torus of its pod"
    box = Box(links=shapes.torus(2, 2), cpus=1, per_switch=0, forwards=True)
    return make_node(f"{name}-host", f"host of four {card.title}", card, 4, wiring,
                     shapes.rate_of(card, 1), "cloud.google.com/tpu/docs", box=box)  # fmt: skip


_L40S = _CARDS["l40s"]
_TRN2 = _CARDS["trainium2"]

NODES: tuple[Node, ...] = (
    _rack("gb200-rack", "NVIDIA GB200 NVL72, the whole rack", _CARDS["gb200"]),
    _rack("gb300-rack", "NVIDIA GB300 NVL72, the whole rack", _CARDS["gb300"]),
    _tray("gb300-nvl72", "one tray of a GB300 NVL72", _CARDS["gb300"]),
    _bridged("a100-pairs-x4", "4 × A100 PCIe, bridged in pairs", _CARDS["a100-pcie"]),
    _bridged("h100-pairs-x4", "4 × H100 PCIe, bridged in pairs", _CARDS["h100-pcie"]),
    make_node(
        "l40s-x8", "8 × L40S server", _L40S, 8, "PCIe only: two switches under two CPUs",
        derived(float(_L40S.host_bytes_per_s), f"PCIe; {_L40S.host_bytes_per_s.source}"),
        "usual eight-card servers", _NICS, 12.5, box=Box(),
    ),
    make_node(
        "trn2", "AWS trn2.48xlarge", _TRN2, 16, "a 4 × 4 torus of NeuronLink-v3: four links a chip",
        shapes.rate_of(_TRN2, 1), "AWS trn2.48xlarge instance page: 3.2 Tbit/s of EFA", 16, 25,
        box=Box(links=shapes.torus(4, 4), per_switch=4, forwards=True),
    ),
    *(_tpu_host(name) for name in ("tpu-v2", "tpu-v3", "tpu-v5e", "tpu-v5p", "tpu-v6e", "tpu-v7")),
)  # fmt: skip
