"""Tables: every card prints, within the page, with its doubts in sight."""

from __future__ import annotations

from io import StringIO

import pytest
from rich.console import Console, RenderableType

from suiren.hw.catalog import CARDS
from suiren.hw.show import card_page, chips_table, compare_table, quantity
from suiren.hw.spec import Card

WIDTH = 100


def printed(page: RenderableType, width: int = WIDTH) -> str:
    console = Console(width=width, record=True, file=StringIO())
    console.print(page)
    return console.export_text()


@pytest.mark.parametrize("card", CARDS.values(), ids=list(CARDS))
def test_a_page_tells_every_fact(card: Card) -> None:
    text = printed(card_page(card))
    assert card.title in text
    for name, _ in card.facts():
        assert name in text
    assert f"{len(card.assumed())} of" in text


def test_a_page_shows_conflicts_and_sources() -> None:
    text = printed(card_page(CARDS["t20"]), width=200)
    assert "33.6/134.4/268.8" in text
    assert "t20-launch" in text
    assert "TopsGraph compiler manual" in text


def test_a_page_says_that_a_chip_cannot_be_timed() -> None:
    assert "no time can be told" in printed(card_page(CARDS["s60"]))
    assert "no time can be told" not in printed(card_page(CARDS["t20"]))


def test_the_list_has_a_row_for_each_card_and_keeps_to_the_page() -> None:
    text = printed(chips_table(CARDS.values()))
    for name in CARDS:
        assert f"{name} " in text
    assert "…" not in text
    assert max(len(line) for line in text.splitlines()) <= WIDTH


def test_a_peak_that_rests_on_a_guess_is_starred() -> None:
    starred = printed(chips_table([CARDS["ascend910b"]]))
    assert "313*" in starred
    assert "312*" not in printed(chips_table([CARDS["a100"]]))


def test_a_comparison_gives_ratios_to_the_first() -> None:
    text = printed(compare_table([CARDS["t20"], CARDS["a100"]]))
    assert "2.44×" in text
    assert "1.27×" in text


@pytest.mark.parametrize("names", [[], ["hanguang800"], ["s60", "t20"], ["hanguang800", "s60"]])
def test_a_comparison_survives_missing_numbers(names: list[str]) -> None:
    assert "Cards compared" in printed(compare_table([CARDS[name] for name in names]))


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("clock_hz", 1.302e9, "1.302 GHz"),
        ("memory_bytes", 32 * 2**30, "32.00 GiB"),
        ("link.bytes_per_s", 3e11, "300 GB/s"),
        ("chip.matrix.bf16", 2048, "2048 MAC/cycle"),
        ("printed_flop_per_s.int8", 256e12, "256 TOP/s"),
        ("matrix_efficiency", 0.85, "85%"),
        ("launch_s", 2.5e-6, "2.5 µs"),
        ("tdp_w", 300, "300 W"),
        ("chip.process_nm", 12, "12 nm"),
        ("cores", 24, "24"),
    ],
)
def test_a_quantity_carries_the_unit_of_its_name(name: str, value: float, text: str) -> None:
    assert quantity(name, value) == text
