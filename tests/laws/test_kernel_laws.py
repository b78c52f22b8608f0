"""Laws of kernels on cards: no simulation beats the roofline, nothing better slows it down."""

from __future__ import annotations

from dataclasses import replace

from any_call import LAW, card_of, cards, scaled
from hypothesis import given
from hypothesis import strategies as st

from suiren.core.program import Program
from suiren.core.roofline import roofline
from suiren.core.timing import time_program
from suiren.hw.spec import Card
from suiren.kernels.matmul import matmul_nn
from suiren.kernels.matmul_split import split_k_nn
from suiren.kernels.softmax import softmax
from suiren.mapper.candidate import Shape
from suiren.mapper.tune import candidates, simulate, tune

ROUNDING = 1 + 1e-6
sizes = st.sampled_from([1, 7, 64, 100, 384, 1000, 4096, 20000])
tiles = st.sampled_from([16, 32, 64, 128, 256])
timed = cards


@st.composite
def programs(draw: st.DrawFn) -> Program:
    m, n, k = draw(sizes), draw(sizes), draw(sizes)
    dtype = draw(st.sampled_from(["f32", "bf16", "f16"]))
    names: dict[str, int | str] = {"M": m, "N": n, "K": k, "A": dtype, "B": dtype, "C": dtype}
    options: dict[str, object] = {
        "tm": draw(tiles), "tn": draw(tiles), "tk": draw(st.sampled_from([16, 32, 64])),
        "stages": draw(st.integers(1, 5)), "resident": draw(st.sampled_from([1, 1, 2, 4])),
        "fresh": draw(st.booleans()),
    }  # fmt: skip
    kind = draw(st.sampled_from(["matmul", "split", "softmax"]))
    if kind == "matmul":
        return matmul_nn.build(names, **options)
    if kind == "split":
        return split_k_nn.build({**names, "S": draw(st.integers(2, 8)), "P": "f32"}, **options)
    return softmax.build({"M": m, "N": n, "T": dtype, "U": dtype})


@LAW
@given(program=programs(), on=timed)
def test_no_simulation_beats_the_roofline(program: Program, on: str) -> None:
    card = card_of(on)
    assert time_program(program, card).seconds * ROUNDING >= roofline(program, card).seconds


@LAW
@given(program=programs(), on=timed)
def test_parts_are_there_and_fit_into_the_whole(program: Program, on: str) -> None:
    timing = time_program(program, card_of(on))
    assert min(timing.parts_s.values()) >= 0
    assert timing.parts_s["matrix"] <= timing.seconds * ROUNDING
    assert timing.parts_s["memory"] <= timing.seconds * ROUNDING


@LAW
@given(program=programs(), on=timed)
def test_bytes_and_work_are_conserved(program: Program, on: str) -> None:
    timing = time_program(program, card_of(on))
    read = sum(t.bytes for t in program.tensors if t.name not in program.written)
    assert timing.l2_bytes * card_of(on).pace.multicast * ROUNDING >= read
    least = 1.0
    if program.name.startswith(("matmul", "split")):
        (m, k), (_, n) = program.tensors[0].shape, program.tensors[1].shape
        least = float(m * n * k)
    assert max(timing.macs, timing.lanes) * ROUNDING >= least


def faster(card: Card, what: str, factor: float) -> Card:
    return scaled(card, **{what: factor})


@LAW
@given(
    program=programs(), on=timed, factor=st.sampled_from([1.1, 2.0, 16.0]),
    what=st.sampled_from(["memory_bytes_per_s", "l2_bytes_per_s"]),
)  # fmt: skip
def test_more_bandwidth_never_slows_a_kernel(
    program: Program, on: str, factor: float, what: str
) -> None:
    card = card_of(on)
    before = time_program(program, card).seconds
    assert time_program(program, faster(card, what, factor)).seconds <= before * 1.002 + 1e-9


@LAW
@given(program=programs(), on=timed, clock=st.sampled_from([1.05, 1.5, 4.0]))
def test_a_higher_clock_never_slows_a_kernel(program: Program, on: str, clock: float) -> None:
    card = card_of(on)
    before = time_program(program, card).seconds
    assert time_program(program, card, clock).seconds <= before * 1.002 + 1e-9


@LAW
@given(m=sizes, n=sizes, k=sizes, on=timed)
def test_the_tuned_kernel_is_the_best_of_those_it_simulated(
    m: int, n: int, k: int, on: str
) -> None:
    card, shape = card_of(on), Shape(1, m, n, k, "bf16", "bf16")
    plan = tune(shape, card)
    for candidate in candidates(shape, card)[:3]:
        assert plan.seconds <= simulate(shape, card, candidate).seconds * ROUNDING


@LAW
@given(m=sizes, n=sizes, k=sizes, on=timed, factor=st.sampled_from([2.0, 4.0]))
def test_more_scratchpad_never_slows_the_tuned_kernel(
    m: int, n: int, k: int, on: str, factor: float
) -> None:
    card, shape = card_of(on), Shape(1, m, n, k, "bf16", "bf16")
    chip = card.chip
    scratchpad_bytes = chip.scratchpad_bytes.at(chip.scratchpad_bytes * factor)
    larger = replace(card, chip=replace(chip, scratchpad_bytes=scratchpad_bytes))
    # the order of candidates is an estimate, so the tuner may miss the best by a little
    assert tune(shape, larger).seconds <= tune(shape, card).seconds * 1.05


def test_the_same_program_takes_the_same_time_twice() -> None:
    program, card = matmul_nn.build({"M": 1000, "N": 3000, "K": 777}), card_of("t21")
    assert time_program(program, card) == time_program(program, card)
