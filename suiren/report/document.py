"""The answer as a JSON document: units in the keys, the same bytes for the same run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from suiren import __version__
from suiren.report.answer import Answer, Row
from suiren.report.host import host_document

SCHEMA = 1
#: Rows of the long tables that a document keeps.
MAX_ROWS = 200


def document(answer: Answer, most_rows: int = MAX_ROWS) -> dict[str, Any]:
    """Everything an answer says; of each long table the `most_rows` longest."""
    return {
        "schema": SCHEMA,
        "suiren": __version__,
        "script": answer.program.facts.get("script", ""),
        "numerics": answer.program.facts.get("numerics", True),
        "outcome": answer.program.facts.get("outcome", "finished"),
        "is_whole_step": answer.is_whole,
        "card": _card(answer),
        "steps": {
            "num_steps": len(answer.step_times_s),
            "num_warm_up": answer.num_warm_up,
            "num_distinct": len(answer.program.distinct),
            "step_times_s": list(answer.step_times_s),
        },
        **_speed(answer),
        **_memory(answer, most_rows),
        "energy_j": answer.energy_j,
        "clock_share": answer.clock_share,
        "average_power_w": answer.average_power_w,
        "energy_per_sample_j": answer.energy_j / answer.batch.samples,
        "time_split_s": answer.split_s,
        "time_split_share": {k: _share(v, answer) for k, v in answer.split_s.items()},
        "host_work": host_document(answer),
        "phases_s": answer.phases_s,
        "ops": [_row(r, answer) for r in answer.ops[:most_rows]],
        "modules": [_row(r, answer) for r in answer.modules[:most_rows]],
        "calls": [_row(r, answer) for r in answer.shapes[:most_rows]],
        **_doubts(answer),
    }


def _share(seconds: float, answer: Answer) -> float:
    return seconds / answer.step_time_s if answer.step_time_s else 0.0


def _card(answer: Answer) -> dict[str, Any]:
    card = answer.card
    return {
        "name": card.name,
        "title": card.title,
        "memory_bytes": int(card.memory_bytes),
        "memory_bytes_per_s": float(card.memory_bytes_per_s),
        "peak_flop_per_s": {f: card.peak_flop_per_s(f) for f in card.formats()},
        "tdp_w": float(card.tdp_w),
    }


def _speed(answer: Answer) -> dict[str, Any]:
    seconds = answer.step_time_s
    batch = answer.batch
    return {
        "step_time_s": seconds,
        "batch": {
            "samples": batch.samples,
            "sequence": batch.sequence,
            "tokens": batch.tokens,
            "micro_batches": batch.calls,
            "inputs": list(batch.inputs),
        },
        "samples_per_s": batch.samples / seconds if seconds else 0.0,
        "tokens_per_s": batch.tokens / seconds if batch.tokens and seconds else None,
        "mfu": answer.mfu,
        "hfu": answer.hfu,
        "model_flop": answer.model_flop,
        "hardware_flop": answer.hardware_flop,
        "flop_by_format": answer.flop_by_format,
        "peak_flop_per_s": answer.peak_flop_per_s,
        "achieved_flop_per_s": answer.hardware_flop / seconds if seconds else 0.0,
    }


def _memory(answer: Answer, most_rows: int) -> dict[str, Any]:
    return {
        "peak_memory_bytes": answer.peak_bytes,
        "steady_peak_memory_bytes": answer.memory.peak_bytes,
        "memory_capacity_bytes": int(answer.card.memory_bytes),
        "memory_by_kind_bytes": answer.memory.by_kind(),
        "memory_owners": [
            {"kind": o.kind, "name": o.name, "bytes": o.bytes}
            for o in answer.memory.owners[:most_rows]
        ],
        "out_of_memory": answer.program.facts.get("out_of_memory"),
        "fit": answer.program.facts.get("fit") or _fit(answer),
    }


def _fit(answer: Answer) -> dict[str, Any] | None:
    fit = answer.fit
    if fit is None:
        return None
    return {
        "needed_bytes": answer.memory.peak_bytes,
        "fixed_bytes": fit.fixed_bytes,
        "per_batch_bytes": fit.per_batch_bytes,
        "batch": fit.batch,
        "micro_batches": fit.micro_batches,
        "sequence": fit.sequence,
        "largest_batch": fit.largest_batch,
        "largest_sequence": fit.largest_sequence,
        "sentence": fit.sentence,
    }


def _row(row: Row, answer: Answer) -> dict[str, Any]:
    return {
        "name": row.name,
        "family": row.family,
        "calls": row.calls,
        "time_s": row.time_s,
        "share": _share(row.time_s, answer),
        "bound_by": row.why,
        "roofline_share": row.roofline_share,
        "flop": row.flop,
        "memory_bytes": row.memory_bytes,
        "launches": row.launches,
    }


def _doubts(answer: Answer) -> dict[str, Any]:
    return {
        "approximated": {
            "share": answer.approximated_share,
            "ops": [_row(r, answer) for r in answer.approximated],
        },
        "fallbacks": [],
        "hazards": [
            {"kind": h.kind, "op": h.op, "count": h.count, "text": h.text} for h in answer.hazards
        ],
        "assumed": [
            {
                "name": r.name,
                "value": float(r.fact),
                "kind": r.fact.kind,
                "source": r.fact.source,
                "effect_of_20_percent_more_percent": r.effect_percent,
            }
            for r in answer.rested
        ],
        "changes": [
            {
                "name": c.name,
                "how": c.how,
                "step_time_s": c.step_time_s,
                "gain_percent": c.gain_percent,
                "caution": c.caution,
            }
            for c in answer.changes
        ],
    }


def write_document(answer: Answer, path: Path) -> None:
    """Writes the document; the same run gives the same bytes."""
    path.write_text(json.dumps(document(answer), indent=1, sort_keys=True) + "\n")
