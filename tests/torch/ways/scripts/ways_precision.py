"""Mixed precision, loss scaling, checkpointing and accumulation, as scripts for CUDA do them."""

import contextlib
from functools import partial

import torch
import torch.nn.functional as F
import ways
from torch import nn
from torch.utils.checkpoint import (
    CheckpointPolicy,
    checkpoint,
    checkpoint_sequential,
    create_selective_checkpoint_contexts,
)


def mlp(device, dim=16):
    net = nn.Sequential(nn.Linear(dim, 32), nn.GELU(), nn.LayerNorm(32), nn.Linear(32, 4))
    return net.to(device)


def batch(n=8, dim=16):
    return torch.randn(n, dim), torch.randint(0, 4, (n,))


def train(device, context, scaler=None, clip=False, steps=4):
    model = mlp(device)
    optimizer = torch.optim.AdamW(model.parameters(), 1e-2)
    losses = []
    for _ in range(steps):
        x, y = (t.to(device) for t in batch())
        with context():
            loss = F.cross_entropy(model(x), y)
        optimizer.zero_grad(set_to_none=True)
        if scaler:
            scaler.scale(loss).backward()
            if clip:
                scaler.unscale_(optimizer)
                nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            scaler.step(optimizer)
            scaler.update()
        else:
            loss.backward()
            optimizer.step()
        losses.append(loss.item())
    return losses, list(model.parameters())


def way_autocast_bf16(device):
    return train(device, lambda: torch.autocast(device, dtype=torch.bfloat16))[0]


def way_autocast_fp16_with_a_scaler(device):
    scaler = torch.amp.GradScaler(device)
    return train(device, lambda: torch.autocast(device, dtype=torch.float16), scaler, True)[0]


def way_old_names_of_amp(device):
    if device == "cpu":
        return way_autocast_fp16_with_a_scaler(device)
    from torch.cuda.amp import GradScaler, autocast

    return train(device, lambda: autocast(), GradScaler(init_scale=65536.0), True)[0]


def way_nested_autocast_with_a_disabled_region(device):
    model, (x, y) = mlp(device), batch()
    x, y = x.to(device), y.to(device)
    with torch.autocast(device, dtype=torch.bfloat16):
        h = model[0](x)
        with torch.autocast(device, enabled=False):
            assert model[1](h.float()).dtype == torch.float32
            h = model[3](model[2](F.gelu(h.float())))
            assert h.dtype == torch.float32
        with torch.autocast(device, dtype=torch.float16):
            assert (h @ h.T).dtype == torch.float16
        assert (h @ h.T).dtype == torch.bfloat16
    loss = F.cross_entropy(h, y)
    loss.backward()
    return loss, model[0].weight.grad


def way_autocast_caches_casts_of_weights(device):
    layer, x = nn.Linear(8, 8).to(device), torch.randn(2, 8).to(device)
    out = []
    for cache in (True, False):
        with torch.autocast(device, dtype=torch.bfloat16, cache_enabled=cache):
            y = layer(layer(layer(x)))
        y.float().sum().backward()
        out += [y, layer.weight.grad.clone()]
        layer.zero_grad()
    return out


def way_autocast_decorates_forward(device):
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(8, 8)

        @torch.autocast(device_type=device, dtype=torch.bfloat16)
        def forward(self, x):
            y = self.layer(x)
            assert y.dtype == torch.bfloat16
            return y.softmax(-1)

    y = Net().to(device)(torch.randn(3, 8).to(device))
    assert device == "cpu" or y.dtype == torch.float32
    return y.float()


def way_weights_in_bf16(device):
    model = mlp(device).to(torch.bfloat16)
    optimizer = torch.optim.AdamW(model.parameters(), 1e-2)
    losses = []
    for _ in range(3):
        x, y = batch()
        loss = F.cross_entropy(model(x.to(device, torch.bfloat16)).float(), y.to(device))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


def way_custom_function_with_amp_decorators(device):
    class Scale(torch.autograd.Function):
        @staticmethod
        @torch.amp.custom_fwd(device_type=device, cast_inputs=torch.float32)
        def forward(ctx, x, w):
            assert x.dtype == torch.float32
            assert not torch.is_autocast_enabled(device)
            ctx.save_for_backward(x, w)
            return x @ w

        @staticmethod
        @torch.amp.custom_bwd(device_type=device)
        def backward(ctx, grad):
            x, w = ctx.saved_tensors
            return grad @ w.T, x.T @ grad

    x = torch.randn(4, 4).to(device).bfloat16().requires_grad_()
    w = torch.randn(4, 4).to(device).requires_grad_()
    with torch.autocast(device, dtype=torch.bfloat16):
        y = Scale.apply(x, w)
    y.sum().backward()
    return y, x.grad, w.grad


def way_a_scaler_skips_infinite_gradients(device):
    model = mlp(device)
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    scaler = torch.amp.GradScaler(device, init_scale=2.0**24, growth_interval=2)
    before = model[0].weight.detach().clone()
    skipped, scales = 0, []
    for _ in range(12):
        x, y = batch()
        with torch.autocast(device, dtype=torch.float16):
            loss = F.cross_entropy(model(x.to(device)), y.to(device))
        optimizer.zero_grad()
        scaler.scale(loss).backward()
        scale = scaler.get_scale()
        scaler.step(optimizer)
        scaler.update()
        skipped += scaler.get_scale() < scale
        scales.append(scaler.get_scale())
    assert skipped >= 1
    assert not torch.equal(before, model[0].weight)
    fresh = torch.amp.GradScaler(device)
    fresh.load_state_dict(scaler.state_dict())
    assert fresh.get_scale() == scaler.get_scale()
    return []


