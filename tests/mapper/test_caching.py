"""The allocator's segments: its published rules, and laws that hold for any tensors."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from suiren.mapper.caching import CachingAllocator, NoRoom
from suiren.units import KiB, MiB


@pytest.mark.parametrize(("size", "segment"), [
    (1, 2 * MiB), (MiB, 2 * MiB), (MiB + 1, 20 * MiB), (10 * MiB - 512, 20 * MiB),
    (10 * MiB, 10 * MiB), (11 * MiB, 12 * MiB), (201 * MiB, 202 * MiB),
])  # fmt: skip
def test_a_first_tensor_takes_a_segment_of_its_size_class(size: int, segment: int) -> None:
    card = CachingAllocator()
    card.take(size)
    assert card.reserved_bytes == card.peak_bytes == segment


def test_small_tensors_share_a_segment_and_large_ones_do_not_enter_it() -> None:
    card = CachingAllocator()
    addresses = [card.take(512 * KiB) for _ in range(4)]
    assert card.reserved_bytes == 2 * MiB
    assert addresses == [0, 512 * KiB, MiB, MiB + 512 * KiB]
    card.take(512)
    assert card.reserved_bytes == 4 * MiB


def test_a_large_block_is_only_split_if_more_than_a_mebibyte_is_left() -> None:
    card = CachingAllocator()
    card.give(card.take(12 * MiB))
    whole = card.take(11 * MiB)
    card.take(MiB + 512)  # finds nothing of the one MiB that is left
    assert card.reserved_bytes == 32 * MiB
    card.give(whole)
    card.take(10 * MiB)
    card.take(2 * MiB)  # this one does
    assert card.reserved_bytes == 32 * MiB


def test_the_smallest_block_that_fits_is_taken() -> None:
    card = CachingAllocator()
    large, small = card.take(40 * MiB), card.take(30 * MiB)
    card.give(large)
    card.give(small)
    assert card.take(30 * MiB) == small
    assert card.take(40 * MiB) == large


def test_fragmented_memory_is_held_though_little_of_it_is_used() -> None:
    """Free halves of two segments do not make a whole."""
    card = CachingAllocator()
    for segment in [card.take(20 * MiB), card.take(20 * MiB)]:
        card.give(segment)
    halves = [card.take(10 * MiB) for _ in range(4)]
    assert card.reserved_bytes == 40 * MiB
    card.give(halves[0])
    card.give(halves[2])
    card.take(20 * MiB)
    assert card.reserved_bytes == 60 * MiB


def test_free_segments_go_back_when_the_card_is_full() -> None:
    card = CachingAllocator(capacity_bytes=64 * MiB)
    card.give(card.take(40 * MiB))
    card.take(50 * MiB)
    assert (card.reserved_bytes, card.peak_bytes) == (50 * MiB, 50 * MiB)
    with pytest.raises(NoRoom) as told:
        card.take(16 * MiB)
    assert told.value.needed_bytes == 66 * MiB


SIZES = st.one_of(st.integers(1, 4 * MiB), st.integers(1, 64).map(lambda n: n * MiB))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(SIZES, st.integers(0, 9)), max_size=60))
def test_blocks_never_overlap_and_everything_given_back_is_one_again(
    moves: list[tuple[int, int]],
) -> None:
    card, live = CachingAllocator(), {}
    for size, which in moves:
        address = card.take(size)
        assert all(
            address + size <= other or other + length <= address for other, length in live.items()
        )
        live[address] = size
        if which < len(live) and which % 2:
            gone = sorted(live)[which]
            card.give(gone)
            del live[gone]
        assert sum(live.values()) <= card.reserved_bytes <= card.peak_bytes
    for address in live:
        card.give(address)
    held = card.reserved_bytes
    if held:  # all segments are whole: the largest serves a tensor of its size
        card.capacity_bytes = 0.0
        with pytest.raises(NoRoom):
            card.take(held + MiB)
        assert card.reserved_bytes == 0
