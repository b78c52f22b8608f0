"""`suiren port`: what ties a code base to CUDA, and the patch that frees it."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
from rich.syntax import Syntax

from suiren.commands.ask import must_be_writable, notices, screen
from suiren.port.confirm import BadCommandError, Command, Confirmation, command_of, confirm
from suiren.port.finding import Unread
from suiren.port.fix import Fixed, fixes, write
from suiren.port.scan import Scan, scan
from suiren.port.show import document, render
from suiren.port.tie import PERSON

PATH = click.Path(path_type=Path, dir_okay=False)
#: Fewer files are read before a bar could be drawn.
BAR_FROM_FILES = 50


@click.command()
@click.argument("path", type=click.Path(path_type=Path))
@click.argument("command", nargs=-1, type=click.UNPROCESSED)
@click.option("--fix", is_flag=True, help="Print the patch as a unified diff.")
@click.option("--patch", "patch_path", type=PATH, help="Write the patch to a file.")
@click.option("--write", "in_place", is_flag=True, help="Change the files in place.")
@click.option("--run", "run_text", help='Confirm by a run: "python train.py --steps 2".')
@click.option("--on", "on", default="t21", show_default=True, help="The chip of that run.")
@click.option("--max-steps", type=click.IntRange(min=1), help="End the run after so many steps.")
@click.option("--json", "json_path", type=PATH, help="Write the findings as JSON.")
@click.option("--all", "everything", is_flag=True, help="Show guarded uses too.")
@click.option("--check", is_flag=True, help="Exit with 1 when something needs a person.")
def port(path: Path, command: tuple[str, ...], **options: Any) -> int:
    """Find what ties the code in PATH to CUDA: what runs as is, is rewritten, needs a person.

    \b
    suiren port .
    suiren port . --fix > cuda.patch
    suiren port . --run "python train.py --steps 2"
    """  # noqa: D301 - click reads the control character
    if not path.exists():
        raise click.UsageError(f"there is nothing at {str(path)!r}: give a file or a folder")
    must_be_writable(options["json_path"], options["patch_path"])
    asked = _asked(options["run_text"], command, path)
    with _bar() as on_file:
        found = scan(path, on_file, workers=min(4, os.cpu_count() or 1))
    if not found.num_files:
        raise click.UsageError(
            f"{str(path)!r} holds no file that could be tied to CUDA: "
            "Python, notebooks, requirements, Dockerfiles, shell, configurations"
        )
    ran = _confirmed(found, asked, options) if asked else None
    if options["fix"] or options["patch_path"] or options["in_place"]:
        _fix(found, options)
    else:
        screen.print(render(found, ran, options["everything"]))
    if options["json_path"] is not None:
        text = json.dumps(document(found, ran), indent=2, ensure_ascii=False)
        options["json_path"].write_text(text + "\n", encoding="utf-8")
        notices.print(f"wrote {options['json_path']}", markup=False)
    return int(options["check"] and any(f.verdict == PERSON for f in found.ties))


def _asked(text: str | None, words: tuple[str, ...], path: Path) -> Command | None:
    if text is None and not words:
        return None
    if text is not None and words:
        raise click.UsageError("give the command once: after --run or after --, not both")
    try:
        return command_of(text if text is not None else words, path)
    except (BadCommandError, ValueError) as problem:
        raise click.UsageError(str(problem)) from None


def _confirmed(found: Scan, command: Command, options: dict[str, Any]) -> Confirmation:
    from suiren.commands.ask import card_named

    card_named(options["on"])
    on = options["on"]
    card = str(Path(on).resolve()) if Path(on).is_file() else on
    notices.print(f"running {command.script.name} on {on} …", markup=False)
    ran = confirm(found, command, card, options["max_steps"])
    if ran.exit_code:
        notices.print(ran.tail, markup=False, style="dim")
    return ran


@contextmanager
def _bar() -> Iterator[Callable[[int, int], None]]:
    """Shows how many files were read; nothing where the output is no terminal."""
    if not notices.is_terminal:
        yield lambda _done, _total: None
        return
    from rich.progress import Progress

    with Progress(console=notices, transient=True) as progress:
        task = progress.add_task("reading", total=None, visible=False)

        def on_file(done: int, total: int) -> None:
            progress.update(task, completed=done, total=total, visible=total >= BAR_FROM_FILES)

        yield on_file


def _fix(found: Scan, options: dict[str, Any]) -> None:
    """Prints, writes or applies the patch, and says what it does not touch."""
    changed: list[Fixed] = []
    for result in fixes(found):
        if isinstance(result, Unread):
            notices.print(result.sentence, style="yellow", markup=False)
        else:
            changed.append(result)
    patch = "".join(fixed.diff() for fixed in changed)
    if options["patch_path"] is not None:
        options["patch_path"].write_text(patch, encoding="utf-8")
        notices.print(f"wrote {options['patch_path']}", markup=False)
    elif options["fix"] or not options["in_place"]:
        _print(patch)
    if options["in_place"]:
        for fixed in changed:
            write(fixed)
    done = "changed" if options["in_place"] else "the patch changes"
    left = sum(f.verdict == PERSON for f in found.ties)
    files = f"{len(changed)} {'file' if len(changed) == 1 else 'files'}"
    notices.print(
        f"{done} {files}; {left} {'tie needs' if left == 1 else 'ties need'} a person"
        + (f" (suiren port {found.root} lists them)" if left else ""),
        markup=False,
    )


def _print(patch: str) -> None:
    if screen.is_terminal:
        screen.print(Syntax(patch, "diff", background_color="default"))
    else:
        click.echo(patch, nl=False)
