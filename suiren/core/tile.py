"""What a kernel handles: tensors in device memory and tiles in a core."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import ceil, prod
from typing import Literal

from suiren.core.index import Index, Range, index, whole
from suiren.dtype import moved_bytes

Space = Literal["scratchpad", "registers"]


class KernelMistake(Exception):  # noqa: N818 - a mistake of the kernel's author, told as one
    """A kernel that cannot run: the message names the line, both numbers, and what would work."""


@dataclass(frozen=True, eq=False)
class Tensor:
    """A tensor in device memory. `order` maps its dimensions to those in memory."""

    name: str
    shape: tuple[int, ...]
    dtype: str
    order: tuple[int, ...] = ()
    of: Tensor | None = None

    @property
    def bytes(self) -> int:
        """Bytes in device memory."""
        return ceil(prod(self.shape) * moved_bytes(self.dtype))

    @property
    def stored(self) -> Tensor:
        """The tensor as it lies in memory, dimensions unturned."""
        return self.of or self

    @property
    def T(self) -> Tensor:  # noqa: N802 - the field's own name
        """The same tensor with its last two dimensions exchanged; nothing is moved."""
        order = tuple(range(len(self.shape)))
        return self.permute(*order[:-2], order[-1], order[-2])

    def permute(self, *order: int) -> Tensor:
        """The same tensor with its dimensions in another order; nothing is moved."""
        mine = self.order or tuple(range(len(self.shape)))
        turned = tuple(mine[d] for d in order)
        return Tensor(
            self.name, tuple(self.shape[d] for d in order), self.dtype, turned, self.stored
        )

    def __getitem__(self, key: object) -> View:
        """A piece: a Range, an Index, a number, `:` or an index tile for each dimension."""
        entries = key if isinstance(key, tuple) else (key,)
        if len(entries) != len(self.shape):
            raise KernelMistake(
                f"{self.name} has {len(self.shape)} dimensions {list(self.shape)}, "
                f"but is indexed with {len(entries)} entries"
            )
        places = tuple(
            _place(self, entry, size) for entry, size in zip(entries, self.shape, strict=True)
        )
        return View(self, places)


def _place(tensor: Tensor, entry: object, size: int) -> Range | Index | Tile:
    if isinstance(entry, (Range, Tile)):
        return entry
    if isinstance(entry, Index):
        return entry
    if isinstance(entry, int):
        if not -size <= entry < size:
            raise KernelMistake(f"{tensor.name}: position {entry} of a dimension of {size}")
        return index(entry % size)
    if isinstance(entry, slice) and entry == slice(None):
        return whole(size)
    raise KernelMistake(
        f"{tensor.name} is indexed with {entry!r}; a Range of a loop, an Index, a number, ':' "
        "or a tile of indices would work"
    )


@dataclass(frozen=True, eq=False)
class View:
    """A piece of a tensor: the source of a load or the target of a store."""

    tensor: Tensor
    places: tuple[Range | Index | Tile, ...]
    groups: tuple[tuple[int, ...], ...] = ()
    """Dimensions of the view that make up each dimension of the tile; one by one if empty."""

    @property
    def sizes(self) -> tuple[int, ...]:
        """Sizes of its dimensions; those with a single position are dropped."""
        return tuple(
            p.size if isinstance(p, Range) else p.numel for p in self.places
            if not isinstance(p, Index)
        )  # fmt: skip

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the tile it fills."""
        sizes = self.sizes
        if not self.groups:
            return sizes
        return tuple(prod(sizes[d] for d in group) for group in self.groups)

    @property
    def clipped(self) -> tuple[int, ...]:
        """Shape of the part of the tile that the tensor can fill."""
        sizes = [
            min(p.size, length) if isinstance(p, Range) else p.numel
            for p, length in zip(self.places, self.tensor.shape, strict=True)
            if not isinstance(p, Index)
        ]
        if not self.groups:
            return tuple(sizes)
        return tuple(prod(sizes[d] for d in group) for group in self.groups)

    def matrix(self, rows: tuple[int, ...], cols: tuple[int, ...]) -> View:
        """The piece as a matrix: the copy engine reshapes it in flight.

        `rows` and `cols` list dimensions of the view (single positions not counted).
        """
        if sorted((*rows, *cols)) != list(range(len(self.sizes))):
            raise KernelMistake(
                f"{self.tensor.name}: rows {rows} and columns {cols} must together name each of "
                f"the view's {len(self.sizes)} dimensions once"
            )
        return View(self.tensor, self.places, (rows, cols))


@dataclass(frozen=True, eq=False)
class Tile:
    """A block of numbers in a core, with `buffers` slots that are used in turn."""

    name: str
    shape: tuple[int, ...]
    dtype: str
    space: Space
    buffers: int
    number: int
    line: str = field(repr=False, default="")

    @property
    def numel(self) -> int:
        """Elements of one slot."""
        return prod(self.shape)

    @property
    def slot_bytes(self) -> int:
        """Bytes of one slot."""
        return ceil(self.numel * moved_bytes(self.dtype))

    @property
    def bytes(self) -> int:
        """Bytes of all slots."""
        return self.slot_bytes * self.buffers
