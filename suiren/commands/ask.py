"""What the commands ask of the rooms, with a user's mistakes turned into one sentence each."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.console import Console

if TYPE_CHECKING:  # half a second of modules that `suiren --help` does without
    from suiren.hw.spec import Card
    from suiren.report.answer import Answer

_plain = Console()
#: Tables need about a hundred columns; a pipe has as many as we like.
screen = Console(highlight=False, width=None if _plain.is_terminal else 110)
notices = Console(stderr=True, highlight=False, soft_wrap=True)


def card_named(text: str) -> Card:
    """The card of `--on`, by name or file; it must have published or given peaks."""
    from suiren.hw.chipfile import BadChipFile
    from suiren.hw.load import resolve_card
    from suiren.hw.names import UnknownChip

    try:
        card = resolve_card(text)
    except UnknownChip as problem:
        raise click.UsageError(str(problem)) from None
    except BadChipFile as problem:
        raise click.UsageError(f"{text} is not a sound chip file:\n{problem}") from None
    except OSError as problem:
        raise click.UsageError(f"{text} cannot be read: {problem.strerror}") from None
    if not card.can_time:
        raise click.UsageError(
            f"no peak of {card.title} was ever published, so no time can be told; "
            f"describe it in a TOML file with based_on = {card.name!r} and your own [chip.matrix]"
        )
    return card


def must_be_writable(*paths: Path | None) -> None:
    """Fails before anything runs if a result could not be written at the end."""
    for path in paths:
        if path is None:
            continue
        is_new = not path.exists()
        try:
            with path.open("ab"):
                pass
            if is_new:
                path.unlink()
        except OSError as problem:
            raise click.UsageError(
                f"{path} cannot be written ({problem.strerror}); nothing was run: "
                "give a path in a folder that exists and that you may write to"
            ) from None


def write_results(
    answer: Answer, json: Path | None, trace: Path | None, report: Path | None
) -> None:
    """Writes what was asked for; a path that fails by now costs that file alone."""
    write_files(
        (json, lambda path: _json(answer, path)),
        (trace, lambda path: _perfetto(answer, path)),
        (report, lambda path: _page(answer, path)),
    )


def write_files(*wanted: tuple[Path | None, Callable[[Path], None]]) -> None:
    """Writes each file that has a path, and says so; one that fails costs that file alone."""
    for path, write in wanted:
        if path is None:
            continue
        try:
            write(path)
            notices.print(f"wrote {path}", markup=False, soft_wrap=True)
        except OSError as problem:
            notices.print(
                f"{path} could not be written: {problem.strerror}", style="red", markup=False
            )


def write_scalars(answer: Answer, folder: Path | None) -> None:
    """Writes the scalars of every step for TensorBoard."""
    from suiren.report.tensorboard import write_events

    def write(path: Path) -> None:
        write_events(answer, path)

    write_files((folder, write))


def _json(answer: Answer, path: Path) -> None:
    from suiren.report.document import write_document

    write_document(answer, path)


def _perfetto(answer: Answer, path: Path) -> None:
    from suiren.report.perfetto import write_trace

    write_trace(answer, path)


def _page(answer: Answer, path: Path) -> None:
    from suiren.report.page import write_page

    write_page(answer, path)
