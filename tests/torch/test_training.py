"""Models train on the card as on the host: losses, weights and buffers agree step by step."""

from __future__ import annotations

import warnings

import pytest
import torch
import torch.nn.functional as F
from device_helpers import cases, on_both, same, twins
from torch import nn
from torch.utils.checkpoint import checkpoint

from suiren.trace.program import Kind

STEPS = 3
#: What three steps in FP32 may differ by, sums being ordered differently.
FP32 = {"rtol": 1e-4, "atol": 1e-5}


def mean_square(output):
    return output.float().pow(2).mean()


def losses(model, inputs, make_optimizer, loss_of=mean_square):
    """Losses of a few steps, taken where the model is."""
    device = next(model.parameters()).device
    inputs = [x.to(device) for x in inputs]
    optimizer = make_optimizer(model.parameters())
    found = []
    for _ in range(STEPS):

        def closure():
            optimizer.zero_grad()
            loss = loss_of(model(*inputs))
            loss.backward()
            return loss

        found.append(optimizer.step(closure).item())
    return found


def sgd(parameters):
    return torch.optim.SGD(parameters, 0.05, momentum=0.9)


def trains_alike(model, inputs, make_optimizer=sgd, loss_of=mean_square, **tolerance):
    tolerance = tolerance or FP32
    card, host = twins(model)
    on_card = losses(card, inputs, make_optimizer, loss_of)
    assert on_card == pytest.approx(
        losses(host, inputs, make_optimizer, loss_of), rel=tolerance["rtol"]
    )
    assert len(set(on_card)) == STEPS
    same(dict(card.state_dict()), dict(host.state_dict()), **tolerance)


# ---- models


class First(nn.Module):
    """The first of what a module answers."""

    def __init__(self, module):
        super().__init__()
        self.module = module

    def forward(self, *inputs):
        return self.module(*inputs)[0]


