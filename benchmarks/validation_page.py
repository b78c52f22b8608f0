"""Writes docs/validation.md: parameters, where they come from, and errors on rows they never saw.

suiren validate data/measured/kernel_*.csv.gz --split check --json scores.json
python benchmarks/validation_page.py scores.json
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from suiren.hw.fact import Fact
from suiren.hw.families import FAMILIES

PAGE = Path(__file__).parents[1] / "docs" / "validation.md"


def main() -> None:
    """Reads the scores named on the command line and rewrites the generated part of the page."""
    scores = json.loads(Path(sys.argv[1]).read_text())
    before, _, _ = PAGE.read_text().partition("<!-- generated below -->")
    lines = [before.rstrip(), "", "<!-- generated below -->", "", *_errors(scores), *_parameters()]
    PAGE.write_text("\n".join(lines).rstrip() + "\n")


def _errors(scores: dict[str, object]) -> list[str]:
    overall = scores["overall"]
    assert isinstance(overall, dict)
    lines = [
        "## Errors on the check split, every group, the worst first",
        "",
        f"{scores['rows']:,} rows, {scores['predicted']:,} predicted: "
        f"MAPE {overall['mape']:.1f} %, signed median {overall['signed_median']:+.1f} %, "
        f"half within {overall['median']:.1f} %, nine in ten within {overall['p90']:.1f} %.",
        "",
        "| chip | op | format | rows | signed median | MAPE | median | p90 | worst | |",
        "|---|---|---|---:|---:|---:|---:|---:|---:|---|",
    ]
    groups = scores["chip_op"]
    assert isinstance(groups, list)
    for one in groups:
        chip, op, dtype = one["group"]
        lines.append(
            f"| {chip} | {op} | {dtype} | {one['count']:,} | {one['signed_median']:+.1f} % | "
            f"{one['mape']:.1f} % | {one['median']:.1f} % | {one['p90']:.1f} % | "
            f"{one['worst']:+.0f} % | {_bar(chip, op, dtype, one['mape'])} |"
        )
    lines += ["", "Not predicted:", "", "| rows | hardware | op | why |", "|---:|---|---|---|"]
    refused = scores["not_predicted"]
    assert isinstance(refused, list)
    lines += [f"| {r['rows']:,} | {r['hardware']} | {r['op']} | {r['reason']} |" for r in refused]
    return [*lines, ""]


def _bar(chip: str, op: str, dtype: str, mape: float) -> str:
    bar = 10.0 if op == "gemm" and dtype == "bfloat16" and chip in ("a100", "h100") else 15.0
    return "" if mape <= bar else f"above {bar:.0f} %"


def _parameters() -> list[str]:
    lines = [
        "## Pace facts by family",
        "",
        "Fitted and published values; what is left out is assumed (`suiren chips NAME` shows every",
        "fact of a card with its source).",
        "",
        "| family | fact | value | kind | from |",
        "|---|---|---:|---|---|",
    ]
    for family, row in FAMILIES.items():
        facts: list[tuple[str, Fact]] = [
            (name, value) for name, value in vars(row).items() if isinstance(value, Fact)
        ]
        facts += [(f"pace.{name}", value) for name, value in vars(row.pace).items()]
        for name, value in facts:
            if value.kind in ("fitted", "published", "derived"):
                lines.append(f"| {family} | {name} | {float(value):.4g} | {value.kind} | "
                             f"{value.source} |")  # fmt: skip
    return lines


if __name__ == "__main__":
    main()
