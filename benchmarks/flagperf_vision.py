"""Image models of FlagPerf's scripts that no installed library has as they were trained."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional


def soft_loss(out: torch.Tensor, shares: torch.Tensor) -> torch.Tensor:
    """Cross entropy of logits [batch, classes] with shares of classes."""
    return torch.sum(-shares * functional.log_softmax(out, -1), -1).mean()


def cell(
    channels: int, made: int, window: int, stride: int = 1, groups: int = 1, acts: bool = True
) -> list[nn.Module]:
    """A convolution, its norm and SiLU."""
    body = [nn.Conv2d(channels, made, window, stride, window // 2, groups=groups, bias=False),
            nn.BatchNorm2d(made, 1e-3)]  # fmt: skip
    return [*body, nn.SiLU(inplace=True)] if acts else body


class Squeeze(nn.Module):
    """Channels weighed by what two small layers make of their means."""

    def __init__(self, channels: int, narrow: int) -> None:
        super().__init__()
        self.down, self.up = nn.Conv2d(channels, narrow, 1), nn.Conv2d(narrow, channels, 1)

    def forward(self, x):
        """Images [batch, channels, rows, columns]."""
        means = functional.adaptive_avg_pool2d(x, 1)
        narrow = functional.silu(self.down(means), inplace=True)
        return torch.sigmoid(self.up(narrow)) * x


class Widened(nn.Module):
    """A block of EfficientNetV2: one window of 3 by 3, or a depthwise one between two of 1 by 1."""

    def __init__(
        self, channels: int, made: int, stride: int, widen: int, squeezes: bool, drop: float
    ) -> None:
        super().__init__()
        wide = channels * widen
        if squeezes:
            body = [*cell(channels, wide, 1), *cell(wide, wide, 3, stride, groups=wide),
                    Squeeze(wide, max(1, channels // 4)),
                    *cell(wide, made, 1, acts=False)]  # fmt: skip
        elif widen > 1:
            body = [*cell(channels, wide, 3, stride), *cell(wide, made, 1, acts=False)]
        else:
            body = cell(channels, made, 3, stride)
        self.body = nn.Sequential(*body)
        self.adds = stride == 1 and channels == made
        self.drop = drop

    def forward(self, x):
        """Images [batch, channels, rows, columns]; whole samples of the branch are dropped."""
        out = self.body(x)
        if not self.adds:
            return out
        if self.drop:
            kept = torch.empty(x.shape[0], 1, 1, 1, device=x.device).bernoulli_(1 - self.drop)
            out = out * kept.div_(1 - self.drop)
        out += x
        return out


class EfficientNetV2S(nn.Module):
    """Tan and Le 2021, table 4, as torchvision's efficientnet_v2_s."""

    #: (squeezes, widen, stride, channels, blocks)
    TABLE = ((False, 1, 1, 24, 2), (False, 4, 2, 48, 4), (False, 4, 2, 64, 4),
             (True, 4, 2, 128, 6), (True, 6, 1, 160, 9), (True, 6, 2, 256, 15))  # fmt: skip

    def __init__(self) -> None:
        super().__init__()
        body, channels, done = cell(3, 24, 3, 2), 24, 0
        total = sum(row[-1] for row in self.TABLE)
        for squeezes, widen, stride, made, times in self.TABLE:
            for n in range(times):
                body.append(Widened(channels, made, stride if n == 0 else 1, widen, squeezes,
                                    0.2 * done / total))  # fmt: skip
                channels, done = made, done + 1
        self.body = nn.Sequential(*body, *cell(channels, 1280, 1))
        self.head = nn.Sequential(nn.Dropout(0.2, inplace=True), nn.Linear(1280, 1000))

    def forward(self, x):
        """Images [batch, 3, rows, columns] to logits."""
        return self.head(functional.adaptive_avg_pool2d(self.body(x), 1).flatten(1))


class Standardized(nn.Conv2d):
    """A convolution whose weights have mean 0 and deviation 1 for every channel that it makes."""

    def forward(self, x):
        """Images [batch, channels, rows, columns]."""
        w = self.weight
        spread, mean = torch.var_mean(w, dim=[1, 2, 3], keepdim=True, unbiased=False)
        w = (w - mean) / torch.sqrt(spread + 1e-10)
        return functional.conv2d(x, w, self.bias, self.stride, self.padding)