class TiedLanguageModel(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(13, 8, padding_idx=0)
        self.norm = nn.LayerNorm(8)
        self.head = nn.Linear(8, 13, bias=False)
        self.head.weight = self.embed.weight

    def forward(self, ids):
        return F.cross_entropy(self.head(self.norm(self.embed(ids))).transpose(1, 2), ids)


class Packed(nn.Module):
    def __init__(self):
        super().__init__()
        self.rnn = nn.LSTM(4, 6, batch_first=True)

    def forward(self, x):
        lengths = torch.tensor([5, 3, 2])
        packed = nn.utils.rnn.pack_padded_sequence(x, lengths, batch_first=True)
        return nn.utils.rnn.pad_packed_sequence(self.rnn(packed)[0])[0]


class Cells(nn.Module):
    def __init__(self):
        super().__init__()
        self.lstm, self.gru, self.rnn = nn.LSTMCell(4, 5), nn.GRUCell(5, 5), nn.RNNCell(5, 3)

    def forward(self, x):
        h, c = self.lstm(x)
        h, c = self.lstm(x, (h, c))
        return self.rnn(self.gru(h, c))


class Checkpointed(nn.Module):
    def __init__(self, reentrant):
        super().__init__()
        self.first = nn.Linear(4, 4)
        self.blocks = nn.ModuleList(
            nn.Sequential(nn.Linear(4, 8), nn.GELU(), nn.Linear(8, 4)) for _ in range(3)
        )
        self.reentrant = reentrant

    def forward(self, x):
        x = self.first(x)
        for block in self.blocks:
            x = x + checkpoint(block, x, use_reentrant=self.reentrant)
        return x


class Masked(nn.Module):
    def __init__(self):
        super().__init__()
        self.attention = nn.MultiheadAttention(8, 2, batch_first=True)

    def forward(self, x):
        padding = torch.tensor([[False] * 5, [False] * 3 + [True] * 2], device=x.device)
        causal = torch.ones(5, 5, dtype=torch.bool, device=x.device).triu(1)
        out, _ = self.attention(x, x, x, key_padding_mask=padding, attn_mask=causal)
        return out


def image(*shape):
    return (torch.randn(shape),)


MODELS = {
    "mlp": lambda: (
        nn.Sequential(nn.Linear(8, 16), nn.GELU(), nn.LayerNorm(16), nn.Linear(16, 4)),
        image(5, 8),
    ),
    "conv and batch norm": lambda: (
        nn.Sequential(
            nn.Conv2d(3, 8, 3, padding=1),
            nn.BatchNorm2d(8),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(8, 8, 3, groups=2),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(8, 2),
        ),
        image(4, 3, 12, 12),
    ),
    "channels last": lambda: (
        nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Conv2d(4, 2, 1)).to(
            memory_format=torch.channels_last
        ),
        [image(2, 3, 8, 8)[0].to(memory_format=torch.channels_last)],
    ),
    "transposed conv and group norm": lambda: (
        nn.Sequential(
            nn.ConvTranspose2d(3, 4, 3, stride=2),
            nn.GroupNorm(2, 4),
            nn.SiLU(),
            nn.AvgPool2d(2),
            nn.Upsample(scale_factor=2, mode="bilinear"),
        ),
        image(2, 3, 8, 8),
    ),
    "conv1d and dilation": lambda: (
        nn.Sequential(nn.Conv1d(3, 4, 3, dilation=2), nn.InstanceNorm1d(4, affine=True)),
        image(2, 3, 12),
    ),
    "conv3d": lambda: (nn.Conv3d(2, 3, 3, padding=1), image(1, 2, 4, 4, 4)),
    "pixel shuffle and prelu": lambda: (
        nn.Sequential(nn.Conv2d(2, 8, 3), nn.PReLU(8), nn.PixelShuffle(2)),
        image(2, 2, 6, 6),
    ),
    "lstm": lambda: (First(nn.LSTM(4, 8, 2, batch_first=True)), image(2, 5, 4)),
    "two-way lstm": lambda: (First(nn.LSTM(4, 6, bidirectional=True)), image(5, 2, 4)),
    "lstm without bias": lambda: (First(nn.LSTM(4, 6, bias=False)), image(5, 2, 4)),
    "lstm with projection": lambda: (First(nn.LSTM(4, 6, proj_size=3)), image(5, 2, 4)),
    "packed lstm": lambda: (Packed(), image(3, 5, 4)),
    "gru": lambda: (First(nn.GRU(4, 8, 2, batch_first=True)), image(2, 5, 4)),
    "two-way gru": lambda: (First(nn.GRU(4, 6, bidirectional=True)), image(5, 2, 4)),
    "rnn": lambda: (First(nn.RNN(4, 8, nonlinearity="relu")), image(5, 2, 4)),
    "cells": lambda: (Cells(), image(3, 4)),
    "transformer encoder": lambda: (
        nn.TransformerEncoder(
            nn.TransformerEncoderLayer(16, 2, 32, dropout=0.0, batch_first=True),
            2,
            enable_nested_tensor=False,
        ),
        image(2, 5, 16),
    ),
    "transformer decoder": lambda: (
        nn.TransformerDecoderLayer(16, 2, 32, dropout=0.0, batch_first=True, norm_first=True),
        (torch.randn(2, 5, 16), torch.randn(2, 7, 16)),
    ),
    "masked attention": lambda: (Masked(), image(2, 5, 8)),
    "attention with weights": lambda: (
        First(nn.MultiheadAttention(8, 2)),
        (torch.randn(5, 2, 8), torch.randn(6, 2, 8), torch.randn(6, 2, 8)),
    ),
    "tied language model": lambda: (TiedLanguageModel(), (torch.randint(0, 13, (3, 6)),)),
    "embedding bag": lambda: (
        nn.EmbeddingBag(10, 4, mode="mean"),
        (torch.tensor([1, 2, 4, 5, 4, 3]), torch.tensor([0, 2, 3])),
    ),
    "embedding bag, sum": lambda: (
        nn.EmbeddingBag(10, 4, mode="sum"),
        (torch.randint(0, 10, (3, 4)),),
    ),
    "embedding bag, max": lambda: (
        nn.EmbeddingBag(10, 4, mode="max"),
        (torch.randint(0, 10, (3, 4)),),
    ),
    "rms norm and glu": lambda: (
        nn.Sequential(nn.RMSNorm(8), nn.Linear(8, 8), nn.GLU()),
        image(4, 8),
    ),
    "bilinear": lambda: (nn.Bilinear(3, 4, 5), (torch.randn(6, 3), torch.randn(6, 4))),
    "weight norm": lambda: (
        nn.utils.parametrizations.weight_norm(nn.Linear(4, 4)),
        image(3, 4),
    ),
    "spectral norm": lambda: (
        nn.utils.parametrizations.spectral_norm(nn.Linear(4, 4)),
        image(3, 4),
    ),
    "checkpointed": lambda: (Checkpointed(False), image(3, 4)),
    "checkpointed, reentrant": lambda: (Checkpointed(True), image(3, 4)),
}


@pytest.mark.parametrize("make", cases(MODELS))
def test_a_model_trains_as_on_the_host(make):
    trains_alike(*make())


@pytest.mark.parametrize("make", cases(MODELS))
def test_a_model_evaluates_as_on_the_host(make):
    model, inputs = make()
    card, host = twins(model.eval())
    with torch.no_grad():
        same(card(*[x.to("gcu") for x in inputs]), host(*inputs), **FP32)


def _pairs():
    return torch.rand(4, 5), torch.rand(4, 5)


