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


#: Tables that print samples a second of a whole job, one optimizer step a batch.
_WHOLE_JOBS = ("FlagOpen/FlagPerf", "EnflameTechnology/ModelZoo", "huggingface/optimum-habana")
_SAMPLES = ("images/s", "img/s", "sequences/s", "samples/s")


def step_seconds_of(record: Mapping[str, str]) -> float | None:
    """Seconds of a step from a throughput and a batch a card; None where either is not told."""
    source, unit = record.get("source") or "", record.get("unit") or ""
    if not any(s in source for s in _WHOLE_JOBS) or not unit.startswith(_SAMPLES):
        return None
    try:
        batch, rate = float(record.get("micro_batch") or 0), float(record["measured_value"])
        cards = float(record.get("n_devices") or 1)
    except (KeyError, ValueError):
        return None
    if "per card" in (record.get("measured_metric") or ""):
        cards = 1.0
    return batch * cards / rate if batch > 0 and rate > 0 else None
