"""Memory of DeepSpeed's pipelines, owner by owner, from what its source holds."""

from __future__ import annotations

from dataclasses import replace

import pytest

from suiren.fleet.framework import MEGATRON_2021
from suiren.fleet.frameworks import DEEPSPEED_BF16, DEEPSPEED_FP16
from suiren.fleet.layout import Layout
from suiren.fleet.memory import memory_of
from suiren.fleet.models import gpt
from suiren.fleet.weights import weights_of

MODEL = gpt("tiny", 16, 512, 8, 256, 4096)
LAYOUT = Layout(global_batch=64, micro_batch=2, pp=4, dp=4, zero=1, recompute="full")
HALF = replace(LAYOUT, precision="fp16")
#: Bytes of a message between stages: 2 sequences of 256 tokens, 512 wide, two bytes each.
MESSAGE = 2 * 256 * 512 * 2


@pytest.mark.parametrize("stage", [0, 1, 3])
def test_bf16_holds_fp32_sums_and_the_last_gradients_of_all_weights(stage: int) -> None:
    """bf16_groups_flat 2, fp32_groups_gradients_flat 4, lp.grad 2; the rest over dp."""
    held = weights_of(MODEL, LAYOUT, stage).all
    found = memory_of(MODEL, LAYOUT, DEEPSPEED_BF16, stage)
    assert found.weights == 2 * held
    assert found.gradients == (4 + 2) * held
    assert found.optimizer == 12 * held / 4


def test_fp16_holds_its_gradients_once_and_casts_a_share_of_them() -> None:
    held = weights_of(MODEL, HALF, 1).all
    found = memory_of(MODEL, HALF, DEEPSPEED_FP16, 1)
    assert found.gradients == 2 * held
    assert found.optimizer == (12 + 4) * held / 4


@pytest.mark.parametrize(("stage", "copies"), [(0, 1), (1, 2)])
def test_a_micro_batch_in_flight_keeps_what_came_and_what_went(stage: int, copies: int) -> None:
    plain = memory_of(MODEL, LAYOUT, MEGATRON_2021, stage)
    found = memory_of(MODEL, LAYOUT, DEEPSPEED_BF16, stage)
    more = (found.activations - plain.activations) / found.in_flight
    assert more == pytest.approx(copies * MESSAGE)


def test_the_last_stage_holds_the_logits_before() -> None:
    plain = memory_of(MODEL, LAYOUT, MEGATRON_2021, 3)
    found = memory_of(MODEL, LAYOUT, DEEPSPEED_BF16, 3)
    logits = 4 * 2 * 256 * 4096
    assert found.activations - plain.activations == pytest.approx(MESSAGE + logits)


def test_the_largest_matrix_is_cast_whole() -> None:
    """The embedding at the ends, a feed-forward matrix between; a bucket where that is larger."""
    wide = replace(MODEL, vocab=2**20)
    ends = [memory_of(wide, LAYOUT, DEEPSPEED_BF16, s).working for s in (0, 3)]
    assert ends == [4 * 2**20 * 512] * 2
    held = weights_of(wide, LAYOUT, 1).all
    assert memory_of(wide, LAYOUT, DEEPSPEED_BF16, 1).working == 2 * held
