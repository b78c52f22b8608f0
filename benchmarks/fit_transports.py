"""Fits what NCCL makes of a generation of NVLink, on rows of split `fit`, with the real code.

python benchmarks/fit_transports.py [--card a100 h100 gb200] [--rounds N]

Prints start and hop in µs and shares for each message protocol, as `hw/catalog/transports.py`
holds them, beside what stands there, and the error on the rows fitted on. What is one for all
generations (the shares of `simple` and `ll128`, the copy after the last step) is left as it is:
its rows above 32 MiB are those of kernel_vidur. Needs scipy.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import exp, log
from pathlib import Path
from statistics import mean

os.environ.setdefault("OMP_NUM_THREADS", "1")

from scipy.optimize import least_squares

from suiren.fleet.algorithms import ALGORITHMS
from suiren.fleet.choose import by_nccl
from suiren.fleet.collective import PREDICTED
from suiren.fleet.fold import Fold, fold
from suiren.fleet.phases import Carriers, Phase, carriers, price
from suiren.fleet.place import Place
from suiren.hw.catalog import transports
from suiren.hw.fact import Fact
from suiren.hw.transport import Transport
from suiren.truth import collectives
from suiren.truth.machines import machine_of
from suiren.truth.predict import card_of
from suiren.truth.rows import read_rows
from suiren.units import KiB, us

TABLE = Path(__file__).parents[1] / "data" / "measured" / "kernel_aic_collectives.csv.gz"
STANDS = {"a100": transports.NVLINK_3, "h100": transports.NVLINK_4, "gb200": transports.NVLINK_5}
#: (protocol, field) of the numbers that belong to a generation.
FIELDS = (
    ("ll", "base_s"), ("ll", "hop_s"), ("ll", "share"), ("ll128", "base_s"), ("ll128", "hop_s"),
    ("simple", "base_s"), ("simple", "hop_s"), ("pairs", "base_s"),
    ("in_switch", "base_s"), ("in_switch", "share"),
)  # fmt: skip
#: How strongly a number keeps to what stands there, in logarithms.
SLACK = 0.3


@dataclass(frozen=True)
class Case:
    """A row, planned as the library would run it."""

    measured_s: float
    folded: Fold
    phases: tuple[Phase, ...]
    protocol: str
    how: Carriers


def cases_of(card_name: str) -> list[Case]:
    """Every NCCL row of split `fit` from 32 KiB on."""
    found = []
    for row in read_rows(TABLE):
        card = card_of(row.hardware, None)
        if row.split != "fit" or "[NCCL]" not in row.op or card is None or card.name != card_name:
            continue
        size_bytes, n = collectives.bytes_of(row), collectives.ranks_of(row)
        op = next(o for beginning, o in collectives._OPS.items() if row.op.startswith(beginning))
        if size_bytes < 32 * KiB or not row.measured_s:
            continue
        cluster, _ = machine_of(row, card)
        folded = fold(cluster, Place(1, tuple(range(n))))
        algorithm, protocol = "direct", "pairs"
        if op in PREDICTED:
            algorithm, protocol = by_nccl(folded, op, size_bytes, card.chip.family)
        phases = ALGORITHMS[algorithm](folded, op, size_bytes)
        found.append(Case(row.measured_s, folded, phases, protocol, carriers(folded, "NCCL")))
    return found


def with_numbers(
    stands: Transport, used: Sequence[tuple[str, str]], logs: Sequence[float]
) -> Transport:
    """The transport with other numbers, given as logarithms."""
    for (protocol, name), value in zip(used, logs, strict=True):
        old = getattr(stands, protocol)
        fact: Fact = getattr(old, name)
        stands = replace(stands, **{protocol: replace(old, **{name: fact.at(exp(value))})})
    return stands


def errors(cases: Sequence[Case], transport: Transport) -> list[float]:
    """log(predicted / measured) of every case."""
    found = []
    for case in cases:
        by_medium = {m: transport if m.startswith("NVLink") else t
                     for m, t in case.how.by_medium.items()}  # fmt: skip
        how = replace(case.how, inside=transport, by_medium=by_medium)
        took = price(case.phases, case.folded, how, case.protocol)
        found.append(log(took.seconds / case.measured_s))
    return found


def fit(card: str, rounds: int) -> None:
    """Fit one generation and print what was found."""
    stands, cases = STANDS[card], cases_of(card)
    seen = {case.protocol for case in cases}
    used = [(p, f) for p, f in FIELDS if p in seen and float(getattr(getattr(stands, p), f)) > 0]
    start = [log(float(getattr(getattr(stands, p), f))) for p, f in used]

    def residuals(logs: Sequence[float]) -> list[float]:
        off = errors(cases, with_numbers(stands, used, logs))
        scale = (40 / len(cases)) ** 0.5 / 0.05
        return [scale * e for e in off] + [
            (a - b) / SLACK for a, b in zip(logs, start, strict=True)
        ]

    best = least_squares(residuals, start, loss="soft_l1", max_nfev=rounds)
    before, after = errors(cases, stands), errors(cases, with_numbers(stands, used, list(best.x)))
    print(f"{card}: {len(cases)} rows, mean |log| {mean(map(abs, before)):.3f} as it stands, "
          f"{mean(map(abs, after)):.3f} refitted")  # fmt: skip
    for (protocol, name), old, new in zip(used, start, best.x, strict=True):
        unit, word = (us, "µs") if name.endswith("_s") else (1.0, "")
        print(f"  {protocol:9} {name:7} {exp(old) / unit:7.3f} {word} -> {exp(new) / unit:.3f}")


def main() -> None:
    """Fit the generations asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--card", nargs="*", default=list(STANDS), choices=list(STANDS))
    parser.add_argument("--rounds", type=int, default=8)
    options = parser.parse_args()
    for card in options.card:
        fit(card, options.rounds)


if __name__ == "__main__":
    main()
