"""Architectures of transformers: shrinking, the pool, and one step of those that differ most."""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path

import pytest
import torch
from warm_python import alone_python

ROOT = Path(__file__).resolve().parents[2]
sys.path.append(str(ROOT / "benchmarks"))

from zoo import pool, shrink, step, table  # noqa: E402

#: Experts, encoder and decoder, state space, sound, windows, pictures in text, boxes, series,
#: hashing and trees of pooled words.
UNLIKE = "mixtral t5 mamba whisper swin llava detr patchtst deepseek_v3 funnel".split()
MORE = """bert gpt2 gemma2 wav2vec2 clip segformer convnext resnet levit bart big_bird dpt
bloom falcon rwkv xlnet deberta-v2 encodec""".split()


def rows(names: list[str], folder: Path) -> dict[str, step.Row]:
    pytest.importorskip("transformers")
    found = folder / "rows.json"
    command = (ROOT / "benchmarks" / "architectures.py", "--timeout-s", "300", "--json", found,
               "--only", *names)  # fmt: skip
    ran = alone_python(*command, env={**os.environ, "HF_HUB_OFFLINE": "1"}, timeout_s=900)
    assert ran.returncode == 0, ran.stderr
    return {row["name"]: step.Row(**row) for row in json.loads(found.read_text())}


def assert_equal(found: dict[str, step.Row], names: list[str]) -> None:
    assert sorted(found) == sorted(names)
    wrong = {n: (r.outcome, r.reason) for n, r in found.items() if r.outcome != "equal"}
    assert wrong == {}
    assert {
        n: r.bf16_outcome for n, r in found.items() if r.bf16_outcome in ("fails", "differs")
    } == {}
    assert all(r.loss_difference <= 1e-5 and r.gradient_difference <= 1e-4 for r in found.values())


def test_architectures_that_differ_most_train_on_the_card_as_on_the_host(tmp_path):
    found = rows(UNLIKE, tmp_path)
    assert_equal(found, UNLIKE)
    assert all(0 <= row.approximated_share < 1 for row in found.values())
    assert found["t5"].hazards["64-bit integers"] > 0
    assert found["mixtral"].own_loss


@pytest.mark.slow
def test_more_architectures_train_on_the_card_as_on_the_host(tmp_path):
    assert_equal(rows(MORE, tmp_path), MORE)


def test_an_unknown_architecture_is_named_in_one_sentence():
    pytest.importorskip("transformers")
    ran = alone_python(ROOT / "benchmarks" / "architectures.py", "--only", "gpt17")
    assert ran.returncode == 2
    assert ran.stderr.strip().splitlines()[-1].endswith("of this transformers builds gpt17")


def test_a_configuration_becomes_tiny_and_keeps_its_kinds_of_layers():
    fields = {
        "vocab_size": 32000, "hidden_size": 4096, "num_hidden_layers": 8, "attention_dropout": 0.1,
        "num_attention_heads": 32, "num_key_value_heads": 8, "image_token_id": 31999,
        "video_token_id": 31998, "layer_types": ["linear"] * 3 + ["full"] + ["linear"] * 4,
    }  # fmt: skip
    tiny = shrink.shrunk(fields, shrink.RULES["tiny"])
    assert tiny["layer_types"] == ["linear", "full"]
    assert (tiny["num_hidden_layers"], tiny["hidden_size"], tiny["attention_dropout"]) == (
        2,
        64,
        0.0,
    )
    assert tiny["hidden_size"] % tiny["num_attention_heads"] == 0
    assert tiny["image_token_id"] != tiny["video_token_id"]
    assert max(tiny["image_token_id"], tiny["video_token_id"]) < tiny["vocab_size"]


def test_equal_marks_stay_equal_at_every_level():
    fields = {"image_token_id": 9000, "text_config": {"image_token_id": 9000, "eos_token_id": 9001}}
    tiny = shrink.shrunk(fields, shrink.RULES["tiny"])
    assert tiny["image_token_id"] == tiny["text_config"]["image_token_id"]
    assert tiny["image_token_id"] != tiny["text_config"]["eos_token_id"]


