"""Optimizers: one pass over parameters, gradients and state, and what comes before the step.

Parameters and state are updated in place: give them as results. A list of tensors is one
launch over one flat range of elements, as multi-tensor kernels have it; the option `lengths`
names the elements of every tensor of the list, and the launch has as many tiles as the list
has chunks of at most `tile` elements. Hyper-parameters are options, the number of the `step`
too. Formats are `T` for parameters, `G` for gradients, `S` for state.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from suiren.core.kernel import Kernel, kernel
from suiren.core.language import Core
from suiren.core.tile import Tensor
from suiren.kernels.pointwise import pointwise
from suiren.kernels.reduction import reduction


def foreach(signature: str, chain: str, name: str = "foreach", **scalars: float) -> Kernel:
    """A kernel that runs a chain over lists of tensors; see `pointwise` for its options."""
    inner = pointwise(signature, chain, name, **scalars)

    def over(
        core: Core, *given: Tensor, lengths: Sequence[int] = (), tile: int = 1024, **options: Any
    ) -> None:
        inner.function(core, *given, tile=chunk(lengths, tile), **options)

    over.__name__ = name
    return Kernel(over, inner.signature, {})


def chunk(lengths: Sequence[int], tile: int) -> int:
    """Elements a tile on average, where every tensor of a list has tiles of its own."""
    chunks = sum(-(-size // tile) for size in lengths)
    return -(-sum(lengths) // chunks) if chunks else tile


def sgd(momentum: bool = True, nesterov: bool = False, first: bool = False) -> Kernel:
    """Stochastic gradient descent; `first` is the first step, which fills the momentum.

    Scalars: lr, decay, momentum, dampening.
    """
    lines = ["g = p * decay + g"]
    if momentum:
        lines.append("m = g" if first else "m = m * momentum + g * (1 - dampening)")
        lines.append("g = m * momentum + g" if nesterov else "g = m")
    lines.append("p = p - g * lr")
    results = "p T[N]; m S[N]" if momentum else "p T[N]"
    return foreach(f"g G[N] -> {results}", "\n".join(lines), "sgd",
                   lr=1e-3, decay=0.0, momentum=0.9, dampening=0.0)  # fmt: skip


def adam(decoupled: bool = False, amsgrad: bool = False, copy: bool = False) -> Kernel:
    """Adam, or with `decoupled` weight decay AdamW; `copy` also writes p in a narrow format.

    Scalars: lr, beta1, beta2, eps, decay, step.
    """
    lines = ["p = p * (1 - lr * decay)" if decoupled else "g = p * decay + g",
             "m = m * beta1 + g * (1 - beta1)", "v = v * beta2 + g * g * (1 - beta2)"]  # fmt: skip
    lines += ["top = maximum(top, v)"] if amsgrad else []
    largest = "top" if amsgrad else "v"
    lines += [f"root = sqrt({largest}) * (1 / sqrt(1 - beta2 ** step)) + eps",
              "p = p - m / root * (lr / (1 - beta1 ** step))"]  # fmt: skip
    lines += ["low = p"] if copy else []
    results = ["p T[N]", "m S[N]", "v S[N]", *(["top S[N]"] if amsgrad else []),
               *(["low L[N]"] if copy else [])]  # fmt: skip
    return foreach(f"g G[N] -> {'; '.join(results)}", "\n".join(lines),
                   "adamw" if decoupled else "adam",
                   lr=1e-3, beta1=0.9, beta2=0.999, eps=1e-8, decay=0.0, step=1)  # fmt: skip


def adagrad() -> Kernel:
    """Adagrad. Scalars: lr, rate_decay, decay, eps, step."""
    return foreach(
        "g G[N] -> p T[N]; s S[N]",
        """g = p * decay + g
           s = g * g + s
           p = p - g / (sqrt(s) + eps) * (lr / (1 + (step - 1) * rate_decay))""",
        "adagrad", lr=1e-2, rate_decay=0.0, decay=0.0, eps=1e-10, step=1,
    )  # fmt: skip


def rmsprop() -> Kernel:
    """RMSprop without momentum. Scalars: lr, alpha, eps, decay."""
    return foreach(
        "g G[N] -> p T[N]; s S[N]",
        """g = p * decay + g
           s = s * alpha + g * g * (1 - alpha)
           p = p - g / (sqrt(s) + eps) * lr""",
        "rmsprop", lr=1e-2, alpha=0.99, eps=1e-8, decay=0.0,
    )  # fmt: skip


def grad_norm() -> Kernel:
    """The 2-norm of all gradients, by way of S sums of squares."""
    return reduction("g G[N] -> norm f32[1]; part f32[S]", "sum", "v = g * g", "y = sqrt(v)",
                     "grad_norm")  # fmt: skip


def clip() -> Kernel:
    """Scales all gradients so that their norm is at most the scalar `limit`."""
    return foreach("norm f32[1] -> g G[N]", "g = g * minimum(limit / (norm + 1e-6), 1)", "clip",
                   limit=1.0)  # fmt: skip


@kernel("inverse f32[1] -> g G[N]; found f32[1]", N=1000, G="f16")
def unscale(
    core: Core, inverse: Tensor, g: Tensor, found: Tensor, lengths: Sequence[int] = (),
    tile: int = 4096, stages: int = 2, **deal: Any,
) -> None:  # fmt: skip
    """Multiplies all gradients in place; `found`, zero before, is positive if one is infinite."""
    elements = g.shape[0]
    step = min(chunk(lengths, tile), elements)
    held, out = core.scratchpad((step,), g.dtype, stages), core.scratchpad((step,), g.dtype, 2)
    factor, flag = (core.scratchpad((1,), t.dtype, 2) for t in (inverse, found))
    wide, strange = core.registers((step,)), core.registers((step,))
    for i in core.grid((elements, step), **deal):
        core.load(factor, inverse[:])
        core.load(held, g[i])
        core.wait(factor, held)
        core.mul(wide, held, factor)
        core.release(factor, held)
        core.acquire(out, flag)
        core.cast(out, wide)
        core.sub(strange, wide, wide)  # zero unless the number is infinite or none
        core.ne(strange, strange, 0)
        core.row_max(flag, strange, axis=0)
        core.store(g[i], out)
        core.store(found[:], flag, add=True)
