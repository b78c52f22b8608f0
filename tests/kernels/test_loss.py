"""Losses of classes, forward and backward, against PyTorch in float64."""

from __future__ import annotations

from math import ceil
from typing import Any

import numpy as np
import pytest
import torch
from against_torch import agrees
from torch.nn import functional

from suiren.kernels import loss, loss_backward
from suiren.kernels.loss_rows import cross_entropy, cross_entropy_backward

SHAPES = [(1, 1, 1), (70, 5, 1), (33, 40, 1), (2, 7, 30), (3, 4, 9), (1, 90, 2)]
SMALL = {"tm": 16}


def sizes_of(shape: tuple[int, int, int], dtype: str = "f32", pieces: int = 3) -> dict[str, Any]:
    return {**dict(zip("NCP", shape, strict=True)), "Q": pieces, "T": dtype}


def targets(shape: tuple[int, int, int], ignored: float = 0.2) -> Any:
    rng = np.random.default_rng(5)
    n, classes, inner = shape
    found = rng.integers(0, classes, (n, inner))
    found[rng.random((n, inner)) < ignored] = -100
    found[0, 0] = classes - 1
    return found


def weights(shape: tuple[int, int, int]) -> Any:
    return np.random.default_rng(6).random(shape[1]).astype(np.float16) + 0.5


def nll(logp: Any, target: Any, weight: Any, how: str) -> Any:
    return functional.nll_loss(logp, target, weight, reduction=how)


def parts(logp: Any, target: Any, weight: Any, tm: int, pieces: int) -> Any:
    """The sums of each piece: whole tiles of positions, dealt out evenly."""
    each = nll(logp, target, weight, "none").reshape(-1)
    one = torch.ones(logp.shape[1]) if weight is None else weight
    counted = torch.where(target >= 0, one[target.clamp(min=0)], 0.0).reshape(-1)
    length = ceil(ceil(len(each) / tm) / pieces) * tm
    room = torch.zeros(2, length * pieces, dtype=torch.float64)
    room[0, : len(each)], room[1, : len(each)] = each, counted
    return room.reshape(2, pieces, length).sum(-1)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("shape", SHAPES)
def test_sums_and_means(shape: tuple[int, int, int], weighted: bool) -> None:
    kernel = loss.nll_loss_weighted if weighted else loss.nll_loss
    given = {"target": targets(shape), **({"weight": weights(shape)} if weighted else {})}
    for mean in (True, False):

        def wanted(logp: Any, target: Any, weight: Any = None, mean: bool = mean) -> Any:
            sums = parts(logp, target, weight, 16, 3)
            return nll(logp, target, weight, "mean" if mean else "sum"), sums[1].sum(), sums

        agrees(kernel, sizes_of(shape), wanted, options={**SMALL, "mean": mean}, inputs=given)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("shape", SHAPES)
def test_every_loss(shape: tuple[int, int, int], weighted: bool) -> None:
    kernel = loss.nll_loss_each_weighted if weighted else loss.nll_loss_each
    given = {"target": targets(shape), **({"weight": weights(shape)} if weighted else {})}
    agrees(
        kernel, sizes_of(shape), lambda x, t, w=None: nll(x, t, w, "none"),
        options=SMALL, inputs=given,
    )  # fmt: skip


def test_an_ignored_target_reads_nothing() -> None:
    # class −100 of row 20 would be the first number of all
    logp = np.full((70, 5, 1), -1.0)
    logp[0, 0] = -np.inf
    target = np.ones((70, 1))
    target[20] = -100
    agrees(loss.nll_loss_each, sizes_of((70, 5, 1)), lambda x, t: nll(x, t, None, "none"),
           options=SMALL, inputs={"logp": logp, "target": target})  # fmt: skip


@pytest.mark.parametrize("tiles", [{}, {"across": 4, "along": 3}])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("shape", SHAPES)
def test_gradients(shape: tuple[int, int, int], weighted: bool, tiles: dict[str, int]) -> None:
    given = {"target": targets(shape), **({"weight": weights(shape)} if weighted else {})}
    name = "weighted_backward" if weighted else "backward"

    def slopes(grad: Any, target: Any, weight: Any, how: str) -> Any:
        logp = torch.zeros(shape, dtype=torch.float64, requires_grad=True)
        nll(logp, target, weight, how).backward(grad)
        return logp.grad

    each = getattr(loss_backward, f"nll_loss_each_{name}")
    agrees(each, sizes_of(shape), lambda g, t, w=None: slopes(g, t, w, "none"),
           options=tiles, inputs=given)  # fmt: skip
    kernel = getattr(loss_backward, f"nll_loss_{name}")
    one = torch.ones(shape[1]) if not weighted else torch.from_numpy(given["weight"]).double()
    held = torch.from_numpy(given["target"])
    total = torch.where(held >= 0, one[held.clamp(min=0)], 0.0).sum().numpy()
    for mean in (True, False):

        def wanted(grad: Any, target: Any, *more: Any, mean: bool = mean) -> Any:
            return slopes(grad, target, more[0] if weighted else None, "mean" if mean else "sum")

        agrees(kernel, sizes_of(shape), wanted, options={**tiles, "mean": mean},
               inputs={**given, "total": total})  # fmt: skip


@pytest.mark.parametrize("dtype", ["f64", "bf16", "f16"])
def test_losses_in_every_format(dtype: str) -> None:
    shape = (40, 6, 1)
    given = {"target": targets(shape), "total": np.float64(32)}
    agrees(loss.nll_loss_each, sizes_of(shape, dtype), lambda x, t: nll(x, t, None, "none"),
           options=SMALL, inputs={"target": given["target"]})  # fmt: skip
    agrees(
        cross_entropy, {"M": 12, "C": 50, "T": dtype}, rows, options={"along": 16},
        inputs={"target": targets((12, 50, 1))[:, 0]}, slack=8 if dtype != "f64" else 2**32,
    )  # fmt: skip


def rows(x: Any, target: Any) -> Any:
    return functional.cross_entropy(x, target, reduction="none"), x.logsumexp(1)


@pytest.mark.parametrize("tiles", [{}, {"across": 4, "along": 16}, {"along": 7, "stages": 1}])
@pytest.mark.parametrize("shape", [(1, 1), (9, 50), (40, 10), (2, 129)])
def test_cross_entropy_of_rows(shape: tuple[int, int], tiles: dict[str, int]) -> None:
    target = targets((*shape, 1))[:, 0]
    agrees(cross_entropy, {"M": shape[0], "C": shape[1], "T": "f32"}, rows,
           options=tiles, inputs={"target": target})  # fmt: skip


@pytest.mark.parametrize("tiles", [{}, {"across": 4, "along": 16}, {"along": 7, "stages": 1}])
@pytest.mark.parametrize("shape", [(1, 1), (9, 50), (40, 10), (2, 129)])
def test_gradient_of_cross_entropy(shape: tuple[int, int], tiles: dict[str, int]) -> None:
    target = targets((*shape, 1))[:, 0]
    x = np.random.default_rng(7).standard_normal(shape)

    def slopes(x: Any, target: Any, _: Any, grad: Any) -> Any:
        x = x.requires_grad_()
        functional.cross_entropy(x, target, reduction="none").backward(grad)
        return x.grad

    agrees(
        cross_entropy_backward, {"M": shape[0], "C": shape[1], "T": "f32"}, slopes, options=tiles,
        inputs={"x": x, "target": target, "lse": torch.from_numpy(x).logsumexp(1).numpy()},
    )  # fmt: skip
