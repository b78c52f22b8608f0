"""Contracts over every card of the catalogue."""

from __future__ import annotations

import pickle

import pytest

from suiren.hw.catalog import CARDS, NODES
from suiren.hw.check import PEAK_TOLERANCE, faults
from suiren.hw.fact import KINDS
from suiren.hw.families import behaviour
from suiren.hw.spec import PEAK_FORMATS, Card, Node
from suiren.units import GB, GiB

EVERY_CARD = pytest.mark.parametrize("card", CARDS.values(), ids=list(CARDS))
EVERY_NODE = pytest.mark.parametrize("node", NODES.values(), ids=list(NODES))
WANTED = frozenset(
    """
    t10 t11 t20 t20-launch t21 i10 i20 s60 l600 ascend910 ascend910b kunlun1 kunlun2 hanguang800
    mlu290 mlu370 p100 p4 p40 v100 v100-16 v100-pcie t4 a100 a100-40 a100-pcie a100-pcie-40 a800
    a30 a40 a10 a10g l4 l40 l40s h100 h100-pcie h100-nvl h800 h200 h20 gh200 b100 b200 b300 gb200
    gb300 rtx-pro-6000 rtx-6000-ada rtx-a6000 rtx-a5000 rtx-a4000 quadro-rtx-6000 quadro-rtx-8000
    rtx-2080 rtx-2080-ti titan-v titan-rtx quadro-rtx-5000 rtx-3070 rtx-3080 rtx-4080 gtx-1080
    rtx-3090 rtx-4090 rtx-5090 m40 titan-x titan-x-pascal titan-xp gtx-1080-ti mi25 vega-fe mi50
    mi60 mi100 mi210 mi250 mi250x mi300x mi325x mi350x mi355x rx-6900-xt tpu-v2 tpu-v3 tpu-v4
    tpu-v5e tpu-v5p tpu-v6e tpu-v7 gaudi1 gaudi2 gaudi3 arc-pro-b60 knl7250 max-1550 trainium1
    trainium2 trainium3 bi150 c550 toy
""".split()
)


@EVERY_CARD
def test_sums_come_out(card: Card) -> None:
    assert faults(card) == []


@EVERY_CARD
def test_every_fact_names_its_source_and_kind(card: Card) -> None:
    for name, fact in card.facts():
        assert fact.source.strip(), name
        assert fact.kind in KINDS, name


@EVERY_CARD
def test_formats_are_known(card: Card) -> None:
    given = {*card.chip.matrix, *card.chip.vector, *card.printed_flop_per_s}
    assert given <= set(PEAK_FORMATS)


@EVERY_CARD
def test_a_printed_peak_belongs_to_a_format_the_chip_has(card: Card) -> None:
    assert set(card.printed_flop_per_s) <= set(card.formats())


@EVERY_CARD
def test_title_and_name_are_presentable(card: Card) -> None:
    assert card.name == card.name.lower()
    assert " " not in card.name
    assert card.title
    assert 2010 < card.year < 2030
    assert card.use in ("train", "infer", "train+infer")


@EVERY_CARD
def test_magnitudes_are_those_of_accelerators(card: Card) -> None:
    """Catches a slipped unit: GHz for Hz, GB for bytes."""
    assert 0.5e9 <= card.clock_hz <= 4e9
    assert not card.memory_bytes or 4 * GiB <= card.memory_bytes <= 512 * GiB
    assert not card.memory_bytes_per_s or 100 * GB <= card.memory_bytes_per_s <= 1e13
    assert 50 <= card.tdp_w <= 2000
    assert 1e9 <= card.host_bytes_per_s <= 1e12
    assert 1e-7 <= card.launch_s <= 1e-4


@EVERY_CARD
def test_caches_are_not_slower_than_memory(card: Card) -> None:
    if card.l2_bytes:
        assert card.l2_bytes_per_s >= card.memory_bytes_per_s


@EVERY_CARD
def test_a_wider_format_is_never_faster_on_the_matrix_engine(card: Card) -> None:
    for wide, narrow in (("tf32", "bf16"), ("bf16", "fp8"), ("fp8", "fp4")):
        if wide in card.chip.matrix and narrow in card.chip.matrix:
            assert card.chip.matrix[wide] <= card.chip.matrix[narrow]


