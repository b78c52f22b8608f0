"""The page's words about changes and doubts: strings with units."""

from __future__ import annotations

from typing import Any

from suiren.advise.change import Change
from suiren.report.answer import Answer
from suiren.units import show_bytes, show_rate, show_time


def show_percent(share: float, digits: int = 1) -> str:
    """Show a share of one as percent: `27.5 %`."""
    return f"{100 * share:.{digits}f} %"


def out_of_memory(sizes: Any) -> str:
    """Say which allocation failed; empty if none did."""
    if not isinstance(sizes, dict):
        return ""
    return (
        f"an allocation of {show_bytes(sizes.get('tried_bytes', 0))} failed with "
        f"{show_bytes(sizes.get('allocated_bytes', 0))} of "
        f"{show_bytes(sizes.get('capacity_bytes', 0))} in use"
    )


def change_words(change: Change, answer: Answer) -> dict[str, Any]:
    """Show one change: its name, what to write, its gain and its step time."""
    gain, places = change.gain_percent, 0 if change.gain_percent >= 10 else 1
    return {
        "name": change.name,
        "how": change.how,
        "is_code": any(mark in change.how for mark in ("(", "=")),
        "caution": change.caution,
        "gain": f"+{gain:.{places}f} %",
        "time": f"{show_time(answer.step_time_s)} → {show_time(change.step_time_s)}",
    }


def doubt_words(answer: Answer) -> dict[str, Any]:
    """Show approximated ops, hazards, and the facts that the answer rests on."""
    return {
        "share": show_percent(answer.approximated_share),
        "approximated": [
            {"name": r.name, "calls": r.calls, "time": show_time(r.time_s)}
            for r in answer.approximated
        ],
        "hazards": answer.hazards,
        "rested": [
            {"name": r.name, "value": _fact(r.name, float(r.fact)), "kind": r.fact.kind,
             "source": r.fact.source, "effect": _effect(r.effect_percent),
             "width": f"{min(100.0, 5 * abs(r.effect_percent)):.1f}%",
             "slower": r.effect_percent > 0}
            for r in answer.rested
        ],
    }  # fmt: skip


def _fact(name: str, value: float) -> str:
    """Show a fact with the unit that its name ends in."""
    for ending, unit in (("_bytes_per_s", "B/s"), ("_hz", "Hz")):
        if name.endswith(ending):
            return show_rate(value, unit)
    if name.endswith("_bytes"):
        return show_bytes(value)
    if name.endswith("_s"):
        return show_time(value)
    if name.endswith("_w"):
        return f"{value:.4g} W"
    if name.startswith(("chip.matrix.", "chip.vector.")):
        return f"{value:.4g} MAC/cycle"
    if name.endswith(("efficiency", "share")):
        return show_percent(value)
    return f"{value:.6g}"


def _effect(percent: float) -> str:
    """Show a signed percent of the step time; a fact may move energy alone."""
    return "energy only" if abs(percent) < 0.005 else f"{percent:+.2f} %".replace("-", "−")
