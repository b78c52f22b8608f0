"""Whether a value can stay in the core between the op that makes it and one that takes it."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

from torch.fx import Node

from suiren.torch.fusible import JOINS, Kind, Part, Shape, is_alike_in_rows, name_of, shape_of


@dataclass(frozen=True, slots=True)
class Edge:
    """A value that a node takes: who made it, and which views lie between."""

    root: Node
    value: Node
    """The root, or the item of it that is taken."""
    views: tuple[Node, ...]
    taken: Node
    """What the node has as argument."""


def passes(edge: Edge, node: Node, parts: dict[Node, Part], row: int, parted: bool) -> bool:
    """True where the value can stay in the core on its way to the node.

    `parted` says that it may be cut, or laid beside others, on that way.
    """
    root, part = parts[edge.root], parts[node]
    if part.kind is Kind.HEAD:
        return False
    if root.kind is Kind.CLOSING and part.kind is not Kind.POINTWISE:
        return False
    if edge.value is not edge.root and not _is_by_row(edge):
        return False
    before = shape_of(edge.value)
    for view in reversed(edge.views):
        after = shape_of(view)
        if parts[view].kind is not Kind.VIEW:
            cut = parted and name_of(view) == "slice"
            if not (cut or (_turns(view) and name_of(node) == "_to_copy")):
                return False
        elif not _is_kept(before, after, row):
            return False
        before = after
    return (parted and name_of(node) in JOINS) or _is_kept(before, part.shape, row)


def fits(part: Part, domain: int, row: int, closed: set[int]) -> bool:
    """True where the node walks over the domain, or over what a reduction leaves of it."""
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
    return prod(shape)


def _is_by_row(edge: Edge) -> bool:
    """A norm's gradients of weight and bias are sums over all rows, a channel's statistics too."""
    norm = "backward" in name_of(edge.root) or "batch_norm" in name_of(edge.root)
    return not norm or bool(edge.value.args[1] == 0)


def numel_of(node: Node) -> int:
    """Elements of a node's tensor; 0 if it has none."""
    shape = shape_of(node)
    return 0 if shape is None else _count(shape)
