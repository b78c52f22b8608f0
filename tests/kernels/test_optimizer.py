"""Optimizer steps agree with PyTorch's own optimizers, and with what comes before a step."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from against_torch import agrees

from suiren.core.emulate import emulate
from suiren.core.formats import round_to
from suiren.kernels.optimizer import (
    adagrad,
    adam,
    chunk,
    clip,
    foreach,
    grad_norm,
    rmsprop,
    sgd,
    unscale,
)

SHAPES = [((1,), 4), ((100,), 32), ((7, 300, 1), 64), ((64, 64), 64)]


def stepped(make, names, steps, sizes):
    """Parameters and state before step number `steps`, and those after it, by PyTorch."""
    rng = np.random.default_rng(40)
    grads = round_to(rng.standard_normal((steps, sum(sizes))), "bf16")
    start = round_to(rng.standard_normal(sum(sizes)), "f32")
    p = torch.nn.Parameter(torch.from_numpy(start.copy()))
    optimizer = make([p])
    states = []
    for grad in grads:
        now = {n: optimizer.state.get(p, {}).get(n) for n in names}
        states.append([p.detach().clone(), *(torch.zeros_like(p) if v is None else v.clone()
                                             for v in now.values())])  # fmt: skip
        p.grad = torch.from_numpy(grad)
        optimizer.step()
    after = [p.detach(), *(optimizer.state[p].get(n, torch.zeros_like(p)) for n in names)]
    return grads[-1], [round_to(s.numpy(), "f32") for s in states[-1]], after


def agrees_with(kernel, results, make, names, scalars, sizes, tile, steps=3, extra=()):
    g, before, after = stepped(make, names, steps, sizes)
    inputs = {"g": g, **dict(zip(results, before, strict=True))}
    agrees(kernel, {"N": sum(sizes), "T": "f32", "G": "bf16", "S": "f32", "L": "bf16"},
           lambda _: (*after, *(after[0] for _ in extra)), inputs=inputs, slack=1,
           options={"lengths": sizes, "tile": tile, **scalars})  # fmt: skip


@pytest.mark.parametrize("sizes, tile", SHAPES)
@pytest.mark.parametrize("amsgrad", [False, True])
@pytest.mark.parametrize("decoupled", [False, True])
def test_adam(sizes, tile, amsgrad, decoupled):
    make = torch.optim.AdamW if decoupled else torch.optim.Adam
    names = ["exp_avg", "exp_avg_sq", *(["max_exp_avg_sq"] if amsgrad else [])]
    agrees_with(adam(decoupled, amsgrad), ["p", "m", "v", "top"][: len(names) + 1],
                lambda p: make(p, lr=0.1, weight_decay=0.02, amsgrad=amsgrad), names,
                {"lr": 0.1, "decay": 0.02, "step": 3}, sizes, tile)  # fmt: skip


def test_adam_that_also_writes_narrow_parameters():
    agrees_with(adam(True, copy=True), "pmv", lambda p: torch.optim.AdamW(p, weight_decay=0.0),
                ["exp_avg", "exp_avg_sq"], {"step": 3}, (50,), 16, extra=["low"])  # fmt: skip


@pytest.mark.parametrize("nesterov", [False, True])
@pytest.mark.parametrize("steps", [1, 3])
@pytest.mark.parametrize("sizes, tile", SHAPES)
def test_sgd_with_momentum(nesterov, steps, sizes, tile):
    agrees_with(sgd(nesterov=nesterov, first=steps == 1), "pm",
                lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.8, weight_decay=0.1,
                                          nesterov=nesterov), ["momentum_buffer"],
                {"lr": 0.1, "momentum": 0.8, "decay": 0.1}, sizes, tile, steps)  # fmt: skip


def test_plain_sgd():
    agrees_with(sgd(momentum=False), "p", lambda p: torch.optim.SGD(p, lr=0.1), [],
                {"lr": 0.1}, (90,), 40)  # fmt: skip


def test_adagrad_and_rmsprop():
    agrees_with(adagrad(), "ps", lambda p: torch.optim.Adagrad(p, lr=0.1, lr_decay=0.2), ["sum"],
                {"lr": 0.1, "rate_decay": 0.2, "step": 3}, (90, 3), 40)  # fmt: skip
    agrees_with(rmsprop(), "ps", lambda p: torch.optim.RMSprop(p, lr=0.1), ["square_avg"],
                {"lr": 0.1}, (90, 3), 40)  # fmt: skip


def test_a_list_has_a_tile_for_every_chunk():
    assert chunk([100] * 7, 4096) == 100
    assert chunk([8192, 10, 10], 4096) == 2053
    assert chunk([], 4096) == 4096
    double = foreach("x T[N] -> y T[N]", "y = x * 2")
    (grid,) = double.build({"N": 30, "T": "f32"}, lengths=(10, 15, 5), tile=10).nodes
    assert grid.tiles == 4


@pytest.mark.parametrize("form", ["f32", "bf16", "f16"])
@pytest.mark.parametrize("count, pieces", [(1, 1), (300, 4), (1000, 7)])
def test_norm_of_all_gradients(form, count, pieces):
    g = round_to(np.random.default_rng(41).standard_normal(count), form)
    program = grad_norm().build({"N": count, "S": pieces, "G": form}, tile=64)
    assert emulate(program, {"g": g})["norm"] == pytest.approx(np.linalg.norm(g), rel=1e-6)


@pytest.mark.parametrize("norm", [0.5, 20.0])
def test_clipping_only_shrinks(norm):
    g = round_to(np.random.default_rng(42).standard_normal(100), "bf16")
    agrees(clip(), {"N": 100, "G": "bf16"},
           lambda norm: torch.from_numpy(g) * min(1.0, 2.0 / (float(norm) + 1e-6)),
           inputs={"norm": np.array([norm]), "g": g},
           options={"limit": 2.0, "tile": 30})  # fmt: skip


@pytest.mark.filterwarnings("ignore:invalid value")
@pytest.mark.parametrize("bad", [0, 2])
def test_unscaling_finds_infinities(bad):
    g = round_to(np.random.default_rng(43).standard_normal(100), "f16")
    g[[10, 60][:bad]] = [np.inf, -np.inf][:bad]
    agrees(unscale, {"N": 100, "G": "f16"},
           lambda s: (torch.from_numpy(g) * s, torch.tensor([bad])),
           inputs={"inverse": np.array([0.125]), "g": g, "found": np.zeros(1)},
           options={"tile": 40})  # fmt: skip
