"""Sorted rows and the best of rows agree with PyTorch."""

from __future__ import annotations

from math import ceil

import numpy as np
import pytest
import torch
from against_torch import agrees

from suiren.core.emulate import emulate
from suiren.core.tile import KernelMistake
from suiren.kernels.sort import sort, topk, topk_long
from suiren.kernels.sort_long import sort_long


def ordered(x, descending):
    return torch.sort(x, dim=1, descending=descending, stable=True)


def distinct(shape):
    rng = np.random.default_rng(30)
    return np.stack([rng.permutation(shape[1]) - 20.0 for _ in range(shape[0])])


@pytest.mark.parametrize("shape", [(1, 1), (5, 70), (40, 3), (1, 200), (8, 64)])
@pytest.mark.parametrize("form", ["f32", "bf16", "i32"])
@pytest.mark.parametrize("descending", [False, True])
def test_rows_that_fit_a_tile(shape, form, descending):
    x = np.random.default_rng(31).integers(-9, 9, shape)
    agrees(sort, {"M": shape[0], "N": shape[1], "T": form}, lambda x: ordered(x, descending),
           inputs={"x": x}, options={"descending": descending, "tile": 256})  # fmt: skip


@pytest.mark.parametrize("shape, kept", [((1, 1), 1), ((5, 70), 7), ((40, 3), 3), ((8, 64), 1)])
@pytest.mark.parametrize("largest", [False, True])
def test_the_best_of_rows_that_fit_a_tile(shape, kept, largest):
    agrees(topk, {"M": shape[0], "N": shape[1], "K": kept, "T": "f32"},
           lambda x: torch.topk(x, kept, 1, largest), inputs={"x": distinct(shape)},
           options={"largest": largest, "tile": 128})  # fmt: skip


@pytest.mark.parametrize("cols, kept, pieces", [(70, 7, 3), (100, 1, 10), (9, 4, 1), (65, 8, 8)])
@pytest.mark.parametrize("largest", [False, True])
def test_the_best_of_long_rows(cols, kept, pieces, largest):
    x = distinct((3, cols))
    sizes = {"M": 3, "N": cols, "K": kept, "C": kept * pieces, "T": "bf16"}
    got = emulate(topk_long.build(sizes, largest=largest), {"x": x})
    wanted = torch.topk(torch.from_numpy(x), kept, 1, largest)
    assert (got["y"] == wanted.values.numpy()).all()
    assert (got["index"] == wanted.indices.numpy()).all()


@pytest.mark.parametrize("kept", [2, 9])
@pytest.mark.parametrize("largest", [False, True])
def test_infinities_among_the_best_keep_their_places(kept, largest):
    x = np.full((2, 9), -np.inf if largest else np.inf)
    x[0, 4] = x[1, 7] = 3.0
    got = emulate(topk.build({"M": 2, "N": 9, "K": kept, "T": "f32"}, largest=largest), {"x": x})
    order = np.argsort(-x if largest else x, axis=1, kind="stable")[:, :kept]
    assert (got["index"] == order).all()
    assert (got["y"] == np.take_along_axis(x, order, 1)).all()


@pytest.mark.parametrize("form", ["i32", "i64"])
def test_the_best_of_whole_numbers(form):
    agrees(topk, {"M": 4, "N": 50, "K": 3, "T": form}, lambda x: torch.topk(x, 3),
           inputs={"x": distinct((4, 50))})  # fmt: skip


def test_pieces_too_short_for_the_best_are_refused():
    with pytest.raises(KernelMistake, match="candidates"):
        topk_long.build({"M": 1, "N": 10, "K": 4, "C": 40, "T": "f32"})


@pytest.mark.parametrize("cols, tiles", [(64, 4), (100, 7), (33, 2), (65, 8), (20, 2), (90, 11)])
@pytest.mark.parametrize("form", ["f32", "i64"])
@pytest.mark.parametrize("descending", [False, True])
def test_long_rows(cols, tiles, form, descending):
    tiles = ceil(cols / ceil(cols / tiles))
    x = np.random.default_rng(32).integers(-15, 15, (2, cols))
    sizes = {"M": 2, "N": cols, "C": tiles, "T": form}
    got = emulate(sort_long.build(sizes, descending=descending), {"x": x})
    wanted = ordered(torch.from_numpy(x), descending)
    assert (got["y"] == wanted.values.numpy()).all()
    assert (got["order"] == wanted.indices.numpy()).all()


@pytest.mark.parametrize("cols, tiles", [(20, 1), (10, 6)])
def test_tiles_of_unequal_size_are_refused(cols, tiles):
    with pytest.raises(KernelMistake, match="equal size"):
        sort_long.build({"M": 2, "N": cols, "C": tiles, "T": "f32"})


def test_infinities_sort_as_numbers_do():
    x = np.array([[np.inf, 1.0, -np.inf, np.inf, 0.0, -np.inf, 2.0]])
    got = emulate(sort_long.build({"M": 1, "N": 7, "C": 3, "T": "f32"}), {"x": x})
    assert (got["order"] == np.argsort(x, kind="stable")).all()
