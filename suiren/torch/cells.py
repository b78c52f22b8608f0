"""Fused kernels that PyTorch asks of every accelerator and the host lacks.

Each is written with plain ops and registered for the host, so that the card hands it over
like any other op and sees one kernel, as CUDA does.
"""

from __future__ import annotations

from typing import Any

import torch

Tensor = torch.Tensor
_library: torch.library.Library | None = None


def _gates(
    input_gates: Tensor, hidden_gates: Tensor, b1: Tensor | None, b2: Tensor | None
) -> Tensor:
    gates = input_gates + hidden_gates
    if b1 is not None:
        gates = gates + b1
    return gates if b2 is None else gates + b2


def lstm_cell(
    input_gates: Tensor,
    hidden_gates: Tensor,
    cx: Tensor,
    input_bias: Tensor | None = None,
    hidden_bias: Tensor | None = None,
) -> tuple[Tensor, Tensor, Tensor]:
    """(hy, cy, workspace): one step of an LSTM from its four gates."""
    i, f, g, o = _gates(input_gates, hidden_gates, input_bias, hidden_bias).chunk(4, -1)
    i, f, g, o = i.sigmoid(), f.sigmoid(), g.tanh(), o.sigmoid()
    cy = f * cx + i * g
    return o * cy.tanh(), cy, torch.cat([i, f, g, o], -1)


def lstm_cell_backward(
    grad_hy: Tensor | None,
    grad_cy: Tensor | None,
    cx: Tensor,
    cy: Tensor,
    workspace: Tensor,
    has_bias: bool,
) -> tuple[Tensor, Tensor, Tensor | None]:
    """(gates, cx, bias) gradients of `lstm_cell`."""
    i, f, g, o = workspace.chunk(4, -1)
    tanh_cy = cy.tanh()
    hy = torch.zeros_like(cy) if grad_hy is None else grad_hy
    gc = hy * o * (1 - tanh_cy * tanh_cy)
    if grad_cy is not None:
        gc = gc + grad_cy
    parts = [
        gc * g * i * (1 - i),
        gc * cx * f * (1 - f),
        gc * i * (1 - g * g),
        hy * tanh_cy * o * (1 - o),
    ]
    gates = torch.cat(parts, -1)
    return gates, gc * f, gates.sum(0) if has_bias else None


def gru_cell(
    input_gates: Tensor,
    hidden_gates: Tensor,
    hx: Tensor,
    input_bias: Tensor | None = None,
    hidden_bias: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """(hy, workspace): one step of a GRU from its three gates."""
    a = input_gates if input_bias is None else input_gates + input_bias
    b = hidden_gates if hidden_bias is None else hidden_gates + hidden_bias
    (ar, az, an), (br, bz, bn) = a.chunk(3, -1), b.chunk(3, -1)
    r, z = (ar + br).sigmoid(), (az + bz).sigmoid()
    n = (an + r * bn).tanh()
    return (1 - z) * n + z * hx, torch.cat([r, z, n, hx, bn], -1)


def gru_cell_backward(
    grad_hy: Tensor, workspace: Tensor, has_bias: bool
) -> tuple[Tensor, Tensor, Tensor, Tensor | None, Tensor | None]:
    """(input gates, hidden gates, hx, two biases) gradients of `gru_cell`."""
    r, z, n, hx, bn = workspace.chunk(5, -1)
    gn = grad_hy * (1 - z) * (1 - n * n)
    gz = grad_hy * (hx - n) * z * (1 - z)
    gr = gn * bn * r * (1 - r)
    gi, gh = torch.cat([gr, gz, gn], -1), torch.cat([gr, gz, gn * r], -1)
    biases = (gi.sum(0), gh.sum(0)) if has_bias else (None, None)
    return gi, gh, grad_hy * z, *biases


def rms_norm_backward(
    grad: Tensor,
    x: Tensor,
    shape: list[int],
    rstd: Tensor,
    weight: Tensor | None,
    mask: list[bool],
) -> tuple[Tensor | None, Tensor | None]:
    """(input, weight) gradients of an RMS norm over the last dimensions."""
    last = tuple(range(-len(shape), 0))
    scaled = x.float() * rstd.float()
    upstream = grad.float()
    weighted = upstream if weight is None else upstream * weight.float()
    mean = (weighted * scaled).mean(last, keepdim=True)
    grad_x = ((weighted - scaled * mean) * rstd.float()).to(x.dtype) if mask[0] else None
    if weight is None or not mask[1]:
        return grad_x, None
    outer = tuple(range(x.dim() - len(shape)))
    grad_w = (upstream * scaled).sum(outer) if outer else upstream * scaled
    return grad_x, grad_w.to(weight.dtype)


def register() -> None:
    """Registers the kernels for the host, values and shapes alike."""
    global _library
    _library = torch.library.Library("aten", "IMPL")
    for name, function in (
        ("_thnn_fused_lstm_cell", lstm_cell),
        ("_thnn_fused_lstm_cell_backward_impl", _lstm_backward_impl),
        ("_thnn_fused_gru_cell", gru_cell),
        ("_thnn_fused_gru_cell_backward", gru_cell_backward),
        ("_fused_rms_norm_backward", rms_norm_backward),
    ):
        for key in ("CPU", "Meta"):
            if not torch._C._dispatch_has_kernel_for_dispatch_key("aten::" + name, key):
                _library.impl(name, function, key)


def _lstm_backward_impl(*arguments: Any) -> Any:
    return lstm_cell_backward(*arguments)
