"""Convolutions to try, and the sizes that PyTorch gives their results."""

from __future__ import annotations

from typing import Any

import torch
from torch.nn import functional

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
