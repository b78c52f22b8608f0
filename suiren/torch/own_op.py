"""A kernel as a PyTorch op: it computes by emulation and takes its simulated time in a model."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from suiren.core.emulate import emulate
from suiren.core.kernel import Kernel
from suiren.core.tile import KernelMistake
from suiren.mapper.own import OWN, Own

_DTYPES = {
    torch.float32: "f32", torch.bfloat16: "bf16", torch.float16: "f16", torch.float64: "f64",
    torch.int64: "i64", torch.int32: "i32", torch.int16: "i16", torch.int8: "i8",
    torch.uint8: "u8", torch.bool: "b8",
}  # fmt: skip
_NAMES = {name: dtype for dtype, name in _DTYPES.items()}
NAMESPACE = "suiren"


def name_of_dtype(dtype: torch.dtype) -> str:
    """The format's name in a trace."""
    return _DTYPES.get(dtype) or str(dtype).removeprefix("torch.")


_library = torch.library.Library(NAMESPACE, "FRAGMENT")


def as_torch_op(kernel: Kernel, **options: object) -> Callable[..., Any]:
    """Makes a kernel callable on tensors as `torch.ops.suiren.NAME`, and returns that op.

    On the virtual device its time is the kernel's simulated time; its values come from the
    emulator, on the CPU too. Register a backward with `torch.library.register_autograd`.
    Raises KernelMistake if an op of that name is there already.
    """
    if kernel.name in OWN:
        raise KernelMistake(f"an op suiren::{kernel.name} is registered already")
    inputs, outputs = kernel.signature.inputs, kernel.signature.outputs
    takes = ", ".join(f"Tensor {p.name}" for p in inputs)
    gives = "Tensor" if len(outputs) == 1 else f"({', '.join(['Tensor'] * len(outputs))})"
    _library.define(f"{kernel.name}({takes}) -> {gives}")
    own = OWN[kernel.name] = Own(kernel, tuple(options.items()))
    _library.impl(kernel.name, _compute(own), "CPU")
    _library.impl(kernel.name, _shapes(own), "Meta")
    return getattr(getattr(torch.ops, NAMESPACE), kernel.name)  # type: ignore[no-any-return]


def _given(tensors: tuple[torch.Tensor, ...]) -> list[tuple[tuple[int, ...], str]]:
    return [(tuple(t.shape), _DTYPES[t.dtype]) for t in tensors]


def _results(own: Own, tensors: tuple[torch.Tensor, ...]) -> list[tuple[tuple[int, ...], str]]:
    sizes = {**own.kernel.example, **own.kernel.signature.bind(_given(tensors))}
    made = own.kernel.signature.tensors(sizes)
    return [(t.shape, t.dtype) for t in made[len(own.kernel.signature.inputs) :]]


def compute_exactly(
    name: str, values: list[torch.Tensor], dtypes: list[torch.dtype]
) -> torch.Tensor | tuple[torch.Tensor, ...]:
    """The op of that name on float64 values of tensors in the given formats, as float64.

    Called under `suiren.core.formats.unrounded` it is what the kernel means to compute.
    """
    own = OWN[name]
    shapes = [(tuple(v.shape), _DTYPES[d]) for v, d in zip(values, dtypes, strict=True)]
    program = own.program(shapes)
    names = [p.name for p in own.kernel.signature.inputs]
    given = {n: v.to(torch.float64).numpy() for n, v in zip(names, values, strict=True)}
    made = emulate(program, given)
    results = [
        torch.from_numpy(np.ascontiguousarray(made[p.name])) for p in own.kernel.signature.outputs
    ]
    return results[0] if len(results) == 1 else tuple(results)


def _compute(own: Own) -> Callable[..., Any]:
    def compute(*tensors: torch.Tensor) -> Any:
        program = own.program(_given(tensors))
        names = [p.name for p in own.kernel.signature.inputs]
        arrays = {
            name: t.detach().to(torch.float64).numpy()
            for name, t in zip(names, tensors, strict=True)
        }
        made = emulate(program, arrays)
        results = [
            torch.from_numpy(np.ascontiguousarray(made[p.name])).to(_NAMES[dtype])
            for p, (_, dtype) in zip(
                own.kernel.signature.outputs, _results(own, tensors), strict=True
            )
        ]
        return results[0] if len(results) == 1 else tuple(results)

    return compute


def _shapes(own: Own) -> Callable[..., Any]:
    def shapes(*tensors: torch.Tensor) -> Any:
        results = [
            torch.empty(shape, dtype=_NAMES[dtype], device=tensors[0].device)
            for shape, dtype in _results(own, tensors)
        ]
        return results[0] if len(results) == 1 else tuple(results)

    return shapes
