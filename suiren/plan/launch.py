"""How a layout is started: a PyTorch script for it, and what torchtitan and Megatron-LM take."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import jinja2

from suiren.fleet.layout import Layout
from suiren.fleet.model import Model
from suiren.hw.cluster import Cluster
from suiren.plan.elsewhere import elsewhere
from suiren.plan.expressible import notes_of, uses_transformers
from suiren.plan.fill import values_of

FOLDER = Path(__file__).parent / "launching"
#: Most ranks that `suiren run --devices` starts as processes of their own with ease.
MOST_DEVICES = 8


@dataclass(frozen=True, slots=True)
class Launch:
    """What starts a layout."""

    command: str
    files: dict[str, str]
    """Text by name: `train.py`, `torchtitan.toml`, `megatron.sh`."""
    notes: tuple[str, ...]
    """What of the layout the script does not do as it was planned, a sentence each."""


def launch_of(
    model: Model, layout: Layout, cluster: Cluster, config: dict[str, Any] | None,
    lora_rank: int = 0,
) -> Launch:  # fmt: skip
    """The command and the files that run a layout of a model on a cluster.

    `config` is the transformers configuration the model came from, or None; `lora_rank` the rank
    of adapters that alone are trained, or 0. Raises BadLayout for a layout that no job could run.
    """
    layout.check(model, cluster.num_ranks)
    given = config if config is not None and uses_transformers(model, layout, config) else None
    values = values_of(model, layout, given, lora_rank)
    command = f"suiren run --on {cluster.name} --ranks {layout.ranks} --no-numerics train.py"
    values |= {"command": command, "torchrun": _torchrun(layout, cluster),
               "title": _title(model, layout)}  # fmt: skip
    values |= elsewhere(model, layout, cluster, config, lora_rank)
    names = ("train.py", "torchtitan.toml", "megatron.sh")
    files = {name: _templates().get_template(f"{name}.jinja").render(values) for name in names}
    return Launch(command, files, notes_of(model, layout, config, given is not None, lora_rank))


@cache
def _templates() -> jinja2.Environment:
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(FOLDER), trim_blocks=True, lstrip_blocks=True,
        keep_trailing_newline=True, undefined=jinja2.StrictUndefined, autoescape=False,
    )  # fmt: skip


def _torchrun(layout: Layout, cluster: Cluster) -> str:
    cards = cluster.cards_per_node
    if layout.ranks <= cards:
        return f"torchrun --nproc-per-node {layout.ranks} train.py"
    nodes = -(-layout.ranks // cards)
    return f"torchrun --nnodes {nodes} --nproc-per-node {cards} --rdzv-endpoint HOST:29500 train.py"


def _title(model: Model, layout: Layout) -> str:
    degrees = (("tp", layout.tp), ("cp", layout.cp), ("dp", layout.dp), ("pp", layout.pp),
               ("vpp", layout.vpp), ("ep", layout.ep))  # fmt: skip
    split = " ".join(f"{name} {count}" for name, count in degrees if count > 1)
    ranks = f"{layout.ranks} ranks" if layout.ranks > 1 else "one card"
    return f"{model.name} on {ranks}{': ' + split if split else ''}."
