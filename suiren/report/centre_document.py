"""Computing centres as plain values, units in the keys; pages and screens are made of it."""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite
from typing import Any

from suiren import __version__
from suiren.centre.answer import CentreAnswer, break_evens, cheapest, same_jobs
from suiren.centre.site import MONTH_S, Centre, kind_of
from suiren.centre.study import Outcome, Study
from suiren.hw.fact import Fact

#: Rows of sensitivity that are kept; the others move nothing.
_LEAST_MOVED = 1e-5


def document(answers: Sequence[CentreAnswer], names: Sequence[str]) -> dict[str, Any]:
    """Every centre and what sets them apart; `names` are the files. The same seed, same values."""
    return {
        "kind": "centre",
        "suiren": __version__,
        "centres": [_centre(a, name) for a, name in zip(answers, names, strict=True)],
        "comparison": _comparison(answers),
    }


def _comparison(answers: Sequence[CentreAnswer]) -> dict[str, Any] | None:
    if len(answers) < 2:
        return None
    days = [a.study.days for a in answers]
    able = [n for n, value in enumerate(days) if isfinite(value)]
    return {
        "same_jobs": same_jobs(answers),
        "fastest": min(able, key=lambda n: days[n]) if able else None,
        "cheapest": cheapest(answers),
        "break_even": [
            {"centre": n, "name": b.name, "given": b.given, "price": b.price, "against": b.other}
            for n in range(len(answers)) for b in break_evens(answers, n)
        ],
    }  # fmt: skip


def _centre(answer: CentreAnswer, name: str) -> dict[str, Any]:
    found = answer.study
    centre, fixed = found.centre, found.fixed
    return {
        "name": name, "title": centre.title, "note": centre.note, "seed": found.seed,
        "source": centre.source, "use_share": centre.use_share, "days": _finite(found.days),
        "machines": {
            "node": centre.node.name, "node_title": centre.node.title, "card": centre.card.name,
            "card_title": centre.card.title, "nodes": centre.nodes, "cards": centre.cards,
            "spare_nodes": centre.spare_nodes, "cards_per_node": centre.cards_per_node,
            "racks": centre.racks, "nodes_per_rack": centre.nodes_per_rack,
            "memory_bytes": float(centre.card.memory_bytes),
        },
        "network": {
            "fabric": centre.network.fabric, "levels": fixed.switches.levels,
            "switches": fixed.switches.switches, "optics": fixed.switches.optics,
            "nics_per_node": centre.network.nics,
            "nic_bytes_per_s": float(centre.node.nic_bytes_per_s or 0),
        },
        "jobs": [_job(o, found, bounds)
                 for o, bounds in zip(found.outcomes, answer.bounds, strict=True)],
        "power": _power(found), "money": _money(found), "goal": _goal(answer),
        "sensitivity": [
            {"name": m.name, "kind": m.kind, "value": m.value, "days_ratio": list(m.days),
             "total_ratio": list(m.total), "cost_ratio": list(m.cost)}
            for m in answer.moved if m.most > _LEAST_MOVED
        ],
        "rests_on": _rests(found), "assumed": _assumed(found),
    }  # fmt: skip


def _job(outcome: Outcome, found: Study, bounds: dict[str, float]) -> dict[str, Any]:
    trained, month = outcome.trained, outcome.month
    layout, model = trained.layout, trained.model
    told: dict[str, Any] = {
        "name": trained.name, "model": model.name if model else None,
        "params": model.params if model else None, "problem": trained.problem,
        "tokens": trained.tokens, "steps": trained.steps, "flop": trained.flop,
        "checkpoint_bytes": trained.checkpoint_bytes, "month": None,
        "days": _finite(outcome.days), "energy_j": _finite(outcome.total_j),
        "cost": _finite(found.cost_of(outcome)),
        "layout": {n: getattr(layout, n) for n in (
            "tp", "pp", "vpp", "cp", "ep", "dp", "zero", "micro_batch", "global_batch",
            "recompute", "schedule", "precision", "sequence_parallel")} if layout else None,
    }  # fmt: skip
    if month is None:
        return told
    tokens_per_s = trained.tokens / trained.steps / trained.step_s if trained.steps else 0.0
    return told | {
        "ranks": trained.ranks, "step_s": trained.step_s, "parts_s": trained.parts_s,
        "mfu": trained.mfu,
        "useful_share": trained.mfu * month.share * trained.ranks / found.centre.cards,
        "card_w": trained.card_w, "clock": trained.clock,
        "tokens_per_s": tokens_per_s, "uncapped_step_s": trained.uncapped_s,
        "memory_bytes": trained.memory_bytes, "owners_bytes": trained.owners_bytes,
        "layouts_timed": trained.tried, "bounds_share": bounds,
        "month": {
            "goodput_share": month.share, "spent_share": month.spent,
            "runs_share": [run.share for run in month.runs],
            "failures": sum(run.num_failures for run in month.runs) / len(month.runs),
            "mean_time_between_failures_s": _finite(month.mtbf_s),
            "every_steps": month.job.checkpoint.every_steps,
            "pause_s": month.job.checkpoint.pause_s, "seconds": MONTH_S,
            "checkpoints_share": month.runs[0].spent_s["checkpoints"] / MONTH_S,
            "periods": [{"kind": p.kind, "start_s": p.start_s, "end_s": p.end_s, "why": p.why}
                        for p in month.runs[0].periods],
        },
    }  # fmt: skip


