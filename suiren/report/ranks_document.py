"""The answer for many ranks as a JSON document."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from suiren.report.document import MAX_ROWS, document
from suiren.report.ranks import CollectiveRow, RankRow, RanksAnswer


def ranks_document(found: RanksAnswer, most_rows: int = MAX_ROWS) -> dict[str, Any]:
    """Everything the answer says; `busiest_rank` is the whole answer of the rank that bounds it.

    Of each long table in that the `most_rows` longest are kept.
    """
    seconds = found.step_time_s
    return {
        "schema": 1,
        "cluster": {
            "name": found.cluster.name,
            "title": found.cluster.title,
            "node": found.cluster.node.name,
            "num_nodes": found.cluster.num_nodes,
            "fabric": found.cluster.fabric,
        },
        "world_size": found.world_size,
        "step_time_s": seconds,
        "samples": found.samples,
        "samples_per_s": found.samples / seconds if seconds else 0.0,
        "tokens_per_s": found.tokens / seconds if found.tokens and seconds else None,
        "ranks_that_share_a_sample": found.model_parallel,
        "mfu": found.mfu,
        "model_flop": found.model_flop,
        "energy_j": found.energy_j,
        "peak_memory_bytes": found.peak_bytes,
        "num_classes": len(found.classes),
        "num_walked": found.num_walked,
        "notes": list(found.notes),
        "ranks": [_rank(row) for row in found.rows],
        "collectives": [_collective(row) for row in found.collectives],
        "busiest_rank": {"rank": found.rank, **document(found.main, most_rows)},
    }


def _rank(row: RankRow) -> dict[str, Any]:
    return {
        "rank": row.rank,
        "num_ranks_like_it": len(row.ranks),
        "time_split_s": row.split_s,
        "peak_memory_bytes": row.peak_bytes,
        "memory_by_kind_bytes": row.memory.by_kind(),
    }


def _collective(row: CollectiveRow) -> dict[str, Any]:
    return {
        "name": row.name,
        "group": row.group,
        "ranks": row.ranks,
        "algorithm": row.algorithm,
        "bound_by": row.bound,
        "count": row.count,
        "bytes": row.bytes,
        "time_s": row.time_s,
        "bus_bytes_per_s": row.bus_bytes_per_s,
    }


def write_ranks_document(found: RanksAnswer, path: Path) -> None:
    """Writes the document; the same run gives the same bytes."""
    path.write_text(json.dumps(ranks_document(found), indent=1, sort_keys=True) + "\n")
