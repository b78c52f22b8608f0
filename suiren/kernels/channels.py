"""Tensors with channels, [N, C, P] or [M, C]: how their numbers are folded, and how spread.

Folding makes one number of all positions of a channel; `pieces` cores share the positions.
Spreading gives every position its channel's numbers again. Planes lie in runs of P numbers,
so that a tile folds one channel of several images, and spreads over several channels of one;
rows have all channels side by side in both.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import ceil
from typing import Any

from suiren.core.index import Index, Range
from suiren.core.language import Core
from suiren.core.tile import Tensor, View
from suiren.kernels.folding import piece_blocks
from suiren.kernels.lines import even, turned, turns_of

Shape = tuple[int, int]
Folded = Sequence[tuple[int, Range]]


@dataclass(frozen=True, slots=True)
class Planes:
    """Channels of [N, C, P]."""

    shape: tuple[int, ...]
    pieces: int
    elements: int

    @property
    def positions(self) -> int:
        """Numbers of one channel."""
        return self.shape[0] * self.shape[2]

    @property
    def fold_block(self) -> Shape:
        """Images and positions of a tile that is folded."""
        images, _, length = self.shape
        if self._by_image:
            images = ceil(images / self.pieces)
        else:
            length = ceil(length / self.pieces)
        width = even(length, self.elements)
        return min(images, max(1, self.elements // width)), width

    @property
    def folded(self) -> Shape:
        """Shape of what it is folded to."""
        return 1, 1

    @property
    def spread_block(self) -> Shape:
        """Channels and positions of a tile that numbers are spread over."""
        width = even(self.shape[2], self.elements)
        return min(self.shape[1], max(1, self.elements // width)), width

    @property
    def spread(self) -> Shape:
        """Shape of the numbers of its channels."""
        return self.spread_block[0], 1

    @property
    def _by_image(self) -> bool:
        return self.shape[0] >= self.pieces

    def fold_tiles(self, core: Core, **grid: Any) -> Iterator[tuple[Index, Any]]:
        """Every piece of every channel."""
        channels = self.shape[1]
        extent = (channels, min(channels, turns_of(self.pieces * channels)))
        for q, dealt in core.grid(self.pieces, extent, **grid):
            for channel in turned(core, dealt, 1):
                yield q, channel.start

    def fold_blocks(self, core: Core, piece: Index, channel: Any) -> Iterator[tuple[Any, Folded]]:
        """The blocks of a piece: where each lies, and the ranges that are folded."""
        (images, _, length), (rows, width) = self.shape, self.fold_block
        if self._by_image:
            for n in piece_blocks(core, images, rows, self.pieces, piece):
                for p in core.blocks(length, width):
                    yield (n, channel, p), ((0, n), (1, p))
        else:
            for n in core.blocks(images, rows):
                for p in piece_blocks(core, length, width, self.pieces, piece):
                    yield (n, channel, p), ((0, n), (1, p))

    def spread_tiles(self, core: Core, **grid: Any) -> Iterator[tuple[Any, Iterator[Any]]]:
        """The channels of every tile, and where the blocks that share them lie."""
        channels, width = self.spread_block
        images, count, length = self.shape
        turns = min(images, turns_of(images * ceil(count / channels) * ceil(length / width)))
        for c, p, n in core.grid((count, channels), (length, width), (images, turns), **grid):
            yield c, ((image.start, c, p) for image in turned(core, n, 1))

    def numbers(self, tensor: Tensor, channel: Any, *lead: int | Index) -> View:
        """The numbers of one channel, or of a tile's, of a tensor [lead, C]."""
        return tensor[(*lead, channel)].matrix((0,) if isinstance(channel, Range) else (), ())


@dataclass(frozen=True, slots=True)
class Rows:
    """Channels of [M, C]."""

    shape: tuple[int, ...]
    pieces: int
    elements: int

    @property
    def positions(self) -> int:
        """Numbers of one channel."""
        return self.shape[0]

    @property
    def fold_block(self) -> Shape:
        """Rows and channels of a tile."""
        width = min(self.shape[1], 128)
        share = ceil(self.shape[0] / self.pieces)
        return min(share, max(1, self.elements // width)), width

    @property
    def folded(self) -> Shape:
        """Shape of what it is folded to."""
        return 1, self.fold_block[1]

    @property
    def spread_block(self) -> Shape:
        """Rows and channels of a tile that numbers are spread over."""
        width = even(self.shape[1], self.elements)
        return min(self.shape[0], max(1, self.elements // width)), width

    @property
    def spread(self) -> Shape:
        """Shape of the numbers of its channels."""
        return 1, self.spread_block[1]

    def fold_tiles(self, core: Core, **grid: Any) -> Iterator[tuple[Index, Any]]:
        """Every piece of every block of channels."""
        yield from core.grid(self.pieces, (self.shape[1], self.fold_block[1]), **grid)

    def fold_blocks(self, core: Core, piece: Index, channel: Any) -> Iterator[tuple[Any, Folded]]:
        """The blocks of a piece: where each lies, and the ranges that are folded."""
        for m in piece_blocks(core, self.shape[0], self.fold_block[0], self.pieces, piece):
            yield (m, channel), ((0, m),)

    def spread_tiles(self, core: Core, **grid: Any) -> Iterator[tuple[Any, Iterator[Any]]]:
        """The channels of every tile, and where the blocks that share them lie."""
        (rows, width), (length, count) = self.spread_block, self.shape
        turns = turns_of(ceil(length / rows) * ceil(count / width))
        for c, m in core.grid((count, width), (length, rows * turns), **grid):
            yield c, ((block, c) for block in turned(core, m, rows))

    def numbers(self, tensor: Tensor, channel: Any, *lead: int | Index) -> View:
        """The numbers of a tile's channels, of a tensor [lead, C]."""
        return tensor[(*lead, channel)].matrix((), (0,))


def channels_of(shape: tuple[int, ...], pieces: int, elements: int) -> Planes | Rows:
    """`pieces` cores share a channel; a tile has about `elements` numbers."""
    made = Planes if len(shape) == 3 else Rows
    return made(shape, pieces, elements)
