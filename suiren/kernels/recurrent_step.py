"""One step of an LSTM or GRU with its products: no gate ever reaches device memory.

A core makes the same columns of all gates for some rows of the batch: four accumulators take
the products with the input, then those with the state, and the cell follows in registers.
"""

from __future__ import annotations

from typing import Any

from suiren.core.index import Range
from suiren.core.kernel import kernel
from suiren.core.language import Core
from suiren.core.tile import Tensor, Tile
from suiren.kernels.chain import Chain
from suiren.kernels.recurrent import GRU, LSTM
from suiren.kernels.tiling import run

#: By accumulator: the gate whose weights it takes with the input and with the state.
_LSTM_GATES = {"i": (0, 0), "f": (1, 1), "g": (2, 2), "o": (3, 3)}
_GRU_GATES = {"r": (0, 0), "z": (1, 1), "n": (2, None), "hn": (None, 2)}
_LSTM_STEP = Chain.parse(LSTM.format(**{g: f"{g}_sum + {g}_0 + {g}_1" for g in "ifgo"}))
_GRU_STEP = Chain.parse(GRU.format(**{g: f"{g}_sum + {g}_0 + {g}_1" for g in "rz"},
                                   n="n_sum + n_0", hn="hn_sum + hn_1"))  # fmt: skip


@kernel("x T[B,I]; h T[B,H]; c T[B,H]; w_input T[4,H,I]; w_hidden T[4,H,H]; bias_input T[4,H]; "
        "bias_hidden T[4,H] -> h_next T[B,H]; c_next T[B,H]",
        B=16, I=32, H=32, T="bf16")  # fmt: skip
def lstm_step(
    core: Core, x: Tensor, h: Tensor, c: Tensor, w_input: Tensor, w_hidden: Tensor,
    bias_input: Tensor, bias_hidden: Tensor, h_next: Tensor, c_next: Tensor, tb: int = 32,
    th: int = 32, tk: int = 32, stages: int = 2, **deal: Any,
) -> None:  # fmt: skip
    """LSTM. Options: rows `tb`, columns `th` and depth `tk` of a tile, `stages`, a grid's."""
    _step(core, (x, h), (w_input, w_hidden), (bias_input, bias_hidden), _LSTM_GATES, _LSTM_STEP,
          {"c": c}, {"h_next": h_next, "c_next": c_next}, (tb, th, tk, stages), deal)  # fmt: skip


@kernel("x T[B,I]; h T[B,H]; w_input T[3,H,I]; w_hidden T[3,H,H]; bias_input T[3,H]; "
        "bias_hidden T[3,H] -> h_next T[B,H]", B=16, I=32, H=32, T="bf16")  # fmt: skip
def gru_step(
    core: Core, x: Tensor, h: Tensor, w_input: Tensor, w_hidden: Tensor, bias_input: Tensor,
    bias_hidden: Tensor, h_next: Tensor, tb: int = 32, th: int = 32, tk: int = 32,
    stages: int = 2, **deal: Any,
) -> None:  # fmt: skip
    """GRU. Options: rows `tb`, columns `th` and depth `tk` of a tile, `stages`, a grid's."""
    _step(core, (x, h), (w_input, w_hidden), (bias_input, bias_hidden), _GRU_GATES, _GRU_STEP,
          {"h": h}, {"h_next": h_next}, (tb, th, tk, stages), deal)  # fmt: skip


Two = tuple[Tensor, Tensor]
Gates = dict[str, tuple[int, int]] | dict[str, tuple[int | None, int | None]]


def _step(
    core: Core, states: Two, weights: Two, biases: Two, gates: Gates, chain: Chain,
    read: dict[str, Tensor], made: dict[str, Tensor], tile: tuple[int, int, int, int],
    deal: dict[str, Any],
) -> None:  # fmt: skip
    rows, cols = states[1].shape
    tb, th, tk, stages = min(tile[0], rows), min(tile[1], cols), tile[2], tile[3]
    sums = {name: core.registers((tb, th)) for name in gates}
    inputs = {n: core.scratchpad((tb, th), t.dtype, stages) for n, t in read.items()}
    added = {f"{name}_{n}": core.scratchpad((1, th), biases[n].dtype, stages)
             for name, pair in gates.items() for n, gate in enumerate(pair)
             if gate is not None}  # fmt: skip
    out = {n: core.scratchpad((tb, th), t.dtype, 2) for n, t in made.items()}
    tk = min(tk, max(s.shape[1] for s in states))
    x = core.scratchpad((tb, tk), states[0].dtype, stages)
    blocks = [core.scratchpad((th, tk), weights[0].dtype, stages)
              for _ in range(weights[0].shape[0])]  # fmt: skip
    for b, h in core.grid((rows, tb), (cols, th), **deal):
        for name, tensor in read.items():
            core.load(inputs[name], tensor[b, h])
        for name, pair in gates.items():
            core.fill(sums[name], 0)
            for n, gate in enumerate(pair):
                if gate is not None:
                    core.load(added[f"{name}_{n}"], biases[n][gate, h].matrix((), (0,)))
        for n in (0, 1):
            used = {gate: sums[name] for name, pair in gates.items()
                    if (gate := pair[n]) is not None}  # fmt: skip
            _products(core, used, (states[n], weights[n]), (x, blocks), (b, h))
        core.wait(*inputs.values(), *added.values())
        core.acquire(*out.values())
        totals = {f"{name}_sum": acc for name, acc in sums.items()}
        run(core, chain, {**totals, **added, **inputs}, out, "f32")
        core.release(*inputs.values(), *added.values())
        for name, tensor in made.items():
            core.store(tensor[b, h], out[name])


def _products(
    core: Core, sums: dict[int, Tile], tensors: Two, operands: tuple[Tile, list[Tile]],
    at: tuple[Range, Range],
) -> None:  # fmt: skip
    """Adds the products of a state with the weights of every gate."""
    (state, weights), (x, blocks), (b, h) = tensors, operands, at
    for k in core.blocks(state.shape[1], x.shape[1]):
        core.load(x, state[b, k])
        for gate, block in enumerate(blocks):
            core.load(block, weights[gate, h, k])
        core.wait(x, *blocks)
        for gate, acc in sums.items():
            core.matmul(acc, x, blocks[gate], transpose_y=True)
        core.release(x, *blocks)
