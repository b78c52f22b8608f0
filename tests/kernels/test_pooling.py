"""Pooling and its gradients agree with PyTorch."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from against_torch import agrees

from suiren.kernels.pooling import max_pool, mean_pool
from suiren.kernels.pooling_backward import max_pool_backward, mean_pool_backward

#: Input size, window, stride, padding, dilation.
CASES = [
    ((8, 8), (2, 2), (2, 2), (0, 0), (1, 1)),
    ((11, 14), (3, 3), (2, 2), (1, 1), (1, 1)),
    ((9, 7), (3, 2), (1, 1), (1, 0), (1, 1)),
    ((12, 13), (3, 3), (2, 3), (1, 1), (2, 1)),
    ((10, 10), (2, 3), (3, 4), (0, 1), (1, 1)),
    ((5, 6), (5, 6), (1, 1), (0, 0), (1, 1)),
    ((7, 7), (3, 3), (1, 1), (1, 1), (2, 2)),
]
UNDILATED = [case for case in CASES if case[4] == (1, 1)]


def pooled(case):
    """Sizes and options of a kernel for a case."""
    (h, w), size, stride, padding, dilation = case
    p, q = ((n + 2 * d - e * (k - 1) - 1) // s + 1 for n, k, s, d, e in zip(
        (h, w), size, stride, padding, dilation, strict=True))  # fmt: skip
    sizes = {"A": 5, "H": h, "W": w, "P": p, "Q": q}
    return sizes, {"size": size, "stride": stride, "padding": padding, "dilation": dilation}


def largest(x, case):
    _, size, stride, padding, dilation = case
    return F.max_pool2d(x, size, stride, padding, dilation, return_indices=True)


def mean(x, case, **options):
    return F.avg_pool2d(x[None], *case[1:4], **options)[0]


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("form", ["f32", "bf16"])
@pytest.mark.parametrize("tile", [20, 2048])
def test_largest(case, form, tile):
    sizes, options = pooled(case)
    x = np.random.default_rng(60).integers(-9, 9, (5, *case[0]))
    agrees(max_pool, {**sizes, "T": form}, lambda x: largest(x, case), inputs={"x": x},
           options={**options, "tile": tile})  # fmt: skip


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("tile", [20, 2048])
def test_gradient_of_the_largest(case, tile):
    sizes, options = pooled(case)
    x = torch.from_numpy(np.random.default_rng(61).standard_normal((5, *case[0])))
    out, index = largest(x.requires_grad_(), case)
    agrees(max_pool_backward, {**sizes, "T": "f32"},
           lambda g, _: torch.autograd.grad(out, x, g), inputs={"index": index.numpy()},
           options={**options, "tile": tile})  # fmt: skip


@pytest.mark.parametrize("case", UNDILATED)
@pytest.mark.parametrize("count_padding", [True, False])
@pytest.mark.parametrize("form", ["f32", "f16"])
@pytest.mark.parametrize("tile", [20, 2048])
def test_mean(case, count_padding, form, tile):
    sizes, options = pooled(case)
    del options["dilation"]
    agrees(mean_pool, {**sizes, "T": form},
           lambda x: mean(x, case, count_include_pad=count_padding),
           options={**options, "count_padding": count_padding, "tile": tile})  # fmt: skip


@pytest.mark.parametrize("case", UNDILATED)
@pytest.mark.parametrize("count_padding", [True, False])
@pytest.mark.parametrize("tile", [20, 2048])
def test_gradient_of_the_mean(case, count_padding, tile):
    sizes, options = pooled(case)
    del options["dilation"]
    x = torch.zeros(5, *case[0], dtype=torch.float64, requires_grad=True)
    out = mean(x, case, count_include_pad=count_padding)
    agrees(mean_pool_backward, {**sizes, "T": "bf16"}, lambda g: torch.autograd.grad(out, x, g),
           options={**options, "count_padding": count_padding, "tile": tile})  # fmt: skip


def test_windows_that_stick_out_at_the_end():
    case = ((6, 6), (3, 3), (2, 2), (0, 0), (1, 1))
    options = {"size": (3, 3), "stride": (2, 2)}
    agrees(mean_pool, {"A": 2, "H": 6, "W": 6, "P": 3, "Q": 3, "T": "f32"},
           lambda x: mean(x, case, ceil_mode=True), options=options)  # fmt: skip
    agrees(max_pool, {"A": 2, "H": 6, "W": 6, "P": 3, "Q": 3, "T": "f32"},
           lambda x: F.max_pool2d(x, 3, 2, ceil_mode=True, return_indices=True),
           options=options)  # fmt: skip


def test_gradient_of_nearest_upsampling_is_a_sum():
    x = torch.zeros(1, 3, 4, 5, dtype=torch.float64, requires_grad=True)
    out = F.interpolate(x, scale_factor=(2, 3))
    agrees(mean_pool, {"A": 3, "H": 8, "W": 15, "P": 4, "Q": 5, "T": "bf16"},
           lambda g: torch.autograd.grad(out, x, g[None])[0][0],
           options={"size": (2, 3), "stride": (2, 3), "divisor": 1})  # fmt: skip