LOSSES = {
    "mse": F.mse_loss,
    "l1": F.l1_loss,
    "smooth l1": F.smooth_l1_loss,
    "huber": F.huber_loss,
    "bce": F.binary_cross_entropy,
    "bce with logits": F.binary_cross_entropy_with_logits,
    "kl": lambda x, y: F.kl_div(x.log_softmax(-1), y.softmax(-1), reduction="batchmean"),
    "cross entropy": lambda x, y: F.cross_entropy(x, y.argmax(-1), label_smoothing=0.1),
    "soft cross entropy": lambda x, y: F.cross_entropy(x, y.softmax(-1)),
    "nll with ignored": lambda x, y: F.nll_loss(
        x.log_softmax(-1), y.argmax(-1), ignore_index=int(y[0].argmax())
    ),
    "poisson": F.poisson_nll_loss,
    "gaussian": lambda x, y: F.gaussian_nll_loss(x, y, torch.ones_like(x)),
    "cosine": lambda x, y: F.cosine_embedding_loss(x, y, torch.ones(4, device=x.device)),
    "triplet": lambda x, y: F.triplet_margin_loss(x, y, y.flip(0)),
    "margin": lambda x, y: F.multi_margin_loss(x, y.argmax(-1)),
    "ctc": lambda x, y: F.ctc_loss(
        x[:, None].expand(4, 2, 5).log_softmax(-1),
        torch.tensor([[1, 2], [3, 1]], device=x.device),
        torch.tensor([4, 4]),
        torch.tensor([2, 1]),
    ),
    "distance": lambda x, y: torch.dist(x, y),
    "norm": lambda x, y: torch.linalg.vector_norm(x - y),
    "prod and cummax": lambda x, y: x.prod(1).sum() + y.cummax(1)[0].sum(),
}


@pytest.mark.parametrize("loss_of", cases(LOSSES))
def test_a_loss_and_its_gradients_are_those_of_the_host(loss_of):
    x, y = _pairs()

    def found(device):
        a = x.to(device).requires_grad_()
        loss = loss_of(a, y.to(device))
        loss.backward()
        return loss.detach(), a.grad

    on_both(found)


# ---- attention


def heads(q=4, kv=4, length=6, keys=6, width=8):
    return [torch.randn(2, h, n, width) for h, n in ((q, length), (kv, keys), (kv, keys))]


ATTENTIONS = {
    "plain": (heads, {}),
    "causal": (heads, {"is_causal": True}),
    "scaled": (heads, {"scale": 0.5}),
    "bias": (heads, {"attn_mask": lambda: torch.randn(6, 6)}),
    "bias per head": (heads, {"attn_mask": lambda: torch.randn(2, 4, 6, 6)}),
    "boolean mask": (heads, {"attn_mask": lambda: torch.ones(6, 6).tril().bool()}),
    "padding mask": (
        heads,
        {"attn_mask": lambda: torch.tensor([True] * 4 + [False] * 2).expand(2, 1, 1, 6)},
    ),
    "more keys": (lambda: heads(keys=9), {}),
    "more keys, causal": (lambda: heads(keys=9), {"is_causal": True}),
    "one query": (lambda: heads(length=1), {}),
    "grouped": (lambda: heads(q=8, kv=2), {"enable_gqa": True}),
    "grouped, causal": (lambda: heads(q=8, kv=2), {"enable_gqa": True, "is_causal": True}),
    "one key head": (lambda: heads(q=4, kv=1), {"enable_gqa": True}),
    "without batch": (lambda: [x[0] for x in heads()], {"is_causal": True}),
    "five dimensions": (lambda: [x[None] for x in heads()], {}),
    "trained bias": (heads, {"attn_mask": lambda: torch.randn(6, 6).requires_grad_()}),
    "heads inside sequence": (
        lambda: [x.transpose(1, 2).contiguous().transpose(1, 2) for x in heads()],
        {"is_causal": True},
    ),
    "different value width": (lambda: [*heads()[:2], torch.randn(2, 4, 6, 5)], {}),
    "double": (lambda: [x.double() for x in heads()], {"is_causal": True}),
}


def _attend(tensors, keywords, device, dtype=None):
    def moved(x):
        x = x.to(dtype) if dtype is not None and x.is_floating_point() else x
        return x.detach().to(device).requires_grad_(x.requires_grad)

    q, k, v = (x.detach().to(device, dtype).requires_grad_() for x in tensors)
    keywords = {n: moved(x) if isinstance(x, torch.Tensor) else x for n, x in keywords.items()}
    mask = keywords.get("attn_mask")
    out = F.scaled_dot_product_attention(q, k, v, **keywords)
    (out.float() * torch.arange(out.numel(), device=device).view(out.shape).cos()).sum().backward()
    found = [out.detach(), q.grad, k.grad, v.grad]
    return [*found, mask.grad] if mask is not None and mask.requires_grad else found


