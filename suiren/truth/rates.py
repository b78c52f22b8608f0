"""Seconds out of tables that print a rate, where the row states what it is a rate of."""

from __future__ import annotations

import re
from collections.abc import Mapping
from math import prod

#: Bytes an element of gpu-benches' small kernels: one f64 read, one written.
_SMALL_KERNEL_BYTES = 16


def seconds_of(record: Mapping[str, str], value: float | None) -> float | None:
    """Seconds of a record whose unit is no time; None where it does not tell its amount."""
    if not value:
        return None
    shape, op = record.get("shape") or "", record.get("op") or ""
    if "LLMCompass" in (record.get("source") or "") and op in ("softmax", "layernorm", "gelu"):
        # plot_softmax.py labels the column `G Elements/s`; taken to hold for all three ops
        return prod(int(n) for n in shape.split(",")) / (value * 1e9)
    elements = re.search(r"elems=(\d+)", shape)
    if op == "repeated small stream kernels" and elements:
        # one column a block size; the best one is the library's
        _, _, columns = (record.get("notes") or "").partition("all:")
        best = max([value, *(float(c) for c in columns.split())])
        return int(elements[1]) * _SMALL_KERNEL_BYTES / (best * 1e9)
    return None
