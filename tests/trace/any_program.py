"""Random programs, an example that holds every kind of line, and when two programs are the same."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st

from suiren.trace.call import parse_call
from suiren.trace.program import EVENT, LIVE, PHASES, Context, Kind, Label, Program, Step

EXAMPLE = """suiren-trace 1
facts {"script": "train.py"}
context 0 forward GPT.h.0.attn
context 1 backward{space}
call 0 aten::mm(self=f32[8,16],mat2=f32[16,4])->(f32[8,4])
label 17 optimizer_state GPT.wte.weight.exp_avg
step 0
alloc 17 3072 0 0
op 0 0 0 4 5 17
free 17 3072 0 0
sync 0 0 0 0
live 4 512 1
step 1
enter 0 1 0 0
op 0 0 0 1 2 3
record 3 0 0 0
wait 3 0 0 1
op 0 1 1 4 4 6
host_wait 3 0 0 0
op 0 0 65536 9 9 9
order 0 1 1
rest
op 0 0 0 1 2 3
end
""".replace("{space}", " ")

_CALLS = [parse_call(line) for line in (
    "aten::mm(self=f32[8,16],mat2=f32[16,4])->(f32[8,4])",
    "aten::add.Tensor(self=f32[8,4],other=f32[4],alpha=1)->(f32[8,4])",
    "aten::copy_(self=f32[8],src=cpu:f32[8],non_blocking=false)->(f32[8])",
)]  # fmt: skip
_path = st.text(st.sampled_from("AbZ.09_ é蓮"), max_size=12)
_number = st.integers(0, 2**31 - 1)


@st.composite
def _steps(draw: st.DrawFn, contexts: int) -> Step:
    rows, storages = [], []
    for kind in draw(st.lists(st.sampled_from(list(Kind)), max_size=12)):
        context, stream = draw(st.integers(0, contexts - 1)), draw(st.sampled_from([0, 1, 65537]))
        if kind == Kind.OP:
            rows.append((kind, draw(st.integers(0, 2)), context, stream, len(storages)))
            storages += draw(st.lists(_number, min_size=3, max_size=3))
        else:
            what = draw(st.integers(0, 2)) if kind == Kind.ENTER else draw(_number)
            rows.append((kind, what, context, stream, draw(st.integers(0, 2**40))))
    live = [
        (draw(_number), draw(st.integers(0, contexts - 1)), draw(st.integers(1, 2**40)))
        for _ in range(draw(st.integers(0, 3)))
    ]
    return Step(np.array(rows, EVENT), np.array(storages, np.int32), np.array(live, LIVE))


@st.composite
def programs(draw: st.DrawFn) -> Program:
    context = st.builds(Context, st.sampled_from(PHASES), _path)
    contexts = draw(st.lists(context, min_size=1, max_size=4))
    distinct = draw(st.lists(_steps(len(contexts)), max_size=3))
    steps = st.lists(st.integers(0, len(distinct) - 1), max_size=5) if distinct else st.just([])
    kinds = st.sampled_from(["weights", "gradients", "optimizer state"])
    return Program(
        calls=_CALLS,
        contexts=contexts,
        distinct=distinct,
        order=draw(steps),
        rest=draw(st.none() | _steps(len(contexts))),
        labels=draw(st.dictionaries(_number, st.builds(Label, kinds, _path), max_size=3)),
        facts=draw(st.dictionaries(st.text(max_size=5), st.integers() | st.text(max_size=5))),
    )


def _same_step(a: Step | None, b: Step | None) -> bool:
    if a is None or b is None:
        return a is b
    pairs = ((a.events, b.events), (a.storages, b.storages), (a.live, b.live))
    return all(x.tolist() == y.tolist() for x, y in pairs)


def same(a: Program, b: Program) -> bool:
    steps = zip([*a.distinct, a.rest], [*b.distinct, b.rest], strict=True)
    plain = ("calls", "contexts", "order", "labels", "facts")
    return all(getattr(a, n) == getattr(b, n) for n in plain) and all(
        _same_step(x, y) for x, y in steps
    )
