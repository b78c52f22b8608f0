"""How each published table was measured: not a property of any chip, so not in the catalogue.

A measurement repeats a kernel; what its operands find in the shared level depends on how
many copies of them take turns. It lasts a while; a power limit acts only on long ones. And
it may include what the host or a wrapper around the kernel adds. Each rule names where it
was read or which `fit` rows it was read off.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil
from statistics import median

from suiren.core.traffic import survives
from suiren.hw.spec import Card
from suiren.truth.rows import Row
from suiren.units import us

#: A measurement of this length is under the power limit for its second half, seconds.
#: Fitted on the GEMM rows above 1 ms: 38 to 60 ms on H100, GB200, A100, L40S.
THROTTLE_S = 0.045


@dataclass(frozen=True, slots=True)
class Protocol:
    """One way to measure."""

    name: str
    copies: int | None = 1
    """Sets of operands that take turns; None: enough copies of the weights to pass the
    shared level, at most five, over one activation (TensorRT-LLM's collector)."""
    repeats: int = 12
    """Runs of every copy that follow each other."""
    host_s: float = 0.0
    """What the host needs for a call: no shorter time can be measured."""
    added_s: float = 0.0
    """What the host adds to every call: the device waits for it."""
    ramp: bool = False
    """Short measurements reach the power limit gradually, because the shortest runs count."""
    quantise_s: float = 0.0
    """Fixed time of quantising the activation before an 8-bit product, which the operator
    includes; 0 where it does not."""
    attention_s: float = 0.0
    """What the attention operator adds to its two kernels: a small one that lays out sequences."""
    counted_s: float = 0.0
    """What it adds where the kernel takes its tiles from a counter: more small ones."""
    turns: bool = True
    """The attention operator turns queries and keys to their positions, too."""
    attention_host_s: float = 0.0
    """What the host needs for a call of the attention operator."""
    emptied_bytes: float = 0.0
    """Written before every run: operands lie in device memory, and engines rest meanwhile."""
    renews_result: bool = False
    """The result is copied over before every run."""
    is_kernel_alone: bool = False
    """A profiler's time of the kernel: no launch."""
    keeps_format: bool = False
    """Products of 8-bit operands are stored in 8 bits."""

    def warm(self, card: Card, a_bytes: float, b_bytes: float, c_bytes: float) -> dict[str, float]:
        """Share of operands `a` (activation) and `b` (weight) found in the shared level."""
        if self.emptied_bytes:
            return {"a": 0.0, "b": 0.0}
        if self.copies is None:
            copies = max(1, min(5, ceil(card.l2_bytes / b_bytes))) if b_bytes else 1
            return {
                "a": survives(a_bytes + b_bytes + c_bytes, card),
                "b": survives(copies * b_bytes + a_bytes + c_bytes, card),
            }
        near = survives(self.copies * (a_bytes + b_bytes) + c_bytes, card)
        return {"a": near, "b": near}

    def rest(self, card: Card, c_bytes: float) -> tuple[float, float]:
        """Seconds between two runs in which only device memory works, and their joules."""
        moved = self.emptied_bytes + 2 * c_bytes * self.renews_result
        rate = card.memory_bytes_per_s * card.pace.stream_efficiency
        return (moved / rate if rate else 0.0), moved * card.pace.memory_byte_j

    def throttled(self, seconds: float, card: Card, b_bytes: float = 0.0) -> float:
        """Share of the measurement in which the power limit acts."""
        copies = self.copies or max(1, min(5, ceil(card.l2_bytes / b_bytes))) if b_bytes else 1
        lasts = self.repeats / 2 * (copies or 1) * seconds
        if not lasts:
            return 0.0
        if self.ramp:
            return lasts / (lasts + THROTTLE_S)
        return max(0.0, min(1.0, (2 * lasts - THROTTLE_S) / lasts))


#: Read in ai-dynamo/aiconfigurator collector/trtllm/collect_gemm.py and helper.py; the attention
#: operator's small kernels read off its rows of S = 1 and 16 (A100, L40S 2 to 2.5 µs; H100, GB200
#: 8 to 9 µs).
_TRTLLM = Protocol("TensorRT-LLM collector", copies=None, quantise_s=9.8 * us,
                   attention_s=2.5 * us, counted_s=5.5 * us)  # fmt: skip
#: collector/sglang/collect_gemm.py: six operators with their own operands.
_SGLANG = Protocol("SGLang collector", copies=6)
#: The B60 rows stand at 32 µs (bf16) however small the product, those of attention at 53 µs: host
#: issue of vLLM on XPU.
_VLLM = Protocol("vLLM collector", copies=5, host_s=32 * us, turns=False,
                 attention_host_s=53 * us)  # fmt: skip
_ALONE = Protocol("one kernel repeated")
#: stas00/ml-engineering's mamf-finder.py: half a minute of warming up, then every shape 150 times,
#: each time after 256 MiB of zeros and a new copy of the result; the fastest run counts.
_FINDER = Protocol("mamf-finder", repeats=10**9, emptied_bytes=2**28, renews_result=True,
                   keeps_format=True)  # fmt: skip
#: deepseek-ai/DeepGEMM's bench_kineto: 30 runs, each after 8 GB of zeros.
_DEEPGEMM = Protocol("DeepGEMM", repeats=10**9, emptied_bytes=8e9, is_kernel_alone=True)


#: Vidur profiles whole layers for seconds on end, so the power limit acts throughout.
_VIDUR = Protocol("Vidur's profiler", repeats=10**9)
#: LLMCompass takes the wall time of one call and a synchronisation; the `fit` rows of its matrix
#: products (8192 × 256 × 256: 35.6 µs) stand some 22 µs above the kernel.
_LLMCOMPASS = Protocol("LLMCompass", added_s=22 * us)


#: NeuSight times one call of PyTorch between two events on an idle device, 25 times, and keeps
#: the mean of the five shortest: the host's way to the launch is inside. Seconds by machine and
#: op, fitted with the pace of its chip on samples of `fit` rows of every size (MI100: in an
#: earlier closed form). A machine not told is taken as the median.
_NEUSIGHT_HOST_S = {
    "bmm": {"A100": 20.8 * us, "V100": 27.6 * us, "T4": 25.5 * us, "P100": 33.5 * us,
            "P4": 24 * us, "MI100": 32.7 * us},
    "linear": {"A100": 49.2 * us, "V100": 56.4 * us, "T4": 41.8 * us, "P100": 72 * us,
               "P4": 50 * us, "MI100": 43.2 * us},
    # grows along the file for a cause nobody established; one constant stands for all of it
    "conv": {"V100": 180 * us, "T4": 100 * us, "P100": 330 * us, "P4": 180 * us},
}  # fmt: skip
#: What a call adds in DeepBench's sheets, seconds, fitted on their `fit` rows (V100 and Vega with
#: the pace of their chips); that 400 calls follow each other is assumed, not read.
_DEEPBENCH_HOST_S = {
    "gemm": {"NV_M40": 60 * us, "NV_TitanX": 58 * us, "NV_TitanX_Pascal": 40 * us,
             "AMD_MI25": 16 * us, "AMD_VegaFE": 14 * us, "NV_V100": 3.4 * us, "": 1 * us},
    "conv2d": {"NV_TitanX": 79 * us, "NV_TitanX_Pascal": 28 * us, "NV_1080Ti": 27 * us,
               "NV_TitanXp": 44 * us, "AMD_MI25": 12 * us, "NV_V100": 10 * us, "": 10 * us},
}  # fmt: skip


def _neusight(row: Row) -> Protocol:
    known = _NEUSIGHT_HOST_S.get(row.op, _NEUSIGHT_HOST_S["bmm"])
    host_s = next((s for name, s in known.items() if name in row.hardware), median(known.values()))
    return Protocol("NeuSight", repeats=50, added_s=host_s, ramp=True)


def _deepbench(row: Row) -> Protocol:
    known = _DEEPBENCH_HOST_S.get(row.op, {"": 0.0})
    added_s = known.get(row.hardware, known[""])
    return Protocol("DeepBench", repeats=400, added_s=added_s)


def protocol_of(row: Row) -> Protocol:
    """The protocol of a row, by its source and its library."""
    if "NeuSight" in row.source:
        return _neusight(row)
    if "DeepBench" in row.source:
        return _deepbench(row)
    if "aiconfigurator" in row.source:
        library = row.notes.lower()
        if "sglang" in library:
            return _SGLANG
        return _VLLM if "vllm" in library else _TRTLLM
    if "vidur" in row.source:
        return _VIDUR
    if "LLMCompass" in row.source:
        return _LLMCOMPASS
    if "best shape" in row.op:
        return _FINDER
    if "DeepGEMM" in row.source:
        return _DEEPGEMM
    return _ALONE
