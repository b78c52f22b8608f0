"""The progress bar of a running script: steps done so far, beside the script's own output."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from suiren.commands.ask import notices

if TYPE_CHECKING:
    from suiren.torch.session import Session

#: Seconds between two redraws.
REDRAW_S = 0.1


@contextmanager
def steps_bar(session: Session, shown: bool) -> Iterator[None]:
    """Shows how many training steps ran; nothing where the output is no terminal."""
    if not (shown and notices.is_terminal):
        yield
        return
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=notices, transient=True) as progress:
        task = progress.add_task(f"on {session.card.title}: starting", total=None)
        last = 0.0

        def stepped(count: int) -> None:
            nonlocal last
            now = time.monotonic()
            if now - last >= REDRAW_S:
                last = now
                progress.update(task, description=f"on {session.card.title}: step {count}")

        session.on_step = stepped
        yield
