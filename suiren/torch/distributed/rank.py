"""One rank of a run on many devices: `python -m suiren.torch.distributed.rank`."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from suiren.torch.distributed.folder import FOLDER, LINK, Task, read_task, write_outcome
from suiren.torch.distributed.link import Link
from suiren.torch.distributed.outcome import RankOutcome


def main() -> int:
    """Runs the task's script as the rank that the environment names; returns its exit code."""
    folder, rank = Path(os.environ[FOLDER]), int(os.environ["RANK"])
    link = Link(folder / LINK)
    link.say(hello=rank, pid=os.getpid())
    outcome = _run(read_task(folder), rank, link)
    write_outcome(folder, outcome)
    sys.stdout.flush()
    link.say(ended=outcome.ended, exit_code=outcome.exit_code)
    link.wait_to_go()
    return outcome.exit_code


def _run(task: Task, rank: int, link: Link) -> RankOutcome:
    from suiren.torch.distributed import groups
    from suiren.torch.runner import run_script
    from suiren.torch.session import Session

    session = Session(task.card)
    session.facts |= {"rank": rank, "world_size": task.world_size}
    session.on_step = lambda count: link.say(step=count)
    found = run_script(task.script, task.arguments, session, task.how)
    found.program.facts["groups"] = groups.as_facts()
    return RankOutcome((rank,), found.program, found.exit_code, found.ended, found.error)


if __name__ == "__main__":
    sys.exit(main())
