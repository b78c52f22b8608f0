"""Products split along k, by partial sums, atomics and stream-k, agree with PyTorch."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
import torch
from against_torch import agrees
from torch.nn import functional

from suiren.kernels import matmul_split
from suiren.kernels.matmul import LAYOUTS
from suiren.kernels.matmul_split import run_of, stream_k_sizes

TILES = {"tm": 16, "tn": 16, "tk": 8}
F32 = {"A": "f32", "B": "f32", "C": "f32"}
SHAPES = [(16, 16, 64), (5, 20, 100), (33, 17, 9), (1, 1, 1)]


def turned(layout: str, a: torch.Tensor, b: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    return (a.mT if layout[0] == "t" else a), (b.mT if layout[1] == "t" else b)


def in_parts(splits: int, layout: str, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    a, b = turned(layout, a, b)
    run = run_of(a.shape[1], TILES["tk"], splits)
    parts = [slice(h * run, (h + 1) * run) for h in range(splits)]
    return torch.stack([a[:, part] @ b[part] for part in parts])


def with_parts(splits: int, layout: str, a: torch.Tensor, b: torch.Tensor) -> list[torch.Tensor]:
    parts = in_parts(splits, layout, a, b)
    return [parts, parts.sum(0)]


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("shape", SHAPES)
def test_partial_sums_and_their_total(layout: str, shape: tuple[int, int, int]) -> None:
    m, n, k = shape
    kernel = getattr(matmul_split, f"split_k_{layout}")
    sizes = {"M": m, "N": n, "K": k, "S": 3, **F32}
    agrees(kernel, sizes, partial(with_parts, 3, layout), options=TILES)


def test_the_epilogue_runs_on_the_total() -> None:
    def wanted(a: torch.Tensor, b: torch.Tensor, bias: torch.Tensor) -> list[torch.Tensor]:
        parts, total = with_parts(4, "nt", a, b)
        return [parts, functional.gelu(total + bias)]

    sizes = {"M": 20, "N": 30, "K": 70, "S": 4, "A": "bf16", "B": "bf16", "C": "bf16"}
    agrees(matmul_split.split_k_bias_nt, sizes, wanted, options={**TILES, "activation": "gelu"})


def test_integers_are_split_exactly() -> None:
    rng = np.random.default_rng(0)
    whole = {"a": rng.integers(-128, 128, (10, 90)), "b": rng.integers(-128, 128, (90, 12))}
    sizes = {"M": 10, "N": 12, "K": 90, "S": 3, "A": "i8", "B": "i8", "C": "i32", "P": "i32"}
    agrees(matmul_split.split_k_nn, sizes, partial(with_parts, 3, "nn"), options=TILES,
           inputs=whole)  # fmt: skip


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("shape", SHAPES)
def test_parts_added_in_memory(layout: str, shape: tuple[int, int, int]) -> None:
    m, n, k = shape
    kernel = getattr(matmul_split, f"split_k_atomic_{layout}")
    agrees(kernel, {"M": m, "N": n, "K": k, **F32}, options={**TILES, "splits": 3},
           reference=lambda a, b: torch.matmul(*turned(layout, a, b)))  # fmt: skip


def test_parts_added_to_what_is_there() -> None:
    there = np.random.default_rng(1).standard_normal((20, 12)).astype(np.float32)
    agrees(matmul_split.split_k_atomic_tn, {"M": 20, "N": 12, "K": 40, **F32},
           options={**TILES, "add_to": True}, inputs={"c": there},
           reference=lambda a, b: torch.from_numpy(there).double() + a.T @ b)  # fmt: skip


def last_tiles(
    parts: dict[str, int], layout: str, a: torch.Tensor, b: torch.Tensor
) -> torch.Tensor:
    """The partial sums of stream-k's last wave: [R,S,16,16], edges zero."""
    sums = in_parts(parts["S"], layout, a, b)
    sums = functional.pad(sums, (0, -sums.shape[2] % 16, 0, -sums.shape[1] % 16))
    tiles = sums.unflatten(1, (-1, 16)).unflatten(3, (-1, 16)).permute(1, 3, 0, 2, 4)
    return tiles.flatten(0, 1)[-parts["R"] :]


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("shape", [(40, 50, 30), (64, 64, 40), (16, 16, 100), (70, 20, 9)])
@pytest.mark.parametrize("cores", [3, 5, 8])
def test_stream_k(layout: str, shape: tuple[int, int, int], cores: int) -> None:
    m, n, k = shape
    parts = stream_k_sizes(m, n, 16, 16, cores)

    def wanted(a: torch.Tensor, b: torch.Tensor) -> list[torch.Tensor]:
        return [last_tiles(parts, layout, a, b), torch.matmul(*turned(layout, a, b))]

    kernel = getattr(matmul_split, f"stream_k_{layout}")
    agrees(kernel, {"M": m, "N": n, "K": k, **F32, **parts}, wanted, options={"tk": 8})


def test_stream_k_with_bias_and_activation() -> None:
    parts = stream_k_sizes(40, 36, 16, 16, 4)

    def wanted(a: torch.Tensor, b: torch.Tensor, bias: torch.Tensor) -> list[torch.Tensor]:
        return [last_tiles(parts, "nt", a, b), functional.silu(functional.linear(a, b, bias))]

    sizes = {"M": 40, "N": 36, "K": 30, "A": "f16", "B": "f16", "C": "f16", **parts}
    agrees(matmul_split.stream_k_bias_nt, sizes, wanted, options={"tk": 8, "activation": "silu"})


def test_stream_k_leaves_no_core_idle_for_long() -> None:
    sizes = stream_k_sizes(4096, 4096, 128, 128, 132)
    tiles, left, splits = 32 * 32, sizes["R"], sizes["S"]
    assert (tiles - left) % 132 == 0
    waves = -(-left * splits // 132) / splits
    assert left / 132 <= waves < 1
