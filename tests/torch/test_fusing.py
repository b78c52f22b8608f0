"""`torch.compile(backend="suiren")`: eager's values in fewer kernels, less time and memory."""

from __future__ import annotations

import copy
import gc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from suiren.hw.load import resolve_card
from suiren.mapper.families.fused import members
from suiren.mapper.step import Prices, steady_step
from suiren.torch import _shim
from suiren.torch.session import Session, _step
from suiren.trace.program import Program
from suiren.trace.text import load_program, save_program


class Mlp(nn.Module):
    """Bias, GELU, dropout, residual and norm around two products."""

    def __init__(self, dim: int = 32, dropout: float = 0.0) -> None:
        super().__init__()
        self.up, self.down = nn.Linear(dim, 2 * dim), nn.Linear(2 * dim, dim)
        self.norm, self.drop = nn.LayerNorm(dim), nn.Dropout(dropout)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.norm(x + self.drop(self.down(F.gelu(self.up(x)))))


class Gated(nn.Module):
    """An RMS norm written out and a gated product: long elementwise chains."""

    def __init__(self, dim: int = 32) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(dim))
        self.gate, self.up = nn.Linear(dim, 2 * dim, False), nn.Linear(dim, 2 * dim, False)
        self.down = nn.Linear(2 * dim, dim, False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-6) * self.weight
        return x + self.down(F.silu(self.gate(y)) * self.up(y))


class Block(nn.Module):
    """A transformer block."""

    def __init__(self, dim: int = 32) -> None:
        super().__init__()
        self.norm, self.qkv, self.out = (
            nn.LayerNorm(dim),
            nn.Linear(dim, 3 * dim),
            nn.Linear(dim, dim),
        )
        self.mlp = Mlp(dim)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        b, t, c = x.shape
        q, k, v = (
            y.view(b, t, 4, c // 4).transpose(1, 2) for y in self.qkv(self.norm(x)).split(c, 2)
        )
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True).transpose(1, 2)
        return self.mlp(x + self.out(y.reshape(b, t, c)))


