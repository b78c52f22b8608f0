"""What autograd and `torch.func` offer, on CUDA."""

import torch
import torch.nn.functional as F
import ways
from torch import nn
from torch.func import (
    functional_call,
    grad,
    grad_and_value,
    hessian,
    jacfwd,
    jacrev,
    jvp,
    vjp,
    vmap,
)


def net(device):
    return nn.Sequential(nn.Linear(4, 6), nn.Tanh(), nn.Linear(6, 3)).to(device)


def data(device, n=5):
    return torch.randn(n, 4).to(device), torch.randint(0, 3, (n,)).to(device)


def way_func_grad_and_value(device):
    def f(x):
        return (x.sin() * x).sum()

    x = torch.randn(6).to(device)
    g, value = grad_and_value(f)(x)
    return grad(f)(x), g, value, grad(lambda z: grad(f)(z).sum())(x)


def way_func_jacobians_and_a_hessian(device):
    w = torch.randn(3, 4).to(device)
    x = torch.randn(4).to(device)

    def f(x):
        return torch.tanh(w @ x)

    h = hessian(lambda x: f(x).pow(2).sum())(x)
    y, pull = vjp(f, x)
    return jacrev(f)(x), jacfwd(f)(x), h, jvp(f, (x,), (torch.ones_like(x),)), pull(y)


def way_func_vmap(device):
    a, b = torch.randn(5, 3, 4).to(device), torch.randn(5, 4).to(device)
    products = vmap(torch.mv)(a, b)
    outer = vmap(vmap(torch.dot, (None, 0)), (0, None))(b, b)
    noise = vmap(lambda x: x + torch.randn_like(x), randomness="different")(b)
    same = vmap(lambda x: torch.rand_like(x), randomness="same")(b)
    assert noise.shape == b.shape and torch.equal(same[0], same[1])
    sums = vmap(lambda x: F.layer_norm(x, (4,)), in_dims=0, chunk_size=2)(b)
    return products, outer, sums


def way_func_gradients_per_sample(device):
    model, (x, y) = net(device), data(device)
    parameters = {k: v.detach() for k, v in model.named_parameters()}

    def loss(parameters, x, y):
        logits = functional_call(model, parameters, (x[None],))
        return F.cross_entropy(logits, y[None])

    each = vmap(grad(loss), in_dims=(None, 0, 0))(parameters, x, y)
    F.cross_entropy(model(x), y).backward()
    for name, parameter in model.named_parameters():
        torch.testing.assert_close(each[name].mean(0), parameter.grad)
    return each


def way_func_an_ensemble(device):
    from torch.func import stack_module_state

    models = [net(device) for _ in range(3)]
    parameters, buffers = stack_module_state(models)
    skeleton = net("meta")
    x, _ = data(device)

    def call(p, b, x):
        return functional_call(skeleton, (p, b), (x,))

    y = vmap(call, in_dims=(0, 0, None))(parameters, buffers, x)
    torch.testing.assert_close(y, torch.stack([m(x) for m in models]))
    return y


def way_inner_steps_of_meta_learning(device):
    model, (x, y) = net(device), data(device)
    parameters = dict(model.named_parameters())
    loss = F.cross_entropy(functional_call(model, parameters, x), y)
    grads = torch.autograd.grad(loss, list(parameters.values()), create_graph=True)
    fast = {k: p - 0.1 * g for (k, p), g in zip(parameters.items(), grads, strict=True)}
    F.cross_entropy(functional_call(model, fast, x), y).backward()
    return [p.grad for p in model.parameters()]


def way_forward_mode(device):
    import torch.autograd.forward_ad as fwad

    model, (x, _) = net(device), data(device)
    with fwad.dual_level():
        dual = fwad.make_dual(x, torch.ones_like(x))
        y = model(dual).softmax(-1)
        tangent = fwad.unpack_dual(y).tangent
    return y, tangent


