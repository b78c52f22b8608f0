"""Random numbers of `torch.gcu`: one generator a device, apart from the host's."""

from __future__ import annotations

from collections.abc import Iterable

import torch

from suiren.torch.where import Where, index_of

generators: list[torch.Generator] = []
"""One a device, filled when the device starts."""


def manual_seed(seed: int) -> None:
    """Seeds the current device."""
    generators[index_of(None)].manual_seed(seed)


def manual_seed_all(seed: int) -> None:
    """Seeds every device."""
    for generator in generators:
        generator.manual_seed(seed)


def seed() -> None:
    """Seeds the current device from the host's entropy."""
    generators[index_of(None)].seed()


def seed_all() -> None:
    """Seeds every device alike from the host's entropy."""
    manual_seed_all(generators[0].seed())


def initial_seed() -> int:
    """The seed of the current device."""
    return generators[index_of(None)].initial_seed()


def get_rng_state(where: Where = None) -> torch.Tensor:
    """State of a device's generator."""
    return generators[index_of(where)].get_state()


def set_rng_state(state: torch.Tensor, where: Where = None) -> None:
    """Restores a state."""
    generators[index_of(where)].set_state(state)


def get_rng_state_all() -> list[torch.Tensor]:
    """States of all devices."""
    return [generator.get_state() for generator in generators]


def set_rng_state_all(states: Iterable[torch.Tensor]) -> None:
    """Restores the states of all devices."""
    for generator, state in zip(generators, states, strict=False):
        generator.set_state(state)
