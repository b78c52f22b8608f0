"""Batch norm, forward and backward, against PyTorch in float64."""

from __future__ import annotations

from math import ceil
from typing import Any

import numpy as np
import pytest
import torch
from against_torch import agrees
from torch.nn import functional

from suiren.core.kernel import Kernel
from suiren.kernels import batch_norm as forward
from suiren.kernels import batch_norm_backward as backward
from suiren.kernels.channels import channels_of

PLANES = [(2, 1, 1), (5, 3, 7), (1, 4, 50), (2, 70, 9), (9, 2, 33)]
ROWS = [(2, 1), (5, 7), (70, 3), (40, 130)]
PIECES = 3
EPS, MOMENTUM = 1e-3, 0.2


def sizes_of(shape: tuple[int, ...], dtype: str = "f32", weight: str = "f32") -> dict[str, Any]:
    names = "NCP" if len(shape) == 3 else "MC"
    wide = "f64" if dtype == "f64" else "f32"
    return {**dict(zip(names, shape, strict=True)), "Q": PIECES, "T": dtype, "W": weight, "R": wide}


def kernel_of(room: Any, name: str, shape: tuple[int, ...]) -> Kernel:
    found = getattr(room, name + ("" if len(shape) == 3 else "_rows"))
    assert isinstance(found, Kernel)
    return found


def split(x: torch.Tensor, elements: int) -> list[torch.Tensor]:
    """The pieces of every channel, [C, positions] each."""
    channels = channels_of(tuple(x.shape), PIECES, elements)
    planes = x if x.dim() == 3 else x[:, :, None]
    along = 0 if x.dim() == 2 or x.shape[0] >= PIECES else 2
    step = channels.fold_block[0 if along == 0 else 1]
    length = ceil(ceil(planes.shape[along] / step) / PIECES) * step
    # torch.split stops at the end; the pieces after it are empty
    pieces = list(planes.split(length, along))
    pieces += [planes.narrow(along, 0, 0)] * (PIECES - len(pieces))
    return [p.transpose(0, 1).reshape(planes.shape[1], -1) for p in pieces]


def moments(x: torch.Tensor, elements: int) -> torch.Tensor:
    found = []
    for piece in split(x, elements):
        mean = piece.mean(1).nan_to_num(0.0)
        squares = (piece - mean[:, None]).square().sum(1)
        found.append(torch.stack([mean, squares, torch.full_like(mean, piece.shape[1])]))
    return torch.stack(found, 1)


def check_forward(shape: tuple[int, ...], elements: int, *formats: str) -> None:
    dims = [d for d in range(len(shape)) if d != 1]

    def wanted(x: Any, weight: Any, bias: Any, running_mean: Any, running_var: Any) -> Any:
        mean, rstd = x.mean(dims), (x.var(dims, correction=0) + EPS).rsqrt()
        new_mean, new_var = running_mean.clone(), running_var.clone()
        y = functional.batch_norm(x, new_mean, new_var, weight, bias, True, MOMENTUM, EPS)
        return y, mean, rstd, new_mean, new_var, moments(x, elements)

    options = {"elements": elements, "eps": EPS, "momentum": MOMENTUM}
    variance = np.random.default_rng(3).random(shape[1]) + 0.5
    sizes = sizes_of(shape, *formats)
    agrees(kernel_of(forward, "batch_norm", shape), sizes, wanted, options=options, slack=32,
           inputs={"running_var": variance})  # fmt: skip
    agrees(
        kernel_of(forward, "batch_norm_eval", shape), sizes,
        lambda x, w, b, m, v: functional.batch_norm(x, m, v, w, b, False, 0.0, EPS),
        options={"elements": elements, "eps": EPS}, inputs={"running_var": variance}, slack=16,
    )  # fmt: skip


def check_backward(shape: tuple[int, ...], elements: int, training: bool, *formats: str) -> None:
    dims = [d for d in range(len(shape)) if d != 1]
    x = np.random.default_rng(4).standard_normal(shape)
    held = torch.from_numpy(x)
    mean, rstd = held.mean(dims), (held.var(dims, correction=0) + EPS).rsqrt()
    if not training:
        mean, rstd = mean + 0.3, rstd * 0.7

    def wanted(grad: Any, x: Any, weight: Any, mean: Any, rstd: Any) -> Any:
        x, weight = x.requires_grad_(), weight.requires_grad_()
        bias = torch.zeros_like(weight, requires_grad=True)
        # the running variance that gives this rstd
        y = functional.batch_norm(x, mean, rstd**-2 - EPS, weight, bias, training, 0.0, EPS)
        found = torch.autograd.grad(y, [x, weight, bias], grad)
        along = [1, -1] + [1] * (grad.dim() - 2)
        centred = (x - mean.reshape(along[: grad.dim()])).detach()
        parts = torch.stack([
            torch.stack([piece.sum(1) for piece in split(values, elements)])
            for values in (grad, grad * centred)
        ])  # fmt: skip
        return *found, parts.sum(1), parts

    agrees(
        kernel_of(backward, "batch_norm_backward", shape), sizes_of(shape, *formats), wanted,
        options={"elements": elements, "training": training}, slack=64,
        inputs={"x": x, "mean": mean.numpy(), "rstd": rstd.numpy()},
    )  # fmt: skip


@pytest.mark.parametrize("elements", [8192, 16])
@pytest.mark.parametrize("shape", PLANES + ROWS)
def test_of_any_shape(shape: tuple[int, ...], elements: int) -> None:
    check_forward(shape, elements)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("elements", [8192, 16])
@pytest.mark.parametrize("shape", PLANES + ROWS)
def test_gradients(shape: tuple[int, ...], elements: int, training: bool) -> None:
    check_backward(shape, elements, training)


@pytest.mark.parametrize("formats", [("f64", "f64"), ("bf16", "bf16"), ("f16", "f32")])
@pytest.mark.parametrize("shape", [(5, 3, 20), (30, 6)])
def test_in_every_format(shape: tuple[int, ...], formats: tuple[str, str]) -> None:
    check_forward(shape, 32, *formats)
    check_backward(shape, 32, True, *formats)


def test_nothing_cancels_far_from_zero() -> None:
    # numbers at 1000 are known to 3e-5; sums of their squares would leave nothing
    x = 1000 + np.random.default_rng(0).standard_normal((4, 3, 60))
    held = torch.from_numpy(x).float().double()
    mean, rstd = held.mean((0, 2)), (held.var((0, 2), correction=0) + 1e-5).rsqrt()

    def wanted(x: Any, weight: Any, bias: Any, *_: Any) -> Any:
        y = functional.batch_norm(x, None, None, weight, bias, True, 0.1, 1e-5)
        return y, mean, rstd, mean, x.var((0, 2)), moments(x, 16)

    agrees(forward.batch_norm, sizes_of((4, 3, 60)), wanted, slack=1000,
           options={"elements": 16, "momentum": 1.0}, inputs={"x": x})  # fmt: skip
