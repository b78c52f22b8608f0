"""Reads that wander along dimensions: nearest upsampling, roll, flip, repeat.

`remap("x T[A,H,W] -> y T[A,P,Q]", H="i * H // P", W="i * W // Q")` computes, for every tile
of the result and every dimension of x named, where its positions `i` come from; the copy
engine fetches rows and columns from there. Sizes may be used by name, options too.
"""

from __future__ import annotations

from typing import Any

from suiren.core.index import Range
from suiren.core.kernel import Kernel
from suiren.core.language import Core, Source
from suiren.core.signature import Signature
from suiren.core.tile import Tensor, Tile
from suiren.kernels.chain import Chain
from suiren.kernels.tiling import run, steps_of


def remap(signature: str, name: str = "remap", **origins: str) -> Kernel:
    """A kernel with the origins of positions by dimension of its input.

    Options: `tile` elements a tile, `stages`, those of a grid, and numbers that the origins
    name, in the dict `values`. A position outside of the input reads as zero.
    """
    parsed = Signature.parse(signature)
    chains = {d: Chain.parse(f"at = {text}") for d, text in origins.items()}
    dims = parsed.inputs[0].sizes

    def wander(
        core: Core, x: Tensor, y: Tensor, tile: int = 4096, stages: int = 2,
        values: dict[str, float] | None = None, **deal: Any,
    ) -> None:  # fmt: skip
        steps = steps_of(y.shape, tile)
        sizes = {d: float(s) for p, t in zip(parsed.parameters, (x, y), strict=True)
                 for d, s in zip(p.sizes, t.shape, strict=True)}  # fmt: skip
        known: dict[str, Source] = {**sizes, **(values or {})}
        block = core.scratchpad(steps, y.dtype, stages)
        for places in core.grid(*zip(y.shape, steps, strict=True), **deal):
            at = places if len(steps) > 1 else (places,)
            origin = tuple(_origin(core, chains[d], p, known) if d in chains else p
                           for d, p in zip(dims, at, strict=True))  # fmt: skip
            core.load(block, x[origin])
            core.wait(block)
            core.store(y[at], block)

    wander.__name__ = name
    return Kernel(wander, parsed, {})


def _origin(core: Core, chain: Chain, place: Range, known: dict[str, Source]) -> Tile:
    here, there = (core.registers((place.size,), "i64") for _ in range(2))
    core.iota(here, place, axis=0)
    run(core, chain, {**known, "i": here}, {"at": there}, "i64")
    return there


def upsample_nearest() -> Kernel:
    """Nearest neighbours in two dimensions: "x T[A,H,W] -> y T[A,P,Q]"."""
    return remap("x T[A,H,W] -> y T[A,P,Q]", "upsample_nearest", H="i * H // P", W="i * W // Q")


def roll() -> Kernel:
    """Positions of a middle dimension moved round by the value `shift`, from 0 up to N."""
    return remap("x T[A,N,B] -> y T[A,N,B]", "roll", N="(i - shift) % N")


def flip() -> Kernel:
    """A middle dimension backwards."""
    return remap("x T[A,N,B] -> y T[A,N,B]", "flip", N="N - 1 - i")


def repeat() -> Kernel:
    """A middle dimension over and over: "x T[A,N,B] -> y T[A,K,B]"."""
    return remap("x T[A,N,B] -> y T[A,K,B]", "repeat", N="i % N")


def repeat_interleave() -> Kernel:
    """Every position of a middle dimension K/N times: "x T[A,N,B] -> y T[A,K,B]"."""
    return remap("x T[A,N,B] -> y T[A,K,B]", "repeat_interleave", N="i * N // K")
