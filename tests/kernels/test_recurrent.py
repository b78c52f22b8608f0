"""Recurrent cells and their gradients agree with PyTorch."""

from __future__ import annotations

import pytest
import torch
from against_torch import agrees

from suiren.kernels.recurrent import gru_cell, gru_cell_backward, lstm_cell, lstm_cell_backward
from suiren.kernels.recurrent_step import gru_step, lstm_step

SHAPES = [(1, 1), (5, 33), (40, 8), (3, 300)]


def lstm(products, c):
    i, f, g, o = products.unbind(1)
    i, f, g, o = i.sigmoid(), f.sigmoid(), g.tanh(), o.sigmoid()
    c = f * c + i * g
    return o * c.tanh(), c, torch.stack([i, f, g, o], 1)


def gru(given, hidden, h):
    r, z = (given + hidden)[:, :2].sigmoid().unbind(1)
    hn = hidden[:, 2]
    n = (given[:, 2] + r * hn).tanh()
    return n + z * (h - n), torch.stack([r, z, n, hn], 1)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("form", ["f32", "bf16", "f16"])
@pytest.mark.parametrize("tile", [16, 1024])
def test_cells(shape, form, tile):
    sizes = {"B": shape[0], "H": shape[1], "T": form}
    agrees(lstm_cell(), sizes, lambda x, y, c, b, d: lstm(x + y + b + d, c),
           options={"tile": tile})  # fmt: skip
    agrees(gru_cell(), sizes, lambda x, y, h, b, d: gru(x + b, y + d, h), options={"tile": tile})


def test_cells_without_bias():
    sizes = {"B": 4, "H": 10, "T": "f32"}
    agrees(lstm_cell(bias=False), sizes, lambda x, y, c: lstm(x + y, c))
    agrees(gru_cell(bias=False), sizes, gru)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("form", ["f32", "bf16"])
def test_gradients(shape, form):
    b, n = shape
    torch.manual_seed(0)
    sizes = {"B": b, "H": n, "T": "f32"}
    # the saved state is rounded for the kernel, not for the reference
    slack = 1000 if form == "f32" else 8
    products, c = torch.randn(b, 4, n).double(), torch.randn(b, n).double()
    h_next, c_next, gates = lstm(products.requires_grad_(), c.requires_grad_())
    given = {"c": c, "c_next": c_next, "gates": gates}
    agrees(lstm_cell_backward(), {**sizes, "T": form},
           lambda dh, dc, *_: torch.autograd.grad([h_next, c_next], [products, c], [dh, dc]),
           inputs={k: v.detach().numpy() for k, v in given.items()}, slack=slack)  # fmt: skip
    inputs = [torch.randn(b, 3, n).double().requires_grad_() for _ in range(2)]
    inputs.append(torch.randn(b, n).double().requires_grad_())
    h_next, saved = gru(*inputs)
    agrees(gru_cell_backward(), {**sizes, "T": form},
           lambda dh, *_: torch.autograd.grad(h_next, inputs, dh),
           inputs={"h": inputs[2].detach().numpy(), "saved": saved.detach().numpy()},
           slack=slack)  # fmt: skip


@pytest.mark.parametrize("sizes", [(1, 1, 1), (6, 20, 17), (30, 8, 40)])
@pytest.mark.parametrize("form", ["f32", "bf16"])
@pytest.mark.parametrize("options", [{}, {"tb": 8, "th": 16, "tk": 8, "stages": 1}])
def test_steps_with_their_products(sizes, form, options):
    b, i, n = sizes
    given = {"B": b, "I": i, "H": n, "T": form}

    def weights(*tensors):
        return [t.reshape(-1, *t.shape[2:]) for t in tensors]

    agrees(lstm_step, given, lambda x, h, c, *w: torch.lstm_cell(x, (h, c), *weights(*w)),
           options=options)  # fmt: skip
    agrees(gru_step, given, lambda x, h, *w: torch.gru_cell(x, h, *weights(*w)), options=options)
