"""Convolutions and transposed convolutions in every layout agree with PyTorch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from against_torch import agrees
from convolution_cases import CASES, CONV, moved, sizes
from torch.nn import functional

from suiren.core.kernel import Kernel
from suiren.core.tile import KernelMistake
from suiren.kernels import convolution

TILES = {"tm": 8, "tk": 4, "pixels": 12, "stages": 2}


def of(kind: str, dims: int) -> Kernel:
    return getattr(convolution, f"{kind}_{dims}d")


def with_packed(function: Callable[..., Any]) -> Callable[..., Any]:
    def both(x: torch.Tensor, w: torch.Tensor, *bias: torch.Tensor) -> list[torch.Tensor]:
        return [w.movedim((0, 1), (-2, -1)), function(x, w, *bias)]

    return both


def every_layout(
    kind: str, case: tuple[Any, ...], options: dict[str, Any], wanted: Callable[..., Any]
) -> None:
    dims, given = len(case[3]), {**TILES, **options}
    found = sizes(case, options)
    for bias in ("", "_bias"):
        agrees(of(kind + bias, dims), found, wanted, options=given)
        agrees(of(f"{kind}_packed{bias}", dims), found, with_packed(wanted), options=given)
        agrees(of(f"{kind}_last{bias}", dims), found, moved(wanted), options=given)


@pytest.mark.parametrize(("case", "options"), CASES)
def test_forward(case: tuple[Any, ...], options: dict[str, Any]) -> None:
    every_layout("convolution", case, options, lambda x, w, *bias: (
        CONV[len(case[3])](x, w, *bias, **options)))  # fmt: skip


@pytest.mark.parametrize(("case", "options"), CASES)
def test_transposed(case: tuple[Any, ...], options: dict[str, Any]) -> None:
    n, c, _, space, _ = case

    def gradient(x: torch.Tensor, w: torch.Tensor, *bias: torch.Tensor) -> torch.Tensor:
        image = torch.zeros(n, c, *space, dtype=torch.float64, requires_grad=True)
        CONV[len(space)](image, w, **options).backward(x)
        assert image.grad is not None
        return image.grad + (bias[0].view(-1, *(1 for _ in space)) if bias else 0)

    every_layout("transposed", case, options, gradient)


def test_transposed_is_what_the_layer_of_that_name_does() -> None:
    found = {"N": 2, "O": 3, "I": 4, "C": 4, "H": 8, "W": 8, "P": 4, "Q": 4, "R": 3, "S": 3}
    options = {"stride": 2, "padding": 1}
    agrees(convolution.transposed_bias_2d, {**found, "T": "f32"}, options={**TILES, **options},
           reference=lambda x, w, bias: functional.conv_transpose2d(
               x, w, bias, output_padding=1, **options))  # fmt: skip


@pytest.mark.parametrize("t", ["bf16", "f16"])
@pytest.mark.parametrize("kind", ["convolution_bias", "convolution_last_bias"])
def test_formats_and_activations(t: str, kind: str) -> None:
    case, options = CASES[0]
    wanted: Callable[..., Any] = lambda x, w, b: functional.conv2d(x, w, b, **options).relu()  # noqa: E731
    agrees(of(kind, 2), sizes(case, options, T=t), moved(wanted) if "last" in kind else wanted,
           options={**TILES, **options, "activation": "relu"})  # fmt: skip


def test_the_tiles_offered_first_fit_a_small_image() -> None:
    case, options = CASES[0]
    agrees(convolution.convolution_2d, sizes(case, options), options=options,
           reference=lambda x, w: functional.conv2d(x, w, **options))  # fmt: skip


def test_channels_that_do_not_fit_the_groups_are_a_mistake() -> None:
    with pytest.raises(KernelMistake, match="in 2 groups"):
        convolution.convolution_2d.build({"C": 8, "I": 8, "O": 8}, groups=2)
