"""Which input moves the answer most: each one 20 % lower and higher, everything else as it is."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from suiren.centre.money import Bill, bill_of
from suiren.centre.month import smooth_share
from suiren.centre.site import Centre, kind_of
from suiren.centre.study import Study, study
from suiren.centre.training import Trained
from suiren.fleet.layout import Layout
from suiren.hw.fact import Fact

STEP = 0.2
_FEW = 2
#: Parts of a step by what makes them faster.
_LINKED = ("tensor parallel", "context parallel", "expert parallel", "gather and scatter")
_BETWEEN = ("gradients", "sends", "tied embedding")


@dataclass(frozen=True, slots=True)
class Moved:
    """One input, and what 20 % less and more of it make of the answer (as a ratio)."""

    name: str
    kind: str
    """`price`, `input` of the file, or the kind of the fact."""
    value: float
    days: tuple[float, float]
    total: tuple[float, float]
    """The bill over the years."""
    cost: tuple[float, float]
    """Of the jobs."""

    @property
    def most(self) -> float:
        """The largest change of any of them."""
        return max(abs(ratio - 1) for ratio in (*self.days, *self.total, *self.cost))


def sensitivity(found: Study) -> list[Moved]:
    """Every input by its effect, the largest first. Nothing where a job cannot run.

    Hardware and losses are moved to first order: the parts that they bound take so much more or
    less, everything else stays.
    """
    if not found.works:
        return []
    rows = [*_prices(found), *_inputs(found), *_losses(found), *_hardware(found)]
    return sorted(rows, key=lambda row: (-row.most, row.name))


def _prices(found: Study) -> Iterator[Moved]:
    for name, value in found.centre.prices.given().items():
        if value == 0:
            continue
        ends = [replace(found, bill=_bill(found, name, f)) for f in (1 - STEP, 1 + STEP)]
        yield _moved(name, "price", value, found, ends)


def _bill(found: Study, name: str, factor: float) -> Bill:
    centre = replace(found.centre, prices=found.centre.prices.times(name, factor))
    return bill_of(centre, found.fixed, found.peak, found.kwh_per_year)


def _inputs(found: Study) -> Iterator[Moved]:
    """Inputs that change power or waiting: the study is repeated."""
    centre, only = found.centre, tuple(o.trained.layout for o in found.outcomes)
    power = centre.power
    yield from _repeated(found, only, _FEW, "pue", power.pue, lambda f: replace(
        centre, power=replace(power, pue=power.pue.at(max(1.0, power.pue * f)))))  # fmt: skip
    yield from _repeated(found, only, _FEW, "host_w", centre.host_w, lambda f: replace(
        centre, host_w=centre.host_w.at(centre.host_w * f),
        host_peak_w=centre.host_peak_w.at(centre.host_peak_w * f)))  # fmt: skip


def _repeated(
    found: Study, only: tuple[Layout | None, ...], histories: int, name: str, fact: Fact,
    change: Callable[[float], Centre],
) -> Iterator[Moved]:  # fmt: skip
    start = study(found.centre, found.seed, histories, only)
    ends = [study(change(f), found.seed, histories, only) for f in (1 - STEP, 1 + STEP)]
    if all(end.works for end in ends):
        yield _moved(name, kind_of(fact), float(fact), start, ends)


def _losses(found: Study) -> Iterator[Moved]:
    """Inputs that change what is lost: by Daly's model, because chance would hide them."""
    centre = found.centre
    rows = [("restart_s", centre.recovery.restart_s, "restart"),
            ("storage_bytes_per_s", centre.storage.bytes_per_s, "storage")]  # fmt: skip
    if centre.faults.failures:
        often = min((f.mean_s for f in centre.faults.failures), key=float)
        rows.append(("failure rate", often.at(1 / often), "rate"))
    for name, fact, what in rows:
        ends = [_lost(found, what, f) for f in (1 - STEP, 1 + STEP)]
        yield _moved(name, kind_of(fact), float(fact), found, ends)


def _lost(found: Study, what: str, factor: float) -> Study:
    """The study with steps longer as goodput is lower."""
    outcomes = []
    for o in found.outcomes:
        assert o.month is not None
        recovery = found.centre.recovery
        ratio = smooth_share(o.month, recovery) / smooth_share(o.month, recovery, **{what: factor})
        outcomes.append(replace(o, trained=replace(o.trained, step_s=o.trained.step_s * ratio)))
    return replace(found, outcomes=tuple(outcomes))


def _hardware(found: Study) -> Iterator[Moved]:
    card, node = found.centre.card, found.centre.node
    rows: list[tuple[str, Fact, tuple[str, ...]]] = [
        ("matrix_efficiency", card.matrix_efficiency, ("matrix",)),
        ("memory_efficiency", card.memory_efficiency, ("memory", "optimizer")),
        ("pair_bytes_per_s", node.pair_bytes_per_s, _LINKED),
    ]
    if node.nic_bytes_per_s is not None:
        rows.append(("nic_bytes_per_s", node.nic_bytes_per_s, _BETWEEN))
    for name, fact, parts in rows:
        most = 1 / float(fact) if name.endswith("efficiency") else 1 + STEP
        ends = [_stepped(found, parts, min(f, most)) for f in (1 - STEP, 1 + STEP)]
        yield _moved(name, kind_of(fact), float(fact), found, ends)


def _stepped(found: Study, parts: tuple[str, ...], factor: float) -> Study:
    outcomes = tuple(
        replace(o, trained=replace(o.trained, step_s=_step_s(o.trained, parts, factor)))
        for o in found.outcomes
    )
    return replace(found, outcomes=outcomes)


def _step_s(trained: Trained, parts: tuple[str, ...], factor: float) -> float:
    """The step with some parts `1 / factor` as long; a bubble grows as the passes do."""
    moved = sum(trained.parts_s.get(part, 0.0) for part in parts) * (1 / factor - 1)
    bubble = trained.parts_s.get("bubble", 0.0)
    return trained.step_s + moved * (1 + bubble / max(1e-12, trained.step_s - bubble))


def _moved(name: str, kind: str, value: float, start: Study, ends: list[Study]) -> Moved:
    def ratio(of: Callable[[Study], float]) -> tuple[float, float]:
        whole = of(start)
        low, high = (of(end) / whole if whole else 1.0 for end in ends)
        return low, high

    return Moved(name, kind, value, ratio(lambda s: s.days), ratio(lambda s: s.bill.total),
                 ratio(lambda s: s.cost))  # fmt: skip
