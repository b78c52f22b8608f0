"""Why one layout loses to another: the part of the step or of the memory that differs most."""

from __future__ import annotations

from collections.abc import Mapping

from suiren.fleet.layout import BadLayout
from suiren.plan.planner import Planner
from suiren.plan.row import Row
from suiren.units import GiB, show_time

#: Part of a step -> what is said where it takes longer, and where it takes less.
WORDS = {
    "bubble": ("its pipeline stands idle longer", "its pipeline stands idle less"),
    "tensor parallel": ("its tensor parallel ranks exchange more",
                        "its tensor parallel ranks exchange less"),
    "gather and scatter": ("gathering weights and scattering gradients is hidden less",
                           "gathering weights and scattering gradients is hidden more"),
    "beside collectives": ("collectives take cores from its kernels",
                           "collectives take fewer cores from its kernels"),
    "gradients": ("reducing its gradients takes longer", "reducing its gradients takes less"),
    "optimizer": ("its optimizer takes longer", "its optimizer takes less"),
    "sends": ("its stages send more messages", "its stages send fewer messages"),
    "host": ("the host cannot issue its kernels in time", "the host holds its kernels up less"),
    "launch": ("it launches more kernels", "it launches fewer kernels"),
    "matrix": ("its matrix products take longer", "its matrix products take less"),
    "vector": ("its vector work takes longer", "its vector work takes less"),
    "memory": ("its kernels move more memory", "its kernels move less memory"),
    "expert parallel": ("its experts exchange more", "its experts exchange less"),
    "context parallel": ("its context parallel ranks exchange more",
                         "its context parallel ranks exchange less"),
    "tied embedding": ("its tied embedding is reduced between the ends",
                       "no tied embedding is reduced between the ends"),
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
    text = f"{share:.1f} % slower: {WORDS[name][0]} (+{show_time(grown[name])})"
    if grown[gained] < -0.2 * grown[name]:
        text += f", though {WORDS[gained][1]} (-{show_time(-grown[gained])})"
    return text
