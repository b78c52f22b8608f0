"""Answers of small programs to keep and compare; nothing here needs PyTorch."""

from __future__ import annotations

from suiren.hw.catalog import CARDS
from suiren.report.answer import Answer, answer
from suiren.trace.text import parse_program

RELU = "aten::relu(self=f32[512,4096])->(f32[512,4096])"
GELU = 'aten::gelu(self=f32[512,4096],approximate="none")->(f32[512,4096])'
MiB = 2**20


def program_text(activation: str = RELU, hidden: int = 4096, script: str = "train.py") -> str:
    """Four equal steps of a product, an activation of it and an optimizer that scales weights."""
    size = 512 * hidden * 4
    return f"""suiren-trace 1
facts {{"script": "{script}", "roots": {{"Net": 4194304}}, "numerics": true}}
context 0 forward Net.fc
context 1 forward Net.act
context 2 optimizer{" "}
context 3 forward Net
call 0 aten::mm(self=f32[512,1024],mat2=f32[1024,{hidden}])->(f32[512,{hidden}])
call 1 {activation}
call 2 aten::mul_.Scalar(self=f32[1024,{hidden}],other=2)->(f32[1024,{hidden}])
call 3 suiren::call(input0=i64[4,128])->()
label 1 weights Net.fc.weight
step 0
enter 3 1 3 0
alloc 10 {size} 0 0
op 0 0 0 9 1 10
alloc 11 {size} 1 0
op 1 1 0 10 11
free 11 {size} 0 0
free 10 {size} 0 0
op 2 2 0 1 1
live 1 {4 * 1024 * hidden} 0
order 0 0 0 0
end
"""


def answered(
    card: str = "toy", activation: str = RELU, hidden: int = 4096, script: str = "train.py"
) -> Answer:
    return answer(parse_program(program_text(activation, hidden, script)), CARDS[card])
