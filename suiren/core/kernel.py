"""A function over a `Core` with the tensors it takes: a kernel, which builds programs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from suiren.core.language import Core
from suiren.core.program import Program
from suiren.core.signature import Signature
from suiren.core.tile import KernelMistake, Tensor


@dataclass(frozen=True, eq=False)
class Kernel:
    """A kernel: its function, the tensors it takes, and the sizes it is tried with."""

    function: Callable[..., None]
    signature: Signature
    example: dict[str, int | str]

    @property
    def name(self) -> str:
        """The function's name."""
        return self.function.__name__

    def build(self, sizes: dict[str, int | str] | None = None, **options: object) -> Program:
        """The program for sizes and formats by name (`M=4096`, `T="bf16"`); `options` are tiles.

        Raises KernelMistake where shapes do not fit.
        """
        return self.trace(self.signature.tensors({**self.example, **(sizes or {})}), **options)

    def trace(self, tensors: tuple[Tensor, ...], **options: object) -> Program:
        """The program for given tensors."""
        core = Core()
        try:
            self.function(core, *tensors, **options)
        except TypeError as mistake:
            if "argument" in str(mistake):
                raise KernelMistake(f"{self.name}: {mistake}") from None
            raise
        return Program(self.name, tensors, tuple(core.tiles), tuple(core._bodies[0]),
                       tuple(core.written))  # fmt: skip


def kernel(signature: str, **example: int | str) -> Callable[[Callable[..., None]], Kernel]:
    """Makes a function over a `Core` a kernel; see the top of `language.py`."""

    def made(function: Callable[..., None]) -> Kernel:
        return Kernel(function, Signature.parse(signature), dict(example))

    return made
