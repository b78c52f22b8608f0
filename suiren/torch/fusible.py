"""What a node of an aten graph is to a fusing compiler, and how values pass between nodes."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto
from math import prod
from typing import Any

import torch
from torch.fx import Node

from suiren.mapper.families import pointwise

Shape = tuple[int, ...]


class Kind(Enum):
    """The part a node can play in a kernel."""

    POINTWISE = auto()
    ROWS = auto()
    """Reduces or normalises the innermost dimensions: a core holds whole rows."""
    CLOSING = auto()
    """Reduces anything else: only ops over its result may follow."""
    HEAD = auto()
    """A product, or a norm over channels: the kernel starts with it."""
    VIEW = auto()
    """Another shape of the same elements in the same order."""
    TURN = auto()
    """Any other view: permuted, sliced, split."""
    OUTSIDE = auto()


@dataclass(frozen=True, slots=True)
class Part:
    """A node's kind, the elements it walks over, and the length of its rows."""

    kind: Kind
    shape: Shape = ()
    row: int = 0

    @property
    def numel(self) -> int:
        """Elements that the node walks over."""
        return prod(self.shape)


_PRODUCTS = frozenset("mm addmm bmm baddbmm convolution".split())
_VIEWS = frozenset("view _unsafe_view reshape unsqueeze squeeze alias detach expand".split())
_TURNS = frozenset(
    """t transpose permute slice select split split_with_sizes chunk unbind as_strided
diagonal""".split()
)
#: Ops that lay parts side by side: every element of the result is one of an operand's or zero.
JOINS = frozenset("cat slice_backward constant_pad_nd".split())
_EXTRA = JOINS | {"_to_copy", "clone"}
_APART = frozenset("rrelu_with_noise polar complex view_as_complex real imag conj _conj".split())
_POINTWISE = (pointwise.OPS | _EXTRA) - _APART
#: Ops over one dimension: where that dimension stands among the arguments.
_SOFTMAX = {
    "_softmax": 1, "_log_softmax": 1, "_safe_softmax": 1, "_softmax_backward_data": 2,
    "_log_softmax_backward_data": 2,
}  # fmt: skip
#: Forms of one kernel that only compiled graphs hold: the card would run them as several.
FUNCTIONAL = frozenset(["_native_batch_norm_legit_functional"])
#: Norms: where the normalised shape stands.
_NORMS = {
    "native_layer_norm": 1, "_fused_rms_norm": 1, "native_layer_norm_backward": 2,
    "_fused_rms_norm_backward": 2,
}  # fmt: skip
_REDUCTIONS = frozenset("sum mean amax amin any all prod linalg_vector_norm".split())
#: Ops of several results of which the first has the shape of the first operand.
_LIKE_FIRST = {
    "native_dropout": Kind.POINTWISE, "_native_batch_norm_legit_functional": Kind.HEAD,
    "native_batch_norm_backward": Kind.CLOSING,
}  # fmt: skip
OUTSIDE = Part(Kind.OUTSIDE)


def name_of(node: Node) -> str:
    """The op's name without namespace and overload; empty for what is no aten op."""
    target = node.target
    if node.op != "call_function" or not isinstance(target, torch._ops.OpOverload):
        return ""
    return str(target._schema.name).removeprefix("aten::")


def is_item(node: Node) -> bool:
    """True for `getitem`: one of the several results of a node."""
    return node.op == "call_function" and getattr(node.target, "__name__", "") == "getitem"


def _size(size: Any) -> int | None:
    """A size, or what its symbol stands for now."""
    if isinstance(size, int):
        return size
    hint = getattr(getattr(size, "node", None), "hint", None)
    return hint if isinstance(hint, int) else None


def shape_of(node: Node) -> Shape | None:
    """The shape of a node's tensor, symbols by their present value; None if it has none."""
    value = node.meta.get("val")
    if not isinstance(value, torch.Tensor):
        return None
    sizes = [_size(size) for size in value.shape]
    return None if any(size is None for size in sizes) else tuple(s for s in sizes if s is not None)


def part_of(node: Node) -> Part:
    """What the node can be in a fused kernel."""
    name = name_of(node)
    if not name or not _is_plain(node):
        return OUTSIDE
    shape = shape_of(node)
    if name in _VIEWS and shape is not None:
        return Part(Kind.VIEW, shape)
    if name in _TURNS:
        return Part(Kind.TURN)
    if name in _NORMS or name in _SOFTMAX or name in _REDUCTIONS:
        return _rows(node, name)
    if name in _LIKE_FIRST:
        first = shape_of(node.all_input_nodes[0])
        return OUTSIDE if first is None else Part(_LIKE_FIRST[name], first)
    if shape is None:
        return OUTSIDE
    if name in _PRODUCTS:
        return Part(Kind.HEAD, shape)
    return Part(Kind.POINTWISE, shape) if name in _POINTWISE else OUTSIDE


def _is_plain(node: Node) -> bool:
    """A functional op on strided real tensors of the card, sizes known."""
    target = node.target
    assert isinstance(target, torch._ops.OpOverload)
    if target._schema.is_mutable or _moves(node):
        return False
    for used in (*node.all_input_nodes, node):
        values = used.meta.get("val")
        for value in values if isinstance(values, (tuple, list)) else (values,):
            if value is None and used is node:
                continue
            if not isinstance(value, torch.Tensor) or value.is_complex():
                return False
            if value.layout != torch.strided or (value.device.type == "cpu" and value.dim()):
                return False
    return True


def _moves(node: Node) -> bool:
    """True where the node names a device other than its operand's."""
    where = node.kwargs.get("device")
    if where is None:
        return False
    values = [used.meta.get("val") for used in node.all_input_nodes]
    return not any(isinstance(v, torch.Tensor) and v.device == where for v in values)


def _argument(node: Node, index: int) -> Any:
    return node.args[index] if index < len(node.args) else None


def _rows(node: Node, name: str) -> Part:
    first = _argument(node, 0)
    shape = shape_of(first) if isinstance(first, Node) else None
    if not shape:
        return OUTSIDE
    if name in _NORMS:
        sizes = _argument(node, _NORMS[name])
        if not isinstance(sizes, (list, tuple)) or not all(isinstance(n, int) for n in sizes):
            return OUTSIDE
        return Part(Kind.ROWS, shape, prod(sizes))
    if name in _SOFTMAX:
        dim = _argument(node, _SOFTMAX[name])
        last = isinstance(dim, int) and dim % len(shape) == len(shape) - 1
        return Part(Kind.ROWS, shape, shape[-1]) if last else OUTSIDE
    return _reduction(node, name, shape)


def _reduction(node: Node, name: str, shape: Shape) -> Part:
    if shape_of(node) is None:
        return OUTSIDE
    dims = _argument(node, 2 if name == "linalg_vector_norm" else 1)
    dims = [dims] if isinstance(dims, int) else dims
    if not isinstance(dims, (list, tuple)) or not dims:
        return Part(Kind.CLOSING, shape)
    reduced = {int(d) % len(shape) for d in dims}
    kept = len(shape) - len(reduced)
    if kept and reduced == set(range(kept, len(shape))):
        return Part(Kind.ROWS, shape, prod(shape[kept:]))
    return Part(Kind.CLOSING, shape)


def is_alike_in_rows(small: Shape, big: Shape, row: int) -> bool:
    """True where `small` broadcasts to `big` with one element for each of its rows."""
    small = (1,) * (len(big) - len(small)) + small
    kept = len(big)
    while kept and prod(big[kept:]) < row:
        kept -= 1
    return prod(big[kept:]) == row and small == big[:kept] + (1,) * (len(big) - kept)
