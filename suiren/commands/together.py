"""`suiren run --devices N` and `--ranks N`: one script on many cards."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.markup import escape

from suiren.commands.ask import notices, screen
from suiren.commands.keep import keep_ranks
from suiren.hw.cluster import Cluster
from suiren.hw.spec import Card

if TYPE_CHECKING:
    from suiren.fleet.ranks import RankProgram
    from suiren.torch.distributed.outcome import RankOutcome
    from suiren.torch.how import How
    from suiren.trace.program import Program


def is_many(options: dict[str, Any]) -> bool:
    """True where the options ask for more than one process or rank; refuses what cannot be."""
    if options["devices"] is not None and options["ranks"] is not None:
        raise click.UsageError(
            "--devices runs real processes and --ranks simulates them in one: give one of the two"
        )
    if options["ranks"] is not None and not options["no_numerics"]:
        raise click.UsageError(
            "--ranks simulates ranks without values: give --no-numerics with it, or --devices "
            "for up to 64 ranks with values"
        )
    for name, option in (("master_port", "--master-port"), ("timeout_s", "--timeout")):
        if options[name] is not None and options["devices"] is None:
            raise click.UsageError(f"{option} is for --devices, which is not given")
    return options["devices"] is not None or options["ranks"] is not None


def cluster_named(on: str, num_ranks: int) -> Cluster:
    """The cluster of `--on` for so many ranks: by name, a node, a card in its usual box, a file."""
    from suiren.hw.clusterfile import BadClusterFile
    from suiren.hw.find_cluster import UnknownCluster, cluster_of

    try:
        return cluster_of(on, num_ranks)
    except UnknownCluster as problem:
        raise click.UsageError(str(problem)) from None
    except BadClusterFile as problem:
        if not on.endswith((".toml", ".py")):
            raise click.UsageError(str(problem)) from None
        return _around(card_of_file(on, problem), num_ranks)


def card_of_file(on: str, problem: Exception) -> Card:
    """The card that a file describes; where it is none, the cluster file's own problem is told."""
    from suiren.hw.chipfile import BadChipFile
    from suiren.hw.load import load_card

    try:
        return load_card(on)
    except BadChipFile:
        raise click.UsageError(f"{on} describes no cluster and no card: {problem}") from None


def _around(card: Card, num_ranks: int) -> Cluster:
    """A card of a user's own in the box of the catalogue's card with the same chip."""
    from suiren.hw.catalog.node import NODES
    from suiren.hw.find_cluster import cluster_of

    node = next((n for n in NODES if n.card.chip.name == card.chip.name), None)
    if node is None:
        raise click.UsageError(
            f"{card.title} stands in no box of the catalogue: describe one in a cluster file "
            "(docs/network.md)"
        )
    cluster = cluster_of(node.name, num_ranks)
    return replace(cluster, node=replace(cluster.node, card=card))


def run_many(
    script: Path, arguments: Sequence[str], cluster: Cluster, how: How, options: dict[str, Any]
) -> int:
    """Runs the script on all ranks, tells what a step takes, returns the exit status."""
    if options["devices"] is not None:
        outcomes = _devices(script, arguments, cluster, how, options)
    else:
        outcomes = _ranks(script, arguments, cluster, how, options)
    return _tell(outcomes, script, cluster, options)


def _devices(
    script: Path, arguments: Sequence[str], cluster: Cluster, how: How, options: dict[str, Any]
) -> list[RankOutcome]:
    from suiren.torch.distributed.launch import CannotLaunch, Launching, run_devices

    count = options["devices"]
    with _bar(f"{count} × {cluster.card.title}", shown=not options["quiet"]) as stepped:
        launching = Launching(
            options["master_port"],
            options["timeout_s"],
            stepped,
            lambda sentence: notices.print(sentence, style="yellow", markup=False),
        )
        try:
            return run_devices(script, arguments, cluster.card, count, how, launching)
        except CannotLaunch as problem:
            raise click.UsageError(str(problem)) from None


def _ranks(
    script: Path, arguments: Sequence[str], cluster: Cluster, how: How, options: dict[str, Any]
) -> list[RankOutcome]:
    from suiren.torch.distributed.alone import CannotRun, run_ranks

    count, title = options["ranks"], cluster.card.title
    with _bar(f"{count:,} × {title}", shown=not options["quiet"], unit="rank") as ran:
        try:
            return run_ranks(
                script, arguments, cluster.card, count, how, cluster.cards_per_node,
                lambda one: ran(one.rank),
            )  # fmt: skip
        except CannotRun as problem:
            raise click.UsageError(str(problem)) from None


