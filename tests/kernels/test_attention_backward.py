"""Fused attention, backward: every form against PyTorch's autograd, in float64."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from against_torch import agrees

from suiren.core.formats import round_to
from suiren.core.kernel import Kernel
from suiren.kernels.attention_backward import (
    attention_backward,
    attention_backward_keys,
    attention_backward_queries,
    attention_delta,
    attention_masked_backward,
    attention_packed_backward,
)

SHAPES = [
    # B, H, K, S, L, D, E
    (1, 1, 1, 1, 1, 1, 1),
    (2, 2, 1, 32, 32, 8, 4),
    (1, 1, 1, 37, 37, 5, 7),
    (1, 2, 2, 50, 13, 8, 8),
    (1, 4, 2, 9, 45, 8, 8),
    (1, 1, 1, 33, 1, 8, 8),
]
KEYS, QUERIES = {"tk": 16, "tq": 8}, {"tq": 16, "tk": 8}
FUSED = {**KEYS, "tm": 16}
Attend = Callable[..., torch.Tensor]


def attend(
    q: Any, k: Any, v: Any, bias: Any = None, causal: bool = False, scale: Any = None
) -> Any:
    """(out, log-sum-exp) of [..., H, S, D]."""
    ratio = q.shape[-3] // k.shape[-3]
    k, v = (t.repeat_interleave(ratio, -3) for t in (k, v))
    scores = q @ k.mT * (q.shape[-1] ** -0.5 if scale is None else scale)
    if bias is not None:
        scores = scores + bias
    if causal:
        scores = scores.masked_fill(~torch.ones(scores.shape[-2:]).tril().bool(), float("-inf"))
    low = torch.finfo(torch.float32).min
    return scores.softmax(-1).nan_to_num(0.0) @ v, scores.logsumexp(-1).clamp(min=low)


class Case:
    """Inputs of one case in their format, and the gradients that they should give."""

    def __init__(
        self, shape: tuple[int, ...], dtype: str = "f32", bias: Any = None, far: float = 0.0,
        **how: Any,
    ) -> None:  # fmt: skip
        b, h, kv, s, n, d, e = shape
        rng = np.random.default_rng(1)
        shapes = {"q": (b, h, s, d), "k": (b, kv, n, d), "v": (b, kv, n, e), "grad": (b, h, s, e)}
        self.inputs = {
            name: round_to(rng.standard_normal(size), dtype) for name, size in shapes.items()
        }
        self.inputs["q"] += far
        self.inputs["k"] -= far
        self.sizes = {**dict(zip("BHKSLDE", shape, strict=True)), "T": dtype}
        if bias is not None:
            self.inputs["bias"] = bias
            self.sizes |= {**dict(zip("XYZW", bias.shape, strict=True)), "U": "f32"}
            if bias.dtype == bool:
                self.sizes["U"], bias = "b8", np.where(bias, 0.0, -np.inf)
        self.how, self.added = how, None if bias is None else torch.from_numpy(bias)
        self._forward()

    def _forward(self) -> None:
        q, k, v, grad = (torch.from_numpy(self.inputs[n]) for n in ("q", "k", "v", "grad"))
        q, k, v = (t.requires_grad_() for t in (q, k, v))
        out, lse = attend(q, k, v, self.added, **self.how)
        scores_grad_free = out.detach()
        self.gradients = dict(
            zip(("dq", "dk", "dv"), torch.autograd.grad(out, (q, k, v), grad), strict=True)
        )
        self.inputs["out"], self.inputs["lse"] = scores_grad_free.numpy(), lse.detach().numpy()
        self.inputs["delta"] = (scores_grad_free * grad).sum(-1).numpy()
        self.gradients["delta"] = torch.from_numpy(self.inputs["delta"])
        scale = self.how.get("scale", q.shape[-1] ** -0.5)
        self.gradients["sums"] = self.gradients["dq"] / scale

    def agrees(self, kernel: Kernel, options: dict[str, Any], slack: float = 32.0) -> None:
        results = [p.name for p in kernel.signature.outputs]
        names = [p.name for p in kernel.signature.inputs]
        causal = {"causal": self.how["causal"]} if "causal" in self.how else {}
        scale = {"scale": self.how["scale"]} if "scale" in self.how else {}
        agrees(
            kernel, self.sizes, lambda *_: [self.gradients[r] for r in results],
            options={**options, **causal, **scale},
            inputs={n: self.inputs[n] for n in names}, slack=slack,
        )  # fmt: skip


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("shape", SHAPES)
def test_gradients_of_any_shape(shape: tuple[int, ...], causal: bool) -> None:
    case = Case(shape, causal=causal)
    case.agrees(attention_backward_keys, KEYS)
    case.agrees(attention_backward_queries, QUERIES)
    case.agrees(attention_backward, FUSED)


@pytest.mark.parametrize("dtype", ["bf16", "f16"])
def test_gradients_in_half_formats(dtype: str) -> None:
    case = Case((1, 4, 2, 29, 29, 16, 16), dtype, causal=True)
    case.agrees(attention_backward_keys, KEYS)
    case.agrees(attention_backward_queries, QUERIES)
    case.agrees(attention_backward, FUSED)


@pytest.mark.parametrize("options", [
    {"tk": 8, "tq": 8, "stages": 1}, {"tk": 32, "tq": 4, "stages": 3, "buffers": 2},
    {"tk": 1, "tq": 1}, {},
])  # fmt: skip
def test_gradients_with_any_tiles(options: dict[str, Any]) -> None:
    case = Case((1, 2, 1, 20, 20, 4, 4), causal=True)
    case.agrees(attention_backward_keys, options)
    case.agrees(attention_backward, {**options, "tm": 8})
    turned = {"tk": "tq", "tq": "tk"}
    case.agrees(attention_backward_queries, {turned.get(k, k): v for k, v in options.items()})


@pytest.mark.parametrize("scale", [0.7, -0.4])
def test_gradients_with_a_scale(scale: float) -> None:
    case = Case((1, 1, 1, 18, 18, 8, 8), scale=scale)
    case.agrees(attention_backward, FUSED)
    case.agrees(attention_backward_queries, QUERIES)


@pytest.mark.parametrize("mask", [(2, 2, 21, 19), (1, 1, 21, 19), (2, 1, 1, 19), (1, 2, 21, 1)])
def test_gradients_with_an_additive_mask(mask: tuple[int, ...]) -> None:
    bias = np.random.default_rng(2).standard_normal(mask).astype(np.float32).astype(np.float64)
    Case((2, 2, 2, 21, 19, 8, 8), bias=bias).agrees(attention_masked_backward, FUSED)


@pytest.mark.parametrize("boolean", [True, False])
def test_gradients_with_hidden_keys(boolean: bool) -> None:
    seen = np.random.default_rng(3).random((2, 1, 1, 19)) < 0.6
    bias = seen if boolean else np.where(seen, 0.0, -np.inf)
    Case((2, 2, 2, 21, 19, 8, 8), bias=bias).agrees(attention_masked_backward, FUSED)


@pytest.mark.parametrize("causal", [False, True])
def test_keys_past_the_end_weigh_nothing_however_low_the_scores(causal: bool) -> None:
    # exp(0 − lse) of a padded key overflows where all scores are near −200
    case = Case((1, 1, 1, 20, 21, 4, 4), far=10.0, causal=causal)
    case.agrees(attention_backward, FUSED, slack=2048)
    case.agrees(attention_backward_keys, KEYS, slack=2048)
    case.agrees(attention_backward_queries, QUERIES, slack=2048)


def test_queries_past_the_end_weigh_nothing_however_high_the_mask() -> None:
    # a mask row that all queries share is also added to the padded ones
    bias = np.full((1, 1, 1, 19), 100.0)
    case = Case((1, 1, 1, 21, 19, 4, 4), bias=bias)
    case.agrees(attention_masked_backward, FUSED, slack=2048)


@pytest.mark.parametrize("shape", [(1, 1, 1, 1), (2, 3, 19, 5), (1, 1, 64, 16)])
@pytest.mark.parametrize("dtype", ["f32", "bf16"])
def test_delta_is_the_sum_of_out_times_grad(shape: tuple[int, ...], dtype: str) -> None:
    agrees(
        attention_delta, {**dict(zip("BHSE", shape, strict=True)), "T": dtype},
        lambda out, grad: (out * grad).sum(-1), options={"tm": 8},
    )  # fmt: skip


@pytest.mark.parametrize("causal", [False, True])
def test_gradients_of_packed_sequences(causal: bool) -> None:
    lengths = ((20, 11), (1, 4), (12, 18))
    rng = np.random.default_rng(4)
    shapes = {"q": (33, 4, 8), "k": (33, 2, 8), "v": (33, 2, 6), "grad": (33, 4, 6)}
    given = {
        n: torch.from_numpy(round_to(rng.standard_normal(s), "f32")) for n, s in shapes.items()
    }
    q, k, v = (given[n].requires_grad_() for n in ("q", "k", "v"))
    parts, row0, key0 = [], 0, 0
    for rows, keys in lengths:
        one = (q[row0 : row0 + rows], k[key0 : key0 + keys], v[key0 : key0 + keys])
        parts.append(attend(*(t.transpose(0, 1) for t in one), causal=causal))
        row0, key0 = row0 + rows, key0 + keys
    out = torch.cat([o.transpose(0, 1) for o, _ in parts])
    lse = torch.cat([e for _, e in parts], -1)
    dq, dk, dv = torch.autograd.grad(out, (q, k, v), given["grad"])
    delta = (out * given["grad"]).sum(-1).T
    inputs = {**given, "out": out, "lse": lse}
    agrees(
        attention_packed_backward,
        {"N": 33, "M": 33, "H": 4, "K": 2, "D": 8, "E": 6, "T": "f32"},
        lambda *_: (dq, dk, dv, delta, dq * 8**0.5), slack=32,
        options={**FUSED, "lengths": lengths, "causal": causal},
        inputs={n: t.detach().numpy() for n, t in inputs.items()},
    )  # fmt: skip
