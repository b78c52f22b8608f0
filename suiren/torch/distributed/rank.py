"""One rank of a run on many devices: `python -m suiren.torch.distributed.rank`."""

from __future__ import annotations

import os
import sys
from io import TextIOWrapper
from pathlib import Path
from typing import cast

from suiren.torch.distributed.folder import FOLDER, LINK, Task, read_task, write_outcome
from suiren.torch.distributed.link import Link
from suiren.torch.distributed.outcome import RankOutcome

#: Steps after which a rank leaves what it has learnt so far, in case it is killed.
LEFT_AFTER = tuple(2**k for k in range(1, 20))


def main() -> int:
    """Runs the task's script as the rank that the environment names; returns its exit code."""
    for stream in (sys.stdout, sys.stderr):  # whole lines, so that those of ranks do not mix
        cast(TextIOWrapper, stream).reconfigure(line_buffering=True, write_through=False)
    folder, rank = Path(os.environ[FOLDER]), int(os.environ["RANK"])
    link = Link(folder / LINK)
    link.say(hello=rank, pid=os.getpid())
    outcome = _run(read_task(folder), folder, rank, link)
    write_outcome(folder, outcome)
    sys.stdout.flush()
    last = outcome.error.rstrip().rpartition("\n")[2]
    link.say(ended=outcome.ended, exit_code=outcome.exit_code, error=last)
    link.wait_to_go()
    return outcome.exit_code


def _run(task: Task, folder: Path, rank: int, link: Link) -> RankOutcome:
    from suiren.torch import device
    from suiren.torch.distributed import groups
    from suiren.torch.distributed.guard import Guard, RunStopped
    from suiren.torch.runner import Outcome, run_script
    from suiren.torch.session import Session

    device.start()
    guard = Guard(folder, rank, task.world_size, link)
    guard.install()
    session = Session(task.card)
    session.facts |= {"rank": rank, "world_size": task.world_size}

    def stepped(count: int) -> None:
        link.say(step=count)
        if count in LEFT_AFTER:
            program = session.program()
            program.facts |= {"groups": groups.as_facts(), "outcome": "killed"}
            write_outcome(folder, RankOutcome((rank,), program, 1, "killed"))

    session.on_step = stepped
    try:
        found = run_script(task.script, task.arguments, session, task.how)
    except RunStopped:  # stopped before the script's first line or after its last
        found = Outcome(session.program(), 1, "raised")
    guard.ends()
    found.program.facts["groups"] = groups.as_facts()
    ended, code, error = found.ended, found.exit_code, found.error
    if link.stop_reason is not None and ended != "finished":
        ended, error = link.stop_as, link.stop_reason
        code = 130 if ended == "interrupted" else 1
    return RankOutcome((rank,), found.program, code, ended, error)


if __name__ == "__main__":
    sys.exit(main())
