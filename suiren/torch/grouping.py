"""Groups the nodes of an aten graph into kernels, as a fusing compiler does.

Groups grow along the graph: a node joins the kernels that make its operands where one kernel
could run them all. A kernel holds either one product or channel norm and elementwise users of its
result (its epilogue), or elementwise ops and reductions over one iteration domain; elementwise ops alone may
also cut a value into parts and lay parts side by side. No group may depend on itself through
what stands between its members.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import torch
from torch.fx import Graph, Node

from suiren.torch.fusible import (
    JOINS,
    Kind,
    Part,
    Shape,
    is_alike_in_rows,
    is_item,
    name_of,
    part_of,
    shape_of,
)

#: A fused kernel holds this many ops at most, as compilers bound register use.
MAX_MEMBERS = 24
_BEGINS = (Kind.POINTWISE, Kind.ROWS, Kind.CLOSING, Kind.HEAD)


@dataclass(frozen=True, slots=True)
class Edge:
    """A value that a node takes: who made it, and which views lie between."""

    root: Node
    value: Node
    """The root, or the item of it that is taken."""
    views: tuple[Node, ...]
    taken: Node
    """What the node has as argument."""


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
        """Groups of two members and more, in the order of their first."""
        unique = {id(group): group for group in self.members.values()}
        return [group for group in unique.values() if len(group) > 1]

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
        for edge in sorted(makers, key=lambda e: (-_numel(e.value), -self.order[e.root])):
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
        closed = {_numel(n) for n in union if self.parts[n].kind is Kind.CLOSING}
        if len(heads) > 1 or len(rows) > 1 or sum(map(bool, (heads, rows, closed))) > 1:
            return False
        row = next(iter(rows), 0)
        domain = max(p.numel for p in parts)
        inside = set(union)
        parted = not (heads or rows or closed)
        return all(
            (parted or _fits(self.parts[n], domain, row, closed))
            and all(self._passes(e, n, row, parted) for e in self.edges[n] if e.root in inside)
            for n in union
        )

    def _passes(self, edge: Edge, node: Node, row: int, parted: bool) -> bool:
        """Can the value stay in the core on its way to the node?

        `parted`: may it be cut, or laid beside others, on that way?
        """
        root, part = self.parts[edge.root], self.parts[node]
        if part.kind is Kind.HEAD:
            return False
        if root.kind is Kind.CLOSING and part.kind is not Kind.POINTWISE:
            return False
        if edge.value is not edge.root and not _is_by_row(edge):
            return False
        before = shape_of(edge.value)
        for view in reversed(edge.views):
            after = shape_of(view)
            if self.parts[view].kind is not Kind.VIEW:
                cut = parted and name_of(view) == "slice"
                if not (cut or (_turns(view) and name_of(node) == "_to_copy")):
                    return False
            elif not _is_kept(before, after, row):
                return False
            before = after
        return (parted and name_of(node) in JOINS) or _is_kept(before, part.shape, row)

    def _depends_on_itself(self, union: list[Node]) -> bool:
        """Does a path leave the group and come back?"""
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


def _fits(part: Part, domain: int, row: int, closed: set[int]) -> bool:
    """Walks the node over the domain, or over what a reduction leaves of it?"""
    if part.numel == domain:
        return True
    if part.kind is not Kind.POINTWISE:
        return False
    return part.numel in closed or (bool(row) and part.numel * row == domain)


def _turns(view: Node) -> bool:
    """A cast may walk a permuted value in the order it was made."""
    return name_of(view) in ("t", "transpose", "permute")


def _is_kept(before: Shape | None, after: Shape | None, row: int) -> bool:
    """The same elements, or one for each row."""
    if before is None or after is None:
        return False
    if _count(before) == _count(after):
        return True
    return bool(row) and is_alike_in_rows(before, after, row)


def _count(shape: Shape) -> int:
    return torch.Size(shape).numel()


def _is_by_row(edge: Edge) -> bool:
    """A norm's gradients of weight and bias are sums over all rows, a channel's statistics too."""
    norm = "backward" in name_of(edge.root) or "batch_norm" in name_of(edge.root)
    return not norm or edge.value.args[1] == 0


def _is_view_item(node: Node, parts: dict[Node, Part]) -> bool:
    return is_item(node) and parts[node.all_input_nodes[0]].kind is Kind.TURN


def _keeps_order(node: Node) -> bool:
    target = node.target
    if node.op != "call_function" or not isinstance(target, torch._ops.OpOverload):
        return False
    return target._schema.is_mutable or torch.Tag.nondeterministic_seeded in target.tags


def _numel(node: Node) -> int:
    shape = shape_of(node)
    return 0 if shape is None else _count(shape)
