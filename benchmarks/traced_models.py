"""The models whose training steps stand in data/steps, with a batch of their inputs."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import flagperf_models
import torch
import transformers as t
from nvidia_bert import BertAdam, MasterAdam, NvidiaSquad
from torch import nn
from torch.nn import functional

ROOT = Path(__file__).parents[1]
BATCHES = (8, 16, 32)
#: name -> (model, format, tokens or pixels)
STEPS = {
    **{f"{m}-{f}": (m, f, 224) for m in ("resnet50", "mobilenet_v2", "vit_b16", "swin_b")
       for f in ("f32", "f16")},
    "vgg16-f32": ("vgg16", "f32", 224),
    "efficientnet_b0-f32": ("efficientnet_b0", "f32", 224),
    **{f"bert_{s}-{by}384-{f}": (f"bert_{s} {by}", f, 384)
       for s, by in (("large", "squad"), ("large", "lambda"), ("base", "lambda"))
       for f in ("f32", "f16")},
    **{f"bert_large-pretraining{n}-{f}": ("bert_pretraining", f, n)
       for n in (128, 512) for f in ("f32", "f16")},
    **{f"distilbert-classify{n}-f32": ("distilbert", "f32", n) for n in (512,)},
}  # fmt: skip
NAMES = (*STEPS, *flagperf_models.SCRIPTS)
Inputs = Callable[[int], tuple[torch.Tensor, ...]]


class Inverted(nn.Module):
    """Widen, a depthwise window of 3 by 3, narrow; added to its input where the shapes are one."""

    def __init__(self, channels: int, made: int, stride: int, widen: int) -> None:
        super().__init__()
        wide = channels * widen
        first = cell(channels, wide, 1) if widen > 1 else []
        self.body = nn.Sequential(*first, *cell(wide, wide, 3, stride, groups=wide),
                                  *cell(wide, made, 1)[:2])  # fmt: skip
        self.adds = stride == 1 and channels == made

    def forward(self, x):
        """Images [batch, channels, rows, columns]."""
        return x + self.body(x) if self.adds else self.body(x)


def cell(
    channels: int, made: int, window: int, stride: int = 1, groups: int = 1
) -> list[nn.Module]:
    """A convolution, its norm and ReLU6."""
    return [nn.Conv2d(channels, made, window, stride, window // 2, groups=groups, bias=False),
            nn.BatchNorm2d(made), nn.ReLU6(inplace=True)]  # fmt: skip


class MobileNetV2(nn.Module):
    """Sandler et al. 2018, table 2, padded evenly as torchvision's."""

    TABLE = ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1),
             (6, 160, 3, 2), (6, 320, 1, 1))  # fmt: skip

    def __init__(self) -> None:
        super().__init__()
        body, channels = cell(3, 32, 3, 2), 32
        for widen, made, times, stride in self.TABLE:
            for n in range(times):
                body.append(Inverted(channels, made, stride if n == 0 else 1, widen))
                channels = made
        self.body = nn.Sequential(*body, *cell(channels, 1280, 1))
        self.head = nn.Sequential(nn.Dropout(0.2), nn.Linear(1280, 1000))

    def forward(self, x):
        """Images [batch, 3, rows, columns] to logits."""
        return self.head(functional.adaptive_avg_pool2d(self.body(x), 1).flatten(1))


class Labelled(nn.Module):
    """Images and classes to a loss."""

    def __init__(self, body: nn.Module) -> None:
        super().__init__()
        self.body = body

    def forward(self, x, y):
        """Loss of images [batch, 3, pixels, pixels]."""
        out = self.body(x)
        return nn.functional.cross_entropy(getattr(out, "logits", out), y)


class Pretraining(nn.Module):
    """Masked words are gathered before the head, as NVIDIA's BERT does."""

    def __init__(self, config) -> None:
        super().__init__()
        self.body = t.BertForPreTraining(config)

    def forward(self, ids, mask, where, words, follows):
        """Loss of masked words and of the next sentence."""
        out = self.body.bert(ids, attention_mask=mask)
        states = out.last_hidden_state.flatten(0, 1).index_select(0, where.flatten())
        logits, pair = self.body.cls(states, out.pooler_output)
        return (nn.functional.cross_entropy(logits, words.flatten())
                + nn.functional.cross_entropy(pair, follows))  # fmt: skip


class Classify(nn.Module):
    """Sentences to a loss of two classes."""

    def __init__(self) -> None:
        super().__init__()
        self.body = t.DistilBertForSequenceClassification(
            t.DistilBertConfig(attn_implementation="eager"))  # fmt: skip

    def forward(self, ids, mask, y):
        """Loss of sentences [batch, tokens]."""
        return self.body(input_ids=ids, attention_mask=mask, labels=y).loss


