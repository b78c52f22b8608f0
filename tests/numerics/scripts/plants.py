"""Small runs with one thing wrong each, or with nothing wrong; `check` says what is to be found.

Run as `python plants.py OUT.json`: every plant runs in lock-step on one card, in one process.
The line on which the trouble is planted ends with the comment `HERE`.
"""

import inspect
import json
import sys
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn

D = "cuda"
PLANTS, FINE, FIXED = {}, {}, {}


def plant(what, op, phase="forward", cause="", module="", step=0, **more):
    def keep(function):
        source, first = inspect.getsourcelines(function)
        lines = [first + i for i, text in enumerate(source) if text.rstrip().endswith("# HERE")]
        PLANTS[function.__name__] = (
            function,
            {"what": what, "op": op, "phase": phase, "cause": cause, "module": module,
             "step": step, "line": lines[0], **more},
        )  # fmt: skip
        return function

    return keep


def fine(function):
    FINE[function.__name__] = function
    return function


# ---- NaN


@plant("infinity", "log", cause="log of 0")
def log_of_zero():
    p = torch.softmax(torch.tensor([[0.0, 200.0]], device=D), -1)
    logs = p.log()  # HERE
    return (p * logs).sum()


@plant("nan", "div", cause="0 / 0", made_by="sum")
def zero_by_zero():
    x = torch.relu(-torch.rand(4, device=D))
    return x / x.sum()  # HERE


@plant("nan", "sub", cause="∞ − ∞")
def infinity_minus_infinity():
    x = torch.tensor([1.0, float("inf")], device=D)
    return x - x.flip(0).flip(0)  # HERE


@plant("nan", "sqrt", cause="sqrt of −", made_by="sub")
def root_of_a_negative():
    x = torch.rand(8, device=D) - 5
    return x.sqrt()  # HERE


@plant("nan", "_softmax", cause="row 2 of the softmax is all −∞", made_by="masked_fill")
def softmax_of_a_masked_row():
    mask = torch.zeros(4, 6, dtype=torch.bool, device=D)
    mask[2] = True
    scores = torch.randn(4, 6, device=D).masked_fill(mask, float("-inf"))
    return F.softmax(scores, dim=-1)  # HERE


@plant("nan", "log_", cause="log of −")
def in_place():
    x = torch.rand(5, device=D)
    x.sub_(2.0)
    x.log_()  # HERE


@plant("nan", "div", "backward", cause="0 / 0")
def root_at_zero_in_backward():
    x = torch.zeros(4, device=D, requires_grad=True)
    y = torch.sqrt(x)  # HERE
    (y * 0).sum().backward()