def way_double_backward(device):
    x = torch.randn(3, 2, 6, 6).to(device).requires_grad_()
    conv = nn.Conv2d(2, 3, 3, padding=1).to(device)
    y = F.softplus(conv(x)).mean((2, 3))
    (g,) = torch.autograd.grad(y.sum(), x, create_graph=True)
    penalty = (g.flatten(1).norm(2, 1) - 1).pow(2).mean()
    penalty.backward()
    return penalty, conv.weight.grad, x.grad


def way_gradients_by_hand(device):
    model, (x, y) = net(device), data(device)
    x.requires_grad_()
    loss = F.cross_entropy(model(x), y)
    gs = torch.autograd.grad(loss, [x, *model.parameters()], retain_graph=True, allow_unused=True)
    h = torch.autograd.functional.hvp(lambda x: model(x).pow(2).sum(), x.detach(), x.detach())
    j = torch.autograd.functional.jacobian(model, x.detach()[0], vectorize=True)
    loss.backward(inputs=[x])
    assert model[0].weight.grad is None
    torch.autograd.backward([model(x).sum(), model(x).mean()])
    return gs, h, j, x.grad


def way_gradients_are_checked(device):
    x = torch.randn(3, 4, dtype=torch.float64).to(device).requires_grad_()
    w = torch.randn(2, 4, dtype=torch.float64).to(device).requires_grad_()
    assert torch.autograd.gradcheck(lambda x, w: F.gelu(F.linear(x, w)), (x, w))
    assert torch.autograd.gradgradcheck(lambda x: x.tanh(), (x,))
    return []


def way_anomalies_are_found(device):
    x = torch.zeros(3).to(device).requires_grad_()
    with torch.autograd.detect_anomaly(check_nan=True):
        try:
            (x.sqrt() * 0).sum().backward()
        except RuntimeError as error:
            assert "nan" in str(error)
            return []
    raise AssertionError("no error")


# ---- hooks


def way_hooks_of_modules(device):
    model, (x, y) = net(device), data(device)
    seen = []
    last = model[2]
    last.register_forward_pre_hook(lambda m, a: (a[0] * 2,))
    last.register_forward_hook(lambda m, a, out: out + 1)
    last.register_forward_hook(lambda m, a, k, out: seen.append(out.shape), with_kwargs=True)
    last.register_full_backward_pre_hook(lambda m, g: (g[0] * 3,))
    last.register_full_backward_hook(lambda m, gi, go: seen.append((gi[0].sum(), go[0].sum())))
    handle = nn.modules.module.register_module_forward_hook(lambda m, a, o: seen.append(o.mean()))
    loss = F.cross_entropy(model(x), y)
    loss.backward()
    handle.remove()
    assert len(seen) == 5 + 1
    return loss, [s for s in seen if not isinstance(s, torch.Size)], model[0].weight.grad


def way_hooks_of_tensors(device):
    model, (x, y) = net(device), data(device)
    calls = []
    w, b = model[0].weight, model[0].bias
    w.register_hook(lambda g: g.clamp(-0.01, 0.01))
    b.register_post_accumulate_grad_hook(lambda p: calls.append(p.grad.sum().item()))
    h = model[0](x)
    h.register_hook(lambda g: calls.append(g.norm().item()))
    h.retain_grad()
    h.grad_fn.register_hook(lambda gi, go: calls.append(len(gi)))
    h.grad_fn.register_prehook(lambda go: calls.append(len(go)))
    F.cross_entropy(model[2](model[1](h)), y).backward()
    assert w.grad.abs().max() <= 0.01 and len(calls) == 4
    torch.autograd.graph.register_multi_grad_hook([w, b], lambda gs: calls.append(len(gs)))
    return w.grad, h.grad, b.grad


def way_optimizers_inside_the_backward(device):
    model, (x, y) = net(device), data(device)
    optimizers = {p: torch.optim.SGD([p], 0.1) for p in model.parameters()}

    def step(p):
        optimizers[p].step()
        optimizers[p].zero_grad()

    for p in model.parameters():
        p.register_post_accumulate_grad_hook(step)
    losses = []
    for _ in range(3):
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        losses.append(loss.item())
    assert losses[2] < losses[0]
    return losses


