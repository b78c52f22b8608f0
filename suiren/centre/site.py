"""A centre: machines, network, power, failures, storage, prices and jobs, all numbers in place."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from math import inf

from suiren.centre.prices import Prices
from suiren.centre.switches import Switches
from suiren.centre.tables import GoalTable, JobTable
from suiren.fleet.faults import Faults, Recovery
from suiren.hw.cluster import Cluster
from suiren.hw.fact import Fact
from suiren.hw.spec import Card, Node

S_PER_YEAR = 365 * 86400.0
#: The month that is simulated.
MONTH_S = 30 * 86400.0
J_PER_KWH = 3.6e6
TB = 1e12


#: How the source of a number begins that a file gives without one of its own.
GIVEN = "given in "


def kind_of(fact: Fact) -> str:
    """The fact's kind; `input` for a number that the centre's file gives without a source."""
    return "input" if fact.source.startswith(GIVEN) else fact.kind


@dataclass(frozen=True, kw_only=True)
class Network:
    """The fabric and what it draws."""

    fabric: str
    oversubscription: float
    nics: int
    ports: int
    switch_w: Fact
    optic_w: Fact


@dataclass(frozen=True, kw_only=True)
class Power:
    """What the site gives and takes."""

    pue: Fact
    site_limit_w: Fact | None
    carbon_kg_per_kwh: Fact | None
    water_l_per_kwh: Fact | None


@dataclass(frozen=True, kw_only=True)
class Storage:
    """Where checkpoints go."""

    bytes_per_s: Fact
    kept: int
    data_bytes: float
    background: bool
    power_w: Fact | None
    """None for what drives of the needed size draw."""


@dataclass(frozen=True, kw_only=True)
class Centre:
    """Everything about a centre; what a study needs and nothing else."""

    title: str
    note: str
    node: Node
    nodes: int
    """All that are bought, spares included."""
    spare_nodes: int
    nodes_per_rack: int
    rack_limit_w: Fact | None
    host_w: Fact
    host_peak_w: Fact
    network: Network
    power: Power
    faults: Faults
    switch_mean_s: Fact | None
    """Mean time between failures of one switch."""
    recovery: Recovery
    storage: Storage
    prices: Prices
    use_share: float
    jobs: tuple[JobTable, ...]
    goal: GoalTable | None
    source: str = ""
    """The file's text, so that the answer can be repeated."""

    @property
    def card(self) -> Card:
        """The card that every node holds."""
        return self.node.card

    @property
    def cards_per_node(self) -> int:
        """Cards in one node."""
        return int(self.node.num_cards)

    @property
    def cards(self) -> int:
        """All cards that are bought."""
        return self.nodes * self.cards_per_node

    @property
    def usable_cards(self) -> int:
        """Cards of the nodes that are no spares."""
        return (self.nodes - self.spare_nodes) * self.cards_per_node

    @property
    def racks(self) -> int:
        """Racks of nodes."""
        return -(-self.nodes // self.nodes_per_rack)

    @property
    def limit_w(self) -> float:
        """At the meter: the site's or the goal's limit, the lower one; infinite without."""
        goal = self.goal.power_w if self.goal else None
        site = self.power.site_limit_w
        return min(inf if site is None else float(site), inf if goal is None else goal)

    def with_nodes(self, nodes: int) -> Centre:
        """The same centre with another number of nodes."""
        return replace(self, nodes=nodes)

    def facts(self) -> Iterator[tuple[str, Fact]]:
        """Facts the answer rests on besides the card's own, by name."""
        yield "host_w", self.host_w
        yield "host_peak_w", self.host_peak_w
        yield "pue", self.power.pue
        yield "switch_w", self.network.switch_w
        yield "optic_w", self.network.optic_w
        yield "storage_bytes_per_s", self.storage.bytes_per_s
        for name in ("site_limit_w", "carbon_kg_per_kwh", "water_l_per_kwh"):
            found = getattr(self.power, name)
            if found is not None:
                yield name, found
        if self.rack_limit_w is not None:
            yield "rack_limit_w", self.rack_limit_w
        if self.node.nic_bytes_per_s is not None:
            yield "nic_bytes_per_s", self.node.nic_bytes_per_s
        for failing in self.faults.failures:
            yield f"mean_s {failing.part}", failing.mean_s
        if self.switch_mean_s is not None:
            yield "mean_s switch", self.switch_mean_s
        for name in ("detect_s", "restart_s", "repair_s"):
            yield name, getattr(self.recovery, name)


def cluster_of_centre(centre: Centre, switches: Switches) -> Cluster:
    """The machines as a cluster, so that steps can be timed on them."""
    over = centre.network.oversubscription
    return Cluster(
        name=f"{centre.node.name}*{centre.nodes}", title=f"{centre.nodes} × {centre.node.title}",
        node=centre.node, num_nodes=centre.nodes, fabric=centre.network.fabric,
        oversubscription=Fact(over, "the centre file", "assumed") if over > 1 else None,
        nodes_per_leaf=Fact(switches.nodes_per_leaf, "counted from the switches' ports", "derived")
        if switches.levels > 1 else None,
    )  # fmt: skip
