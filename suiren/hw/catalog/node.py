"""Boxes: how many cards, how they are joined, what leads out.

`pair_bytes_per_s` is one direction between two directly joined cards: through a switch
it is a card's whole link, in a mesh a card's link divided by its neighbours.
"""

from __future__ import annotations

from suiren.hw.catalog import (
    amazon,
    amd,
    dtu,
    gaudi,
    google,
    hosts,
    huawei,
    nvidia_ampere,
    nvidia_blackwell,
    nvidia_hopper,
    nvidia_volta,
    shapes,
)
from suiren.hw.catalog.build import fact
from suiren.hw.catalog.shapes import Box
from suiren.hw.fact import Fact, assumed, derived, published
from suiren.hw.spec import Card, Host, Node
from suiren.units import GB

ESL = "interconnect fact list citing the official hardware manuals: bridge ESL-B, cable ESL-Q"
EXPORTER = "official gcu-exporter guide: default alert at 8 cards a host, Inspur NF5468M5"
FLAGPERF = "FlagOpen/FlagPerf@1b5a030 base/benchmarks, A100 servers"
_CARDS_BY_NAME = {card.name: card for room in (amazon, google, gaudi) for card in room.CARDS}
#: How the cards of each node are joined, for sister cards in the same box.
BOXES: dict[str, Box] = {}
_NO_NICS = assumed(2, "NICs a node unpublished; two of 100 Gbit/s taken")


def make_node(
    name: str,
    title: str,
    card: Card,
    num_cards: float,
    wiring: str,
    pair_bytes_per_s: Fact,
    source: str,
    nics: float | None = None,
    nic_gb_per_s: float = 25,
    aliases: tuple[str, ...] = (),
    *,
    box: Box,
    host: Host | None = None,
) -> Node:
    """A node; each NIC carries `nic_gb_per_s` GB/s one way."""
    rate = None if nics is None else fact(nic_gb_per_s * GB, source)
    BOXES[name] = box
    return Node(
        topology=box.topology(card, int(num_cards), nics or 0, rate),
        name=name,
        title=title,
        card=card,
        num_cards=fact(num_cards, source),
        wiring=wiring,
        pair_bytes_per_s=pair_bytes_per_s,
        nics=None if nics is None else fact(nics, source),
        nic_bytes_per_s=rate,
        aliases=aliases,
        host=host,
    )


def whole_link(card: Card) -> Fact:
    """One direction of a card's whole link, through a switch."""
    assert card.link is not None
    rate = card.link.bytes_per_s
    return derived(rate / 2, f"{card.link.name}: both directions / 2; {rate.source}")


def _meshed(card: Card, neighbours: int) -> Fact:
    """One direction of a card's link, divided among the cards it is wired to."""
    assert card.link is not None
    rate = card.link.bytes_per_s
    how = f"{card.link.name}: both directions / 2 / {neighbours} neighbours; {rate.source}"
    return derived(rate / 2 / neighbours, how)


def _one_port(card: Card) -> Fact:
    """One direction of one port."""
    assert card.link is not None
    rate, ports = card.link.bytes_per_s, card.link.ports
    return derived(rate / 2 / ports, f"{card.link.name}: both directions / 2 / {ports:g} ports")


_QUADS = (
    "two groups of four cards, each a full mesh over a bridge; "
    "cables join the groups; PCIe switches under two CPUs"
)

_CABLES = "cables a card between the two quads are unpublished: one taken"
_QUAD_BOX = Box(links=shapes.quads("ESL-B bridge", "ESL-Q cable"), unknown=_CABLES)
_OAM_BOX = Box(
    links=shapes.quads("ESL on the board", "ESL on the board, across"),
    unknown="the link map of the OAM board is unpublished: the T20's is taken",
)
_NVSWITCH = Box(links=shapes.switched, per_switch=2)
_HGX = Box(links=shapes.switched, per_switch=1)
_GAUDI2_PAIR = published(37.5 * GB, "3 × 100GbE: Habana Gaudi2 whitepaper, 2022")
_GAUDI3_PAIR = published(75 * GB, "3 × 200GbE: Intel Gaudi 3 whitepaper, 2024")

