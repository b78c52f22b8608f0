"""Products of a mixture of experts, and its tokens' ways there and back, agree with PyTorch."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from against_torch import agrees
from torch.nn import functional

from suiren.core.emulate import emulate
from suiren.core.tile import KernelMistake
from suiren.kernels import experts, experts_blocks, experts_tokens
from suiren.kernels.experts import even, stretches

TILES = {"tm": 8, "tn": 16, "tk": 8}
F32 = {"A": "f32", "B": "f32", "C": "f32", "D": "f32"}
COUNTS = [(8, 8, 8), (5, 0, 9), (0, 0, 3), (1, 17, 2), ()]
SIZES = {"M": 20, "K": 20, "N": 18, "E": 3, **F32}
RNG = np.random.default_rng(3)


def by_expert(
    x: torch.Tensor, w: torch.Tensor, counts: tuple[int, ...], layout: str = "nn"
) -> torch.Tensor:
    """Rows sorted by expert, each times its expert's weight."""
    w = w.mT if layout[1] == "t" else w
    return torch.cat([part @ w[e] for e, part in enumerate(x[: sum(counts)].split(counts))])


def shared(counts: tuple[int, ...]) -> tuple[tuple[int, ...], dict[str, int | str]]:
    counts = counts or even(20, 3)
    return counts, {**SIZES, "M": sum(counts)}


def test_neighbours_with_equal_counts_share_a_grid() -> None:
    assert stretches((4, 4, 3, 3, 3, 4)) == [(0, 2, 0, 4), (2, 3, 8, 3), (5, 1, 17, 4)]
    assert even(10, 4) == (3, 3, 2, 2)


@pytest.mark.parametrize("layout", experts.LAYOUTS)
@pytest.mark.parametrize("counts", COUNTS)
def test_sorted_rows(layout: str, counts: tuple[int, ...]) -> None:
    known, sizes = shared(counts)
    kernel = getattr(experts, f"experts_{layout}")
    agrees(kernel, sizes, options={**TILES, "counts": counts},
           reference=lambda x, w: by_expert(x, w, known, layout))  # fmt: skip


