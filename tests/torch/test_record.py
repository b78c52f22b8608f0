"""The record: every call, where it stands in the script, which memory it touched – and its text."""

from __future__ import annotations

import gc
import gzip
from dataclasses import dataclass

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from device_helpers import cases, run_suiren
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.utils.checkpoint import checkpoint

from suiren.mapper.memory import live_before, memory_use
from suiren.torch import _shim
from suiren.trace.call import FLOAT, Call, CallSyntaxError, Tensor, parse_call
from suiren.trace.program import Context, Kind, Program, Step
from suiren.trace.text import TraceError, load_program, parse_program, print_program, save_program

# ---- recording a step


@dataclass
class Op:
    """An op of a step with its surroundings."""

    call: Call
    context: Context
    storages: list[int]


def ops_of(program: Program, step: Step) -> list[Op]:
    rows = step.events.tolist()
    return [
        Op(program.calls[what], program.contexts[context], step.storages_of(i).tolist())
        for i, (kind, what, context, _, _) in enumerate(rows)
        if kind == Kind.OP
    ]


def places(ops: list[Op], name: str) -> list[tuple[str, str]]:
    """(phase, path) of every op of that name."""
    return [(op.context.phase, op.context.path) for op in ops if op.call.name == name]


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.up, self.down = nn.Linear(8, 16), nn.Linear(16, 8)

    def forward(self, x):
        return x + self.down(F.relu(self.up(x)))


class Net(nn.Module):
    def __init__(self, checkpointed=False):
        super().__init__()
        self.blocks = nn.ModuleList(Block() for _ in range(2))
        self.norm = nn.LayerNorm(8)
        self.head = nn.Linear(8, 4)
        self.checkpointed = checkpointed

    def forward(self, x):
        for block in self.blocks:
            x = checkpoint(block, x, use_reentrant=False) if self.checkpointed else block(x)
        return self.head(self.norm(x))


@pytest.fixture
def train(session):
    """Trains a model some steps; returns the program and the numbers of those steps."""
    gc.collect()  # optimizers of other tests must not lead the steps of this one

    def run(model, batches, make_optimizer=lambda p: torch.optim.AdamW(p, 0.01)):
        optimizer = make_optimizer(model.parameters())
        before = len(_shim.steps())
        for batch in batches:
            optimizer.zero_grad()
            model(batch.to("gcu")).pow(2).mean().backward()
            optimizer.step()
        program = session.program()
        return program, program.order[before:]

    return run


@pytest.fixture
def net_step(train):
    """The ops of a plain training step of `Net`."""
    program, order = train(Net().to("gcu"), [torch.randn(4, 8)] * 3)
    assert len(order) == 3
    return ops_of(program, program.distinct[order[-1]])


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


LABELLED = """
import torch
def train(names):
    parts = torch.nn.ModuleDict({name: torch.nn.Linear(4, 4) for name in names}).to("gcu")
    optimizers = [torch.optim.AdamW(part.parameters()) for part in parts.values()]
    for _ in range(3):
        for name, optimizer in zip(names, optimizers):
            optimizer.zero_grad()
            parts[name](torch.ones(2, 4, device="gcu")).sum().backward()
        for optimizer in optimizers:
            optimizer.step()
    return parts, optimizers
kept = train(["one"])
also = train(["two", "three"])
"""


@pytest.fixture(scope="module")
def labels(tmp_path_factory):
    """(kind, name) of everything named in a script that trains twice."""
    folder = tmp_path_factory.mktemp("labels")
    script, trace = folder / "script.py", folder / "trace.gz"
    script.write_text(LABELLED)
    run_suiren(script, "--save-trace", trace)
    return {(label.kind, label.name) for label in load_program(trace).labels.values()}


def test_labels_name_weights_gradients_and_states(labels):
    kinds = [kind for kind, _ in labels]
    assert kinds.count("weights") >= 2
    assert kinds.count("gradients") >= 2
    assert kinds.count("optimizer state") >= 4
    assert any(name.endswith("weight.exp_avg_sq") for _, name in labels)


@pytest.mark.xfail(strict=True, reason="B29: only the first optimizer and its first two steps")
def test_labels_name_what_later_and_second_optimizers_hold(labels):
    assert [kind for kind, _ in labels].count("optimizer state") >= 12


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


@pytest.fixture
def every_step(train, session):
    """All steps recorded in this process so far, by every test before."""
    train(Net().to("gcu"), [torch.randn(4, 8)] * 2)
    program = session.program()
    return program, [*program.distinct, program.rest]


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


# ---- calls as text


def test_every_recorded_signature_reads_back_as_it_was_printed(every_step):
    lines = _shim.signatures(0)
    assert len(lines) > 20
    for line in lines:
        assert str(parse_call(line)) == line


