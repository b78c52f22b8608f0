"""`suiren kernel FILE`: a kernel of the user's own, checked, timed and drawn on a chip."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from suiren.commands.ask import screen
from suiren.hw.chipfile import BadChipFile
from suiren.hw.load import resolve_card
from suiren.hw.names import UnknownChip

if TYPE_CHECKING:
    from suiren.core.language import Kernel
    from suiren.core.program import Program
    from suiren.hw.spec import Card
    from suiren.mapper.own import KernelTime


@click.command()
@click.argument("file", type=click.Path())
@click.option("--on", required=True, metavar="CHIP", help="A card's name or a chip file.")
@click.option("--name", help="Which kernel of the file; all of them if not given.")
@click.option("--set", "settings", multiple=True, metavar="NAME=VALUE",
              help="A size, a format or an option: M=4096, T=bf16, tm=128.")  # fmt: skip
@click.option("--show", is_flag=True, help="Draw the engines of one core over time.")
@click.option("--svg", type=click.Path(), help="Write the picture to this SVG file.")
@click.option("--emulate", is_flag=True, help="Also run it on random numbers.")
def kernel(
    file: str, on: str, name: str | None, settings: tuple[str, ...], show: bool, svg: str | None,
    emulate: bool,
) -> None:  # fmt: skip
    """Check, time and draw the kernels of a Python file.

    \b
    suiren kernel mine.py --on t21 --show
    suiren kernel mine.py --on h100 --name softmax --set R=65536 --set rows=32 --svg softmax.svg
    """  # noqa: D301 - click reads the control character
    from suiren.core.tile import KernelMistake

    try:
        card = resolve_card(on)
    except (UnknownChip, BadChipFile) as problem:
        raise click.UsageError(str(problem)) from None
    sizes, options = _settings(settings)
    for one in _kernels(file, name):
        try:
            own = {k: v for k, v in sizes.items() if k in _names(one)}
            unknown = sizes.keys() - own.keys()
            program = one.build(own, **{**options, **{k: sizes[k] for k in unknown}})
            _one(one, program, card, show, svg, emulate)
        except KernelMistake as mistake:
            raise click.UsageError(f"{one.name}: {mistake}") from None


def _names(one: Kernel) -> set[str]:
    names = {size for p in one.signature.parameters for size in p.sizes}
    return names | {p.dtype for p in one.signature.parameters} | one.example.keys()


def _settings(settings: tuple[str, ...]) -> tuple[dict[str, int | str], dict[str, object]]:
    sizes: dict[str, int | str] = {}
    for text in settings:
        name, equals, value = text.partition("=")
        if not equals or not name or not value:
            raise click.UsageError(f"--set {text}: write NAME=VALUE, as in M=4096")
        sizes[name] = int(value) if value.lstrip("-").isdigit() else value
    return sizes, {}


def _kernels(file: str, name: str | None) -> list[Kernel]:
    from suiren.core.language import Kernel

    path = Path(file)
    if not path.is_file():
        raise click.UsageError(f"{file}: there is no such file")
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise click.UsageError(f"{file}: it cannot be read as Python")
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise click.UsageError(
            f"{file}: running it raised {type(error).__name__}: {error}"
        ) from None
    found = [v for v in vars(module).values() if isinstance(v, Kernel)]
    if name is not None:
        chosen = [k for k in found if k.name == name]
        if not chosen:
            known = ", ".join(k.name for k in found) or "none"
            raise click.UsageError(f"{file} has no kernel {name!r}; it has {known}")
        return chosen
    if not found:
        raise click.UsageError(f"{file} defines no kernel; decorate a function with "
                               "@suiren.kernel('a f32[N] -> b f32[N]', N=4096)")  # fmt: skip
    return found


def _one(
    one: Kernel, program: Program, card: Card, show: bool, svg: str | None, emulate: bool
) -> None:
    from suiren.mapper.own import time_kernel

    found = time_kernel(program, card)
    _tell(one, program, card, found)
    if emulate:
        _emulated(program)
    if not (show or svg):
        return
    from suiren.core.timeline import timeline
    from suiren.report.kernel_picture import svg as drawn
    from suiren.report.kernel_picture import terminal

    bars = timeline(program, card, 160)
    if show:
        screen.print(f"the first {len(bars)} instructions of one {card.chip.core_name}:")
        screen.print(terminal(bars, min(110, max(40, screen.width - 16))))
    if svg:
        Path(svg).write_text(drawn(bars, f"{one.name} on {card.title}"), encoding="utf-8")
        screen.print(f"picture written to {svg}")


def _tell(one: Kernel, program: Program, card: Card, found: KernelTime) -> None:
    from suiren.units import show_bytes, show_rate, show_time

    shapes = ", ".join(f"{t.name} {t.dtype}{list(t.shape)}" for t in program.tensors)
    screen.print(f"{one.name} on {card.title}: {shapes}", highlight=False)
    timing, roof = found.timing, found.roofline
    memory = sum(t.bytes for t in program.tiles if t.space == "scratchpad")
    registers = sum(t.bytes for t in program.tiles if t.space == "registers")
    screen.print(
        f"  {show_time(found.seconds)} with launch, {show_time(timing.seconds)} without; "
        f"{100 * found.roofline_share:.0f} % of the attainable roofline "
        f"({show_time(found.attainable.seconds)}, {found.attainable.why}; "
        f"{show_time(roof.seconds)} at printed rates); bound by {timing.why}", highlight=False)  # fmt: skip
    parts = ", ".join(f"{name} {show_time(s)}" for name, s in timing.parts_s.items() if s)
    rate = show_rate(roof.flop / timing.seconds, "FLOP/s") if roof.flop else ""
    screen.print(f"  busy: {parts}" + (f"; {rate}" if rate else ""), highlight=False)
    screen.print(
        f"  scratchpad {show_bytes(memory)} of {show_bytes(card.chip.scratchpad_bytes)}, "
        f"registers {show_bytes(registers)} of {show_bytes(card.chip.register_bytes)}; "
        f"{timing.waves:,} waves; {found.energy_j * 1e3:.3g} mJ beyond idle", highlight=False)  # fmt: skip


def _emulated(program: Program) -> None:
    import numpy as np

    from suiren.core.emulate import emulate
    from suiren.core.tile import KernelMistake

    size = sum(t.bytes for t in program.tensors)
    if size > 1 << 26:
        raise KernelMistake(
            f"--emulate runs every instruction in Python; {size >> 20} MiB of tensors would take "
            "very long, 64 MiB are the most; set smaller sizes with --set"
        )
    rng = np.random.default_rng(0)
    arrays = {t.name: rng.standard_normal(t.shape) for t in program.tensors
              if t.name not in program.written}  # fmt: skip
    for name, values in emulate(program, arrays).items():
        lost = int(np.isnan(values).sum())
        told = f"{lost:,} of them NaN" if lost else "none of them NaN"
        screen.print(f"  emulated: {name} has {values.size:,} numbers, {told}", highlight=False)
