"""Gradients of convolutions by their weight agree with PyTorch."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from against_torch import agrees
from convolution_cases import CASES, parts_and_sum, sizes, weight_gradient

from suiren.core.kernel import Kernel
from suiren.kernels import convolution_weight

TILES = {"tm": 8, "tn": 4, "pixels": 12, "stages": 2}


def of(kind: str, dims: int) -> Kernel:
    return getattr(convolution_weight, f"{kind}_{dims}d")


@pytest.mark.parametrize(("case", "options"), CASES)
@pytest.mark.parametrize("cuts", [(1, 1), (2, 3)])
def test_weight_gradient(
    case: tuple[Any, ...], options: dict[str, Any], cuts: tuple[int, int]
) -> None:
    _, c, o, space, taps = case
    shape = (o, c // options.get("groups", 1), *taps)
    found = sizes(case, options) | {"Y": cuts[0], "Z": cuts[1]}

    def wanted(dy: torch.Tensor, x: torch.Tensor) -> list[torch.Tensor]:
        return parts_and_sum(dy, x, cuts, TILES["pixels"], shape, options)

    def wanted_last(dy: torch.Tensor, x: torch.Tensor) -> list[torch.Tensor]:
        parts, total = wanted(dy.movedim(-1, 1), x.movedim(-1, 1))
        return [parts, total.movedim(1, -1)]

    given = {**TILES, **options}
    agrees(of("weight_gradient", len(space)), found, wanted, options=given)
    agrees(of("weight_gradient_last", len(space)), found, wanted_last, options=given)


@pytest.mark.parametrize("t", ["bf16", "f16"])
def test_formats(t: str) -> None:
    case, options = CASES[0]
    found = sizes(case, options, T=t) | {"Y": 2, "Z": 1}

    def wanted(dy: torch.Tensor, x: torch.Tensor) -> list[torch.Tensor]:
        return parts_and_sum(dy, x, (2, 1), TILES["pixels"], (9, 5, 3, 3), options)

    given = {**TILES, **options, "sums": 2}
    agrees(convolution_weight.weight_gradient_2d, found, wanted, options=given)


def test_the_tiles_offered_first_fit_a_small_image() -> None:
    case, options = CASES[1]
    found = sizes(case, options) | {"Y": 1, "Z": 1}

    def wanted(dy: torch.Tensor, x: torch.Tensor) -> list[torch.Tensor]:
        total = weight_gradient(dy, x, (8, 4, 1, 1), options)
        return [total.movedim((0, 1), (-2, -1))[None, None], total]

    agrees(convolution_weight.weight_gradient_2d, found, wanted, options=options)