@EVERY_CARD
def test_behaviour_comes_by_family_unless_the_card_has_its_own(card: Card) -> None:
    if card.name != "toy":
        row = behaviour(card.chip.family)
        assert card.launch_s is row.launch_s
        assert card.matrix_efficiency is row.matrix_efficiency


@EVERY_CARD
def test_conflicts_hold_at_least_two_versions(card: Card) -> None:
    for conflict in card.conflicts:
        assert len(conflict.versions) >= 2
        assert conflict.used


@EVERY_CARD
def test_a_card_survives_pickling(card: Card) -> None:
    copy = pickle.loads(pickle.dumps(card))
    assert copy == card
    assert copy.clock_hz.source == card.clock_hz.source


def test_the_catalogue_holds_what_a_reader_would_look_for() -> None:
    assert sorted(WANTED - set(CARDS)) == []


def test_cards_are_keyed_by_name_and_no_name_is_taken_twice() -> None:
    assert all(name == card.name for name, card in CARDS.items())
    spelled = [s for card in CARDS.values() for s in {card.name, *card.aliases}]
    assert len(spelled) == len(set(spelled))


def test_chips_without_a_published_peak_cannot_be_timed() -> None:
    assert [card.name for card in CARDS.values() if not card.can_time] == ["s60", "l600"]


def test_the_toy_card_has_round_peaks() -> None:
    toy = CARDS["toy"]
    assert toy.engine_flop_per_s("matrix", "bf16") == pytest.approx(32.768e12)
    assert toy.engine_flop_per_s("matrix", "tf32") == pytest.approx(16.384e12)
    assert toy.engine_flop_per_s("matrix", "fp32") == pytest.approx(8.192e12)
    assert toy.engine_flop_per_s("vector", "fp32") == pytest.approx(2.048e12)


def test_plain_fp32_is_vector_work_on_a_gpu_and_matrix_work_on_a_dtu() -> None:
    assert CARDS["a100"].engine_flop_per_s("matrix", "fp32") == 0
    t20 = CARDS["t20"]
    assert t20.engine_flop_per_s("matrix", "fp32") > t20.engine_flop_per_s("vector", "fp32")


def test_hopper_has_a_second_clock_for_vectors() -> None:
    h100 = CARDS["h100"]
    assert h100.peak_flop_per_s("fp32") == pytest.approx(67e12, rel=PEAK_TOLERANCE)
    assert h100.peak_flop_per_s("bf16") == pytest.approx(989e12, rel=PEAK_TOLERANCE)


@pytest.mark.parametrize("name", ["t20", "t21", "i20", "b200"])
def test_a_clock_solved_from_assumed_macs_is_assumed(name: str) -> None:
    assert CARDS[name].clock_hz.kind == "assumed"


@pytest.mark.parametrize(
    ("name", "field"),
    [
        ("t10", "tdp_w"),
        ("t10", "clock_hz"),
        ("t10", "memory_bytes"),
        ("t20", "printed_flop_per_s"),
        ("t20", "memory_bytes"),
        ("t20", "cores"),
        ("t21", "printed_flop_per_s"),
        ("i10", "printed_flop_per_s.int8"),
        ("s60", "memory_type"),
        ("l600", "memory_bytes_per_s"),
        ("ascend910", "cores"),
        ("ascend910b", "printed_flop_per_s"),
        ("kunlun2", "printed_flop_per_s.int8"),
        ("gaudi3", "printed_flop_per_s.bf16"),
        ("tpu-v5p", "link.bytes_per_s"),
    ],
)
def test_known_conflicts_are_recorded(name: str, field: str) -> None:
    assert field in [conflict.field for conflict in CARDS[name].conflicts]


@EVERY_NODE
def test_nodes_hold_cards_of_the_catalogue(node: Node) -> None:
    assert CARDS[node.card.name] is node.card
    assert float(node.num_cards) in (4, 8, 16, 72)
    assert node.wiring


@EVERY_NODE
def test_a_pair_of_cards_has_no_more_than_a_card_sends(node: Node) -> None:
    link = node.card.link
    most = link.bytes_per_s / 2 if link else node.card.host_bytes_per_s
    assert 0 < node.pair_bytes_per_s <= most * 1.001


@EVERY_NODE
def test_nics_come_with_their_rate(node: Node) -> None:
    assert (node.nics is None) == (node.nic_bytes_per_s is None)


def test_a_pair_of_t20s_shares_one_port() -> None:
    assert NODES["t20x8"].pair_bytes_per_s == pytest.approx(25 * GB)
