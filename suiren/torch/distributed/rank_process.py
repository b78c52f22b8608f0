"""One rank in a process of its own, forked from one that has loaded everything."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from suiren.torch.distributed import groups, sameness
from suiren.torch.distributed.cuts import Cut
from suiren.torch.distributed.cuts import cuts as cuts_now
from suiren.torch.distributed.job import Job, Ran
from suiren.torch.distributed.outcome import RankOutcome
from suiren.torch.distributed.post import Line
from suiren.torch.runner import Outcome, run_script
from suiren.torch.session import Session
from suiren.trace.program import Program

#: Cards that a script sees in one node; more ranks of a node share their numbers.
MOST_CARDS = 8


def environment(rank: int, job: Job) -> dict[str, str]:
    """What torchrun would set for this rank."""
    per_node = min(job.cards_per_node, job.world_size)
    cards = min(per_node, MOST_CARDS)
    return {
        "RANK": str(rank),
        "LOCAL_RANK": str(rank % per_node % cards),
        "WORLD_SIZE": str(job.world_size),
        "LOCAL_WORLD_SIZE": str(per_node),
        "GROUP_RANK": str(rank // per_node),
        "GROUP_WORLD_SIZE": str(-(-job.world_size // per_node)),
        "ROLE_RANK": str(rank),
        "ROLE_WORLD_SIZE": str(job.world_size),
        "MASTER_ADDR": "localhost",
        "MASTER_PORT": "29500",
        "TORCHELASTIC_RUN_ID": "suiren",
        "TORCHELASTIC_RESTART_COUNT": "0",
        "TORCHELASTIC_MAX_RESTARTS": "0",
        "TOPS_VISIBLE_DEVICES": ",".join(map(str, range(cards))),
    }


def run_rank(rank: int, job: Job, line: Line) -> Ran:
    """Runs the script as this rank in this process, which is used up by it."""
    import torch

    from suiren.torch.distributed.pretending import Pretence

    os.environ.update(environment(rank, job))
    torch.set_num_threads(1)
    pretence = Pretence(rank, job.world_size, line)

    @contextmanager
    def pretending() -> Iterator[None]:
        pretence.install()
        yield

    session = Session(job.card)
    cuts: list[tuple[Cut, ...] | None] = [()]
    cpu_s = [time.process_time()]

    def stepped(count: int) -> None:
        cpu_s.append(time.process_time())
        if count == 1:
            cuts[0] = cuts_now()

    session.on_step = stepped
    outcome = run_script(job.script, job.arguments, session, job.how, pretending)
    return replace(ran(outcome, rank, job, cuts[0]), cpu_s=tuple(cpu_s))


def ran(outcome: Outcome, rank: int, job: Job, cuts: tuple[Cut, ...] | None) -> Ran:
    """What is kept of a script that ran in this process as this rank."""
    program = outcome.program
    program.facts.update(
        rank=rank, world_size=job.world_size, groups=groups.as_facts(), outcome=outcome.ended
    )
    peers, met = _meetings(program)
    return Ran(
        RankOutcome((rank,), program, outcome.exit_code, outcome.ended, outcome.error),
        sameness.digest(program, job.cards_per_node),
        peers,
        met,
        cuts,
        outline=sameness.outline(program, job.cards_per_node),
    )


def _meetings(program: Program) -> tuple[tuple[int, ...], tuple[tuple[int, ...], ...]]:
    """(other ends of sends and receives, groups of collectives), from the calls."""
    peers: dict[int, None] = {}
    met: dict[tuple[int, ...], None] = {}
    for call in program.calls:
        if not call.op.startswith("eccl::"):
            continue
        if call.name in ("send", "recv"):
            peer = call.arguments.get("peer")
            if isinstance(peer, int) and peer >= 0:
                peers[peer] = None
        else:
            number = call.arguments.get("group")
            if isinstance(number, int):
                met[groups.groups[number].ranks] = None
    return tuple(peers), tuple(met)


def quiet() -> None:
    """Sends what this process prints nowhere."""
    sys.stdout.flush()
    sys.stderr.flush()
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)
    os.close(nowhere)
