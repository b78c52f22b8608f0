"""Recurrent cells: everything after the products of an LSTM or GRU in one pass, and backward.

The products of all gates lie side by side, as [B, 4, H] (LSTM: input, forget, cell, output) or
[B, 3, H] (GRU: reset, update, new). A tile loads the same columns of every gate, runs the cell
as one chain in registers, and stores the new state and what the gradient needs. Cells with
their products are in `recurrent_step.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from suiren.core.index import Range
from suiren.core.kernel import Kernel
from suiren.core.language import Core
from suiren.core.signature import Signature
from suiren.core.tile import Tensor, View
from suiren.kernels.chain import Chain
from suiren.kernels.tiling import compute_format, run, steps_of

LSTM = """
i = sigmoid({i})
f = sigmoid({f})
g = tanh({g})
o = sigmoid({o})
c_next = f * c + i * g
h_next = o * tanh(c_next)
"""
GRU = """
r = sigmoid({r})
z = sigmoid({z})
hn = {hn}
n = tanh({n} + r * hn)
h_next = n + z * (h - n)
"""
_LSTM_BACKWARD = """
t = tanh(c_next)
dc = dc_next + dh * o * (1 - t * t)
di = dc * g * i * (1 - i)
df = dc * c * f * (1 - f)
dg = dc * i * (1 - g * g)
do = dh * t * o * (1 - o)
dc_last = dc * f
"""
_GRU_BACKWARD = """
dn = dh * (1 - z) * (1 - n * n)
dr = dn * hn * r * (1 - r)
dz = dh * (h - n) * z * (1 - z)
dhn = dn * r
dh_last = dh * z
"""
Parts = Mapping[str, tuple[str, int]]
"""By name in the chain: the tensor and the gate; -1 for tensors without gates."""


def lstm_cell(bias: bool = True) -> Kernel:
    """LSTM: state and activated gates from the products with the input and with the state."""
    sources = ["input", "hidden", *(["bias_input", "bias_hidden"] if bias else [])]
    sums = {gate: " + ".join(f"{gate}_{s}" for s in sources) for gate in "ifgo"}
    loads = {f"{gate}_{s}": (s, n) for s in sources for n, gate in enumerate("ifgo")}
    stores = {"h_next": ("h_next", -1), "c_next": ("c_next", -1)}
    stores |= {gate: ("gates", n) for n, gate in enumerate("ifgo")}
    biases = "; bias_input T[4,H]; bias_hidden T[4,H]" if bias else ""
    return _cell(
        f"input T[B,4,H]; hidden T[B,4,H]; c T[B,H]{biases} -> "
        "h_next T[B,H]; c_next T[B,H]; gates T[B,4,H]",
        "lstm_cell", LSTM.format(**sums), {**loads, "c": ("c", -1)}, stores,
    )  # fmt: skip


def lstm_cell_backward() -> Kernel:
    """Gradients of the products (the same for both) and of the state before."""
    gates = {gate: ("gates", n) for n, gate in enumerate("ifgo")}
    loads = {**gates, **{n: (n, -1) for n in ("dh", "dc_next", "c", "c_next")}}
    stores = {**{f"d{gate}": ("dgates", n) for n, gate in enumerate("ifgo")},
              "dc_last": ("dc_last", -1)}  # fmt: skip
    return _cell(
        "dh T[B,H]; dc_next T[B,H]; c T[B,H]; c_next T[B,H]; gates T[B,4,H] -> "
        "dgates T[B,4,H]; dc_last T[B,H]",
        "lstm_cell_backward", _LSTM_BACKWARD, loads, stores,
    )  # fmt: skip


def gru_cell(bias: bool = True) -> Kernel:
    """GRU: the state, and in `saved` reset, update, new, and the hidden part of new."""
    inputs = ["input", *(["bias_input"] if bias else [])]
    hidden = ["hidden", *(["bias_hidden"] if bias else [])]
    sums = {gate: " + ".join(f"{gate}_{s}" for s in (*inputs, *hidden)) for gate in "rz"}
    sums |= {"n": " + ".join(f"n_{s}" for s in inputs), "hn": " + ".join(f"n_{s}" for s in hidden)}
    loads = {f"{gate}_{s}": (s, n) for s in (*inputs, *hidden) for n, gate in enumerate("rzn")}
    stores = {"h_next": ("h_next", -1)}
    stores |= {gate: ("saved", n) for n, gate in enumerate(("r", "z", "n", "hn"))}
    biases = "; bias_input T[3,H]; bias_hidden T[3,H]" if bias else ""
    return _cell(
        f"input T[B,3,H]; hidden T[B,3,H]; h T[B,H]{biases} -> h_next T[B,H]; saved T[B,4,H]",
        "gru_cell", GRU.format(**sums), {**loads, "h": ("h", -1)}, stores,
    )  # fmt: skip


def gru_cell_backward() -> Kernel:
    """Gradients of both products and of the state before."""
    saved = {gate: ("saved", n) for n, gate in enumerate(("r", "z", "n", "hn"))}
    loads = {**saved, "dh": ("dh", -1), "h": ("h", -1)}
    chain = _GRU_BACKWARD + "dr_hidden = dr\ndz_hidden = dz\n"
    stores = {"dr": ("dinput", 0), "dz": ("dinput", 1), "dn": ("dinput", 2),
              "dr_hidden": ("dhidden", 0), "dz_hidden": ("dhidden", 1), "dhn": ("dhidden", 2),
              "dh_last": ("dh_last", -1)}  # fmt: skip
    return _cell(
        "dh T[B,H]; h T[B,H]; saved T[B,4,H] -> dinput T[B,3,H]; dhidden T[B,3,H]; dh_last T[B,H]",
        "gru_cell_backward", chain, loads, stores,
    )  # fmt: skip


def _cell(signature: str, name: str, text: str, loads: Parts, stores: Parts) -> Kernel:
    """A kernel that runs a chain over the parts of its tensors.

    Options: `tile` elements of each part, `stages`, and those of a grid.
    """
    parsed = Signature.parse(signature)
    chain = Chain.parse(text)
    names = [p.name for p in parsed.parameters]
    batch = next(p.name for p in parsed.outputs if len(p.sizes) == 2)

    def cell(core: Core, *given: Tensor, tile: int = 512, stages: int = 2, **deal: Any) -> None:
        tensors = dict(zip(names, given, strict=True))
        shape = tensors[batch].shape
        tb, th = steps_of(shape, tile, 256)
        read, made = ({n: core.scratchpad((1 if is_bias(tensors[t], g) else tb, th),
                                          tensors[t].dtype, buffers)
                       for n, (t, g) in parts.items()}
                      for parts, buffers in ((loads, stages), (stores, 2)))  # fmt: skip
        dtype = compute_format(*(t.dtype for t in given))
        for b, h in core.grid((shape[0], tb), (shape[1], th), **deal):
            for n, (t, g) in loads.items():
                core.load(read[n], part(tensors[t], g, b, h))
            core.wait(*read.values())
            core.acquire(*made.values())
            run(core, chain, read, made, dtype)
            core.release(*read.values())
            for n, (t, g) in stores.items():
                core.store(part(tensors[t], g, b, h), made[n])

    cell.__name__ = name
    return Kernel(cell, parsed, {})


def is_bias(tensor: Tensor, gate: int) -> bool:
    """True for a tensor of gates without a batch."""
    return gate >= 0 and len(tensor.shape) == 2


def part(tensor: Tensor, gate: int, b: Range, h: Range) -> View:
    """A gate's part of a tensor, or the part of one without gates."""
    if gate < 0:
        return tensor[b, h]
    if is_bias(tensor, gate):
        return tensor[gate, h].matrix((), (0,))
    return tensor[b, gate, h]
