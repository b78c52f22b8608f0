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
    product = _product_s(record, value)
    if product is not None:
        return product
    collective = _collective_s(record, value)
    if collective is not None:
        return collective
    elements = re.search(r"elems=(\d+)", shape)
    if op == "repeated small stream kernels" and elements:
        # one column a block size; the best one is the library's
        _, _, columns = (record.get("notes") or "").partition("all:")
        best = max([value, *(float(c) for c in columns.split())])
        return int(elements[1]) * _SMALL_KERNEL_BYTES / (best * 1e9)
    return None


def _product_s(record: Mapping[str, str], value: float) -> float | None:
    """Seconds of matrix products of which TFLOP/s and sizes are told: 2 · groups · M · N · K."""
    sizes = dict(re.findall(r"(?:^|,)([^,=]+)=(\d+)", record.get("shape") or ""))
    rows = sizes.get("M") or sizes.get("M per group")
    if record.get("unit") != "TFLOP/s" or not (rows and {"N", "K"} <= sizes.keys()):
        return None
    counts = (sizes.get("#Groups", "1"), rows, sizes["N"], sizes["K"])
    return 2.0 * prod(int(n) for n in counts) / (value * 1e12)


def _collective_s(record: Mapping[str, str], value: float) -> float | None:
    """Seconds of a collective whose bandwidth is printed, bus or algorithm's."""
    shape, op = record.get("shape") or "", record.get("op") or ""
    metric = record.get("measured_metric") or ""
    notes = record.get("notes") or ""
    if op.startswith("interconnect-"):
        return _interconnect_s(op, metric, value)
    if not metric.startswith("busbw"):
        return None
    told = re.search(r"time ([\d.]+) us", notes)
    if told:
        return float(told[1]) * 1e-6
    size = re.search(r"payload=(\d+)([KMG])iB", shape)
    algorithm = re.search(r"algbw ([\d.]+)", notes)
    bus = _of_bus_s(record, value)
    if bus is not None:
        return bus
    if size is None or algorithm is None:
        return None
    count = float(int(size[1]) << {"K": 10, "M": 20, "G": 30}[size[2]])
    return count / (float(algorithm[1]) * 1e9)


def _of_bus_s(record: Mapping[str, str], value: float) -> float | None:
    """Seconds of an all_reduce of which bus bandwidth, bytes and number of cards are told."""
    shape = record.get("shape") or ""
    count, size = re.search(r"\bn=(\d+)", shape), re.search(r"\bbytes=([\d_]+)", shape)
    if count is None or size is None or not (record.get("op") or "").startswith("all_reduce"):
        return None
    n = int(count[1])
    return 2 * (n - 1) / n * float(size[1].replace("_", "")) / (value * 1e9)


def _interconnect_s(op: str, metric: str, value: float) -> float | None:
    """FlagPerf's rates, as seconds of a message of 1 GiB.

    Its bus rates count both directions (nominal 600 GB/s for an A100); so do rates it calls so.
    """
    message = 2**30
    if op.startswith("interconnect-P2P"):
        both = "双向" in metric or "intraserver" in op
        return message / (value / 2 if both else value) / 1e9
    if op.startswith("interconnect-MPI"):
        ranks = 16 if "interserver" in op else 8
        if "算法" in metric:
            return message / value / 1e9
        return message * 2 * (ranks - 1) / ranks / (value / 2) / 1e9
    return None


def _whole_step_s(record: Mapping[str, str], unit: str) -> float | None:
    """Seconds of a step from a rate of a whole job and its global batch."""
    if "(whole job" not in unit:
        return None
    try:
        rate = float(record["measured_value"])
        samples = float(record.get("global_batch") or 0)
        amount = samples * (float(record["seq_len"]) if unit.startswith("tokens") else 1.0)
    except (KeyError, ValueError):
        return None
    return amount / rate if amount > 0 and rate > 0 else None


#: Units of a rate of one device: `tokens/s/GPU`, `tokens/sec per device`, `wps/gpu`, `TFLOP/s/GPU`.
_EACH = r"(?:/|\s*per\s*|\()\s*(?:gpu|device|card|chip|npu|accelerator|rank)"
_TOKENS_A_SECOND = r"(?i)(?:tokens?\s*/\s*s(?:ec(?:ond)?)?|wps|tps|tgs)\s*"
_TOKENS_EACH = re.compile(_TOKENS_A_SECOND + _EACH + r"|^tgs$")
_FLOP_EACH = re.compile(r"(?i)t(?:era)?flops?(?:/s)?\s*" + _EACH)


def _each_device_s(record: Mapping[str, str], unit: str) -> float | None:
    """Seconds of a step from tokens or model TFLOP a second of one device.

    A step's tokens are the global batch, or a micro-batch for each data parallel rank. FLOP of a
    token are 6 N + 12 L d s, as PaLM's appendix B and torchtitan count them: weights N, layers L,
    width d, sequence s.
    """
    try:
        rate, cards = float(record["measured_value"]), float(record.get("n_devices") or 1)
        split = [float(record.get(name) or 1) for name in ("tp", "pp", "cp")]
        ranks = max(1.0, cards // prod(max(1.0, n) for n in split))
        samples = float(record.get("global_batch") or 0)
        samples = samples or float(record.get("micro_batch") or 0) * ranks
        seq = float(record["seq_len"])
        tokens = samples * seq
        if _FLOP_EACH.search(unit):
            wide = float(record["n_layers"]) * float(record["d_model"])
            tokens *= 6 * float(record["n_params"]) + 12 * wide * seq
            rate *= 1e12
        elif not _TOKENS_EACH.search(unit):
            return None
    except (KeyError, ValueError):
        return None
    return tokens / (cards * rate) if tokens > 0 and rate > 0 else None


#: Tables that print samples a second of a whole job, one optimizer step a batch.
_WHOLE_JOBS = ("FlagOpen/FlagPerf", "EnflameTechnology/ModelZoo", "huggingface/optimum-habana")
_SAMPLES = ("images/s", "img/s", "sequences/s", "samples/s")


def step_seconds_of(record: Mapping[str, str]) -> float | None:
    """Seconds of a step from a throughput and a batch a card; None where either is not told."""
    source, unit = record.get("source") or "", record.get("unit") or ""
    if unit == "tokens/s/device" and "llama3_8B-megatron" in source:
        # training/benchmarks/llama3_8B/megatron/run_pretraining.py: 512 sequences of 8192 a step
        return 512 * 8192 / (float(record["n_devices"]) * float(record["measured_value"]))
    whole = _whole_step_s(record, unit) or _each_device_s(record, unit)
    if whole is not None:
        return whole
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
