"""The record: every call, where it stands in the script, which memory it touched."""

from __future__ import annotations

import gc

import pytest
import torch
from device_helpers import run_suiren
from recorded_steps import Net, ops_of, places
from torch import nn

from suiren.mapper.memory import live_before, memory_use
from suiren.torch import _shim
from suiren.trace.program import Kind
from suiren.trace.text import load_program

# ---- where an op stands


def test_forward_ops_carry_the_path_of_their_module(net_step):
    forward = [path for phase, path in places(net_step, "addmm") if phase == "forward"]
    blocks = [f"Net.blocks.{i}.{part}" for i in (0, 1) for part in ("up", "down")]
    assert forward == [*blocks, "Net.head"]
    assert ("forward", "Net.norm") in places(net_step, "native_layer_norm")
    relus = [p for p in places(net_step, "relu") if p[0] == "forward"]
    assert relus == [("forward", "Net.blocks.0"), ("forward", "Net.blocks.1")]


def test_backward_ops_carry_the_path_of_the_forward_op_they_belong_to(net_step):
    blocks = [f"Net.blocks.{i}.{part}" for i in (1, 0) for part in ("down", "up")]
    products = [path for phase, path in places(net_step, "mm") if phase == "backward"]
    assert list(dict.fromkeys(products)) == ["Net.head", *blocks]
    # Each layer has two products, but the first one's input needs no gradient.
    assert len(products) == 9
    assert places(net_step, "native_layer_norm_backward") == [("backward", "Net.norm")]
    assert places(net_step, "threshold_backward") == [
        ("backward", "Net.blocks.1"),
        ("backward", "Net.blocks.0"),
    ]


def test_the_loss_stands_outside_every_module(net_step):
    assert places(net_step, "mean") == [("forward", "")]
    assert {p for p in places(net_step, "pow") if p[0] == "forward"} == {("forward", "")}


def test_the_batch_s_way_to_the_card_is_data(net_step):
    assert places(net_step, "copy_") == [("data", "")]


def test_ops_of_the_optimizer_say_so(net_step):
    updates = [op for op in net_step if op.call.name.startswith("_foreach")]
    assert updates
    assert {op.context.phase for op in updates} == {"optimizer"}


def test_phases_follow_each_other(net_step):
    phases = [op.context.phase for op in net_step]
    first = {phase: phases.index(phase) for phase in ("data", "forward", "backward", "optimizer")}
    assert list(first) == sorted(first, key=first.__getitem__)
    last_forward = len(phases) - 1 - phases[::-1].index("forward")
    assert last_forward < first["optimizer"]


def test_under_checkpointing_the_forward_runs_again_as_recompute(train):
    program, order = train(Net(checkpointed=True).to("gcu"), [torch.randn(4, 8)] * 3)
    ops = ops_of(program, program.distinct[order[-1]])
    paths = {
        phase: [path for p, path in places(ops, "addmm") if p == phase]
        for phase in ("forward", "recompute")
    }
    assert len(paths["forward"]) == 5
    # Recomputing stops where nothing more is needed, so `down` runs once.
    assert paths["recompute"] == ["Net.blocks.1.up", "Net.blocks.0.up"]
    assert {path for phase, path in places(ops, "relu") if phase == "recompute"} == {
        "Net.blocks.0",
        "Net.blocks.1",
    }
    backward = {path for phase, path in places(ops, "mm") if phase == "backward"}
    assert backward == set(paths["forward"])


def test_clipping_and_scaling_between_backward_and_step_count_to_the_optimizer(session):
    gc.collect()
    model = Net().to("gcu")
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    for _ in range(2):
        optimizer.zero_grad()
        model(torch.randn(4, 8, device="gcu")).sum().backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
    program = session.program()
    ops = ops_of(program, program.distinct[program.order[-1]])
    for name in ("_foreach_norm", "linalg_vector_norm", "_foreach_mul_"):
        assert {phase for phase, _ in places(ops, name)} == {"optimizer"}


def test_evaluation_after_a_step_is_forward(session):
    gc.collect()
    model = Net().to("gcu")
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    model(torch.randn(4, 8, device="gcu")).sum().backward()
    optimizer.step()
    with torch.no_grad():
        model(torch.randn(4, 8, device="gcu"))
    program = session.program()
    ops = ops_of(program, program.rest)
    assert {phase for phase, _ in places(ops, "addmm")} == {"forward"}


@pytest.mark.parametrize("first", ["the first step", "a later step"])
def test_moving_a_model_to_the_card_is_not_the_optimizer_s_work(session, tmp_path, first):
    script, trace = tmp_path / "script.py", tmp_path / "trace.gz"
    script.write_text(
        "import torch\n"
        f"if {first == 'a later step'}:\n"
        "    a = torch.nn.Linear(3, 3).to('gcu')\n"
        "    o = torch.optim.SGD(a.parameters(), 0.1)\n"
        "    a(torch.ones(1, 3, device='gcu')).sum().backward()\n"
        "    o.step()\n"
        "m = torch.nn.Linear(4, 4).to('gcu')\n"
        "m(torch.ones(1, 4, device='gcu'))\n"
    )
    ran = run_suiren(script, "--save-trace", trace)
    program = load_program(trace)
    assert program.all_steps(), ran.stderr
    copies = places(ops_of(program, program.all_steps()[-1]), "copy_")
    assert copies and "optimizer" not in {phase for phase, _ in copies}


