"""A user's own node or cluster: a TOML file, or a Python file that defines `CLUSTER`.

```toml
name = "bench"
nodes = 4
fabric = "fat-tree"
nodes_per_leaf = 2
oversubscription = 2

[node]
card = "t21"
cards = 4
shape = "mesh"
link_bytes_per_s = 25e9
nics = 2
nic_bytes_per_s = 25e9
```

Numbers are plain, or carry source and kind, as in a chip file. `based_on = "t21x8"` in `[node]`
takes a whole node instead; `[[wire]]` lists a graph of one's own in place of `shape`;
`host_cores` and `host_memory_bytes_per_s` in `[node]` describe the processors of the box.
"""

from __future__ import annotations

import importlib.util
import tomllib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from suiren.hw.catalog import NODES, shapes
from suiren.hw.chipfile import BadChipFile, Given, Number
from suiren.hw.cluster import Cluster
from suiren.hw.fact import Fact
from suiren.hw.host import host_of
from suiren.hw.load import resolve_card
from suiren.hw.names import UnknownChip
from suiren.hw.spec import Card, Host, Node
from suiren.hw.topology import FABRIC, VERTEX_KINDS, BadTopology, Topology, VertexKind
from suiren.hw.wiring import LINK_S, Wiring, topology_of

FABRICS = ("fat-tree", "rail-optimised", "dragonfly", "torus")
_STRICT = ConfigDict(extra="forbid", strict=True)
_Count = Annotated[int, Field(ge=1)]
#: Cards of one node: routes between all of them are worked out, which takes a minute for so many.
MOST_CARDS = 512


class BadClusterFile(BadChipFile):
    """A cluster file that cannot be used; `faults` holds one sentence for each reason."""


class WireTable(BaseModel):
    """A table `[[wire]]`: both directions between two vertices."""

    model_config = _STRICT
    between: Annotated[list[str], Field(min_length=2, max_length=2)]
    bytes_per_s: Given
    medium: str = "link"
    latency_s: Given | None = None


class NodeTable(BaseModel):
    """The table `[node]`."""

    model_config = _STRICT
    based_on: str | None = None
    card: str | None = None
    cards: Annotated[int, Field(ge=1, le=MOST_CARDS)] | None = None
    shape: Literal["switch", "mesh", "quads", "pairs", "torus", "none"] | None = None
    sides: list[_Count] = []
    medium: str = "link"
    link_bytes_per_s: Given | None = None
    nics: Annotated[int, Field(ge=0)] | None = None
    nic_bytes_per_s: Given | None = None
    forwards: bool = False
    host_cores: Given | None = None
    host_memory_bytes_per_s: Given | None = None


class ClusterTable(BaseModel):
    """A whole cluster file; see `Cluster` for the meaning of the fields."""

    model_config = _STRICT
    name: str | None = None
    title: str | None = None
    nodes: _Count = 1
    fabric: Literal["fat-tree", "rail-optimised", "dragonfly", "torus"] = "fat-tree"
    oversubscription: Given | None = None
    nodes_per_leaf: Given | None = None
    torus: list[_Count] = []
    node: NodeTable
    wire: list[WireTable] = []


def load_cluster(path: str | Path) -> Cluster:
    """The cluster a file describes; raises BadClusterFile with a sentence for each fault."""
    file = Path(path)
    if not file.is_file():
        raise BadClusterFile(str(file), ["there is no such file"])
    if file.suffix == ".py":
        return _from_python(file)
    try:
        tables = tomllib.loads(file.read_text(encoding="utf-8"))
        parsed = ClusterTable.model_validate(tables)
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadClusterFile(str(file), [f"it is not TOML: {error}"]) from None
    except ValidationError as error:
        raise BadClusterFile(str(file), [_sentence(f) for f in error.errors()]) from None
    fault = _fault(parsed)
    if fault:
        raise BadClusterFile(str(file), [fault])
    try:
        return _cluster(file, parsed)
    except (BadTopology, UnknownChip, BadChipFile) as error:
        raise BadClusterFile(str(file), [str(error)]) from None


