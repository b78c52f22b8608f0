"""Reading a Python file of kernels, and building one with the sizes and options of `--set`."""

from __future__ import annotations

import importlib.util
import inspect
import sys
import traceback
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from suiren.core.kernel import Kernel
    from suiren.core.program import Program

Setting = int | float | bool | str


def settings(texts: tuple[str, ...]) -> dict[str, Setting]:
    """`NAME=VALUE` each: a whole number, a number, true or false, else a word."""
    found: dict[str, Setting] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not name.isidentifier() or not value:
            raise click.UsageError(f"--set {text}: write NAME=VALUE, as in M=4096")
        found[name] = _value(value)
    return found


def _value(text: str) -> Setting:
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    for form in (int, float):
        try:
            return form(text)
        except ValueError:
            continue
    return text


def kernels(file: str, name: str | None) -> list[Kernel]:
    """The kernels that a file defines, or the one of that name."""
    from suiren.core.kernel import Kernel

    path = Path(file)
    if not path.is_file():
        raise click.UsageError(f"{file}: there is no such file")
    found = [v for v in vars(_module(path)).values() if isinstance(v, Kernel)]
    found = list({id(k): k for k in found}.values())
    if not found:
        raise click.UsageError(f"{file} defines no kernel; decorate a function with "
                               "@suiren.kernel('a f32[N] -> b f32[N]', N=4096)")  # fmt: skip
    if name is None:
        return found
    chosen = [k for k in found if k.name == name]
    if not chosen:
        raise click.UsageError(f"{file} has no kernel {name!r}; it has "
                               f"{', '.join(k.name for k in found)}")  # fmt: skip
    return chosen


def _module(path: Path) -> object:
    name = f"kernels_of_{path.stem}"  # a file named like a module must not replace it
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise click.UsageError(f"{path} is not a Python file: its name does not end in .py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    sys.path.insert(0, str(path.parent))
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        raise click.UsageError(f"{path}: running it raised {_told(error, path)}") from None
    finally:
        sys.path.remove(str(path.parent))
    return module


def built(one: Kernel, given: dict[str, Setting]) -> Program:
    """The kernel's program; what is no size or format of its tensors is an option.

    Raises UsageError for a name it does not know and for a mistake while it is traced, and
    KernelMistake.
    """
    from suiren.core.program import Grid
    from suiren.core.tile import KernelMistake

    names = {size for p in one.signature.parameters for size in p.sizes if not size.isdigit()}
    names |= {p.dtype for p in one.signature.parameters} | one.example.keys()
    options = {name: value for name, value in given.items() if name not in names}
    _known(one, options, names)
    sizes = {n: v if isinstance(v, int) else str(v) for n, v in given.items() if n in names}
    try:
        program = one.build(sizes, **options)
    except KernelMistake:
        raise
    except Exception as error:
        file = Path(one.function.__code__.co_filename)
        raise click.UsageError(f"{one.name}: writing it down raised {_told(error, file)}") from None
    if not any(isinstance(node, Grid) for node in program.nodes):
        raise click.UsageError(f"{one.name} has no grid, so no core has anything to do; "
                               "write it in `for r in core.grid((extent, step)):`")  # fmt: skip
    return program


def _known(one: Kernel, options: dict[str, Setting], names: set[str]) -> None:
    parameters = list(inspect.signature(one.function).parameters.values())
    if any(p.kind is p.VAR_KEYWORD for p in parameters):
        return
    takes = [p.name for p in parameters[1 + len(one.signature.parameters) :]]
    for name in options:
        if name not in takes:
            known = [*sorted(names), *takes]
            near = get_close_matches(name, known, 1)
            raise click.UsageError(
                f"--set {name}: {one.name} takes no {name!r}"
                f"{f' (did you mean {near[0]!r}?)' if near else ''}; it takes {', '.join(known)}"
            )


def _told(error: BaseException, file: Path) -> str:
    """`TypeError in mine.py:12: the code: what it says`; the last line of the file it passed."""
    own = [f for f in traceback.extract_tb(error.__traceback__)
           if Path(f.filename).resolve() == file.resolve()]  # fmt: skip
    where = f" in {file.name}:{own[-1].lineno}: {own[-1].line}" if own else ""
    return f"{type(error).__name__}{where}: {error}"
