"""Models train on the card as on the host: losses, weights and buffers agree step by step."""

from __future__ import annotations

import pytest
import torch
from device_helpers import cases, same, twins
from torch import nn
from torch.utils.checkpoint import checkpoint
from training_steps import FP32, TiedLanguageModel, trains_alike


class First(nn.Module):
    """The first of what a module answers."""

    def __init__(self, module):
        super().__init__()
        self.module = module

    def forward(self, *inputs):
        return self.module(*inputs)[0]


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