NODES: tuple[Node, ...] = (
    make_node(
        "t10x8", "8 × T10 server", dtu.T10, 8, _QUADS, _one_port(dtu.T10), EXPORTER, _NO_NICS, 12.5,
        box=_QUAD_BOX,
    ),
    make_node(
        "t20x8",
        "8 × T20 server",
        dtu.T20,
        8,
        "two quads, each a full mesh over a bridge ESL-B with 3 of 6 ports of a card; "
        "cables ESL-Q join the quads, one to three a card; PCIe switches under two CPUs",
        _one_port(dtu.T20),
        ESL,
        _NO_NICS,
        12.5,
        aliases=("t20 server",),
        box=_QUAD_BOX,
    ),
    make_node(
        "t21x8",
        "8 × T21 OAM server",
        dtu.T21,
        8,
        "eight OAM modules on an OAI board; link map unpublished, taken as the T20's",
        _one_port(dtu.T21),
        "OCP OAI board: 8 modules",
        _NO_NICS,
        12.5,
        box=_OAM_BOX,
    ),
    make_node(
        "dgx-1",
        "NVIDIA DGX-1 (V100)",
        nvidia_volta.V100,
        8,
        "hybrid cube mesh of NVLink: each card reaches four others, two of them doubly",
        _one_port(nvidia_volta.V100),
        "NVIDIA DGX-1 whitepaper, 2017",
        4,
        12.5,
        box=Box(links=shapes.cube_mesh, per_switch=2),
        host=hosts.DGX_1,
    ),
    make_node(
        "dgx-a100",
        "NVIDIA DGX A100",
        nvidia_ampere.A100,
        8,
        "all cards on six NVSwitches: any pair at the full rate of a card",
        whole_link(nvidia_ampere.A100),
        "NVIDIA DGX A100 datasheet, 2020",
        8,
        25,
        aliases=("hgx-a100",),
        box=_NVSWITCH,
        host=hosts.DGX_A100,
    ),
    make_node(
        "hgx-h100",
        "NVIDIA HGX H100",
        nvidia_hopper.H100,
        8,
        "all cards on four NVSwitches: any pair at the full rate of a card",
        whole_link(nvidia_hopper.H100),
        "NVIDIA DGX H100 datasheet, 2022",
        8,
        50,
        aliases=("dgx-h100",),
        box=_HGX,
        host=hosts.DGX_H100,
    ),
    make_node(
        "hgx-h200",
        "NVIDIA HGX H200",
        nvidia_hopper.H200,
        8,
        "all cards on four NVSwitches: any pair at the full rate of a card",
        whole_link(nvidia_hopper.H200),
        "NVIDIA DGX H200 datasheet, 2024",
        8,
        50,
        aliases=("dgx-h200",),
        box=_HGX,
        host=hosts.DGX_H100,
    ),
    make_node(
        "hgx-b200",
        "NVIDIA HGX B200",
        nvidia_blackwell.B200,
        8,
        "all cards on two NVSwitches: any pair at the full rate of a card",
        whole_link(nvidia_blackwell.B200),
        "NVIDIA DGX B200 datasheet, 2024",
        8,
        50,
        aliases=("dgx-b200",),
        box=_HGX,
        host=hosts.DGX_B200,
    ),
    make_node(
        "gb200-nvl72",
        "one tray of a GB200 NVL72",
        nvidia_blackwell.GB200,
        4,
        "four GPUs a tray, 18 trays; NVSwitch trays join all 72 at the full rate of a card",
        whole_link(nvidia_blackwell.GB200),
        "NVIDIA GB200 NVL72 datasheet, 2024",
        4,
        50,
        box=Box(links=shapes.switched, per_switch=0),
        host=hosts.grace(2),
    ),
    make_node(
        "mi300x-x8",
        "8 × MI300X platform",
        amd.MI300X,
        8,
        "full mesh: one Infinity Fabric link between any two cards",
        _meshed(amd.MI300X, 7),
        "AMD Instinct MI300X platform datasheet, 2023",
        8,
        50,
        box=Box(links=shapes.mesh, per_switch=1),
    ),
    make_node(
        "mi250x-x4", "4 × MI250X node of Frontier", amd.MI250X, 4,
        "Infinity Fabric between any two of four cards; a NIC each", _meshed(amd.MI250X, 3),
        "OLCF Frontier user guide: 4 MI250X, 4 NICs of 200 Gbit/s", 4, 25,
        aliases=("frontier node",), box=Box(links=shapes.mesh, cpus=1, per_switch=1)),
    make_node(
        "gaudi2-x8",
        "8 × Gaudi 2 (HLS-Gaudi2)",
        _CARDS_BY_NAME["gaudi2"],
        8,
        "full mesh: 21 of 24 ports, three to each other card; three ports scale out",
        _GAUDI2_PAIR,
        "Habana Gaudi2 whitepaper, 2022",
        24,
        12.5,
        box=Box(links=shapes.mesh_of(_GAUDI2_PAIR, "RoCE 100GbE"), nics_on_cards=True),
        host=hosts.HLS_GAUDI2,
    ),
    make_node(
        "gaudi3-x8",
        "8 × Gaudi 3 (HLB-325)",
        _CARDS_BY_NAME["gaudi3"],
        8,
        "full mesh: 21 of 24 ports, three to each other card; three ports scale out",
        _GAUDI3_PAIR,
        "Intel Gaudi 3 whitepaper, 2024",
        24,
        25,
        box=Box(links=shapes.mesh_of(_GAUDI3_PAIR, "RoCE 200GbE"), nics_on_cards=True),
    ),
    make_node(
        "atlas-910b-x8",
        "Atlas 800T A2",
        huawei.ASCEND_910B,
        8,
        "full mesh: one HCCS link between any two cards",
        _meshed(huawei.ASCEND_910B, 7),
        "Atlas 800T A2 user guide",
        8,
        25,
        aliases=("atlas 800t a2",),
        box=Box(links=shapes.mesh, per_switch=2),
    ),
    make_node(
        "tpu-v4-host",
        "TPU v4 host",
        _CARDS_BY_NAME["tpu-v4"],
        4,
        "a 2 × 2 × 1 corner of a 3-D torus: six ICI links a chip, optically switched outside",
        _one_port(_CARDS_BY_NAME["tpu-v4"]),
        "cloud.google.com/tpu/docs/v4",
        box=Box(links=shapes.torus(2, 2), cpus=1, per_switch=0, forwards=True),
    ),
    make_node(
        "trn1",
        "AWS trn1.32xlarge",
        _CARDS_BY_NAME["trainium1"],
        16,
        "a 4 × 4 torus of NeuronLink-v2: four links a chip",
        _one_port(_CARDS_BY_NAME["trainium1"]),
        "AWS trn1.32xlarge instance page: 800 Gbit/s of EFA",
        8,
        12.5,
        box=Box(links=shapes.torus(4, 4), per_switch=4, forwards=True),
        host=hosts.TRN1,
    ),
)
