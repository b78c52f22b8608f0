"""Softmax and log-softmax, forward and backward, against PyTorch in float64."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from against_torch import agrees

from suiren.core.kernel import Kernel
from suiren.kernels import softmax as kernels

ROWS = [(1, 1), (5, 7), (1, 100), (33, 1), (16, 64), (3, 257)]
COLUMNS = [(1, 1, 1), (2, 5, 7), (1, 33, 3), (3, 1, 9), (2, 16, 64), (1, 21, 130)]
#: Whole lines, and lines cut into blocks.
TILES: list[dict[str, int]] = [
    {},
    {"across": 4, "along": 16},
    {"across": 3, "along": 5, "stages": 1},
]


def sizes_of(shape: tuple[int, ...], dtype: str = "f32", result: str = "") -> dict[str, Any]:
    names = "MN" if len(shape) == 2 else "ANC"
    return {**dict(zip(names, shape, strict=True)), "T": dtype, "U": result or dtype}


def forward(shape: tuple[int, ...], log: bool) -> Kernel:
    name = ("log_" if log else "") + "softmax" + ("_columns" if len(shape) == 3 else "")
    found = getattr(kernels, name)
    assert isinstance(found, Kernel) and found.name == name
    return found


def backward(shape: tuple[int, ...], log: bool) -> Kernel:
    name = ("log_" if log else "") + "softmax_backward" + ("_columns" if len(shape) == 3 else "")
    found = getattr(kernels, name)
    assert isinstance(found, Kernel) and found.name == name
    return found


def wanted(log: bool) -> Any:
    return lambda x: x.log_softmax(1) if log else x.softmax(1)


def gradient(log: bool) -> Any:
    def of(grad: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        if log:
            return grad - y.exp() * grad.sum(1, keepdim=True)
        return y * (grad - (grad * y).sum(1, keepdim=True))

    return of


@pytest.mark.parametrize("log", [False, True])
@pytest.mark.parametrize("tiles", TILES)
@pytest.mark.parametrize("shape", ROWS + COLUMNS)
def test_of_any_shape(shape: tuple[int, ...], tiles: dict[str, int], log: bool) -> None:
    agrees(forward(shape, log), sizes_of(shape), wanted(log), options=tiles)
    agrees(backward(shape, log), sizes_of(shape), gradient(log), options=tiles)


@pytest.mark.parametrize("log", [False, True])
@pytest.mark.parametrize("formats", [("f64", "f64"), ("bf16", "bf16"), ("f16", "f32")])
def test_in_every_format(formats: tuple[str, str], log: bool) -> None:
    for shape in ((9, 50), (2, 30, 9)):
        for tiles in TILES[:2]:
            agrees(forward(shape, log), sizes_of(shape, *formats), wanted(log), options=tiles)
            agrees(backward(shape, log), sizes_of(shape, *formats), gradient(log), options=tiles)


@pytest.mark.parametrize("log", [False, True])
@pytest.mark.parametrize("tiles", TILES)
def test_hidden_numbers(tiles: dict[str, int], log: bool) -> None:
    x = np.random.default_rng(0).standard_normal((4, 40))
    x[0, :20], x[1], x[2, 17], x[3, 1:] = -np.inf, -np.inf, 3e4, -np.inf
    if not log:
        agrees(
            forward((4, 40), log), sizes_of((4, 40)), wanted(log), options=tiles, inputs={"x": x}
        )
        return
    # log-softmax of a hidden number is -inf, which agrees as well
    agrees(forward((3, 40), log), sizes_of((3, 40)), wanted(log), options=tiles,
           inputs={"x": x[[0, 2, 3]]})  # fmt: skip


def test_long_lines_are_cut_and_short_ones_are_gathered() -> None:
    short, long = kernels.softmax.build({"N": 128}), kernels.softmax.build({"N": 50304})
    assert short.tiles[0].shape == (16, 128)
    assert long.tiles[0].shape == (1, 7232)
    assert sum(s.name == "load" for s in short.steps()) == 1
    assert sum(s.name == "load" for s in long.steps()) == 2
