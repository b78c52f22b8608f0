"""Time and power of a run that goes on are those of its answer, and cost it little."""

from __future__ import annotations

import pytest

from suiren.hw.catalog import CARDS
from suiren.report.answer import answer
from suiren.torch.walking import SHARE, Walk
from suiren.trace.program import Program
from suiren.trace.text import parse_program

TEXT = """suiren-trace 1
facts {"script": "train.py", "roots": {"Net": 4194304}, "numerics": true}
context 0 forward Net.fc
context 1 data{space}
context 2 forward Net
call 0 aten::mm(self=f32[512,1024],mat2=f32[1024,512])->(f32[512,512])
call 1 aten::copy_(self=i64[4,128],src=cpu:i64[4,128],non_blocking=false)->(i64[4,128])
call 2 aten::copy_(self=cpu:f32[512],src=f32[512],non_blocking=false)->(cpu:f32[512])
call 3 suiren::call(input0=i64[4,128])->()
call 4 eccl::all_reduce(outputs=[f32[512]],inputs=[],group=0,size_bytes=2048,peer=-1)->()
step 0
op 1 1 0 5 6 5
enter 3 2 2 0
op 0 0 0 9 1 10
live 1 2097152 0
step 1
op 1 1 0 5 6 5
enter 3 2 2 0
op 0 0 0 9 1 10
op 0 0 0 9 1 10
op 2 1 0 7 8 7
op 4 0 0 11
live 1 2097152 0
order 0 0 1 1 1 0 1 1 1 1 1 1
end
""".replace("{space}", " ")


@pytest.fixture(scope="module")
def program() -> Program:
    return parse_program(TEXT)


class Reading:
    """Reads steps of a program and counts how often."""

    def __init__(self, program: Program) -> None:
        self.program, self.keys = program, []

    def __call__(self, key: int) -> Program:
        self.keys.append(key)
        whole = self.program
        return Program(whole.calls, whole.contexts, [whole.distinct[key]], [0], facts=whole.facts)


def test_sums_are_those_of_the_answer_and_each_step_is_read_once(program: Program) -> None:
    read, walk = Reading(program), Walk(CARDS["toy"], prices_later=True)
    for seen in range(len(program.order) + 1):
        walked = walk.go_on(program.order[:seen], read, elapsed_s=1e9)
        assert walked.num_steps == seen
    found = answer(parse_program(TEXT), CARDS["toy"])
    assert read.keys == [0, 1]
    assert walked.simulated_s == pytest.approx(sum(found.step_times_s))
    assert walked.last_step_s == pytest.approx(found.step_time_s)
    facts = walked.facts
    assert facts is not None
    assert facts.seconds == pytest.approx(found.step_time_s)
    assert facts.energy_j == pytest.approx(found.energy_j)
    assert facts.mfu == pytest.approx(found.mfu)
    assert (facts.samples, facts.tokens) == (found.batch.samples, found.batch.tokens)
    shares = {k: v / found.step_time_s for k, v in found.split_s.items()}
    assert facts.parts_share == pytest.approx(shares)
    assert 0 < facts.busy_share < 1


def test_looking_once_gives_the_same_sums_as_looking_at_every_step(program: Program) -> None:
    often, once = (Walk(CARDS["toy"], prices_later=True) for _ in range(2))
    for seen in range(len(program.order) + 1):
        often.go_on(program.order[:seen], Reading(program), elapsed_s=1e9)
    once.go_on(program.order, Reading(program), elapsed_s=1e9)
    assert once.walked.simulated_s == pytest.approx(often.walked.simulated_s)
    assert once.walked.energy_j == pytest.approx(often.walked.energy_j)
    assert once.walked.num_steps == often.walked.num_steps == 12


def test_bytes_over_the_host_link_and_of_collectives_are_counted(program: Program) -> None:
    walked = Walk(CARDS["toy"], prices_later=True).go_on(program.order, Reading(program), 1e9)
    assert walked.received_bytes == 12 * 4 * 128 * 8
    ones = program.order.count(1)
    assert walked.sent_bytes == ones * 512 * 4
    assert walked.collective_bytes == ones * 2048


def test_a_run_that_has_not_lasted_long_is_left_alone(program: Program) -> None:
    read, walk = Reading(program), Walk(CARDS["toy"], prices_later=False)
    assert walk.go_on(program.order, read, elapsed_s=0.001).num_steps == 0
    assert walk.spent_s < 0.1 and len(read.keys) <= 1
    later = walk.go_on(program.order, read, elapsed_s=1 / SHARE)
    assert later.num_steps == len(program.order)
