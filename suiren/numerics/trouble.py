"""What was found: one trouble is one op that does not give what it should."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, Literal

import torch

from suiren.numerics.host import on_host
from suiren.numerics.place import Place

What = Literal["nan", "infinity", "overflow", "underflow", "error", "accumulation", "cancellation"]
Weight = Literal["trouble", "pending", "note"]

NAMES = {torch.float16: "FP16", torch.bfloat16: "BF16", torch.float32: "FP32",
         torch.float64: "FP64", torch.float8_e4m3fn: "FP8 E4M3",
         torch.float8_e5m2: "FP8 E5M2"}  # fmt: skip


def format_name(dtype: torch.dtype) -> str:
    """The format as a reader knows it: `FP16`."""
    return NAMES.get(dtype, str(dtype).removeprefix("torch."))


@dataclass(frozen=True)
class Statistics:
    """One tensor in numbers; of the finite elements where it says minimum, maximum or mean."""

    role: str
    format: str
    shape: tuple[int, ...]
    minimum: float
    maximum: float
    mean: float
    absolute_maximum: float
    percent_zero: float
    percent_nan: float
    percent_infinite: float


def statistics(tensor: torch.Tensor, role: str) -> Statistics:
    """Of a tensor on the card or on the host."""
    values = on_host(tensor).double() if not tensor.is_cpu else tensor.double()
    finite = values[torch.isfinite(values)]
    count = max(1, values.numel())
    some = finite.numel() > 0
    return Statistics(
        role=role,
        format=format_name(tensor.dtype),
        shape=tuple(tensor.shape),
        minimum=float(finite.min()) if some else 0.0,
        maximum=float(finite.max()) if some else 0.0,
        mean=float(finite.mean()) if some else 0.0,
        absolute_maximum=float(finite.abs().max()) if some else 0.0,
        percent_zero=100 * float((values == 0).sum()) / count,
        percent_nan=100 * float(values.isnan().sum()) / count,
        percent_infinite=100 * float(values.isinf().sum()) / count,
    )


@dataclass
class Trouble:
    """One finding."""

    what: What
    place: Place
    cause: str
    """In words, with values."""
    weight: Weight
    format: str
    order: int
    """Number of the op in the run: earlier findings first."""
    made_by: Place | None = None
    """The op that produced the value that the cause names."""
    tensors: list[Statistics] = field(default_factory=list)
    error: dict[str, float] = field(default_factory=dict)
    chain: int = 0
    """Terms of the sum, where the error grew term by term."""
    times: int = 1
    """How often the same op did the same."""
    last_step: int = 0
    scaled: bool = False
    """The backward was of a scaled loss, and a GradScaler watches for it."""

    def weighing(self, weight: Weight) -> Trouble:
        """The same with another weight."""
        return replace(self, weight=weight)

    @property
    def headline(self) -> str:
        """`step 3, backward of GPT.blocks.1.mlp, train.py:47 (aten.mm): overflow: …`."""
        place = self.place
        whose = f" of {place.module}" if place.module else ""
        return (
            f"step {place.step}, {place.phase}{whose}, {place.where} "
            f"({place.op}): {LABELS[self.what].format(self.format)}: {self.cause}"
        )


LABELS: dict[What, str] = {
    "nan": "NaN",
    "infinity": "infinity",
    "overflow": "{} overflow",
    "underflow": "{} underflow",
    "error": "error beyond what {} explains",
    "accumulation": "sum accumulated in {}",
    "cancellation": "digits cancelled in {}",
}


def as_json(trouble: Trouble) -> dict[str, Any]:
    """A finding as plain JSON."""
    return {
        "what": trouble.what,
        "weight": trouble.weight,
        "headline": trouble.headline,
        "cause": trouble.cause,
        "format": trouble.format,
        **_place(trouble.place),
        "made_by": None if trouble.made_by is None else _place(trouble.made_by),
        "chain": trouble.chain,
        "times": trouble.times,
        "last_step": trouble.last_step,
        "error": trouble.error,
        "tensors": [_statistics(s) for s in trouble.tensors],
    }


def _place(place: Place) -> dict[str, Any]:
    return {
        "step": place.step,
        "phase": place.phase,
        "module": place.module,
        "file": place.file,
        "line": place.line,
        "source": place.text,
        "op": place.op,
        "node": place.node,
    }


def _statistics(given: Statistics) -> dict[str, Any]:
    return {**vars(given), "shape": list(given.shape)}
