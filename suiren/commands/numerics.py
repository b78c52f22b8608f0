"""`suiren numerics`: a script in lock-step with better numbers, and the formats of a chip."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.markup import escape
from rich.table import Table

from suiren.commands.ask import card_named, must_be_writable, notices, screen
from suiren.commands.file_first import FileFirst
from suiren.commands.keep import how_asked, keep, no_history
from suiren.commands.run import PASS_THROUGH, PATH, nearest
from suiren.hw.spec import Card

if TYPE_CHECKING:
    from suiren.numerics.against import Against
    from suiren.numerics.retry import Tried
    from suiren.numerics.run import Found, Ways


@click.group(cls=FileFirst, default="run")
def numerics() -> None:
    """Are the numbers right, and if not, where do they go wrong.

    `suiren numerics train.py` is `suiren numerics run train.py`.
    """


@numerics.command(context_settings=PASS_THROUGH)
@click.argument("script", type=click.Path(path_type=Path))
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
@click.option(
    "--on", "on", default="t21", show_default=True, help="A chip's name, or a TOML or Python file."
)
@click.option(
    "--against", default="fp32", show_default=True,
    help="What the other run computes in: fp32, fp64, or the formats of another chip.",
)  # fmt: skip
@click.option("--until-nan", is_flag=True, help="Stop at the first NaN and tell its cause.")
@click.option(
    "--max-steps", type=click.IntRange(min=1), default=50, show_default=True,
    help="End the script after so many training steps.",
)  # fmt: skip
@click.option(
    "--accumulate", type=click.Choice(["host", "chip"]), default="host", show_default=True,
    help="Sum products as the host does, or in the chip's own order and width (slow).",
)  # fmt: skip
@click.option(
    "--tf32", type=click.Choice(["auto", "on", "off"]), default="auto", show_default=True,
    help="FP32 products in TF32: as the script's PyTorch flags say, always, or never.",
)  # fmt: skip
@click.option("--fix/--no-fix", "tries", default=True, help="Try fixes for the first trouble.")
@click.option("--seed", type=int, help="Seed Python, NumPy and PyTorch before the script starts.")
@click.option("--json", "json_path", type=PATH, help="Write everything as JSON.")
@click.option("--with-fix", hidden=True, help="A fix to apply, as JSON.")
@click.option("--quiet", is_flag=True, help="No progress bar and no report on screen.")
@no_history
def run(script: Path, arguments: tuple[str, ...], on: str, against: str, **options: Any) -> int:
    """Run SCRIPT op by op beside a better run and tell where they part, and why.

    The exit code is 0 where every op is as exact as its format allows, 1 where one is not.

    \b
    suiren numerics run train.py --on t21 --against fp32
    suiren numerics run train.py --on t21 --against a100 --until-nan
    """  # noqa: D301 - click reads the control character
    card = card_named(on)
    other = _against(against)
    if not script.is_file():
        raise click.UsageError(
            f"there is no script {str(script)!r} in {Path.cwd()}{nearest(script)}"
        )
    must_be_writable(options["json_path"])
    options["asked"] = how_asked(script)
    found = _run(script, arguments, card, other, options)
    return _tell(found, script, arguments, on, options)


def _against(text: str) -> Against:
    from suiren.numerics.against import FP32, FP64, Against

    named = {"fp32": FP32, "fp64": FP64}.get(text.lower())
    if named is not None:
        return named
    try:
        card = card_named(text)
    except click.UsageError as problem:
        raise click.UsageError(
            f"--against {text!r} is neither fp32, fp64 nor a chip: {problem.message}"
        ) from None
    return Against(card.name, FP32.wide, card)


def _ways(options: dict[str, Any]) -> Ways:
    from suiren.numerics.fix import Fix
    from suiren.numerics.run import Ways

    given = options["with_fix"]
    return Ways(
        until_nan=options["until_nan"],
        max_steps=options["max_steps"],
        accumulate=options["accumulate"],
        fix=Fix(**json.loads(given)) if given else None,
        tf32=options["tf32"],
        seed=options["seed"],
    )


def _run(
    script: Path, arguments: tuple[str, ...], card: Card, other: Against, options: dict[str, Any]
) -> Found:
    from suiren.commands.progress import steps_bar
    from suiren.numerics.run import Run

    one = Run(card, other, _ways(options))
    with steps_bar(one.session, shown=not options["quiet"]):
        return one.script(script, arguments)


def _tell(
    found: Found, script: Path, arguments: tuple[str, ...], on: str, options: dict[str, Any]
) -> int:
    from suiren.numerics.document import document, step_time_s, write
    from suiren.numerics.screen import render

    outcome = found.outcome
    if outcome.error:
        notices.print(escape(outcome.error), soft_wrap=True)
    fixes = _try_fixes(found, script, arguments, on, options) if options["tries"] else []
    if not options["quiet"]:
        screen.print(render(found, fixes, step_time_s(found)))
    told = document(found, fixes)
    if found.seen.num_ops:
        keep("numerics", script.name, lambda: told, off=options["no_history"],
             asked=options["asked"])  # fmt: skip
    if options["json_path"] is not None:
        write(told, options["json_path"])
        notices.print(f"wrote {options['json_path']}", markup=False, soft_wrap=True)
    if found.seen.num_ops == 0 and outcome.exit_code == 0:
        notices.print("nothing ran on the card", style="yellow")
        return 2
    return 1 if found.troubles else outcome.exit_code


def _try_fixes(
    found: Found, script: Path, arguments: tuple[str, ...], on: str, options: dict[str, Any]
) -> list[Tried]:
    from suiren.numerics.retry import candidates, tried

    if not found.troubles:
        return []
    first = found.troubles[0]
    again = ["--on", on, "--against", found.against.name, "--tf32", options["tf32"],
             "--accumulate", options["accumulate"]]  # fmt: skip
    if options["seed"] is not None:
        again += ["--seed", str(options["seed"])]
    results = []
    for fix in candidates(first, found.scaling):
        if notices.is_terminal and not options["quiet"]:
            notices.print(f"trying: {fix.title} …", style="dim", markup=False)
        results.append(tried(fix, first, script, arguments, again))
        if results[-1].vanished:
            break
    return results


@numerics.command()
@click.argument("chip", default="t21")
def formats(chip: str) -> int:
    """Show the number formats of CHIP and how its matrix engine sums."""
    from suiren.dtype import FORMATS
    from suiren.hw.accumulate import stored_formats

    card = card_named(chip)
    table = Table(title=f"formats of {escape(card.title)}", title_justify="left")
    for name in ("format", "bits", "exponent", "mantissa", "roundoff", "smallest normal",
                 "largest", "beyond it"):  # fmt: skip
        table.add_column(name, justify="left" if name == "format" else "right")
    for name in stored_formats(card):
        form = FORMATS[name]
        table.add_row(
            name, str(form.bits), str(form.exponent), str(form.mantissa),
            f"{form.unit_roundoff:.3g}", f"{form.smallest_normal:.4g}", f"{form.largest:.6g}",
            form.beyond,
        )  # fmt: skip
    screen.print(table)
    screen.print(_sums(card))
    return 0


def _sums(card: Card) -> Table:
    from suiren.hw.accumulate import MULTIPLIED, accumulation

    table = Table(title="how products are summed", title_justify="left")
    for name in ("format", "fact", "value", "kind", "source"):
        table.add_column(name, overflow="fold" if name == "source" else "ellipsis")
    for peak in MULTIPLIED:
        if peak not in card.formats():
            continue
        how = accumulation(card, peak)
        for name, fact in how.facts():
            table.add_row(peak, name, f"{float(fact):g}", fact.kind, escape(fact.source))
        table.add_row(peak, "rounding", "truncated" if how.truncates else "nearest even", "", "")
    return table
