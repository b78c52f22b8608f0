"""What runs before fused attention: positions turned in, keys and values kept."""

from __future__ import annotations

import pytest
import torch
from against_torch import agrees

from suiren.kernels.attention import attention
from suiren.kernels.attention_prepare import attention_keep, attention_prepare


def turned(x: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor) -> torch.Tensor:
    """Rotary embedding of [N, H, D] by angles [N, D/2]."""
    a, b = x.chunk(2, -1)
    cos, sin = cos[:, None], sin[:, None]
    return torch.cat([a * cos - b * sin, a * sin + b * cos], -1)


@pytest.mark.parametrize(("tokens", "heads", "kept"), [(1, 1, 1), (5, 4, 2), (9, 6, 3)])
@pytest.mark.parametrize("together", [1, 2])
def test_prepare_turns_queries_and_keys_and_keeps_values(
    tokens: int, heads: int, kept: int, together: int
) -> None:
    def reference(
        q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor
    ) -> tuple[torch.Tensor, ...]:
        return turned(q, cos, sin), turned(k, cos, sin), v

    sizes = {"N": tokens, "H": heads, "K": kept, "D": 8, "E": 4, "T": "f32", "U": "f32", "C": "f32"}
    agrees(attention_prepare, sizes, reference, options={"tm": 4, "heads": together})


def test_keep_copies_keys_and_values() -> None:
    agrees(attention_keep, {"N": 7, "K": 3, "D": 8, "T": "f32", "C": "f32"},
           lambda k, v: (k, v), options={"tm": 4})  # fmt: skip


@pytest.mark.parametrize("groups", [1, 2])
def test_a_chain_of_blocks_gives_the_same_as_working_ahead(groups: int) -> None:
    def reference(
        q: torch.Tensor, k: torch.Tensor, v: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        scores = q @ k.transpose(-1, -2) * q.shape[-1] ** -0.5
        scores = scores.masked_fill(torch.ones_like(scores).triu(1).bool(), float("-inf"))
        return scores.softmax(-1) @ v, scores.logsumexp(-1)

    sizes = {"B": 1, "H": 2, "K": 2, "S": 40, "L": 40, "D": 8, "E": 8, "T": "f32"}
    options = {"causal": True, "tm": 16, "tn": 8, "groups": groups, "ahead": False}
    agrees(attention, sizes, reference, options=options)
