"""A replayed graph is launched as one: the host's time, the phases and the steps it leaves."""

from __future__ import annotations

import gc
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from suiren.events.queue import Cost, Queues
from suiren.hw.load import resolve_card
from suiren.mapper.step import Prices, steady_step
from suiren.torch.session import Session
from suiren.trace.program import Kind, Program
from suiren.trace.text import parse_program, print_program

OP, GRAPH, BEGIN, END = 0, 8, (8, 0, 0, 0, 1), (8, 0, 0, 0, 0)


def end_ps(rows: list[tuple[int, int, int, int, int]], issue_ps: int, busy_ps: int) -> int:
    queues = Queues(issue_ps=issue_ps)
    queues.run(rows, lambda _: Cost(busy_ps, 2, "vector"))
    return queues.end_ps()


def test_the_host_issues_a_graph_once() -> None:
    ops = [(OP, 0, 0, 0, 0)] * 10
    assert end_ps(ops, 100, 1) == 1003
    assert end_ps([BEGIN, *ops, END], 100, 1) == 100 + 10 * 3
    assert end_ps([BEGIN, *ops, END, *ops], 100, 1) == 1103


def test_a_graph_takes_no_time_off_long_kernels() -> None:
    ops = [(OP, 0, 0, 0, 0)] * 10
    assert end_ps([BEGIN, *ops, END], 1, 1000) == end_ps(ops, 1, 1000)


class Work:
    """A small model whose step runs eagerly or as a graph."""

    def __init__(self) -> None:
        self.model = nn.Sequential(nn.Linear(16, 16), nn.GELU(), nn.Linear(16, 16)).to("gcu")
        self.optimizer = torch.optim.AdamW(self.model.parameters(), capturable=True)
        self.x = torch.randn(8, 16, device="gcu")

    def step(self) -> None:
        self.optimizer.zero_grad()
        self.model(self.x).pow(2).mean().backward()
        self.optimizer.step()


def steps_of(session: Session, work: Any, count: int = 3) -> tuple[Program, list[int]]:
    """The program after running `work`, and the steps that it added."""
    before = len(session.program().order)
    for _ in range(count):
        work()
    program = session.program()
    return program, program.order[before:]


def ops_of(program: Program, key: int) -> list[tuple[str, str, str]]:
    return [
        (program.calls[what].op, program.contexts[context].phase, program.contexts[context].path)
        for kind, what, context, _, _ in program.distinct[key].events.tolist()
        if kind == Kind.OP
    ]


@pytest.fixture(scope="module")
def graphed(session: Session) -> Any:
    gc.collect()  # optimizers of other tests must not lead the steps of this one
    work = Work()
    for _ in range(2):
        work.step()
    eager = steps_of(session, work.step)
    graph = torch.gcu.GCUGraph()
    work.optimizer.zero_grad()
    with torch.gcu.graph(graph):
        work.step()
    return eager, steps_of(session, graph.replay), work, graph


def test_every_replay_is_a_step_like_an_eager_one(graphed: Any) -> None:
    (program, eager), (later, replayed), *_ = graphed
    assert len(replayed) == 3 and replayed[1] == replayed[2]
    calls = [op for op, *_ in ops_of(later, replayed[-1])]
    assert calls == [op for op, *_ in ops_of(program, eager[-1])]


def test_kernels_of_a_replay_stand_where_they_were_captured(graphed: Any) -> None:
    (program, eager), (later, replayed), *_ = graphed
    assert ops_of(later, replayed[-1]) == ops_of(program, eager[-1])
    assert {phase for _, phase, _ in ops_of(later, replayed[-1])} == {
        "forward", "backward", "optimizer",
    }  # fmt: skip


def test_a_replay_takes_less_time_than_the_same_step_eagerly(graphed: Any) -> None:
    (program, eager), (later, replayed), *_ = graphed
    card = resolve_card("t21")
    slow = steady_step(program, Prices(program.calls, card), eager[-1])
    fast = steady_step(later, Prices(later.calls, card), replayed[-1])
    assert fast.period_ps < 0.7 * slow.period_ps
    busy = [s.end_ps - s.start_ps for s in fast.spans if s.kind in ("op", "launch")]
    assert fast.period_ps >= sum(busy)


def test_graphs_survive_a_saved_trace(graphed: Any) -> None:
    _, (program, replayed), *_ = graphed
    again = parse_program("\n".join(print_program(program)) + "\n")
    kinds = again.distinct[replayed[-1]].events["kind"].tolist()
    assert kinds.count(GRAPH) == 2
    assert kinds == program.distinct[replayed[-1]].events["kind"].tolist()


def test_a_graph_sees_its_batch(graphed: Any) -> None:
    _, (program, replayed), *_ = graphed
    rows = program.distinct[replayed[-1]].events.tolist()
    entered = [program.calls[row[1]] for row in rows if row[0] == Kind.ENTER]
    assert len(entered) == 1 and "8,16" in str(entered[0])


def test_the_chapter_s_example_runs() -> None:
    chapter = Path(__file__).parents[3] / "docs" / "device.md"
    code = chapter.read_text().split("## Graphs")[1].split("```python\n")[1].split("```")[0]
    ran = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False
    )
    assert ran.returncode == 0, ran.stderr


def test_compiled_graphs_are_launched_as_one_where_the_mode_asks(session: Session) -> None:
    def work(x: torch.Tensor) -> torch.Tensor:
        return (x.exp().cumsum(0) * 2).relu()

    def marks(mode: str | None) -> int:
        torch._dynamo.reset()
        run = torch.compile(work, backend="suiren", mode=mode)
        x = torch.randn(4, device="gcu")
        run(x)
        before = session.program().rest
        skip = 0 if before is None else len(before.events)
        run(x)
        rest = session.program().rest
        assert rest is not None
        return int((rest.events["kind"][skip:] == Kind.GRAPH).sum())

    assert marks(None) == 0
    assert marks("reduce-overhead") == 2
