"""All layouts that choices leave, as columns, without a loop over layouts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product

import numpy as np
from numpy.typing import NDArray

from suiren.fleet.columns import CODES, NAMES, REASONS, Layouts, code
from suiren.fleet.model import Model

__all__ = ["CODES", "REASONS", "Layouts", "blocks", "divisors", "space"]

#: What is tried where a choice is not given. `None`: every value that divides what it splits.
DEFAULTS: dict[str, Sequence[object] | None] = {
    "tp": None, "pp": None, "vpp": None, "micro_batch": None, "cp": (1,), "ep": (1,),
    "sequence_parallel": (False, True), "zero": (0, 1), "recompute": CODES["recompute"],
    "schedule": CODES["schedule"], "precision": ("bf16",), "offload": ("none",),
    "overlap_gradients": (False, True), "overlap_tensor": (False, True),
    "distinct_tokens": (False,), "first_stage_layers": (0,), "last_stage_layers": (0,),
}  # fmt: skip


def space(model: Model, ranks: int, **choices: object) -> Layouts:
    """Every possible layout of a model on exactly `ranks` cards, as columns.

    A choice is a field of `Layout` with its value or a sequence of values; `global_batch` must be
    given, `dp` follows from the rest. Left out, `tp` takes the divisors of the heads, `pp` those
    of the ranks, `vpp` those that leave chunks equally many layers, `micro_batch` the divisors of
    a replica's samples. A choice that changes nothing is listed once: see `blocks`. Raises
    ValueError for a choice that does not exist.
    """
    return Layouts.joined(blocks(model, ranks, **choices))


def blocks(model: Model, ranks: int, **choices: object) -> Iterator[Layouts]:
    """`space` piece by piece: one block for each split of the ranks, those of a tp together.

    Where tp is 1, sequence parallelism and overlapped exchanges change nothing and only the first
    value given counts. `interleaved` stands for stages of several chunks, the other schedules for
    one chunk; one stage alone has no bubble to fill, so it is not `zero-bubble`.
    """
    given = _given(choices)
    heads = given["tp"] or divisors(model.heads)
    splits = product(heads, given["cp"] or (), given["ep"] or (), given["pp"] or divisors(ranks),
                     given["global_batch"] or ())  # fmt: skip
    for tp, cp, ep, pp, batch in splits:
        dp, rest = divmod(ranks, tp * cp * pp)
        if rest or batch % dp:
            continue
        fixed = {"tp": tp, "cp": cp, "ep": ep, "pp": pp, "dp": dp, "global_batch": batch}
        found = _block(model, fixed, given)
        if len(found):
            yield found


def divisors(number: int) -> list[int]:
    """All divisors, ascending."""
    return [n for n in range(1, number + 1) if number % n == 0]


def _given(choices: dict[str, object]) -> dict[str, list[int] | None]:
    """Numbers of every choice; None where it depends on the split."""
    unknown = [name for name in choices if name not in NAMES or name == "dp"]
    if unknown:
        raise ValueError(f"{unknown[0]} is no choice of a layout; choices are global_batch, "
                         f"{', '.join(DEFAULTS)}")  # fmt: skip
    if "global_batch" not in choices:
        raise ValueError("a space of layouts needs a global_batch")
    found: dict[str, list[int] | None] = {}
    for name, values in (DEFAULTS | choices).items():
        if values is None:
            found[name] = None
            continue
        many = values if isinstance(values, (list, tuple, range)) else (values,)
        found[name] = [code(name, value) for value in many]
    return found


def _block(model: Model, fixed: dict[str, int], given: dict[str, list[int] | None]) -> Layouts:
    """All rows of one split."""
    samples = fixed["global_batch"] // fixed["dp"]
    free = {name: values for name, values in given.items() if name not in fixed}
    free["micro_batch"] = free["micro_batch"] or divisors(samples)
    chunks = [v for v in range(1, model.layers // fixed["pp"] + 1)
              if model.layers % (fixed["pp"] * v) == 0] or [1]  # fmt: skip
    free["vpp"] = free["vpp"] or chunks
    if fixed["tp"] == 1:
        for name in ("sequence_parallel", "overlap_tensor"):
            free[name] = (free[name] or [0])[:1]
    columns = dict(zip(free, _mesh([v or [] for v in free.values()]), strict=True))
    rows = len(columns["vpp"])
    columns |= {name: np.full(rows, value, np.int32) for name, value in fixed.items()}
    found = Layouts(**columns)
    return found.select((found.reasons(model) == 0) & _differs(found))


def _mesh(values: list[list[int]]) -> list[NDArray[np.int32]]:
    """Columns of every combination."""
    grids = np.meshgrid(*[np.array(v, np.int32) for v in values], indexing="ij")
    return [grid.ravel() for grid in grids]


def _differs(rows: Layouts) -> NDArray[np.bool_]:
    """Rows whose schedule is the name for what their chunks do."""
    names = CODES["schedule"]
    several = rows.schedule == names.index("interleaved")
    moved = rows.schedule == names.index("zero-bubble")
    return np.asarray((several == (rows.vpp > 1)) & ~(moved & (rows.pp == 1)))
