"""`suiren kernel FILE`: a kernel of the user's own, checked, timed and drawn on a chip."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from suiren.commands.ask import card_named, must_be_writable, screen
from suiren.commands.kernel_file import built, kernels, settings

if TYPE_CHECKING:
    from suiren.core.kernel import Kernel
    from suiren.core.program import Program
    from suiren.hw.spec import Card
    from suiren.mapper.own import KernelTime

#: Instructions that a picture shows.
SHOWN = 160
#: `--emulate` runs every instruction in Python, so its tensors are small.
EMULATED_BYTES = 64 << 20


@click.command()
@click.argument("file", type=click.Path())
@click.option("--on", required=True, metavar="CHIP", help="A card's name or a chip file.")
@click.option("--name", help="Which kernel of the file; all of them if not given.")
@click.option("--set", "given", multiple=True, metavar="NAME=VALUE",
              help="A size, a format or an option: M=4096, T=bf16, tm=128.")  # fmt: skip
@click.option("--show", is_flag=True, help="Draw the engines of one core over time.")
@click.option("--svg", type=click.Path(path_type=Path), help="Write the picture to this SVG file.")
@click.option("--emulate", is_flag=True, help="Also run it on random numbers.")
def kernel(
    file: str, on: str, name: str | None, given: tuple[str, ...], show: bool, svg: Path | None,
    emulate: bool,
) -> None:  # fmt: skip
    """Check, time and draw the kernels of a Python file.

    \b
    suiren kernel mine.py --on t21 --show
    suiren kernel mine.py --on h100 --name softmax --set R=65536 --set rows=32 --svg softmax.svg
    """  # noqa: D301 - click reads the control character
    from suiren.core.tile import KernelMistake

    card = card_named(on)
    values = settings(given)
    must_be_writable(svg)
    found = kernels(file, name)
    if svg is not None and len(found) > 1:
        raise click.UsageError(f"--svg draws one kernel; choose it with --name: "
                               f"{', '.join(k.name for k in found)}")  # fmt: skip
    for one in found:
        try:
            _one(one, built(one, values), card, show, svg, emulate)
        except KernelMistake as mistake:
            said = str(mistake)
            named = said if said.startswith(f"{one.name}:") else f"{one.name}: {said}"
            raise click.UsageError(named) from None


def _one(
    one: Kernel, program: Program, card: Card, show: bool, svg: Path | None, emulate: bool
) -> None:
    from suiren.core.tile import KernelMistake
    from suiren.mapper.own import time_kernel

    try:
        found = time_kernel(program, card)
    except (ValueError, IndexError) as uneven:
        # the jump over iterations needs every turn of a loop to leave the queues as it found them
        raise KernelMistake(
            "the body of some loop or grid takes slots that it does not give back, or the other "
            "way round; in a body every load needs its wait and release, every acquire its store "
            "or release"
        ) from uneven
    _tell(one, program, card, found)
    if emulate:
        _emulated(program)
    if show or svg:
        _draw(one, program, card, show, svg)


def _draw(one: Kernel, program: Program, card: Card, show: bool, svg: Path | None) -> None:
    from suiren.core.program import Grid
    from suiren.core.timeline import timeline
    from suiren.report.kernel_picture import svg as drawn
    from suiren.report.kernel_picture import terminal

    grids = sum(isinstance(node, Grid) for node in program.nodes)
    for grid in range(grids if show else 0):
        bars = timeline(program, card, SHOWN, grid)
        of = f" in grid {grid + 1} of {grids}" if grids > 1 else ""
        screen.print(f"the first {len(bars)} instructions of one {card.chip.core_name}{of}:")
        screen.print(terminal(bars, min(110, max(40, screen.width - 16))))
    if svg is not None:
        first = ", its first grid" if grids > 1 else ""
        title = f"{one.name} on {card.title}{first}"
        svg.write_text(drawn(timeline(program, card, SHOWN), title), encoding="utf-8")
        screen.print(f"picture written to {svg}", markup=False, soft_wrap=True)


def _tell(one: Kernel, program: Program, card: Card, found: KernelTime) -> None:
    from suiren.units import show_bytes, show_rate, show_time

    timing, roof, best = found.timing, found.roofline, found.attainable
    shapes = ", ".join(f"{t.name} {t.dtype}{list(t.shape)}" for t in program.tensors)
    rate = f"; {show_rate(roof.flop / timing.seconds, 'FLOP/s')}" if roof.flop else ""
    parts = ", ".join(f"{name} {show_time(s)}" for name, s in timing.parts_s.items() if s)
    held = {space: sum(t.bytes for t in program.tiles if t.space == space)
            for space in ("scratchpad", "registers")}  # fmt: skip
    joule = f"{found.energy_j:.3g} J" if found.energy_j >= 1 else f"{found.energy_j * 1e3:.3g} mJ"
    for line in (
        f"{one.name} on {card.title}: {shapes}",
        f"  {show_time(timing.seconds)}, {show_time(found.seconds)} with launch; "
        f"bound by {timing.why}{rate}",
        f"  {100 * found.roofline_share:.0f} % of the attainable roofline: "
        f"{show_time(best.seconds)}, {best.why} ({show_time(roof.seconds)} at printed rates)",
        f"  busy: {parts}",
        f"  scratchpad {show_bytes(held['scratchpad'])} of "
        f"{show_bytes(card.chip.scratchpad_bytes)}, registers {show_bytes(held['registers'])} of "
        f"{show_bytes(card.chip.register_bytes)}",
        f"  {timing.waves:,} wave{'s' * (timing.waves != 1)}; {joule} beyond idle",
    ):
        screen.print(line, highlight=False, markup=False, soft_wrap=True)


def _emulated(program: Program) -> None:
    import numpy as np

    from suiren.core.emulate import emulate
    from suiren.core.tile import KernelMistake

    size = sum(t.bytes for t in program.tensors)
    if size > EMULATED_BYTES:
        raise KernelMistake(
            f"--emulate runs every instruction in Python; {size >> 20} MiB of tensors would take "
            f"very long, {EMULATED_BYTES >> 20} MiB are the most; set smaller sizes with --set"
        )
    rng = np.random.default_rng(0)
    arrays = {t.name: rng.standard_normal(t.shape) for t in program.tensors
              if t.name not in program.written}  # fmt: skip
    for name, values in emulate(program, arrays).items():
        lost = int(np.isnan(values).sum())
        told = f"{lost:,} of them NaN" if lost else "none of them NaN"
        screen.print(f"  emulated: {name} has {values.size:,} numbers, {told}", highlight=False)
