"""Rows of frameworks beside Megatron-LM: whose kernels they are, and that none is refused."""

from __future__ import annotations

import pytest

from suiren.fleet.framework import FRAMEWORKS, MEGATRON_2021, MEGATRON_2022, MEGATRON_CORE
from suiren.fleet.frameworks import (
    COLOSSAL,
    DEEPSPEED_BF16,
    DEEPSPEED_FP16,
    GPT_NEOX_BF16,
    MEGATRON_LLAMA,
    NEMO_MEGATRON,
    NEURONX,
    OTHERS,
    PADDLE,
    PLAIN,
    PRIMUS,
    XLA_GPU,
)
from suiren.fleet.step import StepResult
from suiren.hw.names import find_card
from suiren.truth import steps
from suiren.truth.rows import Row
from suiren.truth.steps_layout import framework_of

GPT = {"model": "gpt-1.3b", "model_family": "GPT", "n_layers": "8", "d_model": "2048",
       "n_heads": "16", "d_ff": "8192", "vocab": "50304", "seq_len": "1024",
       "precision": "bf16", "micro_batch": "2", "global_batch": "64"}  # fmt: skip


def row(framework: str, source: str = "", hardware: str = "A100-SXM-80GB", **shape: str) -> Row:
    fields = {**GPT, "framework": framework, "n_devices": "8", "tp": "2", "pp": "2", **shape}
    fields = {k: v for k, v in fields.items() if v}
    return Row("r", hardware, "training step", fields, fields.get("precision", ""), 1.0, "s",
               source, "", "check", 2, fields["model"])  # fmt: skip


@pytest.mark.parametrize(("name", "precision", "found"), [
    ("Megatron-DeepSpeed (BigScience)", "bf16", DEEPSPEED_BF16),
    ("Megatron-DeepSpeed", "fp16", DEEPSPEED_FP16), ("GPT-NeoX", "bf16", GPT_NEOX_BF16),
    ("Colossal-AI", "bf16", COLOSSAL), ("Megatron-LLaMA", "bf16", MEGATRON_LLAMA),
    ("NeMo-Megatron 22.08", "bf16", NEMO_MEGATRON), ("AMD Primus (Megatron)", "bf16", PRIMUS),
    ("NeuronX Distributed", "bf16", NEURONX), ("PaddleNLP", "bf16", PADDLE),
    ("MaxText (JAX) on GPU", "bf16", XLA_GPU), ("Megatron-LM 2022", "fp16", MEGATRON_2022),
    ("Megatron-LM (2021-05)", "fp16", MEGATRON_2021), ("Megatron-LM", "bf16", MEGATRON_CORE),
])  # fmt: skip
def test_a_name_means_a_framework(name: str, precision: str, found: object) -> None:
    assert framework_of(row(name, precision=precision)) == found


def test_vtrains_own_runs_are_not_those_of_pipelines() -> None:
    ours = framework_of(row("Megatron-DeepSpeed (PyTorch)", "github.com/VIA-Research/vTrain"))
    assert ours.name == "megatron-deepspeed-2022"


@pytest.mark.parametrize(("name", "shape", "taken"), [
    ("Abacus", {}, MEGATRON_CORE), ("Abacus 2021", {}, MEGATRON_2021),
    ("Abacus 2022", {}, MEGATRON_2022), ("Abacus", {"tp": "1", "pp": "1"}, PLAIN),
])  # fmt: skip
def test_an_unknown_name_is_taken_for_its_nearest_and_says_so(
    name: str, shape: dict[str, str], taken: object
) -> None:
    found = framework_of(row(name, **shape))
    assert found.stands_for == name
    assert found.title == taken.title  # type: ignore[attr-defined]
    step = steps.step_of(row(name, **shape), find_card("a100"))
    assert isinstance(step, StepResult)
    assert step.assumed["framework"] == (
        f"{found.title} stands for {name}, which nobody described"
    )


def test_no_two_frameworks_share_a_name() -> None:
    assert not FRAMEWORKS.keys() & OTHERS.keys()
    assert len({f.title for f in (*FRAMEWORKS.values(), *OTHERS.values())}) == len(
        FRAMEWORKS
    ) + len(OTHERS)


@pytest.mark.parametrize("framework", OTHERS.values(), ids=OTHERS)
def test_every_framework_takes_a_step(framework: object) -> None:
    from suiren.fleet.layout import Layout
    from suiren.fleet.models import gpt
    from suiren.fleet.step import train_step
    from suiren.hw.find_cluster import cluster_of

    layout = Layout(global_batch=16, micro_batch=2, tp=2, pp=2, dp=2, zero=1, recompute="full")
    step = train_step(gpt("tiny", 8, 512, 8, 256, 1024), layout, cluster_of("dgx-a100"),
                      framework)  # type: ignore[arg-type]  # fmt: skip
    assert 0 < step.step_s < 1
    assert step.peak_memory.total_bytes > 1e9
