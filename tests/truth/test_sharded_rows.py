"""Rows of frameworks that shard: which framework, which layout, and what the words change."""

from __future__ import annotations

import pytest

from suiren.hw.names import find_card
from suiren.report.truth import summary
from suiren.truth import steps_sharded
from suiren.truth.memory import predict_memory
from suiren.truth.predict import predict
from suiren.truth.rates import step_seconds_of
from suiren.truth.rows import Row
from suiren.truth.sharded_kind import kind_of
from suiren.truth.sharded_layout import copies_of, precision_of, recompute_of, schedule_of
from suiren.truth.steps_model import model_of
from suiren.truth.unknown import NotPredicted
from suiren.units import GiB

H100 = find_card("h100")


def row(framework: str = "torchtitan", notes: str = "", **shape: str) -> Row:
    given = {"model": "Llama 3.1 8B", "seq_len": "8192", "n_devices": "8", "micro_batch": "1",
             "precision": "bf16", "recompute": "selective op", "framework": framework,
             "peak_mem_GiB": "40", **shape}  # fmt: skip
    fields = {k: v for k, v in given.items() if v}
    return Row("r", "H100-SXM-80GB", "training step", fields, fields.get("precision", ""), 1.0, "s",
               "", notes, "check", 2, fields["model"])  # fmt: skip


@pytest.mark.parametrize(("framework", "shared", "name"), [
    ("torchtitan", "", "torchtitan"), ("PyTorch FSDP2 (TorchTitan)", "FSDP2", "torchtitan"),
    ("fms-fsdp", "", "fms-fsdp"), ("HF Trainer", "FSDP", "hf-trainer"),
    ("accelerate", "FULL_SHARD", "hf-trainer"), ("DeepSpeed", "ZeRO-3", "deepspeed-zero3"),
    ("HF transformers + DeepSpeed", "zero stage 2", "deepspeed-zero2"),
    ("litgpt", "FSDP", "litgpt"), ("PyTorch Lightning", "FSDP", "lightning"),
    ("torchtune", "FSDP2", "torchtune"), ("PyTorch FSDP", "", "fsdp2"),
    ("LLM Foundry (Composer)", "FSDP FULL_SHARD", "llm-foundry"),
])  # fmt: skip
def test_a_row_names_its_framework(framework: str, shared: str, name: str) -> None:
    found = kind_of(row(framework, zero_fsdp=shared))
    assert found is not None
    assert found.name == name
    assert not found.stands_for


@pytest.mark.parametrize("framework", [
    "NeMo AutoModel (PyTorch FSDP2)", "Megatron-LM FSDP", "MaxText (JAX)", "HF transformers eager",
])  # fmt: skip
def test_rows_of_other_families_are_left_to_them(framework: str) -> None:
    assert kind_of(row(framework)) is None


def test_an_unknown_framework_that_shards_is_predicted_and_told() -> None:
    found = predict(row("fantasy-train", zero_fsdp="FSDP", recompute="full"))
    assert found.seconds is not None
    assert found.assumed_framework == "PyTorch modules under FSDP2"
    assert "1 rows rest on an assumed framework" in summary([found]).plain
    step = steps_sharded.step_of(row("fantasy-train", zero_fsdp="FSDP"), H100)
    assert "fantasy-train" in step.assumed["framework"]


def test_words_of_a_row_change_what_its_framework_does() -> None:
    def kind(notes: str, **shape: str) -> object:
        found = kind_of(row(notes=notes, **shape))
        assert found is not None
        return found

    assert kind("compile=False").written == "complex"  # type: ignore[attr-defined]
    newer = kind("", attention_impl="flash attention 3")
    assert newer.attention_kernel == "library"  # type: ignore[attr-defined]
    assert kind("pure bf16").weight_bytes == 2  # type: ignore[attr-defined]
    narrow = kind("float8 rowwise")
    assert narrow.gathers_fp8 is False  # type: ignore[attr-defined]
    assert narrow.scaling == "block"  # type: ignore[attr-defined]


@pytest.mark.parametrize(("words", "found"), [
    ("none", ("none", 1)), ("full", ("full", 1)), ("selective op", ("selective", 1)),
    ("selective (op)", ("selective", 1)), ("selective 2", ("full", 2)), ("1/3", ("full", 3)),
    ("every other layer", ("full", 2)), ("selective AC, every 4 layers", ("full", 4)),
    ("see config", None), ("", None),
])  # fmt: skip
def test_recomputation_is_read_from_words(words: str, found: object) -> None:
    assert recompute_of(row(recompute=words)) == found


