"""Tracing without numerics: wall time of a training step of Llama-shaped models, after warm-up.

python benchmarks/capture.py
"""

from __future__ import annotations

import json
import time
from statistics import median

import torch
from transformers import LlamaConfig, LlamaForCausalLM

from suiren.hw.load import resolve_card
from suiren.torch.how import UNLIMITED_BYTES
from suiren.torch.session import Session

SIZES = {
    "8b": {"hidden_size": 4096, "intermediate_size": 14336, "num_hidden_layers": 32,
           "num_attention_heads": 32, "num_key_value_heads": 8, "vocab_size": 128256},
    "70b": {"hidden_size": 8192, "intermediate_size": 28672, "num_hidden_layers": 80,
            "num_attention_heads": 64, "num_key_value_heads": 8, "vocab_size": 128256},
}  # fmt: skip


def seconds_of_steps(size: str, count: int = 5) -> list[float]:
    """Seconds of each step after two warm-up steps."""
    torch.set_default_dtype(torch.bfloat16)
    with torch.device("gcu"):
        model = LlamaForCausalLM(LlamaConfig(**SIZES[size], attn_implementation="sdpa"))
    optimizer = torch.optim.AdamW(model.parameters(), fused=True)
    ids = torch.zeros((1, 4096), dtype=torch.long, device="gcu")
    times = []
    for _ in range(count + 2):
        start = time.perf_counter()
        model(input_ids=ids, labels=ids).loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        times.append(time.perf_counter() - start)
    return times[2:]


def main() -> None:
    """Prints a line of JSON for each size."""
    session = Session(resolve_card("h200"))
    session.begin(numerics=False, memory_bytes=UNLIMITED_BYTES)
    for size in SIZES:
        times = seconds_of_steps(size)
        step = session.program().distinct[-1]
        print(json.dumps({"model": size, "step_s_median": round(median(times), 4),
                          "ops": step.num_ops}))  # fmt: skip


if __name__ == "__main__":
    main()