SIGNATURES = {
    "a product of a transposed view": (
        lambda: torch.ones(3, 4, device="gcu") @ torch.ones(5, 4, device="gcu").t(),
        "aten::mm(self=f32[3,4],mat2=f32[4,5]{1,4})->(f32[3,5])",
    ),
    "a host scalar": (
        lambda: torch.ones(2, device="gcu", dtype=torch.bfloat16) * torch.tensor(2.0),
        "aten::mul.Tensor(self=bf16[2],other=cpu:f32[])->(bf16[2])",
    ),
    "a string": (
        lambda: torch.div(
            torch.ones(2, device="gcu"), torch.ones(2, device="gcu"), rounding_mode="floor"
        ),
        'aten::div.Tensor_mode(self=f32[2],other=f32[2],rounding_mode="floor")->(f32[2])',
    ),
    "a list of tensors": (
        lambda: torch.cat([torch.ones(2, device="gcu"), torch.ones(3, device="gcu")]),
        "aten::cat(tensors=[f32[2],f32[3]],dim=0)->(f32[5])",
    ),
    "two answers": (
        lambda: torch.ones(2, 3, device="gcu").max(1),
        "aten::max.dim(self=f32[2,3],dim=1,keepdim=false)->(f32[2],i64[2])",
    ),
    "indices": (
        lambda: torch.ones(4, 3, device="gcu")[:, torch.tensor([0, 2], device="gcu")],
        "aten::index.Tensor(self=f32[4,3],indices=[none,i64[2]])->(f32[4,2])",
    ),
}


@pytest.mark.parametrize(("work", "line"), cases(SIGNATURES))
def test_a_call_prints_with_its_shapes_strides_and_formats(work, line):
    work()
    assert line in _shim.signatures(0)


def test_tf32_products_say_so():
    torch.set_float32_matmul_precision("high")
    torch.ones(7, 3, device="gcu") @ torch.ones(3, 7, device="gcu")
    line = 'aten::mm(self=f32[7,3],mat2=f32[3,7],math="tf32")->(f32[7,7])'
    assert line in _shim.signatures(0)


_dims = st.lists(st.integers(0, 2**40), max_size=5).map(tuple)


@st.composite
def _tensors(draw):
    shape = draw(_dims)
    same_rank = st.lists(st.integers(0, 2**40), min_size=len(shape), max_size=len(shape))
    strides = draw(st.none() | same_rank.map(tuple)) if shape else None
    dtype = draw(st.sampled_from(["f32", "bf16", "f8e4m3", "i64", "b8", "c64", "QInt8"]))
    return Tensor(dtype, shape, strides, draw(st.booleans()))


_text = st.text(st.characters(codec="ascii", exclude_characters='"\n\r'), max_size=12)
_scalars = st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.just(FLOAT) | _text
_values = _scalars | _tensors() | st.lists(_scalars | _tensors(), max_size=4).map(tuple)
_names = st.from_regex(r"[a-z_][a-z0-9_]{0,8}", fullmatch=True)
_calls = st.builds(
    Call,
    st.sampled_from(["aten::mm", "aten::add.Tensor", "suiren::call", "aten::_foreach_add_.List"]),
    st.dictionaries(_names, _values, max_size=5),
    st.lists(_values, max_size=3).map(tuple),
)


@given(_calls)
def test_any_call_reads_back_as_it_was_printed(call):
    assert parse_call(str(call)) == call


@pytest.mark.parametrize(
    "line",
    ["", "mm", "aten::mm(", "aten::mm(self=f32[3)->()", "aten::mm(f32[3])->()",
     "aten::mm(self=[1,2)->()", "aten::mm(self=?)->()", "aten::mm(self=1)->(,)",
     "aten::mm(self=1)->() and more",
     "aten::mm(self=1 other=2)->()"],
)  # fmt: skip
def test_a_line_that_is_no_call_is_refused(line):
    with pytest.raises(CallSyntaxError):
        parse_call(line)


# ---- programs as text


def same_step(a: Step | None, b: Step | None) -> bool:
    if a is None or b is None:
        return a is b
    return all(
        np.array_equal(x, y)
        for x, y in ((a.events, b.events), (a.storages, b.storages), (a.live, b.live))
    )


def same_program(a: Program, b: Program) -> bool:
    return (
        (a.calls, a.contexts, a.order, a.labels, a.facts)
        == (b.calls, b.contexts, b.order, b.labels, b.facts)
        and len(a.distinct) == len(b.distinct)
        and all(map(same_step, a.distinct, b.distinct))
        and same_step(a.rest, b.rest)
    )


def test_a_program_printed_and_parsed_is_the_same(every_step):
    program, _ = every_step
    lines = list(print_program(program))
    again = parse_program("\n".join(lines) + "\n")
    assert same_program(again, program)
    assert list(print_program(again)) == lines


