"""Prices of what is no product, on the toy card, where every sum can be done by hand.

16 cores of 1 GHz with 64 FP32 lanes and 16 special units each; 1 TB/s of memory, 4 TB/s and
16 MiB shared; 16 GB/s to the host.
"""

from __future__ import annotations

import pytest

from suiren.events.queue import COPIES, KERNELS
from suiren.hw.catalog import CARDS
from suiren.mapper.price import Price, price
from suiren.mapper.step import cost_of
from suiren.trace.call import parse_call

TOY = CARDS["toy"]
LATENCY_S, LAUNCH_S = 1e-6, 2e-6
MiB = 2**20


def priced(line: str) -> Price:
    return price(parse_call("aten::" + line), TOY)


def add(num_bytes: int) -> str:
    """An addition that moves so many bytes, a third of them in each operand."""
    t = f"f32[{num_bytes // 12}]"
    return f"add.Tensor(self={t},other={t},alpha=1)->({t})"


def test_a_long_stream_takes_the_memorys_bandwidth() -> None:
    size = 12 * 2**26
    found = priced(add(size))
    pace = TOY.pace.stream_efficiency
    assert found.why == "memory"
    # the result may stay in the shared level
    assert size - TOY.l2_bytes <= found.memory_bytes * 1.01 <= size * 1.02
    assert found.busy_s == pytest.approx(found.memory_bytes / (1e12 * pace), rel=0.05)
    assert found.roofline_s <= found.busy_s
    assert found.launch_s == LAUNCH_S
    assert found.total_s == found.busy_s + LAUNCH_S


def test_what_fits_a_quarter_of_the_shared_level_is_found_there() -> None:
    fits = 4 * MiB // 12 * 12
    inside, outside = priced(add(fits)), priced(add(2 * fits))
    assert inside.memory_bytes == 0
    assert inside.why == "l2"
    assert fits / 4e12 < inside.busy_s < fits / 1e12
    assert outside.memory_bytes >= 2 * fits * 2 / 3 * 0.99


def test_much_arithmetic_an_element_is_bound_by_the_lanes() -> None:
    n = 2**24
    found = priced(f"gelu(self=f32[{n}],approximate=none)->(f32[{n}])")
    lanes_s = 10 * n / (16 * 64 * 1e9 * TOY.pace.vector_efficiency)
    assert found.why == "vector"
    assert found.parts_s["vector"] == pytest.approx(lanes_s, rel=0.02)
    assert lanes_s <= found.busy_s * 1.001 <= 1.5 * lanes_s


def test_special_functions_run_beside_the_lanes() -> None:
    n = 2**24
    found = priced(
        f"_softmax(self=f32[{n // 64},64],dim=-1,half_to_float=false)->(f32[{n // 64},64])"
    )
    lanes_s = 4 * n / (16 * 64 * 1e9 * TOY.pace.vector_efficiency)
    special_s = n / (16 * 16 * 1e9)
    assert found.parts_s["vector"] == pytest.approx(max(lanes_s, special_s), rel=0.02)


def test_a_transfer_takes_the_host_link() -> None:
    n = 2**20
    found = priced(f"copy_(self=f32[{n}],src=cpu:f32[{n}],non_blocking=false)->(f32[{n}])")
    assert (found.family, found.why) == ("transfer", "link")
    assert found.busy_s == pytest.approx(4 * n / 16e9 + LATENCY_S)
    assert found.link_bytes == 4 * n
    assert cost_of(found).engine == COPIES
    assert cost_of(priced(add(1200))).engine == KERNELS


def test_reading_one_value_pays_no_launch() -> None:
    found = priced("_local_scalar_dense(self=f32[])->(~)")
    assert (found.launch_s, found.launches) == (0, 0)
    assert found.busy_s == pytest.approx(8 / 16e9)


def test_every_launch_is_paid() -> None:
    lists = "[" + ",".join(["f32[8]"] * 129) + "]"
    found = priced(f"_foreach_add_.List(self={lists},other={lists},alpha=~)->()")
    assert found.launches == 3
    assert found.launch_s == pytest.approx(3 * LAUNCH_S)
    one = priced("_foreach_add_.List(self=[f32[8]],other=[f32[8]],alpha=~)->()")
    assert found.busy_s >= 2.9 * one.busy_s


def test_picoseconds_are_the_rounded_seconds() -> None:
    found = priced(add(12 * 2**24))
    assert cost_of(found).busy_ps == round(found.busy_s * 1e12)
    assert cost_of(found).launch_ps == round(LAUNCH_S * 1e12)
    assert cost_of(found).why == "memory"
