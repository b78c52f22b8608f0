"""`suiren topology`: nodes and clusters; `suiren topology t21x8`: one, drawn."""

from __future__ import annotations

import json
from pathlib import Path

import click

from suiren.commands.ask import screen
from suiren.commands.keep import keep, no_history


@click.command()
@click.argument("name", required=False)
@click.option("--ranks", type=click.IntRange(min=1), help="As many cards, node by node.")
@click.option("--json", "json_path", type=click.Path(dir_okay=False), help="Everything, as JSON.")
@click.option("--report", "page_path", type=click.Path(dir_okay=False),
              help="One self-contained HTML page.")  # fmt: skip
@no_history
def topology(
    name: str | None, ranks: int | None, json_path: str | None, page_path: str | None,
    no_history: bool,
) -> None:  # fmt: skip
    """Draw how cards are joined, with rates, bisection and what is assumed.

    \b
    suiren topology                      nodes and clusters of the catalogue
    suiren topology t21x8                one node
    suiren topology t21x8*16             sixteen of them, or selene, or ./mine.toml
    suiren topology t21x8 --report t21x8.html
    """  # noqa: D301 - click reads the control character
    from suiren.hw.chipfile import BadChipFile
    from suiren.hw.find_cluster import UnknownCluster, cluster_of
    from suiren.report.topology import describe, document
    from suiren.report.topology_list import catalogue
    from suiren.report.topology_page import page_html
    from suiren.report.topology_screen import screen_of

    if name is None:
        screen.print(catalogue())
        return
    try:
        cluster = cluster_of(name, ranks)
    except (UnknownCluster, BadChipFile) as problem:
        raise click.UsageError(str(problem)) from None
    report = describe(cluster)
    screen.print(screen_of(report, cluster))
    keep("topology", cluster.name, lambda: document(report), off=no_history)
    if json_path:
        _write(json_path, json.dumps(document(report), indent=1) + "\n")
    if page_path:
        _write(page_path, page_html(report, cluster))


def _write(path: str, text: str) -> None:
    try:
        Path(path).write_text(text, encoding="utf-8")
    except OSError as problem:
        raise click.UsageError(f"{path} cannot be written: {problem.strerror}") from None
