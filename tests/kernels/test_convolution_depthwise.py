"""Depthwise convolutions and their gradients agree with PyTorch."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from against_torch import agrees
from convolution_cases import CONV, moved, parts_and_sum, sizes

from suiren.core.tile import KernelMistake
from suiren.kernels import convolution_depthwise, convolution_depthwise_weight

TILES = {"channels": 4, "pixels": 12, "stages": 2}

#: images, channels in and out, input, window; stride, padding, dilation
CASES: list[tuple[tuple[Any, ...], dict[str, Any]]] = [
    ((2, 5, 5, (7, 6), (3, 3)), {"padding": 1}),
    ((1, 3, 6, (8, 7), (3, 2)), {"stride": (2, 1), "dilation": (1, 2)}),
    ((1, 4, 4, (5, 5), (1, 1)), {"stride": 2}),
    ((2, 6, 12, (13,), (4,)), {"stride": 2, "padding": 2, "dilation": 3}),
    ((1, 2, 2, (4, 5, 6), (2, 3, 1)), {"stride": (1, 2, 2), "padding": (1, 1, 0)}),
]


@pytest.mark.parametrize(("case", "options"), CASES)
def test_forward(case: tuple[Any, ...], options: dict[str, Any]) -> None:
    dims, channels = len(case[3]), case[1]

    def wanted(x: torch.Tensor, w: torch.Tensor, *bias: torch.Tensor) -> torch.Tensor:
        return CONV[dims](x, w, *bias, **options, groups=channels)

    found = sizes(case, {**options, "groups": channels})
    for bias in ("", "_bias"):
        kernel = getattr(convolution_depthwise, f"depthwise{bias}_{dims}d")
        agrees(kernel, found, wanted, options={**TILES, **options})
        kernel = getattr(convolution_depthwise, f"depthwise_last{bias}_{dims}d")
        agrees(kernel, found, moved(wanted), options={**TILES, **options})


@pytest.mark.parametrize(("case", "options"), CASES)
def test_gradient_by_the_input(case: tuple[Any, ...], options: dict[str, Any]) -> None:
    n, channels, _, space, _ = case
    dims = len(space)

    def wanted(dy: torch.Tensor, w: torch.Tensor) -> torch.Tensor:
        image = torch.zeros(n, channels, *space, dtype=torch.float64, requires_grad=True)
        CONV[dims](image, w, **options, groups=channels).backward(dy)
        assert image.grad is not None
        return image.grad

    found = sizes(case, {**options, "groups": channels})
    kernel = getattr(convolution_depthwise, f"depthwise_transposed_{dims}d")
    agrees(kernel, found, wanted, options={**TILES, **options})
    kernel = getattr(convolution_depthwise, f"depthwise_transposed_last_{dims}d")
    agrees(kernel, found, moved(wanted), options={**TILES, **options})


@pytest.mark.parametrize(("case", "options"), CASES)
@pytest.mark.parametrize("cuts", [(1, 1), (2, 2)])
def test_gradient_by_the_weight(
    case: tuple[Any, ...], options: dict[str, Any], cuts: tuple[int, int]
) -> None:
    _, channels, o, space, taps = case
    grouped = {**options, "groups": channels}

    def wanted(dy: torch.Tensor, x: torch.Tensor) -> list[torch.Tensor]:
        parts, total = parts_and_sum(dy, x, cuts, TILES["pixels"], (o, 1, *taps), grouped)
        return [parts.movedim((-2, -1), (2, 3)), total]

    def wanted_last(dy: torch.Tensor, x: torch.Tensor) -> list[torch.Tensor]:
        parts, total = wanted(dy.movedim(-1, 1), x.movedim(-1, 1))
        return [parts, total.movedim(1, -1)]

    found = sizes(case, grouped) | {"Y": cuts[0], "Z": cuts[1]}
    for kind, function in (("", wanted), ("_last", wanted_last)):
        kernel = getattr(convolution_depthwise_weight, f"depthwise_weight{kind}_{len(space)}d")
        agrees(kernel, found, function, options={**TILES, **options})


@pytest.mark.parametrize("t", ["bf16", "f16"])
def test_formats_and_the_tiles_offered_first(t: str) -> None:
    case, options = CASES[0]
    agrees(convolution_depthwise.depthwise_bias_2d, sizes(case, {**options, "groups": 5}, T=t),
           options={**options, "activation": "relu"},
           reference=lambda x, w, b: CONV[2](x, w, b, **options, groups=5).relu())  # fmt: skip


def test_a_weight_that_is_not_depthwise_is_a_mistake() -> None:
    with pytest.raises(KernelMistake, match="depthwise weight"):
        convolution_depthwise.depthwise_2d.build({"C": 3, "O": 8})