def _cluster(file: Path, parsed: ClusterTable) -> Cluster:
    node = _node(file, parsed)
    if parsed.nodes > 1 and not parsed.torus and FABRIC not in topology_of(node).vertices:
        raise BadTopology(
            f"nodes is {parsed.nodes}, and no node has a way out: give [node] nics and "
            f"nic_bytes_per_s, or a wire from a nic to {FABRIC}"
        )
    name = parsed.name or file.stem.lower()
    return Cluster(
        name=name, title=parsed.title or name, node=node, num_nodes=parsed.nodes,
        fabric=parsed.fabric, oversubscription=_fact(parsed.oversubscription, file),
        nodes_per_leaf=_fact(parsed.nodes_per_leaf, file), torus=tuple(parsed.torus),
        note=f"described in {file.name}",
    )  # fmt: skip


def _node(file: Path, parsed: ClusterTable) -> Node:
    node, table = _cards(file, parsed), parsed.node
    cores = _fact(table.host_cores, file)
    rate = _fact(table.host_memory_bytes_per_s, file)
    if cores is None and rate is None:
        return node
    usual = host_of(node)
    host = Host(title=f"a host described in {file.name}", cores=cores or usual.cores,
                memory_bytes_per_s=rate or usual.memory_bytes_per_s)  # fmt: skip
    return replace(node, host=host)


def _cards(file: Path, parsed: ClusterTable) -> Node:
    """The node before its host is looked at."""
    table = parsed.node
    if table.based_on is not None:
        return NODES[table.based_on]
    card = resolve_card(table.card or "")
    count = table.cards or 1
    link = _fact(table.link_bytes_per_s, file) or card.host_bytes_per_s
    nic = _fact(table.nic_bytes_per_s, file)
    topology = _graph(file, parsed.wire, table.forwards) if parsed.wire else None
    if topology is not None and len(topology.cards) != count:
        raise BadTopology(f"the wires name {len(topology.cards)} cards, [node] says {count}")
    topology = topology or _shaped(table, card, count, link, nic)
    wiring = "own wires" if parsed.wire else table.shape or "none"
    return Node(
        name=f"{parsed.name or file.stem}-node", title=f"{count} × {card.title}", card=card,
        num_cards=Fact(count, file.name, "assumed"), wiring=f"{wiring}, described in {file.name}",
        pair_bytes_per_s=link, topology=topology, nic_bytes_per_s=nic if table.nics else None,
        nics=Fact(table.nics, file.name, "assumed") if table.nics else None,
    )  # fmt: skip


def _shaped(table: NodeTable, card: Card, count: int, link: Fact, nic: Fact | None) -> Topology:
    """The graph of a shape: links of `link` bytes per second, PCIe behind, NICs."""
    medium, sides = table.medium, tuple(table.sides)
    made: dict[str, Callable[[Wiring, list[str]], None]] = {
        "switch": lambda w, cards: w.switched(cards, medium, link),
        "mesh": lambda w, cards: w.mesh(cards, medium, link),
        "quads": lambda w, cards: _quads(w, cards, medium, link),
        "pairs": lambda w, cards: _pairs(w, cards, medium, link),
        "torus": lambda w, cards: w.torus(cards, sides, medium, link),
        "none": lambda w, cards: None,
    }
    links = made[table.shape or "none"]
    box = shapes.Box(links=lambda w, cards, _: links(w, cards), forwards=table.forwards)
    return box.topology(card, count, table.nics or 0, nic)


def _quads(wiring: Wiring, cards: list[str], medium: str, link: Fact) -> None:
    for first in range(0, len(cards), 4):
        wiring.mesh(cards[first : first + 4], medium, link)
    for a, b in zip(cards, cards[4:], strict=False):
        wiring.join(a, b, f"{medium}, across", link, LINK_S)


def _pairs(wiring: Wiring, cards: list[str], medium: str, link: Fact) -> None:
    for a, b in zip(cards[::2], cards[1::2], strict=False):
        wiring.join(a, b, medium, link, LINK_S)


