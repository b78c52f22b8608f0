"""Group norm, forward and backward, against PyTorch in float64."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from against_torch import agrees
from torch.nn import functional

from suiren.core.tile import KernelMistake
from suiren.kernels.group_norm import group_norm
from suiren.kernels.group_norm_backward import group_norm_backward

#: N, C, P, G
SHAPES = [(1, 1, 2, 1), (2, 6, 7, 3), (3, 4, 1, 1), (1, 10, 33, 2), (2, 3, 40, 3), (5, 12, 9, 1)]
#: Whole groups, and groups cut into blocks.
TILES: list[dict[str, int]] = [{}, {"longest": 1, "elements": 16}, {"longest": 1, "elements": 100}]
EPS = 1e-5


def sizes_of(shape: tuple[int, ...], dtype: str = "f32", weight: str = "f32") -> dict[str, Any]:
    wide = "f64" if dtype == "f64" else "f32"
    return {**dict(zip("NCPG", shape, strict=True)), "T": dtype, "W": weight, "R": wide}


def statistics(x: torch.Tensor, groups: int) -> tuple[torch.Tensor, torch.Tensor]:
    grouped = x.reshape(x.shape[0], groups, -1)
    return grouped.mean(2), (grouped.var(2, correction=0) + EPS).rsqrt()


def check(shape: tuple[int, ...], tiles: dict[str, int], *formats: str) -> None:
    groups = shape[3]
    agrees(
        group_norm, sizes_of(shape, *formats),
        lambda x, w, b: (functional.group_norm(x, groups, w, b, EPS), *statistics(x, groups)),
        options=tiles, slack=32,
    )  # fmt: skip


def check_backward(shape: tuple[int, ...], tiles: dict[str, int], *formats: str) -> None:
    groups = shape[3]
    x = np.random.default_rng(1).standard_normal(shape[:3])
    mean, rstd = statistics(torch.from_numpy(x), groups)

    def wanted(grad: Any, x: Any, weight: Any, mean: Any, rstd: Any) -> Any:
        x, weight = x.requires_grad_(), weight.requires_grad_()
        bias = torch.zeros_like(weight, requires_grad=True)
        y = functional.group_norm(x, groups, weight, bias, EPS)
        found = torch.autograd.grad(y, [x, weight, bias], grad)
        hat = functional.group_norm(x, groups, eps=EPS).detach()
        return *found, torch.stack([grad.sum(2), (grad * hat).sum(2)])

    agrees(
        group_norm_backward, sizes_of(shape, *formats), wanted, options=tiles, slack=64,
        inputs={"x": x, "mean": mean.numpy(), "rstd": rstd.numpy()},
    )  # fmt: skip


@pytest.mark.parametrize("tiles", TILES)
@pytest.mark.parametrize("shape", SHAPES)
def test_of_any_shape(shape: tuple[int, ...], tiles: dict[str, int]) -> None:
    check(shape, tiles)


@pytest.mark.parametrize("tiles", TILES)
@pytest.mark.parametrize("shape", SHAPES[1:])
def test_gradients(shape: tuple[int, ...], tiles: dict[str, int]) -> None:
    check_backward(shape, tiles)


@pytest.mark.parametrize("formats", [("f64", "f64"), ("bf16", "bf16"), ("f16", "f32")])
@pytest.mark.parametrize("tiles", TILES[:2])
def test_in_every_format(tiles: dict[str, int], formats: tuple[str, str]) -> None:
    check((2, 6, 20, 2), tiles, *formats)
    check_backward((2, 6, 20, 2), tiles, *formats)


@pytest.mark.parametrize("tiles", TILES)
def test_nothing_cancels_far_from_zero(tiles: dict[str, int]) -> None:
    # numbers at 1000 are known to 3e-5; sums of their squares would leave nothing
    x = 1000 + np.random.default_rng(0).standard_normal((2, 4, 30))
    agrees(
        group_norm, sizes_of((2, 4, 30, 2)),
        lambda x, w, b: (functional.group_norm(x, 2, w, b, EPS), *statistics(x, 2)),
        options=tiles, inputs={"x": x}, slack=1000,
    )  # fmt: skip


def test_groups_that_do_not_divide_are_named() -> None:
    with pytest.raises(KernelMistake, match="10 channels do not split into 3 groups"):
        group_norm.build({"C": 10, "G": 3})