def test_bias_and_activation_of_each_expert() -> None:
    def wanted(x: torch.Tensor, w: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
        owner = torch.repeat_interleave(torch.arange(3), torch.tensor((5, 9, 6)))
        return functional.silu(by_expert(x, w, (5, 9, 6)) + bias[owner])

    sizes = SIZES | {"A": "bf16", "D": "bf16", "C": "bf16"}
    options = {**TILES, "counts": (5, 9, 6), "activation": "silu", "sums": 2}
    agrees(experts.experts_bias_nn, sizes, wanted, options=options)


@pytest.mark.parametrize("layout", experts.LAYOUTS)
@pytest.mark.parametrize("counts", COUNTS[:3])
def test_rows_taken_from_tokens(layout: str, counts: tuple[int, ...]) -> None:
    _, sizes = shared(counts)
    rows = RNG.integers(0, 7, sizes["M"])
    kernel = getattr(experts, f"experts_gathered_{layout}")
    agrees(kernel, sizes | {"S": 7}, options={**TILES, "counts": counts}, inputs={"rows": rows},
           reference=lambda x, w, rows: by_expert(x[rows], w, counts, layout))  # fmt: skip


@pytest.mark.parametrize("layout", experts.LAYOUTS)
@pytest.mark.parametrize("counts", COUNTS[:3])
def test_rows_added_to_their_tokens(layout: str, counts: tuple[int, ...]) -> None:
    _, sizes = shared(counts)

    def wanted(
        x: torch.Tensor, w: torch.Tensor, rows: torch.Tensor, gates: torch.Tensor
    ) -> torch.Tensor:
        made = gates[:, None] * by_expert(x, w, counts, layout)
        return torch.zeros(7, 18, dtype=torch.float64).index_add(0, rows, made)

    rows = RNG.integers(0, 7, sizes["M"])
    kernel = getattr(experts, f"experts_scattered_{layout}")
    agrees(kernel, sizes | {"S": 7}, wanted, options={**TILES, "counts": counts},
           inputs={"rows": rows})  # fmt: skip


@pytest.mark.parametrize("counts", COUNTS)
@pytest.mark.parametrize("t", ["f32", "f16"])
def test_gradient_by_the_weights(counts: tuple[int, ...], t: str) -> None:
    known, sizes = shared(counts)

    def wanted(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        pairs = zip(a.split(known), b.split(known), strict=True)
        return torch.stack([x.T @ y for x, y in pairs])

    formats = {"A": t, "B": t, "C": t}
    agrees(experts.experts_weight, {**sizes, "P": 18, "Q": 20, **formats}, wanted,
           options={**TILES, "counts": counts})  # fmt: skip


def test_counts_that_exceed_the_rows_are_a_mistake() -> None:
    with pytest.raises(KernelMistake, match="sum to 30"):
        experts.experts_nn.build(SIZES, counts=(10, 10, 10))


# ---- blocks ------------------------------------------------------------------------------


def tables(counts: tuple[int, ...], order: np.ndarray, tm: int, blocks: int) -> list[np.ndarray]:
    """Which expert every block belongs to and the rows that it holds, one by one."""
    expert, rows = np.full(blocks, -1), np.full((blocks, tm), -1)
    at = start = 0
    for e, count in enumerate(counts):
        for first in range(0, count, tm):
            held = order[start + first : start + min(count, first + tm)]
            expert[at], rows[at, : len(held)] = e, held
            at += 1
        start += count
    return [expert, rows]


@pytest.mark.parametrize("counts", [(8, 8, 8), (5, 0, 9), (0, 0, 3), (1, 17, 2), (0, 0, 0, 0, 1)])
@pytest.mark.parametrize("tm", [4, 8])
def test_tables_of_blocks(counts: tuple[int, ...], tm: int) -> None:
    total = sum(counts)
    blocks = experts_blocks.most_blocks(total, len(counts), tm)
    order = RNG.permutation(total)
    wanted = [torch.from_numpy(t) for t in tables(counts, order, tm, blocks)]
    agrees(experts_blocks.align_blocks, {"E": len(counts), "M": total, "B": blocks, "TM": tm},
           lambda *_: wanted, inputs={"ends": np.cumsum(counts), "order": order})  # fmt: skip


@pytest.mark.parametrize("layout", experts.LAYOUTS)
@pytest.mark.parametrize("counts", [(5, 0, 9), (1, 17, 2)])
def test_blocks_of_rows_by_tables(layout: str, counts: tuple[int, ...]) -> None:
    total = sum(counts)
    blocks = experts_blocks.most_blocks(total, 3, 8)
    order = RNG.permutation(total)
    expert, rows = tables(counts, order, 8, blocks)
    owner = torch.empty(total, dtype=torch.long)
    owner[order] = torch.repeat_interleave(torch.arange(3), torch.tensor(counts))
    sizes = SIZES | {"S": -(-total // 2), "M": total, "B": blocks, "TM": 8}
    given = {"expert": expert, "rows": rows}
    options = {"tn": 16, "tk": 8, "slots": 2}

    def wanted(x: torch.Tensor, w: torch.Tensor, *more: torch.Tensor) -> torch.Tensor:
        w = w.mT if layout[1] == "t" else w
        made = torch.einsum("mk,mkn->mn", x[torch.arange(total) // 2], w[owner])
        return made if len(more) == 2 else made * more[2][:, None]

    for kind in ("experts_blocks", "experts_blocks_gated"):
        agrees(getattr(experts_blocks, f"{kind}_{layout}"), sizes, wanted, options=options,
               inputs=given)  # fmt: skip


# ---- tokens ------------------------------------------------------------------------------

TOKENS = {"S": 11, "M": 22, "J": 2, "D": 37, "T": "f32"}


@pytest.mark.parametrize("t", ["f32", "bf16"])
def test_tokens_to_their_experts_and_back(t: str) -> None:
    sizes, small = TOKENS | {"T": t}, {"td": 16}
    order = RNG.permutation(22)
    agrees(experts_tokens.take_tokens, sizes, lambda x, rows: x[rows // 2],
           options={"tm": 8, "slots": 2, **small}, inputs={"rows": order})  # fmt: skip
    agrees(experts_tokens.take_tokens_gated, sizes, options={"tm": 8, "slots": 2, **small},
           inputs={"rows": order},
           reference=lambda x, rows, gates: gates[:, None] * x[rows // 2])  # fmt: skip
    agrees(experts_tokens.combine_tokens, sizes, options={"ts": 8, **small},
           inputs={"rows": order.reshape(11, 2)},
           reference=lambda x, rows, gates: (gates[..., None] * x[rows]).sum(1))  # fmt: skip
    agrees(experts_tokens.gates_gradient, sizes, options={"ts": 8, **small},
           inputs={"rows": order.reshape(11, 2)},
           reference=lambda dy, x, rows: (dy[:, None] * x[rows]).sum(-1))  # fmt: skip


def test_a_row_that_does_not_exist_counts_as_zero() -> None:
    x = np.ones((3, 4))
    program = experts_tokens.combine_tokens.build({"S": 1, "M": 3, "J": 2, "D": 4, "T": "f32"})
    got = emulate(program, {"x": x, "rows": [[2, -1]], "gates": [[0.5, 9.0]]})
    assert (got["y"] == 0.5).all()
