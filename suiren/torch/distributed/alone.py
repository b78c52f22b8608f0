"""Runs a script as a world of thousands of ranks: one rank of every class, the rest believed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from pathlib import Path

from suiren.hw.spec import Card
from suiren.torch.distributed.classes import Classes
from suiren.torch.distributed.hub import Hub
from suiren.torch.distributed.job import Job, Ran
from suiren.torch.distributed.outcome import RankOutcome
from suiren.torch.distributed.warming import Warm
from suiren.torch.how import How

#: The largest world: more than anybody has built.
MOST_RANKS = 1 << 20


class CannotRun(ValueError):  # noqa: N818 - reads as what it is
    """A world that cannot be simulated; the sentence says what would work."""


def run_ranks(
    script: Path,
    arguments: Sequence[str],
    card: Card,
    world_size: int,
    how: How,
    cards_per_node: int = 8,
    on_ran: Callable[[Ran], None] | None = None,
    warm: Warm | None = None,
) -> list[RankOutcome]:
    """Runs the script as one rank of every class of a world; one outcome a class.

    The first outcome is that of rank 0; together their `ranks` are the whole world, unless
    rank 0 failed: then its outcome is the only one. `program.facts["ranks"]` says how the
    classes were found. `warm` forks the ranks; one is started and ended if it is None.
    Raises `CannotRun` in one sentence.
    """
    _check(world_size, how, cards_per_node)
    job = Job(script, tuple(arguments), card, world_size, how, cards_per_node)
    with (
        Warm(script) if warm is None else nullcontext(warm) as started,
        Hub(started, job, on_ran) as hub,
    ):
        return Classes(hub, world_size, cards_per_node).find()


def _check(world_size: int, how: How, cards_per_node: int) -> None:
    if how.numerics:
        raise CannotRun(
            "--ranks needs --no-numerics: one process cannot hold the values of a whole world; "
            "for real values in a world of up to 64 use --devices"
        )
    if not 1 <= world_size <= MOST_RANKS:
        raise CannotRun(f"--ranks {world_size} is not possible: give 1 to {MOST_RANKS}")
    if world_size > cards_per_node and world_size % cards_per_node:
        below = world_size // cards_per_node * cards_per_node
        raise CannotRun(
            f"--ranks {world_size} is not possible: a node has {cards_per_node} cards, and more "
            f"come in whole nodes: {below} or {below + cards_per_node}"
        )
