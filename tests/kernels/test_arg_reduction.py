"""Largest and smallest numbers and their places agree with PyTorch."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from against_torch import agrees

from suiren.core.emulate import emulate
from suiren.kernels.arg_reduction import arg_reduction


def wanted(kind, dim):
    found = torch.max if kind == "max" else torch.min
    first = torch.argmax if kind == "max" else torch.argmin
    return lambda x: (found(x, dim).values, first(x, dim))


@pytest.mark.parametrize("kind", ["max", "min"])
@pytest.mark.parametrize("form", ["f32", "bf16", "i32"])
@pytest.mark.parametrize("shape", [(1, 1), (5, 70), (70, 5), (1, 200), (8, 64)])
@pytest.mark.parametrize("dim", [0, 1])
def test_both_dimensions(kind, form, shape, dim):
    x = np.random.default_rng(8).integers(-9, 9, shape)
    kept = "NM"[dim]
    kernel = arg_reduction(f"x T[M,N] -> y T[{kept}]; index i64[{kept}]", kind)
    agrees(kernel, {"M": shape[0], "N": shape[1], "T": form}, wanted(kind, dim),
           inputs={"x": x}, options={"tile": 64, "widest": 8})  # fmt: skip


def test_a_dimension_in_the_middle():
    kernel = arg_reduction("x T[A,M,N] -> y T[A,N]; index i64[A,N]", "max")
    agrees(kernel, {"A": 3, "M": 20, "N": 6, "T": "f32"}, wanted("max", 1), options={"tile": 50})


@pytest.mark.parametrize("pieces", [1, 4, 9])
@pytest.mark.parametrize("kept", ["N", "1"])
def test_pieces_on_different_cores(pieces, kept):
    n = 1 if kept == "1" else 6
    dims, over = ("M", "S") if kept == "1" else ("M,N", "S,N")
    kernel = arg_reduction(f"x T[{dims}] -> y T[{kept}]; index i64[{kept}]; part f32[{over}]; "
                           f"place i64[{over}]", "max")  # fmt: skip
    x = np.random.default_rng(9).integers(-20, 20, (50, n)).astype(float)
    sizes = {"M": 50, "N": n, "S": pieces, "T": "f32"}
    got = emulate(kernel.build(sizes, tile=16), {"x": x if n > 1 else x[:, 0]})
    assert (got["y"] == x.max(0)).all()
    assert (got["index"] == x.argmax(0)).all()


def test_rows_of_minus_infinity_have_a_place():
    kernel = arg_reduction("x T[M,N] -> y T[M]; index i64[M]", "max")
    x = np.full((2, 9), -np.inf)
    got = emulate(kernel.build({"M": 2, "N": 9, "T": "f32"}, tile=4), {"x": x})
    assert (got["index"] == 0).all()
