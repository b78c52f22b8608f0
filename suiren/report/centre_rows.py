"""The table of a centre's figures, made of its document, in one language."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from suiren.report.centre_show import Show
from suiren.report.centre_text import energy_j
from suiren.report.centre_words import Words
from suiren.units import show_time

Centre = Mapping[str, Any]
#: Which rows belong together.
GROUPS = {
    "machines": ("row machines", "row network"),
    "training": ("row job", "row layout", "row step", "row mfu", "row useful", "row memory",
                 "row goodput", "row failures", "row bound", "row days", "row each"),
    "power": ("row peak", "row average", "row cap", "row rack", "row energy month",
              "row energy job", "row carbon", "row water"),
    "money": ("row capital", "row running", "row total", "row cost", "row cost token",
              "row cost eflop"),
}  # fmt: skip


def rows(centre: Centre, show: Show, words: Words) -> dict[str, str]:
    """The table of a centre: key of the row's name → value."""
    machines, network = centre["machines"], centre["network"]
    told = {
        "row machines": words("nodes of cards", nodes=f"{machines['nodes']:,}",
                              each=machines["cards_per_node"], card=machines["card_title"],
                              cards=f"{machines['cards']:,}", spares=machines["spare_nodes"]),
        "row network": words("switch count", switches=f"{network['switches']:,}",
                             optics=f"{network['optics']:,}"),
    }  # fmt: skip
    job = next((j for j in centre["jobs"] if j["month"]), None)
    if job is not None:
        told |= _job_rows(centre, job, show, words)
    told["row days"] = show.days(centre["days"])
    if len(centre["jobs"]) > 1:
        told["row each"] = "; ".join(
            f"{j['name']}: {show.days(j['days'])}, {show.energy(j['energy_j'])}, "
            f"{show.money(j['cost'])}" for j in centre["jobs"]
        )  # fmt: skip
    told |= _power_rows(centre, show, words)
    return told | _money_rows(centre, show)


def _job_rows(centre: Centre, job: Mapping[str, Any], show: Show, words: Words) -> dict[str, str]:
    amount = f"{show.count(job['tokens'])} tokens" if job["tokens"] else show.count(job["steps"])
    told = {"row job": f"{job['name']}, {amount}"}
    layout = job["layout"]
    if layout:
        told["row layout"] = (f"tp {layout['tp']} · pp {layout['pp']} · dp {layout['dp']}, "
                              f"mb {layout['micro_batch']}, {layout['recompute']}")  # fmt: skip
    told["row step"] = show_time(job["step_s"])
    if job["model"]:
        told["row mfu"] = show.share(job["mfu"])
        told["row useful"] = show.share(job["useful_share"])
        told["row memory"] = words("of", a=show.memory(job["memory_bytes"]),
                                   b=show.memory(centre["machines"]["memory_bytes"]))  # fmt: skip
    told["row goodput"] = show.share(job["month"]["goodput_share"])
    told["row failures"] = f"{job['month']['failures']:.1f}"
    bound = {n: s for n, s in job["bounds_share"].items() if n != "compute"}
    worst = max(bound, key=lambda name: bound[name])
    told["row bound"] = f"{words(worst)}, {show.share(bound[worst])}"
    return told


def _power_rows(centre: Centre, show: Show, words: Words) -> dict[str, str]:
    power = centre["power"]
    cap = f"{power['card_cap_w']:,.0f} W, {words('capped by ' + power['capped_by'])}"
    told = {
        "row peak": _limited(power["meter_peak_w"], power["limit_w"], show, words),
        "row average": show.power(power["average_w"]),
        "row cap": cap,
        "row rack": _limited(power["rack_peak_w"], power["rack_limit_w"], show, words),
        "row energy month": show.energy(power["month_total_j"]),
    }  # fmt: skip
    if centre["days"] is not None:
        told["row energy job"] = show.energy(energy_j(centre))
    if power["carbon_kg_per_month"] is not None:
        told["row carbon"] = f"{power['carbon_kg_per_month'] / 1e3:,.0f} t CO₂"
    if power["water_l_per_month"] is not None:
        told["row water"] = f"{power['water_l_per_month'] / 1e3:,.0f} m³"
    return told


def _limited(value_w: float, limit_w: float | None, show: Show, words: Words) -> str:
    """Watts, beside their limit where there is one."""
    if limit_w is None:
        return show.power(value_w)
    return words("of", a=show.power(value_w), b=show.power(limit_w))


def _money_rows(centre: Centre, show: Show) -> dict[str, str]:
    money = centre["money"]
    told = {"row capital": show.money(money["capital"]),
            "row running": show.money(money["running_per_year"]),
            "row total": show.money(money["total"]),
            "row cost": show.money(money["jobs_cost"])}  # fmt: skip
    if money["cost_per_token"]:
        told["row cost token"] = show.money(1e6 * money["cost_per_token"])
        told["row cost eflop"] = show.money(money["cost_per_useful_eflop"])
    return told
