"""Attention rows of data/measured: predicted within a stated band, and laws of the simulation."""

from __future__ import annotations

import pytest

from suiren.core.apart import dealt, tile_times
from suiren.hw.names import card_for_hardware
from suiren.mapper.attend import Attention, attend
from suiren.truth.predict import predict
from suiren.truth.rows import Row

_SOURCE = "github.com/ai-dynamo/aiconfigurator@095f58a51c"
#: Rows of split `check` of kernel_aic_attention_fwd.csv.gz: id, hardware, shape, format, µs.
_ROWS = [
    ("aa-2172", "NVIDIA A100-SXM4-80GB", "B=4,S=8192,H=32,Hkv=8,D=128", "bfloat16/kv bfloat16",
     15585.3),
    ("aa-2234", "NVIDIA A100-SXM4-80GB", "B=1,S=4096,H=32,Hkv=8,D=128", "bfloat16/kv bfloat16",
     1145.3),
    ("aa-244926", "NVIDIA H100 80GB HBM3", "B=4,S=8192,H=32,Hkv=8,D=128", "fp8/kv fp8", 3229.4),
    ("aa-140838", "NVIDIA GB200", "B=1,S=4096,H=32,Hkv=8,D=128", "bfloat16/kv bfloat16", 191.6),
]  # fmt: skip


def row(id_: str, hardware: str, text: str, dtype: str, us: float) -> Row:
    """A row as `rows.py` would read it."""
    shape = dict(pair.split("=") for pair in text.split(","))
    return Row(id_, hardware, "attention_prefill (causal fwd)", shape, dtype, us * 1e-6, "ms",
               _SOURCE, "TRTLLM", "check", 1, text)  # fmt: skip


@pytest.mark.parametrize("given", _ROWS, ids=[r[0] for r in _ROWS])
def test_a_measured_row_is_predicted_within_a_fifth(
    given: tuple[str, str, str, str, float],
) -> None:
    error = predict(row(*given)).error
    assert error is not None
    assert abs(error) < 0.2


def test_an_8_bit_cache_is_not_predicted_where_the_chip_has_no_such_format() -> None:
    given = ("x", "NVIDIA A100-SXM4-80GB", "B=1,S=64,H=8,Hkv=8,D=128", "bfloat16/kv fp8", 1.0)
    assert predict(row(*given)).seconds is None


@pytest.mark.parametrize("backward", [False, True])
def test_longer_sequences_take_longer(backward: bool) -> None:
    card = card_for_hardware("NVIDIA H100 80GB HBM3")
    assert card is not None
    times = [
        attend(Attention(1, 32, 8, s, s, 128, 128, "bf16", "bf16"), card, backward=backward).seconds
        for s in (512, 1024, 4096)
    ]
    assert times == sorted(times)
    assert times[-1] > 4 * times[-2]


def test_the_backward_pass_takes_two_to_five_times_the_forward() -> None:
    card = card_for_hardware("NVIDIA A100-SXM4-80GB")
    assert card is not None
    shape = Attention(4, 32, 32, 2048, 2048, 128, 128, "bf16", "bf16")
    ratio = attend(shape, card, backward=True).seconds / attend(shape, card).seconds
    assert 2 < ratio < 5


def test_tiles_go_to_the_core_that_is_free_first() -> None:
    runs = ((2, (3,)), (2, (2,)), (2, (1,)))
    times = tile_times(runs, lambda trips: 10 * trips[0])
    # cores: 30 + 10, 30 + 10, 20, 20 -> the last two go to the cores free at 20
    assert dealt(runs, times, 1, 4) == 30
    assert dealt(runs, times, 1, 1) == 120
    assert dealt(runs, times, 3, 1) == 360


def test_a_grid_of_very_many_lengths_is_timed_at_a_few() -> None:
    asked = []
    runs = tuple((1, (5, n)) for n in range(1, 50_001))
    times = tile_times(runs, lambda trips: asked.append(trips) or 10 * trips[1])
    assert len(asked) <= 3
    assert times[5, 12_345] == 123_450