class Before(nn.Module):
    """A bottleneck with norm and ReLU before every convolution."""

    def __init__(self, channels: int, made: int, stride: int) -> None:
        super().__init__()
        narrow = made // 4
        sizes = ((channels, narrow, 1, 1), (narrow, narrow, 3, stride), (narrow, made, 1, 1))
        self.norms = nn.ModuleList(nn.GroupNorm(32, size[0]) for size in sizes)
        self.layers = nn.ModuleList(
            Standardized(a, b, w, s, w // 2, bias=False) for a, b, w, s in sizes
        )
        self.relu = nn.ReLU(inplace=True)
        self.side = None
        if stride > 1 or channels != made:
            self.side = Standardized(channels, made, 1, stride, bias=False)

    def forward(self, x):
        """Images [batch, channels, rows, columns]."""
        out = self.relu(self.norms[0](x))
        beside = x if self.side is None else self.side(out)
        out = self.layers[0](out)
        out = self.layers[1](self.relu(self.norms[1](out)))
        return self.layers[2](self.relu(self.norms[2](out))) + beside


class BiT(nn.Module):
    """Kolesnikov et al. 2020, R152x2: four groups of blocks before a head of 1 by 1."""

    def __init__(self, blocks=(3, 8, 36, 3), times: int = 2) -> None:
        super().__init__()
        wide = 64 * times
        body = [Standardized(3, wide, 7, 2, 3, bias=False), nn.ConstantPad2d(1, 0),
                nn.MaxPool2d(3, 2, 0)]  # fmt: skip
        channels = wide
        for group, count in enumerate(blocks):
            made = 4 * wide * 2**group
            for n in range(count):
                body.append(Before(channels, made, 2 if group and not n else 1))
                channels = made
        head = [nn.GroupNorm(32, channels), nn.ReLU(inplace=True), nn.AdaptiveAvgPool2d(1),
                nn.Conv2d(channels, 1000, 1)]  # fmt: skip
        self.body = nn.Sequential(*body, *head)

    def forward(self, x, y):
        """Loss and logits of images that are mixed in pairs first."""
        order, share = torch.randperm(x.shape[0]).to(x.device), 0.3
        x = share * x + (1 - share) * x[order]
        other = y[order]
        out = self.body(x)[..., 0, 0]
        loss = share * functional.cross_entropy(out, y)
        return loss + (1 - share) * functional.cross_entropy(out, other), out


class SelfAttention(nn.Module):
    """Attention of `nn.MultiheadAttention` before PyTorch 2.0: one product, whole scores."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.inward, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)

    def forward(self, x):
        """Tokens [batch, tokens, width]."""
        batch, tokens, width = x.shape
        parts = self.inward(x.transpose(0, 1)).chunk(3, dim=-1)
        q, k, v = (p.contiguous().view(tokens, batch * self.heads, -1).transpose(0, 1)
                   for p in parts)  # fmt: skip
        q = q / (width // self.heads) ** 0.5
        shares = functional.softmax(torch.bmm(q, k.transpose(-2, -1)), dim=-1)
        out = torch.bmm(shares, v).transpose(0, 1).contiguous().view(tokens * batch, width)
        return self.out(out).view(tokens, batch, width).transpose(0, 1)


class EncoderBlock(nn.Module):
    """A layer of a vision transformer, norms first, nothing dropped."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.first, self.second = nn.LayerNorm(width, 1e-6), nn.LayerNorm(width, 1e-6)
        self.attention = SelfAttention(width, heads)
        self.wide = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(),
                                  nn.Linear(4 * width, width))  # fmt: skip

    def forward(self, x):
        """Tokens [batch, tokens, width]."""
        x = self.attention(self.first(x)) + x
        return x + self.wide(self.second(x))


class VisionTransformer(nn.Module):
    """Dosovitskiy et al. 2021, base, squares of 16 pixels, as torchvision's vit_b_16."""

    def __init__(self, width: int = 768, layers: int = 12, heads: int = 12) -> None:
        super().__init__()
        self.cut = nn.Conv2d(3, width, 16, 16)
        self.token = nn.Parameter(torch.zeros(1, 1, width))
        self.place = nn.Parameter(torch.zeros(1, 197, width))
        self.layers = nn.Sequential(*(EncoderBlock(width, heads) for _ in range(layers)))
        self.norm, self.head = nn.LayerNorm(width, 1e-6), nn.Linear(width, 1000)

    def forward(self, x):
        """Images [batch, 3, 224, 224] to logits."""
        x = self.cut(x).flatten(2).permute(0, 2, 1)
        x = torch.cat([self.token.expand(x.shape[0], -1, -1), x], dim=1) + self.place
        return self.head(self.norm(self.layers(x))[:, 0])