@pytest.mark.parametrize(("make", "keywords"), cases(ATTENTIONS))
def test_attention_and_its_gradients_are_those_of_the_host(make, keywords):
    tensors = make()
    keywords = {n: x() if callable(x) else x for n, x in keywords.items()}
    on_both(lambda device: _attend(tensors, keywords, device), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("dtype", "eps"), [(torch.bfloat16, 2**-8), (torch.float16, 2**-11)])
@pytest.mark.parametrize("name", ["plain", "causal", "grouped", "boolean mask"])
def test_attention_in_16_bits_is_within_its_format_of_fp32(name, dtype, eps):
    make, keywords = ATTENTIONS[name]
    tensors = [x.to(dtype).float() for x in make()]
    keywords = {n: x() if callable(x) else x for n, x in keywords.items()}
    exact = _attend(tensors, keywords, "cpu")
    card = _attend(tensors, keywords, "gcu", dtype)
    for a, b in zip(card, exact, strict=True):
        assert a.dtype == dtype
        same(a.float(), b, rtol=8 * eps, atol=8 * eps * b.abs().max().item())


def test_attention_masked_everywhere_answers_as_on_the_host():
    q = torch.randn(1, 1, 3, 8)
    mask = torch.tensor([[True, True, True], [False, False, False], [True, False, False]])
    on_both(lambda d: F.scaled_dot_product_attention(q.to(d), q.to(d), q.to(d), mask.to(d)))


@pytest.mark.parametrize("p", [0.2, 0.5])
def test_attention_with_dropout_trains_and_has_the_right_mean(p):
    q, k, v = (x.to("gcu").requires_grad_() for x in heads(length=32, keys=32))
    exact = F.scaled_dot_product_attention(q, k, v).detach()
    total = torch.zeros_like(exact)
    for _ in range(100):
        total += F.scaled_dot_product_attention(q, k, v, dropout_p=p).detach()
    assert (total / 100 - exact).abs().mean().item() < 0.1 * exact.abs().mean().item() + 0.02
    F.scaled_dot_product_attention(q, k, v, dropout_p=p).sum().backward()
    assert q.grad.isfinite().all() and v.grad.sum().item() != 0


def test_the_gradient_of_attention_with_dropout_is_that_of_its_own_mask():
    q, k, v = (x.to("gcu").double().float().requires_grad_() for x in heads(length=4, keys=4))
    torch.manual_seed(3)
    out = F.scaled_dot_product_attention(q, k, v, dropout_p=0.3)
    out.sum().backward()

    def value(moved):
        torch.manual_seed(3)
        return F.scaled_dot_product_attention(moved, k, v, dropout_p=0.3).sum().item()

    step = torch.zeros_like(q)
    step[0, 1, 2, 3] = 1e-2
    slope = (value(q.detach() + step) - value(q.detach() - step)) / 2e-2
    assert q.grad[0, 1, 2, 3].item() == pytest.approx(slope, rel=0.02, abs=2e-3)


@pytest.mark.parametrize(
    ("kernel", "op"),
    [
        ("FLASH_ATTENTION", "_scaled_dot_product_fused_attention_overrideable"),
        ("EFFICIENT_ATTENTION", "_scaled_dot_product_fused_attention_overrideable"),
        ("OVERRIDEABLE", "_scaled_dot_product_fused_attention_overrideable"),
        ("MATH", "bmm"),
    ],
)
def test_attention_is_one_op_unless_the_script_chose_plain_maths(session, kernel, op):
    q = torch.randn(2, 3, 4, 8, device="gcu")
    before = len(session.program().rest.events)
    with torch.nn.attention.sdpa_kernel([getattr(torch.nn.attention.SDPBackend, kernel)]):
        F.scaled_dot_product_attention(q, q, q)
    program = session.program()
    rows = program.rest.events[before:].tolist()
    names = {program.calls[what].name for kind, what, *_ in rows if kind == Kind.OP}
    assert op in names


# ---- optimizers

OPTIMIZERS = {
    "SGD": lambda p, **o: torch.optim.SGD(p, 0.05, momentum=0.9, nesterov=True, **o),
    "Adam": lambda p, **o: torch.optim.Adam(p, 0.01, amsgrad=True, **o),
    "AdamW": lambda p, **o: torch.optim.AdamW(p, 0.01, weight_decay=0.1, **o),
    "NAdam": lambda p, **o: torch.optim.NAdam(p, 0.01, **o),
    "RAdam": lambda p, **o: torch.optim.RAdam(p, 0.01, **o),
    "Adamax": lambda p, **o: torch.optim.Adamax(p, 0.01, **o),
    "Adagrad": lambda p, **o: torch.optim.Adagrad(p, 0.05, **o),
    "Adadelta": lambda p, **o: torch.optim.Adadelta(p, 1.0, **o),
    "RMSprop": lambda p, **o: torch.optim.RMSprop(p, 0.01, momentum=0.5, centered=True, **o),
    "Rprop": lambda p, **o: torch.optim.Rprop(p, 0.01, **o),
    "ASGD": lambda p, **o: torch.optim.ASGD(p, 0.05, **o),
    "Adafactor": lambda p, **o: torch.optim.Adafactor(p, 0.01, **o),
    "LBFGS": lambda p, **o: torch.optim.LBFGS(p, 0.1, max_iter=3, **o),
    "Muon": lambda p, **o: torch.optim.Muon(p, 0.01, **o),
}
FOREACH = [name for name in OPTIMIZERS if name not in ("LBFGS", "Muon")]
FUSED = ["SGD", "Adam", "AdamW", "Adagrad"]
MODES = [
    *((name, {}) for name in OPTIMIZERS),
    *((name, {"foreach": wanted}) for name in FOREACH for wanted in (True, False)),
    *((name, {"fused": True}) for name in FUSED),
    *((name, {"capturable": True}) for name in ("Adam", "AdamW", "NAdam")),
]


