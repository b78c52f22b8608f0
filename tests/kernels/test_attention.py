"""Fused attention, forward: every form against PyTorch's own, in float64."""

from __future__ import annotations

from math import sqrt
from typing import Any

import pytest
import torch
from against_torch import agrees

from suiren.core.tile import KernelMistake
from suiren.kernels.attention import attention, attention_masked, attention_packed

SMALL = {"tm": 16, "tn": 8}
SHAPES = [
    # B, H, K, S, L, D, E
    (1, 1, 1, 1, 1, 1, 1),
    (1, 2, 2, 16, 16, 8, 8),
    (2, 2, 1, 40, 40, 8, 4),
    (1, 1, 1, 37, 37, 5, 7),
    (1, 2, 2, 50, 13, 8, 8),
    (1, 4, 2, 9, 61, 8, 8),
    (1, 1, 1, 1, 70, 8, 8),
    (1, 1, 1, 70, 1, 8, 8),
]


def reference(
    q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, bias: torch.Tensor | None = None,
    causal: bool = False, scale: float | None = None,
) -> tuple[torch.Tensor, torch.Tensor]:  # fmt: skip
    ratio = q.shape[1] // k.shape[1]
    k, v = (t.repeat_interleave(ratio, 1) for t in (k, v))
    scores = q @ k.mT * (1 / sqrt(q.shape[-1]) if scale is None else scale)
    if bias is not None:
        scores = scores + bias
    if causal:
        scores = scores.masked_fill(~torch.ones(scores.shape[-2:]).tril().bool(), float("-inf"))
    return scores.softmax(-1).nan_to_num(0.0) @ v, scores.logsumexp(-1)


def sizes_of(shape: tuple[int, ...], dtype: str = "f32") -> dict[str, Any]:
    return {**dict(zip("BHKSLDE", shape, strict=True)), "T": dtype}


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("shape", SHAPES)
def test_attention_of_any_shape(shape: tuple[int, ...], causal: bool) -> None:
    agrees(
        attention, sizes_of(shape), lambda q, k, v: reference(q, k, v, causal=causal),
        options={**SMALL, "causal": causal}, slack=16,
    )  # fmt: skip


@pytest.mark.parametrize("dtype", ["f64", "bf16", "f16"])
@pytest.mark.parametrize("causal", [False, True])
def test_attention_in_every_format(dtype: str, causal: bool) -> None:
    # the log-sum-exp is f32 whatever the inputs are
    agrees(
        attention, sizes_of((1, 4, 2, 45, 45, 16, 16), dtype),
        lambda q, k, v: reference(q, k, v, causal=causal),
        options={**SMALL, "causal": causal}, slack=16 if dtype != "f64" else 2**20,
    )  # fmt: skip


@pytest.mark.parametrize("options", [
    {"tm": 16, "tn": 16, "groups": 1}, {"tm": 32, "tn": 8, "groups": 4, "stages": 4},
    {"tm": 16, "tn": 4, "stages": 1, "buffers": 1}, {"resident": 2, **SMALL},
    {"tm": 1, "tn": 1, "groups": 1}, {},
])  # fmt: skip
@pytest.mark.parametrize("causal", [False, True])
def test_attention_with_any_tiles(options: dict[str, Any], causal: bool) -> None:
    agrees(
        attention, sizes_of((1, 4, 2, 30, 30, 4, 4)),
        lambda q, k, v: reference(q, k, v, causal=causal),
        options={**options, "causal": causal}, slack=16,
    )  # fmt: skip


@pytest.mark.parametrize("scale", [0.3, 2.0, 0.0, -0.5])
def test_scale_of_any_sign(scale: float) -> None:
    agrees(
        attention, sizes_of((1, 1, 1, 20, 20, 8, 8)),
        lambda q, k, v: reference(q, k, v, scale=scale),
        options={**SMALL, "scale": scale}, slack=64,
    )  # fmt: skip


