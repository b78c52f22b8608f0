"""Reductions agree with PyTorch, over any dimensions, in one phase and in two."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from against_torch import agrees

from suiren.core.emulate import emulate
from suiren.kernels.reduction import FOLDS, reduction

WANTED = {
    "sum": torch.sum, "mean": torch.mean, "max": torch.amax, "min": torch.amin,
    "prod": lambda x, dim: x.prod(dim), "any": lambda x, dim: (x != 0).any(dim),
    "all": lambda x, dim: (x != 0).all(dim), "norm1": lambda x, dim: x.abs().sum(dim),
    "norm2": lambda x, dim: x.norm(dim=dim), "norm_max": lambda x, dim: x.abs().amax(dim),
    "square_sum": lambda x, dim: (x * x).sum(dim), "count_nonzero": torch.count_nonzero,
}  # fmt: skip
SHAPES = ((1, 1), (7, 40), (40, 7), (1, 300), (300, 1), (32, 64))


def sparse(shape):
    rng = np.random.default_rng(5)
    return rng.standard_normal(shape) * rng.integers(0, 2, shape)


@pytest.mark.parametrize("name", FOLDS)
@pytest.mark.parametrize("form", ["f32", "bf16", "f16"])
def test_rows(name, form):
    x = 1 + 0.1 * sparse((6, 50)) if name == "prod" else sparse((6, 50))
    kernel = reduction("x T[M,N] -> y f32[M]", name)
    agrees(kernel, {"M": 6, "N": 50, "T": form}, lambda x: WANTED[name](x, dim=1),
           inputs={"x": x}, options={"tile": 64})  # fmt: skip


@pytest.mark.parametrize("name", ["sum", "max", "norm2"])
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("tile", [8, 100, 4096])
@pytest.mark.parametrize("dim", [0, 1])
def test_shapes_and_tiles(name, shape, tile, dim):
    kernel = reduction(f"x T[M,N] -> y T[{'NM'[dim]}]", name)
    agrees(kernel, {"M": shape[0], "N": shape[1], "T": "f32"},
           lambda x: WANTED[name](x, dim=dim), options={"tile": tile, "widest": 16})  # fmt: skip


@pytest.mark.parametrize("kept, dims", [
    ("A,B", 2), ("A,C", 1), ("B,C", 0), ("B", (0, 2)), ("C", (0, 1)), ("A", (1, 2)),
    ("1", (0, 1, 2)),
])  # fmt: skip
@pytest.mark.parametrize("tile", [13, 512])
def test_any_dimensions(kept, dims, tile):
    kernel = reduction(f"x T[A,B,C] -> y T[{kept}]", "mean")
    shape = [{"A": 3, "B": 5, "C": 22, "1": 1}[d] for d in kept.split(",")]
    agrees(kernel, {"A": 3, "B": 5, "C": 22, "T": "bf16"},
           lambda x: x.mean(dims).reshape(shape), options={"tile": tile})  # fmt: skip


@pytest.mark.parametrize("pieces", [1, 3, 7, 20])
@pytest.mark.parametrize("name", ["sum", "mean", "max", "norm2"])
@pytest.mark.parametrize("signature", [
    "x T[M,N] -> y T[M]; part f32[S,M]", "x T[M,N] -> y T[N]; part f32[S,N]",
    "x T[M,N] -> y T[1]; part f32[S]",
])  # fmt: skip
def test_two_phases(pieces, name, signature):
    kernel = reduction(signature, name)
    sizes = {"M": 19, "N": 37, "S": pieces, "T": "bf16"}
    dims = {"M": 1, "N": 0, "1": (0, 1)}[kernel.signature.outputs[0].sizes[0]]
    x = np.random.default_rng(6).integers(-8, 9, (19, 37))
    got = emulate(kernel.build(sizes, tile=32), {"x": x})
    wanted = WANTED[name](torch.tensor(x, dtype=torch.float64), dim=dims).numpy()
    assert np.allclose(got["y"], wanted, rtol=0.01, atol=0.01)
    assert not np.isnan(got["part"]).any()


@pytest.mark.parametrize("form", ["i64", "i32", "u8", "b8"])
@pytest.mark.parametrize("name", ["sum", "max", "min", "any", "count_nonzero"])
def test_whole_numbers(form, name):
    x = np.random.default_rng(7).integers(0, 2 if form == "b8" else 100, (9, 21))
    x = x - 50 if form.startswith("i") else x
    kernel = reduction("x T[M,N] -> y i64[N]", name)
    agrees(kernel, {"M": 9, "N": 21, "T": form}, lambda x: WANTED[name](x, dim=0),
           inputs={"x": x}, options={"tile": 16})  # fmt: skip


def test_chains_before_and_after_run_in_the_same_pass():
    kernel = reduction("g T[M,N]; x T[M,N] -> y T[N]", "sum", "v = g if x > 0 else 0",
                       "y = v / count")  # fmt: skip
    agrees(kernel, {"M": 30, "N": 50, "T": "bf16"}, lambda g, x: (g * (x > 0)).mean(0),
           options={"tile": 128})  # fmt: skip


def test_an_exponential_does_not_see_the_padding():
    kernel = reduction("x T[M,N] -> y T[M]", "sum", "v = exp(x)", "y = log(v)")
    agrees(kernel, {"M": 3, "N": 17, "T": "f32"}, lambda x: x.logsumexp(1), options={"tile": 8})


def test_steps_may_be_given_by_dimension():
    kernel = reduction("x T[M,N] -> y T[M]", "sum")
    program = kernel.build({"M": 64, "N": 64, "T": "f32"}, steps={"M": 4, "N": 16})
    assert program.tiles[0].shape == (4, 16)