def _optimized_model(name):
    if name == "Muon":
        return nn.Sequential(nn.Linear(8, 16, bias=False), nn.ReLU(), nn.Linear(16, 4, bias=False))
    return nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 4))


def _name(mode):
    name, keywords = mode
    return "-".join([name, *(f"{k}={v}" for k, v in keywords.items())])


@pytest.mark.parametrize(("name", "keywords"), MODES, ids=map(_name, MODES))
def test_an_optimizer_updates_as_on_the_host(name, keywords):
    card, host = twins(_optimized_model(name))
    x = torch.randn(5, 8)
    make = OPTIMIZERS[name]
    on_card = losses(card, [x], lambda p: make(p, **keywords))
    on_host = losses(host, [x], make)
    # Muon orthogonalises in BF16.
    tolerance = {"rtol": 2e-2, "atol": 1e-3} if name == "Muon" else FP32
    assert on_card == pytest.approx(on_host, rel=tolerance["rtol"])
    same(dict(card.state_dict()), dict(host.state_dict()), **tolerance)


def test_parameter_groups_and_states_live_on_the_card():
    model = _optimized_model("AdamW").to("gcu")
    groups = [
        {"params": [p for p in model.parameters() if p.dim() > 1], "weight_decay": 0.1},
        {"params": [p for p in model.parameters() if p.dim() == 1], "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(groups, 0.01)
    model(torch.randn(5, 8, device="gcu")).sum().backward()
    optimizer.step()
    states = [v for s in optimizer.state.values() for n, v in s.items() if n != "step"]
    assert len(states) == 8 and all(v.is_gcu for v in states)


SCHEDULES = {
    "lambda": lambda o: torch.optim.lr_scheduler.LambdaLR(o, lambda k: min(1, (k + 1) / 3)),
    "cosine": lambda o: torch.optim.lr_scheduler.CosineAnnealingLR(o, 5),
    "one cycle": lambda o: torch.optim.lr_scheduler.OneCycleLR(o, 0.1, total_steps=5),
    "step": lambda o: torch.optim.lr_scheduler.StepLR(o, 2),
}


@pytest.mark.parametrize("schedule", cases(SCHEDULES))
def test_a_learning_rate_schedule_steps_as_on_the_host(schedule):
    def trained(model):
        optimizer = torch.optim.SGD(model.parameters(), 0.1)
        scheduler = schedule(optimizer)
        for _ in range(4):
            optimizer.zero_grad()
            mean_square(model(x.to(model.weight.device))).backward()
            optimizer.step()
            scheduler.step()
        return model.weight.detach()

    x = torch.randn(3, 4)
    card, host = twins(nn.Linear(4, 4))
    same(trained(card), trained(host), **FP32)


def test_a_learning_rate_may_be_a_tensor_of_the_card():
    model = nn.Linear(2, 1).to("gcu")
    optimizer = torch.optim.AdamW(model.parameters(), torch.tensor(0.1, device="gcu"), fused=True)
    before = model.weight.detach().clone()
    model(torch.ones(1, 2, device="gcu")).sum().backward()
    optimizer.step()
    assert not torch.equal(model.weight, before)


@pytest.mark.parametrize("keywords", [{}, {"foreach": False}, {"norm_type": float("inf")}])
def test_clipping_the_norm_of_gradients_is_that_of_the_host(keywords):
    card, host = twins(_optimized_model("SGD"))
    x = torch.randn(5, 8)

    def clipped(model, x):
        model(x).pow(2).sum().backward()
        norm = nn.utils.clip_grad_norm_(
            model.parameters(), 0.1, error_if_nonfinite=True, **keywords
        )
        return norm, [p.grad for p in model.parameters()]

    found = clipped(card, x.to("gcu"))
    assert found[0].is_gcu
    same(found, clipped(host, x), **FP32)
    nn.utils.clip_grad_value_(card.parameters(), 1e-3)
    assert max(p.grad.abs().max().item() for p in card.parameters()) <= 1e-3 + 1e-9


def test_gradients_accumulate_over_micro_batches():
    card, host = twins(nn.Linear(4, 4))
    x = torch.randn(6, 4)
    for part in x.split(2):
        mean_square(card(part.to("gcu"))).div(3).backward()
    mean_square(host(x)).backward()
    same(card.weight.grad, host.weight.grad, **FP32)


def test_an_averaged_model_follows():
    model = nn.Linear(3, 3).to("gcu")
    averaged = torch.optim.swa_utils.AveragedModel(
        model, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(0.5)
    )
    averaged.update_parameters(model)
    with torch.no_grad():
        start = model.weight.clone()
        model.weight.add_(1)
    averaged.update_parameters(model)
    same(averaged.module.weight, start + 0.5)


# ---- mixed precision


@pytest.mark.parametrize(("dtype", "eps"), [(torch.bfloat16, 2**-8), (torch.float16, 2**-11)])
def test_autocast_trains_within_its_format_of_fp32(dtype, eps):
    card, host = twins(nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 4)))
    x = torch.randn(5, 8)
    optimizer = sgd(card.parameters())
    scaler = torch.amp.GradScaler("gcu", enabled=dtype == torch.float16)
    found = []
    for _ in range(STEPS):
        optimizer.zero_grad()
        with torch.autocast("gcu", dtype=dtype):
            out = card(x.to("gcu"))
        assert out.dtype == dtype
        loss = mean_square(out)
        scaler.scale(loss).backward()
        scaler.unscale_(optimizer)
        nn.utils.clip_grad_norm_(card.parameters(), 100.0)
        scaler.step(optimizer)
        scaler.update()
        found.append(loss.item())
    assert found == pytest.approx(losses(host, [x], sgd), rel=16 * eps)
    assert card[0].weight.grad.dtype == torch.float32


