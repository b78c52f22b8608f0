"""Names: what users type, and what published tables print."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from suiren.hw.catalog import CARDS
from suiren.hw.names import UnknownChip, card_for_hardware, find_card

TABLE = Path(__file__).parents[2] / "data" / "facts" / "measured_hardware.csv"
TEXTS = [row["hardware"] for row in csv.DictReader(TABLE.open(encoding="utf-8"))]
#: Texts that name no card, with the reason.
NAMELESS = {
    "": "not filled in",
    "N/A": "not filled in",
    "SM100 CX7": "a compute capability, which several cards share",
    "SM100 N/A": "a compute capability, which several cards share",
    "SM90 CX7": "a compute capability, which several cards share",
    "Ascend (next-gen, undisclosed)": "the vendor does not name it",
    "reference GPU (unnamed) [参考]": "the vendor does not name it",
    "reference GPU (unnamed, likely A100/A800-80GB)": "the vendor does not name it",
}


@pytest.mark.parametrize("text", [text for text in TEXTS if text not in NAMELESS])
def test_every_measured_hardware_is_a_card(text: str) -> None:
    assert card_for_hardware(text) is not None


@pytest.mark.parametrize("text", NAMELESS)
def test_nameless_hardware_is_not_guessed(text: str) -> None:
    assert text in TEXTS
    assert card_for_hardware(text) is None


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("NVIDIA A100-SXM4-80GB", "a100"),
        ("nvidia: A100 [NVIDIA_A100-SXM4-40GB]", "a100-40"),
        ("nvidia: A100 [NVIDIA_A800-SXM4-80GB]", "a800"),
        ("nvidia A100_40_SXM", "a100-40"),
        ("nvidia A100-40GiB-SXM", "a100-40"),
        ("a100_80_gsync", "a100"),
        ("a100_pairwise_nvlink", "a100-pcie"),
        ("NVIDIA A100 - PCIe - 80 GB", "a100-pcie"),
        ("NVIDIA A100-PCIE-40GB", "a100-pcie-40"),
        ("8x H100 80GB SXM5", "h100"),
        ("LambdaCloud 8x H100 80GB SXM5", "h100"),
        ("LambdaOD_1x_Texas_1xH100_80GB_PCIe_209-20-158-50_v2", "h100-pcie"),
        ("H100 NVL Tensor Core GPU (PCIe)", "h100-nvl"),
        ("NVIDIA H100-SXM5-96GB", "h100-96"),
        ("NVIDIA H200-NVL-141GB", "h200-nvl"),
        ("H800 + CX7 400Gb/s IB", "h800"),
        ("DGX-GB300", "gb300"),
        ("NVIDIA Blackwell GPU (B200-SXM-180GB)", "b200"),
        ("Tesla V100-PCIE-32GB", "v100-pcie"),
        ("V100-SXM2-16GB", "v100-16"),
        ("V100-32GB (DGX-2)", "v100"),
        ("Tesla P100-PCIE-16GB", "p100"),
        ("NV_TitanXp", "titan-xp"),
        ("NV_TitanX", "titan-x"),
        ("NV_TitanX_Pascal", "titan-x-pascal"),
        ("NV_1080Ti", "gtx-1080-ti"),
        ("Quadro RTX6000", "quadro-rtx-6000"),
        ("4x RTX 6000 Ada", "rtx-6000-ada"),
        ("2x RTX A6000", "rtx-a6000"),
        ("AMD_VegaFE", "vega-fe"),
        ("rx6900xt_pt", "rx-6900-xt"),
        ("AMD Instinct MI325X 256GB HBM3E DLC", "mi325x"),
        ("TPU v6e (Trillium)", "tpu-v6e"),
        ("TPU-trillium", "tpu-v6e"),
        ("Intel(R) Gaudi(R) 2 AI Accelerator", "gaudi2"),
        ("Gaudi (gen 1)", "gaudi1"),
        ("Intel(R) Graphics [0xe211]", "arc-pro-b60"),
        ("Ascend 910B (Atlas 900 A2 PODc, 8 NPU/node)", "ascend910b"),
        ("ascend Atlas800T A2", "ascend910b"),
        ("metax 曦云®C550 64G", "c550"),
        ("IA_KNL7250", "knl7250"),
    ],
)
def test_descriptions_are_read_by_model_form_and_capacity(text: str, name: str) -> None:
    found = card_for_hardware(text)
    assert found is not None
    assert found.name == name


@pytest.mark.parametrize("text", ["", "???", "a CPU", "gpu", "TPU", "80GB", "SXM"])
def test_a_text_without_a_model_is_none(text: str) -> None:
    assert card_for_hardware(text) is None


@pytest.mark.parametrize("name", CARDS)
def test_a_card_is_found_by_its_name_in_any_dress(name: str) -> None:
    for dressed in (name, name.upper(), name.replace("-", " "), name.replace("-", "_")):
        assert find_card(dressed) is CARDS[name]


@pytest.mark.parametrize("name", CARDS)
def test_a_card_is_found_by_its_aliases(name: str) -> None:
    for alias in CARDS[name].aliases:
        assert find_card(alias) is CARDS[name]


@pytest.mark.parametrize(
    ("typed", "name"),
    [
        ("a100 40gb", "a100-40"),
        ("H100 SXM", "h100"),
        ("NVIDIA A100-PCIe-40GB", "a100-pcie-40"),
        ("Tesla V100", "v100"),
        ("云燧T20", "t20"),
    ],
)
def test_a_typed_name_may_carry_form_and_capacity(typed: str, name: str) -> None:
    assert find_card(typed).name == name


@pytest.mark.parametrize(("typed", "near"), [("t22", "t21"), ("h101", "h100"), ("mi300", "mi300x")])
def test_an_unknown_name_is_answered_with_the_nearest(typed: str, near: str) -> None:
    with pytest.raises(UnknownChip, match=near) as caught:
        find_card(typed)
    assert "\n" not in str(caught.value)
    assert repr(typed) in str(caught.value)


@pytest.mark.parametrize("typed", ["", "h100 foo", "qqqqq", "gpu", "80gb"])
def test_a_word_that_is_not_understood_is_not_dropped(typed: str) -> None:
    with pytest.raises(UnknownChip):
        find_card(typed)
