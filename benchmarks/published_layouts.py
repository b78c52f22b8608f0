"""Where the layouts of published training runs stand among all that would have fitted.

For every distinct layout among the `check` rows of a table of many cards that state a time: its
model, cluster, framework and global batch, the place of the published layout among those that fit

- with the same recomputation, sequence parallelism, ZeRO: all splits and micro-batches (`alike`);
- with any of these that its framework has: what a planner would search (`any`).

    python benchmarks/published_layouts.py [--least 8] [--most 60] [TABLE ...]
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from suiren.fleet.columns import Layouts
from suiren.fleet.framework import Framework
from suiren.fleet.layout import BadLayout, Layout
from suiren.fleet.layouts import space
from suiren.fleet.many import Many, memory_of_rows, steps_of
from suiren.fleet.model import Model
from suiren.hw.cluster import Cluster
from suiren.hw.names import UnknownChip
from suiren.truth.predict import card_of
from suiren.truth.rows import Row, read_rows
from suiren.truth.steps_layout import framework_of, layout_of
from suiren.truth.steps_machine import cluster_of
from suiren.truth.steps_model import model_of
from suiren.truth.unknown import NotPredicted

HOME = Path(__file__).parents[1] / "data/measured"
TABLES = ("train_megatron_lm.csv.gz", "train_nvidia_nemo.csv.gz", "train_ascend_modellink.csv.gz")


@dataclass(frozen=True)
class Placed:
    """The place of one published layout."""

    row: str
    model: str
    ranks: int
    layout: str
    fits: bool
    published_s: float
    best_s: float
    best: str
    faster: int
    """Fitting layouts that are faster by more than 0.1 %."""
    fitting: int
    faster_of_any: int
    """The same among layouts that may differ in all that the framework offers."""
    fitting_of_any: int

    @property
    def share(self) -> float:
        """Share of the fitting layouts that are faster."""
        return self.faster / max(1, self.fitting)

    @property
    def share_of_any(self) -> float:
        """The same among all that the framework offers."""
        return self.faster_of_any / max(1, self.fitting_of_any)


def offered(layout: Layout) -> dict[str, tuple[object, ...]]:
    """What the framework of a run could have chosen, all else as it was."""
    return {
        "global_batch": (layout.global_batch,), "precision": (layout.precision,),
        "sequence_parallel": (layout.sequence_parallel,), "zero": (layout.zero,),
        "overlap_gradients": (layout.overlap_gradients,),
        "overlap_tensor": (layout.overlap_tensor,), "distinct_tokens": (layout.distinct_tokens,),
        "schedule": ("1f1b", "interleaved"), "cp": (layout.cp,), "ep": (layout.ep,),
        "recompute": (layout.recompute,),
        "tp": (1, 2, 4, 8),
    }  # fmt: skip


def any_offered(layout: Layout) -> dict[str, tuple[object, ...]]:
    """The same with recomputation, sequence parallelism and ZeRO 1 left open."""
    return offered(layout) | {
        "recompute": ("none", "selective", "full"), "sequence_parallel": (False, True),
        "zero": (0, 1) if layout.zero < 2 else (layout.zero,),
    }  # fmt: skip


@dataclass(frozen=True)
class Run:
    """A row made ready."""

    text: str
    model: Model
    layout: Layout
    cluster: Cluster
    framework: Framework
    limit_bytes: float


def run_of(row: Row) -> Run:
    """A row's model, layout and machine; raises NotPredicted or BadLayout with the reason."""
    card = card_of(row.hardware, None)
    if card is None:
        raise NotPredicted(f"no card of the catalogue is {row.hardware!r}")
    framework, model = framework_of(row), model_of(row)
    layout, cluster = layout_of(row, model, card, framework), cluster_of(row, card)
    layout.check(model, cluster.num_ranks)
    return Run(row.text[:60], model, layout, cluster, framework, float(card.memory_bytes))


