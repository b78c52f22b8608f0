"""Random numbers of sharded tensors: shards differ, copies of a shard are equal.

PyTorch steers a counter in the state of CUDA's generator; the card's generator has no counter.
Here the generator's state, the same on every rank that was seeded alike, gives two seeds: one
for the op, to which the shard's place is added, and one from which the generator goes on. No op of
the card is spent on it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch.distributed.tensor import _dispatch, _random

#: Seeds are below this.
_MOST = 1 << 62
_installed = False


def install() -> None:
    """Takes over how ranks draw for sharded tensors; a second call does nothing."""
    global _installed
    if _installed:
        return
    _installed = True
    tracker: Any = _random.OffsetBasedRNGTracker
    tracker._distribute_region = _region
    tracker._compute_rng_offsets = lambda self, spec: (_shard_of(spec), 0)
    dispatching: Any = _dispatch
    dispatching.run_dtensor_rng_op = _run


def _run(shard: int, _: int, op: Callable[..., Any], *arguments: Any, **keywords: Any) -> Any:
    """An op on the shard of that place, drawing from the device's own generator."""
    with _seeded(torch.gcu.default_generators[torch.gcu.current_device()], shard):
        return op(*arguments, **keywords)


@contextmanager
def _region(tracker: Any, spec: Any, generator: torch.Generator | None = None) -> Iterator[None]:
    if generator is None and not tracker.distribute_region_enabled:
        yield
        return
    with _seeded(generator or torch.gcu.default_generators[torch.gcu.current_device()],
                 _shard_of(spec)):  # fmt: skip
        yield


def _shard_of(spec: Any) -> int:
    """The linear place of this rank's shard; copies of a shard have the same."""
    place = _random._calc_shard_info(spec.mesh.get_coordinate(), spec)
    return int(_random._calc_shard_linear_idx(*place))


@contextmanager
def _seeded(generator: torch.Generator, shard: int) -> Iterator[None]:
    """The generator as it is to be for one shard; afterwards further on, alike on all ranks."""
    digest = hashlib.blake2b(generator.get_state().numpy().tobytes(), digest_size=16).digest()
    key, after = (int.from_bytes(part, "little") for part in (digest[:8], digest[8:]))
    generator.manual_seed((key + 0x9E3779B97F4A7C15 * shard) % _MOST)
    try:
        yield
    finally:
        generator.manual_seed(after % _MOST)