def model_of(name: str, size: int, half: bool) -> tuple[nn.Module, Inputs]:
    """A module that answers with a loss, and its inputs of a batch."""
    body = image_model(name, size)
    if body is not None:
        return Labelled(body), lambda b: (torch.randn(b, 3, size, size), below(1000, b))
    if name == "distilbert":
        return Classify(), lambda b: (*words(b, size), below(2, b))
    if name == "bert_pretraining":
        masked = 80 if size == 512 else 20
        return Pretraining(bert(24, 1024, 16)), lambda b: (
            *words(b, size), below(size, b, masked), below(1000, b, masked), below(2, b),
        )  # fmt: skip
    sizes = (24, 1024, 16) if "large" in name else (12, 768, 12)
    model = NvidiaSquad(*sizes, half, written_out="lambda" in name)
    return model, lambda b: (*words(b, size), below(size, b), below(size, b))


def image_model(name: str, size: int) -> nn.Module | None:
    """A model of images by name; None if the name is another's."""
    if name in ("resnet50", "vgg16"):
        sys.path.insert(0, str(ROOT / "examples"))
        from vision_models import VGG16, ResNet50

        return ResNet50(1000) if name == "resnet50" else VGG16(1000)
    if name == "mobilenet_v2":
        return MobileNetV2()
    if name == "vit_b16":
        return t.ViTForImageClassification(
            t.ViTConfig(num_labels=1000, attn_implementation="eager"))  # fmt: skip
    if name == "swin_b":
        return t.SwinForImageClassification(
            t.SwinConfig(num_labels=1000, embed_dim=128, depths=[2, 2, 18, 2],
                         num_heads=[4, 8, 16, 32]))  # fmt: skip
    if name == "efficientnet_b0":
        return t.EfficientNetForImageClassification(
            t.EfficientNetConfig(num_labels=1000, image_size=size, width_coefficient=1.0,
                                 depth_coefficient=1.0, hidden_dim=1280))  # fmt: skip
    return None


def bert(layers: int, width: int, heads: int):
    """A BERT of so many layers whose attention is plain products and a softmax."""
    return t.BertConfig(hidden_size=width, num_hidden_layers=layers, num_attention_heads=heads,
                        intermediate_size=4 * width, attn_implementation="eager")  # fmt: skip


def words(batch: int, size: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Token ids and a mask of four dimensions, which is added to the scores as it is."""
    return below(1000, batch, size), torch.zeros(batch, 1, 1, size)


def below(most: int, *shape: int) -> torch.Tensor:
    """Random whole numbers below `most`."""
    return torch.randint(most, shape)


def train(name: str, batch: int, steps: int, set_to_none: bool):
    """The program of some training steps of one model and batch, traced without numerics."""
    from suiren.hw.names import find_card
    from suiren.torch import transfer
    from suiren.torch.how import UNLIMITED_BYTES
    from suiren.torch.session import Session

    session = Session(find_card("a100"))
    session.begin(numerics=False, tf32="on", memory_bytes=UNLIMITED_BYTES)
    transfer.install()
    if name in flagperf_models.SCRIPTS:
        trained = flagperf_models.train(flagperf_models.SCRIPTS[name], batch, steps)
        return session.program(), sum(p.numel() for p in trained.parameters())
    kind, dtype, size = STEPS[name]
    torch.manual_seed(0)
    model, inputs = model_of(kind, size, dtype == "f16")
    layout = torch.channels_last if dtype == "f16" and size == 224 else torch.contiguous_format
    model = model.to("cuda", memory_format=layout).train()
    optimizer = optimizer_of(model, size, dtype == "f16")
    halved = isinstance(model, NvidiaSquad)
    scaler = torch.amp.GradScaler("cuda", enabled=dtype == "f16" and not halved)
    for _ in range(steps):
        given = [x.to("cuda", memory_format=layout) if x.dim() == 4 else x.to("cuda")
                 for x in inputs(batch)]  # fmt: skip
        with torch.autocast("cuda", dtype=torch.float16, enabled=scaler.is_enabled()):
            loss = model(*given)
        scaler.scale(loss).backward()
        scaler.step(optimizer)
        scaler.update()
        optimizer.zero_grad(set_to_none)
        if halved:
            loss.item()
    return session.program(), sum(p.numel() for p in model.parameters())


def optimizer_of(model: nn.Module, size: int, half: bool) -> torch.optim.Optimizer:
    """The optimizer that the model's script takes."""
    weights = model.parameters()
    if isinstance(model, NvidiaSquad):
        return MasterAdam(weights) if half else BertAdam(weights)
    if size == 224:
        return torch.optim.SGD(weights, 0.1, momentum=0.9, weight_decay=1e-4)
    return torch.optim.AdamW(weights, 1e-4, fused=True)


def traced(script: str, name: str) -> list | str:
    """What `script --trace NAME BATCH` prints as JSON at each batch, or why it failed.

    Every batch is a process of its own: a session holds what the last one left.
    """
    found = []
    for batch in BATCHES:
        done = subprocess.run([sys.executable, script, "--trace", name, str(batch)],
                              capture_output=True, text=True, check=False)  # fmt: skip
        if done.returncode:
            return f"failed: {done.stderr.strip().splitlines()[-1]}"
        found.append(json.loads(done.stdout.splitlines()[-1]))
    return found