def test_autocast_chooses_formats_as_on_other_accelerators():
    x = torch.randn(4, 8, device="gcu")
    layer, norm = nn.Linear(8, 8).to("gcu"), nn.LayerNorm(8).to("gcu")
    conv = nn.Conv2d(1, 1, 3).to("gcu")
    with torch.autocast("gcu", dtype=torch.bfloat16):
        assert torch.get_autocast_dtype("gcu") == torch.bfloat16
        h = layer(x)
        assert h.dtype == torch.bfloat16
        assert (x @ x.t()).dtype == torch.bfloat16
        assert conv(x[None, None]).dtype == torch.bfloat16
        assert norm(h).dtype == torch.float32
        assert h.softmax(-1).dtype == torch.float32
        assert h.exp().dtype == torch.float32
        assert h.sum().dtype == torch.float32
        assert F.mse_loss(h, x).dtype == torch.float32
        assert torch.cat([h, x]).dtype == torch.float32
        assert h.relu().dtype == torch.bfloat16
        q = x.view(1, 1, 4, 8)
        assert F.scaled_dot_product_attention(q, q, q).dtype == torch.bfloat16
        with torch.autocast("gcu", enabled=False):
            assert layer(x).dtype == torch.float32
    assert layer(x).dtype == torch.float32
    with torch.gcu.amp.autocast():
        assert layer(x).dtype == torch.float16


def test_the_grad_scaler_skips_a_step_with_infinite_gradients():
    model = nn.Linear(2, 1, bias=False).to("gcu")
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    scaler = torch.gcu.amp.GradScaler(init_scale=1024.0)
    before = model.weight.detach().clone()
    scaler.scale((model(torch.ones(1, 2, device="gcu")) * float("inf")).sum()).backward()
    scaler.step(optimizer)
    scaler.update()
    assert torch.equal(model.weight, before)
    assert scaler.get_scale() == 512
    optimizer.zero_grad()
    scaler.scale(model(torch.ones(1, 2, device="gcu")).sum()).backward()
    scaler.step(optimizer)
    scaler.update()
    same(model.weight.detach(), before - 0.1)
    twin = torch.amp.GradScaler("gcu")
    twin.load_state_dict(scaler.state_dict())
    assert twin.get_scale() == 512


@pytest.mark.parametrize(("dtype", "eps"), [(torch.bfloat16, 2**-8), (torch.float16, 2**-11)])
def test_a_model_held_in_16_bits_computes_within_its_format(dtype, eps):
    model = nn.Sequential(nn.Linear(64, 64), nn.GELU(), nn.LayerNorm(64), nn.Linear(64, 8))
    x = torch.randn(16, 64)
    with torch.no_grad():
        exact = model(x)
    card = model.to("gcu", dtype)(x.to("gcu", dtype))
    assert card.dtype == dtype
    same(card.float(), exact, rtol=8 * eps, atol=8 * eps)


