"""Variance and mean agree with PyTorch, also far from zero."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from against_torch import agrees

from suiren.core.emulate import emulate
from suiren.kernels.variance import variance


@pytest.mark.parametrize("shape", [(4, 2), (7, 90), (90, 7), (2, 300), (16, 64)])
@pytest.mark.parametrize("form", ["f32", "bf16", "f16"])
@pytest.mark.parametrize("dim", [0, 1])
@pytest.mark.parametrize("tile", [32, 4096])
def test_both_dimensions(shape, form, dim, tile):
    kernel = variance(f"x T[M,N] -> y f32[{'NM'[dim]}]; mean f32[{'NM'[dim]}]")
    agrees(kernel, {"M": shape[0], "N": shape[1], "T": form},
           lambda x: (x.var(dim), x.mean(dim)), options={"tile": tile})  # fmt: skip


def test_standard_deviation_without_correction():
    kernel = variance("x T[A,M,N] -> y T[A,N]; mean T[A,N]")
    agrees(kernel, {"A": 2, "M": 30, "N": 5, "T": "f32"},
           lambda x: (x.std(1, correction=0), x.mean(1)),
           options={"correction": 0, "root": True, "tile": 20})  # fmt: skip


def test_nothing_cancels_far_from_zero():
    x = 1e4 + np.random.default_rng(10).standard_normal((3, 200))
    kernel = variance("x T[M,N] -> y T[M]; mean T[M]")
    got = emulate(kernel.build({"M": 3, "N": 200, "T": "f32"}, tile=48), {"x": x})
    wanted = x.astype(np.float32).astype(float).var(1, ddof=1)
    assert np.allclose(got["y"], wanted, rtol=1e-4)


@pytest.mark.parametrize("pieces", [1, 3, 8])
@pytest.mark.parametrize("kept", ["N", "1"])
def test_pieces_on_different_cores(pieces, kept):
    n = 1 if kept == "1" else 5
    dims, over = ("M", "S") if kept == "1" else ("M,N", "S,N")
    kernel = variance(f"x T[{dims}] -> y T[{kept}]; mean T[{kept}]; parts f32[{over}]; "
                      f"squares f32[{over}]")  # fmt: skip
    x = np.random.default_rng(11).standard_normal((71, n)) + 3
    sizes = {"M": 71, "N": n, "S": pieces, "T": "f32"}
    got = emulate(kernel.build(sizes, tile=20), {"x": x if n > 1 else x[:, 0]})
    exact = torch.from_numpy(x)
    assert np.allclose(got["y"], exact.var(0), rtol=1e-5)
    assert np.allclose(got["mean"], exact.mean(0), rtol=1e-5)