def way_a_fused_optimizer_under_a_scaler(device):
    model = mlp(device)
    optimizer = torch.optim.AdamW(model.parameters(), 1e-2, fused=True)
    scaler = torch.amp.GradScaler(device)
    losses = []
    for _ in range(3):
        x, y = batch()
        loss = F.cross_entropy(model(x.to(device)), y.to(device))
        optimizer.zero_grad()
        scaler.scale(loss).backward()
        scaler.step(optimizer)
        scaler.update()
        losses.append(loss.item())
    return losses


def way_accumulating_gradients(device):
    model = mlp(device)
    optimizer = torch.optim.AdamW(model.parameters(), 1e-2)
    losses = []
    for step in range(6):
        x, y = batch(4)
        loss = F.cross_entropy(model(x.to(device)), y.to(device)) / 3
        loss.backward()
        losses.append(loss.item())
        if (step + 1) % 3 == 0:
            nn.utils.clip_grad_norm_(model.parameters(), 0.5)
            optimizer.step()
            optimizer.zero_grad()
    return losses


# ---- checkpointing


class Deep(nn.Module):
    def __init__(self, run):
        super().__init__()
        self.blocks = nn.ModuleList(
            nn.Sequential(nn.Linear(16, 32), nn.GELU(), nn.Linear(32, 16)) for _ in range(3)
        )
        self.run = run

    def forward(self, x):
        for block in self.blocks:
            x = x + self.run(block, x)
        return x


def _deep(device, run, steps=2, context=contextlib.nullcontext):
    model = Deep(run).to(device)
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    losses = []
    for _ in range(steps):
        x = torch.randn(4, 16).to(device).requires_grad_()
        with context():
            loss = model(x).float().pow(2).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses += [loss, x.grad]
    return losses


def way_checkpointing(device):
    plain = _deep(device, lambda block, x: block(x))
    torch.manual_seed(0)
    new = _deep(device, lambda block, x: checkpoint(block, x, use_reentrant=False))
    torch.manual_seed(0)
    old = _deep(device, lambda block, x: checkpoint(block, x, use_reentrant=True))
    for a, b, c in zip(plain, new, old, strict=True):
        assert torch.equal(a, b) and torch.equal(a, c)
    return plain


def way_checkpointing_under_autocast(device):
    def autocast():
        return torch.autocast(device, dtype=torch.bfloat16)

    plain = _deep(device, lambda block, x: block(x), context=autocast)
    for reentrant in (False, True):
        torch.manual_seed(0)
        again = _deep(device, partial(checkpoint, use_reentrant=reentrant), context=autocast)
        assert all(torch.equal(a, b) for a, b in zip(plain, again, strict=True))
    return plain


def way_checkpointing_keeps_random_numbers(device):
    seen = []

    def work(x):
        y = F.dropout(x, 0.5)
        seen.append((y != 0).cpu())
        return y * y

    for reentrant in (False, True):
        seen.clear()
        x = torch.ones(64, device=device, requires_grad=True)
        checkpoint(work, x, use_reentrant=reentrant, preserve_rng_state=True).sum().backward()
        assert len(seen) == 2 and torch.equal(*seen)
        assert torch.equal((x.grad != 0).cpu(), seen[0])
    return []


def way_selective_checkpointing(device):
    ran = []

    class Count(torch.utils._python_dispatch.TorchDispatchMode):
        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            ran.append(str(func))
            return func(*args, **(kwargs or {}))

    def policy(ctx, op, *args, **kwargs):
        if op in (torch.ops.aten.mm.default, torch.ops.aten.addmm.default):
            return CheckpointPolicy.MUST_SAVE
        return CheckpointPolicy.PREFER_RECOMPUTE

    def contexts():
        return create_selective_checkpoint_contexts(policy)

    block = nn.Sequential(nn.Linear(8, 8), nn.GELU(), nn.Linear(8, 8), nn.GELU()).to(device)
    x = torch.randn(4, 8).to(device).requires_grad_()
    y = checkpoint(block, x, use_reentrant=False, context_fn=contexts)
    with Count():
        y.sum().backward()
    assert not any("addmm" in op for op in ran)
    assert any("gelu" in op for op in ran)
    return y, x.grad


def way_checkpointing_a_sequence(device):
    net = nn.Sequential(*(nn.Linear(8, 8) for _ in range(4))).to(device)
    x = torch.randn(2, 8).to(device).requires_grad_()
    y = checkpoint_sequential(net, 2, x, use_reentrant=False)
    y.sum().backward()
    return y, x.grad


def way_saved_tensors_move_to_the_host(device):
    x = torch.randn(8, 8).to(device).requires_grad_()
    with torch.autograd.graph.save_on_cpu(pin_memory=device == "cuda", device_type=device):
        y = (x.exp() * x).tanh().sum()
    y.backward()

    def pack(t):
        return t.device, t.cpu()

    def unpack(pair):
        return pair[1].to(pair[0])

    with torch.autograd.graph.saved_tensors_hooks(pack, unpack):
        z = x.sigmoid().pow(2).sum()
    z.backward()
    return y, z, x.grad


if __name__ == "__main__":
    ways.run(globals())