def test_a_program_saved_and_loaded_is_the_same_and_saved_twice_equal_bytes(every_step, tmp_path):
    program, _ = every_step
    one, two = tmp_path / "one.gz", tmp_path / "two.gz"
    save_program(program, one)
    assert same_program(load_program(one), program)
    save_program(load_program(one), two)
    assert one.read_bytes() == two.read_bytes()


def test_an_empty_program_has_a_text(tmp_path):
    save_program(Program(), tmp_path / "none.gz")
    assert same_program(load_program(tmp_path / "none.gz"), Program())


_NOTHING = ""
SMALL = f"""suiren-trace 1
facts {{"script": "a.py"}}
context 0 forward Net.up
context 1 backward {_NOTHING}
call 0 aten::mm(self=f32[8,16],mat2=f32[16,4])->(f32[8,4])
label 2 optimizer_state Net.up.weight.exp_avg
step 0
alloc 1 512 0 0
op 0 0 0 1 2 1
free 1 512 0 0
sync 0 0 0 0
live 2 512 1
step 1
op 0 1 65537 1 2 1
order 0 1 1
rest
alloc 3 1024 1 0
live 3 1024 1
end
"""


def test_the_small_program_is_what_its_text_says():
    program = parse_program(SMALL)
    assert program.order == [0, 1, 1]
    assert program.contexts[1] == Context("backward", "")
    assert program.distinct[0].num_ops == 1
    assert program.distinct[0].storages_of(1).tolist() == [1, 2, 1]
    assert program.rest.live["bytes"].tolist() == [1024]
    assert program.labels[2].kind == "optimizer state"
    assert "\n".join(print_program(program)) + "\n" == SMALL


def _replaced(number, line):
    lines = SMALL.splitlines()
    lines[number - 1] = line
    return "\n".join(lines) + "\n"


DAMAGES = {
    "facts": (2, "facts {oops"),
    "context": (3, "context 0 sideways Net.up"),
    "call": (5, "call 0 aten::mm(self=f32[8,16)->()"),
    "label": (6, "label x weights Net"),
    "word": (8, "aloc 1 512 0 0"),
    "number": (8, "alloc 1 five 0 0"),
    "too few columns": (8, "alloc 1 512 0"),
    "too many columns": (10, "free 1 512 0 0 7"),
    "no such call": (9, "op 7 0 0 1 2 1"),
    "no such context": (9, "op 0 7 0 1 2 1"),
    "no storage": (9, "op 0"),
    "no such step": (15, "order 0 1 2"),
    "negative call": (9, "op -1 0 0 1 2 1"),
    "negative step": (15, "order 0 -1"),
    "wrong number of storages": (9, "op 0 0 0 1"),
    "an event outside a step": (6, "alloc 1 512 0 0"),
    "blank line": (8, ""),
}


@pytest.mark.parametrize(("number", "line"), cases(DAMAGES))
def test_a_damaged_trace_is_refused_with_its_line(number, line):
    with pytest.raises(TraceError, match=rf"^trace, line {number}: "):
        parse_program(_replaced(number, line))


@pytest.mark.parametrize("kept", range(1, SMALL.count("\n")))
def test_a_trace_cut_after_any_line_is_refused(kept):
    text = "\n".join(SMALL.splitlines()[:kept]) + "\n"
    with pytest.raises(TraceError, match=rf"line {kept}"):
        parse_program(text)


@pytest.mark.parametrize("text", ["", "\n", "suiren-trace 2\n", "import torch\n"])
def test_what_is_no_trace_is_refused(text):
    with pytest.raises(TraceError, match="is not a Suiren trace"):
        parse_program(text, "name.gz")


def _files(tmp_path):
    whole = gzip.compress(SMALL.encode() * 50)
    damaged = bytearray(whole)
    damaged[len(whole) // 2] ^= 0xFF
    return {
        "missing": None,
        "binary": b"\xff\xfe\x00\x80" * 10,
        "cut": whole[: len(whole) // 2],
        "damaged": bytes(damaged),
        "header only": whole[:4],
    }


@pytest.mark.parametrize("kind", ["missing", "binary", "cut", "damaged", "header only"])
def test_a_file_that_cannot_be_read_is_a_trace_error_in_one_sentence(tmp_path, kind):
    path = tmp_path / "trace.gz"
    data = _files(tmp_path)[kind]
    if data is not None:
        path.write_bytes(data)
    with pytest.raises(TraceError, match=r"trace\.gz") as error:
        load_program(path)
    assert "\n" not in str(error.value)


def test_a_plain_text_trace_is_read_too(tmp_path):
    path = tmp_path / "trace.txt"
    path.write_text(SMALL)
    assert same_program(load_program(path), parse_program(SMALL))
