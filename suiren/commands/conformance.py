"""`suiren conformance`: PyTorch's own operator, module and optimizer tests on the card."""

from __future__ import annotations

import json
import os
import re
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from suiren.commands.ask import card_named, must_be_writable, notices, screen

if TYPE_CHECKING:
    from suiren.conformance.summary import Summary

DTYPES = ("float32", "bfloat16", "float16", "float64", "complex64", "int64", "bool")
SHOWN_FAILURES = 40
PATH = click.Path(path_type=Path, dir_okay=False)


def _shard(_: click.Context, __: click.Parameter, text: str) -> tuple[int, int]:
    match = re.fullmatch(r"(\d+)/(\d+)", text)
    if match is None or not 1 <= int(match[1]) <= int(match[2]):
        raise click.BadParameter(f"{text!r} is no shard; give K/N with K from 1 to N, such as 2/8")
    return int(match[1]), int(match[2])


@click.command()
@click.argument("names", nargs=-1)
@click.option(
    "--ops",
    "ops",
    multiple=True,
    metavar="NAME…",
    help="Only these: add, nn.Linear, optim.AdamW, or patterns such as linalg.*",
)
@click.option("--on", "on", default="t21", show_default=True, help="The card that prices the ops.")
@click.option("--shard", default="1/1", callback=_shard, metavar="K/N", help="Part K of N.")
@click.option("--dtype", "dtypes", multiple=True, type=click.Choice(DTYPES),
              default=("float32", "bfloat16"), show_default=True,
              help="Formats in which all checks run; a few samples run in the others.")  # fmt: skip
@click.option("--jobs", type=click.IntRange(min=1), help="Processes; all cores if not given.")
@click.option("--json", "json_path", type=PATH, help="Write all counts and failures.")
def conformance(
    names: tuple[str, ...], ops: tuple[str, ...], on: str, shard: tuple[int, int],
    dtypes: tuple[str, ...], jobs: int | None, json_path: Path | None,
) -> int:  # fmt: skip
    """Run PyTorch's own operator tests on the virtual device.

    The host computes every sample too, and the card must answer the same: forward, backward,
    in place, into `out=`, on strided inputs, with other formats, and the same errors.

    \b
    suiren conformance --ops add mm nn.Linear
    suiren conformance --shard 1/8 --json found.json
    """  # noqa: D301 - click reads the control character
    from suiren.conformance.summary import Summary
    from suiren.conformance.sweep import NoDatabaseError, Sweep, UnknownSubjectError

    card_named(on)
    must_be_writable(json_path)
    sweep = Sweep(on, dtypes, jobs or os.cpu_count() or 1)
    try:
        with _bar() as (start, advance):
            found = sweep.run((*ops, *names), shard, start, advance)
    except UnknownSubjectError as problem:
        raise click.UsageError(
            f"no test of PyTorch's databases is called {str(problem)!r}; names look like `add`, "
            "`nn.functional.softmax`, `nn.Linear`, `optim.AdamW`, and patterns like `linalg.*` work"
        ) from None
    except NoDatabaseError as problem:
        raise click.UsageError(f"PyTorch's test databases cannot be loaded: {problem}") from None
    summary = Summary(found)
    _tell(summary)
    if json_path is not None:
        json_path.write_text(json.dumps(summary.document(on), indent=1) + "\n")
        notices.print(f"wrote {json_path}", markup=False, soft_wrap=True)
    return 130 if found.interrupted else 1 if summary.surprises else 0


@contextmanager
def _bar() -> Iterator[tuple[Callable[[int], None], Callable[[str], None]]]:
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description:<40}"), BarColumn(), MofNCompleteColumn(),
               TimeElapsedColumn())  # fmt: skip
    with Progress(
        *columns, console=notices, transient=True, disable=not notices.is_terminal
    ) as bar:
        task = bar.add_task("loading PyTorch's tests", total=None)

        def start(total: int) -> None:
            bar.update(task, total=total, description="judging")

        def advance(subject: str) -> None:
            bar.update(task, advance=1, description=subject[:40])

        yield start, advance


def _tell(summary: Summary) -> None:
    from rich.table import Table

    if summary.found.interrupted:
        notices.print("[yellow]interrupted; what was judged until then follows[/]")
    table = Table(box=None, pad_edge=False)
    for column in ("format", "samples", "passed", "failed", "share"):
        table.add_column(column, justify="left" if column == "format" else "right")
    for dtype, (samples, passed) in summary.by_dtype().items():
        table.add_row(dtype or "none", f"{samples:,}", f"{passed:,}", f"{samples - passed:,}",
                      f"{100 * passed / samples:.2f} %")  # fmt: skip
    screen.print(table)
    screen.print(
        f"{len(summary.ops)} ops, modules and optimizers, {summary.samples:,} samples: "
        f"{summary.passed:,} passed ({100 * summary.share():.2f} %), "
        f"{len(summary.failures) - len(summary.surprises):,} expected failures, "
        f"{len(summary.surprises):,} others; the time of {len(summary.approximated)} ops is "
        "approximated by their traffic",
        soft_wrap=True,
    )
    _tell_failures(summary)


def _tell_failures(summary: Summary) -> None:
    reasons = Counter((v.op, reason) for v, reason in summary.failures if reason)
    for (op, reason), count in reasons.most_common():
        screen.print(f"expected: {op} ({count}): {reason}", markup=False, soft_wrap=True)
    for verdict in summary.surprises[:SHOWN_FAILURES]:
        screen.print(
            f"failed: {verdict.op} {verdict.dtype} sample {verdict.sample}, {verdict.check}: "
            f"{verdict.message}",
            style="red", markup=False, soft_wrap=True,
        )  # fmt: skip
    if len(summary.surprises) > SHOWN_FAILURES:
        rest = len(summary.surprises) - SHOWN_FAILURES
        screen.print(f"and {rest} more; --json FILE lists all", style="red")
