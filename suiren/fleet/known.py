"""What many layouts share: pieces of a share, weights of a stage, messages, what follows a step.

Each is worked out once by the functions that a single step uses, and kept.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from suiren.fleet.after import after_stage, send_s
from suiren.fleet.block import layer
from suiren.fleet.columns import Layouts
from suiren.fleet.ends import embedding, head
from suiren.fleet.framework import Framework
from suiren.fleet.layout import BadLayout, Layout
from suiren.fleet.memory import last_bytes, results_bytes
from suiren.fleet.model import Model
from suiren.fleet.part import Part
from suiren.fleet.share import kept_whole, share_of
from suiren.fleet.step import pieces_of
from suiren.fleet.weights import weights_of
from suiren.hw.cluster import Cluster

Floats = NDArray[np.float64]
Index = NDArray[np.intp]
SHARE = ("tp", "cp", "ep", "micro_batch", "sequence_parallel", "overlap_tensor", "recompute",
         "precision", "distinct_tokens")  # fmt: skip
SHAPE = ("pp", "vpp", "first_stage_layers", "last_stage_layers")


@dataclass(frozen=True, slots=True, eq=False)
class Job:
    """What all rows have in common; a cluster is equal to itself alone."""

    model: Model
    cluster: Cluster
    framework: Framework

    def __hash__(self) -> int:
        return hash((self.model, id(self.cluster), self.framework))

    def __eq__(self, other: object) -> bool:
        return (isinstance(other, Job) and self.cluster is other.cluster
                and (self.model, self.framework) == (other.model, other.framework))  # fmt: skip


@dataclass(frozen=True, eq=False)
class Known:
    """What was worked out for a job, by the columns that it depends on."""

    job: Job
    tables: dict[str, dict[tuple[int, ...], Floats]] = field(default_factory=dict)
    refusals: dict[tuple[int, ...], str] = field(default_factory=dict)
    """Why a source has no parts for a share, by the columns of `SHARE`."""

    def table(
        self, name: str, rows: Layouts, columns: Sequence[str], make: Callable[..., Any],
        beside: Sequence[NDArray[Any]] = (),
    ) -> tuple[Floats, Index]:
        """A table [numbers..., distinct] and the place of each row in it.

        `make` tells the numbers of one layout, which depend on `columns` only and on the numbers
        `beside` them, with which it is called as well.
        """
        known = self.tables.setdefault(name, {})
        arrays = [getattr(rows, column) for column in columns] + list(beside)
        first, place = distinct(arrays)
        keys = list(zip(*(array[first].tolist() for array in arrays), strict=True))
        for row, key in zip(first.tolist(), keys, strict=True):
            if key not in known:
                extra = [int(array[row]) for array in beside]
                known[key] = np.asarray(make(rows[row], *extra), np.float64)
        return np.stack([known[key] for key in keys], -1), place

    def pieces(self, rows: Layouts) -> tuple[Floats, Index]:
        """[part, way, numbers of Cost, shares] Parts: dense, mixed, cross, embedding, head."""
        return self.table("pieces", rows, SHARE, self._pieces)

    def _pieces(self, layout: Layout) -> list[list[tuple[float, ...]]]:
        job = self.job
        found = pieces_of(share_of(job.model, layout, job.framework), job.cluster, layout)
        parts = (found.dense, found.mixed, found.cross, found.embedding, found.head)
        return [[way.values() for way in part] for part in parts]

    def refused(self, rows: Layouts) -> NDArray[np.bool_]:
        """Rows whose parts the framework's source cannot give; `refusals` keeps the sentences."""
        if self.job.framework.source is None or not len(rows):
            return np.zeros(len(rows), np.bool_)
        found, share = self.table("refused", rows, SHARE, self._refused)
        return np.asarray(found[share] > 0)

    def _refused(self, layout: Layout) -> float:
        try:
            self._kept(layout)
        except BadLayout as problem:
            self.refusals[share_key(Layouts.of([layout]), 0)] = str(problem)
            return 1.0
        return 0.0

    def kept(self, rows: Layouts) -> tuple[Floats, Index]:
        """[21, shares] Bytes that parts keep and work with.

        Kept by a layer [experts?, cross?], by one with nothing computed again (0 where the layout
        computes nothing again), a layer's working memory; kept by embedding and head, the head's
        working memory, kept by the head at the end of a pipeline; results of a layer's products
        [experts?, cross?], logits.
        """
        return self.table("kept", rows, SHARE, self._kept)

    def _kept(self, layout: Layout) -> list[float]:
        model = self.job.model
        share = share_of(model, layout, self.job.framework)
        sorts = [(e, c) for e in (False, True) for c in (False, True)]
        # a traced model has no layer of a sort that it does not hold
        has = (not model.experts or model.dense_layers > 0, model.experts > 0)
        exists = [has[e] and (not c or model.decoder_layers > 0) for e, c in sorts]
        whole = kept_whole(share)
        again = layout.recompute == "full"
        nothing, last = Part(), head(share)
        parts = [layer(share, *sort) if is_one else nothing
                 for sort, is_one in zip(sorts, exists, strict=True)]  # fmt: skip
        wholes = [layer(whole, *sort) if is_one and again else nothing
                  for sort, is_one in zip(sorts, exists, strict=True)]  # fmt: skip
        return [*(part.saved_bytes for part in (*parts, *wholes)),
                *(part.working_bytes for part in parts),
                embedding(share).saved_bytes, last.saved_bytes, last.working_bytes,
                last_bytes(share, 2), *(results_bytes(part) for part in parts),
                share.ops.size(share.tokens, share.vocab)]  # fmt: skip

    def weights(self, rows: Layouts) -> tuple[Floats, Index]:
        """[watched stage, dense or experts, distinct] Weights of a rank."""
        return self.table("weights", rows, ("tp", "ep", *SHAPE), self._weights)

    def _weights(self, layout: Layout) -> list[tuple[float, float]]:
        stages = (0, layout.pp // 2, layout.pp - 1)
        found = [weights_of(self.job.model, layout, stage) for stage in stages]
        return [(one.dense, one.experts) for one in found]

    def messages(self, rows: Layouts) -> tuple[Floats, Index]:
        """[distinct] Seconds of a message between stages."""
        columns = ("tp", "cp", "dp", "micro_batch", "sequence_parallel", "precision")
        return self.table("messages", rows, columns, self._message, [rows.pp > 1])

    def _message(self, layout: Layout, _: int) -> float:
        job = self.job
        return send_s(layout, share_of(job.model, layout, job.framework), job.cluster)

    def after(self, rows: Layouts, most: Index) -> tuple[Floats, Index]:
        """[numbers of `After`, distinct] for the stage `most` of each row."""
        columns = ("tp", "cp", "ep", "dp", "precision", "offload", *SHAPE)
        return self.table("after", rows, columns, self._after, [rows.zero > 0, most])

    def _after(self, layout: Layout, _: int, most: int) -> list[float]:
        job = self.job
        found = after_stage(job.model, layout, job.framework, job.cluster, most)
        return [found.reduce_s, found.gather_s, found.buckets, found.tied_s, found.optimizer_s,
                found.optimizer_j]  # fmt: skip


@lru_cache(maxsize=8)
def known_of(job: Job) -> Known:
    """What is known of a job."""
    return Known(job)


def share_key(rows: Layouts, row: int) -> tuple[int, ...]:
    """What the parts of a row depend on."""
    return tuple(int(getattr(rows, name)[row]) for name in SHARE)


def distinct(columns: Sequence[NDArray[Any]]) -> tuple[Index, Index]:
    """Rows whose columns are the first of their kind, and the place of every row among them."""
    key = np.zeros(len(columns[0]), np.int64)
    for column in columns:
        low = int(column.min(initial=0))
        key = key * (int(column.max(initial=0)) - low + 1) + (column.astype(np.int64) - low)
    _, first, place = np.unique(key, return_index=True, return_inverse=True)
    return first, place
