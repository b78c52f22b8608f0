"""Where shards get shorter is where `torch.chunk` cuts them shorter."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from suiren.torch.distributed.cuts import Cut, places_of


@given(length=st.integers(1, 300), parts=st.integers(1, 300))
def test_places_are_where_chunks_get_shorter(length: int, parts: int) -> None:
    sizes = [len(piece) for piece in torch.arange(length).chunk(parts)]
    sizes += [0] * (parts - len(sizes))
    shorter = {place for place in range(1, parts) if sizes[place] < sizes[place - 1]}
    assert set(places_of(length, parts)) == shorter
    cut = Cut("weight", (7, sizes[0]), 1, length, range(parts))
    assert [cut.at(place) for place in range(parts)] == [(7, size) for size in sizes]


@pytest.mark.parametrize(("length", "parts", "places"), [
    (128256, 1024, (1017, 1018)), (128256, 16384, (16032,)), (28672, 16384, (14336,)),
    (8192, 1024, ()), (1024, 16384, (1024,)),
])  # fmt: skip
def test_rows_of_a_large_llama(length: int, parts: int, places: tuple[int, ...]) -> None:
    assert places_of(length, parts) == places
