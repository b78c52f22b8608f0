"""Scores of attention that is not fused, against PyTorch in float64."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from against_torch import agrees

from suiren.core.tile import KernelMistake
from suiren.kernels.attention_scores import attention_scores, attention_scores_masked

SMALL = {"tm": 16, "tn": 8, "tk": 8}
#: B, H, K, S, L, D
SHAPES = [(1, 1, 1, 1, 1, 1), (2, 4, 2, 33, 21, 12), (1, 2, 2, 16, 16, 8), (1, 3, 1, 5, 70, 20)]


def sizes_of(shape: tuple[int, ...], dtype: str = "f32", result: str = "f32") -> dict[str, Any]:
    return {**dict(zip("BHKSLD", shape, strict=True)), "T": dtype, "V": result}


def wanted(q: Any, k: Any, bias: Any = None, causal: bool = False, scale: Any = None) -> Any:
    k = k.repeat_interleave(q.shape[1] // k.shape[1], 1)
    scores = q @ k.mT * (q.shape[-1] ** -0.5 if scale is None else scale)
    if bias is not None:
        scores = scores + bias
    if causal:
        scores = scores.masked_fill(~torch.ones(scores.shape[-2:]).tril().bool(), float("-inf"))
    return scores


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("shape", SHAPES)
def test_scores_of_any_shape(shape: tuple[int, ...], causal: bool) -> None:
    agrees(attention_scores, sizes_of(shape), lambda q, k: wanted(q, k, causal=causal),
           options={**SMALL, "causal": causal})  # fmt: skip


@pytest.mark.parametrize("formats", [("f64", "f64"), ("bf16", "f32"), ("f16", "f16")])
@pytest.mark.parametrize("options", [{}, {"tm": 7, "tn": 5, "tk": 3, "stages": 1}])
def test_scores_in_every_format(formats: tuple[str, str], options: dict[str, int]) -> None:
    agrees(attention_scores, sizes_of(SHAPES[1], *formats), lambda q, k: wanted(q, k, scale=-0.7),
           options={**options, "scale": -0.7})  # fmt: skip


@pytest.mark.parametrize("mask", [(2, 4, 33, 21), (1, 1, 33, 21), (2, 1, 1, 21), (1, 4, 33, 1)])
def test_a_mask_is_added(mask: tuple[int, ...]) -> None:
    sizes = {**sizes_of(SHAPES[1]), **dict(zip("XYZW", mask, strict=True)), "U": "f32"}
    agrees(attention_scores_masked, sizes, wanted, options=SMALL)


def test_a_boolean_mask_hides() -> None:
    seen = np.random.default_rng(0).random((2, 1, 1, 21)) < 0.5
    sizes = {**sizes_of(SHAPES[1]), **dict(zip("XYZW", seen.shape, strict=True)), "U": "b8"}
    agrees(
        attention_scores_masked, sizes,
        lambda q, k, m: wanted(q, k, torch.where(m != 0, 0.0, float("-inf"))),
        options=SMALL, inputs={"bias": seen},
    )  # fmt: skip


def test_heads_that_do_not_divide_are_named() -> None:
    with pytest.raises(KernelMistake, match="3 query heads cannot share 2"):
        attention_scores.build({"H": 3, "K": 2})
