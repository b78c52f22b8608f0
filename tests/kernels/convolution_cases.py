"""Convolutions to try, the sizes that PyTorch gives their results, and their gradients."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch.nn import functional

from suiren.kernels.convolution_axes import box
from suiren.kernels.convolution_weight import run_of

CONV = {1: functional.conv1d, 2: functional.conv2d, 3: functional.conv3d}
NAMES = {1: ("W", "S", "Q"), 2: ("HW", "RS", "PQ"), 3: ("DHW", "URS", "EPQ")}

#: images, channels in and out, input, window; stride, padding, dilation, groups
CASES: list[tuple[tuple[Any, ...], dict[str, Any]]] = [
    ((2, 5, 9, (7, 6), (3, 3)), {"padding": 1}),
    ((1, 4, 8, (8, 8), (1, 1)), {}),
    ((3, 3, 4, (9, 11), (3, 2)), {"stride": 2, "padding": (1, 0)}),
    ((1, 8, 12, (7, 5), (3, 3)), {"stride": (3, 1), "dilation": (1, 2), "groups": 4, "padding": 2}),
    ((2, 4, 4, (6, 7), (2, 3)), {"stride": (2, 4), "dilation": (2, 2), "groups": 2}),
    ((1, 3, 5, (8, 8), (4, 4)), {"stride": 4}),
    ((1, 2, 3, (5, 5), (1, 1)), {"stride": 3}),
    ((2, 3, 5, (13,), (3,)), {"stride": 2, "padding": 2, "dilation": 2}),
    ((1, 2, 3, (4, 5, 6), (2, 3, 1)), {"stride": (1, 2, 2), "padding": (1, 1, 0)}),
]


def sizes(case: tuple[Any, ...], options: dict[str, Any], **more: str) -> dict[str, int | str]:
    """Sizes by name, the result's as PyTorch computes them."""
    n, c, o, space, taps = case
    groups = options.get("groups", 1)
    x, w = torch.empty(n, c, *space), torch.empty(o, c // groups, *taps)
    result = CONV[len(space)](x, w, **options).shape[2:]
    found: dict[str, int | str] = {"N": n, "C": c, "O": o, "I": c // groups, "T": "f32", **more}
    for names, numbers in zip(NAMES[len(space)], (space, taps, result), strict=True):
        found.update(zip(names, numbers, strict=True))
    return found


def second(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.movedim(-1, 1)


def moved(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function for tensors whose channels lie last."""

    def turned(*tensors: torch.Tensor) -> torch.Tensor:
        result = function(*(second(t) if t.ndim > 1 else t for t in tensors))
        return result.movedim(1, -1)

    return turned


def weight_gradient(
    dy: torch.Tensor, x: torch.Tensor, shape: tuple[int, ...], options: dict[str, Any]
) -> torch.Tensor:
    w = torch.zeros(shape, dtype=torch.float64, requires_grad=True)
    CONV[x.ndim - 2](x, w, **options).backward(dy)
    assert w.grad is not None
    return w.grad


def parts_and_sum(
    dy: torch.Tensor, x: torch.Tensor, cuts: tuple[int, int], pixels: int,
    shape: tuple[int, ...], options: dict[str, Any],
) -> list[torch.Tensor]:  # fmt: skip
    """`part[Y,Z,taps,O,I]`, every part from a gradient that is zero elsewhere, and the whole."""
    tile = box(pixels, (dy.shape[0], *dy.shape[2:]))
    runs = [run_of(dy.shape[d], tile[t], cuts[t]) for t, d in enumerate((0, 2))]
    rows = []
    for y in range(cuts[0]):
        for z in range(cuts[1]):
            only = torch.zeros_like(dy)
            kept = (slice(y * runs[0], (y + 1) * runs[0]), slice(None),
                    slice(z * runs[1], (z + 1) * runs[1]))  # fmt: skip
            only[kept] = dy[kept]
            rows.append(weight_gradient(only, x, shape, options).movedim((0, 1), (-2, -1)))
    return [torch.stack(rows).unflatten(0, cuts), weight_gradient(dy, x, shape, options)]
