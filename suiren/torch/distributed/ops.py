"""The collectives as ops of the card: recorded like any other op, values moved by `move`.

Every op is `eccl::NAME(outputs, inputs, group, size_bytes, peer)`. `size_bytes` is the large
buffer of the collective (see `suiren.fleet.collective`), `peer` the root, or the other end of a
send or recv as a global rank, -1 where there is none.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch

NAMES = (
    "all_reduce", "all_gather", "reduce_scatter", "all_to_all", "broadcast", "reduce", "gather",
    "scatter", "send", "recv", "barrier",
)  # fmt: skip

Move = Callable[[Sequence[torch.Tensor], Sequence[torch.Tensor]], None]
"""Fills the outputs, given as host tensors that share the card's memory."""

_library: list[torch.library.Library] = []
_move: list[Move] = []


def register() -> None:
    """Defines the ops; a second call does nothing."""
    if _library:
        return
    library = torch.library.Library("eccl", "DEF")
    _library.append(library)
    for name in NAMES:
        library.define(
            f"{name}(Tensor(a!)[] outputs, Tensor[] inputs, int group, int size_bytes, int peer)"
            " -> ()"
        )
        library.impl(name, _values, "CPU")
        library.impl(name, _nothing, "Meta")


def _values(
    outputs: list[torch.Tensor], inputs: list[torch.Tensor], group: int, size: int, peer: int
) -> None:
    _move[-1](outputs, inputs)


def _nothing(*_: object) -> None:
    """Tensors without values: there is nothing to move."""


def issue(
    name: str, outputs: Sequence[torch.Tensor], inputs: Sequence[torch.Tensor], group: int,
    size_bytes: int, peer: int, move: Move,
) -> None:  # fmt: skip
    """Records one collective on the current stream, and moves its values by `move`."""
    _move.append(move)
    try:
        getattr(torch.ops.eccl, name)(list(outputs), list(inputs), group, size_bytes, peer)
    finally:
        _move.pop()
