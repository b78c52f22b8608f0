"""Cumulative sums, products and maxima agree with PyTorch."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from against_torch import agrees

from suiren.core.emulate import emulate
from suiren.kernels.scan import scan

WANTED = {"sum": torch.cumsum, "prod": torch.cumprod, "max": lambda x, d: x.cummax(d).values}


@pytest.mark.parametrize("kind", WANTED)
@pytest.mark.parametrize("shape", [(1, 1), (5, 70), (70, 5), (1, 300), (8, 64)])
@pytest.mark.parametrize("dim", [0, 1])
@pytest.mark.parametrize("tile", [24, 4096])
def test_both_dimensions(kind, shape, dim, tile):
    x = np.random.default_rng(12).uniform(0.9, 1.1, shape)
    kernel = scan("x T[M,N] -> y T[M,N]", kind, along="MN"[dim])
    agrees(kernel, {"M": shape[0], "N": shape[1], "T": "f32"}, lambda x: WANTED[kind](x, dim),
           inputs={"x": x}, options={"tile": tile, "widest": 4}, slack=64)  # fmt: skip


@pytest.mark.parametrize("form", ["bf16", "f16"])
def test_narrow_formats_carry_in_full(form):
    kernel = scan("x T[M,N] -> y T[M,N]", "sum", along="N")
    agrees(kernel, {"M": 3, "N": 100, "T": form}, lambda x: x.cumsum(1), options={"tile": 32})


def test_masks_count_up():
    x = np.random.default_rng(13).integers(0, 2, (4, 50))
    kernel = scan("x b8[M,N] -> y i64[M,N]", "sum", along="N")
    agrees(kernel, {"M": 4, "N": 50}, lambda x: x.cumsum(1), inputs={"x": x},
           options={"tile": 16})  # fmt: skip


@pytest.mark.parametrize("kind", WANTED)
@pytest.mark.parametrize("pieces", [1, 3, 8])
@pytest.mark.parametrize("along", ["M", "N"])
def test_pieces_on_different_cores(kind, pieces, along):
    kept = "N" if along == "M" else "M"
    kernel = scan(f"x T[M,N] -> y T[M,N]; part f32[S,{kept}]", kind, along=along)
    x = np.random.default_rng(14).uniform(0.9, 1.1, (19, 37))
    program = kernel.build({"M": 19, "N": 37, "S": pieces, "T": "f32"}, tile=20, widest=8)
    wanted = WANTED[kind](torch.from_numpy(x), "MN".index(along)).numpy()
    assert np.allclose(emulate(program, {"x": x})["y"], wanted, rtol=1e-5)
