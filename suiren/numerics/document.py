"""What a run in lock-step has shown, as JSON."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from suiren.numerics.parting import Parted
from suiren.numerics.retry import Tried
from suiren.numerics.run import Found
from suiren.numerics.trouble import as_json
from suiren.report.answer import NothingRan, answer


def step_time_s(found: Found) -> float | None:
    """Simulated time of the steady step, None where no step ran."""
    try:
        return float(answer(found.outcome.program, found.card).step_time_s)
    except NothingRan:
        return None


def document(found: Found, fixes: Sequence[Tried]) -> dict[str, Any]:
    """Everything, with plain types; units stand in the keys."""
    parting = found.seen.parting
    return {
        "script": found.script,
        "on": found.card.name,
        "against": found.against.name,
        "ended": "stopped at the first NaN" if found.stopped else found.outcome.ended,
        "error": found.outcome.error.strip().rpartition("\n")[2],
        "num_steps": found.num_steps,
        "num_ops": found.seen.num_ops,
        "held_bytes": found.held_bytes,
        "step_time_s": step_time_s(found),
        "findings": [as_json(t) for t in found.findings],
        "runs_part": None if parting.first is None else _parted(parting.first),
        "by_module": [_parted(p) for p in parting.by_module.values()],
        "by_step": [{"step": s, "relative": v} for s, v in sorted(parting.by_step.items())],
        "losses": [
            {"step": loss.step, "card": loss.card, "against": loss.shadow,
             "difference": loss.card - loss.shadow}
            for loss in found.losses
        ],
        "skipped_steps": found.scaling.skipped,
        "loss_scale": found.scaling.scale or None,
        "fixes": [
            {**t.fix.as_json(), "vanished": t.vanished, "told": t.told,
             "step_time_s": t.step_time_s}
            for t in fixes
        ],
        "ops_not_run_again": dict(sorted(found.seen.unwatched.items())),
        "why_not_run_again": dict(sorted(found.seen.why_unwatched.items())),
    }  # fmt: skip


def _parted(parted: Parted) -> dict[str, Any]:
    place = parted.place
    return {
        "step": place.step, "phase": place.phase, "module": place.module, "file": place.file,
        "line": place.line, "op": place.op, "format": parted.format,
        "relative": parted.relative, "units": parted.units,
        "inputs_relative": parted.inputs, "how": parted.how,
    }  # fmt: skip


def write(given: dict[str, Any], path: Path) -> None:
    """Writes the document; what is not finite becomes text, as JSON has no number for it."""
    path.write_text(json.dumps(_plain(given), indent=1, ensure_ascii=False) + "\n")


def _plain(thing: Any) -> Any:
    if isinstance(thing, float) and not math.isfinite(thing):
        return "nan" if math.isnan(thing) else "inf" if thing > 0 else "-inf"
    if isinstance(thing, dict):
        return {key: _plain(value) for key, value in thing.items()}
    if isinstance(thing, (list, tuple)):
        return [_plain(item) for item in thing]
    return thing