@pytest.mark.parametrize(
    "op",
    [
        lambda a, b, c: a @ b,
        lambda a, b, c: torch.mm(a, b),
        lambda a, b, c: torch.addmm(c, a, b, beta=0.5, alpha=2.0),
        lambda a, b, c: torch.bmm(a[None], b[None]),
        lambda a, b, c: torch.baddbmm(c[None], a[None], b[None]),
        lambda a, b, c: F.linear(a, b.t(), c[0]),
        lambda a, b, c: torch.mv(a, b[:, 0].contiguous()),
        lambda a, b, c: torch.mm(a, b, out=torch.empty_like(c)),
        lambda a, b, c: c.clone().addmm_(a, b),
    ],
)
def test_an_fp16_product_is_summed_in_fp32_and_rounded_once(op):
    a, b, c = (torch.randn(32, 32).half() for _ in range(3))
    card = op(*(x.to("gcu") for x in (a, b, c)))
    exact = op(*(x.double() for x in (a, b, c)))
    assert card.dtype == torch.float16
    same(card.cpu().double(), exact, rtol=2**-10, atol=2**-8)


# ---- autograd


def test_second_derivatives_are_those_of_the_host():
    x = torch.randn(4)

    def second(device):
        a = x.to(device).requires_grad_()
        (first,) = torch.autograd.grad((a**3).sin().sum(), a, create_graph=True)
        (first**2).sum().backward()
        return first.detach(), a.grad

    on_both(second, rtol=1e-4, atol=1e-4)


def test_a_gradient_penalty_trains_as_on_the_host():
    model = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 1))

    def gradients(model, x):
        x = x.requires_grad_()
        (slope,) = torch.autograd.grad(model(x).sum(), x, create_graph=True)
        ((slope.norm(dim=1) - 1) ** 2).mean().backward()
        return [p.grad for p in model.parameters() if p.grad is not None]

    card, host = twins(model)
    x = torch.randn(5, 4)
    same(gradients(card, x.to("gcu")), gradients(host, x.clone()), **FP32)


def test_hooks_of_tensors_modules_and_parameters_are_called():
    called = []
    layer = nn.Linear(2, 2).to("gcu")
    layer.register_forward_pre_hook(lambda *_: called.append("before"))
    layer.register_forward_hook(lambda *_: called.append("after"))
    layer.register_full_backward_hook(lambda *_: called.append("backward"))
    layer.weight.register_hook(lambda g: called.append("gradient") or g * 2)
    layer.weight.register_post_accumulate_grad_hook(lambda _: called.append("accumulated"))
    x = torch.ones(1, 2, device="gcu", requires_grad=True)
    layer(x).sum().backward()
    assert set(called) == {"before", "after", "backward", "gradient", "accumulated"}
    assert layer.weight.grad.tolist() == [[2, 2], [2, 2]]


def test_saved_tensor_hooks_can_keep_activations_on_the_host():
    x = torch.randn(8, 8, device="gcu", requires_grad=True)
    with torch.autograd.graph.save_on_cpu(pin_memory=True):
        y = (x.exp() * x).sum()
    y.backward()
    host = x.detach().cpu().requires_grad_()
    (host.exp() * host).sum().backward()
    same(x.grad, host.grad)


