"""A difference on the terminal: signs, aligned columns, and nothing that is equal."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Group, RenderableType
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from suiren.history.change import Change, Difference
from suiren.history.change import Table as Rows
from suiren.history.change import Text as Words
from suiren.history.figures import show, show_change, show_percent

#: Units in which less is better.
_COSTS = ("s", "bytes", "J", "percent")
_NAME_COLUMNS = 52
_TEXT_COLUMNS = 44
_MOST_FOLDED = 3


def render(found: Difference, top: int) -> RenderableType:
    """Everything that differs; of each table the `top` rows with the largest change."""
    return Group(*_pieces(found, top))


def _pieces(found: Difference, top: int) -> Iterator[RenderableType]:
    yield Text.assemble((f"{found.kind}: ", "bold"), found.before, (" → ", "bold"), found.after)
    if found.is_empty:
        yield Text("the two are equal in everything that is kept")
        return
    if found.figures:
        yield _table("", found.figures, None)
    for table in found.tables:
        yield _table(table.title, table.rows[:top], table, len(table.rows) - top)
    for heading, texts in found.texts.items():
        yield _texts(heading, texts, top)


def _texts(heading: str, texts: tuple[Words, ...], top: int) -> RenderableType:
    grid = _grid(heading)
    # sources of facts are long, and --json holds them whole
    is_long = len(texts) > _MOST_FOLDED
    for name in ("", "before", "after"):
        grid.add_column(name, no_wrap=is_long, overflow="ellipsis" if is_long else "fold",
                        max_width=_TEXT_COLUMNS)  # fmt: skip
    for text in texts[:top]:
        grid.add_row(escape(text.name), escape(text.before or "–"), escape(text.after or "–"))
    if len(texts) > top:
        grid.add_row(f"[dim]{_more(len(texts) - top)}[/]")
    return grid


def _more(count: int) -> str:
    return f"{count:,} more row{'s' if count > 1 else ''}"


def _grid(title: str) -> Table:
    return Table(
        title=escape(title) or None, title_justify="left", title_style="bold", box=None,
        padding=(0, 1), header_style="dim",
    )  # fmt: skip


def _table(
    title: str, rows: tuple[Change, ...], whole: Rows | None, num_left: int = 0
) -> RenderableType:
    grid = _grid(title)
    grid.add_column("", no_wrap=True, overflow="ellipsis", max_width=_NAME_COLUMNS)
    for name in ("before", "after", "change", ""):
        grid.add_column(name, justify="right", no_wrap=True)
    for row in rows:
        grid.add_row(*_cells(row))
    if whole is not None and num_left > 0:
        left = whole.rows[len(rows) :]
        amount = sum(row.by for row in left)
        more = Change(_more(num_left), 0.0, amount, left[0].unit)
        grid.add_row(f"[dim]{more.name}[/]", "", "", f"[dim]{show_change(more)}[/]", "")
    if whole is not None and whole.whole is not None:
        cells = _cells(whole.whole)
        grid.add_row(f"[bold]= {cells[0]}[/]", *cells[1:])
    return grid


def _cells(row: Change) -> tuple[str, ...]:
    colour = _colour(row)
    return (
        escape(_spoken(row.name)), show(row.before, row.unit),
        show(row.after, row.unit), f"[{colour}]{show_change(row)}[/]", show_percent(row),
    )  # fmt: skip


def _spoken(name: str) -> str:
    """An op as a reader knows it, as the report tells it."""
    name = name.replace("aten::", "")
    return name.replace("_scaled_dot_product_fused_attention_overrideable", "fused_attention")


def _colour(row: Change) -> str:
    if row.unit not in _COSTS or not row.by:
        return "default"
    return "red" if row.by > 0 else "green"
