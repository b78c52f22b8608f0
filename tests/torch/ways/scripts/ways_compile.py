"""`torch.compile` as scripts for CUDA use it; on the host the same work runs without it."""

import torch
import torch.nn.functional as F
import ways
from torch import nn

torch._dynamo.config.recompile_limit = 64


def compiled(work, device, **options):
    return torch.compile(work, **options) if device == "cuda" else work


class Block(nn.Module):
    def __init__(self, dropout=0.0):
        super().__init__()
        self.norm, self.up, self.down = nn.LayerNorm(8), nn.Linear(8, 16), nn.Linear(16, 8)
        self.drop = nn.Dropout(dropout)

    def forward(self, x):
        return x + self.drop(self.down(F.gelu(self.up(self.norm(x)))))


def train(device, make_optimizer=None, autocast=False, steps=3, **options):
    torch._dynamo.reset()
    torch.manual_seed(0)
    model = Block().to(device)
    run = compiled(model, device, **options)
    make_optimizer = make_optimizer or (lambda p: torch.optim.AdamW(p, 1e-2))
    optimizer = make_optimizer(model.parameters())
    losses = []
    for _ in range(steps):
        x = torch.randn(4, 6, 8).to(device)
        with torch.autocast(device, dtype=torch.bfloat16, enabled=autocast):
            loss = run(x).float().pow(2).mean()
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


def way_default(device):
    return train(device, fullgraph=True)


def way_modes(device):
    return [train(device, mode=m) for m in ("reduce-overhead", "max-autotune", "default")]


def way_backend_suiren(device):
    modes = ({}, {"mode": "reduce-overhead"}, {"fullgraph": True, "dynamic": True})
    return [train(device, backend="suiren", **m) for m in modes]


def way_other_backends(device):
    return [train(device, backend=b) for b in ("eager", "aot_eager")]


def way_under_autocast(device):
    return train(device, autocast=True)


def way_options(device):
    return train(device, options={"max_autotune": True, "triton.cudagraphs": True})


def way_a_compiled_step_with_its_optimizer(device):
    model = Block().to(device)
    optimizer = torch.optim.AdamW(model.parameters(), 1e-2)
    step = compiled(optimizer.step, device)
    losses = []
    for _ in range(3):
        loss = model(torch.randn(4, 8).to(device)).pow(2).mean()
        optimizer.zero_grad()
        loss.backward()
        step()
        losses.append(loss.item())
    return losses


def way_graph_breaks(device):
    def work(x):
        y = x.relu() + 1
        if y.sum() > 3:
            y = y * 2
        print("", end="")
        y = y.sin()
        return y * y.mean().item()

    run = compiled(work, device)
    return [run(torch.randn(n).to(device)) for n in (3, 8)]


def way_full_graphs_refuse_breaks(device):
    if device == "cpu":
        return []

    @torch.compile(fullgraph=True)
    def work(x):
        torch._dynamo.graph_break()
        return x + 1

    try:
        work(torch.ones(2, device=device))
    except torch._dynamo.exc.Unsupported:
        return []
    raise AssertionError("no error")


def way_changing_shapes(device):
    def work(x):
        return torch.softmax(x @ x.transpose(-1, -2), -1).sum(-1) * x.shape[0]

    out = []
    for options in ({"dynamic": True}, {"dynamic": False}, {}):
        run = compiled(work, device, **options)
        out += [run(torch.randn(n, n + 2).to(device)) for n in (3, 4, 5)]
    run = compiled(work, device)
    for n in (2, 6):
        x = torch.randn(n, 4).to(device)
        torch._dynamo.mark_dynamic(x, 0)
        torch._dynamo.maybe_mark_dynamic(x, 1)
        out.append(run(x))
    return out


def way_dropout_in_a_compiled_model(device):
    torch.manual_seed(0)
    model = Block(0.5).to(device)
    x = torch.randn(64, 8).to(device)
    torch.manual_seed(1)
    plain = model(x)
    torch.manual_seed(1)
    run = compiled(model, device)
    again = run(x)
    torch.testing.assert_close(plain, again)
    again.sum().backward()
    return []


def way_module_compile_and_regions(device):
    model = nn.Sequential(Block(), Block()).to(device)
    if device == "cuda":
        for block in model:
            block.compile(fullgraph=True)
        model[0].forward = torch.compile(model[0].forward)
    y = model(torch.randn(2, 8).to(device))
    y.sum().backward()
    return y, model[0].up.weight.grad


def way_disable_allow_and_marks(device):
    @torch.compiler.disable
    def outside(x):
        return x.flip(0)

    def work(x):
        torch.compiler.cudagraph_mark_step_begin()
        return outside(x * 2).exp()

    assert not torch.compiler.is_compiling()
    return compiled(work, device)(torch.randn(3).to(device))


def way_checkpointing_inside(device):
    from torch.utils.checkpoint import checkpoint

    block = Block().to(device)

    def work(x):
        return checkpoint(block, x, use_reentrant=False).pow(2).sum()

    x = torch.randn(2, 8).to(device).requires_grad_()
    loss = compiled(work, device)(x)
    loss.backward()
    return loss, x.grad, block.up.weight.grad


def way_compiled_autograd_and_func(device):
    def loss(w, x):
        return (x @ w).tanh().sum()

    run = compiled(torch.func.grad(loss), device)
    return run(torch.randn(4, 2).to(device), torch.randn(3, 4).to(device))


def way_state_dicts_of_compiled_models(device):
    model = Block().to(device)
    run = torch.compile(model, backend="eager")
    names = list(run.state_dict())
    assert all(n.startswith("_orig_mod.") for n in names)
    clean = {n.removeprefix("_orig_mod."): v for n, v in run.state_dict().items()}
    fresh = Block().to(device)
    fresh.load_state_dict(clean)
    return fresh.up.weight


def way_exporting(device):
    model = Block().to(device).eval()
    x = torch.randn(4, 8).to(device)
    batch = torch.export.Dim("batch", min=2, max=64)
    program = torch.export.export(model, (x,), dynamic_shapes={"x": {0: batch}})
    y = program.module()(torch.randn(7, 8).to(device))
    assert y.shape == (7, 8) and y.device == x.device
    return y, program.module()(x)


def way_tracing_and_scripting(device):
    model = Block().to(device).eval()
    x = torch.randn(4, 8).to(device)
    traced = torch.jit.trace(model, (x,))
    torch.testing.assert_close(traced(x), model(x))

    @torch.jit.script
    def gelu(x: torch.Tensor) -> torch.Tensor:
        return x * 0.5 * (1.0 + torch.erf(x / 1.41421))

    y = gelu(x.requires_grad_())
    y.sum().backward()
    scripted = torch.jit.script(nn.Sequential(nn.Linear(8, 4), nn.ReLU()).to(device))
    return traced(x), y, x.grad, scripted(x)


if __name__ == "__main__":
    ways.run(globals())


def way_attention_of_sequences_first(device):
    """Projections lie sequence first; attention answers with heads inside the sequence."""
    answers = []
    for backend in ("inductor", "suiren"):
        torch._dynamo.reset()
        torch.manual_seed(0)
        attend = nn.MultiheadAttention(8, 2, batch_first=True).to(device)
        run = compiled(attend, device, backend=backend)
        x = torch.randn(3, 5, 8).to(device).requires_grad_()
        found, _ = run(x, x, x, need_weights=False)
        found.square().sum().backward()
        answers.append([found, x.grad, attend.in_proj_weight.grad])
    return answers
