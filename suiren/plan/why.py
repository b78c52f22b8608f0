"""Why one layout loses to another: the part of the step or of the memory that differs most."""

from __future__ import annotations

from collections.abc import Mapping

from suiren.fleet.layout import BadLayout
from suiren.plan.planner import Planner
from suiren.plan.row import Row
from suiren.units import GiB, show_time

_WORDS = {
    "bubble": "its pipeline stands idle longer",
    "tensor parallel": "its tensor parallel ranks exchange more",
    "gather and scatter": "gathering weights and scattering gradients is hidden less",
    "beside collectives": "collectives take cores from its kernels",
    "gradients": "reducing its gradients takes longer", "optimizer": "its optimizer takes longer",
    "sends": "its stages send more messages", "host": "the host cannot issue its kernels in time",
    "launch": "it launches more kernels", "matrix": "its matrix products take longer",
    "vector": "its vector work takes longer", "memory": "its kernels move more memory",
    "expert parallel": "its experts exchange more", "context parallel": "its context parallel "
    "ranks exchange more", "tied embedding": "its tied embedding is reduced between the ends",
}  # fmt: skip


def parts_of(planner: Planner, row: Row) -> dict[str, float]:
    """Seconds of a row's step by what they are spent on; empty where it cannot be worked out."""
    try:
        return planner.step(row).parts_s
    except BadLayout:
        return {}


def reason(
    better: Row, worse: Row, parts: Mapping[str, float], worse_parts: Mapping[str, float]
) -> str:
    """Why `worse` loses to `better`, in one sentence with numbers."""
    behind_s = worse.step_s - better.step_s
    share = 100 * behind_s / better.step_s
    if worse.layout.ranks != better.layout.ranks:
        return (f"takes {worse.layout.ranks:,} cards where {better.layout.ranks:,} do, step "
                f"{share:+.1f} %")  # fmt: skip
    if abs(share) < 0.05:
        more = (worse.memory_bytes - better.memory_bytes) / GiB
        return f"as fast; {more:+.1f} GiB of memory"
    grown = {n: worse_parts.get(n, 0.0) - parts.get(n, 0.0) for n in {*parts, *worse_parts}}
    if behind_s < 0:
        return f"{-share:.1f} % faster, behind by the goal"
    if not grown or max(grown.values()) <= 0:
        return f"{share:.1f} % slower"
    name = max(sorted(grown), key=lambda n: grown[n])
    gained = min(sorted(grown), key=lambda n: grown[n])
    text = f"{share:.1f} % slower: {_WORDS.get(name, name)} (+{show_time(grown[name])})"
    if grown[gained] < -0.2 * grown[name]:
        text += f", though {gained} saves {show_time(-grown[gained])}"
    return text
