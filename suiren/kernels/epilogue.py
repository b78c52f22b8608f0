"""What happens to an accumulator on its way out of a product kernel.

    out = activation(scale · acc + bias + beta · residual)

The accumulator stays in registers throughout. A residual is loaded into the output's own
slot, so that it costs no scratchpad of its own, and is overwritten there by the result.
"""

from __future__ import annotations

from math import pi, sqrt

from suiren.core.index import Index, Range
from suiren.core.language import Core
from suiren.core.tile import KernelMistake, Tensor, Tile, View

Place = Range | Index | Tile
ACTIVATIONS = ("none", "relu", "gelu", "gelu_tanh", "silu")


def activate(core: Core, activation: str, x: Tile, spare: Tile | None = None) -> None:
    """`x` becomes activation(x); all but relu need a `spare` tile of the same shape."""
    if activation == "none":
        return
    if activation == "relu":
        core.maximum(x, x, 0.0)
        return
    if spare is None or activation not in ACTIVATIONS:
        raise KernelMistake(f"activation {activation!r} with spare tile {spare}; one of "
                            f"{', '.join(ACTIVATIONS)} would work")  # fmt: skip
    if activation == "silu":
        core.sigmoid(spare, x)
        core.mul(x, x, spare)
        return
    if activation == "gelu":
        core.mul(spare, x, sqrt(0.5))
        core.erf(spare, spare)
    else:
        core.mul(spare, x, x)
        core.fma(spare, spare, 0.044715 * sqrt(2 / pi), sqrt(2 / pi))
        core.mul(spare, spare, x)
        core.tanh(spare, spare)
    core.fma(spare, spare, 0.5, 0.5)
    core.mul(x, x, spare)


class Epilogue:
    """The tiles of an epilogue, made once a kernel, and its steps, issued once a tile."""

    def __init__(
        self, core: Core, acc: Tile, target: Tensor, bias: Tensor | None = None,
        residual: Tensor | None = None, *, scale: float = 1.0, beta: float = 1.0,
        activation: str = "none", buffers: int = 2, columns: bool = True,
        matrix: tuple[tuple[int, ...], tuple[int, ...]] | None = None,
    ) -> None:  # fmt: skip
        """`columns`: the bias has one number a column of the accumulator, else one a row.

        `matrix` groups the dimensions of a piece of the result into rows and columns.
        """
        self.core, self.acc, self.target, self.residual = core, acc, target, residual
        self.scale, self.beta, self.activation = scale, beta, activation
        self.bias, self.columns, self.matrix = bias, columns, matrix
        self.out = core.scratchpad(acc.shape, target.dtype, buffers)
        exact = acc.dtype == target.dtype and scale == 1.0 and activation in ("none", "relu")
        floats = acc.dtype in ("f32", "f64")
        self.work = acc if floats or exact else core.registers(acc.shape)
        easy = activation in ("none", "relu")
        self.spare = None if easy else core.registers(acc.shape, self.work.dtype)
        if bias is not None:
            run = (1, acc.shape[1]) if columns else (acc.shape[0], 1)
            self.bias_tile = core.scratchpad(run, bias.dtype, buffers)

    def store(self, *places: Place, along: Place | tuple[Place, ...] | None = None) -> None:
        """Finishes the accumulator, gives it back and starts to store it to `places`.

        `along` is where the bias is read.
        """
        core, work, out = self.core, self.work, self.out
        if self.bias is not None and along is not None:
            groups = ((), (0,)) if self.columns else ((0,), ())
            core.load(self.bias_tile, self.bias[along].matrix(*groups))
        if self.residual is not None:
            core.load(out, self._piece(self.residual, places))
        if work is not self.acc:
            core.cast(work, self.acc)
            core.release(self.acc)
        if self.scale != 1.0:
            core.mul(work, work, self.scale)
        if self.bias is not None:
            core.wait(self.bias_tile)
            core.add(work, work, self.bias_tile)
            core.release(self.bias_tile)
        if self.residual is not None:
            core.wait(out)
            core.fma(work, out, self.beta, work)
        else:
            core.acquire(out)
        activate(core, self.activation, work, self.spare)
        core.cast(out, work)
        if work is self.acc:
            core.release(work)
        core.store(self._piece(self.target, places), out)

    def _piece(self, tensor: Tensor, places: tuple[Place, ...]) -> View:
        view = tensor[places]
        return view.matrix(*self.matrix) if self.matrix else view
