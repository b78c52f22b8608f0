"""Permuted, joined, padded, cut and wandering copies agree with PyTorch."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from against_torch import agrees

from suiren.kernels.copy import cat, merged_order, permute, window
from suiren.kernels.remap import flip, remap, repeat, repeat_interleave, roll, upsample_nearest

NAMES = "ABCDEFGH"


@pytest.mark.parametrize("order", list(permutations(range(3))))
@pytest.mark.parametrize("shape", [(2, 3, 4), (5, 40, 33), (1, 1, 70), (17, 1, 9)])
@pytest.mark.parametrize("tile, side", [(4096, 64), (60, 8)])
def test_permutations_of_three_dimensions(order, shape, tile, side):
    agrees(permute(*order), {**dict(zip(NAMES, shape, strict=False)), "T": "bf16"},
           lambda x: x.permute(order), options={"tile": tile, "side": side})  # fmt: skip


@pytest.mark.parametrize("order", [(0,), (1, 0), (0, 2, 1, 3), (3, 1, 0, 2), (0, 2, 3, 1)])
@pytest.mark.parametrize("form", ["f32", "f16", "i64", "u8"])
def test_permutations_of_other_ranks(order, form):
    shape = (3, 6, 5, 7)[: len(order)]
    x = np.random.default_rng(50).integers(0, 100, shape)
    agrees(permute(*order), {**dict(zip(NAMES, shape, strict=False)), "T": form},
           lambda x: x.permute(order), inputs={"x": x},
           options={"tile": 40, "side": 4})  # fmt: skip


def test_permutations_merge_to_few_dimensions():
    assert merged_order((8, 3, 7, 7), (0, 2, 3, 1)) == ((8, 3, 49), (0, 2, 1))
    assert merged_order((8, 1, 7), (1, 0, 2)) == ((56,), (0,))
    assert merged_order((2, 3, 4, 5), (2, 3, 0, 1)) == ((6, 20), (1, 0))
    assert merged_order((2, 3, 4, 5), (0, 2, 1, 3)) == ((2, 3, 4, 5), (0, 2, 1, 3))
    assert merged_order((4, 5, 6), (0, 1, 2)) == ((120,), (0,))
    assert merged_order((1, 1), (1, 0)) == ((1,), (0,))


@pytest.mark.parametrize("rows", [1, 13])
@pytest.mark.parametrize("widths", [(5,), (30, 7), (1, 64, 3), (20, 20, 20, 20)])
@pytest.mark.parametrize("tile", [16, 8192])
def test_tensors_side_by_side(rows, widths, tile):
    sizes = {f"N{n}": w for n, w in enumerate(widths)}
    agrees(cat(len(widths)), {"M": rows, "N": sum(widths), **sizes, "T": "bf16"},
           lambda *x: torch.cat(x, 1), options={"tile": tile})  # fmt: skip


@pytest.mark.parametrize("pad", [(1, 2, 3, 0), (0, 0, -2, 1), (-3, -1, 0, -2), (0, 0, 0, 0)])
@pytest.mark.parametrize("shape", [(6, 9), (20, 5)])
@pytest.mark.parametrize("tile", [20, 8192])
def test_padding_and_cutting(pad, shape, tile):
    left, right, top, bottom = pad
    sizes = {"A": shape[0], "B": shape[1], "P": shape[0] + top + bottom,
             "Q": shape[1] + left + right, "T": "f16"}  # fmt: skip
    agrees(window(2), sizes, lambda x: F.pad(x, pad, value=-7.0),
           options={"before": (top, left), "value": -7.0, "tile": tile})  # fmt: skip


def test_cutting_with_strides():
    agrees(window(3), {"A": 4, "B": 11, "C": 8, "P": 2, "Q": 4, "R": 8, "T": "f32"},
           lambda x: x[::2, 1::3],
           options={"before": (0, -1, 0), "strides": (2, 3, 1), "tile": 20})  # fmt: skip
    agrees(window(1), {"A": 50, "P": 20, "T": "f32"}, lambda x: x[7:27],
           options={"before": (-7,), "tile": 6})  # fmt: skip


@pytest.mark.parametrize("size", [(6, 10), (9, 13), (3, 5), (2, 20)])
@pytest.mark.parametrize("tile", [30, 4096])
def test_nearest_upsampling(size, tile):
    agrees(upsample_nearest(), {"A": 4, "H": 3, "W": 5, "P": size[0], "Q": size[1], "T": "bf16"},
           lambda x: F.interpolate(x[None], size=size)[0], options={"tile": tile})  # fmt: skip


@pytest.mark.parametrize("tile", [25, 4096])
def test_wandering_along_a_middle_dimension(tile):
    sizes = {"A": 3, "N": 7, "B": 5, "T": "f32"}
    agrees(roll(), sizes, lambda x: x.roll(3, 1), options={"values": {"shift": 3}, "tile": tile})
    agrees(flip(), sizes, lambda x: x.flip(1), options={"tile": tile})
    agrees(repeat(), {**sizes, "K": 21}, lambda x: x.repeat(1, 3, 1), options={"tile": tile})
    agrees(repeat_interleave(), {**sizes, "K": 14}, lambda x: x.repeat_interleave(2, 1),
           options={"tile": tile})  # fmt: skip


def test_reflection_is_a_remap():
    reflect = remap("x T[M,N] -> y T[M,Q]", N="N - 1 - abs(N - 1 - abs(i - left))")
    agrees(reflect, {"M": 4, "N": 9, "Q": 14, "T": "f32"},
           lambda x: F.pad(x, (2, 3), mode="reflect"),
           options={"values": {"left": 2.0}, "tile": 12})  # fmt: skip
