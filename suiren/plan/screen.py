"""A plan on the screen: the best layouts, the trade-offs, why, and what to run."""

from __future__ import annotations

from collections.abc import Iterator

import plotext
from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from suiren.plan.answer import Answer
from suiren.plan.document import is_unmeasured
from suiren.plan.row import Row, memory_of
from suiren.units import GiB, show_time

#: Rows of the table of facts, and of the names of assumed facts.
_SWINGS, _ASSUMED = 8, 6


def render(answer: Answer) -> RenderableType:
    """Everything about a plan."""
    return Group(*_pieces(answer))


def _pieces(answer: Answer) -> Iterator[RenderableType]:
    yield _head(answer)
    if not answer.best:
        yield _nothing(answer)
        return
    yield _table(answer)
    alike = [f"  {one.place:>2} {one.knobs}" for one in answer.best if one.knobs]
    if alike:
        yield Text("\n".join(["as fast and as large with, instead", *alike]))
    yield _whys(answer)
    yield _owners(answer)
    if len(answer.outcome.found.front) > 2:
        yield _picture(answer)
    if answer.swings:
        yield _swings(answer)
    yield _end(answer)


def _head(answer: Answer) -> RenderableType:
    planner, found = answer.planner, answer.outcome.found
    problem, model = planner.problem, planner.model
    table = Table.grid(padding=(0, 2))
    machines = ", ".join(f"{m.cluster().title}, {m.ranks:,} cards" for m in problem.machines)
    lora = f", LoRA rank {problem.lora_rank}" if problem.lora_rank else ""
    broken = ", ".join(f"{count:,} break {name}" for name, count in found.broken)
    sizes = "" if problem.is_script else f", {model.layers} layers, sequences of {model.seq:,}"
    rows = [
        ("model", f"{model.params / 1e9:.2f} G weights{sizes}{lora}; {planner.known.source}"),
        ("machine", machines),
        ("searched", f"{found.searched:,} of {answer.outcome.total:,} layouts, {found.fitting:,} "
                     f"keep all limits{'; ' + broken if broken else ''}"),
    ]  # fmt: skip
    if not answer.outcome.is_whole:
        rows.append(("stopped", "before the end: the same command goes on from here"))
    rows += [("lost", text) for text in answer.outcome.lost]
    for name, text in rows:
        table.add_row(Text(name, style="bold"), text)
    title = f"plan for {model.name}, global batch {problem.global_batch}, best {problem.goal}"
    return Panel(table, title=f"{title} (simulated)", title_align="left")


def _nothing(answer: Answer) -> RenderableType:
    """What comes nearest, by how much it misses, and what would do."""
    reasons = [*_over_memory(answer), *_other_limits(answer)]  # twins read alike
    lines = ["no layout keeps all limits", *dict.fromkeys(reasons)]
    if answer.change is not None:
        lines.append(f"smallest change that does: {answer.change.sentence}")
    elif answer.outcome.is_whole:
        lines.append("no single change of layout, sequence, adapters or up to 16 times the cards "
                     "would do")  # fmt: skip
    return Text("\n".join(lines))


def _over_memory(answer: Answer) -> Iterator[str]:
    """The layouts that come nearest to fitting, where memory alone is what fails."""
    problem, found = answer.planner.problem, answer.outcome.found
    for row in found.near[:3] if not found.missed else ():
        machine = problem.machines[row.machine]
        over = (row.memory_bytes - memory_of(problem, machine)) / GiB
        most = max(row.owners_bytes, key=lambda n: row.owners_bytes[n], default="")
        yield (f"  nearest on {machine.name}: {row.label} needs {row.memory_bytes / GiB:.1f} GiB, "
               f"{over:.1f} GiB too much; most of it {most}, "
               f"{row.owners_bytes.get(most, 0.0) / GiB:.1f} GiB")  # fmt: skip


def _other_limits(answer: Answer) -> Iterator[str]:
    """The fastest, the coolest and the cheapest layout that fits, beside the limit each breaks."""
    problem, missed = answer.planner.problem, answer.outcome.found.missed
    if not missed:
        return
    fast, cool, cheap = missed
    limits, tokens = problem.limits, problem.tokens
    name = problem.machines[fast.machine].name
    if limits.deadline_s and tokens / fast.tokens_per_s > limits.deadline_s:
        yield (f"  the fastest that fits, {fast.label} on {name}, takes "
               f"{tokens / fast.tokens_per_s / 86400:,.1f} days, "
               f"{limits.deadline_s / 86400:,.1f} are allowed")  # fmt: skip
    if limits.power_w and cool.power_w > limits.power_w:
        yield (f"  the least power of one that fits, {cool.label}, is "
               f"{cool.power_w / 1e3:,.1f} kW, {limits.power_w / 1e3:,.1f} kW are allowed"
               )  # fmt: skip
    if limits.budget:
        money = cheap.cost * tokens / cheap.tokens_per_s / cheap.step_s
        if money > limits.budget:
            yield (f"  the cheapest that fits, {cheap.label}, costs {money:,.0f}, "
                   f"{limits.budget:,.0f} are allowed")  # fmt: skip
    if limits.power_w and fast.power_w > limits.power_w >= cool.power_w:
        yield "  each limit could be kept alone, all of them together cannot"


