"""Chips nobody fitted: published architecture in place of the median, tiles that fit."""

from __future__ import annotations

import pytest

from suiren.hw.behaviour import AS_A100, MEASURED
from suiren.hw.catalog import CARDS
from suiren.hw.catalog.gaudi import CARDS as GAUDIS
from suiren.hw.families import FAMILIES, behaviour
from suiren.mapper.candidate import Shape
from suiren.mapper.menu import offers
from suiren.mapper.power import clock_share, mac_j
from suiren.mapper.tune import tune
from suiren.truth.predict import predict
from suiren.truth.rows import Row

LARGE = Shape(1, 8192, 8192, 8192, "bf16", "bf16")


def best(hardware: str, shape: str, dtype: str, tflop_per_s: float) -> Row:
    """A row as mamf-finder prints it."""
    sizes = dict(part.split("=") for part in shape.split(","))
    m, n, k = (int(sizes[name]) for name in "MNK")
    return Row("row", hardware, "gemm (best shape found)", sizes, dtype,
               2e-12 * m * n * k / tflop_per_s, "TFLOP/s", "", "", "check", 2, shape)  # fmt: skip


def test_every_measured_family_is_one() -> None:
    assert MEASURED.items() <= FAMILIES.items()
    assert behaviour("of no one") is FAMILIES["default"]


@pytest.mark.parametrize(("hardware", "shape", "dtype", "rate"), [
    ("AMD MI300X", "M=10240,N=15360,K=8192", "bf16", 668.4),
    ("AMD MI325X", "M=13312,N=10240,K=8192", "bf16", 784.9),
    ("AMD MI355X", "M=12288,N=8192,K=8192", "bf16", 1565.0),
    ("Intel Gaudi 2", "M=14336,N=15360,K=2048", "bf16", 418.7),
    ("Intel Gaudi 3", "M=16384,N=4096,K=768", "bf16", 1243.0),
    ("NVIDIA A100 SXM", "M=1024,N=10240,K=5120", "bf16", 271.2),
    ("NVIDIA H100 SXM", "M=2048,N=2048,K=13312", "bf16", 794.5),
])  # fmt: skip
def test_the_best_published_product_is_within_eight_percent(
    hardware: str, shape: str, dtype: str, rate: float
) -> None:
    error = predict(best(hardware, shape, dtype, rate)).error
    assert error is not None
    assert abs(error) <= 0.08


@pytest.mark.parametrize("name", ["mi250x", "mi300x", "mi355x"])
def test_a_compute_unit_takes_a_tile_of_256_rows_and_columns(name: str) -> None:
    card = CARDS[name]
    largest = max(offers(card, "bf16", "bf16"), key=lambda o: o.tm * o.tn)
    assert (largest.tm, largest.tn, largest.tk, largest.stages) == (256, 256, 64, 2)
    assert (largest.tm + largest.tn) * largest.tk * 2 <= card.chip.scratchpad_bytes
    assert largest.tm * largest.tn * 4 == card.chip.register_bytes / 2


def test_more_power_holds_a_higher_clock_on_the_same_silicon() -> None:
    clocks = {n: clock_share(tune(LARGE, CARDS[n]).timing, CARDS[n], "bf16")
              for n in ("mi300x", "mi325x")}  # fmt: skip
    assert 0.5 < clocks["mi300x"] < clocks["mi325x"] < 0.8


def test_the_energy_of_a_family_stands_where_its_own_is_told() -> None:
    assert mac_j(CARDS["mi325x"], "bf16") == mac_j(CARDS["mi300x"], "bf16") == 5.3e-12
    assert {CARDS[n].pace.mac_j.kind for n in ("mi300x", "mi355x")} == {"assumed"}
    assert mac_j(CARDS["mi355x"], "bf16") < mac_j(CARDS["mi300x"], "bf16")
    assert CARDS["v100"].pace.mac_j.source != AS_A100


@pytest.mark.parametrize("card", GAUDIS[1:], ids=lambda c: c.name)
def test_an_array_is_fed_at_its_own_width(card) -> None:  # type: ignore[no-untyped-def]
    rows, columns, _ = card.chip.tile_mnk
    assert card.pace.port_bytes_per_cycle == 2 * (rows + columns)
    assert tune(LARGE, card).timing.parts_s["matrix"] > 0.7 * tune(LARGE, card).seconds