def test_a_custom_function_computes_on_the_card():
    class Twice(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x * 2

        @staticmethod
        def backward(ctx, grad):
            (x,) = ctx.saved_tensors
            assert x.is_gcu and grad.is_gcu
            return grad * 2

    x = torch.ones(3, device="gcu", requires_grad=True)
    Twice.apply(x).sum().backward()
    assert x.grad.tolist() == [2, 2, 2]


def test_numerical_gradients_agree():
    x = torch.rand(3, 2, dtype=torch.float64, device="gcu", requires_grad=True)
    assert torch.autograd.gradcheck(lambda a: (a.exp() @ a.t()).logsumexp(0), (x,))
    assert torch.autograd.gradgradcheck(lambda a: a.tanh().prod(0), (x,))


def test_anomalies_are_found_on_the_card():
    x = torch.zeros(1, device="gcu", requires_grad=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with torch.autograd.detect_anomaly(), pytest.raises(RuntimeError, match="nan"):
            (x.sqrt() * 0).sum().backward()


FUNCTIONAL = {
    "grad": lambda f, x: torch.func.grad(f)(x),
    "vmap": lambda f, x: torch.vmap(f)(torch.stack([x, x * 2])),
    "grad per sample": lambda f, x: torch.vmap(torch.func.grad(f))(torch.stack([x, x * 2])),
    "jvp": lambda f, x: torch.func.jvp(f, (x,), (torch.ones_like(x),)),
    "vjp": lambda f, x: torch.func.vjp(f, x)[1](torch.tensor(2.0, device=x.device)),
    "jacrev": lambda f, x: torch.func.jacrev(lambda a: a.sin() * a)(x),
    "jacfwd": lambda f, x: torch.func.jacfwd(lambda a: a.sin() * a)(x),
    "vmap of a product": lambda f, x: torch.vmap(lambda a: a.outer(a) @ a)(torch.stack([x, x])),
}


@pytest.mark.parametrize("transform", cases(FUNCTIONAL))
def test_functional_transforms_answer_as_on_the_host(transform):
    x = torch.randn(4)
    on_both(
        lambda device: transform(lambda a: (a.sin() ** 2).sum(), x.to(device)),
        rtol=1e-4,
        atol=1e-5,
    )


def test_second_derivatives_by_forward_mode_are_those_of_the_host():
    x = torch.randn(4)
    on_both(lambda device: torch.func.hessian(lambda a: a.sin().sum())(x.to(device)))


def test_a_module_can_be_called_with_other_weights():
    layer = nn.Linear(3, 2).to("gcu")
    weights = {n: torch.zeros_like(p) for n, p in layer.named_parameters()}
    out = torch.func.functional_call(layer, weights, torch.ones(1, 3, device="gcu"))
    assert out.tolist() == [[0, 0]]


def test_checkpointing_with_dropout_draws_the_same_mask_again():
    block = nn.Sequential(nn.Linear(8, 8), nn.Dropout(0.5)).to("gcu")
    x = torch.ones(4, 8, device="gcu", requires_grad=True)
    for reentrant in (False, True):
        torch.manual_seed(7)
        block.zero_grad()
        checkpoint(block, x, use_reentrant=reentrant).sum().backward()
        again = block[0].weight.grad.clone()
        torch.manual_seed(7)
        block.zero_grad()
        block(x).sum().backward()
        same(again, block[0].weight.grad)


# ---- compiled


@pytest.mark.parametrize("backend", ["eager", "aot_eager"])
def test_a_compiled_model_trains_as_an_eager_one(backend):
    torch._dynamo.reset()
    model = nn.Sequential(nn.Linear(4, 8), nn.GELU(), nn.Linear(8, 2))
    card, host = twins(model)
    compiled = torch.compile(card, backend=backend)
    x = torch.randn(3, 4)
    mean_square(compiled(x.to("gcu"))).backward()
    mean_square(host(x)).backward()
    same([p.grad for p in card.parameters()], [p.grad for p in host.parameters()], **FP32)


def test_a_compiled_graph_may_autocast_and_attend():
    torch._dynamo.reset()
    layer = nn.Linear(8, 8).to("gcu")

    @torch.compile(backend="aot_eager")
    def work(x):
        with torch.autocast("gcu", dtype=torch.bfloat16):
            q = layer(x).view(2, 4, 2, 4).transpose(1, 2)
            return F.scaled_dot_product_attention(q, q, q, is_causal=True).float().sum()

    work(torch.randn(2, 4, 8, device="gcu")).backward()
    assert layer.weight.grad.isfinite().all()


# ---- transformers


def test_tied_weights_stay_one_on_the_card():
    model = TiedLanguageModel().to("gcu")
    assert model.head.weight is model.embed.weight


def test_an_optimizer_made_before_the_move_updates_the_moved_weights():
    model = nn.Linear(2, 1)
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    model.to("gcu")
    before = model.weight.detach().clone()
    model(torch.ones(1, 2, device="gcu")).sum().backward()
    optimizer.step()
    assert not torch.equal(model.weight, before)


@pytest.mark.parametrize("kind", ["llama", "gpt2", "bert"])
def test_a_small_transformers_model_trains_as_on_the_host(kind):
    transformers = pytest.importorskip("transformers")
    sizes = {"vocab_size": 64}
    if kind == "llama":
        config = transformers.LlamaConfig(
            hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4,
            num_key_value_heads=2, max_position_embeddings=32, **sizes,
        )  # fmt: skip
        model = transformers.LlamaForCausalLM(config)
    elif kind == "gpt2":
        config = transformers.GPT2Config(
            n_layer=2, n_embd=32, n_head=4, n_positions=32, resid_pdrop=0.0, embd_pdrop=0.0,
            attn_pdrop=0.0, bos_token_id=1, eos_token_id=1, **sizes,
        )  # fmt: skip
        model = transformers.GPT2LMHeadModel(config)
    else:
        config = transformers.BertConfig(
            hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=64,
            hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0, **sizes,
        )  # fmt: skip
        model = transformers.BertForMaskedLM(config)
    ids = torch.randint(0, 64, (2, 16))
    card, host = twins(model)

    def trained(model):
        device = next(model.parameters()).device
        optimizer = torch.optim.AdamW(model.parameters(), 1e-3)
        found = []
        for _ in range(2):
            loss = model(input_ids=ids.to(device), labels=ids.to(device)).loss
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            optimizer.zero_grad()
            found.append(loss.item())
        return found

    assert trained(card) == pytest.approx(trained(host), rel=1e-4)
