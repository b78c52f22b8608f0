"""Many layouts as columns: one row a layout, choices as numbers of a table."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from suiren.fleet.layout import Layout
from suiren.fleet.model import Model

Ints = NDArray[np.int32]
Mask = NDArray[np.bool_]

#: Values that a column's numbers stand for; columns that are not here hold their own numbers.
CODES: dict[str, tuple[object, ...]] = {
    "sequence_parallel": (False, True),
    "recompute": ("none", "selective", "full"),
    "schedule": ("1f1b", "gpipe", "interleaved", "zero-bubble"),
    "precision": ("fp32", "tf32", "fp16", "bf16", "fp8", "fp4"),
    "offload": ("none", "optimizer"),
    "overlap_gradients": (False, True),
    "overlap_tensor": (False, True),
    "distinct_tokens": (False, True),
}
#: Why a row is impossible: the number is the place in this list, 0 for a possible one. The order
#: is that of `Layout.check`; the last four are said by the steps themselves.
REASONS = (
    "", "less than one", "too many ranks", "batch does not divide", "heads do not divide",
    "too few layers", "chunks without a pipeline", "micro-batches do not divide",
    "experts do not divide", "ranks do not divide over experts", "tokens do not divide",
    "no such zero", "zero with a pipeline", "no peak known", "zero without sharding",
    "parts cannot be traced",
)  # fmt: skip


@dataclass(frozen=True, eq=False, kw_only=True)
class Layouts:
    """The fields of `Layout`, each a column [rows]; `CODES` says what small numbers stand for."""

    global_batch: Ints
    micro_batch: Ints
    tp: Ints
    pp: Ints
    vpp: Ints
    cp: Ints
    ep: Ints
    dp: Ints
    sequence_parallel: Ints
    zero: Ints
    recompute: Ints
    schedule: Ints
    precision: Ints
    offload: Ints
    overlap_gradients: Ints
    overlap_tensor: Ints
    distinct_tokens: Ints
    first_stage_layers: Ints
    last_stage_layers: Ints

    @classmethod
    def of(cls, layouts: Sequence[Layout]) -> Layouts:
        """The same layouts as columns."""
        return cls(**{
            name: np.array([code(name, getattr(one, name)) for one in layouts], np.int32)
            for name in NAMES
        })  # fmt: skip

    @classmethod
    def joined(cls, parts: Iterable[Layouts]) -> Layouts:
        """The rows of all parts, one after the other."""
        found = list(parts) or [cls.of([])]
        return cls(**{n: np.concatenate([getattr(p, n) for p in found]) for n in NAMES})

    def __len__(self) -> int:
        return len(self.tp)

    def __getitem__(self, row: int) -> Layout:
        values: dict[str, Any] = {}
        for name in NAMES:
            number = int(getattr(self, name)[row])
            values[name] = CODES[name][number] if name in CODES else number
        return Layout(**values)

    def select(self, rows: Mask | NDArray[np.intp] | slice) -> Layouts:
        """Some of the rows: a mask, their numbers, or a slice."""
        return Layouts(**{name: getattr(self, name)[rows] for name in NAMES})

    @property
    def ranks(self) -> Ints:
        """Cards that each takes."""
        return self.tp * self.pp * self.cp * self.dp

    @property
    def micro_batches(self) -> Ints:
        """Micro-batches that each pipeline works through in a step."""
        found: Ints = self.global_batch // np.maximum(1, self.dp * self.micro_batch)
        return found

    def reasons(self, model: Model, num_ranks: int = 0) -> NDArray[np.int8]:
        """Per row the number in `REASONS` of the first rule of `Layout.check` that it breaks."""
        found = np.zeros(len(self), np.int8)
        for number, broken in enumerate(_broken(self, model, num_ranks), 1):
            found[broken & (found == 0)] = number
        return found


NAMES = tuple(f.name for f in fields(Layouts))
#: Fields of a layout that no space of layouts varies: all rows have their defaults.
FIXED = ("copies", "recompute_every")
_DEGREES = ("global_batch", "micro_batch", "tp", "pp", "vpp", "cp", "ep", "dp")


def code(name: str, value: object) -> int:
    """The number that stands for a value in a column; raises ValueError for one it cannot hold."""
    if name not in CODES:
        return int(value)  # type: ignore[call-overload, no-any-return]
    if value not in CODES[name]:
        known = ", ".join(map(str, CODES[name]))
        raise ValueError(f"{name} cannot be {value!r}; known are {known}")
    return CODES[name].index(value)


def _broken(rows: Layouts, model: Model, num_ranks: int) -> Iterable[Mask]:
    """Rows that break each rule, in the order of `Layout.check`."""

    def one(column: Ints) -> Ints:
        return np.maximum(1, column)  # a degree below one was told already

    tp, pp, vpp, cp, ep = map(one, (rows.tp, rows.pp, rows.vpp, rows.cp, rows.ep))
    stage = one(rows.tp * rows.cp * rows.dp)
    none = np.zeros(len(rows), np.bool_)
    yield np.any([getattr(rows, name) < 1 for name in _DEGREES], axis=0)
    yield rows.ranks > num_ranks if num_ranks else none
    yield rows.global_batch % one(rows.dp * rows.micro_batch) != 0
    yield model.heads % tp != 0
    yield pp * vpp > model.layers
    yield (vpp > 1) & (pp == 1)
    yield (vpp > 1) & (rows.micro_batches % pp != 0)
    yield (ep > 1) & (model.experts % ep != 0) if model.experts else ep > 1
    yield stage % ep != 0
    yield model.seq % cp != 0
    yield (rows.zero < 0) | (rows.zero > 3)
    yield (rows.zero >= 2) & (pp > 1)
