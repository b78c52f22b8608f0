"""Averages, parametrizations, pruning, quantisation, layouts, complex and nested tensors."""

import copy

import torch
import torch.nn.functional as F
import ways
from torch import nn


def net(device):
    return nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.BatchNorm1d(8), nn.Linear(8, 3)).to(device)


def batch(device, n=8):
    return torch.randn(n, 4).to(device), (torch.arange(n) % 3).to(device)


def train(model, device, steps=3, make=None, after=None):
    optimizer = (make or (lambda p: torch.optim.SGD(p, 0.1)))(model.parameters())
    losses = []
    for _ in range(steps):
        x, y = batch(device)
        loss = F.cross_entropy(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if after:
            after()
        losses.append(loss.item())
    return losses


def way_averaged_weights(device):
    from torch.optim.swa_utils import SWALR, AveragedModel, get_ema_multi_avg_fn, update_bn

    model = net(device)
    averaged = AveragedModel(model)
    ema = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(0.9), use_buffers=True)
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    schedule = SWALR(optimizer, swa_lr=0.05)

    def after():
        averaged.update_parameters(model)
        ema.update_parameters(model)
        schedule.step()

    losses = train(model, device, after=after)
    update_bn([batch(device)[0] for _ in range(2)], averaged, device=torch.device(device))
    x, _ = batch(device)
    return losses, averaged.eval()(x), ema.eval()(x)


def way_an_average_by_hand(device):
    model = net(device)
    shadow = copy.deepcopy(model).requires_grad_(False)

    @torch.no_grad()
    def after():
        for s, p in zip(shadow.parameters(), model.parameters(), strict=True):
            s.lerp_(p, 0.1)
        torch._foreach_mul_([b for b in shadow.buffers() if b.is_floating_point()], 0.9)

    train(model, device, after=after)
    return list(shadow.parameters())


def way_parametrizations(device):
    from torch.nn.utils import parametrizations, parametrize

    layers = nn.Sequential(
        parametrizations.weight_norm(nn.Linear(4, 8)),
        parametrizations.spectral_norm(nn.Linear(8, 8)),
        parametrizations.orthogonal(nn.Linear(8, 3), orthogonal_map="householder"),
    ).to(device)

    class Symmetric(nn.Module):
        def forward(self, x):
            return x.triu() + x.triu(1).mT

    square = nn.Linear(3, 3).to(device)
    parametrize.register_parametrization(square, "weight", Symmetric())
    losses = train(nn.Sequential(layers, square), device)
    assert torch.equal(square.weight, square.weight.mT)
    parametrize.remove_parametrizations(square, "weight")
    return losses, square.weight


def way_pruning(device):
    from torch.nn.utils import prune

    model = net(device)
    prune.l1_unstructured(model[0], "weight", 0.5)
    prune.ln_structured(model[3], "weight", 0.25, n=2, dim=1)
    losses = train(model, device)
    prune.remove(model[0], "weight")
    assert (model[0].weight == 0).float().mean() == 0.5
    return losses, model[0].weight, model[3].weight


def way_quantisation_aware_training(device):
    from torch.ao.quantization import FakeQuantize, MovingAverageMinMaxObserver

    quantize = FakeQuantize(
        observer=MovingAverageMinMaxObserver, quant_min=0, quant_max=255, dtype=torch.quint8
    )
    model = nn.Sequential(nn.Linear(4, 8), quantize, nn.ReLU(), nn.Linear(8, 3)).to(device)
    losses = train(model, device)
    w = torch.randn(3, 4).to(device).requires_grad_()
    scale = torch.tensor([0.1, 0.2, 0.3]).to(device)
    zero = torch.zeros(3, dtype=torch.int32).to(device)
    y = torch.fake_quantize_per_channel_affine(w, scale, zero, 0, -128, 127)
    y.sum().backward()
    return losses, quantize.scale, y, w.grad


def way_learning_rate_schedules(device):
    from torch.optim import lr_scheduler as s

    def step_all(make):
        model = nn.Linear(2, 1).to(device)
        optimizer = torch.optim.SGD(model.parameters(), 0.1, momentum=0.9)
        schedule = make(optimizer)
        rates = []
        for _ in range(4):
            loss = model(torch.ones(1, 2).to(device)).pow(2).sum()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            plateau = isinstance(schedule, s.ReduceLROnPlateau)
            schedule.step(loss.detach()) if plateau else schedule.step()
            rates.append(optimizer.param_groups[0]["lr"])
        return rates

    return [
        step_all(lambda o: s.ReduceLROnPlateau(o, patience=0, threshold=10.0)),
        step_all(lambda o: s.CyclicLR(o, 0.01, 0.1, step_size_up=2)),
        step_all(lambda o: s.CosineAnnealingWarmRestarts(o, 2)),
        step_all(lambda o: s.SequentialLR(o, [s.ConstantLR(o), s.ExponentialLR(o, 0.9)], [2])),
        step_all(lambda o: s.ChainedScheduler([s.LinearLR(o), s.MultiStepLR(o, [2])])),
    ]


