"""`suiren runs`: the history of answers; show, tag, remove and export one."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from suiren.commands.ask import must_be_writable, notices, screen

if TYPE_CHECKING:
    from suiren.history.store import History, Record

T = TypeVar("T")


@click.group(invoke_without_command=True)
@click.option("--kind", help="Only records of this kind: run, ranks, step, goodput, plan …")
@click.option("--limit", type=click.IntRange(min=1), default=50, show_default=True,
              help="So many, the newest first.")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print the list as JSON.")
@click.pass_context
def runs(context: click.Context, kind: str | None, limit: int, as_json: bool) -> None:
    """Every answer of the past: runs, steps, months, validations, plans.

    A record is named by its id, a tag, its title, `last` or `last~1`.

    \b
    suiren runs --kind run
    suiren runs show last
    suiren diff last~1 last
    """  # noqa: D301 - click reads the control character
    if context.invoked_subcommand is not None:
        return
    from suiren.history.digest import KINDS
    from suiren.history.runs_screen import listing

    if kind is not None and kind not in KINDS:
        raise click.UsageError(f"no record is a {kind!r}; kinds are {', '.join(KINDS)}")
    store, records = _told(lambda history: history.records(kind or "", limit))
    if as_json:
        click.echo(json.dumps([asdict(one) for one in records], indent=1))
    elif records:
        screen.print(listing(records))
    else:
        which = f"holds no {kind}" if kind else "is empty"
        notices.print(f"the history at {store.path} {which}", markup=False)


@runs.command()
@click.argument("name", metavar="ID", default="last")
@click.option("--json", "as_json", is_flag=True, help="Print the whole document as JSON.")
def show(name: str, as_json: bool) -> None:
    """Show how ID was asked and what it told."""
    from suiren.history.runs_screen import one_record

    _, (record, document) = _told(_document_of(name))
    if as_json:
        click.echo(json.dumps(document, indent=1))
    else:
        screen.print(one_record(record, document))


@runs.command()
@click.argument("names", metavar="ID…", nargs=-1, required=True)
def remove(names: tuple[str, ...]) -> None:
    """Forget records."""

    def forget(history: History) -> list[Record]:
        found = [history.find(name) for name in names]
        for record in found:
            history.remove(record)
        return found

    _, found = _told(forget)
    notices.print(f"removed {', '.join(dict.fromkeys(r.id for r in found))}")


@runs.command()
@click.argument("name", metavar="ID")
@click.argument("tag", metavar="NAME")
def tag(name: str, tag: str) -> None:
    """Give a record a name of its own; a name that another has moves."""

    def mark(history: History) -> Record:
        record = history.find(name)
        history.tag(record, tag)
        return record

    _, record = _told(mark)
    notices.print(f"{record.id} is now also {tag}", markup=False)


@runs.command()
@click.argument("name", metavar="ID")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--part", help="Write this part instead: `trace`, for `suiren replay`.")
def export(name: str, file: Path, part: str | None) -> None:
    """Write a record to FILE: as JSON with how it was asked, which `suiren diff` reads."""
    must_be_writable(file)
    store, (record, document) = _told(_document_of(name))
    if part is None:
        whole = {"record": asdict(record), "document": document}
        file.write_text(json.dumps(whole, indent=1) + "\n", encoding="utf-8")
    else:
        _, data = _told(lambda _: store.part(record, part))
        if data is None:
            raise click.UsageError(f"{record.id} has no part {part!r}; runs have a trace")
        file.write_bytes(data)
    notices.print(f"wrote {file}", markup=False)


def _document_of(name: str) -> Callable[[History], tuple[Record, dict[str, Any]]]:
    def find(history: History) -> tuple[Record, dict[str, Any]]:
        record = history.find(name)
        return record, history.document(record)

    return find


def _told(ask: Callable[[History], T]) -> tuple[History, T]:
    """The history and what it answers; a problem with it is one sentence."""
    from suiren.history.names import HistoryError
    from suiren.history.store import History

    try:
        history = History()
        return history, ask(history)
    except HistoryError as problem:
        raise click.UsageError(str(problem)) from None
