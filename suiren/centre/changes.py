"""The smallest changes with which, each alone, every goal of a centre would be reached."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from math import inf

from suiren.centre.goal import checks_of, reached
from suiren.centre.layouts import layouts, widths
from suiren.centre.site import Centre
from suiren.centre.study import Study, study
from suiren.centre.tables import JobTable, LayoutTable
from suiren.centre.training import Trained
from suiren.fleet.layout import Layout

#: Histories that a search follows, and nodes it goes up to beside what is there.
_FEW, _MOST_TIMES = 2, 16
_HALVINGS = 10


@dataclass(frozen=True, slots=True)
class Change:
    """One change with which, alone, every goal would hold."""

    name: str
    """`nodes`, `fewer nodes`, `tokens`, `power_w`, `rack_limit_w`, `layout`, or a price's name."""
    before: float
    after: float
    days: float
    """Until all jobs are done with it."""
    text: str = ""
    """The layout, where it is one."""
    goal: str = ""
    """The goal that holds with it, where no one change reaches all."""


def changes(found: Study) -> Iterator[Change]:
    """Every kind of change that reaches all goals, if it does."""
    for look in (_layout, _more_nodes, _fewer_nodes, _power, _tokens, _price):
        yield from look(found)


def _again(centre: Centre, found: Study, only: tuple[Layout | None, ...] | None) -> Study:
    return study(centre, found.seed, _FEW, only)


def _kept(found: Study) -> tuple[Layout | None, ...]:
    return tuple(outcome.trained.layout for outcome in found.outcomes)


def _layout(found: Study) -> Iterator[Change]:
    """Another layout, where the file held one down."""
    held = [o for o in found.outcomes
            if o.trained.model is not None and _is_held(o.trained.job.layout)]  # fmt: skip
    if not held:
        return
    jobs = tuple(_free(job) for job in found.centre.jobs)
    other = _again(replace(found.centre, jobs=jobs), found, None)
    layout = other.first.trained.layout
    if reached(other) and layout is not None:
        text = (f"tp {layout.tp} pp {layout.pp} dp {layout.dp} mb {layout.micro_batch} "
                f"{layout.recompute}")  # fmt: skip
        yield Change("layout", found.days, other.days, other.days, text)


def _is_held(layout: LayoutTable) -> bool:
    return any(getattr(layout, n) is not None for n in ("tp", "pp", "dp", "micro_batch",
                                                       "recompute"))  # fmt: skip


def _free(job: JobTable) -> JobTable:
    """The job with its layout left to the search, its ZeRO stage kept."""
    return job.model_copy(update={"layout": LayoutTable(zero=job.layout.zero)})


