"""`suiren plan MODEL --on MACHINE`: which layout trains a model best, and what it takes."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from suiren.commands.ask import must_be_writable, notices, screen
from suiren.commands.keep import keep, no_history

_CHOICES = ("tp", "pp", "vpp", "cp", "ep", "micro-batch", "zero", "recompute", "schedule",
            "precision", "offload")  # fmt: skip


def _choices(command: Callable[..., Any]) -> Callable[..., Any]:
    for name in reversed(_CHOICES):
        command = click.option(f"--{name}", metavar="A,B,…", help="Try these only.")(command)
    return command


@click.command()
@click.argument("model", metavar="MODEL")
@click.argument("arguments", nargs=-1, metavar="[-- ARGUMENTS OF A SCRIPT]")
@click.option("--on", "machines", metavar="MACHINE", multiple=True, required=True,
              help="A node, cluster, card or TOML file; several are compared.")  # fmt: skip
@click.option("--ranks", metavar="N,M,…", help="Cards used; all of the machine's.")
@click.option("--global-batch", type=click.IntRange(min=1), required=True,
              help="Sequences of a step.")  # fmt: skip
@click.option("--seq", type=click.IntRange(min=0), default=0, help="Tokens of a sequence.")
@click.option("--goal", type=click.Choice(["time", "energy", "cost", "chips"]), default="time",
              show_default=True, help="What the best layout makes small.")  # fmt: skip
@click.option("--lora", "lora_rank", type=click.IntRange(0, 4096), default=0,
              help="Train adapters of this rank, all other weights frozen.")  # fmt: skip
@click.option("--formula", is_flag=True, help="Layers listed by formula, not traced.")
@click.option("--framework", default="", help="By formula as this framework issues them, such as "
              "megatron-core.")  # fmt: skip
@click.option("--tokens", type=float, default=0.0, help="To be trained on, such as 2e12.")
@click.option("--days", type=float, default=0.0, help="All tokens within so many days.")
@click.option("--power", "power_w", type=float, default=0.0, help="Watts of all cards at most.")
@click.option("--budget", type=float, default=0.0, help="Money for all tokens at most.")
@click.option("--memory", "memory_gib", type=float, default=0.0,
              help="GiB of a card at most; its own.")  # fmt: skip
@click.option("--price", "prices", multiple=True, metavar="MACHINE=MONEY",
              help="Of a card and hour, in your currency.")  # fmt: skip
@_choices
@click.option("--top", type=click.IntRange(1, 100), default=10, show_default=True)
@click.option("--sensitivity", type=click.Choice(["none", "main", "all"]), default="main",
              show_default=True, help="Move hardware facts, tell what it does.")  # fmt: skip
@click.option("--jobs", type=click.IntRange(min=1), default=os.cpu_count() or 1,
              help="Local processes.")  # fmt: skip
@click.option("--ray", "ray_address", metavar="ADDRESS",
              help="Search on a Ray cluster; `local` starts one here.")  # fmt: skip
@click.option("--store", type=click.Path(path_type=Path, dir_okay=False),
              help="Where what was found is kept; a stopped search goes on from it.")  # fmt: skip
@click.option("--fresh", is_flag=True, help="Forget what an earlier search found.")
@click.option("--json", "json_path", type=click.Path(path_type=Path, dir_okay=False),
              help="Write everything here.")  # fmt: skip
@click.option("--launch", "launch_folder", type=click.Path(path_type=Path, file_okay=False),
              help="Write the best layout's script and configurations here.")  # fmt: skip
@no_history
def plan(**options: Any) -> None:
    """Search the layouts of MODEL on machines: which is fastest, what it needs, why.

    MODEL is a bundled name (a wrong one is told those near it), a transformers `config.json`, or a
    training script of your own: `{micro_batch}` in its arguments stands for what is tried.

    \b
    suiren plan llama3-8b --on t20x8 --global-batch 64 --seq 4096
    suiren plan train.py --on t20x8 --global-batch 256 -- --batch-size {micro_batch}
    suiren plan llama3-70b --on t21x8*125 --global-batch 1000 --tokens 2e12 --days 60 --power 2e6
    """  # noqa: D301 - click reads the control character
    from suiren.commands.plan_problem import mistakes, problem_of
    from suiren.plan.answer import explained
    from suiren.plan.document import document
    from suiren.plan.planner import find_or_stop, prepare
    from suiren.plan.screen import render
    from suiren.plan.store import Store

    must_be_writable(options["json_path"])
    _must_be_a_folder(options["launch_folder"])
    started = time.monotonic()
    with mistakes():
        problem = problem_of(options)
        store = Store(options["store"])
        if options["fresh"]:
            store.forget(problem.key)
        with _told() as told:
            planner = prepare(problem)
            run = _runner(options["ray_address"])
            outcome = find_or_stop(planner, told, options["jobs"], store, run)
        answer = explained(planner, outcome, options["top"], options["sensitivity"],
                           lambda: time.monotonic() - started)  # fmt: skip
    screen.print(render(answer))
    told_document = document(answer)
    keep("plan", planner.model.name, lambda: told_document, off=options["no_history"])
    _write(answer, told_document, options)
    if not outcome.is_whole and not outcome.lost:
        raise click.exceptions.Exit(130)
    if not answer.best:
        raise click.exceptions.Exit(1)


def _must_be_a_folder(folder: Path | None) -> None:
    """A folder that cannot be made is told before a search, not after it."""
    if folder is None:
        return
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as problem:
        raise click.UsageError(f"{folder} cannot be made ({problem.strerror}); name a folder that "
                               "you may write to") from None  # fmt: skip


def _write(answer: Any, document: dict[str, Any], options: dict[str, Any]) -> None:
    """The files that were asked for."""
    files: dict[Path, str] = {}
    if options["json_path"]:
        files[options["json_path"]] = json.dumps(document, indent=1) + "\n"
    folder: Path | None = options["launch_folder"]
    if folder is not None and answer.launch is not None:
        files |= {folder / name: text for name, text in answer.launch.files.items()}
    for path, text in files.items():
        try:
            path.write_text(text)
        except OSError as problem:
            raise click.UsageError(
                f"{path} cannot be written ({problem.strerror}); what was found is kept, the same "
                "command tells it at once"
            ) from None
    if files:
        notices.print(f"wrote {', '.join(map(str, files))}", markup=False)


def _runner(address: str | None) -> Any:
    if address is None:
        return None
    from suiren.plan.on_ray import on_ray

    return on_ray(address)


@contextmanager
def _told() -> Iterator[Any]:
    """A progress bar for recording and one for layouts, on a terminal only."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    words = {"record": "layers traced", "layouts": "layouts"}
    bar = Progress(TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(),
                   TimeElapsedColumn(), console=notices, transient=True,
                   disable=not notices.is_terminal)  # fmt: skip
    tasks: dict[str, Any] = {}
    with bar:

        def told(what: str, done: int, total: int) -> None:
            if what not in tasks:
                tasks[what] = bar.add_task(words[what], total=total)
            bar.update(tasks[what], completed=done, total=total)

        yield told