def way_hooks_of_optimizers(device):
    model, (x, y) = net(device), data(device)
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    calls = []
    optimizer.register_step_pre_hook(lambda o, a, k: calls.append("before"))
    optimizer.register_step_post_hook(lambda o, a, k: calls.append("after"))

    def closure():
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        return loss

    loss = optimizer.step(closure)
    assert calls == ["before", "after"]
    return loss, model[0].weight


# ---- functions and ops of one's own


class Cube(torch.autograd.Function):
    generate_vmap_rule = True

    @staticmethod
    def forward(x):
        return x**3, 3 * x**2

    @staticmethod
    def setup_context(ctx, inputs, outputs):
        ctx.save_for_backward(inputs[0], outputs[1])
        ctx.save_for_forward(outputs[1])
        ctx.mark_non_differentiable(outputs[1])

    @staticmethod
    def backward(ctx, grad, _):
        return grad * ctx.saved_tensors[1]

    @staticmethod
    def jvp(ctx, t):
        return t * ctx.saved_tensors[0], None


class Inplace(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.mark_dirty(x)
        x.mul_(2)
        return x

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, grad):
        return grad * 2


def way_own_functions(device):
    x = torch.randn(4).to(device).requires_grad_()
    y, _ = Cube.apply(x)
    y.sum().backward()
    each = vmap(lambda x: Cube.apply(x)[0])(x.detach())
    z = Inplace.apply(x.detach().requires_grad_() * 1)
    z.sum().backward()
    return y, x.grad, each, z


def way_own_ops(device):
    @torch.library.custom_op("ways::scaled_add", mutates_args=(), device_types=["cpu", "cuda"])
    def scaled_add(a: torch.Tensor, b: torch.Tensor, scale: float) -> torch.Tensor:
        return a + b * scale

    @scaled_add.register_fake
    def _(a, b, scale):
        return torch.empty_like(a)

    def setup(ctx, inputs, output):
        ctx.scale = inputs[2]

    scaled_add.register_autograd(lambda ctx, g: (g, g * ctx.scale, None), setup_context=setup)
    a, b = (torch.randn(4).to(device).requires_grad_() for _ in range(2))
    y = scaled_add(a, b, 0.5)
    assert y.device == a.device
    y.pow(2).sum().backward()
    compiled = torch.compile(lambda a, b: scaled_add(a, b, 0.5).relu(), backend="aot_eager")
    return y, a.grad, b.grad, compiled(a, b)


def way_own_ops_that_write(device):
    @torch.library.custom_op("ways::double_", mutates_args={"x"})
    def double_(x: torch.Tensor) -> None:
        x.mul_(2)

    x = torch.randn(4).to(device)
    double_(x)
    return x


def way_own_ops_by_library(device):
    library = torch.library.Library("ways_low", "DEF")
    library.define("shifted(Tensor x, float by) -> Tensor")
    library.impl("shifted", lambda x, by: x + by, "CUDA")
    library.impl("shifted", lambda x, by: x + by, "CPU")
    x = torch.randn(3).to(device)
    y = torch.ops.ways_low.shifted(x, 2.0)
    assert y.device == x.device
    way_own_ops_by_library.library = library
    return y


def way_kernels_registered_later_for_cuda(device):
    @torch.library.custom_op("ways::negated", mutates_args=(), device_types="cpu")
    def negated(x: torch.Tensor) -> torch.Tensor:
        return -x

    ran = []

    @torch.library.register_kernel("ways::negated", "cuda")
    def _(x):
        ran.append(x.device.type)
        return x.neg()

    x = torch.randn(3).to(device)
    y = negated(x)
    assert ran == ["cuda"] * (device == "cuda")
    return y


if __name__ == "__main__":
    ways.run(globals())