def _sizes(found: Study) -> list[int]:
    """Numbers of nodes at which the first job's data parallel width could change."""
    centre, trained = found.centre, found.first.trained
    each, layout = centre.cards_per_node, trained.layout
    if layout is None or trained.model is None:
        return sorted({round(centre.nodes * 1.1**n) for n in range(-30, 30)} - {0})
    job = _narrowed(trained)
    sizes = set()
    for other in layouts(job, trained.model, _MOST_TIMES * centre.cards, each):
        one = other.tp * other.pp * other.cp
        sizes |= {-(-one * dp // each) + centre.spare_nodes for dp in widths(job, other)}
    return sorted(sizes)


def _narrowed(trained: Trained) -> JobTable:
    """The job with the tensor width and micro-batch that were best; stages stay free."""
    best, asked = trained.layout, trained.job.layout
    if best is None:
        return trained.job
    layout = asked.model_copy(update={"tp": best.tp, "micro_batch": best.micro_batch, "dp": None})
    return trained.job.model_copy(update={"layout": layout})


def _sized(found: Study, nodes: int) -> Study:
    jobs = tuple(_narrowed(outcome.trained) for outcome in found.outcomes)
    return _again(replace(found.centre, nodes=nodes, jobs=jobs), found, None)


def _more_nodes(found: Study) -> Iterator[Change]:
    now = found.centre.nodes
    sizes = [n for n in _sizes(found) if now < n <= _MOST_TIMES * now]
    best = _first(sizes, lambda nodes: reached(_sized(found, nodes)))
    if best is not None:
        yield Change("nodes", now, best, _sized(found, best).days)


def _fewer_nodes(found: Study) -> Iterator[Change]:
    """The most nodes below today's with which power and money suffice, if the days then do."""
    now, missed = found.centre.nodes, {c.name for c in checks_of(found) if not c.holds}
    if not missed or not missed <= {"power_w", "budget", "capital", "runs"}:
        return
    sizes = [n for n in _sizes(found) if found.centre.spare_nodes < n < now]

    def suffices(nodes: int) -> bool:
        return all(c.holds for c in checks_of(_sized(found, nodes)) if c.name in missed)

    best = _first(sizes[::-1], suffices)
    if best is not None and reached(other := _sized(found, best)):
        yield Change("fewer nodes", now, best, other.days)


def _first(values: list[int], holds: Callable[[int], bool]) -> int | None:
    """The first value that holds: in growing strides to one that does, then by halving.

    Far along, a power limit may undo what more nodes gained, so the last value says nothing.
    """
    low, high, stride = -1, 0, 1
    while high < len(values) and not holds(values[high]):
        low, high, stride = high, high + stride, 2 * stride
        if high >= len(values) > low + 1:
            high = len(values) - 1
    if high >= len(values):
        return None
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if holds(values[middle]) else (middle, high)
    return values[high]


def _power(found: Study) -> Iterator[Change]:
    """The lowest limit that would do, where a limit caps the cards."""
    if found.cap.why == "card":
        return
    is_rack = found.cap.why == "rack"
    before = float(found.centre.rack_limit_w or 0) if is_rack else found.centre.limit_w
    keep = _kept(found) if found.works else None

    def at(limit_w: float) -> Study:
        return _again(_limited(found.centre, limit_w, is_rack), found, keep)

    free = at(1e15)
    low, high = before, free.peak.rack_w if is_rack else free.peak.meter_w
    if not reached(at(high * (1 + 1e-6))):
        return
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (low, middle) if reached(at(middle)) else (middle, high)
    yield Change("rack_limit_w" if is_rack else "power_w", before, high, at(high * 1.000001).days)


def _limited(centre: Centre, limit_w: float, is_rack: bool) -> Centre:
    """The centre under another limit of its racks, or of site and goal."""
    if is_rack:
        assert centre.rack_limit_w is not None
        return replace(centre, rack_limit_w=centre.rack_limit_w.at(limit_w))
    site, goal = centre.power.site_limit_w, centre.goal
    if goal is not None and goal.power_w is not None:
        goal = goal.model_copy(update={"power_w": limit_w})
    power = centre.power if site is None else replace(centre.power, site_limit_w=site.at(limit_w))
    return replace(centre, power=power, goal=goal)


def _tokens(found: Study) -> Iterator[Change]:
    """Fewer tokens, samples or steps, where the days alone are missed."""
    missed = [check for check in checks_of(found) if not check.holds]
    if [check.name for check in missed] == ["days"] and found.days < inf:
        share = missed[0].asked / found.days
        for amount in ("tokens", "samples", "steps"):
            before = getattr(found.first.trained.job, amount)
            if before is not None:
                yield Change(amount, before, before * share, missed[0].asked)


def _price(found: Study) -> Iterator[Change]:
    """The price of a node or of electricity with which the budget would do."""
    missed = {check.name: check for check in checks_of(found) if not check.holds}
    if set(missed) != {"budget"}:
        return
    for name in ("node", "card", "electricity_per_kwh"):
        before = getattr(found.centre.prices, name)
        if before is not None:
            after = found.bill.break_even(name, missed["budget"].asked)
            if after is not None:
                yield Change(name, before, after, found.days)
