"""Layer norm and RMS norm, forward and backward, against PyTorch in float64."""

from __future__ import annotations

from math import ceil
from typing import Any

import numpy as np
import pytest
import torch
from against_torch import agrees
from torch.nn import functional

from suiren.kernels import normalisation, normalisation_backward

SHAPES = [(1, 2), (5, 7), (1, 100), (33, 3), (40, 64), (3, 257)]
#: Whole rows, few or many at a time, and rows cut into blocks.
TILES: list[dict[str, int]] = [{}, {"across": 4, "turns": 3}, {"across": 3, "along": 16}]
EPS = 1e-5


def sizes_of(shape: tuple[int, int], dtype: str = "f32", weight: str = "f32") -> dict[str, Any]:
    wide = "f64" if dtype == "f64" else "f32"
    return {"M": shape[0], "N": shape[1], "Q": 3, "T": dtype, "W": weight, "R": wide}


def statistics(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    return x.mean(1), (x.var(1, correction=0) + EPS).rsqrt()


def root(x: torch.Tensor) -> torch.Tensor:
    return (x.square().mean(1) + EPS).rsqrt()


def layer_norm(x: torch.Tensor, *affine: torch.Tensor) -> Any:
    return functional.layer_norm(x, x.shape[1:], *affine, eps=EPS), *statistics(x)


def rms_norm(x: torch.Tensor, *weight: torch.Tensor) -> Any:
    return functional.rms_norm(x, x.shape[1:], *weight, eps=EPS), root(x)


FORWARD = {
    "layer_norm": layer_norm, "layer_norm_unbiased": layer_norm, "layer_norm_plain": layer_norm,
    "rms_norm": rms_norm, "rms_norm_plain": rms_norm,
}  # fmt: skip


@pytest.mark.parametrize("name", FORWARD)
@pytest.mark.parametrize("tiles", TILES)
@pytest.mark.parametrize("shape", SHAPES)
def test_of_any_shape(shape: tuple[int, int], tiles: dict[str, int], name: str) -> None:
    agrees(getattr(normalisation, name), sizes_of(shape), FORWARD[name], options=tiles, slack=32)


@pytest.mark.parametrize("formats", [("f64", "f64"), ("bf16", "bf16"), ("f16", "f32")])
@pytest.mark.parametrize("tiles", TILES)
def test_in_every_format(tiles: dict[str, int], formats: tuple[str, str]) -> None:
    for name in ("layer_norm", "rms_norm"):
        agrees(getattr(normalisation, name), sizes_of((9, 50), *formats), FORWARD[name],
               options=tiles, slack=32)  # fmt: skip
        check_backward(name, (9, 50), tiles, *formats)


@pytest.mark.parametrize("tiles", TILES)
def test_nothing_cancels_far_from_zero(tiles: dict[str, int]) -> None:
    # numbers at 1000 are known to 3e-5; sums of their squares would leave nothing
    x = 1000 + np.random.default_rng(0).standard_normal((4, 60))
    agrees(normalisation.layer_norm_plain, sizes_of((4, 60)), layer_norm, options=tiles,
           inputs={"x": x}, slack=1000)  # fmt: skip


def check_backward(
    name: str, shape: tuple[int, int], tiles: dict[str, int], dtype: str = "f32",
    weight: str = "f32",
) -> None:  # fmt: skip
    kernel = getattr(normalisation_backward, f"{name}_backward")
    x = np.random.default_rng(1).standard_normal(shape)
    held = torch.from_numpy(x)
    mean, rstd = statistics(held) if name.startswith("layer") else (None, root(held))
    given = {"x": x, "rstd": rstd.numpy(), **({"mean": mean.numpy()} if mean is not None else {})}
    across = kernel.build(sizes_of(shape, dtype, weight), **tiles).tiles[0].shape[0]

    def wanted(grad: torch.Tensor, x: torch.Tensor, *more: torch.Tensor) -> Any:
        x = x.requires_grad_()
        weight = [] if name.endswith("plain") else [more[0].requires_grad_()]
        bias = [torch.zeros_like(weight[0], requires_grad=True)] if name == "layer_norm" else []
        y = FORWARD[name](x, *weight, *bias)[0]
        found = torch.autograd.grad(y, [x, *weight, *bias], grad)
        if not weight:
            return found
        hat = FORWARD[name](x)[0].detach()
        rows = ceil(ceil(shape[0] / across) / 3) * across
        room = torch.zeros(len(found) - 1, 3 * rows, shape[1], dtype=torch.float64)
        for z, each in zip(range(len(room)), (grad * hat, grad), strict=False):
            room[z, : shape[0]] = each
        return *found, room.reshape(len(room), 3, rows, -1).sum(2)

    agrees(kernel, sizes_of(shape, dtype, weight), wanted, options=tiles, inputs=given, slack=64)


@pytest.mark.parametrize("name", FORWARD)
@pytest.mark.parametrize("tiles", TILES)
@pytest.mark.parametrize("shape", SHAPES[1:])
def test_gradients(shape: tuple[int, int], tiles: dict[str, int], name: str) -> None:
    check_backward(name, shape, tiles)
