"""What PyTorch's caching allocator holds of a card: whole segments, however little is in them.

Its rules, from c10/cuda/CUDACachingAllocator.cpp: a request is rounded up to 512 bytes. Up to
1 MiB it comes out of a segment of 2 MiB, up to 10 MiB out of one of 20 MiB, else out of one of
its own in whole 2 MiB. The smallest free block that fits is taken and split if what is left is
worth it; neighbours that are free grow together again. A segment goes back to the card only
when the card has no room for another.
"""

from __future__ import annotations

import bisect
from dataclasses import dataclass, field

from suiren.units import MiB

ROUND_BYTES = 512
SMALL_BYTES = MiB
SMALL_SEGMENT_BYTES = 2 * MiB
MIDDLE_BYTES = 10 * MiB
MIDDLE_SEGMENT_BYTES = 20 * MiB


class NoRoom(MemoryError):  # noqa: N818 - reads as what it is
    """The card has no room for a request, free segments given back."""

    def __init__(self, needed_bytes: int) -> None:
        super().__init__(f"{needed_bytes} bytes would do")
        self.needed_bytes = needed_bytes


@dataclass(slots=True)
class _Block:
    """A piece of a segment. Neighbours are addresses, None at the segment's ends."""

    bytes: int
    is_small: bool
    before: int | None = None
    after: int | None = None
    is_free: bool = True


@dataclass
class CachingAllocator:
    """Segments and blocks of one card; addresses are numbers that mean nothing else."""

    capacity_bytes: float = float("inf")
    reserved_bytes: int = 0
    peak_bytes: int = 0
    """The most that was ever reserved."""
    _blocks: dict[int, _Block] = field(default_factory=dict)
    _free: tuple[list[tuple[int, int]], list[tuple[int, int]]] = field(
        default_factory=lambda: ([], [])
    )
    """(bytes, address) of free blocks, sorted: those of large segments, those of small ones."""
    _next: int = 0

    def take(self, size_bytes: int) -> int:
        """The address of a block for a tensor; raises NoRoom."""
        size = max(ROUND_BYTES, -(-size_bytes // ROUND_BYTES) * ROUND_BYTES)
        is_small = size <= SMALL_BYTES
        free = self._free[is_small]
        found = bisect.bisect_left(free, (size, 0))
        if found == len(free):
            self._new_segment(size, is_small)
            found = bisect.bisect_left(free, (size, 0))
        address = free.pop(found)[1]
        block = self._blocks[address]
        block.is_free = False
        rest = block.bytes - size
        if rest >= ROUND_BYTES if is_small else rest > SMALL_BYTES:
            self._split(address, block, size)
        return address

    def give(self, address: int) -> None:
        """A tensor's block is free again."""
        block = self._blocks[address]
        block.is_free = True
        if block.after is not None and self._blocks[block.after].is_free:
            self._join(address, block.after)
        if block.before is not None and self._blocks[block.before].is_free:
            address = block.before
            self._join(address, self._after(address))
        kept = self._blocks[address]
        self._list(address, kept)

    def _after(self, address: int) -> int:
        after = self._blocks[address].after
        assert after is not None
        return after

    def _new_segment(self, size: int, is_small: bool) -> None:
        if is_small:
            segment = SMALL_SEGMENT_BYTES
        elif size < MIDDLE_BYTES:
            segment = MIDDLE_SEGMENT_BYTES
        else:
            segment = -(-size // SMALL_SEGMENT_BYTES) * SMALL_SEGMENT_BYTES
        if self.reserved_bytes + segment > self.capacity_bytes:
            self._give_back()
        if self.reserved_bytes + segment > self.capacity_bytes:
            raise NoRoom(self.reserved_bytes + segment)
        block = self._blocks[self._next] = _Block(segment, is_small)
        self._list(self._next, block)
        self._next += segment
        self.reserved_bytes += segment
        self.peak_bytes = max(self.peak_bytes, self.reserved_bytes)

    def _give_back(self) -> None:
        """Segments in which nothing is left go back to the card."""
        for free in self._free:
            whole = [
                item for item in free
                if self._blocks[item[1]].before is None and self._blocks[item[1]].after is None
            ]  # fmt: skip
            for item in whole:
                free.remove(item)
                del self._blocks[item[1]]
                self.reserved_bytes -= item[0]

    def _split(self, address: int, block: _Block, size: int) -> None:
        rest = address + size
        self._blocks[rest] = _Block(block.bytes - size, block.is_small, address, block.after)
        if block.after is not None:
            self._blocks[block.after].before = rest
        block.bytes, block.after = size, rest
        self._list(rest, self._blocks[rest])

    def _join(self, address: int, after: int) -> None:
        """Takes a block's neighbour into it; the free one of the two leaves the list."""
        block, other = self._blocks[address], self._blocks.pop(after)
        free = self._free[block.is_small]
        for item in ((block.bytes, address), (other.bytes, after)):
            found = bisect.bisect_left(free, item)
            if found < len(free) and free[found] == item:
                free.pop(found)
        block.bytes += other.bytes
        block.after = other.after
        if other.after is not None:
            self._blocks[other.after].before = address

    def _list(self, address: int, block: _Block) -> None:
        bisect.insort(self._free[block.is_small], (block.bytes, address))
