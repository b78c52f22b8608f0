"""Kernels with the tiles they have by default fit the smallest cores, and their time is known."""

from __future__ import annotations

import pytest

from suiren.core.check import check_capacity, check_protocol
from suiren.core.timing import time_program
from suiren.hw.names import find_card
from suiren.kernels.arg_reduction import arg_reduction
from suiren.kernels.compaction import masked_select
from suiren.kernels.copy import cat, permute, window
from suiren.kernels.gather import embedding, gather, index_select
from suiren.kernels.optimizer import adam, grad_norm, sgd, unscale
from suiren.kernels.pointwise import op
from suiren.kernels.pooling import max_pool, mean_pool
from suiren.kernels.pooling_backward import max_pool_backward, mean_pool_backward
from suiren.kernels.recurrent import gru_cell, lstm_cell, lstm_cell_backward
from suiren.kernels.recurrent_step import gru_step, lstm_step
from suiren.kernels.reduction import reduction
from suiren.kernels.remap import upsample_nearest
from suiren.kernels.scan import scan
from suiren.kernels.scatter import embedding_backward, index_add, scatter
from suiren.kernels.sort import sort, topk
from suiren.kernels.sort_long import sort_long
from suiren.kernels.variance import variance

N = 1 << 22
MATRIX = {"M": 2048, "N": 2048}
PLANES = {"A": 64, "H": 56, "W": 56, "P": 28, "Q": 28}
POOL = {"size": (3, 3), "padding": (1, 1)}
LOOKUP = {"V": 5000, "D": 512, "K": 4096, "I": "i64"}
GATES = {"B": 512, "H": 512}

#: By name: the kernel, its sizes, and its options.
KERNELS = {
    "add": (op("add", "N"), {"N": N}, {}),
    "bias": (op("add", "M,N", "N"), MATRIX, {}),
    "gelu_tanh_backward": (op("gelu_tanh_backward", "N"), {"N": N}, {}),
    "dropout": (op("dropout", "N"), {"N": N}, {}),
    "rows": (reduction("x T[M,N] -> y T[M]", "mean"), MATRIX, {}),
    "columns": (reduction("x T[M,N] -> y T[N]; part f32[S,N]", "sum"), {**MATRIX, "S": 8}, {}),
    "all": (reduction("x T[M,N] -> y T[1]; part f32[S]", "norm2"), {**MATRIX, "S": 200}, {}),
    "argmax": (arg_reduction("x T[M,N] -> y T[M]; index i64[M]", "max"), MATRIX, {}),
    "variance": (variance("x T[M,N] -> y T[M]; mean T[M]"), MATRIX, {}),
    "scan": (scan("x T[M,N] -> y T[M,N]; part f32[S,M]", "sum", "N"), {**MATRIX, "S": 4}, {}),
    "embedding": (embedding, LOOKUP, {}),
    "embedding_backward": (embedding_backward, LOOKUP, {}),
    "index_select": (index_select, {"A": 4, "V": 64, "B": 512, "K": 99, "I": "i64"}, {}),
    "index_add": (index_add, {"A": 4, "V": 64, "B": 512, "K": 99, "I": "i64"}, {}),
    "gather": (gather, {"P": N, "E": N, "I": "i64"}, {}),
    "scatter": (scatter(), {"P": N, "E": N, "I": "i64"}, {}),
    "sort": (sort, {"M": 512, "N": 1000}, {}),
    "topk": (topk, {"M": 512, "N": 1000, "K": 8}, {}),
    "sort_long": (sort_long, {"M": 2, "N": 50_000, "C": 64}, {}),
    "adam": (adam(), {"N": N, "G": "bf16", "S": "f32"}, {}),
    "sgd": (sgd(), {"N": N, "G": "bf16", "S": "f32"}, {}),
    "grad_norm": (grad_norm(), {"N": N, "S": 200, "G": "f32"}, {}),
    "unscale": (unscale, {"N": N, "G": "f16"}, {}),
    "permute": (permute(0, 2, 1), {"A": 8, "B": 512, "C": 1024}, {}),
    "permute_rows": (permute(0, 2, 1, 3), {"A": 8, "B": 512, "C": 8, "D": 128}, {}),
    "cat": (cat(2), {"M": 1024, "N0": 1000, "N1": 3000, "N": 4000}, {}),
    "window": (window(2), {"A": 512, "B": 512, "P": 520, "Q": 520}, {"before": (4, 4)}),
    "upsample": (upsample_nearest(), {"A": 64, "H": 28, "W": 28, "P": 56, "Q": 56}, {}),
    "max_pool": (max_pool, PLANES, POOL),
    "max_pool_backward": (max_pool_backward, PLANES, POOL),
    "mean_pool": (mean_pool, PLANES, POOL),
    "mean_pool_backward": (mean_pool_backward, PLANES, POOL),
    "lstm_cell": (lstm_cell(), GATES, {}),
    "lstm_cell_backward": (lstm_cell_backward(), GATES, {}),
    "gru_cell": (gru_cell(), GATES, {}),
    "lstm_step": (lstm_step, {**GATES, "I": 512}, {}),
    "gru_step": (gru_step, {**GATES, "I": 512}, {}),
    "masked_select": (masked_select, {"N": N, "S": 200}, {}),
}


@pytest.mark.parametrize("name", KERNELS)
@pytest.mark.parametrize("card", ["t10", "mi100", "h100"])
def test_tiles_fit_and_take_time(name, card):
    kernel, sizes, options = KERNELS[name]
    found = find_card(card)
    for form in ("bf16",) if name.startswith(("lstm", "gru")) else ("bf16", "f32"):
        program = kernel.build({**sizes, "T": form}, **options)
        check_capacity(program, found)
        check_protocol(program)
        timing = time_program(program, found)
        assert timing.memory_bytes > 0
        assert timing.seconds > timing.memory_bytes / found.memory_bytes_per_s
