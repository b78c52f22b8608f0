"""Products of eight-bit operands with scales agree with PyTorch."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from against_torch import agrees

from suiren.core.tile import KernelMistake
from suiren.kernels import matmul_scaled
from suiren.kernels.matmul import LAYOUTS

TILES = {"tm": 16, "tn": 16, "tk": 16}


def product(layout: str, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    return (a.mT if layout[0] == "t" else a) @ (b.mT if layout[1] == "t" else b)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("scales", [(1, 1), (20, 18), (20, 1)])
@pytest.mark.parametrize("t", ["f8e4m3", "f8e5m2"])
def test_scales_of_rows_and_columns(layout: str, scales: tuple[int, int], t: str) -> None:
    def wanted(
        a: torch.Tensor,
        b: torch.Tensor,
        rows: torch.Tensor,
        cols: torch.Tensor,
        *bias: torch.Tensor,
    ) -> torch.Tensor:
        return rows[:, None] * product(layout, a, b) * cols + sum(bias)

    sizes = {"M": 20, "N": 18, "K": 40, "U": scales[0], "V": scales[1], "A": t, "C": "bf16"}
    agrees(getattr(matmul_scaled, f"scaled_{layout}"), sizes, wanted, options=TILES)
    agrees(getattr(matmul_scaled, f"scaled_bias_{layout}"), sizes, wanted, options=TILES)


def test_eight_bit_integers_with_scales() -> None:
    rng = np.random.default_rng(0)
    whole = {"a": rng.integers(-128, 128, (20, 40)), "b": rng.integers(-128, 128, (18, 40))}
    sizes = {"M": 20, "N": 18, "K": 40, "U": 20, "V": 18, "A": "i8", "B": "i8", "C": "f16"}
    scaled = {**whole, "scale_a": rng.random(20) / 256, "scale_b": rng.random(18) / 256}
    agrees(matmul_scaled.scaled_nt, sizes, options=TILES, inputs=scaled,
           reference=lambda a, b, u, v: u[:, None] * (a @ b.T) * v)  # fmt: skip


@pytest.mark.parametrize("shape", [(20, 18, 40), (16, 16, 16), (5, 33, 50)])
def test_scales_of_blocks(shape: tuple[int, int, int]) -> None:
    m, n, k = shape
    sizes = {"M": m, "N": n, "K": k, "L": -(-k // 16), "P": -(-n // 16), "C": "bf16"}

    def wanted(
        a: torch.Tensor, b: torch.Tensor, rows: torch.Tensor, blocks: torch.Tensor
    ) -> torch.Tensor:
        a = a * rows.repeat_interleave(16, 1)[:, :k]
        return a @ (b * blocks.repeat_interleave(16, 0)[:n].repeat_interleave(16, 1)[:, :k]).T

    options = {"tm": 16, "tk": 8, "depth": 16, "width": 16}
    agrees(matmul_scaled.block_scaled, sizes, wanted, options=options)


def test_scales_for_other_blocks_are_a_mistake() -> None:
    with pytest.raises(KernelMistake, match="blocks of 64"):
        matmul_scaled.block_scaled.build(depth=64)