class Halves(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x * 0.5

    @staticmethod
    def backward(ctx, grad):
        (x,) = ctx.saved_tensors
        return grad * torch.acos(x + 3)


HALVES_LINE = inspect.getsourcelines(Halves)[1] + 9


@plant("nan", "acos", "backward", cause="acos of", line=HALVES_LINE)
def own_autograd_function():
    x = torch.ones(3, device=D, requires_grad=True)  # HERE
    Halves.apply(x).sum().backward()


class Inner(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(8, 8)
        self.limit = None

    def forward(self, x):
        y = self.fc(x)
        if self.limit is not None:
            y = torch.log(y - self.limit)
        return y


INNER_LINE = inspect.getsourcelines(Inner)[1] + 9


def _deep():
    middle = nn.Sequential(nn.ReLU(), Inner())
    return nn.Sequential(nn.Linear(8, 8), nn.Sequential(middle, nn.Linear(8, 8))).to(D)


@plant("nan", "log", cause="log of −", module="Sequential.1.0.1", step=5, line=INNER_LINE)
def three_modules_deep_at_a_late_step():
    model = _deep()
    optimizer = torch.optim.SGD(model.parameters(), 1e-3)
    for step in range(7):
        model[1][0][1].limit = 50.0 if step == 5 else None  # HERE
        loss = model(torch.randn(4, 8, device=D)).square().mean()
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()


class Rooted(torch.optim.Optimizer):
    def __init__(self, parameters):
        super().__init__(parameters, {})

    @torch.no_grad()
    def step(self):
        for p in self.param_groups[0]["params"]:
            p.sub_(p.grad.sqrt())  # the gradient has a sign


ROOTED_LINE = inspect.getsourcelines(Rooted)[1] + 7


@plant("nan", "sqrt", "optimizer", cause="sqrt of −", line=ROOTED_LINE)
def in_the_optimizer():
    model = nn.Linear(4, 4).to(D)
    optimizer = Rooted(model.parameters())  # HERE
    model(torch.randn(8, 4, device=D)).square().mean().backward()
    optimizer.step()


@plant("nan", "_to_copy", "data", cause="NaN when they came to the card")
def in_the_data():
    x = torch.tensor([1.0, float("nan"), 2.0])
    x = x.to(D)  # HERE
    return x * 2


@plant("infinity", "reciprocal", cause="reciprocal of 0")
def division_that_ruins_the_loss():
    w = torch.ones(3, device=D, requires_grad=True)
    x = torch.tensor([1.0, 0.0, 2.0], device=D)
    y = x.reciprocal()  # HERE
    (w * y).sum().backward()


@plant("nan", "sqrt", "recompute", cause="sqrt of −")
def in_a_recomputed_module():
    class Root(nn.Module):
        calls = 0

        def forward(self, x):
            Root.calls += 1
            return torch.sqrt(x - (9 if Root.calls == 2 else 0))  # HERE

    x = torch.rand(4, device=D, requires_grad=True)
    torch.utils.checkpoint.checkpoint(Root(), x, use_reentrant=False).sum().backward()


# ---- overflow, underflow


@plant("overflow", "mm", cause="FP16's largest number is 65504")
def overflow_in_an_activation():
    x = torch.randn(32, 64, device=D) * 300
    with torch.autocast(D, dtype=torch.float16):
        return x @ x.T  # HERE


@plant("overflow", "exp", cause="exp of 93.2")
def overflow_of_exp():
    x = torch.tensor([93.2], device=D)
    return torch.exp(x)  # HERE


@plant("overflow", "mul", "backward", scaled=False)
def overflow_of_a_gradient_scaled_by_hand():
    w = torch.ones(64, device=D, dtype=torch.float16, requires_grad=True)
    y = w * 300  # HERE
    (y.float().mean() * 2.0**20).backward()


@plant("overflow", "_to_copy", "backward", cause="the loss scale is too high", skips=4)
def loss_scale_too_high():
    model = nn.Linear(8, 8).to(D)
    optimizer = torch.optim.SGD(model.parameters(), 1e-3)
    scaler = torch.amp.GradScaler("cuda", init_scale=2.0**40)
    for _ in range(4):
        with torch.autocast(D, dtype=torch.float16):
            y = model(torch.randn(4, 8, device=D))
        loss = y.float().square().mean()  # HERE
        scaler.scale(loss).backward()
        scaler.step(optimizer)
        scaler.update()
        optimizer.zero_grad()


@plant("underflow", "_to_copy", "backward", cause="became zero")
def gradients_lost_without_a_scale():
    model = nn.Linear(64, 64).to(D)
    with torch.autocast(D, dtype=torch.float16):
        y = model(torch.randn(64, 64, device=D))
    loss = y.float().square().mean() * 1e-4  # HERE
    loss.backward()


# ---- sums


@plant("accumulation", "add", cause="BF16", chain=900)
def long_vector_term_by_term():
    x = torch.rand(1000, device=D).bfloat16()
    total = torch.zeros((), device=D, dtype=torch.bfloat16)
    for i in range(1000):
        total = total + x[i]  # HERE
    return total


@plant("accumulation", "add", cause="BF16", chain=100)
def sum_cast_back_on_another_line():
    total = torch.zeros(4, device=D).bfloat16()
    for _ in range(150):
        wide = total.float() + torch.rand(4, device=D)  # HERE
        total = wide.bfloat16()
    return total


@plant("accumulation", "add_", cause="FP16", chain=100)
def elements_of_a_vector_in_turn():
    x = torch.rand(2, 120, device=D).half()
    out = torch.zeros(2, device=D, dtype=torch.float16)
    for i in range(2):
        for j in range(120):
            out[i] += x[i, j]  # HERE
    return out


@plant("accumulation", "add_", cause="FP16", chain=20)
def split_k_with_half_partial_sums():
    a, b = torch.randn(32, 2048, device=D).half(), torch.randn(2048, 32, device=D).half()
    c = torch.zeros(32, 32, device=D).half()
    for k in range(0, 2048, 32):
        c += a[:, k : k + 32] @ b[k : k + 32]  # HERE
    return c


@plant("accumulation", "add_", cause="FP16", chain=100)
def mean_by_hand_over_rows():
    x = torch.rand(256, 16, device=D).half()
    total = torch.zeros(16, device=D).half()
    for row in x:
        total.add_(row)  # HERE
    return total / 256


@plant("overflow", "sum", cause="FP16's largest number is 65504", made_by="_to_copy")
def mean_by_a_sum_that_overflows():
    x = torch.ones(100_000, device=D).half()
    return x.sum() / 100_000  # HERE


@plant("overflow", "cumsum")
def running_sum_that_overflows():
    return torch.ones(70_000, device=D).half().cumsum(0)  # HERE


@plant("cancellation", "sub", cause="times as large as their difference")
def variance_by_squares():
    x = torch.randn(4096, device=D) + 1000
    mean = x.mean()
    return (x * x).mean() - mean * mean  # HERE


@plant("error", "index_add_", cause="256 instead of")
def one_bin_in_bf16():
    x, bins = torch.rand(3000, device=D).bfloat16(), torch.zeros(3000, dtype=torch.long, device=D)
    return torch.zeros(2, device=D, dtype=torch.bfloat16).index_add_(0, bins, x)  # HERE


def _kernel(register):
    import suiren

    def product(core, a, b, c):
        x = core.scratchpad((32, 16), a.dtype, buffers=2)
        y = core.scratchpad((16, 32), b.dtype, buffers=2)
        acc = core.registers((32, 32), register)
        out = core.scratchpad((32, 32), c.dtype)
        for i, j in core.grid((a.shape[0], 32), (b.shape[1], 32)):
            core.fill(acc, 0)
            for k in core.blocks(a.shape[1], 16):
                core.load(x, a[i, k])
                core.load(y, b[k, j])
                core.wait(x, y)
                core.matmul(acc, x, y)
                core.release(x, y)
            core.acquire(out)
            core.cast(out, acc)
            core.store(c[i, j], out)

    product.__name__ = f"product_in_{register}"
    kernel = suiren.kernel("a T[M,K]; b T[K,N] -> c T[M,N]", M=32, N=32, K=512, T="bf16")
    return suiren.as_torch_op(kernel(product))


def _operands():
    return (torch.randn(32, 512, device=D).bfloat16(), torch.randn(512, 32, device=D).bfloat16())


@plant("error", "product_in_bf16", cause="a sum in FP32")
def own_kernel_with_a_narrow_accumulator():
    op = _kernel("bf16")
    a, b = _operands()
    return op(a, b)  # HERE


# ---- nothing wrong


@fine
def own_kernel():
    return _kernel("f32")(*_operands())


@fine
def transformer_in_every_format():
    for dtype in (torch.float16, torch.bfloat16, torch.float32):
        layer = nn.TransformerEncoderLayer(32, 4, 64, batch_first=True)
        model = nn.Sequential(nn.Embedding(20, 32), layer, nn.Linear(32, 20)).to(D)
        optimizer = torch.optim.AdamW(model.parameters(), 1e-3)
        scaler = torch.amp.GradScaler("cuda", enabled=dtype == torch.float16)
        for _ in range(3):
            x = torch.randint(0, 20, (4, 8), device=D)
            with torch.autocast(D, dtype=dtype, enabled=dtype != torch.float32):
                loss = F.cross_entropy(model(x).flatten(0, 1), x.flatten())
            scaler.scale(loss).backward()
            scaler.unscale_(optimizer)
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            scaler.step(optimizer)
            scaler.update()
            optimizer.zero_grad()


@fine
def pure_bf16_convolutions():
    model = nn.Sequential(
        nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.SiLU(), nn.MaxPool2d(2), nn.Conv2d(8, 16, 3),
        nn.GroupNorm(4, 16), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(0.2),
        nn.Linear(16, 4),
    ).to(D, torch.bfloat16)  # fmt: skip
    optimizer = torch.optim.SGD(model.parameters(), 0.1, momentum=0.9)
    for _ in range(3):
        x = torch.randn(4, 3, 16, 16, device=D, dtype=torch.bfloat16)
        model(x).float().square().mean().backward()
        optimizer.step()
        optimizer.zero_grad()


@fine
def masks_of_infinity():
    """An infinity that is meant, and that a softmax takes away again."""
    keep = torch.ones(4, 6, 6, device=D).tril()
    scores = torch.randn(4, 6, 6, device=D, requires_grad=True)
    F.softmax(scores + keep.log(), -1).square().sum().backward()


@fine
def nan_that_is_masked_away():
    x = torch.rand(6, device=D, requires_grad=True)
    torch.where(x > 2, (x.detach() - 5).log(), x).sum().backward()


@fine
def other_layers_and_optimizers():
    for kind in (torch.optim.RAdam, torch.optim.Adagrad, torch.optim.RMSprop):
        model = nn.LSTM(8, 16, batch_first=True).to(D)
        optimizer = kind(model.parameters())
        for _ in range(3):
            with torch.autocast(D, dtype=torch.bfloat16):
                y, _ = model(torch.randn(4, 12, 8, device=D))
            y.float().square().mean().backward()
            optimizer.step()
            optimizer.zero_grad()


@fine
def attention_and_norms_by_hand():
    for dtype in (torch.float32, torch.bfloat16, torch.float16):
        x = torch.randn(2, 2, 8, 4, device=D, dtype=dtype, requires_grad=True)
        y = F.scaled_dot_product_attention(x, x, x, is_causal=True)
        mean = y.mean(-1, keepdim=True)
        y = (y - mean) / (((y - mean) ** 2).mean(-1, keepdim=True) + 1e-5).sqrt()
        y.float().square().mean().backward()


@fine
def first_scale_too_high():
    """A scaler that skips its first step is at work as it should be."""
    model = nn.Linear(8, 8).to(D)
    optimizer = torch.optim.SGD(model.parameters(), 1e-3)
    scaler = torch.amp.GradScaler("cuda", init_scale=2.0**19)
    for _ in range(5):
        with torch.autocast(D, dtype=torch.float16):
            y = model(torch.randn(4, 8, device=D))
        scaler.scale(y.float().square().mean()).backward()
        scaler.step(optimizer)
        scaler.update()
        optimizer.zero_grad()


@fine
def residual_stream_in_bf16():
    x = torch.randn(16, 32, device=D).bfloat16()
    layers = [nn.Linear(32, 32).to(D, torch.bfloat16) for _ in range(40)]
    for layer in layers:
        x = x + layer(x)
    return x


@fine
def running_loss_in_fp32():
    total = torch.zeros((), device=D)
    for _ in range(100):
        total += torch.rand((), device=D)
    return total


@fine
def accumulated_gradients():
    model = nn.Linear(16, 16).to(D, torch.bfloat16)
    for _ in range(12):
        model(torch.randn(4, 16, device=D).bfloat16()).square().mean().backward()


# ---- troubles that a fix takes away


def fixed(**fix):
    def keep(function):
        source, first = inspect.getsourcelines(function)
        lines = [first + i for i, text in enumerate(source) if text.rstrip().endswith("# HERE")]
        if fix["kind"] == "line":
            fix.update(file=__file__, line=lines[0])
        FIXED[function.__name__] = (function, {"title": "", **fix})
        return function

    return keep


@fixed(kind="line")
def sum_in_fp32():
    x = torch.rand(300, device=D).bfloat16()
    total = torch.zeros((), device=D, dtype=torch.bfloat16)
    for i in range(300):
        total += x[i]  # HERE
    return total


class Loud(nn.Module):
    def forward(self, x):
        y = x * 3000
        return y.sum(1, keepdim=True) / 3000


@fixed(kind="module", module="Sequential.1")
def module_in_fp32():
    with torch.autocast(D, dtype=torch.float16):
        nn.Sequential(nn.Linear(16, 16), Loud()).to(D)(torch.full((4, 16), 50.0, device=D))


@fixed(kind="module", module="Sequential.1")
def half_module_in_fp32():
    model = nn.Sequential(nn.Linear(16, 16), Loud()).to(D).half()
    model(torch.full((4, 16), 50.0, device=D).half())


@fixed(kind="bf16")
def bf16_for_autocast():
    with torch.autocast(D, dtype=torch.float16):
        x = torch.full((4, 16), 300.0, device=D)
        x @ (x.T * 300)


@fixed(kind="bf16")
def bf16_for_half():
    x = torch.full((4, 16), 3000.0, device=D).half()
    x * x.to(torch.float16)


@fixed(kind="scale", factor=2.0**16)
def loss_scaled_up():
    model = nn.Linear(64, 64).to(D)
    optimizer = torch.optim.SGD(model.parameters(), 1.0)
    before = model.weight.detach().clone()
    with torch.autocast(D, dtype=torch.float16):
        y = model(torch.randn(64, 64, device=D))
    (y.float().square().mean() * 1e-4).backward()
    optimizer.step()
    change = (model.weight - before).abs().max().item()
    assert 1e-8 < change < 1e-3, change  # the gradient was divided again


@fixed(kind="scale", factor=2.0**-30)
def scaler_starting_lower():
    loss_scale_too_high()


# ---- running them


def findings_of(function, session, card, fix=None):
    from suiren.numerics.against import FP32
    from suiren.numerics.document import as_json
    from suiren.numerics.run import Run, Ways

    torch.manual_seed(1)
    run = Run(card, FP32, Ways(max_steps=1000, fix=fix), session)
    with run.watching():
        function()
    seen = run.mode.seen
    return {
        "findings": [as_json(t) for t in run.findings()],
        "ops": seen.num_ops,
        "unwatched": seen.why_unwatched,
        "parts": None if seen.parting.first is None else {
            "line": seen.parting.first.place.line, "how": seen.parting.first.how,
        },
        "skipped": run.mode.scaling.skipped,
        "losses": [(x.card, x.shadow) for x in run.losses],
    }


def main(out):
    from suiren.hw.load import resolve_card
    from suiren.torch import transfer
    from suiren.torch.session import Session

    card = resolve_card("t21")
    session = Session(card)
    session.begin()
    transfer.install()
    found = {name: findings_of(f, session, card) for name, (f, _) in PLANTS.items()}
    found |= {name: findings_of(f, session, card) for name, f in FINE.items()}
    from suiren.numerics.fix import Fix

    for name, (f, fix) in FIXED.items():
        found[name] = findings_of(f, session, card)
        found[f"{name}, fixed"] = findings_of(f, session, card, Fix(**fix))
    Path(out).write_text(json.dumps(found))


if __name__ == "__main__":
    main(sys.argv[1])
