"""Every row of the published table stands in the catalogue, within 1 %."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from suiren.hw.names import find_card
from suiren.hw.spec import Card
from suiren.units import GB, GiB

TABLE = Path(__file__).parents[2] / "data" / "facts" / "chips.csv"
ROWS = list(csv.DictReader(TABLE.open(encoding="utf-8")))
EVERY_ROW = pytest.mark.parametrize("row", ROWS, ids=[row["chip"] for row in ROWS])
PEAKS = {
    "fp32_tflops": "fp32",
    "tf32_tflops": "tf32",
    "bf16_tflops": "bf16",
    "fp16_tflops": "fp16",
    "fp8_tflops": "fp8",
    "int8_tops": "int8",
}
TOLERANCE = 0.01
Row = dict[str, str]


def gap(value: float, printed: float) -> float:
    return abs(value - printed) / printed


@EVERY_ROW
def test_row_has_a_card(row: Row) -> None:
    card = find_card(row["chip"])
    assert card.year == int(row["year"])
    assert card.form.split("-")[0] in row["form"]


@EVERY_ROW
def test_peaks(row: Row) -> None:
    """One engine gives the peak: a table may print FP32 of the slower one."""
    card = find_card(row["chip"])
    for column, peak_format in PEAKS.items():
        if row[column]:
            printed = float(row[column]) * 1e12
            engines = [card.engine_flop_per_s(e, peak_format) for e in ("matrix", "vector")]
            assert min(gap(peak, printed) for peak in engines) <= TOLERANCE, column


@EVERY_ROW
def test_a_peak_the_table_lacks_is_not_claimed_as_printed_by_it(row: Row) -> None:
    if row["vendor"] == "Enflame":
        card = find_card(row["chip"])
        absent = {f for column, f in PEAKS.items() if not row[column]}
        assert not absent & set(card.printed_flop_per_s)


@EVERY_ROW
def test_memory(row: Row) -> None:
    """A capacity is printed in GB and means GiB on most cards."""
    card = find_card(row["chip"])
    printed = float(row["mem_gb"])
    if printed == 0:
        assert float(card.memory_bytes) == 0
    else:
        assert min(gap(card.memory_bytes / unit, printed) for unit in (GB, GiB)) <= TOLERANCE


@EVERY_ROW
def test_bandwidth(row: Row) -> None:
    if row["mem_gbs"]:
        card = find_card(row["chip"])
        assert gap(card.memory_bytes_per_s / GB, float(row["mem_gbs"])) <= TOLERANCE


@EVERY_ROW
def test_power(row: Row) -> None:
    """A range (`192 max`) is no number; an empty cell leaves an assumed one."""
    card = find_card(row["chip"])
    if row["tdp_w"]:
        assert gap(card.tdp_w, float(row["tdp_w"])) <= TOLERANCE
    else:
        assert card.tdp_w.kind == "assumed"


@EVERY_ROW
def test_cells_from_memory_are_not_called_published(row: Row) -> None:
    """The table names the cells that no source prints."""
    card = find_card(row["chip"])
    named = {name.strip() for name in row["from_memory_fields"].split(";")}
    columns = {"mem_gbs": "memory_bytes_per_s", "tdp": "tdp_w"}
    if row["vendor"] not in ("Google", "NVIDIA"):
        for column in named & set(columns):
            assert getattr(card, columns[column]).kind == "assumed", column


def _link_gb(card: Card) -> float:
    return card.link.bytes_per_s / GB if card.link else 0.0


@EVERY_ROW
def test_links_agree_or_the_conflict_is_recorded(row: Row) -> None:
    card = find_card(row["chip"])
    if row["link_total_gbs_bidir"]:
        agrees = gap(_link_gb(card), float(row["link_total_gbs_bidir"])) <= TOLERANCE
        assert agrees or "link.bytes_per_s" in [c.field for c in card.conflicts]