def _graph(file: Path, tables: list[WireTable], forwards: bool) -> Topology:
    """A graph of its own: a vertex is what its name begins with, `card3` or `switch0`."""
    wiring = Wiring()
    names = sorted({end for table in tables for end in table.between}, key=_by_number)
    for name in names:
        wiring.vertices[name] = _kind_of(name)
    for table in tables:
        rate, latency = _fact(table.bytes_per_s, file), _fact(table.latency_s, file)
        assert rate is not None
        start, end = table.between
        wiring.join(start, end, table.medium, rate, latency or LINK_S)
    return wiring.done(f"described in {file.name}", forwards=forwards)


def _by_number(name: str) -> tuple[int, int, str]:
    stem = name.rstrip("0123456789")
    place = VERTEX_KINDS.index(_kind_of(name))
    return place, int(name[len(stem) :] or 0), name


def _kind_of(name: str) -> VertexKind:
    stem = name.rstrip("0123456789")
    for kind in VERTEX_KINDS:
        if stem == kind or name == FABRIC == kind:
            return kind
    raise BadTopology(f"{name} is no vertex; a name is one of {', '.join(VERTEX_KINDS)} "
                      "and a number, as card0")  # fmt: skip


def _fact(number: Number | None, file: Path) -> Fact | None:
    return None if number is None else Fact(number.value, number.source or file.name, number.kind)


def _fault(parsed: ClusterTable) -> str:
    """What is wrong beyond the form; empty for nothing."""
    node = parsed.node
    if (node.based_on is None) == (node.card is None):
        return "[node] needs either based_on or card, not both"
    if node.based_on is not None and node.based_on not in NODES:
        return f"[node] based_on: no node is called {node.based_on!r}; known are {', '.join(NODES)}"
    if node.card is not None and node.cards is None:
        return "[node] cards is missing: how many cards a node holds"
    if node.shape not in (None, "none") and node.link_bytes_per_s is None:
        return "[node] link_bytes_per_s is missing: one direction of one link"
    if node.nics and node.nic_bytes_per_s is None:
        return "[node] nic_bytes_per_s is missing: one direction of one NIC"
    for name, number in _numbers(parsed):
        if not number.value > 0:
            return f"{name} is {number.value:g}; it must be above 0"
    sides = 1
    for side in node.sides:
        sides *= side
    if node.shape == "torus" and sides != node.cards:
        return f"[node] sides multiply to {sides}, cards is {node.cards}"
    return ""


def _numbers(parsed: ClusterTable) -> list[tuple[str, Number]]:
    node = parsed.node
    given = [
        ("oversubscription", parsed.oversubscription), ("nodes_per_leaf", parsed.nodes_per_leaf),
        ("[node] link_bytes_per_s", node.link_bytes_per_s),
        ("[node] nic_bytes_per_s", node.nic_bytes_per_s),
        ("[node] host_cores", node.host_cores),
        ("[node] host_memory_bytes_per_s", node.host_memory_bytes_per_s),
        *((f"[[wire]] {'–'.join(w.between)}", w.bytes_per_s) for w in parsed.wire),
    ]  # fmt: skip
    return [(name, number) for name, number in given if number is not None]


def _sentence(fault: Any) -> str:
    """What pydantic found, in the words of the file."""
    place = ".".join(str(part) for part in fault["loc"])
    if fault["type"] == "extra_forbidden":
        return f"{place} is no field of a cluster file"
    if fault["type"] == "missing":
        return f"{place} is missing"
    reason = fault["msg"].replace("Input should be", "it must be")
    return f"{place} is {fault['input']!r}; {reason[0].lower()}{reason[1:]}"


def _from_python(file: Path) -> Cluster:
    spec = importlib.util.spec_from_file_location(f"cluster_file_{file.stem}", file)
    if spec is None or spec.loader is None:
        raise BadClusterFile(str(file), ["it cannot be read as Python"])
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        reason = f"running it raised {type(error).__name__}: {error}"
        raise BadClusterFile(str(file), [reason]) from error
    found = getattr(module, "CLUSTER", None)
    if not isinstance(found, Cluster):
        reason = f"CLUSTER is {type(found).__name__}; it must be a suiren.hw.cluster.Cluster"
        raise BadClusterFile(str(file), [reason])
    return found
