"""Writes an aten graph anew with one call for every group of its nodes."""

from __future__ import annotations

import heapq
import operator
from collections.abc import Callable

import torch
from torch.fx import Graph, GraphModule, Node

from suiren.torch.fused_op import kernel_of
from suiren.torch.fusible import Kind, is_item, name_of
from suiren.torch.grouping import Groups


class OrderLostError(Exception):
    """The groups of a graph wait for each other."""


class Condensing:
    """Writes the graph anew, kernel after kernel."""

    def __init__(self, groups: Groups) -> None:
        self.groups = groups
        self.group_of = {n: group for group in groups.found() for n in group}
        self.new = Graph()
        self.known: dict[Node, Node] = {}

    def graph(self) -> Graph:
        """The new graph: units in an order that depends on nothing to come."""
        for unit in self._units():
            if unit[0] in self.group_of:
                self._kernel(unit)
            elif self._is_needed(unit[0]):
                self.known[unit[0]] = self.new.node_copy(unit[0], self._copied)
        return self.new

    def _is_needed(self, node: Node) -> bool:
        """False for results of a kernel, and for views that only its own members take."""
        root = self._root(node)
        if root is node or root not in self.group_of:
            return True
        return node not in self.known and self._leaves(node, set(self.group_of[root]))

    def _copied(self, node: Node) -> Node:
        return self.known[node]

    def _units(self) -> list[list[Node]]:
        """Groups and single nodes, each as late as its last member stood, after what it needs."""
        order, unit_of = self.groups.order, {}
        for node in self.groups.graph.nodes:
            unit_of[node] = self.group_of.get(node, [node])
        needed: dict[int, set[int]] = {}
        users: dict[int, list[int]] = {}
        for node, unit in unit_of.items():
            me = order[unit[-1]]
            wanted = needed.setdefault(me, set())
            for before in self._before(node, unit):
                other = order[unit_of[before][-1]]
                if other != me and other not in wanted:
                    wanted.add(other)
                    users.setdefault(other, []).append(me)
        nodes = list(self.groups.graph.nodes)
        ready = [me for me, wanted in needed.items() if not wanted]
        heapq.heapify(ready)
        units = []
        while ready:
            me = heapq.heappop(ready)
            units.append(unit_of[nodes[me]])
            for user in users.get(me, []):
                needed[user].discard(me)
                if not needed[user]:
                    heapq.heappush(ready, user)
        if len(units) < len(needed):
            raise OrderLostError
        return units

    def _before(self, node: Node, unit: list[Node]) -> list[Node]:
        """Nodes that must stand before this one in the new graph."""
        after = self.groups.after
        order = [after[node]] if node in after else []
        if node.op == "output" or _mutates(node):
            order += [
                n for n in self.groups.order if self.groups.order[n] < self.groups.order[node]
            ]
        if len(unit) == 1:
            return [*node.all_input_nodes, *order]
        inside = set(unit)
        return [e.taken for e in self.groups.edges[node] if e.root not in inside] + order

    # ---- one kernel

    def _kernel(self, unit: list[Node]) -> None:
        """Writes the call of one kernel, and its results by number."""
        inside, body = set(unit), Graph()
        inputs = self._inputs(unit, inside)
        made: dict[Node, Node] = {}
        for index, node in enumerate(inputs):
            made[node] = body.placeholder(f"x{index}")
            made[node].meta = {"val": node.meta.get("val")}

        def take(node: Node) -> Node:
            if node not in made:  # a member, a view of what it made, or one of its results
                made[node] = _again(body, node, take)
            return made[node]

        values = [value for node in unit for value in self._values(take, node)]
        results = [value for value in values if self._leaves(value, inside)]
        body.output([take(value) for value in results])
        kernel = kernel_of(GraphModule(torch.nn.Module(), body))
        kernel.__name__ = "fused_" + "_".join(dict.fromkeys(name_of(n).strip("_") for n in unit))
        call = self.new.call_function(kernel, tuple(self.known[n] for n in inputs))
        for index, value in enumerate(results):
            self.known[value] = self.new.call_function(operator.getitem, (call, index))
            self.known[value].meta = dict(value.meta)

    def _inputs(self, unit: list[Node], inside: set[Node]) -> list[Node]:
        """What the members take from outside, in order, each once."""
        edges = [edge for node in unit for edge in self.groups.edges[node]]
        return list(dict.fromkeys(edge.taken for edge in edges if edge.root not in inside))

    def _root(self, node: Node) -> Node:
        parts = self.groups.parts
        while is_item(node) or parts[node].kind in (Kind.VIEW, Kind.TURN):
            node = node.all_input_nodes[0]
        return node

    def _values(self, take: Callable[[Node], Node], node: Node) -> list[Node]:
        """The node, written down, or the items that are taken of it."""
        take(node)
        items = [user for user in node.users if is_item(user)]
        return items or [node]

    def _leaves(self, value: Node, inside: set[Node]) -> bool:
        """True where the value is used outside its group, as it is or through a view."""
        views = (Kind.VIEW, Kind.TURN)
        for user in value.users:
            if user in inside:
                continue
            is_view = self.groups.parts[user].kind in views or is_item(user)
            if not is_view or self._leaves(user, inside):
                return True
        return False


def _again(body: Graph, node: Node, take: Callable[[Node], Node]) -> Node:
    """The node in another graph, named anew so that equal bodies read alike."""
    args = torch.fx.map_arg(node.args, take)
    kwargs = torch.fx.map_arg({k: v for k, v in node.kwargs.items() if k != "device"}, take)
    again = body.create_node(node.op, node.target, args, kwargs)
    again.meta = {"val": node.meta.get("val")}
    return again


def _mutates(node: Node) -> bool:
    target = node.target
    return isinstance(target, torch._ops.OpOverload) and target._schema.is_mutable
