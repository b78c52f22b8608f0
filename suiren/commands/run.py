"""`suiren run`: an unmodified training script on a virtual card."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.markup import escape

from suiren.commands.ask import (
    card_named,
    must_be_writable,
    notices,
    screen,
    write_results,
    write_scalars,
)
from suiren.commands.keep import how_asked, keep_run, no_history
from suiren.hw.fact import assumed
from suiren.hw.spec import Card

if TYPE_CHECKING:
    from suiren.torch.how import How
    from suiren.torch.runner import Outcome

PATH = click.Path(path_type=Path, dir_okay=False)
PASS_THROUGH = {"ignore_unknown_options": True, "allow_extra_args": True}
_MEMORY = re.compile(r"^(\d+(?:\.\d+)?)\s*(GiB|GB|MiB|MB)?$", re.IGNORECASE)
_UNITS = {"gib": 2**30, "gb": 10**9, "mib": 2**20, "mb": 10**6, None: 2**30}


def _memory_bytes(text: str | None) -> int | None:
    """Bytes of `--memory`: `unlimited`, `64GiB`, `80 GB`."""
    from suiren.torch.how import UNLIMITED_BYTES

    if text is None:
        return None
    if text == "unlimited":
        return UNLIMITED_BYTES
    match = _MEMORY.match(text)
    if match is None or float(match[1]) <= 0:
        raise click.UsageError(
            f"--memory {text!r} is no size; give `unlimited` or a size such as 64GiB or 80GB"
        )
    unit = match[2].lower() if match[2] else None
    return int(float(match[1]) * _UNITS[unit])


@click.command(context_settings=PASS_THROUGH)
@click.argument("script", type=click.Path(path_type=Path))
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
@click.option(
    "--on", "on", default="t21", show_default=True, help="A chip's name, or a TOML or Python file."
)
@click.option(
    "--no-numerics", is_flag=True, help="Tensors without storage: trace models of any size."
)
@click.option(
    "--tf32",
    type=click.Choice(["auto", "on", "off"]),
    default="auto",
    show_default=True,
    help="FP32 products in TF32: as the script's PyTorch flags say, always, or never.",
)
@click.option("--plain-fp32", is_flag=True, help="FP32 products stay FP32: the same as --tf32 off.")
@click.option("--memory", "memory", help="Another capacity: unlimited, 64GiB, 80GB …")
@click.option("--seed", type=int, help="Seed Python, NumPy and PyTorch before the script starts.")
@click.option(
    "--max-steps", type=click.IntRange(min=1), help="End the script after so many training steps."
)
@click.option(
    "--devices", type=click.IntRange(min=1), metavar="N",
    help="Run as N processes, one a card, as torchrun would; values move between them.",
)
@click.option(
    "--ranks", type=click.IntRange(min=1), metavar="N",
    help="Simulate N ranks in one process, those that do the same once; with --no-numerics.",
)
@click.option("--master-port", type=click.IntRange(1, 65535), help="Port where --devices meet.")
@click.option(
    "--timeout", "timeout_s", type=click.FloatRange(min=0, min_open=True), metavar="SECONDS",
    help="How long a rank of --devices may wait for another.",
)
@click.option("--json", "json_path", type=PATH, help="Write the whole answer as JSON.")
@click.option(
    "--trace", "perfetto_path", type=PATH, help="Write a Perfetto/Chrome trace of the step."
)
@click.option("--report", "page_path", type=PATH, help="Write a self-contained HTML page.")
@click.option(
    "--save-trace", "trace_path", type=PATH, help="Save what was asked, for `suiren replay`."
)
@click.option(
    "--tensorboard", "events_path", type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR", help="Write scalars of every step for TensorBoard.",
)
@click.option("--fit-to", type=float, hidden=True, help="Capacity in bytes that fits are told for.")
@click.option("--quiet", is_flag=True, help="No progress bar and no report on screen.")
@no_history
def run(script: Path, arguments: tuple[str, ...], on: str, **options: Any) -> int:
    """Run SCRIPT on a virtual chip and tell what its step takes and why.

    Options of the script itself follow it; put `--` before them where a name is also ours.

    \b
    suiren run train.py --on t21
    suiren run train.py --on a100 --report page.html -- --seed 3
    suiren run train_ddp.py --on t21x8 --devices 8
    suiren run train_3d.py --on t21x8 --ranks 1024 --no-numerics
    """  # noqa: D301 - click reads the control character
    from suiren.commands.together import cluster_named, is_many, run_many

    is_one = not is_many(options)
    cluster = None if is_one else cluster_named(on, options["devices"] or options["ranks"])
    card = card_named(on) if cluster is None else cluster.card
    if not script.is_file():
        raise click.UsageError(
            f"there is no script {str(script)!r} in {Path.cwd()}{nearest(script)}"
        )
    files = [options[k] for k in ("json_path", "perfetto_path", "page_path", "trace_path")]
    must_be_writable(*files)
    _must_write_events(options["events_path"])
    options["asked"] = how_asked(script)
    memory_bytes = _memory_bytes(options["memory"])
    card = _with_memory(card, memory_bytes, options["fit_to"])
    if cluster is not None:
        cluster = replace(cluster, node=replace(cluster.node, card=card))
        return run_many(script, arguments, cluster, how_to_run(memory_bytes, options), options)
    outcome = _run(script, arguments, card, memory_bytes, options)
    return _tell(outcome, script, arguments, card, on, options)


def _must_write_events(folder: Path | None) -> None:
    from suiren.report.tensorboard import NoTensorBoard, must_be_there

    if folder is None:
        return
    try:
        must_be_there()
        folder.mkdir(parents=True, exist_ok=True)
    except NoTensorBoard as problem:
        raise click.UsageError(str(problem)) from None
    except OSError as problem:
        reason = "it is no folder" if folder.exists() else problem.strerror
        raise click.UsageError(
            f"{folder} cannot be made ({reason}); nothing was run: give a folder that "
            "you may write to"
        ) from None


def _with_memory(card: Card, memory_bytes: int | None, fit_to: float | None) -> Card:
    """The card with the capacity that `--memory` gives it, so that every answer tells of it."""
    from suiren.torch.how import UNLIMITED_BYTES

    wanted = fit_to if fit_to is not None else memory_bytes
    if wanted is None and float(card.memory_bytes) == 0:
        raise click.UsageError(
            f"{card.title} has no device memory (0 bytes), so nothing can be trained on it; "
            "give it some with --memory 16GiB, or lift the limit with --memory unlimited"
        )
    if wanted is None or wanted == UNLIMITED_BYTES:
        return card
    return replace(card, memory_bytes=assumed(wanted, "given on the command line: --memory"))


def nearest(script: Path) -> str:
    """The end of a sentence: scripts beside it whose names are like the one that is missing."""
    from difflib import get_close_matches

    folder = script.parent if script.parent.is_dir() else Path()
    names = get_close_matches(script.name, [p.name for p in folder.glob("*.py")], n=3)
    return f"; did you mean {', '.join(names)}?" if names else ""


def _run(
    script: Path,
    arguments: tuple[str, ...],
    card: Card,
    memory_bytes: int | None,
    options: dict[str, Any],
) -> Outcome:
    from suiren.commands.progress import steps_bar
    from suiren.torch.runner import run_script
    from suiren.torch.session import Session

    session = Session(card)
    with steps_bar(session, shown=not options["quiet"]):
        return run_script(script, arguments, session, how_to_run(memory_bytes, options))


def how_to_run(memory_bytes: int | None, options: dict[str, Any]) -> How:
    """What the options say of how the script runs."""
    from suiren.torch.how import How

    return How(
        numerics=not options["no_numerics"],
        tf32="off" if options["plain_fp32"] else options["tf32"],
        memory_bytes=memory_bytes,
        seed=options["seed"],
        max_steps=options["max_steps"],
    )


def _tell(
    outcome: Outcome,
    script: Path,
    arguments: tuple[str, ...],
    card: Card,
    on: str,
    options: dict[str, Any],
) -> int:
    from suiren.commands.would_fit import advise_fit
    from suiren.report.answer import NothingRan, answer
    from suiren.report.screen import render
    from suiren.trace.text import save_program

    if outcome.error:
        notices.print(escape(outcome.error), soft_wrap=True)
    if outcome.ended == "out of memory":
        advise_fit(outcome, script, arguments, card, on)
    elif outcome.ended != "finished":
        notices.print(
            f"[yellow]the script {_ENDED[outcome.ended]}; what was learnt until then follows[/]"
        )
    try:
        found = answer(outcome.program, card)
    except NothingRan as problem:
        notices.print(str(problem), style="yellow", markup=False)
        return outcome.exit_code or 2
    if not options["quiet"]:
        screen.print(render(found))
    if options["trace_path"] is not None:
        save_program(outcome.program, options["trace_path"])
        notices.print(f"wrote {options['trace_path']}", markup=False, soft_wrap=True)
    write_results(found, options["json_path"], options["perfetto_path"], options["page_path"])
    write_scalars(found, options["events_path"])
    keep_run(found, script, options, exit_code=outcome.exit_code)
    return outcome.exit_code


_ENDED = {
    "raised": "raised an error",
    "exited": "exited with a status of its own",
    "interrupted": "was interrupted",
}
