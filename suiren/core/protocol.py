"""Who may touch a tile's slots when: the rules of load, wait, release, acquire and store.

A slot is free, being filled, the tile's content, or being copied out. Copies take as long as
they like, so whatever an instruction does to a slot that a copy may still be using is a race.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from suiren.core.program import Program, Step
from suiren.core.tile import KernelMistake, Tile
from suiren.core.where import source_of


class Race(KernelMistake):
    """Two lines that touch the same data in an order nothing decides."""

    def __init__(self, what: str, line: str, other: str, cure: str) -> None:
        super().__init__(f"race: {source_of(line)}\n{what}\n{source_of(other)}\n{cure}")


@dataclass(slots=True)
class Copy:
    """A copy under way: its slot, its line, and what to do when it is done."""

    slot: int
    line: str
    finish: Callable[[], None]


@dataclass
class Slots:
    """The slots of one tile."""

    tile: Tile
    managed: bool
    """False for a tile that no copy ever touches: the engines' own order is enough."""
    freed: Callable[[int], None] = lambda slot: None
    """Told when a slot is free again."""
    free: deque[int] = field(init=False)
    filling: deque[Copy] = field(default_factory=deque)
    storing: deque[Copy] = field(default_factory=deque)
    current: int | None = None
    given_back: str = ""

    def __post_init__(self) -> None:
        self.free = deque(range(self.tile.buffers))
        if not self.managed:
            self.current = 0

    def take(self, step: Step) -> int:
        """A free slot, for a load or an acquire; waits for the oldest store if it must."""
        if not self.free and self.storing:
            self.finish_store()
        if not self.free:
            raise KernelMistake(
                f"{source_of(step.line)}\nwaits for ever: all {self.tile.buffers} buffers of the "
                f"tile of {source_of(self.tile.line)}\nare taken, and nothing gives one back; "
                "release or store each slot once"
            )
        return self.free.popleft()

    def load(self, step: Step, finish: Callable[[int], None]) -> None:
        """Starts to fill the next slot."""
        slot = self.take(step)
        self.filling.append(Copy(slot, step.line, lambda: finish(slot)))

    def wait(self, step: Step) -> None:
        """The oldest load becomes the content."""
        if not self.filling:
            raise KernelMistake(f"{source_of(step.line)}\nwaits for a load that was never started")
        if self.current is not None:
            raise KernelMistake(
                f"{source_of(step.line)}\nwaits for the next load while the tile still holds the "
                "one before; release it first"
            )
        copy = self.filling.popleft()
        copy.finish()
        self.current = copy.slot

    def acquire(self, step: Step) -> None:
        """A free slot becomes the content, to be written."""
        if self.current is not None:
            raise KernelMistake(
                f"{source_of(step.line)}\nacquires a slot while the tile still holds one; "
                "store or release it first"
            )
        self.current = self.take(step)
        self.freed(self.current)

    def release(self, step: Step) -> None:
        """The content's slot is free."""
        if self.current is None:
            raise KernelMistake(f"{source_of(step.line)}\nreleases a tile that holds nothing")
        self.freed(self.current)
        self.free.append(self.current)
        self.current, self.given_back = None, step.line

    def store(self, step: Step, finish: Callable[[int], None]) -> None:
        """Starts to copy the content out; its slot is free when done."""
        slot = self.slot_for(step, "reads")
        self.storing.append(Copy(slot, step.line, lambda: finish(slot)))
        self.current, self.given_back = None, ""

    def finish_store(self) -> None:
        """The oldest store is done."""
        copy = self.storing.popleft()
        copy.finish()
        self.freed(copy.slot)
        self.free.append(copy.slot)

    def slot_for(self, step: Step, does: str) -> int:
        """The content's slot for an instruction that reads or writes it."""
        if self.current is not None:
            return self.current
        if self.filling:
            raise Race(
                f"{does} a tile that this load may still be filling:", step.line,
                self.filling[0].line, "wait for the tile before it is used",
            )  # fmt: skip
        if self.storing:
            raise Race(
                f"{does} a tile that this store may still be reading:", step.line,
                self.storing[-1].line, "acquire a slot of the tile before it is used again",
            )  # fmt: skip
        if self.given_back:
            raise Race(
                f"{does} a tile whose slot was given back, and may be filled again, here:",
                step.line, self.given_back, "release the tile after its last use",
            )  # fmt: skip
        raise KernelMistake(
            f"{source_of(step.line)}\n{does} a tile that copies fill or drain, before it holds a "
            "slot; load and wait for it, or acquire one"
        )


def slots_of(program: Program, freed: Callable[[Tile, int], None]) -> dict[int, Slots]:
    """Fresh slots for every tile of a program, by tile number."""
    copied = {
        tile.number
        for step in program.steps()
        if step.name in ("load", "store", "acquire")
        for tile in step.tiles
    }

    def told(tile: Tile) -> Callable[[int], None]:
        return lambda slot: freed(tile, slot)

    return {t.number: Slots(t, t.number in copied, told(t)) for t in program.tiles}
