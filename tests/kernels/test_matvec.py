"""Products of a matrix and a vector agree with PyTorch."""

from __future__ import annotations

import pytest
from against_torch import agrees

from suiren.kernels import matvec

SHAPES = [(16, 32), (1, 100), (37, 1), (20, 45), (1, 1)]
TILES = {"tm": 8, "tk": 16}
LIES = {"n": lambda a: a, "t": lambda a: a.mT}


@pytest.mark.parametrize("layout", LIES)
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("t", ["f32", "bf16", "f16"])
def test_vector(layout: str, shape: tuple[int, int], t: str) -> None:
    sizes = {"M": shape[0], "K": shape[1], "A": t, "C": t}
    agrees(getattr(matvec, f"matvec_{layout}"), sizes, options=TILES,
           reference=lambda a, x: LIES[layout](a) @ x)  # fmt: skip
    agrees(getattr(matvec, f"matvec_add_{layout}"), sizes, options={**TILES, "scale": 0.5},
           reference=lambda a, x, c: 0.5 * (LIES[layout](a) @ x) + c)  # fmt: skip
    agrees(getattr(matvec, f"matvec_bias_{layout}"), sizes,
           options={**TILES, "activation": "relu"},
           reference=lambda a, x, bias: (LIES[layout](a) @ x + bias).relu())  # fmt: skip


@pytest.mark.parametrize("layout", LIES)
def test_batches_and_the_tiles_offered_first(layout: str) -> None:
    sizes = {"G": 3, "M": 20, "K": 45, "A": "f32", "C": "f32"}
    agrees(getattr(matvec, f"batched_matvec_{layout}"), sizes,
           lambda a, x: (LIES[layout](a) @ x[..., None])[..., 0])  # fmt: skip