def fitting(run: Run, choices: dict[str, tuple[object, ...]]) -> tuple[Layouts, Many]:
    """The layouts of a space that fit, and their steps."""
    rows = space(run.model, run.layout.ranks, **choices)
    held = memory_of_rows(run.model, rows, run.cluster, run.framework)
    rows = rows.select(held <= run.limit_bytes)
    return rows, steps_of(run.model, rows, run.cluster, run.framework)


def place(run: Run, mine: Many) -> Placed:
    """The place of a run's layout, whose own step and memory are `mine`."""
    model, layout, limit = run.model, run.layout, run.limit_bytes
    rows, many = fitting(run, offered(layout))
    _, free = fitting(run, any_offered(layout))
    best = int(np.argmin(many.step_s)) if len(many) else 0
    step_s = float(mine.step_s[0])
    return Placed(
        run.text, model.name, layout.ranks, words(layout),
        bool(mine.memory_bytes[0] <= limit), step_s,
        float(many.step_s[best]) if len(many) else step_s,
        words(rows[best]) if len(many) else "", int((many.step_s < 0.999 * step_s).sum()),
        len(many), int((free.step_s < 0.999 * step_s).sum()), len(free),
    )  # fmt: skip


def words(layout: Layout) -> str:
    """A layout in a line."""
    return (f"tp{layout.tp} pp{layout.pp} vpp{layout.vpp} dp{layout.dp} mb{layout.micro_batch} "
            f"{layout.recompute}")  # fmt: skip


def rows_of(tables: list[str], least: int, most: int) -> Iterator[Row]:
    """Check rows of many cards that state a time, spread over each table."""
    for table in tables:
        found = [row for row in read_rows(HOME / table) if row.split == "check"
                 and "memory" not in row.shape.get("measured_metric", "")
                 and int(float(row.shape.get("n_devices", 1) or 1)) >= least]  # fmt: skip
        step = max(1, len(found) // most)
        yield from found[::step][:most]


def main() -> None:
    """Prints every row, the worst first, and the shares."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("tables", nargs="*", default=list(TABLES))
    parser.add_argument("--least", type=int, default=8)
    parser.add_argument("--most", type=int, default=60)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    found: list[Placed] = []
    seen: set[tuple[str, int, str, float]] = set()
    refused: dict[str, int] = {}
    start = time.monotonic()
    for row in rows_of(args.tables, args.least, args.most):
        try:
            run = run_of(row)
        except (NotPredicted, BadLayout, UnknownChip) as problem:
            refused[str(problem)[:90]] = refused.get(str(problem)[:90], 0) + 1
            continue
        own = steps_of(run.model, Layouts.of([run.layout]), run.cluster, run.framework)
        key = (run.model.name, run.layout.ranks, words(run.layout), float(own.step_s[0]))
        if key not in seen:
            seen.add(key)
            found.append(place(run, own))
    found.sort(key=lambda p: (-p.share_of_any, -p.share))
    for one in found:
        print(f"any {100 * one.share_of_any:5.1f} % {one.faster_of_any:>5}/{one.fitting_of_any:<5} "
              f"alike {100 * one.share:5.1f} % {one.faster:>4}/{one.fitting:<4} {one.model:>14} "
              f"{one.ranks:>5} {one.layout:<34} {one.published_s:8.3f} s, best {one.best_s:8.3f} s "
              f"{one.best}{'' if one.fits else '  (published does not fit)'}")  # fmt: skip
    held = [one for one in found if one.fits]
    print(f"{len(found)} layouts, {len(held)} fit; of these in the top 10 %: "
          f"{sum(p.share_of_any <= 0.1 for p in held)} of any, {sum(p.share <= 0.1 for p in held)} "
          f"of those alike; best at least as fast in "
          f"{sum(p.best_s <= p.published_s * 1.0001 for p in held)}; "
          f"{time.monotonic() - start:.0f} s")  # fmt: skip
    for reason, count in sorted(refused.items(), key=lambda i: -i[1]):
        print(f"   {count:>4} not placed: {reason}")
    if args.json:
        args.json.write_text(json.dumps([asdict(p) for p in found], indent=1) + "\n")


if __name__ == "__main__":
    main()
