"""Streams and rows: measured rows are met within a band, and the laws of streaming hold."""

from __future__ import annotations

import pytest

from suiren.hw.names import find_card
from suiren.mapper.stream import stream
from suiren.mapper.stream_rows import RowPlan, rows
from suiren.truth.eager import host_of
from suiren.truth.predict import predict
from suiren.truth.rates import seconds_of
from suiren.truth.rows import Row

#: NeuSight@6945927d9a scripts/asplos/data, split `check`: the first row of the op and card in the
#: file that takes more than 0.3 ms. id, hardware, op, shape, milliseconds.
MEASURED = (
    ("kn-13511", "NVIDIA A100-PCIE-40GB", "add", "B=32768,H=1600", 0.4641663968),
    ("kn-14064", "Tesla P4", "mul", "B=32768,H=1600", 4.3659263610),
    ("kn-16911", "Tesla P100-PCIE-16GB", "relu", "B=32768,H=1600", 0.7948415994),
    ("kn-17280", "Tesla V100-PCIE-32GB", "gelu", "B=32768,H=1600", 0.5311807990),
    ("kn-17775", "Tesla T4", "tanh", "B=32768,H=1600", 1.7958720207),
    ("kn-26352", "NVIDIA A100-PCIE-40GB", "ln", "B=32768,H=1600", 0.3885823965),
    ("kn-26807", "Tesla V100-PCIE-32GB", "softmax", "B=32768,H=1600", 0.7137215971),
    ("kn-295800", "AMD Instinct MI100", "addu", "B=11595,H=4017", 0.3752319991),
)
CARDS = ("a100", "h100", "v100-pcie", "t4", "p4", "mi100", "b200", "t21")


def row(number: str, hardware: str, op: str, shape: str, ms: float) -> Row:
    sizes = dict(part.split("=") for part in shape.split(","))
    return Row(
        number, hardware, op, sizes, "fp32", ms * 1e-3, "ms", "NeuSight", "", "check", 1, shape
    )


@pytest.mark.parametrize("measured", MEASURED, ids=lambda m: f"{m[2]} on {m[1]}")
def test_a_long_row_is_met_within_a_sixth(measured: tuple[str, str, str, str, float]) -> None:
    error = predict(row(*measured)).error
    assert error is not None and abs(error) < 1 / 6


def test_no_call_is_shorter_than_the_host() -> None:
    tiny = row("", "Tesla V100-PCIE-32GB", "add", "B=1,H=32", 0.0325)
    assert predict(tiny).seconds == pytest.approx(host_of(tiny, "v100-pcie").call_s)


def test_a_machine_that_was_not_measured_is_told_as_assumed() -> None:
    assert host_of(row("", "NVIDIA L4", "add", "B=1,H=32", 1.0), "l4").assumed


@pytest.mark.parametrize("name", CARDS)
def test_more_bytes_take_longer(name: str) -> None:
    card = find_card(name)
    times = [stream(2**n, 2**n, 2**n / 4, 0, "f32", card).seconds for n in range(10, 34)]
    assert times == sorted(times)


@pytest.mark.parametrize("name", CARDS)
def test_a_long_stream_is_linear_and_runs_at_memory_speed(name: str) -> None:
    card = find_card(name)
    one, two = (stream(n, n, 0, 0, "bf16", card).seconds for n in (2**31, 2**32))
    assert two == pytest.approx(2 * one, rel=0.01)
    sustained = 2 * 2**32 / two / card.memory_bytes_per_s
    assert 0.9 * card.pace.stream_efficiency < sustained <= card.pace.stream_efficiency * 1.001


def test_what_is_near_takes_no_longer() -> None:
    card = find_card("a100")
    cold, warm = (stream(2**23, 2**20, 0, 0, "f32", card, w).seconds for w in (0.0, 1.0))
    assert warm < cold


def test_work_outweighs_bytes_in_the_end() -> None:
    card = find_card("a100")
    assert stream(2**24, 2**24, 2**32, 0, "f32", card).why == "vector"


def test_a_second_look_costs_only_where_rows_do_not_fit() -> None:
    card = find_card("a100")

    def moved(cols: int, looks: int) -> float:
        return rows(2**16, cols, 1, 0, "f32", card, plan=RowPlan(16, looks)).l2_bytes

    assert moved(512, 2) == pytest.approx(moved(512, 1), rel=0.01)
    assert moved(16384, 2) == pytest.approx(1.5 * moved(16384, 1), rel=0.01)


def test_a_rate_becomes_seconds_where_the_row_states_its_amount() -> None:
    small = {"op": "repeated small stream kernels", "shape": "elems=4096,bytes=64kB",
             "notes": "all: 15 18 25"}  # fmt: skip
    assert seconds_of(small, 15.0) == pytest.approx(4096 * 16 / 25e9)
    assert seconds_of({"op": "stream:triad", "shape": "blockSize=32,threads=1280"}, 241.0) is None
