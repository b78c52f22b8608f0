"""The page's words: the headline as strings with units."""

from __future__ import annotations

from typing import Any

from suiren import __version__
from suiren.report.answer import SPLIT, Answer
from suiren.report.page_doubts import change_words, doubt_words, out_of_memory, show_percent
from suiren.units import show_bytes, show_rate, show_time

#: Steps drawn in the row of step times.
MAX_STEPS = 48
#: Changes shown open; the rest is folded.
MAX_CHANGES = 3
PHASES = ("forward", "backward", "optimizer", "data", "recompute")


def words(answer: Answer) -> dict[str, Any]:
    """Every string the template sets."""
    facts = answer.program.facts
    changes = [change_words(c, answer) for c in answer.changes]
    return {
        "version": __version__,
        "script": str(facts.get("script") or "script"),
        "card": answer.card.title,
        "card_line": _card_line(answer),
        "outcome": str(facts.get("outcome", "finished")),
        "out_of_memory": out_of_memory(facts.get("out_of_memory")),
        "numerics": bool(facts.get("numerics", True)),
        "tiles": _tiles(answer),
        "memory": _memory(answer),
        "split": stacked_parts(answer.split_s, SPLIT, answer.step_time_s),
        "phases": stacked_parts(answer.phases_s, PHASES, answer.step_time_s),
        "steps": _steps(answer),
        "changes": changes[:MAX_CHANGES],
        "more_changes": changes[MAX_CHANGES:],
        "doubts": doubt_words(answer),
    }


def _show_energy(joules: float) -> str:
    """Show an energy in the unit a reader expects: `48.9 mJ`."""
    for size, unit in ((1e3, "kJ"), (1.0, "J"), (1e-3, "mJ")):
        if joules >= size:
            return f"{joules / size:.3g} {unit}"
    return f"{joules * 1e6:.3g} µJ"


def _card_line(answer: Answer) -> str:
    card = answer.card
    return (
        f"{show_bytes(card.memory_bytes)} {card.memory_type} at "
        f"{show_rate(card.memory_bytes_per_s, 'B/s')}, "
        f"{show_rate(answer.peak_flop_per_s, 'FLOP/s')} peak in {_main_format(answer)}, "
        f"{card.tdp_w:.0f} W"
    )


def _main_format(answer: Answer) -> str:
    used = answer.flop_by_format
    return max(used, key=lambda f: used[f]) if used else "its fastest format"


def _tiles(answer: Answer) -> list[dict[str, str]]:
    seconds, batch = answer.step_time_s, answer.batch
    per_s = 1 / seconds if seconds else 0.0
    size = batch.in_words + (" tokens" if batch.sequence else "")
    samples = show_rate(batch.samples * per_s, " samples/s") if batch.calls else "-"
    speed = _tile("Throughput", samples, size)
    if batch.tokens:
        tokens = show_rate(batch.tokens * per_s, " tokens/s")
        speed = _tile("Throughput", tokens, f"{_spaced(samples)}, {size}")
    power = f"{answer.average_power_w:.0f} W on average"
    tdp = float(answer.card.tdp_w)
    if tdp:
        power += f", {show_percent(answer.average_power_w / tdp, 0)} of {tdp:.0f} W"
    achieved = show_rate(answer.hardware_flop * per_s, "FLOP/s")
    return [
        _tile("Step time", show_time(seconds), f"{answer.step.num_ops} ops a step"),
        speed,
        _tile("MFU", show_percent(answer.mfu), f"HFU {show_percent(answer.hfu)}, {achieved}")
        if answer.hardware_flop
        else _tile("MFU", "– ", "no matrix work in this step"),
        _tile("Energy per step", _show_energy(answer.energy_j), power),
    ]


def _tile(label: str, value: str, note: str) -> dict[str, str]:
    """Set a number of the headline apart from its unit: `2.096`, `M tokens/s`."""
    number, _, unit = _spaced(value).partition(" ")
    return {"label": label, "value": number, "unit": unit, "note": note}


def _spaced(text: str) -> str:
    return " ".join(text.split())


def _memory(answer: Answer) -> dict[str, Any]:
    capacity = float(answer.card.memory_bytes)
    share = answer.peak_bytes / capacity if capacity else 0.0
    return {
        "peak": show_bytes(answer.peak_bytes),
        "steady_peak": show_bytes(answer.memory.peak_bytes),
        "capacity": show_bytes(capacity),
        "share": show_percent(share),
        "width": f"{100 * min(1.0, max(share, 0.004)):.2f}%",
        "full": share > 1.0,
        "fit": answer.fit.sentence if answer.fit is not None else "",
        "kinds": [
            {"name": kind, "css": kind.replace(" ", "-"), "bytes": size, "text": show_bytes(size),
             "share": show_percent(size / answer.memory.peak_bytes),
             "width": f"{100 * size / answer.memory.peak_bytes:.2f}%"}
            for kind, size in answer.memory.by_kind().items()
            if size > 0 and answer.memory.peak_bytes > 0
        ],
    }  # fmt: skip


def stacked_parts(
    seconds_of: dict[str, float], order: tuple[str, ...], whole_s: float
) -> list[dict[str, Any]]:
    """Parts of a stacked bar, in order; what takes no time is left out."""
    names = [*order, *(n for n in seconds_of if n not in order)]
    drawn_s = max(whole_s, sum(seconds_of.values()))
    parts = []
    for name in names:
        seconds = seconds_of.get(name, 0.0)
        if seconds > 0 and whole_s > 0:
            share = seconds / whole_s
            parts.append({
                "name": name, "time": show_time(seconds), "share": show_percent(share),
                "width": f"{100 * seconds / drawn_s:.3f}%", "wide": share > 0.07})  # fmt: skip
    return parts


def _steps(answer: Answer) -> dict[str, Any]:
    times = answer.step_times_s
    longest = max(times, default=0.0) or 1.0
    return {
        "num": len(times),
        "num_warm_up": answer.num_warm_up,
        "steady": answer.num_warm_up + 1,
        "num_distinct": len(answer.program.distinct),
        "bars": [
            {"height": f"{max(4.0, 100 * t / longest):.1f}%", "time": show_time(t), "number": i + 1,
             "warm_up": i < answer.num_warm_up}
            for i, t in enumerate(times[:MAX_STEPS])
        ],
        "num_hidden": max(0, len(times) - MAX_STEPS),
    }  # fmt: skip