@contextmanager
def _bar(title: str, shown: bool, unit: str = "step") -> Iterator[Callable[[int], None]]:
    """Shows the last step or rank; nothing where the output is no terminal."""
    if not (shown and notices.is_terminal):
        yield lambda _: None
        return
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=notices, transient=True) as progress:
        task = progress.add_task(f"on {title}: starting", total=None)
        yield lambda step: progress.update(task, description=f"on {title}: {unit} {step}")


def _tell(
    outcomes: list[RankOutcome], script: Path, cluster: Cluster, options: dict[str, Any]
) -> int:
    """Prints how ranks ended and what a step takes."""
    from suiren.fleet.placed import ClusterTooSmall
    from suiren.fleet.together import RanksPart
    from suiren.fleet.walkers import TooManyWalkers
    from suiren.report.answer import NothingRan
    from suiren.report.ranks import answer_for_ranks
    from suiren.report.ranks_screen import render_ranks

    code = _say_how_ended(outcomes)
    try:
        found = answer_for_ranks(_that_ran(outcomes, cluster.cards_per_node), cluster)
    except NothingRan as problem:
        if not code:
            notices.print(str(problem), style="yellow", markup=False)
        return code or 2
    except (RanksPart, ClusterTooSmall, TooManyWalkers) as problem:
        notices.print(str(problem), style="yellow", markup=False)
        return code or 2
    if not options["quiet"]:
        screen.print(render_ranks(found))
    _write(found, options)
    keep_ranks(found, script, options, exit_code=code)
    return code


def _say_how_ended(outcomes: list[RankOutcome]) -> int:
    """Errors once each; the worst exit status."""
    said: dict[str, list[int]] = {}
    for outcome in outcomes:
        if outcome.error:
            said.setdefault(outcome.error, []).append(outcome.ranks[0])
    for error, ranks in said.items():
        where = ", ".join(map(str, ranks[:8])) + (" …" if len(ranks) > 8 else "")
        notices.print(f"[bold]rank {where}:[/] {escape(error)}", soft_wrap=True)
    early = [o for o in outcomes if o.ended != "finished"]
    if early and any(o.program.order for o in outcomes):
        notices.print("[yellow]what was learnt until then follows[/]")
    # a rank that was stopped because of another says nothing about why
    causes = sorted(early, key=lambda outcome: outcome.ended == "interrupted")
    return next((o.exit_code for o in causes if o.exit_code), 1 if early else 0)


def _has_rest(program: Program) -> bool:
    return program.rest is not None and program.rest.num_ops > 0


def _that_ran(outcomes: list[RankOutcome], cards_per_node: int) -> list[RankProgram]:
    """Programs of ranks that asked anything of their card, equal ones together."""
    from suiren.fleet.ranks import RankProgram
    from suiren.report.answer import NothingRan
    from suiren.torch.distributed.sameness import digest

    ran = [o for o in outcomes if o.program.order or _has_rest(o.program)]
    if not ran:
        raise NothingRan(
            "no rank ran an op on its device: does the script move its model and data there "
            '(device="cuda")?'
        )
    if len(ran) == 1 or any(len(o.ranks) > 1 for o in ran):
        return [RankProgram(o.ranks, o.program) for o in ran]
    alike: dict[str, list[RankOutcome]] = {}
    for outcome in ran:
        alike.setdefault(digest(outcome.program, cards_per_node), []).append(outcome)
    return [
        RankProgram(tuple(o.ranks[0] for o in same), same[0].program) for same in alike.values()
    ]


def _write(found: Any, options: dict[str, Any]) -> None:
    from suiren.commands.ask import write_files, write_scalars
    from suiren.report.ranks_document import write_ranks_document
    from suiren.report.ranks_page import write_ranks_page
    from suiren.report.ranks_perfetto import write_ranks_trace
    from suiren.trace.text import save_program

    write_files(
        (options["json_path"], lambda path: write_ranks_document(found, path)),
        (options["perfetto_path"], lambda path: write_ranks_trace(found, path)),
        (options["page_path"], lambda path: write_ranks_page(found, path)),
        (options["trace_path"], lambda path: save_program(found.main.program, path)),
    )
    write_scalars(found.main, options["events_path"])
