"""`suiren goodput`: a month of training, with everything that goes wrong in it."""

from __future__ import annotations

import json
from dataclasses import replace
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING

import click

from suiren.commands.ask import must_be_writable, notices, screen
from suiren.commands.goodput_inputs import fleet, number_of_bytes, step_time
from suiren.commands.keep import keep, no_history

if TYPE_CHECKING:
    from suiren.fleet.faults import Faults, Recovery
    from suiren.fleet.goodput import Checkpoint, Job
    from suiren.hw.fact import Fact
    from suiren.report.goodput import GoodputAnswer

PATH = click.Path(path_type=Path, dir_okay=False)
POSITIVE = click.FloatRange(min=0, min_open=True)
NOT_NEGATIVE = click.FloatRange(min=0)
SHARE = click.FloatRange(0, 1)
#: The same rates for every seed of `--runs`; the interval is searched on these many histories.
SEARCHED = 8


@click.command()
@click.option("--on", metavar="NODE", help="What the chips stand in: hgx-h100, t21x8.")
@click.option("--chips", type=click.IntRange(min=1), help="Chips of the job.")
@click.option("--chips-per-node", type=click.IntRange(min=1), help="8 where --on does not say.")
@click.option("--step-s", type=POSITIVE, help="Seconds of a step without any fault.")
@click.option("--step", "step_file", type=PATH, help="Take it from a JSON that suiren wrote.")
@click.option("--checkpoint-bytes", required=True, metavar="BYTES",
              help="All of a checkpoint: 2.3e12, 2.3TB, 1.6TiB.")  # fmt: skip
@click.option("--storage", metavar="BYTES", help="Bytes a second that storage takes in all.")
@click.option(
    "--every", type=click.IntRange(min=1), help="Steps between checkpoints; else the best."
)
@click.option("--background", is_flag=True, help="Write checkpoints while training goes on.")
@click.option("--days", type=POSITIVE, default=30.0, show_default=True)
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True)
@click.option("--runs", type=click.IntRange(min=1), default=20, show_default=True,
              help="Runs with seeds from --seed on, for the spread.")  # fmt: skip
@click.option("--failures", "rates", default="llama3", show_default=True,
              type=click.Choice(["llama3", "rsc1", "bloom", "opt", "none"]),
              help="Whose failure rates.")  # fmt: skip
@click.option("--failure-factor", type=POSITIVE, default=1.0, help="Fail so many times as often.")
@click.option("--spares", type=click.IntRange(min=0), default=0, help="Spare nodes.")
@click.option("--detect-s", type=NOT_NEGATIVE, help="From a failure to its detection.")
@click.option("--restart-s", type=NOT_NEGATIVE, help="From there to training, without loading.")
@click.option("--repair-h", type=NOT_NEGATIVE, help="Hours until a failed node is a spare again.")
@click.option("--jitter", type=click.FloatRange(0, 1), default=0.0,
              help="Standard deviation of the logarithm of a rank's step.")  # fmt: skip
@click.option("--slow-share", type=SHARE, default=0.0, help="Share of slow chips.")
@click.option("--slowdown", type=click.FloatRange(min=1), default=1.1, show_default=True,
              help="Step of a slow chip over a sound one's.")  # fmt: skip
@click.option("--weak-link-days", type=POSITIVE, help="Days between two onsets at one chip's link.")
@click.option("--bandwidth-left", type=click.FloatRange(0, 1, min_open=True), default=0.5)
@click.option("--weak-link-h", type=POSITIVE, default=0.5, help="Hours that a link stays weak.")
@click.option("--communication-share", type=SHARE, default=0.1, show_default=True,
              help="Share of a step that waits for links.")  # fmt: skip
@click.option("--json", "json_path", type=PATH, help="Write everything as JSON.")
@click.option("--report", "page_path", type=PATH, help="Write a self-contained HTML page.")
@no_history
def goodput(
    on: str | None, chips: int | None, chips_per_node: int | None, step_s: float | None,
    step_file: Path | None, checkpoint_bytes: str, storage: str | None, days: float,
    json_path: Path | None, page_path: Path | None, no_history: bool, **given: object,
) -> None:  # fmt: skip
    """What share of a month of training is kept: failures, checkpoints, slow chips, weak links.

    \b
    suiren goodput --chips 16384 --step-s 10 --checkpoint-bytes 5.7TB --spares 64
    suiren goodput --on t21x8 --chips 1024 --step step.json --checkpoint-bytes 2.1TB --days 54
    """  # noqa: D301 - click reads the control character
    from suiren.fleet.goodput import Job
    from suiren.report.goodput import document, render
    from suiren.report.goodput_page import goodput_html

    chips, per_node, title = fleet(on, chips, chips_per_node)
    seconds = step_time(step_s, step_file)
    must_be_writable(json_path, page_path)
    size = number_of_bytes("--checkpoint-bytes", checkpoint_bytes)
    rate = _storage(storage, chips)
    job = Job(
        chips=chips, chips_per_node=per_node, step_s=seconds,
        checkpoint=_checkpoint(size, rate, chips, bool(given["background"])),
        communication_share=float(str(given["communication_share"])),
    )  # fmt: skip
    answer = _answer(title, job, size, rate, days * 86400, given)
    screen.print(render(answer))
    keep("goodput", title, lambda: document(answer), off=no_history)
    if json_path:
        json_path.write_text(json.dumps(document(answer), indent=1) + "\n", encoding="utf-8")
        notices.print(f"wrote {json_path}", markup=False)
    if page_path:
        page_path.write_text(goodput_html(answer), encoding="utf-8")
        notices.print(f"wrote {page_path}", markup=False)