def test_layouts_are_read_from_words() -> None:
    assert precision_of(row(precision="bf16 + float8 tensorwise")) == "fp8"
    assert copies_of(row(zero_fsdp="HSDP dp_replicate=4"), 32) == 4
    assert copies_of(row(zero_fsdp="HSDP"), 32) == 4
    assert schedule_of(row(notes="Interleaved1F1B"), 1) == "interleaved"
    assert schedule_of(row(notes="ZBVZeroBubble"), 1) == "zero-bubble"
    _, _, layout = steps_sharded.described(
        row(n_devices="128", tp="4", pp="2", micro_batch="8", notes="async TP"), H100
    )
    assert (layout.dp, layout.zero, layout.sequence_parallel) == (16, 1, True)
    assert layout.micro_batches == 8  # a rank's eight sequences, one by one
    assert layout.overlap_tensor


@pytest.mark.parametrize(("name", "d_model"), [
    ("Llama 3.1 405B", 16384), ("llama3_8b", 4096), ("Llama-2-70b-hf", 8192), ("llama2-13b", 5120),
    ("Meta-Llama-3-70B", 8192), ("Llama 3.2 1B", 2048), ("LLaMA 65B", 8192), ("Qwen3-32B", 5120),
])  # fmt: skip
def test_models_are_known_by_name(name: str, d_model: int) -> None:
    found = model_of(row(model=name))
    assert (found.d_model, found.seq) == (d_model, 8192)


def test_tensor_and_pipeline_parallel_rows_are_predicted_with_their_memory() -> None:
    for shape in ({"tp": "2", "pp": "2", "micro_batch": "8"}, {"tp": "2", "cp": "2"}):
        one = row(n_devices="16", model="Llama 3.2 1B", **shape)
        found, memory = predict(one), predict_memory(one)
        assert found.seconds is not None, found.status
        assert memory is not None and memory.predicted_bytes is not None
        assert GiB < memory.predicted_bytes < 80 * GiB


def test_overlapped_tensor_groups_and_eight_bits_are_faster() -> None:
    def seconds(notes: str = "", **shape: str) -> float:
        found = predict(row("torchtitan", notes, model="Llama 3.2 1B", **shape))
        assert found.seconds is not None, found.status
        return found.seconds

    assert seconds("async TP", tp="2") < seconds(tp="2")
    assert seconds(micro_batch="8", precision="float8") < seconds(micro_batch="8")


def test_what_a_row_does_not_say_of_recomputation_is_what_fits() -> None:
    _, _, small = steps_sharded.described(row(recompute="", model="Llama 3.2 1B"), H100)
    _, _, large = steps_sharded.described(row(recompute="", micro_batch="4"), H100)
    assert small.recompute == "none"
    assert large.recompute == "full"


def test_degrees_that_do_not_multiply_to_the_devices_are_told() -> None:
    with pytest.raises(NotPredicted, match="are not the 8 devices"):
        steps_sharded.step_of(row(tp="3"), H100)


def test_allocated_memory_is_less_than_reserved() -> None:
    reserved, tensors = (predict_memory(row(notes=n)) for n in ("", "max_memory_allocated"))
    assert reserved and tensors and reserved.predicted_bytes and tensors.predicted_bytes
    assert tensors.predicted_bytes < reserved.predicted_bytes


def test_seconds_follow_from_rates_of_a_device() -> None:
    record = {"unit": "tokens/s/GPU", "measured_value": "1000", "n_devices": "8", "tp": "2",
              "seq_len": "8192", "micro_batch": "2"}  # fmt: skip
    assert step_seconds_of(record) == pytest.approx(2 * 4 * 8192 / 8000)
    whole = {**record, "global_batch": "64"}
    assert step_seconds_of(whole) == pytest.approx(64 * 8192 / 8000)
    flop = {**whole, "unit": "TFLOP/s/GPU", "measured_value": "400", "n_params": "8e9",
            "n_layers": "32", "d_model": "4096"}  # fmt: skip
    each = 6 * 8e9 + 12 * 32 * 4096 * 8192
    assert step_seconds_of(flop) == pytest.approx(64 * 8192 * each / (8 * 400e12))
    assert step_seconds_of({**record, "unit": "samples/s"}) is None
