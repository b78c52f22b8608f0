"""Checks a program before it runs anywhere: the protocol of its tiles, and what it needs.

The protocol is walked with every loop cut to a few iterations more than the deepest tile has
slots: a loop body does the same to the slots each time, so a race or a deadlock shows within
that many.
"""

from __future__ import annotations

from suiren.core.program import Grid, Node, Program, Step, walk
from suiren.core.protocol import slots_of
from suiren.core.tile import KernelMistake, Tile
from suiren.core.where import source_of
from suiren.hw.spec import Card
from suiren.units import show_bytes


def check_protocol(program: Program) -> None:
    """Raises Race or KernelMistake, with the lines, where tiles are used out of turn."""
    slots = slots_of(program, lambda tile, slot: None)
    most = max((t.buffers for t in program.tiles), default=1) + 2

    def run(node: Node, places: dict[int, int]) -> None:
        if isinstance(node, Step):
            _touch(node)
            return
        if isinstance(node, Grid):
            for tile in range(min(node.tiles, most)):
                for inner in node.body:
                    run(inner, {**places, **node.iterations(tile)})
            return
        for iteration in range(min(node.trips(places), most)):
            for inner in node.body:
                run(inner, {**places, node.number: iteration})

    def _touch(step: Step) -> None:
        if step.name == "barrier":
            for held in slots.values():
                while held.storing:
                    held.finish_store()
            return
        of = slots[step.tiles[0].number]
        for source in step.sources:
            if isinstance(source, Tile):
                slots[source.number].slot_for(step, "reads")
        if step.name == "load":
            of.load(step, lambda slot: None)
        elif step.name == "store":
            of.store(step, lambda slot: None)
        elif step.name in ("wait", "release", "acquire"):
            getattr(of, step.name)(step)
        else:
            of.slot_for(step, "writes")

    for node in program.nodes:
        run(node, {})


def check_capacity(program: Program, card: Card) -> None:
    """Raises KernelMistake with both numbers where the tiles do not fit a core of the card."""
    for space, holds in (
        ("scratchpad", card.chip.scratchpad_bytes),
        ("registers", card.chip.register_bytes),
    ):
        # a grid's tiles leave the core with it
        tiles = max((_held(grid, space) for grid in program.nodes), key=_bytes)
        need = _bytes(tiles)
        if need <= holds:
            continue
        largest = max(tiles, key=lambda t: t.bytes)
        raise KernelMistake(
            f"{program.name}: tiles need {show_bytes(need)} of {space}, but a "
            f"{card.chip.core_name} "
            f"of {card.title} has {show_bytes(holds)}; the largest is {list(largest.shape)} "
            f"{largest.dtype} × {largest.buffers} = {show_bytes(largest.bytes)}, made in\n"
            f"{source_of(largest.line)}\nsmaller tiles or fewer buffers would fit"
        )


def _held(node: Node, space: str) -> list[Tile]:
    """Tiles of a space that a node touches."""
    found: dict[int, Tile] = {}
    for step in walk((node,)):
        for tile in (*step.tiles, *(s for s in step.sources if isinstance(s, Tile))):
            if tile.space == space:
                found[tile.number] = tile
    return list(found.values())


def _bytes(tiles: list[Tile]) -> int:
    return sum(t.bytes for t in tiles)


def check_compression(program: Program, card: Card) -> None:
    """Raises KernelMistake where a load is compressed and the card's copy engines cannot."""
    for step in program.steps():
        if "compressed" in step.attributes and "compression" not in card.chip.skips:
            raise KernelMistake(
                f"{source_of(step.line)}\nthe copy engines of {card.title} do not compress; "
                "load without compressed="
            )


def check_order(program: Program) -> None:
    """Raises KernelMistake for steps that no grid encloses: every instruction works on a tile."""
    for node in program.nodes:
        if isinstance(node, Step) and node.name not in ("barrier",):
            raise KernelMistake(
                f"{source_of(node.line)}\n{node.name} stands outside of any grid; "
                "cores only work on the tiles of a grid"
            )
