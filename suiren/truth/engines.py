"""All-reduce kernels of serving engines, as they stand in measured tables.

vLLM and SGLang sum small tensors with a kernel of their own, which reads the other cards' memory:
at once (one shot), or a piece each and then the sums (two shots). TensorRT-LLM has its own such
kernels. Above a size they hand over to NCCL. Eager rows are calls from Python, graph rows are
replays. Base and rate of a shot are read off each engine's `fit` rows on two cards (32 KiB, and
512 KiB to 1 MiB); a card that has none takes the median of those that do.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from statistics import median

from suiren.hw.spec import Card
from suiren.truth.rows import Row
from suiren.units import GB, KiB, MiB, us

_OWN = re.compile(r"\[(vLLM_custom|SGLang_CustomAllReduce|TRTLLM)(?:_(eager|graph))?\]")


@dataclass(frozen=True, slots=True)
class Shot:
    """One pass of an engine's kernel."""

    base_s: float
    bytes_per_s: float


@dataclass(frozen=True, slots=True)
class Engine:
    """Whose kernel a row measured, and how it was called."""

    name: str
    eager: bool
    peers: bool = True
    """Whether its kernel ran where cards reach each other over the host only; else the library."""


#: By engine and card: a shot's base in µs, its rate in GB/s.
_SHOTS: dict[tuple[str, str], tuple[float, float]] = {
    ("vLLM", "a100"): (5.4, 194), ("vLLM", "h100"): (4.5, 256), ("vLLM", "gb200"): (5.4, 218),
    ("SGLang new", "h100"): (2.8, 374), ("SGLang new", "gb200"): (4.2, 476),
    ("TRTLLM", "a100"): (4.5, 138), ("TRTLLM", "h100"): (3.0, 330), ("TRTLLM", "gb200"): (4.5, 655),
    ("vLLM", "l40s"): (5.5, 18.7),
}  # fmt: skip
#: By engine and card: no eager call takes less, µs; medians of fit rows up to 64 KiB.
_LEAST: dict[tuple[str, str], float] = {
    ("vLLM", "a100"): 44.4, ("vLLM", "h100"): 21.1, ("vLLM", "gb200"): 47.1,
    ("SGLang", "a100"): 45.5, ("SGLang", "h100"): 20.6, ("SGLang", "gb200"): 53.5,
    ("SGLang new", "h100"): 30.4, ("SGLang new", "gb200"): 71.9, ("vLLM", "arc-pro-b60"): 44,
}  # fmt: skip
#: The same on L40S by the number of ranks, which share one slow host: two, four, eight. vLLM's
#: from 32 KiB on: its first calls are slower.
_LEAST_L40S: dict[str, tuple[float, float, float]] = {
    "vLLM": (42.8, 56.6, 57.8), "SGLang": (40.7, 72.6, 76.4), "SGLang new": (40.2, 86, 98),
    "SGLang elsewhere": (51.3, 53.8, 58.5),
}  # fmt: skip
#: From these sizes on, two shots (vllm csrc/custom_all_reduce.cuh); two cards never need them.
_TWO_SHOTS_FROM = {4: 512 * KiB, 6: 256 * KiB, 8: 256 * KiB}
#: From these sizes on, NCCL: vLLM and SGLang register 8 MiB, TensorRT-LLM's fit rows end earlier.
_TRTLLM_UP_TO = {2: 4 * MiB, 4: 1 * MiB, 8: 512 * KiB}


def engine_of(row: Row) -> Engine | None:
    """The engine of a row, None for a library's own collective."""
    found = _OWN.search(row.op)
    if found is None:
        return None
    name = {"vLLM_custom": "vLLM", "TRTLLM": "TRTLLM"}.get(found[1], "SGLang")
    version = re.search(r"/sglang/0\.5\.(\d+)", row.source)
    if name == "SGLang" and version and int(version[1]) >= 14:
        name = "SGLang new"
    if name == "SGLang" and version and int(version[1]) == 12 and "L40S" in row.hardware:
        name = "SGLang elsewhere"
    # its L40S rows on two cards are those of NCCL, so are those of SGLang on the other server
    return Engine(name, found[2] == "eager", name not in ("TRTLLM", "SGLang elsewhere"))


def own_s(engine: Engine, n: int, size_bytes: float, card: Card) -> float | None:
    """Seconds of the engine's own kernel, None where it hands over to the library."""
    fast = card.link is not None and card.link.ports > 0
    if (not fast and (n > 2 or not engine.peers)) or card.chip.vendor != "NVIDIA":
        return None
    limit = _TRTLLM_UP_TO.get(n, 512 * KiB) if engine.name == "TRTLLM" else 8 * MiB
    if engine.name == "SGLang new":
        limit = 16 * MiB
    if size_bytes > limit or (engine.name == "vLLM" and size_bytes == limit):
        return None
    shot = _shot(engine.name, card)
    if n == 2 or size_bytes < _TWO_SHOTS_FROM.get(n, 256 * KiB):
        return shot.base_s + (n - 1) * size_bytes / shot.bytes_per_s
    return 2 * shot.base_s + 2 * (n - 1) / n * size_bytes / shot.bytes_per_s


def least_s(engine: Engine, card: Card, n: int) -> float:
    """The least an eager call of `n` ranks takes."""
    if not engine.eager:
        return 0.0
    alike = _alike(card)
    if alike == "l40s" and engine.name in _LEAST_L40S:
        return _LEAST_L40S[engine.name][min(2, max(0, (n - 1).bit_length() - 1))] * us
    older = (engine.name.removesuffix(" new"), alike)
    known = _LEAST.get((engine.name, alike)) or _LEAST.get(older, median(_LEAST.values()))
    return known * us


def copied_s(engine: Engine, size_bytes: float, card: Card) -> float:
    """An eager call gives its result in a new tensor: one copy through memory."""
    if not engine.eager:
        return 0.0
    rate = card.memory_bytes_per_s * card.memory_efficiency
    return float(card.launch_s + 2 * size_bytes / rate)


def _alike(card: Card) -> str:
    """The measured card whose numbers stand for a card: itself, or its generation's."""
    if card.name in {name for _, name in (*_SHOTS, *_LEAST)}:
        return card.name
    if not (card.link is not None and card.link.ports > 0):
        return "l40s"
    return {"ampere": "a100", "hopper": "h100", "blackwell": "gb200"}.get(card.chip.family, "")


def _shot(engine: str, card: Card) -> Shot:
    kind = "vLLM" if engine == "SGLang" else engine
    known = _SHOTS.get((kind, _alike(card))) or _SHOTS.get(("vLLM", _alike(card)))
    if known is None:
        mine = [s for (name, _), s in _SHOTS.items() if name == kind]
        known = (median(s[0] for s in mine), median(s[1] for s in mine))
    return Shot(known[0] * us, known[1] * GB)
