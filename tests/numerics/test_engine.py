"""The card's products in the chip's own order are those of the core, for every op that has one."""

from __future__ import annotations

import pytest
import torch

from suiren.core.accumulate import product
from suiren.hw.accumulate import accumulation
from suiren.hw.load import resolve_card
from suiren.numerics.engine import MOST_MACS, Engine

CHIPS = ["t21", "v100", "a100", "h100"]


def operands(dtype: torch.dtype, *batch: int) -> tuple[torch.Tensor, torch.Tensor]:
    draw = torch.Generator().manual_seed(0)
    a = torch.randn(*batch, 8, 96, generator=draw)
    b = torch.randn(*batch, 96, 6, generator=draw)
    return a.to(dtype), b.to(dtype)


@pytest.mark.parametrize("chip", CHIPS)
def test_a_half_product_is_the_cores(chip: str) -> None:
    card = resolve_card(chip)
    a, b = operands(torch.float16)
    found = Engine(card).product(a, b, tf32=False)
    assert found is not None
    how = accumulation(card, "fp16")
    expected = product(a.double().numpy(), b.double().numpy(), how)
    assert torch.equal(found, torch.from_numpy(expected).float())


def test_chips_sum_the_same_operands_differently() -> None:
    a, b = operands(torch.float16)
    sums = [Engine(resolve_card(chip)).product(a, b, tf32=False) for chip in CHIPS]
    assert all(s is not None for s in sums)
    assert len({tuple(s.reshape(-1).tolist()) for s in sums if s is not None}) == len(CHIPS)


def test_a_batch_is_summed_matrix_by_matrix() -> None:
    engine = Engine(resolve_card("a100"))
    a, b = operands(torch.bfloat16, 3)
    whole = engine.product(a, b, tf32=False)
    assert whole is not None
    for i in range(3):
        one = engine.product(a[i], b[i], tf32=False)
        assert one is not None
        assert torch.equal(whole[i], one)


def test_what_stays_with_the_host() -> None:
    """FP32 without TF32, a format that the chip does not multiply, and a product too large."""
    a, b = operands(torch.float32)
    assert Engine(resolve_card("a100")).product(a, b, tf32=False) is None
    assert Engine(resolve_card("a100")).product(a, b, tf32=True) is not None
    half = operands(torch.bfloat16)
    assert Engine(resolve_card("v100")).product(*half, tf32=False) is None
    large = torch.zeros(1, dtype=torch.float16).expand(MOST_MACS // 4, 4)
    assert Engine(resolve_card("a100")).product(large, large.T[:, :2], tf32=False) is None
