"""`suiren centre FILE`: a computing centre, what it does and costs; two beside each other."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click

from suiren.commands.ask import must_be_writable, notices, screen, write_files
from suiren.commands.file_first import FileFirst
from suiren.commands.keep import keep, no_history

PATH = click.Path(path_type=Path, dir_okay=False)
FILE = click.Path(path_type=Path)
_MOST = 4


def _options(command: Callable[..., Any]) -> Callable[..., Any]:
    for option in (
        no_history,
        click.option("--page", "page_path", type=PATH, help="Write a self-contained HTML page."),
        click.option("--json", "json_path", type=PATH, help="Write everything as JSON."),
        click.option("--lang", "language", type=click.Choice(["en", "zh"]), default="en",
                     show_default=True, help="Of screen and page."),
        click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True,
                     help="First of the months' seeds."),
    ):  # fmt: skip
        command = option(command)
    return command


@click.group(cls=FileFirst, default="study")
def centre() -> None:
    """What a computing centre does, draws and costs; whether a goal is reached.

    \b
    suiren centre mine.toml --page mine.html
    suiren centre compare mine.toml other.toml --page both.html --lang zh
    """  # noqa: D301 - click reads the control character


@centre.command("study", hidden=True)
@click.argument("file", type=FILE)
@_options
def study(file: Path, **given: Any) -> None:
    """Answer everything about the centre that FILE describes."""
    _answer((file,), **given)


@centre.command()
@click.argument("files", type=FILE, nargs=-1, required=True)
@_options
def compare(files: Sequence[Path], **given: Any) -> None:
    """Two centres or more side by side, with what would make their costs even."""
    if not 2 <= len(files) <= _MOST:
        raise click.UsageError(f"compare takes 2 to {_MOST} centre files, not {len(files)}")
    _answer(files, **given)


def _answer(
    files: Sequence[Path], page_path: Path | None, json_path: Path | None, language: str, seed: int,
    no_history: bool,
) -> None:  # fmt: skip
    from suiren.centre.answer import Incomparable, answer, comparable
    from suiren.centre.build import load_centre
    from suiren.centre.training import BadJob
    from suiren.hw.chipfile import BadChipFile
    from suiren.report.centre_document import document
    from suiren.report.centre_page import centre_html
    from suiren.report.centre_screen import render

    must_be_writable(page_path, json_path)
    answers = []
    try:
        described = [load_centre(file) for file in files]
        comparable(described)
        for one in described:
            if notices.is_terminal:
                notices.print(f"simulating {one.title} …", markup=False)
            answers.append(answer(one, seed))
    except (BadChipFile, BadJob, Incomparable) as problem:
        raise click.UsageError(str(problem)) from None
    found = document(answers, [str(file) for file in files])
    screen.print(render(found, language))
    write_files(
        (json_path, lambda path: _write(path, json.dumps(found, indent=1, allow_nan=False) + "\n")),
        (page_path, lambda path: _write(path, centre_html(found, language))),
    )
    title = " / ".join(a.study.centre.title for a in answers)
    keep("centre", title, lambda: found, off=no_history)


def _write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")