def _power(found: Study) -> dict[str, Any]:
    centre, energy = found.centre, found.energy
    carbon, water = centre.power.carbon_kg_per_kwh, centre.power.water_l_per_kwh
    return {
        "pue": float(centre.power.pue), "limit_w": _finite(centre.limit_w),
        "rack_limit_w": _float(centre.rack_limit_w), "card_limit_w": float(centre.card.tdp_w),
        "card_cap_w": found.cap.card_w, "capped_by": found.cap.why,
        "peak_w": found.peak.parts_w, "meter_peak_w": found.peak.meter_w,
        "rack_peak_w": found.peak.rack_w, "average_w": energy.average_w,
        "month_j": energy.parts_j, "month_total_j": energy.total_j,
        # all that is drawn becomes heat, cooling's own work included
        "heat_w": energy.average_w,
        "carbon_kg_per_month": None if carbon is None else energy.kwh * carbon,
        "water_l_per_month": None if water is None else energy.machines_j / 3.6e6 * water,
    }  # fmt: skip


def _money(found: Study) -> dict[str, Any]:
    bill, prices = found.bill, found.centre.prices
    return {
        "currency": prices.currency, "years": prices.years,
        "discount_per_cent": prices.discount_per_cent,
        "building_years": prices.building_years or prices.years,
        "lines": [{"name": ln.name, "quantity": ln.quantity, "price": ln.price,
                   "amount": ln.amount, "yearly": ln.yearly, "present": ln.present}
                  for ln in bill.lines],
        "within_budget": _within_budget(found),
        "capital": bill.capital, "running_per_year": bill.running, "total": bill.total,
        "missing": list(bill.missing()), "jobs_cost": _finite(found.cost),
        "cost_per_token": found.cost_per_token, "cost_per_useful_eflop": found.cost_per_eflop,
    }  # fmt: skip


def _within_budget(found: Study) -> list[dict[str, Any]]:
    """The price that each unpriced line, alone, may have within the goal's budget."""
    goal = found.centre.goal
    if goal is None or goal.budget is None:
        return []
    prices = {name: found.bill.break_even(name, goal.budget) for name in found.bill.missing()}
    return [{"name": name, "price": price} for name, price in prices.items() if price is not None]


def _goal(answer: CentreAnswer) -> dict[str, Any]:
    return {
        "asked": answer.study.centre.goal is not None, "holds": answer.verdict.holds,
        "checks": [{"name": c.name, "asked": c.asked, "found": _finite(c.found),
                    "holds": c.holds, "margin_share": _finite(c.margin)}
                   for c in answer.verdict.checks],
        "changes": [{"name": c.name, "before": _finite(c.before), "after": _finite(c.after),
                     "days": _finite(c.days), "text": c.text, "goal": c.goal}
                    for c in answer.verdict.changes],
    }  # fmt: skip


def _rests(found: Study) -> list[dict[str, Any]]:
    """Facts of the centre; prices stand in the bill."""
    return [_fact(name, fact) for name, fact in _facts(found.centre)]


def _facts(centre: Centre) -> list[tuple[str, Fact]]:
    card = centre.card
    own = [("card.tdp_w", card.tdp_w), ("card.idle_w", card.idle_w),
           ("card.memory_bytes", card.memory_bytes)]  # fmt: skip
    return [*centre.facts(), *own]


def _fact(name: str, fact: Fact) -> dict[str, Any]:
    return {"name": name, "value": float(fact), "kind": kind_of(fact), "source": fact.source}


def _assumed(found: Study) -> dict[str, str]:
    """What nobody published of what the steps rest on."""
    told: dict[str, str] = {}
    for outcome in found.outcomes:
        told |= outcome.trained.assumed
    return dict(sorted(told.items()))


def _finite(value: float) -> float | None:
    return value if isfinite(value) else None


def _float(fact: Fact | None) -> float | None:
    return None if fact is None else float(fact)