@pytest.mark.parametrize("mask", [(2, 4, 21, 19), (1, 1, 21, 19), (2, 1, 1, 19), (1, 4, 21, 1)])
def test_additive_mask_broadcasts(mask: tuple[int, ...]) -> None:
    agrees(
        attention_masked,
        {**sizes_of((2, 4, 2, 21, 19, 8, 8)), **dict(zip("XYZW", mask, strict=True)), "U": "f32"},
        reference, options=SMALL, slack=16,
    )  # fmt: skip


@pytest.mark.parametrize("low", [float("-inf"), torch.finfo(torch.float32).min])
def test_mask_may_hide_the_first_blocks(low: float) -> None:
    bias = torch.zeros(1, 1, 20, 40)
    bias[..., :11] = low
    bias[:, :, 5, 30:] = low
    agrees(
        attention_masked,
        {**sizes_of((1, 2, 2, 20, 40, 8, 8)), "X": 1, "Y": 1, "Z": 20, "W": 40, "U": "f32"},
        reference, options=SMALL, inputs={"bias": bias.numpy()}, slack=16,
    )  # fmt: skip


def test_boolean_mask_says_what_is_seen() -> None:
    seen = torch.rand(2, 1, 1, 33, generator=torch.Generator().manual_seed(0)) < 0.6
    agrees(
        attention_masked,
        {**sizes_of((2, 2, 2, 17, 33, 8, 8), "bf16"), "X": 2, "Y": 1, "Z": 1, "W": 33, "U": "b8"},
        lambda q, k, v, m: reference(q, k, v, torch.where(m != 0, 0.0, float("-inf"))),
        options=SMALL, inputs={"bias": seen.numpy()}, slack=16,
    )  # fmt: skip


def test_a_query_that_sees_nothing_gets_zeros() -> None:
    bias = torch.zeros(1, 1, 10, 12)
    bias[:, :, 3] = float("-inf")

    def zero_row(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, b: torch.Tensor) -> Any:
        out, lse = reference(q, k, v, b)
        # the backward pass subtracts it from -inf: any finite number will do
        lse[:, :, 3] = torch.finfo(torch.float32).min
        return out, lse

    agrees(
        attention_masked,
        {**sizes_of((1, 1, 1, 10, 12, 4, 4)), "X": 1, "Y": 1, "Z": 10, "W": 12, "U": "f32"},
        zero_row, options=SMALL, inputs={"bias": bias.numpy()}, slack=16,
    )  # fmt: skip


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("lengths", [None, ((20, 20), (1, 1), (9, 9)), ((5, 18), (25, 12))])
def test_packed_sequences_keep_to_themselves(lengths: Any, causal: bool) -> None:
    def packed(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> Any:
        parts, row0, key0 = [], 0, 0
        for rows, keys in lengths or ((30, 30),):
            one = (q[row0 : row0 + rows], k[key0 : key0 + keys], v[key0 : key0 + keys])
            parts.append(reference(*(t.transpose(0, 1)[None] for t in one), causal=causal))
            row0, key0 = row0 + rows, key0 + keys
        return (torch.cat([o[0].transpose(0, 1) for o, _ in parts]),
                torch.cat([e[0] for _, e in parts], -1))  # fmt: skip

    agrees(
        attention_packed,
        {"N": 30, "M": 30, "H": 4, "K": 2, "D": 8, "E": 8, "T": "f32"},
        packed, options={**SMALL, "lengths": lengths, "causal": causal}, slack=16,
    )  # fmt: skip


def test_tiles_that_do_not_fit_are_named() -> None:
    with pytest.raises(KernelMistake, match="40 queries does not split into 3 groups"):
        attention.build(tm=40, groups=3)
    with pytest.raises(KernelMistake, match="whole number of blocks of 48"):
        attention.build(tm=64, tn=48, causal=True)
    with pytest.raises(KernelMistake, match="3 query heads cannot share 2"):
        attention.build({"H": 3, "K": 2})
    with pytest.raises(KernelMistake, match="add up to 7 queries"):
        attention_packed.build(lengths=((7, 4096),))
