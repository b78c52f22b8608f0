"""From the tables of a file to a centre: names resolved, silence filled with facts."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from suiren.centre import facts
from suiren.centre.file import BadCentreFile, load_tables, parse
from suiren.centre.prices import PRICED, Prices
from suiren.centre.site import GIVEN, Centre, Network, Power, Storage
from suiren.centre.tables import CentreTable
from suiren.fleet.fault_rates import RATES
from suiren.fleet.faults import S_PER_DAY, S_PER_H, Failures, Faults, Recovery
from suiren.hw.chipfile import BadChipFile, Number
from suiren.hw.fact import Fact, assumed
from suiren.hw.find_cluster import UnknownCluster, cluster_of
from suiren.hw.spec import Node


def load_centre(path: str | Path) -> Centre:
    """The centre a file describes; raises BadCentreFile with a sentence for each fault."""
    file = Path(path)
    tables = load_tables(file)
    return _built(tables, str(file), file.read_text(encoding="utf-8"))


def centre_of(text: str, name: str = "centre") -> Centre:
    """The centre that a text describes; `name` is what messages call it."""
    return _built(parse(text, name), name, text)


def _built(tables: CentreTable, name: str, text: str) -> Centre:
    source = Path(name).name
    node = _node(tables, name, source)
    bought = tables.machines.nodes or -(-(tables.machines.cards or 1) // int(node.num_cards))
    failures = tables.failures
    if failures.spare_nodes >= bought:
        raise BadCentreFile(name, [f"[failures] spare_nodes is {failures.spare_nodes} of {bought} "
                                   "nodes bought; at least one must be left to train"])  # fmt: skip
    host_w, peak_w = _hosts(tables, node, source)
    power = tables.power
    return Centre(
        title=tables.title or Path(name).stem, note=tables.note, node=node, nodes=bought,
        spare_nodes=failures.spare_nodes, nodes_per_rack=tables.machines.nodes_per_rack,
        rack_limit_w=_given(tables.machines.rack_limit_w, source), host_w=host_w,
        host_peak_w=peak_w,
        network=_network(tables, node, source),
        power=Power(
            pue=_given(power.pue, source) or facts.PUE[power.cooling or "average"],
            site_limit_w=_given(power.site_limit_w, source),
            carbon_kg_per_kwh=_given(power.carbon_kg_per_kwh, source),
            water_l_per_kwh=_given(power.water_l_per_kwh, source),
        ),
        faults=_faults(tables, source), switch_mean_s=_days(failures.switch_days, source),
        recovery=_recovery(tables, source), storage=_storage(tables, node, bought, source),
        prices=Prices(
            currency=tables.currency, years=tables.prices.years,
            building_years=tables.prices.building_years,
            discount_per_cent=tables.prices.discount_per_cent,
            **{name: getattr(tables.prices, name) for name in PRICED},
        ),
        use_share=tables.use_share, jobs=tuple(tables.job), goal=tables.goal, source=text,
    )  # fmt: skip


def _node(tables: CentreTable, name: str, source: str) -> Node:
    try:
        node = cluster_of(tables.machines.name).node
    except (UnknownCluster, BadChipFile) as problem:
        raise BadCentreFile(name, [f"[machines] name: {problem}"]) from None
    if not node.card.can_time:
        raise BadCentreFile(name, [f"[machines] name: no peak of {node.card.title} was ever "
                                   "published, so no time can be told"])  # fmt: skip
    rate = _given(tables.network.nic_bytes_per_s, source)
    nics = tables.network.nics
    if rate is not None:
        node = replace(node, nic_bytes_per_s=rate)
    if nics is not None:
        node = replace(node, nics=Fact(nics, source, "assumed"))
    return node


def _hosts(tables: CentreTable, node: Node, source: str) -> tuple[Fact, Fact]:
    """A node without its cards: in training, and at its peak."""
    peak_w = _given(tables.machines.host_peak_w, source) or _host_peak(node)
    given = _given(tables.machines.host_w, source)
    if given is not None:
        return given, peak_w if peak_w >= given else given
    share = facts.HOST_TRAINING_SHARE
    why = f"{float(share):g} × {float(peak_w):,.0f} W; {share.source}"
    return assumed(share * peak_w, why), peak_w


def _network(tables: CentreTable, node: Node, source: str) -> Network:
    network, rate = tables.network, float(node.nic_bytes_per_s or 0)
    per_64 = facts.by_rate(facts.SWITCH_64_W, rate)
    usual = per_64.at(per_64 * network.switch_ports / 64)
    return Network(
        fabric=network.fabric, oversubscription=network.oversubscription, nics=int(node.nics or 0),
        ports=network.switch_ports, switch_w=_given(network.switch_w, source) or usual,
        optic_w=_given(network.optic_w, source) or facts.by_rate(facts.OPTIC_W, rate),
    )  # fmt: skip


def _host_peak(node: Node) -> Fact:
    known = facts.HOST_PEAK_W.get(node.name)
    if known is not None:
        return known
    per_card = facts.HOST_PEAK_PER_CARD_W
    return per_card.at(per_card * node.num_cards)


def _given(number: Number | None, source: str) -> Fact | None:
    """What the file gives as a fact; without a source, the file is the source."""
    if number is None:
        return None
    return Fact(number.value, number.source or f"{GIVEN}{source}", number.kind)


def _days(number: Number | None, source: str) -> Fact | None:
    found = _given(number, source)
    return None if found is None else found.at(found * S_PER_DAY)


def _faults(tables: CentreTable, source: str) -> Faults:
    failures = tables.failures
    own = {"card": failures.card_days, "node": failures.node_days}
    if all(days is None for days in (*own.values(), failures.switch_days)):
        return Faults(failures=RATES[failures.rates or "llama3"]).times(failures.factor)
    found = []
    for part, days in own.items():
        mean_s = _days(days, source)
        if mean_s is not None:
            per = "chip" if part == "card" else part
            found.append(Failures(part=part, per=per, mean_s=mean_s))
    return Faults(failures=tuple(found)).times(failures.factor)


def _recovery(tables: CentreTable, source: str) -> Recovery:
    failures, usual = tables.failures, Recovery()
    repair = _given(failures.repair_h, source)
    return Recovery(
        detect_s=_given(failures.detect_s, source) or usual.detect_s,
        restart_s=_given(failures.restart_s, source) or usual.restart_s,
        repair_s=usual.repair_s if repair is None else repair.at(repair * S_PER_H),
        spare_nodes=failures.spare_nodes,
    )


def _storage(tables: CentreTable, node: Node, nodes: int, source: str) -> Storage:
    storage = tables.storage
    each = facts.STORAGE_BYTES_PER_S_PER_CARD
    usual = each.at(each * nodes * node.num_cards)
    return Storage(
        bytes_per_s=_given(storage.bytes_per_s, source) or usual, kept=storage.kept_checkpoints,
        data_bytes=storage.data_bytes, background=storage.background,
        power_w=_given(storage.power_w, source),
    )  # fmt: skip
