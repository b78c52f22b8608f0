"""Pages made from the code: commands and their options, chips and their facts, data and sources."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Iterator
from inspect import cleandoc
from pathlib import Path

import click

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from suiren.cli import suiren  # noqa: E402
from suiren.hw.catalog import CARDS  # noqa: E402


def page(path: str) -> str:
    """The text of a page that is made, in Markdown."""
    return MADE[path]()


def _copied(path: str) -> Callable[[], str]:
    return lambda: (ROOT / path).read_text(encoding="utf-8")


def commands() -> str:
    """Every command with its help and all its options, as click knows them."""
    context = click.Context(suiren, info_name="suiren")
    parts = ["# Commands\n\n`suiren --help` and `suiren COMMAND --help` say the same."]
    for name in suiren.list_commands(context):
        found = suiren.get_command(context, name)
        if found is not None and not found.hidden:
            parts += _command(found, context, name)
    return "\n\n".join(parts) + "\n"


def _command(command: click.Command, parent: click.Context, name: str) -> Iterator[str]:
    context = click.Context(command, info_name=name, parent=parent)
    said = command.get_usage(context).removeprefix("Usage: ")
    yield f"## {context.command_path}\n\n```\n{said}\n```\n\n{_told(command.help or '')}"
    rows = [row for p in command.params if (row := p.get_help_record(context)) is not None]
    if rows:
        lines = [f"| <code>{_cell(option)}</code> | {_cell(text)} |" for option, text in rows]
        yield "\n".join(["| option | |", "|---|---|", *lines])
    if isinstance(command, click.Group):
        for inner in command.list_commands(context):
            found = command.get_command(context, inner)
            if found is not None and not found.hidden:
                yield from _command(found, context, inner)


def _told(text: str) -> str:
    """A command's help: paragraphs, and as they stand those that click does not wrap."""
    parts = cleandoc(text).split("\n\n")
    return "\n\n".join(
        f"```\n{part[2:]}\n```" if part.startswith("\b\n") else part.replace("<", "&lt;")
        for part in parts
    )


def _cell(text: str) -> str:
    return " ".join(text.replace("<", "&lt;").replace("|", "&#124;").split())


def chips() -> str:
    """Every card of the catalogue, how many of its facts are of which kind, and their sources."""
    parts = ["# Chips and their sources", "`suiren chips NAME` shows every fact of a card."]
    rows = ["| card | | published | derived | fitted | assumed |", "|---|---|---|---|---|---|"]
    sources: Counter[str] = Counter()
    for name, card in sorted(CARDS.items()):
        facts = dict(card.facts())
        kinds = Counter(fact.kind for fact in facts.values())
        sources.update(fact.source for fact in facts.values() if fact.kind == "published")
        told = " | ".join(str(kinds[k]) for k in ("published", "derived", "fitted", "assumed"))
        rows.append(f"| `{name}` | {_cell(card.title)} | {told} |")
    listed = [f"* {_cell(source)}: {count} facts" for source, count in sources.most_common()]
    return "\n\n".join([*parts, "\n".join(rows), "## Where they were read", "\n".join(listed)])


def data() -> str:
    """What lies in `data/`, with where it is from."""
    folders = sorted((ROOT / "data").glob("*/README.md"))
    texts = [path.read_text(encoding="utf-8").replace("\n# ", "\n## ") for path in folders]
    return "\n\n".join(["# Measured data", *(f"#{text}" for text in texts)]) + "\n"


#: Page of the book -> what makes it.
MADE: dict[str, Callable[[], str]] = {
    "index.md": _copied("README.md"),
    "reference/commands.md": commands,
    "reference/chips.md": chips,
    "reference/data.md": data,
    "reference/examples.md": _copied("examples/README.md"),
    "reference/industries.md": _copied("examples/industries/README.md"),
}
