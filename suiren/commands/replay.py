"""`suiren replay`: another card from a saved trace, without running the script."""

from __future__ import annotations

from pathlib import Path

import click

from suiren.commands.ask import card_named, must_be_writable, screen, write_results
from suiren.commands.keep import how_asked, keep_run, no_history

PATH = click.Path(path_type=Path, dir_okay=False)


@click.command()
@click.argument("trace_file", type=PATH)
@click.option(
    "--on", "on", default="t21", show_default=True, help="A chip's name, or a TOML or Python file."
)
@click.option("--json", "json_path", type=PATH, help="Write the whole answer as JSON.")
@click.option(
    "--trace", "perfetto_path", type=PATH, help="Write a Perfetto/Chrome trace of the step."
)
@click.option("--report", "page_path", type=PATH, help="Write a self-contained HTML page.")
@no_history
def replay(
    trace_file: Path,
    on: str,
    json_path: Path | None,
    perfetto_path: Path | None,
    page_path: Path | None,
    no_history: bool,
) -> None:
    """Predict a saved trace on another chip; the script does not run."""
    from suiren.report.answer import NothingRan, answer
    from suiren.report.screen import render
    from suiren.trace.text import TraceError, load_program

    card = card_named(on)
    must_be_writable(json_path, perfetto_path, page_path)
    try:
        found = answer(load_program(trace_file), card)
    except (TraceError, NothingRan) as problem:
        raise click.UsageError(str(problem)) from None
    screen.print(render(found))
    write_results(found, json_path, perfetto_path, page_path)
    asked = how_asked(trace_file)
    keep_run(found, trace_file, {"no_history": no_history, "asked": asked}, replayed=True)
