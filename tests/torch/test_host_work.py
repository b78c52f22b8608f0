"""The host's part of a step is in the record, and values are what they are without a record."""

from __future__ import annotations

import gc

import pytest
import torch
from torch import nn

from suiren.mapper.families.host import is_on_host
from suiren.report.answer import answer
from suiren.report.document import document
from suiren.report.perfetto import trace_events
from suiren.report.screen import render
from suiren.trace.program import Kind
from suiren.trace.text import parse_program, print_program

WEIGHTS = 64 * 64 + 64


def host_calls(program) -> dict[str, dict[str, int]]:
    """Arguments of what the host did in the last step, by name; the phase beside them."""
    step = program.distinct[program.order[-1]]
    found = {}
    for kind, what, context, *_ in step.events.tolist():
        call = program.calls[what] if kind == Kind.OP else None
        if call is not None and is_on_host(call):
            found[call.name] = {
                **{k: v for k, v in call.arguments.items() if isinstance(v, int)},
                "phase": program.contexts[context].phase,
            }
    return found


def train(steps: int = 3, clip: bool = False, optimizer=torch.optim.AdamW, **how):
    """Weights on the card, masters and optimizer on the host; returns the masters."""
    gc.collect()
    torch.manual_seed(0)
    model = nn.Linear(64, 64).to("gcu")
    masters = [nn.Parameter(p.detach().cpu()) for p in model.parameters()]
    stepper = optimizer(masters, lr=0.01, **how)
    for _ in range(steps):
        model(torch.ones(4, 64, device="gcu")).square().sum().backward()
        for master, p in zip(masters, model.parameters(), strict=True):
            master.grad, p.grad = p.grad.cpu(), None
        if clip:
            nn.utils.clip_grad_norm_(masters, 1.0)
        stepper.step()
        with torch.no_grad():
            for master, p in zip(masters, model.parameters(), strict=True):
                p.copy_(master)
    return masters


def test_a_fused_adam_reads_four_numbers_a_weight_and_writes_three(session):
    train(fused=True)
    adam = host_calls(session.program())["_fused_adamw_"]
    counters = 4 * 2
    assert (adam["read_bytes"], adam["written_bytes"]) == (16 * WEIGHTS + counters, 12 * WEIGHTS)
    assert (adam["ops"], adam["phase"]) == (2, "optimizer")


def test_an_adam_that_is_not_fused_walks_its_memory_many_times(session):
    train()
    calls = host_calls(session.program())
    moved = sum(c["read_bytes"] + c["written_bytes"] for c in calls.values())
    assert 2.5 * 28 < moved / WEIGHTS < 3.5 * 28
    assert {"lerp_", "addcmul_", "sqrt", "addcdiv_"} <= set(calls)


def test_plain_descent_reads_two_numbers_a_weight_and_writes_one(session):
    train(optimizer=torch.optim.SGD)
    (call,) = [c for n, c in host_calls(session.program()).items() if n.endswith("add_")]
    assert (call["read_bytes"], call["written_bytes"]) == (8 * WEIGHTS, 4 * WEIGHTS)


def test_clipping_on_the_host_is_its_work_too(session):
    train(clip=True, fused=True)
    calls = host_calls(session.program())
    norm = next(c for n, c in calls.items() if n.endswith("norm") and c["ops"] == 2)
    assert norm["read_bytes"] == 4 * WEIGHTS and norm["phase"] == "optimizer"
    assert any(n.endswith("mul_") and c["written_bytes"] == 4 * WEIGHTS for n, c in calls.items())


def test_where_the_card_has_no_part_there_is_no_record(session):
    gc.collect()
    before = session.program()
    weight = nn.Parameter(torch.ones(8))
    stepper = torch.optim.AdamW([weight])
    weight.grad = torch.ones(8)
    stepper.step()
    after = session.program()
    assert len(after.calls) == len(before.calls)


@pytest.mark.parametrize("how", [{"fused": True}, {}])
def test_values_are_those_of_the_host_alone(session, how):
    gc.collect()
    torch.manual_seed(0)
    start = torch.randn(100)
    watched, alone = nn.Parameter(start.clone()), nn.Parameter(start.clone())
    for p in (watched, alone):
        torch.ones(1, device="gcu")
        stepper = torch.optim.AdamW([p], **how)
        for _ in range(3):
            p.grad = p.detach() / 3
            if p is watched:
                torch.ones(1, device="gcu").add_(1)
            stepper.step()
    assert torch.equal(watched, alone)


@pytest.fixture(scope="module")
def offloaded(session):
    """The answer of a steady step whose Adam runs on the host."""
    from suiren.torch import _shim

    torch.gcu.synchronize()
    _shim.forget()
    train(6, fused=True)
    return answer(session.program(), session.card)


def test_a_report_says_what_the_host_takes_and_what_would_help(offloaded):
    told = document(offloaded)["host_work"]
    assert told["time_s"] == pytest.approx(told["exposed_s"])
    assert told["share"] == pytest.approx(told["time_s"] / offloaded.step_time_s)
    assert told["bytes"] >= 28 * WEIGHTS
    assert "mostly AdamW" in told["sentence"]
    assert "optimizer on the card would bring +" in told["advice"]
    assert document(offloaded)["time_split_s"]["host work"] == told["exposed_s"]
    names = {row["name"] for row in document(offloaded)["assumed"]}
    assert {"host.memory_bytes_per_s", "host.stream_share"} <= names
    assert render(offloaded).renderables


def test_a_trace_has_a_track_of_the_host(offloaded):
    events = trace_events(offloaded)
    (track,) = (e["tid"] for e in events if e["name"] == "thread_name"
                and e["args"]["name"] == "host")  # fmt: skip
    mine = [e for e in events if e["ph"] == "X" and e["tid"] == track]
    assert {"host::_fused_adamw_"} <= {e["name"] for e in mine}
    assert all(e["args"]["why"] == "host work" for e in mine)


def test_a_saved_step_takes_the_same_time_again(offloaded, session):
    text = "\n".join(print_program(offloaded.program))
    again = answer(parse_program(text), session.card)
    assert again.step_time_s == offloaded.step_time_s