def _table(answer: Answer) -> RenderableType:
    problem = answer.planner.problem
    many = len(problem.machines) > 1
    priced = any(m.price_per_card_hour for m in problem.machines)
    table = Table(box=None, padding=(0, 1), title="best layouts", title_justify="left")
    rate = "samples/s" if problem.is_script else "tokens/s"
    heads = ["", *(["machine"] if many else []), "layout", "cards", "step", rate, "MFU",
             "memory", "of", "energy", "power", *(["cost"] if priced else []),
             *(["days"] if problem.tokens else [])]  # fmt: skip
    for name in heads:
        table.add_column(name, justify="left" if name in ("layout", "machine") else "right",
                         no_wrap=name != "layout")  # fmt: skip
    for one in answer.best:
        row, machine = one.row, problem.machines[one.row.machine]
        table.add_row(
            str(one.place), *([machine.name] if many else []),
            row.label, f"{row.layout.ranks:,}",
            show_time(row.step_s), f"{_rate(answer, row):,.0f}", f"{100 * row.mfu:.1f} %",
            f"{row.memory_bytes / GiB:.1f} GiB", f"{memory_of(problem, machine) / GiB:.0f} GiB",
            f"{row.energy_j / 1e3:,.1f} kJ", f"{row.power_w / 1e3:,.1f} kW",
            *([f"{row.cost:,.4f}"] if priced else []),
            *([f"{problem.tokens / row.tokens_per_s / 86400:,.1f}"] if problem.tokens else []),
        )  # fmt: skip
    return table


def _rate(answer: Answer, row: Row) -> float:
    """Tokens a second; of a script samples, for only it knows what its tokens are."""
    problem = answer.planner.problem
    return problem.global_batch / row.step_s if problem.is_script else row.tokens_per_s


def _whys(answer: Answer) -> Text:
    lines = ["why each loses to the one above"]
    lines += [f"  {one.place:>2} {one.why}" for one in answer.best[1:]]
    if len(lines) > 1:
        return Text("\n".join(lines))
    return Text("no other layout keeps all limits" if answer.outcome.found.fitting < 2 else "")


def _owners(answer: Answer) -> Text:
    """What the best layout's memory holds."""
    row = answer.best[0].row
    limit = memory_of(answer.planner.problem, answer.planner.problem.machines[row.machine])
    held = sorted(row.owners_bytes.items(), key=lambda item: -item[1])
    text = ", ".join(f"{name} {size / GiB:.1f}" for name, size in held if size > 0.05 * GiB)
    free = (limit - row.memory_bytes) / GiB
    return Text(f"memory of the best, GiB: {text}; {free:.1f} free of {limit / GiB:.0f}")


def _picture(answer: Answer) -> Text:
    """Step time over memory, the fitting layouts and the front among them."""
    found = answer.outcome.found
    others: list[Row] = [row for row, fits in found.drawn if fits]
    plotext.clear_figure()
    plotext.theme("clear")
    plotext.plotsize(84, 14)
    if others:
        plotext.scatter([r.memory_bytes / GiB for r in others], [r.step_s for r in others],
                        marker=".")  # fmt: skip
    plotext.scatter([r.memory_bytes / GiB for r in found.front], [r.step_s for r in found.front],
                    marker="o")  # fmt: skip
    plotext.xlabel("memory of a card, GiB")
    plotext.title("step time in seconds; o: nothing beats it in time, memory, energy and cost")
    return Text.from_ansi(plotext.build())


def _swings(answer: Answer) -> Table:
    best = answer.best[0].row
    table = Table(box=None, padding=(0, 1), title="what the step hangs on", title_justify="left")
    for name in ("fact", "kind", "moved", "step"):
        table.add_column(name, justify="left" if name in ("fact", "kind") else "right")
    for one in answer.swings[:_SWINGS]:
        change = [100 * (s / best.step_s - 1) for s in (one.step_s_low, one.step_s_high)]
        spread = 100 * (one.high / one.value - 1)
        table.add_row(one.fact, one.kind, f"±{spread:.0f} %",
                      f"{change[0]:+.1f} % … {change[1]:+.1f} %")  # fmt: skip
    return table


def _end(answer: Answer) -> RenderableType:
    lines = []
    if answer.launch is not None:
        lines += [f"to run it, --launch DIR writes {', '.join(answer.launch.files)}; then",
                  f"  {answer.launch.command.splitlines()[0]}"]  # fmt: skip
        lines += [f"  {note}" for note in answer.launch.notes]
    if is_unmeasured(answer):
        lines.append("no public measurements of this chip exist: its numbers are a model's")
    names = list(answer.assumed)
    if names:
        more = f" and {len(names) - _ASSUMED} more" if len(names) > _ASSUMED else ""
        lines.append(f"rests on {len(names)} assumed facts: {', '.join(names[:_ASSUMED])}{more}")
    return Text("\n".join(lines))
