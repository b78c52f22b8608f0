"""The tensors a kernel takes: `a T[M,K]; b T[K,N] -> c T[M,N]`.

A name, a format (or a capital letter that stands for one), and sizes by name or number.
What follows `->` is written.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from suiren.core.tile import KernelMistake, Tensor
from suiren.dtype import FORMATS

_ONE = re.compile(r"^(\w+)\s+(\w+)\[([\w\s,]*)\]$")


@dataclass(frozen=True, slots=True)
class Parameter:
    """One tensor of a kernel: sizes are names or numbers."""

    name: str
    dtype: str
    sizes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Signature:
    """The tensors a kernel reads and those it writes, in the order of its arguments."""

    inputs: tuple[Parameter, ...]
    outputs: tuple[Parameter, ...]

    @classmethod
    def parse(cls, text: str) -> Signature:
        """Raises KernelMistake where the text does not follow the form."""
        before, arrow, after = text.partition("->")
        if not arrow or not after.strip():
            raise KernelMistake(f"{text!r} names no result; write 'a T[M,K] -> c T[M,K]'")
        return cls(_parameters(before), _parameters(after))

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        """All of them, in the order of the kernel's arguments."""
        return self.inputs + self.outputs

    def tensors(self, sizes: Mapping[str, int | str]) -> tuple[Tensor, ...]:
        """Tensors of the sizes and formats given by name."""
        return tuple(
            Tensor(p.name, tuple(_size(p, s, sizes) for s in p.sizes), _format(p, sizes))
            for p in self.parameters
        )

    def bind(self, shapes: list[tuple[tuple[int, ...], str]]) -> dict[str, int | str]:
        """Sizes and formats by name, from the (shape, format) of every input.

        Raises KernelMistake with both numbers where one name would get two sizes.
        """
        if len(shapes) != len(self.inputs):
            raise KernelMistake(f"{len(self.inputs)} tensors are taken, {len(shapes)} were given")
        found: dict[str, int | str] = {}
        for parameter, (shape, dtype) in zip(self.inputs, shapes, strict=True):
            if len(shape) != len(parameter.sizes):
                sizes = ", ".join(parameter.sizes)
                raise KernelMistake(f"{parameter.name} has {len(parameter.sizes)} dimensions "
                                    f"[{sizes}], not {list(shape)}")  # fmt: skip
            for name, size in zip(parameter.sizes, shape, strict=True):
                known = int(name) if name.isdigit() else found.setdefault(name, size)
                if known != size:
                    raise KernelMistake(f"{parameter.name}: {name} is {known} elsewhere, "
                                        f"but {size} here")  # fmt: skip
            if parameter.dtype in FORMATS:
                known = parameter.dtype
            else:
                known = found.setdefault(parameter.dtype, dtype)
            if known != dtype:
                raise KernelMistake(f"{parameter.name} is {dtype}, but {known} is taken")
        return found


def _parameters(text: str) -> tuple[Parameter, ...]:
    found = []
    for part in filter(None, (p.strip() for p in text.split(";"))):
        match = _ONE.match(part)
        if match is None:
            raise KernelMistake(f"{part!r} is not 'name format[size, …]', as in 'a bf16[M, K]'")
        name, dtype, sizes = match.groups()
        names = tuple(s.strip() for s in sizes.split(",") if s.strip())
        found.append(Parameter(name, dtype, names))
    return tuple(found)


def _size(parameter: Parameter, name: str, sizes: Mapping[str, int | str]) -> int:
    if name.isdigit():
        return int(name)
    value = sizes.get(name)
    if not isinstance(value, int) or value < 1:
        raise KernelMistake(
            f"{parameter.name}: the size {name} is {value!r}; a whole number is needed"
        )
    return value


def _format(parameter: Parameter, sizes: Mapping[str, int | str]) -> str:
    dtype = parameter.dtype if parameter.dtype in FORMATS else sizes.get(parameter.dtype)
    if not isinstance(dtype, str) or dtype not in FORMATS:
        raise KernelMistake(f"{parameter.name}: the format {parameter.dtype} is {dtype!r}; "
                            f"one of {', '.join(FORMATS)} is needed")  # fmt: skip
    return dtype
