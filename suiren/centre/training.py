"""A job on a centre: the best layout that fits, its step under the power cap, how much there is."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from suiren.centre import facts
from suiren.centre.layouts import fitting, layouts, reason
from suiren.centre.power import Cap
from suiren.centre.site import Centre
from suiren.centre.tables import JobTable
from suiren.fleet.framework import FRAMEWORKS, MEGATRON_CORE, Framework
from suiren.fleet.layout import Layout
from suiren.fleet.model import BadModel, Model
from suiren.fleet.models import find_model
from suiren.fleet.sharded import ShardedStep, sharded_step
from suiren.fleet.sharded_framework import LLM_FOUNDRY_FLASH
from suiren.fleet.step import StepResult, train_step
from suiren.hw.cluster import Cluster
from suiren.units import GiB

#: A card whose power at its lowest clock is above the cap by more cannot hold it.
_HOLDS = 1.001


class BadJob(ValueError):  # noqa: N818 - reads as what it is
    """A job that names no model or framework that exists; one sentence says so."""


@dataclass(frozen=True, kw_only=True)
class Trained:
    """A job's step. Where `problem` is not empty, nothing else but the amounts is meant."""

    name: str
    job: JobTable
    model: Model | None
    layout: Layout | None
    ranks: int
    steps: float
    """Steps of the whole job."""
    checkpoint_bytes: float
    step_s: float = 0.0
    parts_s: dict[str, float] = field(default_factory=dict)
    """Sum to `step_s`."""
    uncapped_s: float = 0.0
    """The step with nothing but the card's own power limit."""
    mfu: float = 0.0
    card_w: float = 0.0
    """Of a card of the busiest stage while it trains."""
    average_w: float = 0.0
    """Of a card of the job while it trains, all stages averaged."""
    clock: float = 1.0
    memory_bytes: float = 0.0
    owners_bytes: dict[str, float] = field(default_factory=dict)
    tried: int = 0
    assumed: dict[str, str] = field(default_factory=dict)
    problem: str = ""

    @property
    def tokens(self) -> float:
        """Tokens of the whole job; 0 where no model was given."""
        if self.model is None:
            return 0.0
        return self.steps * (self.job.global_batch or 0) * self.model.seq

    @property
    def flop(self) -> float:
        """Useful FLOP of the whole job; 0 where no model was given."""
        if self.model is None:
            return 0.0
        return self.steps * (self.job.global_batch or 0) * self.model.flop_per_sample()


def steps_of(job: JobTable, model: Model | None) -> float:
    """Steps of the whole job."""
    if job.steps is not None:
        return job.steps
    batch = job.global_batch or 1
    if job.samples is not None:
        return job.samples / batch
    assert job.tokens is not None and model is not None
    return job.tokens / (batch * model.seq)


def model_of(job: JobTable) -> Model | None:
    """The job's model; raises BadJob for one that does not exist."""
    if job.model is None:
        return None
    try:
        return find_model(job.model, job.seq or 0)
    except BadModel as problem:
        raise BadJob(f"[[job]] model: {problem}") from None


def checkpoint_bytes_of(job: JobTable, model: Model | None) -> float:
    """All of the job's state on storage."""
    if job.checkpoint_bytes is not None:
        return job.checkpoint_bytes
    return float(model.params * facts.CHECKPOINT_BYTES_PER_WEIGHT) if model else 0.0


def train(
    job: JobTable, centre: Centre, cluster: Cluster, cap: Cap, only: Layout | None = None
) -> Trained:
    """The job's step with the best layout that fits, or with `only` that one.

    Raises BadJob for a model or framework that does not exist.
    """
    model = model_of(job)
    about = Trained(
        name=job.name or job.model or "job", job=job, model=model, layout=None, ranks=0,
        steps=steps_of(job, model), checkpoint_bytes=checkpoint_bytes_of(job, model),
    )  # fmt: skip
    if cap.card_w <= 0:
        return replace(about, problem=f"the {cap.why}'s power limit leaves cards nothing beside "
                       "hosts, network and cooling")  # fmt: skip
    if model is None:
        return _measured(about, centre, cap)
    framework = _framework(job)
    memory = float(centre.card.memory_bytes)
    asked = [only] if only else layouts(job, model, centre.usable_cards, centre.cards_per_node)
    fits, nearest = fitting(iter(asked), model, framework, memory)
    if not fits:
        return replace(about, problem=_does_not_fit(job, model, centre, nearest))
    found, tried = _best(about, fits, cluster, framework)
    if found.problem:
        return found
    assert found.layout is not None
    if found.card_w > cap.card_w:
        capped = _step(about, found.layout, cluster, framework, cap.card_w)
        found = replace(capped, uncapped_s=found.step_s)
    if found.card_w > cap.card_w * _HOLDS:
        found = replace(found, problem=f"the {cap.why}'s power limit leaves a card "
                        f"{cap.card_w:,.0f} W; at its lowest clock this job draws "
                        f"{found.card_w:,.0f} W")  # fmt: skip
    return replace(found, tried=tried)