def _storage(given: str | None, chips: int) -> Fact:
    """All of storage, as given or as much a chip as BLOOM's run had."""
    from suiren.fleet.fault_rates import BLOOM_CHECKPOINT_BYTES, BLOOM_CHECKPOINT_S
    from suiren.hw.fact import assumed, derived

    if given is not None:
        return assumed(number_of_bytes("--storage", given), "given with --storage")
    rate = float(BLOOM_CHECKPOINT_BYTES) / float(BLOOM_CHECKPOINT_S) / 384
    return derived(
        rate * chips,
        f"{chips:,} chips × {rate / 1e6:.0f} MB/s: 2.3 TB in 40 s on 384 chips, BLOOM; "
        f"{BLOOM_CHECKPOINT_S.source}",
    )


def _checkpoint(size: float, rate: Fact, chips: int, background: bool) -> Checkpoint:
    from suiren.fleet.goodput import Checkpoint

    write_s = size / float(rate)
    if not background:
        return Checkpoint(every_steps=1, pause_s=write_s, load_s=write_s)
    # a chip's share to host memory, at a rate that PCIe 4 holds with room to spare
    return Checkpoint(every_steps=1, pause_s=size / chips / 10e9, lag_s=write_s, load_s=write_s)


def _answer(
    title: str, job: Job, size: float, rate: Fact, horizon_s: float, given: dict[str, object]
) -> GoodputAnswer:
    from suiren.fleet.interval import best_interval, daly_s, runs, young_s
    from suiren.report.goodput import GoodputAnswer

    faults, recovery = _faults(given), _recovery(given)
    seed = int(str(given["seed"]))
    every, best = given["every"], None
    if every is None:
        best = best_interval(job, faults, recovery, horizon_s, range(seed, seed + SEARCHED))
        every = best.every_steps
    job = replace(job, checkpoint=replace(job.checkpoint, every_steps=int(str(every))))
    seeds = range(seed, seed + int(str(given["runs"])))
    failing = faults.rate_per_s(job.chips, job.nodes)
    mtbf_s = 1 / failing if failing else inf
    return GoodputAnswer(
        title, job, faults, recovery, size, rate, seed,
        tuple(runs(job, faults, recovery, horizon_s, seeds)), best,
        (young_s(job.checkpoint.pause_s, mtbf_s), daly_s(job.checkpoint.pause_s, mtbf_s)),
    )  # fmt: skip


def _faults(given: dict[str, object]) -> Faults:
    from suiren.fleet.fault_rates import RATES
    from suiren.fleet.faults import S_PER_DAY, S_PER_H, Faults, Jitter, Stragglers, WeakLinks
    from suiren.hw.fact import assumed

    def said(option: str, scale: float = 1.0) -> Fact:
        name = option.lstrip("-").replace("-", "_")
        return assumed(float(str(given[name])) * scale, f"given with {option}")

    weak = None if given["weak_link_days"] is None else said("--weak-link-days", S_PER_DAY)
    return Faults(
        failures=RATES[str(given["rates"])],
        jitter=Jitter(sigma=said("--jitter")),
        stragglers=Stragglers(share=said("--slow-share"), slowdown=said("--slowdown")),
        weak_links=WeakLinks(
            mean_s=weak, bandwidth_left=said("--bandwidth-left"),
            duration_s=said("--weak-link-h", S_PER_H),
        ),
    ).times(float(str(given["failure_factor"])))  # fmt: skip


def _recovery(given: dict[str, object]) -> Recovery:
    from suiren.fleet.faults import S_PER_H, Recovery
    from suiren.hw.fact import assumed

    usual = Recovery()
    options = (("detect_s", "--detect-s", 1.0), ("restart_s", "--restart-s", 1.0),
               ("repair_s", "--repair-h", S_PER_H))  # fmt: skip
    facts = {}
    for name, option, scale in options:
        value = given[option.lstrip("-").replace("-", "_")]
        said = f"given with {option}"
        facts[name] = (
            getattr(usual, name) if value is None else assumed(float(str(value)) * scale, said)
        )
    return Recovery(**facts, spare_nodes=int(str(given["spares"])))
