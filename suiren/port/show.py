"""The findings on screen and as JSON."""

from __future__ import annotations

from collections import Counter
from typing import Any

from rich.console import Group, RenderableType
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from suiren.port.confirm import Confirmation
from suiren.port.finding import Finding
from suiren.port.scan import Scan
from suiren.port.tie import AS_IS, PERSON, REWRITTEN, VERDICTS, Verdict

_TITLES: dict[Verdict, str] = {
    PERSON: "needs a person",
    REWRITTEN: "rewritten by --fix",
    AS_IS: "runs as is under `suiren run` and `transfer_to_gcu`",
}
_STYLES: dict[Verdict, str] = {PERSON: "red", REWRITTEN: "yellow", AS_IS: "green"}
MOST_SOURCE = 60


def render(found: Scan, ran: Confirmation | None = None, everything: bool = False) -> Group:
    """The findings by verdict, what to do for each kind, files not read, and a summary line."""
    parts: list[RenderableType] = []
    for verdict in VERDICTS:
        rows = [f for f in found.ties if f.verdict == verdict]
        if rows:
            parts += [_table(rows, verdict, ran is not None), _advice(rows)]
    guarded = [f for f in found.findings if f.guard]
    if everything and guarded:
        parts.append(_guarded(guarded))
    parts += [Text(u.sentence, style="yellow") for u in found.unread]
    if ran is not None:
        parts.append(Text(run_sentence(ran)))
    parts.append(Text(summary(found), style="bold"))
    return Group(*parts)


def _table(rows: list[Finding], verdict: Verdict, with_run: bool) -> Table:
    title = f"{_TITLES[verdict]}: {len(rows)}"
    style = f"bold {_STYLES[verdict]}"
    table = Table(title=title, title_justify="left", title_style=style, box=None)
    table.add_column("where", overflow="fold")
    table.add_column("kind", no_wrap=True)
    table.add_column("source", overflow="fold")
    if with_run:
        table.add_column("the run", overflow="fold")
    for finding in rows:
        cells = [finding.place, finding.tie.name, _short(finding.source)]
        table.add_row(*map(escape, cells), *([escape(finding.confirmed)] if with_run else []))
    return table


def _advice(rows: list[Finding]) -> Table:
    table = Table.grid(padding=(0, 2))
    for kind in sorted({f.tie.name for f in rows}):
        tie = next(f.tie for f in rows if f.tie.name == kind)
        where = "" if tie.under_transfer else " (not under transfer)"
        table.add_row(f"  {kind}", escape(tie.advice) + where, style="dim")
    return table


def _guarded(rows: list[Finding]) -> Table:
    table = Table(title=f"guarded: {len(rows)}", title_justify="left", box=None)
    for name in ("where", "kind", "source", "why it is harmless"):
        table.add_column(name, overflow="fold")
    for f in rows:
        table.add_row(*map(escape, (f.place, f.tie.name, _short(f.source), f.guard)))
    return table


def _short(source: str) -> str:
    return source if len(source) <= MOST_SOURCE else source[: MOST_SOURCE - 1] + "…"


def summary(found: Scan) -> str:
    """`12 ties in 3 of 40 files: 2 need a person, 9 are rewritten, 1 runs as is; …`."""
    if not found.ties:
        text = f"no tie to CUDA in {_files(found.num_files)}"
    else:
        counts = Counter(f.verdict for f in found.ties)
        touched = len({f.path for f in found.ties})
        num = len(found.ties)
        text = (
            f"{num} {'tie' if num == 1 else 'ties'} in {touched} of {_files(found.num_files)}: "
            f"{counts[PERSON]} need a person, {counts[REWRITTEN]} are rewritten by --fix, "
            f"{counts[AS_IS]} run as they are"
        )
    guarded = len(found.findings) - len(found.ties)
    if guarded:
        verb = "is" if guarded == 1 else "are"
        text += f"; {guarded} more {verb} guarded (--all shows them)"
    if found.unread:
        text += f"; {_files(len(found.unread))} could not be read"
    return text


def _files(count: int) -> str:
    return f"{count} {'file' if count == 1 else 'files'}"


def run_sentence(ran: Confirmation) -> str:
    """How the run ended and how many findings it met."""
    seen = ", ".join(f"{count} {word}" for word, count in sorted(ran.seen.items()))
    if ran.exit_code == 0:
        return f"the run ended well: {seen or 'it met no finding'}"
    why = ran.error or (ran.tail.splitlines() or ["it said nothing"])[-1]
    return f"the run ended with status {ran.exit_code}: {why} ({seen or 'it met no finding'})"


def document(found: Scan, ran: Confirmation | None = None) -> dict[str, Any]:
    """Everything as JSON; guarded findings are marked by `guard`."""
    counts = Counter(f.verdict for f in found.ties)
    whole: dict[str, Any] = {
        "path": str(found.root),
        "files": found.num_files,
        "ties": len(found.ties),
        "verdicts": {verdict: counts[verdict] for verdict in VERDICTS},
        "findings": [f.row() for f in found.ties],
        "guarded": [f.row() for f in found.findings if f.guard],
        "could_not_be_read": [u.row() for u in found.unread],
    }
    if ran is not None:
        whole["run"] = {"exit_code": ran.exit_code, "error": ran.error, "findings": ran.seen}
    return whole
