"""`suiren view`: what happened, to look at in a browser."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click

from suiren.commands.ask import card_named, must_be_writable, notices, write_files


@click.command()
@click.argument("names", nargs=-1, metavar="[RECORD|FILE]...")
@click.option("--port", type=click.IntRange(0, 65535), default=0, show_default=True,
              help="Where to listen; 0 takes a free port.")  # fmt: skip
@click.option("--open/--no-open", "opens", default=None,
              help="Open a browser; by default where there is a screen.")  # fmt: skip
@click.option("--html", "html_path", type=click.Path(path_type=Path, dir_okay=False),
              help="Write one file that needs no server and no network, and end.")  # fmt: skip
@click.option("--on", "on", default="t21", show_default=True,
              help="The card that saved traces are timed on.")  # fmt: skip
def view(
    names: tuple[str, ...], port: int, opens: bool | None, html_path: Path | None, on: str
) -> None:
    """Look at runs, plans and validations in a browser; nothing leaves this machine.

    \b
    suiren view                          everything in the history
    suiren view last                     the newest record; r12, a tag or a title name others
    suiren view run.json step.trace      files of --json, --trace and --save-trace
    suiren view last last~1 --html two.html
    """  # noqa: D301 - click reads the control character
    from suiren.history.names import HistoryError
    from suiren.view.shelf import Shelf
    from suiren.view.sources import CannotShow

    card_named(on)
    must_be_writable(html_path)
    try:
        shelf = Shelf(names, on=on)
        if html_path is not None:
            from suiren.view.filed import filed_html

            text = filed_html(shelf)
            write_files((html_path, lambda path: _write(path, text)))
            return
    except (CannotShow, HistoryError) as problem:
        raise click.UsageError(str(problem)) from None
    _serve(shelf, port, _has_screen() if opens is None else opens)


def _write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")


def _has_screen() -> bool:
    """Whether a browser with windows can be expected."""
    shown = sys.platform in ("darwin", "win32")
    return sys.stdout.isatty() and (
        shown or any(os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY"))
    )


def _serve(shelf: object, port: int, opens: bool) -> None:
    """Serves until Ctrl-C."""
    import webbrowser

    from suiren.view.server import PortTaken, address_of, server_of
    from suiren.view.shelf import Shelf

    assert isinstance(shelf, Shelf)
    try:
        server = server_of(shelf, port)
    except PortTaken as problem:
        raise click.UsageError(str(problem)) from None
    notices.print(f"the page is at {address_of(server)} until Ctrl-C", markup=False)
    if opens:
        webbrowser.open(address_of(server))
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        notices.print("closed")
    finally:
        server.server_close()
