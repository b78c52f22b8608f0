"""What the ranks of a world run, and what is known of one that ran."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from suiren.hw.spec import Card
from suiren.torch.distributed.cuts import Cut
from suiren.torch.distributed.outcome import RankOutcome
from suiren.torch.how import How


@dataclass(frozen=True)
class Job:
    """What every rank of a world runs."""

    script: Path
    arguments: tuple[str, ...]
    card: Card
    world_size: int
    how: How
    cards_per_node: int


@dataclass(frozen=True)
class Ran:
    """A rank that ran, and what tells which others do the same."""

    outcome: RankOutcome
    digest: str
    """Equal for ranks whose steady steps are the same; see `sameness`."""
    peers: tuple[int, ...]
    """Ranks it sends to or receives from."""
    group_ranks: tuple[tuple[int, ...], ...]
    """Groups in which it took part in a collective."""
    cuts: tuple[Cut, ...] | None
    """How its parameters are sharded; None where it could not be told."""
    cpu_s: tuple[float, ...] = ()
    """Processor time that its process had taken when it began, and at every step's end."""
    outline: str = ""
    """Equal for ranks whose steady steps differ at most in sizes; see `sameness`."""

    @property
    def rank(self) -> int:
        """Its own rank."""
        return self.outcome.ranks[0]
