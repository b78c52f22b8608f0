"""`suiren step MODEL --on CLUSTER`: one training step from a layout, without a script."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from suiren.commands.ask import must_be_writable, notices, screen
from suiren.commands.keep import keep, no_history
from suiren.hw.chipfile import BadChipFile
from suiren.hw.names import UnknownChip

_DEGREES = (
    ("tp", 1, "Tensor parallel ranks."), ("pp", 1, "Pipeline stages."),
    ("vpp", 1, "Chunks a stage, interleaved."), ("cp", 1, "Context parallel ranks."),
    ("ep", 1, "Expert parallel ranks."), ("micro-batch", 1, "Sequences of a micro-batch."),
)  # fmt: skip


def _degrees(command: Callable[..., Any]) -> Callable[..., Any]:
    for name, default, text in reversed(_DEGREES):
        option = click.option(f"--{name}", type=click.IntRange(min=1), default=default, help=text,
                              show_default=True)  # fmt: skip
        command = option(command)
    return command


@click.command()
@click.argument("model_name", metavar="MODEL")
@click.option(
    "--on",
    metavar="CLUSTER",
    required=True,
    help="A cluster, a node, a card, or a TOML file; `hgx-h100*16` is sixteen nodes.",
)
@click.option("--ranks", type=click.IntRange(min=1), help="Cards used; all of the cluster's.")
@_degrees
@click.option("--dp", type=click.IntRange(min=1), help="Data parallel ranks; what is left.")
@click.option(
    "--global-batch", type=click.IntRange(min=1), required=True, help="Sequences of a step."
)
@click.option("--seq", type=click.IntRange(min=1), help="Tokens of a sequence.")
@click.option(
    "--precision",
    default="bf16",
    show_default=True,
    type=click.Choice(["fp32", "tf32", "fp16", "bf16", "fp8", "fp4"]),
)
@click.option(
    "--recompute",
    type=click.Choice(["none", "selective", "full"]),
    default="none",
    show_default=True,
)
@click.option(
    "--schedule",
    type=click.Choice(["1f1b", "gpipe", "interleaved", "zero-bubble"]),
    help="1f1b; interleaved where --vpp is above 1.",
)
@click.option("--zero", type=click.IntRange(0, 1), default=1, show_default=True,
              help="1: data parallel ranks share the optimizer's states.")  # fmt: skip
@click.option(
    "--sequence-parallel/--no-sequence-parallel", default=None, help="On where --tp is above 1."
)
@click.option(
    "--overlap/--no-overlap",
    default=True,
    show_default=True,
    help="Collectives beside kernels where the framework can.",
)
@click.option(
    "--framework", default="megatron-core", show_default=True, help="Whose kernels and habits."
)
@click.option("--json", "json_path", type=click.Path(path_type=Path, dir_okay=False),
              help="Write everything here.")  # fmt: skip
@no_history
def step(**options: Any) -> None:
    """Predict one training step of MODEL on a cluster from its parallel layout.

    \b
    suiren step gpt3-175b --on dgx-a100*128 --tp 8 --pp 16 --global-batch 1536
    suiren step ./config.json --on t21x8 --tp 8 --global-batch 64
    """  # noqa: D301 - click reads the control character
    from suiren.fleet.fold import NoNetwork
    from suiren.fleet.layout import BadLayout, Layout, check_format
    from suiren.fleet.model import BadModel
    from suiren.fleet.models import find_model
    from suiren.fleet.step import train_step
    from suiren.hw.clusterfile import BadClusterFile
    from suiren.hw.find_cluster import UnknownCluster, cluster_of
    from suiren.report.cluster_step import document, render

    must_be_writable(options["json_path"])
    framework = _framework(options["framework"])
    try:
        model = find_model(options["model_name"], options["seq"] or 0)
        cluster = cluster_of(options["on"], options["ranks"])
        ranks = options["ranks"] or cluster.num_ranks
        tp, pp, cp = options["tp"], options["pp"], options["cp"]
        split = tp * pp * cp
        if options["dp"] is None and ranks % split:
            raise BadLayout(f"impossible layout: {ranks} ranks are no multiple of tp {tp} x cp "
                            f"{cp} x pp {pp} = {split}; choose --ranks or --dp")  # fmt: skip
        wide = options["sequence_parallel"]
        layout = Layout(
            global_batch=options["global_batch"], micro_batch=options["micro_batch"], tp=tp, pp=pp,
            vpp=options["vpp"], cp=cp, ep=options["ep"], dp=options["dp"] or ranks // split,
            sequence_parallel=tp > 1 if wide is None else wide, zero=options["zero"],
            recompute=options["recompute"], precision=options["precision"],
            schedule=options["schedule"] or ("interleaved" if options["vpp"] > 1 else "1f1b"),
            overlap_gradients=options["overlap"], overlap_tensor=options["overlap"],
        )  # fmt: skip
        check_format(layout.precision, cluster.card)
        found = train_step(model, layout, cluster, framework)
    except (BadModel, BadLayout, UnknownCluster, BadClusterFile, UnknownChip,
            BadChipFile, NoNetwork) as problem:  # fmt: skip
        raise click.UsageError(str(problem)) from None
    screen.print(render(found, model, layout, cluster))
    told = document(found, model, layout, replace(cluster))
    keep("step", model.name, lambda: told, off=options["no_history"])
    if options["json_path"]:
        options["json_path"].write_text(json.dumps(told, indent=1) + "\n")
        notices.print(f"wrote {options['json_path']}", markup=False)


def _framework(name: str) -> Any:
    from suiren.fleet.framework import FRAMEWORKS

    if name not in FRAMEWORKS:
        raise click.UsageError(f"no framework is called {name!r}; known are "
                               f"{', '.join(FRAMEWORKS)}")  # fmt: skip
    return FRAMEWORKS[name]
