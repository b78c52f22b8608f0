"""Groups the nodes of an aten graph into kernels, as a fusing compiler does.

Groups grow along the graph: a node joins the kernels that make its operands where one kernel
could run them all. A kernel holds either one product or channel norm and elementwise users of its
result (its epilogue), or elementwise ops and reductions over one iteration domain; elementwise
ops alone may also cut a value into parts and lay parts side by side. No group may depend on
itself through what stands between its members.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import torch
from torch.fx import Graph, Node

from suiren.torch.fusible import FUNCTIONAL, Kind, Part, is_item, name_of, part_of
from suiren.torch.passing import Edge, fits, numel_of, passes

#: A fused kernel holds this many ops at most, as compilers bound register use.
MAX_MEMBERS = 24
_BEGINS = (Kind.POINTWISE, Kind.ROWS, Kind.CLOSING, Kind.HEAD)


@dataclass
class Groups:
    """Every node's part in the graph, and the group it fell into."""

    graph: Graph
    parts: dict[Node, Part] = field(default_factory=dict)
    edges: dict[Node, tuple[Edge, ...]] = field(default_factory=dict)
    order: dict[Node, int] = field(default_factory=dict)
    after: dict[Node, Node] = field(default_factory=dict)
    """Random and mutating nodes keep their order."""
    members: dict[Node, list[Node]] = field(default_factory=dict)
    """Of every fusible node: the nodes of its group, in the graph's order."""

    def __post_init__(self) -> None:
        last: Node | None = None
        for index, node in enumerate(self.graph.nodes):
            self.order[node] = index
            self.parts[node] = part_of(node)
            self.edges[node] = tuple(self._edges(node))
            if _keeps_order(node):
                if last is not None:
                    self.after[node] = last
                last = node
        for node in self.graph.nodes:
            if self.parts[node].kind in _BEGINS:
                self.members[node] = [node]
                self._grow(node)

    def found(self) -> list[list[Node]]:
        """Groups of two members and more, and single ops that would fall apart on the card."""
        unique = {id(group): group for group in self.members.values()}
        return [g for g in unique.values() if len(g) > 1 or name_of(g[0]) in FUNCTIONAL]

    def dependencies(self, node: Node) -> Iterator[Node]:
        """What must have run before the node: makers of its operands, views left out."""
        for edge in self.edges[node]:
            yield edge.root
        if node in self.after:
            yield self.after[node]

    def _edges(self, node: Node) -> Iterator[Edge]:
        for taken in node.all_input_nodes:
            value, views = taken, []
            while self.parts[value].kind in (Kind.VIEW, Kind.TURN) or _is_view_item(
                value, self.parts
            ):
                views.append(value)
                value = value.all_input_nodes[0]
            root = value.all_input_nodes[0] if is_item(value) else value
            yield Edge(root, value, tuple(views), taken)

    # ---- growing

    def _grow(self, node: Node) -> None:
        """Merges the node's group with those of its operands, the largest operand first."""
        makers = [e for e in self.edges[node] if e.root in self.members]
        for edge in sorted(makers, key=lambda e: (-numel_of(e.value), -self.order[e.root])):
            mine, other = self.members[node], self.members[edge.root]
            if mine is other:
                continue
            union = sorted({*mine, *other}, key=self.order.__getitem__)
            if self._is_one_kernel(union) and not self._depends_on_itself(union):
                for member in union:
                    self.members[member] = union

    def _is_one_kernel(self, union: list[Node]) -> bool:
        if len(union) > MAX_MEMBERS:
            return False
        parts = [self.parts[n] for n in union]
        heads = [p for p in parts if p.kind is Kind.HEAD]
        rows = {p.row for p in parts if p.kind is Kind.ROWS}
        closed = {numel_of(n) for n in union if self.parts[n].kind is Kind.CLOSING}
        if len(heads) > 1 or len(rows) > 1 or sum(map(bool, (heads, rows, closed))) > 1:
            return False
        row = next(iter(rows), 0)
        domain = max(p.numel for p in parts)
        inside = set(union)
        parted = not (heads or rows or closed)
        return all(
            (parted or fits(self.parts[n], domain, row, closed))
            and all(
                passes(e, n, self.parts, row, parted) for e in self.edges[n] if e.root in inside
            )
            for n in union
        )

    def _depends_on_itself(self, union: list[Node]) -> bool:
        """True where a path leaves the group and comes back."""
        inside = set(union)
        first = self.order[union[0]]
        seen: set[Node] = set()
        stack = [d for n in union for d in self.dependencies(n) if d not in inside]
        while stack:
            node = stack.pop()
            if node in seen:
                continue
            unit = self.members.get(node, [node])
            seen.update(unit)
            if self.order[unit[-1]] < first:
                continue
            for member in unit:
                for dependency in self.dependencies(member):
                    if dependency in inside:
                        return True
                    if dependency not in seen:
                        stack.append(dependency)
        return False


def _is_view_item(node: Node, parts: dict[Node, Part]) -> bool:
    return is_item(node) and parts[node.all_input_nodes[0]].kind is Kind.TURN


def _keeps_order(node: Node) -> bool:
    target = node.target
    if node.op != "call_function" or not isinstance(target, torch._ops.OpOverload):
        return False
    return target._schema.is_mutable or torch.Tag.nondeterministic_seeded in target.tags