def test_a_tap_each_keeps_a_layer_and_open_heads_are_filled_in():
    names = ["stem", *(f"stage{i}" for i in range(1, 13))]
    taps = {"num_hidden_layers": 12, "stage_names": names, "out_indices": [3, 6, 9, 12]}
    tiny = shrink.shrunk(taps, shrink.RULES["tiny"])
    assert (tiny["num_hidden_layers"], tiny["out_indices"]) == (4, [1, 2, 3, 4])
    heads = {"hidden_size": 4096, "num_attention_heads": 32, "head_dim": None,
             "model_type": "qwen2_vl", "rope_parameters": {}}  # fmt: skip
    tiny = shrink.shrunk(heads, shrink.RULES["tiny"])
    assert tiny["head_dim"] == 16
    assert sum(tiny["rope_parameters"]["mrope_section"]) == 8
    state = {"hidden_size": 4096, "mamba_expand": 2, "mamba_n_heads": 128, "mamba_d_head": 64}
    tiny = shrink.shrunk(state, shrink.RULES["tiny"])
    assert tiny["mamba_n_heads"] * tiny["mamba_d_head"] == 2 * tiny["hidden_size"]


@pytest.mark.parametrize(("fields", "attends"), [
    ({"layer_types": ["linear_attention", "full_attention"]}, True),
    ({"layer_types": ["linear_attention"] * 2}, False), ({}, True),
    ({"block_types": ["recurrent", "recurrent", "attention"]}, False),
    ({"attn_layer_offset": 4}, False), ({"attn_layer_indices": None}, False),
])  # fmt: skip
def test_a_model_without_attention_keeps_no_cache(fields, attends):
    fields = {"num_hidden_layers": 2, "use_cache": True, **fields}
    assert shrink.shrunk(fields, shrink.RULES["tiny"])["use_cache"] is attends


def test_what_is_infinite_on_both_sides_is_no_difference():
    def trained(*values: float) -> step.Trained:
        return step.Trained(1.0, False, [torch.tensor(values)], [])

    host = trained(3.0, 4.0, float("inf"), float("nan"))
    assert step.gradients_apart(host, host) == 0
    near = trained(3.0, 4.5, float("inf"), float("nan"))
    assert step.gradients_apart(near, host) == pytest.approx(0.1)
    for other in (trained(3.0, 4.0, 1.0, float("nan")), trained(3.0, float("nan"), 1.0, 1.0)):
        assert not step.gradients_apart(other, host) < 1


def _dies(name: str) -> step.Row:
    if name == "b":
        os.kill(os.getpid(), signal.SIGSEGV)
    return step.Row(name, outcome="equal")


def test_a_crash_is_one_row():
    found = {r.name: r for r in pool.rows_of(["a", "b", "c"], _dies, jobs=2, timeout_s=30)}
    assert [found[n].outcome for n in "abc"] == ["equal", "fails", "equal"]
    assert "SIGSEGV" in found["b"].reason


def test_what_takes_too_long_is_one_row():
    def sleeps(name: str) -> step.Row:
        signal.pause()
        return step.Row(name)

    (found,) = pool.rows_of(["a"], sleeps, jobs=1, timeout_s=0.3)
    assert (found.outcome, found.reason) == ("not tried", "took too long")


def test_the_page_counts_what_is_equal_and_tells_of_the_rest():
    good = step.Row("a", "A", "equal", loss=1.0, loss_difference=0.0, gradient_difference=0.0,
                    approximated_share=0.25, approximated={"sort": 0.25})  # fmt: skip
    bad = step.Row("b", "B", "differs", loss=1.0, loss_difference=0.5, gradient_difference=0.0)
    text = table.page([bad, good, step.Row("c", reason="needs <x>|y")], "t21")
    assert "Of 3 architectures 2 train" in text
    assert "**1 (50.0 %) are equal on the card**, 1 to the bit" in text
    assert "| 25 %: `sort` 25 |" in text
    assert "| `sort` | 1 | 25.0 % |" in text
    assert "* `b`: differs." in text
    assert "* `c`: needs ‹x>/y" in text


def test_a_page_is_read_back_as_it_was_written():
    rows = [
        step.Row("a", "A", "equal", loss=1.25, loss_difference=0.0, gradient_difference=2e-7,
                 parameters=12345, approximated_share=0.2504, bf16_outcome="fails",
                 bf16_reason="no `x`|y", approximated={"sort": 0.25, "mode": 0.0004},
                 hazards={"64-bit integers": 3, "synchronisation": 1}),
        step.Row("b", "B", "differs", loss=1.0, loss_difference=0.5, gradient_difference=0.0),
        step.Row("c", "C", "fails", reason="RuntimeError: no kernel"),
        step.Row("d", reason="needs a library"),
    ]  # fmt: skip
    text = table.page([*rows, step.Row("e", reason=table.NOT_RUN)], "t21")
    found = table.rows_in(text)
    assert [row.name for row in found] == ["a", "b", "c", "d"]
    assert found[0].hazards == rows[0].hazards
    assert table.page([*found, step.Row("e", reason=table.NOT_RUN)], "t21") == text
