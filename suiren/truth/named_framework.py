"""Which framework a row's name means; the nearest that is described where nobody described it."""

from __future__ import annotations

import re
from dataclasses import replace

from suiren.fleet.framework import (
    MEGATRON_2021,
    MEGATRON_2022,
    MEGATRON_CORE,
    MEGATRON_DEEPSPEED,
    MODELLINK,
    ONEFLOW,
    Framework,
)
from suiren.fleet.frameworks import (
    ALPA,
    COLOSSAL,
    DEEPSPEED_BF16,
    DEEPSPEED_FP16,
    GPT_NEOX_BF16,
    GPT_NEOX_FP16,
    MEGATRON_LLAMA,
    NEMO_MEGATRON,
    NEURONX,
    PADDLE,
    PLAIN,
    PRIMUS,
    XLA_GPU,
)
from suiren.truth.rows import Row
from suiren.truth.steps_model import number

#: What a name holds -> the framework; the first that is found. Narrow words stand before wide ones.
NAMES: tuple[tuple[str, Framework], ...] = (
    ("neox", GPT_NEOX_FP16), ("modellink", MODELLINK), ("mindspeed", MODELLINK),
    ("deepspeed", DEEPSPEED_FP16), ("colossal", COLOSSAL), ("megatron-llama", MEGATRON_LLAMA),
    ("primus", PRIMUS), ("rocm", PRIMUS), ("neuron", NEURONX), ("paddle", PADDLE), ("alpa", ALPA),
    ("maxtext", XLA_GPU), ("paxml", XLA_GPU), ("praxis", XLA_GPU), ("t5x", XLA_GPU),
    ("jax", XLA_GPU), ("xla", XLA_GPU), ("nemo-megatron", NEMO_MEGATRON), ("nemo", MEGATRON_CORE),
    ("mcore", MEGATRON_CORE), ("megatron-core", MEGATRON_CORE), ("unnamed gpu", MEGATRON_CORE),
    ("oneflow", ONEFLOW),
)  # fmt: skip
#: What sums gradients in FP32 where products are in BF16.
_IN_BF16 = {DEEPSPEED_FP16.name: DEEPSPEED_BF16, GPT_NEOX_FP16.name: GPT_NEOX_BF16}


def named(row: Row) -> Framework | None:
    """The framework that the row's name means, or None."""
    name = row.shape.get("framework", "").lower()
    if "deepspeed" in name and "vtrain" in row.source.lower():
        return MEGATRON_DEEPSPEED  # src/model of vTrain: plain data parallel, timed pass by pass
    for word, found in NAMES:
        if word in name:
            if "bf16" in row.shape.get("precision", "").lower():
                return _IN_BF16.get(found.name, found)
            return found
    return megatron_of(row) if "megatron" in name else None


def megatron_of(row: Row) -> Framework:
    """Megatron-LM of the row's year, the newest where it tells none."""
    name = row.shape.get("framework", "").lower()
    year = year_of(row)
    if year == 2021 and re.search(r"megatron-lm \(?2021", name):
        return MEGATRON_2021
    return MEGATRON_2022 if year == 2022 or "sequence_parallel=yes" in row.notes else MEGATRON_CORE


def year_of(row: Row) -> int:
    """The year that a row's framework names; 0 where it names none."""
    match = re.search(r"\b20(1[5-9]|2\d)\b", row.shape.get("framework", ""))
    return int(match[0]) if match else 0


def nearest(row: Row) -> Framework:
    """The framework that is taken where nobody described the row's own.

    What splits layers or stages is taken for Megatron of its year, anything else for plain
    PyTorch modules.
    """
    split = any(number(row, degree, 1) > 1 for degree in ("tp", "pp"))
    year = year_of(row)
    by_year = MEGATRON_2021 if 0 < year < 2022 else MEGATRON_2022 if year == 2022 else MEGATRON_CORE
    found = by_year if split else PLAIN
    if not split and "torch" in row.shape.get("framework", "").lower():
        return found
    return replace(found, stands_for=row.shape.get("framework", "") or "a framework without a name")
