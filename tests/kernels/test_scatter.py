"""Writing at indices agrees with PyTorch."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from against_torch import agrees

from suiren.kernels.scatter import embedding_backward, index_add, index_put, scatter


def drawn(shape, high, low=0):
    return np.random.default_rng(21).integers(low, high, shape)


def numbers(shape):
    # small whole numbers add up exactly in every format and order
    return np.random.default_rng(22).integers(-4, 5, shape).astype(float)


@pytest.mark.parametrize("form", ["f32", "bf16", "f16"])
@pytest.mark.parametrize("sizes", [(1, 1, 1), (9, 16, 33), (7, 100, 3), (30, 1, 40)])
@pytest.mark.parametrize("padding", [-1, 0])
@pytest.mark.parametrize("tile", [16, 8192])
def test_gradient_of_an_embedding(form, sizes, padding, tile):
    v, d, k = sizes

    def wanted(g, ids):
        table = torch.zeros(v, d, dtype=torch.float64, requires_grad=True)
        out = F.embedding(ids, table, padding_idx=None if padding < 0 else padding)
        return torch.autograd.grad(out, table, g)

    agrees(embedding_backward, {"V": v, "D": d, "K": k, "T": form, "I": "i64"}, wanted,
           inputs={"ids": drawn(k, v), "g": numbers((k, d))},
           options={"tile": tile, "padding": padding})  # fmt: skip


@pytest.mark.parametrize("sizes", [(1, 20, 6, 9), (3, 20, 1, 9), (4, 5, 30, 2), (2, 3, 4, 50)])
@pytest.mark.parametrize("alpha", [1, -2])
@pytest.mark.parametrize("tile", [10, 8192])
def test_index_add(sizes, alpha, tile):
    a, v, b, k = sizes
    y = numbers((a, v, b))
    agrees(index_add, {"A": a, "V": v, "B": b, "K": k, "T": "bf16", "I": "i64"},
           lambda ids, x: torch.from_numpy(y).index_add(1, ids, x, alpha=alpha),
           inputs={"ids": drawn(k, v), "x": numbers((a, k, b)), "y": y},
           options={"alpha": alpha, "tile": tile})  # fmt: skip


def test_index_copy():
    y, ids = numbers((2, 30, 4)), np.random.default_rng(23).permutation(30)[:11]
    agrees(index_add, {"A": 2, "V": 30, "B": 4, "K": 11, "T": "f32", "I": "i64"},
           lambda ids, x: torch.from_numpy(y).index_copy(1, ids, x),
           inputs={"ids": ids, "y": y}, options={"add": False, "tile": 24})  # fmt: skip


@pytest.mark.parametrize("shape, dim", [((6, 20), 1), ((6, 20), 0), ((3, 7, 5), 1), ((40,), 0)])
@pytest.mark.parametrize("add", [False, True])
@pytest.mark.parametrize("tile", [8, 2048])
def test_scatter_along_any_dimension(shape, dim, add, tile):
    y, count = numbers(shape), max(1, shape[dim] - 2)
    picked = [count if d == dim else s for d, s in enumerate(shape)]
    if add:
        index = drawn(picked, shape[dim])
    else:
        index = np.argsort(np.random.default_rng(24).random(shape), axis=dim)
        index = index.take(np.arange(count), axis=dim)

    def wanted(index, x):
        target = torch.from_numpy(y)
        put = target.scatter_add if add else target.scatter
        return put(dim, index.reshape(picked), x.reshape(picked)).flatten()

    agrees(scatter(add), {"P": y.size, "E": index.size, "T": "f32", "I": "i64"}, wanted,
           inputs={"index": index.flatten(), "x": numbers(index.size), "y": y.flatten()},
           options={"size": shape[dim], "count": count, "tile": tile,
                    "inner": int(np.prod(shape[dim + 1 :]))})  # fmt: skip


def test_scatter_of_one_value():
    y = numbers(30)
    agrees(scatter(value=7.0), {"P": 30, "E": 4, "T": "bf16", "I": "i64"},
           lambda index: torch.from_numpy(y).scatter(0, index, 7.0),
           inputs={"index": np.array([3, 0, 29, 11]), "y": y}, options={"tile": 3})  # fmt: skip


@pytest.mark.parametrize("sizes", [(12,), (4, 5), (2, 3, 4)])
@pytest.mark.parametrize("add", [False, True])
@pytest.mark.parametrize("d, tile", [(1, 8), (6, 16), (40, 8192)])
def test_assignment_at_index_tensors(sizes, add, d, tile):
    rows = int(np.prod(sizes))
    flat = drawn(21, rows) if add else np.random.default_rng(25).permutation(rows)[:8]
    ids = np.unravel_index(flat, sizes)
    ids = [np.where(np.arange(i.size) % 2, i, i - s) for i, s in zip(ids, sizes, strict=True)]
    y, x = numbers((rows, d)), numbers((flat.size, d))

    def wanted(*given):
        *ids, x = given
        target = torch.from_numpy(y).reshape(*sizes, d)
        return target.index_put(tuple(ids), x, accumulate=add).reshape(rows, d)

    agrees(index_put(len(sizes), add), {"P": rows, "D": d, "K": flat.size, "T": "f32", "I": "i64"},
           wanted, inputs={**{f"i{n}": i for n, i in enumerate(ids)}, "x": x, "y": y},
           options={"dims": sizes, "tile": tile})  # fmt: skip
