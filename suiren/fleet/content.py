"""What each chunk of a pipeline's stages holds: layers of each sort, embedding, head."""

from __future__ import annotations

from suiren.fleet.layout import Layout
from suiren.fleet.model import Model

#: What a chunk holds: plain layers, mixtures, layers that attend to an encoder, embedding? head?
Content = tuple[int, int, int, bool, bool]


def held_by(model: Model, layout: Layout) -> list[list[Content]]:
    """What each chunk of each stage holds, `[stage][chunk]`."""
    found: list[list[Content]] = [[] for _ in range(layout.pp)]
    counts = layout.stage_layers(model)
    first = 0
    for chunk in range(layout.vpp):
        for stage in range(layout.pp):
            count = counts[stage][chunk]
            dense = max(0, min(first + count, model.dense_layers) - first)
            mixed = count - dense if model.experts else 0
            cross = max(0, first + count - max(first, model.layers - model.decoder_layers))
            last = (stage, chunk) == (layout.pp - 1, layout.vpp - 1)
            found[stage].append((count - mixed - cross, mixed, cross, stage + chunk == 0, last))
            first += count
    return found
