"""`suiren diff A B`: what changed between two answers."""

from __future__ import annotations

import json
from pathlib import Path

import click

from suiren.commands.ask import must_be_writable, notices, screen


@click.command()
@click.argument("before", metavar="A")
@click.argument("after", metavar="B")
@click.option("--top", type=click.IntRange(min=1), default=10, show_default=True,
              help="Rows of each table.")  # fmt: skip
@click.option("--json", "json_path", type=click.Path(path_type=Path, dir_okay=False),
              help="Write every change as JSON.")  # fmt: skip
def diff(before: str, after: str, top: int, json_path: Path | None) -> None:
    """What changed from A to B: time, memory, energy, numerics, by op, call and module.

    A and B are ids of `suiren runs`, tags, titles, `last`, `last~1`, or JSON files that
    `--json` wrote. Parts sum to the whole change.

    \b
    suiren diff last~1 last
    suiren diff before.json after.json --top 30
    """  # noqa: D301 - click reads the control character
    from suiren.history.change import as_json
    from suiren.history.compare import difference
    from suiren.history.diff_screen import render
    from suiren.history.names import HistoryError
    from suiren.history.side import side_named
    from suiren.history.store import History

    must_be_writable(json_path)
    try:
        found = difference(side_named(before, History), side_named(after, History))
    except HistoryError as problem:
        raise click.UsageError(str(problem)) from None
    screen.print(render(found, top))
    if json_path is not None:
        json_path.write_text(json.dumps(as_json(found), indent=1) + "\n", encoding="utf-8")
        notices.print(f"wrote {json_path}", markup=False)
