"""The shape of a pipeline: which chunks hold the same, which stages are alike."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from suiren.fleet.content import Content, held_by
from suiren.fleet.layout import Layout
from suiren.fleet.model import Model
from suiren.fleet.weights import layers_before


@dataclass(frozen=True, eq=False)
class Shape:
    """Chunks by kind: all chunks of a kind hold as many layers of each sort."""

    contents: tuple[Content, ...]
    """What each kind holds, in the order of their first chunks."""
    kind: NDArray[np.intp]
    """[pp, vpp] Kind of each chunk."""
    stages: tuple[int, ...]
    """The first stage of each sort of stages whose chunks are of the same kinds."""
    watched: tuple[int, int, int]
    """Stages whose memory is told: first, middle, last."""
    layers: NDArray[np.int64]
    """[watched, experts?, cross?] Their layers, by sort."""

    @property
    def pp(self) -> int:
        """Stages."""
        return len(self.kind)

    @property
    def vpp(self) -> int:
        """Chunks of a stage."""
        return int(self.kind.shape[1])


@lru_cache(maxsize=4096)
def shape_of(model: Model, pp: int, vpp: int, first: int, last: int) -> Shape:
    """The shape of a model over stages and chunks; `first`, `last`: layers of the end stages."""
    layout = Layout(global_batch=pp * vpp, pp=pp, vpp=vpp, first_stage_layers=first,
                    last_stage_layers=last)  # fmt: skip
    held = held_by(model, layout)
    contents = list(dict.fromkeys(one for stage in held for one in stage))
    kind = np.array([[contents.index(one) for one in stage] for stage in held], np.intp)
    sorts: dict[tuple[int, ...], int] = {}
    for stage, kinds in enumerate(kind.tolist()):
        sorts.setdefault(tuple(kinds), stage)
    watched = (0, pp // 2, pp - 1)
    layers = np.zeros((3, 2, 2), np.int64)
    for n, stage in enumerate(watched):
        for before, count in layers_before(model, layout, stage):
            for one in range(before, before + count):
                cross = one >= model.layers - model.decoder_layers
                layers[n, int(model.has_experts(one)), int(cross)] += 1
    return Shape(tuple(contents), kind, tuple(sorts.values()), watched, layers)
