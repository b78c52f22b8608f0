"""Writes the generated part of docs/network.md: errors of every collective of the check split.

python benchmarks/network_page.py [--json FILE]

Beside each error stands what the table itself leaves open (suiren/truth/scatter.py): how far rows
of one condition are from each other, and how far a row is from the line through its neighbours.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

from suiren.truth import collectives
from suiren.truth.collectives import ranks_of
from suiren.truth.engines import engine_of, own_s
from suiren.truth.machines import machine_of
from suiren.truth.predict import Prediction, card_of
from suiren.truth.rows import Row, read_rows
from suiren.truth.run import run
from suiren.truth.scatter import again, off_line
from suiren.truth.score import Score, score
from suiren.units import GiB, KiB, MiB

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "network.md"
TABLES = ("vidur", "deepbench", "aic_collectives", "collectives_gemm_misc", "flagperf_ops_base")
BAR = 15.0
_SIZES = ((64 * KiB, MiB, "64 KiB–1 MiB"), (MiB, 16 * MiB, "1–16 MiB"),
          (16 * MiB, 256 * MiB, "16–256 MiB"), (256 * MiB, 2 * GiB, "256 MiB–1 GiB"))  # fmt: skip
#: Columns of every table, after its own.
_COLUMNS = ("rows", "signed median", "MAPE", "worst", "again", "line")

Found = tuple[str, Prediction]


def judged(row: Row) -> bool:
    """Rows of collectives from 64 KiB to 1 GiB."""
    if not collectives.covers(row) or row.op.startswith("MoE"):
        return False
    return 64 * KiB <= collectives.bytes_of(row) <= GiB


def place_of(row: Row) -> str:
    """How many cards take part, and how many of a box."""
    n, each = ranks_of(row), int(row.shape.get("devices_per_node", 0))
    return f"{n} ({each} a box)" if each and each != n else str(n)


def condition(row: Row) -> tuple[object, ...]:
    """What a row says was measured and where, but for formats and versions of software.

    An all_reduce that an engine leaves to the library is the library's.
    """
    card, size_bytes, n = card_of(row.hardware, None), collectives.bytes_of(row), ranks_of(row)
    engine, what = engine_of(row), row.op
    if card is None:
        return (row.hardware, what, place_of(row), size_bytes)
    if engine is not None and not engine.eager and own_s(engine, n, size_bytes, card) is None:
        what = "all_reduce [NCCL]"
    machine = machine_of(row, card)[0].name.partition(",")[0]
    return (machine, what, place_of(row), size_bytes)


def series(row: Row) -> tuple[object, ...]:
    """What rows share that differ in size alone."""
    return (row.hardware, row.op, row.dtype, place_of(row), row.source.split(" row ")[0])


def size_class(one: Prediction) -> str:
    """The class of sizes of a row."""
    size_bytes = collectives.bytes_of(one.row)
    return next(name for low, high, name in _SIZES if low <= size_bytes < high)


class Page:
    """The rows of all tables, predicted, with what the tables leave open."""

    def __init__(self) -> None:
        self.found: list[Found] = []
        self.again: dict[str, float] = {}
        self.line: dict[str, float] = {}
        for table in TABLES:
            rows = read_rows(ROOT / "data" / "measured" / f"kernel_{table}.csv.gz")
            rows = [row for row in rows if judged(row)]
            self.again |= again(rows, condition)
            self.line |= off_line(rows, series, collectives.bytes_of)
            check = [row for row in rows if row.split == "check"]
            self.found += [(table, p) for p in run(check, processes=1) if p.error is not None]

    def table(
        self, heads: Sequence[str], key: Callable[[str, Prediction], tuple[str, ...]]
    ) -> Iterable[str]:
        """A table by a key, the largest mean error first."""
        groups: dict[tuple[str, ...], list[Prediction]] = {}
        for name, one in self.found:
            groups.setdefault(key(name, one), []).append(one)
        scored = [(self._score(k, ones), ones) for k, ones in groups.items()]
        yield f"| {' | '.join((*heads, *_COLUMNS))} | |"
        yield f"|{'---|' * len(heads)}{'---:|' * len(_COLUMNS)}---|"
        for one, rows in sorted(scored, key=lambda pair: -pair[0].mape):
            open_ = " | ".join(_mean(p.row.id for p in rows)(of) for of in (self.again, self.line))
            yield (f"| {' | '.join(one.group)} | {one.count:,} | {one.signed_median:+.1f} % | "
                   f"{one.mape:.1f} % | {one.worst:+.0f} % | {open_} | "
                   f"{f'above {BAR:.0f} %' if one.mape > BAR else ''} |")  # fmt: skip

    def _score(self, key: tuple[str, ...], ones: Sequence[Prediction]) -> Score:
        return score(key, [p.error for p in ones if p.error is not None])

    def lines(self) -> Iterable[str]:
        """The generated part of the page."""
        yield from ("### By table and chip", "")
        yield from self.table(("table", "chip"), lambda name, p: (name, p.card))
        yield from ("", "### By chip and size", "")
        yield from self.table(("chip", "size"), lambda _, p: (p.card, size_class(p)))
        yield from ("", "### By op and number of cards, the worst first", "")
        yield from self.table(
            ("table", "chip", "op", "cards"),
            lambda name, p: (name, p.card, p.row.op, place_of(p.row)),
        )


def _mean(ids: Iterable[str]) -> Callable[[dict[str, float]], str]:
    known = list(ids)

    def text(of: dict[str, float]) -> str:
        """The mean where at least a third of the rows, and three, have one."""
        values = [of[i] for i in known if i in of]
        if len(values) < max(3, len(known) / 3):
            return ""
        return f"{100 * sum(values) / len(values):.1f} %"

    return text


def main() -> None:
    """Rewrites the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", help="also write the rows with their errors here")
    options = parser.parse_args()
    page = Page()
    before, _, _ = PAGE.read_text().partition("<!-- generated below -->")
    PAGE.write_text("\n".join([before.rstrip(), "", "<!-- generated below -->", "",
                               *page.lines()]).rstrip() + "\n")  # fmt: skip
    if options.json:
        rows = [{"table": name, "id": p.row.id, "error": p.error, "again": page.again.get(p.row.id),
                 "line": page.line.get(p.row.id)} for name, p in page.found]  # fmt: skip
        Path(options.json).write_text(json.dumps(rows, indent=0) + "\n")


if __name__ == "__main__":
    main()
