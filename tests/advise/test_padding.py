"""Sizes that are no multiple of 16 bytes, and what padding them brings."""

from __future__ import annotations

import pytest
from asked_lines import asked

from suiren.advise.asked import period_s
from suiren.advise.padding import odd_sizes, pad
from suiren.hw.catalog import CARDS

#: Logits of 12 x 1,024 tokens over GPT-2's vocabulary, and the gradients of both operands.
LOGITS = """
    forward mm(self=bf16[12288,768],mat2=bf16[768,50257]{1,768})->(bf16[12288,50257]) : 2 1 3
    backward mm(self=bf16[12288,50257],mat2=bf16[50257,768])->(bf16[12288,768]) : 3 1 4
    backward mm(self=bf16[50257,12288]{1,50257},mat2=bf16[12288,768])->(bf16[50257,768]) : 3 2 5
"""
STEP = asked(LOGITS, weights=(1,))


def test_the_vocabulary_is_the_odd_size() -> None:
    assert odd_sizes(STEP) == {50257: 50264}


def test_every_row_of_that_size_is_padded_and_nothing_else() -> None:
    padded = pad(STEP, odd_sizes(STEP))
    assert padded is not None
    assert [str(ask.call) for ask in padded.ops()] == [
        str(ask.call).replace("50257", "50264") for ask in STEP.ops()
    ]
    assert odd_sizes(padded) == {}


def test_padding_pays_where_threads_load_and_not_where_copy_engines_do() -> None:
    padded = pad(STEP, odd_sizes(STEP))
    assert padded is not None
    gain = {name: period_s(STEP, CARDS[name]) / period_s(padded, CARDS[name])
            for name in ("a100", "t20")}  # fmt: skip
    assert gain["a100"] > 2
    assert gain["t20"] == pytest.approx(1, abs=0.02)


def test_wide_formats_and_even_sizes_need_no_padding() -> None:
    assert odd_sizes(asked(LOGITS.replace("bf16", "f32"), weights=(1,))) == {}
    even = asked(LOGITS.replace("50257", "50304"), weights=(1,))
    assert odd_sizes(even) == {}
    assert pad(even, {}) is None
