"""The figures at the head of each kind of document, and how a number of each unit is shown."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from suiren.history.change import Change
from suiren.history.digest import look_up
from suiren.units import show_bytes, show_rate, show_time

#: A larger growth is told as a factor.
MOST_PERCENT = 1000.0
_STEP = (("step time", "step_time_s", "s"),)
_SPEED = (
    ("samples a second", "samples_per_s", "per_s"), ("tokens a second", "tokens_per_s", "per_s"),
    ("MFU", "mfu", "share"),
)  # fmt: skip
#: By kind: name, place in the document, unit.
FIGURES: dict[str, tuple[tuple[str, str, str], ...]] = {
    "run": (
        *_STEP, *_SPEED, ("HFU", "hfu", "share"),
        ("peak memory", "peak_memory_bytes", "bytes"),
        ("memory of the card", "memory_capacity_bytes", "bytes"),
        ("energy a step", "energy_j", "J"), ("energy a sample", "energy_per_sample_j", "J"),
        ("average power", "average_power_w", "W"),
        ("clock under the power limit", "clock_share", "share"),
        ("model FLOP", "model_flop", "FLOP"), ("hardware FLOP", "hardware_flop", "FLOP"),
        ("approximated", "approximated.share", "share"),
        ("batch", "batch.samples", "count"), ("sequence", "batch.sequence", "count"),
        ("micro-batches", "batch.micro_batches", "count"),
        ("steps that ran", "steps.num_steps", "count"),
        ("warm-up steps", "steps.num_warm_up", "count"),
        ("largest batch that fits", "fit.largest_batch", "count"),
    ),
    "ranks": (
        *_STEP, *_SPEED, ("ranks", "world_size", "count"),
        ("peak memory", "peak_memory_bytes", "bytes"), ("energy a step", "energy_j", "J"),
        ("model FLOP", "model_flop", "FLOP"), ("classes of ranks", "num_classes", "count"),
    ),
    "step": (
        ("step time", "step_s", "s"), ("tokens a second", "tokens_per_s", "per_s"),
        ("MFU", "mfu", "share"), ("HFU", "hfu", "share"),
        ("clock under the power limit", "clock", "share"), ("power", "power_w", "W"),
        ("hidden communication", "hidden_communication_s", "s"), ("ranks", "ranks", "count"),
    ),
    "goodput": (
        ("goodput", "goodput_share", "share"), ("steps", "steps", "count"),
        ("chips", "chips", "count"), ("step time", "step_s", "s"),
        ("mean time between failures", "mean_time_between_failures_s", "s"),
        ("steps between checkpoints", "checkpoint.every_steps", "count"),
        ("checkpoint", "checkpoint.bytes", "bytes"), ("its pause", "checkpoint.pause_s", "s"),
    ),
    "numerics": (
        *_STEP, ("steps", "num_steps", "count"), ("ops", "num_ops", "count"),
        ("skipped steps", "skipped_steps", "count"), ("loss scale", "loss_scale", "count"),
    ),
    "validation": (
        ("rows", "rows", "count"), ("predicted", "predicted", "count"),
        ("mean error", "overall.mape", "percent"), ("median error", "overall.median", "percent"),
        ("signed median", "overall.signed_median", "percent"),
        ("nine in ten within", "overall.p90", "percent"),
    ),
    "plan": (
        ("best step time", "best.0.step_s", "s"),
        ("tokens a second", "best.0.tokens_per_s", "per_s"), ("MFU", "best.0.mfu", "share"),
        ("memory", "best.0.memory_bytes", "bytes"), ("energy a step", "best.0.energy_j", "J"),
        ("power", "best.0.power_w", "W"), ("cost", "best.0.cost", "count"),
        ("chips", "best.0.chips", "count"), ("layouts searched", "searched", "count"),
        ("layouts that fit", "feasible", "count"),
    ),
}  # fmt: skip


def figures(kind: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> tuple[Change, ...]:
    """The figures of a kind that differ, in their own order."""
    found = []
    for name, place, unit in FIGURES[kind]:
        sides = [_number(look_up(document, place)) for document in (before, after)]
        if sides[0] != sides[1]:
            found.append(Change(name, sides[0], sides[1], unit))
    return tuple(found)


def _number(value: Any) -> float | None:
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return float(value) if is_number else None


def show(value: float | None, unit: str) -> str:
    """A number as a reader expects one of its unit; `–` where there is none."""
    if value is None:
        return "–"
    if unit == "s":
        return show_time(value) if value else "0 s"
    if unit == "bytes":
        return show_bytes(value)
    if unit == "share":
        return f"{100 * value:.2f} %"
    if unit == "percent":
        return f"{value:.1f} %"
    if unit == "per_s":
        return f"{value:,.1f}/s"
    if unit == "FLOP":
        return show_rate(value, "FLOP")
    return measured(value) + ("" if unit in ("count", "") else f" {unit}")


def measured(value: Any) -> str:
    """A number with what matters of it: whole ones whole, others with four digits."""
    if not isinstance(value, (int, float)):
        return str(value)
    return f"{value:,.0f}" if float(value).is_integer() else f"{value:.4g}"


def show_change(row: Change) -> str:
    """The change with its sign, in the row's own unit."""
    sign = "+" if row.by > 0 else "−" if row.by < 0 else ""
    if row.unit == "share":
        return f"{sign}{100 * abs(row.by):.2f} points"
    return sign + show(abs(row.by), row.unit)


def show_percent(row: Change) -> str:
    """The change in percent of what was before; `new` and `gone` where one side has none."""
    if row.state != "changed":
        return row.state
    if not row.before:
        return ""
    percent = 100 * row.by / abs(row.before)
    if percent > MOST_PERCENT:
        return f"× {(row.after or 0.0) / row.before:,.1f}"
    return f"{percent:+.1f} %".replace("-", "−")
