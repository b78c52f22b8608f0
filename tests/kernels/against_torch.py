"""The contract of every kernel: run by the emulator it agrees with PyTorch, in every format.

`agrees(kernel, sizes, reference)` draws the inputs that the kernel's signature names, runs the
program with late copies, NaN scratchpads and the format's rounding, and compares every result
with `reference(*inputs)`, computed by PyTorch in float64 on the same rounded inputs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch

from suiren.core.emulate import emulate
from suiren.core.formats import round_to
from suiren.core.kernel import Kernel
from suiren.dtype import FORMATS

#: Half a unit in the last place of the format.
HALF_ULP = {"f64": 2.0**-53, "f32": 2.0**-24, "tf32": 2.0**-11, "bf16": 2.0**-8, "f16": 2.0**-11,
            "f8e4m3": 2.0**-4, "f8e5m2": 2.0**-3}  # fmt: skip


def agrees(
    kernel: Kernel,
    sizes: Mapping[str, int | str],
    reference: Callable[..., Any],
    *,
    options: Mapping[str, object] | None = None,
    inputs: Mapping[str, Any] | None = None,
    slack: float = 8.0,
    seed: int = 0,
) -> None:
    """Asserts that the kernel computes what `reference` does.

    `inputs` gives arrays for parameters that normal random numbers do not suit (indices,
    masks). A result may be off by `slack` half units in the last place of its own format and
    of the inputs', of the largest magnitude in the result.
    """
    tensors = kernel.signature.tensors({**kernel.example, **sizes})
    rng = np.random.default_rng(seed)
    given: dict[str, Any] = {}
    dtypes = []
    for parameter, tensor in zip(kernel.signature.parameters, tensors, strict=True):
        if parameter not in kernel.signature.inputs:
            continue
        values = (inputs or {}).get(tensor.name)
        if values is None:
            values = rng.standard_normal(tensor.shape)
        given[tensor.name] = round_to(np.asarray(values, dtype=np.float64), tensor.dtype)
        dtypes.append(tensor.dtype)
    program = kernel.trace(tensors, **(options or {}))
    got = emulate(program, {**given, **{k: v for k, v in (inputs or {}).items() if k not in given}})
    arguments = [
        torch.from_numpy(v).to(torch.float64 if FORMATS[d].is_float else torch.int64)
        for v, d in zip(given.values(), dtypes, strict=True)
    ]
    wanted = reference(*arguments)
    wanted = wanted if isinstance(wanted, (tuple, list)) else (wanted,)
    outputs = [t for p, t in zip(kernel.signature.parameters, tensors, strict=True)
               if p in kernel.signature.outputs]  # fmt: skip
    assert len(wanted) == len(outputs), f"{len(wanted)} references for {len(outputs)} results"
    coarse = max([HALF_ULP.get(d, 0.0) for d in dtypes], default=0.0)
    for tensor, want in zip(outputs, wanted, strict=True):
        expected = want.detach().to(torch.float64).numpy()
        found = got[tensor.name]
        assert found.shape == expected.shape, (tensor.name, found.shape, expected.shape)
        unwritten = np.isnan(found[~np.isnan(expected)]).any()
        assert not unwritten, f"{tensor.name} has unwritten numbers"
        unit = max(HALF_ULP.get(tensor.dtype, 0.0), coarse)
        finite = np.isfinite(expected)
        assert (np.isfinite(found) == finite).all(), f"{tensor.name}: infinities differ"
        scale = max(1.0, float(np.abs(expected[finite]).max())) if finite.any() else 1.0
        off = float(np.abs(found - expected)[finite].max()) if finite.any() else 0.0
        assert off <= slack * unit * scale, (
            f"{tensor.name}: off by {off:.3g}, allowed {slack * unit * scale:.3g}"
        )
