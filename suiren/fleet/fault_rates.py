"""How often things fail, from runs that others described; each rate is a Fact.

`llama3` is the default: the only one that tells the causes apart.
"""

from __future__ import annotations

from suiren.fleet.faults import S_PER_DAY, S_PER_H, Failures
from suiren.hw.fact import Fact, derived, published

_PAPER = "The Llama 3 Herd of Models, 2024, section 3.3.4"
_CHIPS, _NODES, _DAYS = 16384, 2048, 54
_READ = "table 5 as quoted by Data Center Dynamics"
_RECALLED = "table 5; these counts were not read again, with the others they make up the 419"


def _mean(parts: int, counts: dict[str, int], how: str) -> Fact:
    total = sum(counts.values())
    listed = ", ".join(f"{name} {count}" for name, count in counts.items())
    return derived(
        parts * _DAYS * S_PER_DAY / total,
        f"{parts:,} parts × {_DAYS} days / {total} interruptions ({listed}); {_PAPER}, {how}",
    )


LLAMA3 = (
    Failures(part="chip", per="chip", mean_s=_mean(_CHIPS, {
        "faulty GPU": 148, "HBM3": 72, "SRAM": 19, "system processor": 17,
    }, _READ)),
    Failures(part="chip, silent or hot", per="chip", mean_s=_mean(_CHIPS, {
        "silent data corruption": 6, "thermal interface": 6,
    }, _RECALLED)),
    Failures(part="switch and cable", per="chip", takes_node=False, mean_s=_mean(_CHIPS, {
        "network switch and cable": 35,
    }, _READ)),
    Failures(part="NIC", per="chip", mean_s=_mean(_CHIPS, {"NIC": 7}, _RECALLED)),
    Failures(part="host", per="node", mean_s=_mean(_NODES, {
        "host maintenance": 32, "SSD": 3, "power supply": 3, "chassis": 2, "IO board": 2,
        "CPU": 2, "memory": 2,
    }, _RECALLED)),
    Failures(part="software", per="node", takes_node=False, mean_s=_mean(_NODES, {
        "software bug": 54, "NCCL watchdog": 7, "dependency": 2,
    }, _RECALLED)),
)  # fmt: skip

RSC1 = (
    Failures(part="node", per="node", mean_s=derived(
        1000 * S_PER_DAY / 6.50,
        "6.50 failures per 1000 node-days on RSC-1, A100; Revisiting Reliability in Large-Scale "
        "Machine Learning Research Clusters, arXiv 2410.21680",
    )),
)  # fmt: skip

BLOOM = (
    Failures(part="chip", per="chip", mean_s=derived(
        384 * 7 * S_PER_DAY / 1.5,
        "384 A100, 1 to 2 GPU failures a week; The Technology Behind BLOOM Training, 2022",
    )),
)  # fmt: skip

OPT = (
    Failures(part="node", per="node", mean_s=derived(
        (124 + 12) * S_PER_DAY / 2,
        "about 2 machines of 124 and 12 spare ones go down every day; facebookresearch/metaseq, "
        "projects/OPT/chronicles/final_update.md, January 2022",
    )),
)  # fmt: skip

RATES: dict[str, tuple[Failures, ...]] = {
    "llama3": LLAMA3,
    "rsc1": RSC1,
    "bloom": BLOOM,
    "opt": OPT,
    "none": (),
}

#: What was published about whole runs, to check against; nothing is read off these.
LLAMA3_INTERRUPTIONS = published(419, f"{_PAPER}: unexpected, 16,384 H100 in 54 days")
LLAMA3_GOODPUT_ABOVE = published(0.90, f"{_PAPER}: effective training time")
RSC1_MTTF_16K_S = published(1.8 * S_PER_H, "arXiv 2410.21680: projected for 16,384 GPUs")
BLOOM_LOST_S = published(
    1.5 * S_PER_H,
    "The Technology Behind BLOOM Training, 2022: lost on average at a crash, a checkpoint in 3 h",
)
BLOOM_CHECKPOINT_S = published(
    40, "bigscience, train/tr11-176B-ml/chronicles.md, 2022-03-18: a checkpoint takes 40 s"
)
BLOOM_STEP_S = published(105, "the same: about 105 s an iteration")
BLOOM_CHECKPOINT_BYTES = published(2.3e12, "bigscience, train/tr11-176B-ml/README.md")
MEGASCALE_GOODPUT_ABOVE = published(
    0.90, "MegaScale, arXiv 2402.15627, as others quote it: > 10,000 GPUs, > 100 recoveries"
)
BYTEROBUST_GOODPUT = published(
    0.97, "Robust LLM Training Infrastructure at ByteDance, arXiv 2509.16293: 9,600 GPUs, 3 months"
)