class Image(nn.Module):
    """Convolution, channel norm, rectifier."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm, self.last = nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.Linear(8, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x.reshape(2, 3, 16, -1)
        return self.last(self.norm(self.conv(x)).relu().mean((2, 3)))


@pytest.fixture(autouse=True)
def no_graphs_left() -> Iterator[None]:
    torch._dynamo.reset()
    yield
    torch._dynamo.reset()


def compiled(model: Any, **options: Any) -> Any:
    return torch.compile(model, backend="suiren", **options)


def train(model: nn.Module, run: Any, steps: int = 3) -> list[torch.Tensor]:
    """Losses of some steps on seeded data, then every parameter and buffer."""
    optimizer = torch.optim.AdamW(model.parameters(), 1e-2)
    torch.manual_seed(1)
    torch.gcu.manual_seed(1)
    seen = []
    for _ in range(steps):
        loss = run(torch.randn(2, 24, 32).to("gcu")).pow(2).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        seen.append(loss.detach().cpu())
    return [*seen, *(t.detach().cpu() for t in (*model.parameters(), *model.buffers()))]


def recorded(session: Session, work: Callable[[], Any]) -> tuple[list[Any], int, int, Program]:
    """What one more run of `work` asks: its calls, its peak, and all of it as a program."""
    work()
    gc.collect()
    before = session.program()
    num_events = 0 if before.rest is None else len(before.rest.events)
    torch.gcu.reset_peak_memory_stats()
    start = torch.gcu.memory_allocated()
    work()
    peak = torch.gcu.max_memory_allocated() - start
    program = session.program()
    raw = _step(_shim.events_now())
    events = raw.events[num_events:].copy()
    ops = events[events["kind"] == 0]
    first = int(ops["value"][0]) if len(ops) else 0
    events["value"][events["kind"] == 0] -= first
    step = type(raw)(events, raw.storages[first:], raw.live[:0])
    alone = Program(program.calls, program.contexts, [step], [0], facts=dict(program.facts))
    calls = [program.calls[i] for i in ops["what"]]
    return calls, len(calls), peak, alone


def both(model: nn.Module) -> tuple[Callable[[], Any], Callable[[], Any]]:
    """Forward and backward of the model, eager and compiled."""
    model = model.to("gcu")
    fast = compiled(copy.deepcopy(model), fullgraph=True)
    x = torch.randn(2, 256, 32, device="gcu")
    return (lambda: model(x).sum().backward()), (lambda: fast(x).sum().backward())


@pytest.mark.parametrize("make", [Mlp, Gated, Block, Image, lambda: Mlp(dropout=0.3)])
def test_training_gives_the_values_of_eager_mode_bit_for_bit(make: Any) -> None:
    eager = make().to("gcu")
    other = copy.deepcopy(eager)
    for a, b in zip(train(eager, eager), train(other, compiled(other)), strict=True):
        assert torch.equal(a, b)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_each_op_rounds_to_its_format_as_in_eager_mode(dtype: torch.dtype) -> None:
    model = Block().to("gcu", dtype)
    x = torch.randn(2, 8, 32).to("gcu", dtype)
    assert torch.equal(compiled(model)(x), model(x))


def test_products_of_a_kernel_take_tf32_operands_when_the_script_asks_for_it() -> None:
    model = Mlp().to("gcu")
    x = torch.randn(2, 8, 32, device="gcu")
    fast = compiled(model)
    full = fast(x)
    torch.set_float32_matmul_precision("high")
    assert torch.equal(fast(x), model(x))
    assert not torch.equal(fast(x), full)


def test_autocast_inside_and_around_a_compiled_model() -> None:
    model = Block().to("gcu")
    x = torch.randn(2, 8, 32, device="gcu")
    fast = compiled(model)
    with torch.autocast("gcu", dtype=torch.bfloat16):
        assert torch.equal(fast(x), model(x))


def test_a_step_takes_fewer_launches_less_memory_and_less_time(session: Session) -> None:
    eager, fast = both(Gated())
    _, plain_ops, plain_peak, plain = recorded(session, eager)
    calls, ops, peak, fused = recorded(session, fast)
    assert any(call.op == "suiren::fused" for call in calls)
    assert ops < 0.7 * plain_ops
    assert peak < 0.8 * plain_peak
    assert period_ps(fused) < 0.8 * period_ps(plain)


def period_ps(program: Program, card: str = "toy") -> int:
    return steady_step(program, Prices(program.calls, resolve_card(card)), 0).period_ps


def test_products_of_fused_kernels_count_their_flop(session: Session) -> None:
    eager, fast = both(Mlp())

    def flop(program: Program) -> float:
        prices = Prices(program.calls, resolve_card("toy"))
        ops = program.distinct[0].events
        return sum(
            sum(prices.price(n).flop.values()) for n in ops["what"][ops["kind"] == 0].tolist()
        )

    assert flop(recorded(session, eager)[3]) == flop(recorded(session, fast)[3]) > 0


def test_a_saved_trace_replays_to_the_same_time(session: Session, tmp_path: Path) -> None:
    _, fast = both(Block())
    calls, _, _, program = recorded(session, fast)
    fused = next(call for call in calls if call.op == "suiren::fused")
    assert len(members(str(fused.arguments["recipe"]))) > 1
    path = tmp_path / "step.trace"
    save_program(program, path)
    again = load_program(path)
    assert period_ps(again) == period_ps(program)
    assert np.array_equal(again.distinct[0].events, program.distinct[0].events)


def test_backward_kernels_belong_to_the_backward_pass(session: Session) -> None:
    _, fast = both(Mlp())
    program = recorded(session, fast)[3]
    ops = program.distinct[0].events
    phases = {
        program.contexts[context].phase
        for kind, what, context, _, _ in ops.tolist()
        if kind == 0 and program.calls[what].op == "suiren::fused"
    }
    assert phases == {"forward", "backward"}


@pytest.mark.parametrize("dynamic", [None, True])
def test_graph_breaks_and_changing_shapes(dynamic: bool | None) -> None:
    def work(x: torch.Tensor) -> torch.Tensor:
        y = (x * 2).relu() + 1
        if y.sum() > 0:
            y = y.exp().tanh()
        return torch.softmax(y * 3, -1)

    fast = compiled(work, dynamic=dynamic)
    for n in (3, 5, 7):
        x = torch.randn(n, n + 1, device="gcu")
        assert torch.equal(fast(x), work(x))


def test_a_graph_may_write_to_its_arguments_and_return_views() -> None:
    def work(x: torch.Tensor, b: torch.Tensor) -> tuple[torch.Tensor, ...]:
        b.add_(1)
        y = (x + b).exp()
        b.mul_(2)
        return y.t(), y[0], (y * b).sum(), b

    x, b = torch.randn(4, 4, device="gcu"), torch.ones(4, 4, device="gcu")
    other = b.clone()
    for one, two in zip(compiled(work)(x, b), work(x, other), strict=True):
        assert torch.equal(one, two)
    assert torch.equal(b, other)


def test_a_group_that_would_wait_for_itself_is_two_kernels() -> None:
    """`a` feeds `b` both at once and through a sort, which no kernel holds."""

    def work(x: torch.Tensor) -> torch.Tensor:
        a = (x + 1).exp()
        return a * a.sort(-1).values + a

    x = torch.randn(4, 8, device="gcu")
    assert torch.equal(compiled(work)(x), work(x))
