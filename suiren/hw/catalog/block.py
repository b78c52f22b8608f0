"""The fields of a catalogue block: what must be given, and what a rule fills in otherwise."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypedDict

from suiren.hw.pace import Pace
from suiren.hw.spec import Chip, Conflict, Link


class _ChipNeeds(TypedDict):
    source: str
    name: str
    title: str
    vendor: str
    family: str
    year: int
    core_name: str
    matrix: Mapping[str, float]
    vector: Mapping[str, float]
    special_per_cycle: float
    tile_mnk: tuple[int, int, int]
    scratchpad_bytes: float
    register_bytes: float


class ChipBlock(_ChipNeeds, total=False):
    """Fields of a chip as a catalogue block writes them; see `Chip` for their meaning."""

    lacks: frozenset[str]
    skips: Mapping[str, str]
    core_groups: float
    process_nm: float


class _CardNeeds(TypedDict):
    source: str
    name: str
    title: str
    chip: Chip
    year: int
    form: str
    cores: float
    clock_hz: float
    memory_bytes: float
    memory_bytes_per_s: float
    memory_type: str
    l2_bytes: float
    tdp_w: float


class CardBlock(_CardNeeds, total=False):
    """Fields of a card as a catalogue block writes them; see `Card` for their meaning."""

    use: str
    vector_clock_hz: float
    l2_bytes_per_s: float
    host: str
    host_bytes_per_s: float
    idle_w: float
    launch_s: float
    host_issue_s: float
    matrix_efficiency: float
    memory_efficiency: float
    memory_latency_s: float
    printed: Mapping[str, float]
    pace: Pace
    link: Link | None
    aliases: tuple[str, ...]
    capability: tuple[int, int]
    conflicts: tuple[Conflict, ...]
    notes: tuple[str, ...]
