"""Who waits for whom: finds ranks that can never go on, and says what each of them does.

A slow rank is no error. A rank is stuck if one that it waits for has ended or is stuck itself.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from suiren.torch.distributed.board import Board, Channel, Place

#: Seconds for which ranks have to be stuck, so that one just going on is not taken for it.
STUCK_S = 0.4
#: Seconds after which it is said, once, who is waited for.
NOTICE_S = 10.0
RULE = (
    "every rank of a group has to come to the same collectives, in the same order, with the "
    "same formats and sizes"
)

Where = Callable[[int], str]
"""Asks a rank for the line of the script it is at."""


class Referee:
    """Reads the board of a run."""

    def __init__(self, folder: Path, num_ranks: int) -> None:
        self.folder, self.num_ranks = folder, num_ranks
        self._board = Board(folder, num_ranks)
        self._channels: dict[str, Channel] = {}
        self._stuck_since_s: dict[tuple[tuple[int, int], ...], float] = {}
        self._noticed: set[tuple[str, int]] = set()

    def places(self) -> list[Place]:
        """Where every rank is."""
        return [self._board.read(rank) for rank in range(self.num_ranks)]

    def missing(self, rank: int, place: Place) -> list[int]:
        """The ranks that a waiting rank waits for."""
        if place.any_of_them:
            others = [m for m in place.members if m != rank]
            sends = (self._board.read(m) for m in others)
            is_sent = any(
                p.waits and p.what.startswith("send") and rank in p.members for p in sends
            )
            return [] if is_sent else others
        channel = self._channels.get(place.channel)
        if channel is None:
            channel = Channel(self.folder, place.channel, len(place.members))
            self._channels[place.channel] = channel
        return [place.members[i] for i in channel.missing(place.turn)]

    def stuck(self, ended: Mapping[int, str]) -> list[int]:
        """Ranks that have been unable to go on for a while; `ended` are those that are through."""
        places = self.places()
        waited_for = {
            rank: missing
            for rank, place in enumerate(places)
            if place.waits and rank not in ended and (missing := self.missing(rank, place))
        }
        stuck = set(waited_for)
        while True:
            hopeless = stuck | set(ended)
            free = {
                rank
                for rank in stuck
                if not (all if places[rank].any_of_them else any)(
                    m in hopeless for m in waited_for[rank]
                )
            }
            if not free:
                break
            stuck -= free
        now_s = time.monotonic()
        key = tuple((rank, places[rank].changes) for rank in sorted(stuck))
        self._stuck_since_s = {key: self._stuck_since_s.get(key, now_s)}
        return sorted(stuck) if stuck and now_s - self._stuck_since_s[key] >= STUCK_S else []

    def too_late(self, ended: Mapping[int, str], timeout_s: float) -> list[int]:
        """Ranks that have waited longer than they may."""
        now_s = time.monotonic()
        return [
            rank
            for rank, place in enumerate(self.places())
            if place.waits and rank not in ended and now_s - place.since_s > timeout_s
            and self.missing(rank, place)
        ]  # fmt: skip

    def notice(self, ended: Mapping[int, str], where: Where) -> str | None:
        """A sentence about a rank that is waited for, once a meeting."""
        now_s = time.monotonic()
        for rank, place in enumerate(self.places()):
            key = (place.channel, place.turn)
            if not place.waits or now_s - place.since_s < NOTICE_S or key in self._noticed:
                continue
            missing = [m for m in self.missing(rank, place) if m not in ended]
            if missing:
                self._noticed.add(key)
                seconds = now_s - place.since_s
                return (
                    f"rank {rank} has waited {seconds:.0f} s in {place.what} at {place.at}; "
                    f"{self.tell(missing, ended, where)}"
                )
        return None

    def tell(self, ranks: Iterable[int], ended: Mapping[int, str], where: Where) -> str:
        """What each of the ranks does; those that do the same are named together."""
        places = self.places()
        alike: dict[str, list[int]] = {}
        channels: dict[tuple[str, tuple[int, ...]], list[str]] = {}
        for rank in ranks:
            place = places[rank]
            phrase = _phrase(place, ended.get(rank), rank, where)
            known = channels.setdefault((phrase, place.members), [place.channel])
            if place.waits and rank not in ended and place.channel != known[0]:
                phrase += ", in another group of the same ranks"
            alike.setdefault(phrase, []).append(rank)
        return "; ".join(_of(who, phrase) for phrase, who in alike.items())


def _phrase(place: Place, ended: str | None, rank: int, where: Where) -> str:
    last = f", its last collective being {place.what} at {place.at}" if place.what else ""
    if ended is not None:
        return f"{_ENDED.get(ended, ended)}{last}"
    if place.waits:
        return f"is in {place.what} at {place.at}"
    seconds = time.monotonic() - place.since_s if place.since_s else 0.0
    return f"has been in Python for {seconds:.1f} s, now at {where(rank)}"


_ENDED = {
    "finished": "finished the script",
    "raised": "left the script with an error",
    "exited": "left the script with a status of its own",
    "out of memory": "ran out of memory",
}


def _of(who: list[int], phrase: str) -> str:
    if len(who) == 1:
        return f"rank {who[0]} {phrase}"
    plural = phrase.replace("is in", "are in", 1).replace("has been", "have been", 1)
    return f"ranks {_listed(who)} {plural}"


def _listed(ranks: list[int]) -> str:
    if len(ranks) > 3 and ranks == list(range(ranks[0], ranks[-1] + 1)):
        return f"{ranks[0]} to {ranks[-1]}"
    return ", ".join(map(str, ranks))
