"""Steps of traced models: their files, their sizes at a batch, and rows that say why not."""

from __future__ import annotations

from dataclasses import replace

import pytest

from suiren.hw.names import find_card
from suiren.trace.call import Call, Tensor
from suiren.truth import steps_traced
from suiren.truth.rows import Row
from suiren.truth.steps_traced import batch_of, half_of, step_of, turned
from suiren.truth.traced import FOLDER, traced
from suiren.truth.unknown import NotPredicted

ROW = Row("x", "NVIDIA A100", "training step",
          {"micro_batch": "64", "n_devices": "1", "framework": "PyTorch"}, "fp32", 0.1, "s",
          "FlagOpen/FlagPerf", "", "check", 2, "resnet50")  # fmt: skip


def row(**more: object) -> Row:
    shape = {**ROW.shape, **more.pop("shape", {})}  # type: ignore[dict-item]
    return replace(ROW, shape=shape, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize("file", sorted(p.name for p in FOLDER.glob("*.txt.gz")))
def test_every_traced_step_reads_and_counts_its_ops(file: str) -> None:
    model = traced(file.removesuffix(".txt.gz"))
    assert model.ops == sum(count for count, _ in model.lines)
    assert model.late_ops == sum(count for count, _ in model.late)
    assert model.params > 1e6
    small, large = (sum(t.bytes for _, c in model.calls(b, True) for t in c.inputs())
                    for b in (8, 80))  # fmt: skip
    assert small < large < 10 * small


def test_a_batch_stands_in_every_activation() -> None:
    calls = [c for _, c in traced("resnet50-f32").calls(48, True) if c.name == "convolution"]
    assert {c.tensor("input").shape[0] for c in calls} == {48}
    assert all(c.arguments["math"] == "tf32" for c in calls)
    plain = [c for _, c in traced("resnet50-f32").calls(48, False)]
    assert not any("math" in c.arguments for c in plain)


def test_sixteen_bits_are_those_of_the_card() -> None:
    model = traced("vit_b16-f16")
    kinds = {half_of(find_card(card)): card for card in ("a100", "gaudi2")}
    assert kinds == {"f16": "a100", "bf16": "gaudi2"}
    for half, other in (("f16", "bf16"), ("bf16", "f16")):
        formats = {t.dtype for _, c in model.calls(8, True, half) for t in c.inputs()}
        assert half in formats and other not in formats


def test_an_optimizer_in_python_waits_and_takes_the_hosts_time() -> None:
    """FP32 BERT of NVIDIA's script: a dozen kernels a parameter after a norm was asked for."""
    model = traced("bert_large-lambda384-f32")
    assert model.late_ops > 12 * 390
    assert traced("bert_large-lambda384-f16").late_ops < 10
    card = find_card("h100")
    wide = row(text="bert_large_squad", dtype="fp32", shape={"micro_batch": "1"})
    old, new = (step_of(replace(wide, source=by), card) for by in
                ("DeepLearningExamples", "github.com/lambdal/x"))  # fmt: skip
    assert old.late.host_s > 3 * new.late.host_s
    assert new.step_s >= new.work.seconds + new.late.host_s
    assert old.late.device_s < old.late.host_s


def test_images_are_turned_for_tensor_cores_only() -> None:
    x, w = Tensor("f32", (8, 64, 56, 56)), Tensor("f32", (64, 64, 3, 3))
    call = Call("aten::convolution", {"input": x, "weight": w, "groups": 1, "math": "tf32"}, (x,))
    a100, t21 = find_card("a100"), find_card("t21")
    assert [c.tensor("self").shape for c in turned(call, a100)] == [x.shape, x.shape]
    assert turned(call, t21) == []
    wide = Call("aten::convolution", {"input": x, "weight": w, "groups": 1}, (x,))
    assert turned(wide, a100) == []


def test_a_power_limit_slows_a_step_and_more_cards_do_not_speed_it() -> None:
    card = find_card("v100")
    free = step_of(row(), card)
    limited = step_of(row(notes="power_limit=125W"), card)
    assert limited.clock < 1
    assert limited.step_s > free.step_s
    assert limited.power_w <= 126
    eight = step_of(row(shape={"n_devices": "8"}), card)
    assert eight.step_s > free.step_s
    assert eight.exchange_s > 0


def test_below_the_floor_of_the_voltage_power_goes_with_the_clock() -> None:
    card = find_card("quadro-rtx-6000")
    assert float(card.pace.voltage_floor) == 1.0
    free, half = step_of(row(), card), step_of(row(notes="power_limit=110W"), card)
    drawn = [s.work.engine_j / s.work.device_s for s in (free, half)]
    assert half.power_w == pytest.approx(110, abs=1)
    # joules of the engines do not fall with the clock, so it must fall further
    assert half.clock < (drawn[0] - 40) / drawn[0]


def test_ampere_is_no_format() -> None:
    card = find_card("a100")
    wide, half = (step_of(row(dtype=d), card) for d in ("fp32 (TF32 on Ampere)", "AMP fp16"))
    assert wide.step_s > 1.3 * half.step_s


def test_the_batch_is_the_cards_share() -> None:
    shape = {"micro_batch": "", "global_batch": "512", "n_devices": "8"}
    assert batch_of(row(shape=shape)) == 64


@pytest.mark.parametrize(("changed", "words"), [
    ({"text": "gnmt"}, "no step of gnmt was traced"),
    ({"shape": {"micro_batch": "", "global_batch": ""}}, "gives no batch"),
    ({"shape": {"micro_batch": "9000"}}, "do not fit the card"),
    ({"text": "vgg16", "dtype": "amp"}, "no step of vgg16-f16 was traced"),
])  # fmt: skip
def test_a_row_that_cannot_be_predicted_says_why(changed: dict[str, object], words: str) -> None:
    one = row(**changed)
    assert steps_traced.covers(one)
    with pytest.raises(NotPredicted, match=words):
        step_of(one, find_card("a100"))