def way_optimizers(device):
    cuda = device == "cuda"
    makers = [
        lambda p: torch.optim.Adafactor(p, 1e-2),
        lambda p: torch.optim.LBFGS(p, 0.1),
        lambda p: torch.optim.Muon([q for q in p if q.dim() == 2], 1e-2),
        lambda p: torch.optim.Adam(p, 1e-2, fused=True, amsgrad=True),
        lambda p: torch.optim.SGD(p, 1e-1, fused=True, momentum=0.9),
        lambda p: torch.optim.Adagrad(p, 1e-2, fused=not cuda),
        lambda p: torch.optim.RMSprop(p, 1e-2, foreach=True, capturable=cuda),
        lambda p: torch.optim.NAdam(p, 1e-2, foreach=True, capturable=cuda),
        lambda p: torch.optim.RAdam(p, 1e-2, foreach=True, capturable=cuda),
        lambda p: torch.optim.AdamW(p, torch.tensor(1e-2).to(device), fused=True),
    ]
    out = []
    for make in makers:
        torch.manual_seed(0)
        model = net(device)
        optimizer = make(list(model.parameters()))
        x, y = batch(device)

        def closure(model=model, optimizer=optimizer, x=x, y=y):
            optimizer.zero_grad()
            loss = F.cross_entropy(model(x), y)
            loss.backward()
            return loss

        out.append([optimizer.step(closure).item() for _ in range(3)])
    return out


def way_sparse_gradients(device):
    embedding = nn.Embedding(10, 4, sparse=True).to(device)
    optimizer = torch.optim.SparseAdam(embedding.parameters(), 1e-2)
    for _ in range(2):
        embedding(torch.tensor([1, 3, 3]).to(device)).pow(2).sum().backward()
        optimizer.step()
        optimizer.zero_grad()
    return embedding.weight


def way_complex_numbers_and_transforms(device):
    x = torch.randn(4, 16).to(device).requires_grad_()
    spectrum = torch.fft.rfft(x)
    weight = torch.randn(9, dtype=torch.cfloat).to(device).requires_grad_()
    y = torch.fft.irfft(spectrum * weight, n=16)
    y.pow(2).sum().backward()
    z = torch.polar(x.detach().abs(), x.detach())
    image = torch.fft.fft2(torch.randn(2, 4, 4).to(device)).abs()
    wave = torch.stft(torch.randn(64).to(device), 16, window=torch.hann_window(16).to(device),
                      return_complex=True)  # fmt: skip
    rotary = torch.view_as_real(torch.view_as_complex(x.detach().view(4, 8, 2)) * z[:, :8])
    return y, x.grad, torch.view_as_real(weight.grad), z.angle(), image, wave.abs(), rotary


def way_channels_last(device):
    model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(2))
    model = model.to(device, memory_format=torch.channels_last)
    x = torch.randn(2, 3, 8, 8).to(device, memory_format=torch.channels_last)
    y = model(x)
    assert y.is_contiguous(memory_format=torch.channels_last)
    y.sum().backward()
    return y, model[0].weight.grad


def way_nested_tensors(device):
    parts = [torch.randn(n, 8).to(device).requires_grad_() for n in (2, 5, 3)]
    x = torch.nested.as_nested_tensor(parts, layout=torch.jagged)
    linear = nn.Linear(8, 8).to(device)
    y = F.gelu(linear(x))
    total = y.to_padded_tensor(0.0).pow(2).sum()
    total.backward()
    return total, [p.grad for p in parts], linear.weight.grad


def way_attention_of_nested_tensors(device):
    q = torch.nested.nested_tensor([torch.randn(n, 8) for n in (2, 5, 3)], layout=torch.jagged)
    q = q.to(device).unflatten(-1, [2, 4]).transpose(1, 2)
    attended = F.scaled_dot_product_attention(q, q, q).transpose(1, 2).flatten(-2)
    return attended.to_padded_tensor(0.0)


def way_deterministic_algorithms(device):
    torch.use_deterministic_algorithms(True, warn_only=True)
    torch.backends.cudnn.deterministic = True
    try:
        x = torch.zeros(4).to(device)
        x.index_add_(0, torch.tensor([0, 0, 1]).to(device), torch.ones(3).to(device))
        y = F.interpolate(torch.randn(1, 1, 4, 4).to(device), scale_factor=2, mode="bilinear")
        return x, y, x.cumsum(0)
    finally:
        torch.use_deterministic_algorithms(False)
        torch.backends.cudnn.deterministic = False


def way_initialisation_and_random_numbers(device):
    layer = nn.Linear(8, 8, device=device)
    names = ("xavier_uniform_", "kaiming_normal_", "orthogonal_", "trunc_normal_")
    for init in (getattr(nn.init, name) for name in names):
        init(layer.weight)
    x = torch.empty(100, device=device)
    rolls = torch.randint(0, 6, (100,), device=device)
    picked = torch.multinomial(torch.ones(5, device=device), 3)
    order = torch.randperm(10, device=device)
    assert sorted(order.tolist()) == list(range(10)) and len(set(picked.tolist())) == 3
    assert rolls.max() < 6 and x.exponential_().min() > 0
    return [layer.weight.isfinite().all(), torch.bernoulli(torch.ones(3, device=device))]


def way_lazy_modules_and_meta_devices(device):
    lazy = nn.Sequential(nn.LazyLinear(4), nn.LazyBatchNorm1d()).to(device)
    y = lazy(torch.ones(3, 5).to(device))
    with torch.device("meta"):
        model = nn.Linear(3, 2)
    model = model.to_empty(device=device)
    with torch.no_grad():
        model.weight.fill_(1)
        model.bias.zero_()
    with torch.device(device):
        inside = torch.ones(2)
    assert inside.device.type == device
    return y.shape, model(torch.ones(1, 3).to(device))


if __name__ == "__main__":
    ways.run(globals())
