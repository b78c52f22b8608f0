"""`suiren validate FILE…`: predictions beside published measurements, every row."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from suiren.commands.ask import notices, screen
from suiren.commands.keep import keep, no_history
from suiren.hw.chipfile import BadChipFile
from suiren.hw.load import resolve_card
from suiren.hw.names import UnknownChip

if TYPE_CHECKING:
    from suiren.truth.memory import MemoryPrediction
    from suiren.truth.predict import Prediction
    from suiren.truth.rows import Row

#: Rows that a kept validation holds one by one.
MOST_POINTS = 5000


@click.command()
@click.argument("files", nargs=-1, required=True, type=click.Path())
@click.option("--on", metavar="CHIP", help="Predict for this chip instead of each row's own.")
@click.option("--split", type=click.Choice(["fit", "check"]), help="Only rows of this split.")
@click.option("--sample", type=click.IntRange(min=1), help="So many rows of each file, evenly.")
@click.option("--kernels", type=click.Choice(["model", "measured"]), default="model",
              show_default=True,
              help="The model alone, or corrected by measured rows nearby.")  # fmt: skip
@click.option("--json", "json_path", type=click.Path(), help="Write all scores here.")
@click.option("--out", type=click.Path(), help="Write id,hardware,measured_s,predicted_s,status.")
@click.option(
    "--processes", type=click.IntRange(min=1), help="Local processes; all cores if not given."
)
@no_history
def validate(
    files: tuple[str, ...], on: str | None, split: str | None, sample: int | None, kernels: str,
    json_path: str | None, out: str | None, processes: int | None, no_history: bool,
) -> None:  # fmt: skip
    """Predict every row of measured tables and say how far off it is: time, and memory if stated.

    \b
    suiren validate data/measured/*.csv.gz --split check
    suiren validate kernels.csv --on h200 --out rows.csv
    """  # noqa: D301 - click reads the control character
    from suiren.truth import nearest
    from suiren.truth.run import run, write_rows

    if on is not None:
        try:
            resolve_card(on)
        except (UnknownChip, BadChipFile) as problem:
            raise click.UsageError(str(problem)) from None
    rows = _rows(files, split, sample)
    # measured rows that correct must be there even if only others are told
    helping = _rows(files, "fit", None) if kernels == "measured" and split == "check" else []
    with _bar(len(rows) + len(helping)) as seen:
        found = run([*rows, *helping], on, processes, seen)
    if kernels == "measured":
        model = found[: len(rows)]
        found = nearest.corrected(found)[: len(rows)]
        _tell(model, "the model alone")
        _tell(found, "corrected by the nearest measured rows")
    else:
        _tell(found, "")
    memory = _memory(rows, on)
    title = ", ".join(Path(file).name for file in files[:3]) + (" …" if len(files) > 3 else "")
    kept = {**_document(found, memory), **_points(found, files)}
    keep("validation", title, lambda: kept, off=no_history)
    if out:
        write_rows(out, found)
    if json_path:
        Path(json_path).write_text(json.dumps(_document(found, memory), indent=1) + "\n")


def _rows(files: tuple[str, ...], split: str | None, count: int | None) -> list[Row]:
    from suiren.truth.rows import BadMeasurements, read_rows, sample

    rows: list[Row] = []
    for file in files:
        try:
            read = read_rows(file)
        except BadMeasurements as problem:
            raise click.UsageError(str(problem)) from None
        if split is not None:
            read = [r for r in read if r.split == split]
        rows += read if count is None else sample(read, count)
    if not rows:
        which = f" of the split {split!r}" if split else ""
        raise click.UsageError(f"{', '.join(files)}: there is no row{which}")
    return rows


class _bar:  # noqa: N801 - used as a function
    """A progress bar over rows; nothing where the output is no terminal."""

    def __init__(self, total: int) -> None:
        self.total = total

    def __enter__(self):  # type: ignore[no-untyped-def]
        from rich.progress import Progress

        self.progress = Progress(console=notices, transient=True, disable=not notices.is_terminal)
        self.progress.start()
        task = self.progress.add_task("rows", total=self.total)
        return lambda rows: self.progress.update(task, advance=rows)

    def __exit__(self, *_: object) -> None:
        self.progress.stop()


def _tell(found: list[Prediction], title: str) -> None:
    from suiren.report.scatter import scatter
    from suiren.report.truth import (
        refused_table,
        score_table,
        summary,
        worst_table,
    )
    from suiren.truth import score

    if title:
        screen.rule(title)
    screen.print(summary(found))
    screen.print(score_table("by chip, op and format", score.by(found, score.chip_and_op)))
    for name, key in (("model", score.model_and_card), ("scale", score.scale),
                      ("time", score.decade), ("M", score.rows_of_product)):  # fmt: skip
        classes = score.by(found, key)
        if len(classes) > 1:
            screen.print(score_table(f"by {name}, the worst classes first", classes[:20]))
    screen.print(worst_table(score.worst(found, 10)))
    refused = score.refused(found)
    if refused:
        screen.print(refused_table(refused))
    picture = scatter(found)
    if picture:
        screen.print(picture, highlight=False)


def _memory(rows: list[Row], on: str | None) -> list[MemoryPrediction]:
    """Predictions for rows that state their memory, told in a table of their own."""
    from suiren.report.truth import memory_table
    from suiren.truth.memory import predict_memory

    found = [p for p in (predict_memory(row, on) for row in rows) if p is not None]
    if found:
        screen.print(memory_table(found))
    return found


def _document(found: list[Prediction], memory: list[MemoryPrediction]) -> dict[str, object]:
    from suiren.report.truth import memory_document, rows_document
    from suiren.truth import score

    told = [p for p in found if p.error is not None]
    keys = {"chip_op": score.chip_and_op, "decade": score.decade, "m": score.rows_of_product,
            "model": score.model_and_card, "scale": score.scale}  # fmt: skip
    overall = score.score((), [p.error for p in told if p.error is not None]) if told else None
    return {
        "rows": len(found), "predicted": len(told),
        "overall": _score(overall) if overall else None,
        **{name: [_score(s) for s in score.by(found, key)] for name, key in keys.items()},
        "not_predicted": [
            {"hardware": h, "op": o, "reason": r, "rows": n} for h, o, r, n in score.refused(found)
        ],
        **rows_document(found),
        "memory": memory_document(memory),
    }  # fmt: skip


def _points(found: list[Prediction], files: tuple[str, ...]) -> dict[str, object]:
    """What a scatter plot needs: every row's measured and predicted seconds, evenly thinned."""
    told = [p for p in found if p.seconds is not None and p.row.measured_s]
    thin = told[:: -(-len(told) // MOST_POINTS) or 1]
    columns = ("id", "card", "op", "measured_s", "predicted_s")
    rows = [[p.row.id, p.card, p.row.op, p.row.measured_s, p.seconds] for p in thin]
    return {"files": list(files), "points": [dict(zip(columns, r, strict=True)) for r in rows]}


def _score(one: object) -> dict[str, object]:
    from dataclasses import asdict

    return {k: (list(v) if isinstance(v, tuple) else v) for k, v in asdict(one).items()}  # type: ignore[call-overload]
