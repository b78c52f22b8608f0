"""The builders: what a short block leaves out, and the arithmetic behind derived facts."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from suiren.hw.catalog.build import card, chip, clock, fact, link, macs, tera
from suiren.hw.check import faults
from suiren.hw.fact import assumed, published
from suiren.hw.families import behaviour
from suiren.hw.spec import Card, Chip
from suiren.units import GB, TB, GHz, GiB, KiB, MiB

SHEET = "a datasheet"


def small_chip() -> Chip:
    return chip(
        source=SHEET,
        name="small",
        title="Small",
        vendor="Nobody",
        family="hopper",
        year=2024,
        core_name="core",
        matrix={"bf16": 1024},
        vector={"fp32": assumed(32, "a guess")},
        special_per_cycle=8,
        tile_mnk=(16, 16, 16),
        scratchpad_bytes=128 * KiB,
        register_bytes=64 * KiB,
    )


def small_card(host: str = "5.0 x16", l2_bytes: float = 8 * MiB) -> Card:
    return card(
        source=SHEET,
        name="small",
        title="Small card",
        chip=small_chip(),
        year=2024,
        form="PCIe",
        cores=10,
        clock_hz=1 * GHz,
        memory_bytes=8 * GiB,
        memory_bytes_per_s=100 * GB,
        memory_type="HBM",
        l2_bytes=l2_bytes,
        host=host,
        tdp_w=100,
        printed=tera(bf16=20.48),
        link=link("wire", 2, 100, SHEET),
    )


def test_plain_numbers_are_published_in_the_block_source() -> None:
    built = small_card()
    assert (built.cores.source, built.cores.kind) == (SHEET, "published")
    assert built.chip.matrix["bf16"].source == SHEET
    assert built.printed_flop_per_s["bf16"].source == SHEET
    assert built.link is not None
    assert built.link.bytes_per_s.source == SHEET


def test_a_fact_keeps_its_own_source() -> None:
    assert small_card().chip.vector["fp32"].kind == "assumed"


def test_behaviour_comes_from_the_family() -> None:
    built, row = small_card(), behaviour("hopper")
    assert built.matrix_efficiency is row.matrix_efficiency
    assert built.host_issue_s is row.host_issue_s


def test_the_block_adds_up() -> None:
    assert faults(small_card()) == []


@pytest.mark.parametrize(
    ("host", "gb_per_s"), [("3.0 x16", 15.75), ("4.0 x16", 31.5), ("5.0 x16", 63), ("5.0 x8", 31.5)]
)
def test_the_host_link_is_told_by_generation_and_lanes(host: str, gb_per_s: float) -> None:
    built = small_card(host)
    assert built.host_bytes_per_s / GB == pytest.approx(gb_per_s)
    assert built.host_bytes_per_s.kind == "derived"


def test_an_unpublished_l2_rate_is_by_port_width() -> None:
    built = small_card()
    assert built.l2_bytes_per_s == pytest.approx(64 * 10 * 1e9)
    assert built.l2_bytes_per_s.kind == "assumed"


def test_without_an_l2_there_is_no_rate() -> None:
    assert not small_card(l2_bytes=0).l2_bytes_per_s


def test_idle_power_is_a_share_of_the_tdp() -> None:
    assert small_card().idle_w == pytest.approx(15)
    assert small_card().idle_w.kind == "assumed"


def test_fact_leaves_facts_alone() -> None:
    given_fact = published(3, "elsewhere")
    assert fact(given_fact, SHEET) is given_fact


def test_link_is_given_in_gb_and_stored_in_bytes() -> None:
    wire = link("wire", 4, assumed(200, "a guess"), SHEET)
    assert wire.bytes_per_s == pytest.approx(0.2 * TB)
    assert (wire.bytes_per_s.kind, wire.ports.kind) == ("assumed", "published")


@given(
    tflops=st.floats(1, 1e4),
    cores=st.integers(1, 500),
    clock_hz=st.floats(0.5e9, 4e9),
)
def test_macs_and_clock_undo_each_other(tflops: float, cores: int, clock_hz: float) -> None:
    """A peak, solved for MACs and then for the clock, gives the clock back."""
    core_macs = macs(tflops, cores, clock_hz, SHEET)
    assert clock(tflops, cores, core_macs, SHEET) == pytest.approx(clock_hz)
    assert SHEET in core_macs.source


def test_what_rests_on_a_guess_can_be_marked() -> None:
    assert macs(100, 10, 1e9, SHEET).kind == "derived"
    assert macs(100, 10, 1e9, SHEET, "assumed").kind == "assumed"
    assert clock(100, 10, 1024, SHEET, "assumed").kind == "assumed"
