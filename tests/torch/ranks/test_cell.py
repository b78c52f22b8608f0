"""Cells: the block of ranks that collectives reach."""

from __future__ import annotations

import pytest

from suiren.torch.distributed.cell import cell_of


@pytest.mark.parametrize(("rank", "groups", "others", "axes"), [
    (0, [range(8), range(0, 128, 8)], [128], [8, 16]),
    (0, [range(8), range(128)], [], [8, 16]),
    (128, [range(128, 136), range(128, 256, 8), range(256)], [0], [8, 16]),
    (8, [(8, 9), (8, 10), (8, 10, 12, 14)], [0], [2, 2, 2]),
    (0, [range(1024)], [], [1024]),
    (3, [(3,)], [], []),
    (5, [(4, 5), (1, 5)], [], [2, 2]),
])  # fmt: skip
def test_axes_are_the_dimensions_of_the_mesh(
    rank: int, groups: list[range], others: list[int], axes: list[int]
) -> None:
    cell = cell_of(rank, [tuple(g) for g in groups], others, 1024)
    assert [len(axis) for axis in cell.axes] == axes
    assert rank in cell.ranks
    assert cell.at(cell.own) == rank
    assert {cell.at(cell.far), cell.at(cell.ordinary)} <= cell.ranks


def test_a_cell_that_would_leave_the_world_is_one_rank() -> None:
    assert cell_of(6, [(6, 7), (6, 10)], [], 8).ranks == {6}