def test_a_module_used_twice_and_one_called_alone_have_their_paths(train):
    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(8, 8)

        def forward(self, x):
            return self.layer(self.layer(x))

    program, order = train(nn.Sequential(Twice(), nn.Tanh()).to("gcu"), [torch.randn(2, 8)] * 2)
    ops = ops_of(program, program.distinct[order[-1]])
    forward = [path for phase, path in places(ops, "addmm") if phase == "forward"]
    assert forward == ["Sequential.0.layer"] * 2
    assert ("forward", "Sequential.1") in places(ops, "tanh")
    assert ("backward", "Sequential.1") in places(ops, "tanh_backward")


def test_a_module_at_a_dead_one_s_address_has_a_path_of_its_own(session):
    wrong = []
    for i in range(60):
        layers = [nn.Linear(4, 4), nn.ReLU()] if i % 2 else [nn.ReLU(), nn.Linear(4, 4)]
        nn.Sequential(*layers).to("gcu")(torch.ones(2, 4, device="gcu"))
        del layers
        program = session.program()
        found = places(ops_of(program, program.rest), "addmm")[-1]
        if found[1] != f"Sequential.{1 - i % 2}":
            wrong.append(found)
    assert not wrong


def test_an_error_inside_a_module_does_not_leave_its_path_behind(session):
    class Fails(nn.Module):
        def forward(self, x):
            raise ValueError("as it should")

    with pytest.raises(ValueError, match="as it should"):
        nn.Sequential(Fails())(torch.ones(1, device="gcu"))
    torch.ones(3, device="gcu").asinh()
    program = session.program()
    last = [op for op in ops_of(program, program.rest) if op.call.name == "asinh"][-1]
    assert last.context.path == ""


# ---- steps


def test_equal_steps_are_recorded_once(train):
    _, order = train(Net().to("gcu"), [torch.randn(4, 8) for _ in range(8)])
    assert len(order) == 8
    assert len(set(order[3:])) == 1


def test_a_step_with_another_batch_size_is_another_step(train):
    sizes = [4, 4, 4, 4, 2, 4, 4]
    _, order = train(Net().to("gcu"), [torch.randn(n, 8) for n in sizes])
    assert order[3] == order[6]
    assert order[4] != order[3]


@pytest.mark.xfail(strict=True, reason="B13: the first optimizer leads while it lives")
def test_two_trainings_in_one_script_both_have_steps(train):
    first = Net().to("gcu")
    kept = []

    def keep(parameters):
        kept.append(torch.optim.SGD(parameters, 0.1))
        return kept[-1]

    _, one = train(first, [torch.randn(4, 8)] * 3, keep)
    _, two = train(Net().to("gcu"), [torch.randn(4, 8)] * 3, keep)
    assert len(one) == 3
    assert len(two) == 3


def test_two_optimizers_of_one_step_make_one_step(session):
    gc.collect()
    model = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4)).to("gcu")
    optimizers = [torch.optim.SGD(part.parameters(), 0.1) for part in model]
    before = len(_shim.steps())
    for _ in range(3):
        model(torch.ones(2, 4, device="gcu")).sum().backward()
        for optimizer in optimizers:
            optimizer.step()
            optimizer.zero_grad()
    assert len(_shim.steps()) - before == 3


# ---- storages


def test_the_storages_of_an_op_stand_in_the_order_of_its_tensors(every_step):
    program, steps = every_step
    for step in steps:
        for op in ops_of(program, step):
            tensors = [*op.call.inputs(), *op.call.results()]
            assert len(op.storages) == len(tensors), op.call
            for tensor, storage in zip(tensors, op.storages, strict=True):
                assert storage == 0 or not tensor.on_host, op.call
                assert storage > 0 or tensor.on_host or _has_no_memory(tensor, op), op.call


def _has_no_memory(tensor, op):
    """Empty tensors, and the bytes of a storage that is copied as such."""
    return tensor.numel == 0 or (op.call.name, tensor.dtype) == ("copy_", "u8")


def test_an_op_in_place_answers_with_its_argument_s_storage(session):
    x = torch.ones(3, device="gcu")
    x.add_(torch.ones(3, device="gcu")).mul_(2)
    program = session.program()
    last = [op for op in ops_of(program, program.rest) if op.call.name in ("add_", "mul_")][-2:]
    (a, _, a_out), (b, b_out) = (
        (op.storages[0], *op.storages[1:]) if op.call.name == "add_" else
        (op.storages[0], op.storages[-1]) for op in last
    )  # fmt: skip
    assert a == a_out == b == b_out == _shim.storage_number(x)


def test_an_op_touches_only_memory_that_is_there(train):
    program, order = train(Net().to("gcu"), [torch.randn(4, 8)] * 3)
    step = program.distinct[order[-1]]
    there = set(live_before(step))
    for i, (kind, what, _, _, _) in enumerate(step.events.tolist()):
        if kind == Kind.ALLOC:
            there.add(what)
        elif kind == Kind.FREE:
            there.remove(what)
        elif kind == Kind.OP:
            assert set(step.storages_of(i).tolist()) - {0} <= there
    assert there == {int(n) for n in step.live["number"]}


def test_the_peak_of_a_recorded_step_is_the_one_the_card_reports(session):
    gc.collect()
    model = Net().to("gcu")
    optimizer = torch.optim.AdamW(model.parameters(), 0.01)
    for _ in range(3):
        torch.gcu.reset_peak_memory_stats()
        optimizer.zero_grad()
        model(torch.randn(64, 8, device="gcu")).pow(2).mean().backward()
        optimizer.step()
        peak = torch.gcu.max_memory_allocated()
    program = session.program()
    use = memory_use(program, program.distinct[program.order[-1]])
    # Tensors of other cards count in a step but not on this one.
    elsewhere = sum(torch.gcu.memory_allocated(i) for i in range(1, 8))
    assert use.peak_bytes - elsewhere == peak
    assert sum(owner.bytes for owner in use.owners) == use.peak_bytes
