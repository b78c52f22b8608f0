"""Reading at indices agrees with PyTorch."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from against_torch import agrees

from suiren.kernels.gather import embedding, gather, index_get, index_select

FORMATS = ("f32", "bf16", "f16", "i64")


def drawn(shape, high, low=0):
    return np.random.default_rng(20).integers(low, high, shape)


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("sizes", [(1, 1, 1), (50, 16, 33), (7, 100, 3), (9, 1, 40)])
@pytest.mark.parametrize("tile, run", [(16, 1), (16, 3), (64, 4), (8192, 4)])
def test_embedding(form, sizes, tile, run):
    v, d, k = sizes
    ids = drawn(k, v)
    agrees(embedding, {"V": v, "D": d, "K": k, "T": form, "I": "i64"},
           lambda table, ids: F.embedding(ids, table), inputs={"ids": ids},
           options={"tile": tile, "run": run, "stages": 2})  # fmt: skip


@pytest.mark.parametrize("sizes", [(1, 20, 6, 9), (3, 20, 1, 9), (4, 5, 30, 2), (2, 3, 4, 50)])
@pytest.mark.parametrize("tile", [10, 64, 8192])
def test_index_select_along_any_dimension(sizes, tile):
    a, v, b, k = sizes
    agrees(index_select, {"A": a, "V": v, "B": b, "K": k, "T": "bf16", "I": "i32"},
           lambda x, ids: x.index_select(1, ids), inputs={"ids": drawn(k, v)},
           options={"tile": tile})  # fmt: skip


@pytest.mark.parametrize("shape, dim", [((6, 20), 1), ((6, 20), 0), ((3, 7, 5), 1), ((40,), 0)])
@pytest.mark.parametrize("count", [1, 9])
@pytest.mark.parametrize("tile", [8, 2048])
def test_gather_along_any_dimension(shape, dim, count, tile):
    picked = [count if d == dim else s for d, s in enumerate(shape)]
    index = drawn(picked, shape[dim])
    inner = int(np.prod(shape[dim + 1 :]))

    def wanted(x, index):
        return x.reshape(shape).gather(dim, index.reshape(picked)).flatten()

    agrees(gather, {"P": int(np.prod(shape)), "E": index.size, "T": "f32", "I": "i64"}, wanted,
           inputs={"index": index.flatten()},
           options={"size": shape[dim], "count": count, "inner": inner, "tile": tile})  # fmt: skip


@pytest.mark.parametrize("form", FORMATS)
def test_take_counts_negative_indices_from_the_end(form):
    agrees(gather, {"P": 30, "E": 70, "T": form, "I": "i64"}, torch.take,
           inputs={"index": drawn(70, 30, -30)}, options={"tile": 32})  # fmt: skip


def test_an_index_out_of_reach_reads_zero():
    index = np.array([0, 5, -9, 2])
    agrees(gather, {"P": 6, "E": 4, "T": "f32", "I": "i64"},
           lambda x, _: torch.stack([x[0], x[5], x[0] * 0, x[2]]),
           inputs={"index": index})  # fmt: skip


@pytest.mark.parametrize("sizes", [(12,), (4, 5), (2, 3, 4)])
@pytest.mark.parametrize("d, tile", [(1, 8), (6, 16), (40, 8192)])
def test_indexing_with_tensors(sizes, d, tile):
    count = 21
    inputs = {f"i{n}": np.random.default_rng(n).integers(-s, s, count) for n, s in enumerate(sizes)}
    agrees(index_get(len(sizes)),
           {"P": int(np.prod(sizes)), "D": d, "K": count, "T": "f32", "I": "i64"},
           lambda x, *ids: x.reshape(*sizes, d)[ids], inputs=inputs,
           options={"dims": sizes, "tile": tile})  # fmt: skip
