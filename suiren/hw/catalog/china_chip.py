"""Chips of which little more than the matrix peak was published: MACs are solved from it."""

from __future__ import annotations

from collections.abc import Mapping

from suiren.hw.catalog.build import chip, macs
from suiren.hw.fact import Fact, assumed
from suiren.hw.spec import Chip
from suiren.units import KiB

KUNLUN_1 = "anandtech.com/show/16008; xpu_smi output in PaddlePaddle/Paddle#56661"
KUNLUN_2 = "besthub.dev; FlagOpen/FlagPerf training/kunlunxin"
HANGUANG = "anandtech.com/show/16009"
MLU290 = "OpenI specification page of the MLU290-M5"
MLU370 = "guangxilong.com/c/032129635H022.html"
ILUVATAR = "Iluvatar BI-V150 product page and FlagOpen/FlagPerf training/iluvatar"
METAX = "MetaX C500 and C550 product pages"
RECALLED = "from memory: "
_LANES = "unpublished; a vector unit of 2048 bits taken"
GUESS = "unpublished; chosen so that MACs per core come out near a power of two"


def _accelerator(
    name: str,
    title: str,
    vendor: str,
    year: int,
    matrix: Mapping[str, Fact],
    source: str,
    *,
    core_name: str = "core",
    lanes: int = 64,
    scratchpad_kib: int = 256,
    process_nm: float = 7,
) -> Chip:
    """A chip of which only the matrix peak is public; the rest of a core is assumed."""
    return chip(
        source=source,
        name=name,
        title=title,
        vendor=vendor,
        family=name,
        year=year,
        core_name=core_name,
        matrix=matrix,
        vector={"fp32": assumed(lanes, _LANES), "fp16": assumed(2 * lanes, _LANES)},
        special_per_cycle=assumed(lanes / 4, "unpublished; a quarter of the FP32 lanes"),
        tile_mnk=(16, 16, 16),
        scratchpad_bytes=assumed(scratchpad_kib * KiB, "unpublished; as other chips of its day"),
        register_bytes=assumed(128 * KiB, "unpublished; as other chips of its day"),
        process_nm=process_nm,
    )


KUNLUN_1_CHIP = _accelerator(
    "kunlun1",
    "Kunlun 1",
    "Kunlunxin",
    2020,
    {f: macs(t, 2, 0.9e9, KUNLUN_1) for f, t in (("fp32", 16), ("fp16", 64), ("int8", 256))},
    KUNLUN_1,
    core_name="XPU unit",
    lanes=256,
    process_nm=14,
)
KUNLUN_2_CHIP = _accelerator(
    "kunlun2",
    "Kunlun 2",
    "Kunlunxin",
    2021,
    {
        f: macs(t, 8, 1.3e9, KUNLUN_2, "assumed")
        for f, t in (("fp32", 32), ("fp16", 128), ("int8", 256))
    },
    KUNLUN_2,
    core_name="XPU cluster",
    lanes=128,
)
HANGUANG_CHIP = _accelerator(
    "hanguang800",
    "Hanguang 800",
    "Alibaba",
    2019,
    {"int8": macs(825, 4, 0.7e9, HANGUANG)},
    HANGUANG,
    scratchpad_kib=48 * 1024,
    process_nm=12,
)
MLU290_CHIP = _accelerator(
    "mlu290",
    "MLU290",
    "Cambricon",
    2021,
    {"int8": macs(512, 64, 1.0e9, MLU290, "assumed")},
    MLU290,
    core_name="MLU core",
    scratchpad_kib=512,
)
MLU370_CHIP = _accelerator(
    "mlu370",
    "MLU370 (two chips)",
    "Cambricon",
    2022,
    {
        f: macs(t, 32, 1.3e9, MLU370, "assumed")
        for f, t in (("fp32", 32), ("bf16", 96), ("fp16", 96), ("int8", 256))
    },
    MLU370,
    core_name="MLU core",
    scratchpad_kib=512,
)
BI150_CHIP = _accelerator(
    "bi150",
    "Tiangai 150 (two dies)",
    "Iluvatar",
    2023,
    {
        f: assumed(m, RECALLED + "192 TFLOP/s of FP16 on 64 cores at 1.5 GHz")
        for f, m in (("fp32", 256), ("bf16", 1024), ("fp16", 1024), ("int8", 2048))
    },
    ILUVATAR,
)
C550_CHIP = _accelerator(
    "c550",
    "MetaX C550",
    "MetaX",
    2023,
    {
        f: assumed(m, RECALLED + "280 TFLOP/s of FP16, half in TF32, on 104 cores at 1.3 GHz")
        for f, m in (("tf32", 512), ("bf16", 1024), ("fp16", 1024), ("int8", 2048))
    },
    METAX,
)
