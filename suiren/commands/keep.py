"""What a command answers is kept in the history; `--no-history` and `$SUIREN_HISTORY` say no."""

from __future__ import annotations

import hashlib
import platform
import shlex
import sys
from collections.abc import Callable, Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from suiren import __version__
from suiren.commands.ask import notices

if TYPE_CHECKING:
    from suiren.report.answer import Answer
    from suiren.report.ranks import RanksAnswer
    from suiren.trace.program import Program

Command = TypeVar("Command", bound=Callable[..., Any])
#: Rows of each long table that a kept document holds: more than `--json` writes.
KEPT_ROWS = 5000
#: A program of more events is kept as its steady step alone; packing takes 12 µs an event.
MOST_EVENTS = 200_000


def no_history(command: Command) -> Command:
    """Adds `--no-history` to a command, as its argument `no_history`."""
    return click.option(
        "--no-history", is_flag=True, help="Keep nothing in the history (`suiren runs`)."
    )(command)


def keep(
    kind: str,
    title: str,
    document: Callable[[], Mapping[str, Any]],
    *,
    off: bool,
    parts: Callable[[], Mapping[str, bytes]] = dict,
    asked: Mapping[str, Any] | None = None,
    **facts: Any,
) -> None:
    """Keeps an answer unless the history is off; a store that cannot be written is one notice.

    `asked` is what `how_asked` told before a script ran, for a script may move the process to
    another folder.
    """
    from suiren.history.names import HistoryUnusable
    from suiren.history.store import History, history_path

    path = history_path()
    if off or path is None:
        return
    told = {**(asked or how_asked()), **facts}
    try:
        history = History(Path(told["folder"]) / path)
        name = history.add(kind, title, document(), parts(), told)
    except HistoryUnusable as problem:
        notices.print(f"not kept: {problem}", style="yellow", markup=False)
        return
    if notices.is_terminal:
        notices.print(f"kept as {name}", style="dim")


def keep_run(found: Answer, script: Path, options: Mapping[str, Any], **facts: Any) -> None:
    """Keeps the answer for one card, with the trace it was worked out from and what is drawn."""
    from suiren.report.document import document
    from suiren.view.payload import drawn_of

    title = str(found.program.facts.get("script") or script.name)
    keep("run", title, lambda: document(found, KEPT_ROWS),
         off=options["no_history"], asked=options["asked"],
         parts=lambda: _trace(found.program) | drawn_of(found), **facts)  # fmt: skip


def keep_ranks(found: RanksAnswer, script: Path, options: Mapping[str, Any], **facts: Any) -> None:
    """Keeps the answer for many cards, with the trace of the busiest rank and what is drawn."""
    from suiren.report.ranks_document import ranks_document
    from suiren.view.payload import drawn_of

    keep("ranks", script.name, lambda: ranks_document(found, KEPT_ROWS),
         off=options["no_history"], asked=options["asked"],
         parts=lambda: _trace(found.main.program) | drawn_of(found), **facts)  # fmt: skip


def _trace(program: Program) -> dict[str, bytes]:
    """The saved trace; of a very long program its steady step, or nothing."""
    from dataclasses import replace

    from suiren.trace.text import pack_program

    steady = program.steady()
    if sum(len(step.events) for step in program.distinct) > MOST_EVENTS:
        if steady is None or len(program.distinct[steady].events) > MOST_EVENTS:
            return {}
        facts = {**program.facts, "kept": "the steady step alone"}
        program = replace(
            program, distinct=[program.distinct[steady]], order=[0], rest=None, facts=facts
        )
    return {"trace": pack_program(program)}


def how_asked(script: Path | None = None) -> dict[str, Any]:
    """How the command was asked: its line, folder, versions, script and the script's hash."""
    root = click.get_current_context().find_root()
    given = root.obj if isinstance(root.obj, list) else sys.argv[1:]
    told: dict[str, Any] = {
        "command": shlex.join(["suiren", *map(str, given)]),
        "folder": str(Path.cwd()),
        "versions": {
            "suiren": __version__, "python": platform.python_version(),
            **{name: found for name in ("torch", "numpy") if (found := _version(name))},
        },
    }  # fmt: skip
    if script is not None:
        told["script"] = str(script.resolve())
        told["script_sha256"] = hashlib.sha256(script.read_bytes()).hexdigest()
    return told


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""