def _framework(job: JobTable) -> Framework:
    if job.layout.zero >= 2:
        return LLM_FOUNDRY_FLASH
    found = FRAMEWORKS.get(job.framework)
    if found is None:
        raise BadJob(f"[[job]] framework: none is called {job.framework!r}; known are "
                     f"{', '.join(FRAMEWORKS)}; {MEGATRON_CORE.name} is usual")  # fmt: skip
    return found


def _best(
    about: Trained, fits: list[Layout], cluster: Cluster, framework: Framework
) -> tuple[Trained, int]:
    """The fastest layout and how many were timed; wider micro-batches beside the best one only."""
    memory = float(cluster.card.memory_bytes)

    def timed(some: list[Layout]) -> list[Trained]:
        return [_step(about, layout, cluster, framework) for layout in some]

    def slowness(one: Trained) -> tuple[bool, float]:
        # a sharded step holds gathered blocks too, which only its own timing tells
        return one.memory_bytes > memory, one.step_s

    least = min(layout.micro_batch for layout in fits)
    first = timed([x for x in fits if x.micro_batch == least])
    best = min(first, key=slowness)
    assert best.layout is not None
    tp = best.layout.tp
    more = timed([x for x in fits if x.micro_batch > least and x.tp == tp])
    best = min((best, *more), key=slowness)
    if best.memory_bytes > memory:
        assert best.layout is not None
        best = replace(best, problem=_too_large(best.layout, best.memory_bytes, memory))
    return best, len(first) + len(more)


def _step(
    about: Trained, layout: Layout, cluster: Cluster, framework: Framework,
    cap_w: float = float("inf"),
) -> Trained:  # fmt: skip
    assert about.model is not None
    if layout.zero >= 2:
        shard = sharded_step(about.model, layout, cluster, LLM_FOUNDRY_FLASH, cap_w)
        told, memory = shard, shard.memory
        return _told(about, layout, told, memory.total_bytes, memory.owners())
    found = train_step(about.model, layout, cluster, framework, cap_w)
    memory = found.peak_memory
    return _told(about, layout, found, memory.total_bytes, memory.owners())


def _told(
    about: Trained, layout: Layout, found: StepResult | ShardedStep, memory: float,
    owners: dict[str, float],
) -> Trained:  # fmt: skip
    told = {n: getattr(found, n) for n in ("step_s", "parts_s", "mfu", "clock", "assumed")}
    return replace(
        about, layout=layout, ranks=layout.ranks, memory_bytes=memory, owners_bytes=owners,
        card_w=found.power_w, average_w=found.energy_j / found.step_s / layout.ranks,
        uncapped_s=found.step_s, **told,
    )  # fmt: skip


def _measured(about: Trained, centre: Centre, cap: Cap) -> Trained:
    """A step that was given: cards under a cap take longer as their power is lower."""
    job = about.job
    assert job.step_s is not None and job.card_w is not None and job.step_cards is not None
    if job.step_cards > centre.usable_cards:
        return replace(about, problem=f"the step was given on {job.step_cards:,} cards, "
                       f"{centre.usable_cards:,} are there")  # fmt: skip
    slower = max(1.0, job.card_w / cap.card_w)
    step_s = job.step_s * slower
    return replace(
        about, ranks=job.step_cards, step_s=step_s, uncapped_s=job.step_s,
        parts_s={"given": step_s}, card_w=job.card_w / slower, average_w=job.card_w / slower,
        clock=1 / slower, tried=1,
        assumed={"step under a cap": "as much slower as the cap is below the given power"}
        if slower > 1 else {},
    )  # fmt: skip


def _does_not_fit(
    job: JobTable, model: Model, centre: Centre, nearest: tuple[float, Layout] | None
) -> str:
    if nearest is None:
        return reason(job, model, centre.usable_cards)
    needed, layout = nearest
    return _too_large(layout, needed, float(centre.card.memory_bytes))


def _too_large(layout: Layout, needed: float, memory: float) -> str:
    return (f"does not fit: tp {layout.tp} pp {layout.pp} dp {layout.dp} needs "
            f"{needed / GiB:.1f} GiB of {memory / GiB:.0f} GiB a card, "
            f"{(needed - memory) / GiB:.1f} GiB too much")  # fmt: skip
