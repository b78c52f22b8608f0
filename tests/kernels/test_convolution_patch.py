"""Convolutions of few channels, put together in the scratchpad, agree with PyTorch."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from against_torch import agrees
from convolution_cases import CASES, CONV, moved, parts_and_sum, sizes

from suiren.core.kernel import Kernel
from suiren.kernels import convolution_patch

TILES = {"tm": 8, "pixels": 12}


def of(kind: str, dims: int) -> Kernel:
    return getattr(convolution_patch, f"{kind}_{dims}d")


@pytest.mark.parametrize(("case", "options"), CASES)
@pytest.mark.parametrize("tk", [8, 64])
def test_forward(case: tuple[Any, ...], options: dict[str, Any], tk: int) -> None:
    dims = len(case[3])

    def wanted(x: torch.Tensor, w: torch.Tensor, *bias: torch.Tensor) -> torch.Tensor:
        return CONV[dims](x, w, *bias, **options)

    given, found = {**TILES, "tk": tk, **options}, sizes(case, options)
    for bias in ("", "_bias"):
        agrees(of(f"patch{bias}", dims), found, wanted, options=given)
        agrees(of(f"patch_last{bias}", dims), found, moved(wanted), options=given)


@pytest.mark.parametrize(("case", "options"), CASES)
@pytest.mark.parametrize(("cuts", "tn"), [((1, 1), 64), ((2, 3), 8)])
def test_weight_gradient(
    case: tuple[Any, ...], options: dict[str, Any], cuts: tuple[int, int], tn: int
) -> None:
    _, c, o, space, taps = case
    shape = (o, c // options.get("groups", 1), *taps)
    found = sizes(case, options) | {"Y": cuts[0], "Z": cuts[1]}

    def wanted(dy: torch.Tensor, x: torch.Tensor) -> list[torch.Tensor]:
        parts, total = parts_and_sum(dy, x, cuts, TILES["pixels"], shape, options)
        return [parts.movedim((-2, -1), (2, 3)), total]

    def wanted_last(dy: torch.Tensor, x: torch.Tensor) -> list[torch.Tensor]:
        parts, total = wanted(dy.movedim(-1, 1), x.movedim(-1, 1))
        return [parts, total.movedim(1, -1)]

    given = {**TILES, "tn": tn, **options}
    agrees(of("patch_weight", len(space)), found, wanted, options=given)
    agrees(of("patch_weight_last", len(space)), found, wanted_last, options=given)


@pytest.mark.parametrize("t", ["bf16", "f16"])
def test_formats_and_activations(t: str) -> None:
    case, options = CASES[2]

    def wanted(x: torch.Tensor, w: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.silu(CONV[2](x, w, bias, **options))

    given = {**TILES, **options, "activation": "silu", "sums": 2}
    agrees(convolution_patch.patch_bias_2d, sizes(case, options, T=t), wanted, options=given)


def test_the_tiles_offered_first_fit_a_small_image() -> None:
    case, options = CASES[2]
    agrees(convolution_patch.patch_2d, sizes(case, options), options=options,
           reference=lambda x, w: CONV[2](x, w, **options))  # fmt: skip
