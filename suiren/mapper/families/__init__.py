"""Families of kernels: each turns a call into work. A new family is one file and one row here."""

from __future__ import annotations

from functools import lru_cache
from typing import Protocol

from suiren.mapper.families import (
    attention,
    convolution,
    copy,
    factorisation,
    fourier,
    fused,
    gather,
    host,
    matmul,
    normalisation,
    optimizer,
    pointwise,
    pooling,
    random,
    recurrent,
    reduction,
    sparse,
)
from suiren.mapper.work import Kernel, Work, traffic
from suiren.trace.call import Call


class Family(Protocol):
    """What each module of this folder offers."""

    OPS: frozenset[str]
    """Names of the ops it covers, without namespace and overload."""

    def work(self, call: Call) -> Work:
        """The kernels of one call."""


_MODULES = (
    matmul, convolution, attention, normalisation, reduction, pooling, pointwise,
    gather, copy, random, optimizer, recurrent, fused, fourier, factorisation,
)  # fmt: skip
FAMILY_OF = {op: module for module in _MODULES for op in module.OPS}


@lru_cache(maxsize=None)
def _module(name: str) -> object:
    plain = name if name in FAMILY_OF else name.rstrip("_")
    plain = plain if plain in FAMILY_OF else plain.removesuffix("_out")
    if plain not in FAMILY_OF and name.startswith("_foreach_"):
        return optimizer
    return FAMILY_OF.get(plain)


def work_of(call: Call) -> Work:
    """The work of a call; an op no family covers counts its traffic and says so."""
    if call.op.startswith(sparse.NAMESPACE):
        return sparse.work(call)
    if call.op.startswith(host.NAMESPACE):
        return host.work(call)
    module = _module(call.name)
    if module is not None:
        work: Work = module.work(call)  # type: ignore[attr-defined]
        return work
    read, written = traffic(call)
    return Work("other", (Kernel(read_bytes=read, write_bytes=written),), approximated=True)
