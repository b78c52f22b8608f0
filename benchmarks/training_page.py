"""Writes the error tables of docs/training.md: every training table, the worst groups first.

    python benchmarks/training_page.py

Replaces what stands between the chapter's markers.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from suiren.truth import score
from suiren.truth.predict import Prediction
from suiren.truth.rows import read_rows
from suiren.truth.run import run

ROOT = Path(__file__).parents[1]
CHAPTER = ROOT / "docs" / "training.md"
TABLES = ("train_megatron_lm", "train_vtrain_a100", "train_dlperf_v100", "train_neusight_e2e",
          "train_nvidia_nemo", "train_ascend_modellink", "train_misc_llm")  # fmt: skip
BEGIN, END = "<!-- tables -->", "<!-- end of tables -->"


def line(name: str, rows: int, told: score.Score) -> str:
    """One row of a table."""
    return (f"| {name} | {rows} | {told.count} | {told.signed_median:+.1f} % | {told.mape:.1f} % | "
            f"{told.median:.1f} % | {told.p90:.1f} % | {told.worst:+.0f} % |")  # fmt: skip


def group_of(table: str, one: Prediction) -> tuple[str, ...]:
    """What a table's rows are told by."""
    shape = one.row.shape
    if table == "train_vtrain_a100":
        fit = "split `fit`" if one.row.split == "fit" else ""
        return (shape["model"], f"tp {shape['tp']}", fit)
    kind = "" if table == "train_megatron_lm" else shape.get("precision", "").split(" (")[0]
    return (one.card, shape.get("framework", "").split(" (HF")[0], shape.get("model", ""), kind)


def main() -> None:
    """Predicts every row and writes the chapter."""
    head = "| {} | rows | predicted | signed median | MAPE | median | p90 | worst |"
    rule = "|---|---:|---:|---:|---:|---:|---:|---:|"
    summary, details = [head.format("table"), rule], []
    for table in TABLES:
        found = run(read_rows(ROOT / "data" / "measured" / f"{table}.csv.gz"))
        errors = [p.error for p in found if p.error is not None and p.row.split == "check"]
        check = sum(1 for p in found if p.row.split == "check")
        if errors:
            summary.append(line(f"`{table}`", check, score.score((), errors)))
        else:
            summary.append(f"| `{table}` | {check} | 0 | | | | | |")
        details += ["", f"#### `{table}`", ""]
        told = [p for p in found if p.error is not None]
        if told:
            details += [head.format("group"), rule]
        for one in score.by(told, lambda p, table=table: group_of(table, p)):  # type: ignore[misc]
            details.append(line(" · ".join(w for w in one.group if w), one.count, one))
        reasons = Counter(p.status for p in found if p.seconds is None)
        details += ["", *(f"- not predicted, {n}: {why}" for why, n in reasons.most_common())]
    text = CHAPTER.read_text(encoding="utf-8")
    before, _, rest = text.partition(BEGIN)
    after = rest.partition(END)[2]
    body = "\n".join(["", "### Errors on rows of split `check`", "", *summary, "",
                      "### By group, the worst first", *details, ""])  # fmt: skip
    CHAPTER.write_text(before + BEGIN + "\n" + body + END + after, encoding="utf-8")


if __name__ == "__main__":
    main()
