"""Writes data/steps: one training step of known models, its calls as functions of the batch.

Each model is traced without numerics at three batches. A size that differs is a multiple of the
batch plus a constant; the third batch must agree, or nothing is written.

    python benchmarks/step_templates.py [NAME ...]
"""

from __future__ import annotations

import collections
import gzip
import json
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "data" / "steps"
BATCHES = (8, 16, 32)
_INT = re.compile(r"-?\d+")
#: name -> (model, format, tokens or pixels)
STEPS = {
    **{f"{m}-{f}": (m, f, 224) for m in ("resnet50", "mobilenet_v2", "vit_b16", "swin_b")
       for f in ("f32", "f16")},
    "vgg16-f32": ("vgg16", "f32", 224),
    "efficientnet_b0-f32": ("efficientnet_b0", "f32", 224),
    **{f"bert_{s}-squad{n}-{f}": (f"bert_{s}", f, n)
       for s in ("base", "large") for n in (384,) for f in ("f32", "f16")},
    **{f"bert_large-pretraining{n}-{f}": ("bert_pretraining", f, n)
       for n in (128, 512) for f in ("f32", "f16")},
    **{f"distilbert-classify{n}-f32": ("distilbert", "f32", n) for n in (512,)},
}  # fmt: skip


def model_of(name: str, size: int):
    """(module, inputs of a batch, loss of its outputs)."""
    import torch
    import transformers as t
    from torch import nn

    sys.path.insert(0, str(ROOT / "examples"))
    from vision_models import VGG16, ResNet50

    class Labelled(nn.Module):
        def __init__(self, body: nn.Module) -> None:
            super().__init__()
            self.body = body

        def forward(self, x, y):
            out = self.body(x)
            return nn.functional.cross_entropy(getattr(out, "logits", out), y)

    class Pretraining(nn.Module):
        """Masked words are gathered before the head, as NVIDIA's BERT does."""

        def __init__(self, config) -> None:
            super().__init__()
            self.body = t.BertForPreTraining(config)

        def forward(self, ids, mask, where, words, follows):
            out = self.body.bert(ids, attention_mask=mask)
            states = out.last_hidden_state.flatten(0, 1).index_select(0, where.flatten())
            logits, pair = self.body.cls(states, out.pooler_output)
            return (nn.functional.cross_entropy(logits, words.flatten())
                    + nn.functional.cross_entropy(pair, follows))  # fmt: skip

    class Squad(nn.Module):
        def __init__(self, config) -> None:
            super().__init__()
            self.body = t.BertForQuestionAnswering(config)

        def forward(self, ids, mask, first, last):
            return self.body(input_ids=ids, attention_mask=mask, start_positions=first,
                             end_positions=last).loss  # fmt: skip

    def image(batch: int):
        return torch.randn(batch, 3, size, size), torch.randint(1000, (batch,))

    def words(batch: int):
        # a mask of four dimensions is added to the scores as it is
        return torch.randint(1000, (batch, size)), torch.zeros(batch, 1, 1, size)

    def bert(layers: int, width: int, heads: int):
        return t.BertConfig(hidden_size=width, num_hidden_layers=layers, num_attention_heads=heads,
                            intermediate_size=4 * width, attn_implementation="eager")  # fmt: skip

    large, base = bert(24, 1024, 16), bert(12, 768, 12)
    images = {
        "resnet50": lambda: ResNet50(1000), "vgg16": lambda: VGG16(1000),
        "mobilenet_v2": lambda: t.MobileNetV2ForImageClassification(
            t.MobileNetV2Config(num_labels=1000, image_size=size)),
        "vit_b16": lambda: t.ViTForImageClassification(
            t.ViTConfig(num_labels=1000, attn_implementation="eager")),
        "swin_b": lambda: t.SwinForImageClassification(
            t.SwinConfig(num_labels=1000, embed_dim=128, depths=[2, 2, 18, 2],
                         num_heads=[4, 8, 16, 32])),
        "efficientnet_b0": lambda: t.EfficientNetForImageClassification(
            t.EfficientNetConfig(num_labels=1000, image_size=size, width_coefficient=1.0,
                                 depth_coefficient=1.0, hidden_dim=1280)),
    }  # fmt: skip
    if name in images:
        return Labelled(images[name]()), image
    if name == "distilbert":
        body = t.DistilBertForSequenceClassification(
            t.DistilBertConfig(attn_implementation="eager"))  # fmt: skip

        class Classify(nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.body = body

            def forward(self, ids, mask, y):
                return self.body(input_ids=ids, attention_mask=mask, labels=y).loss

        return Classify(), lambda b: (*words(b), torch.randint(2, (b,)))
    if name == "bert_pretraining":
        masked = 80 if size == 512 else 20
        return Pretraining(large), lambda b: (
            *words(b), torch.randint(size, (b, masked)), torch.randint(1000, (b, masked)),
            torch.randint(2, (b,)))  # fmt: skip
    config = large if name == "bert_large" else base
    return Squad(config), lambda b: (
        *words(b),
        torch.randint(size, (b,)),
        torch.randint(size, (b,)),
    )


def trace(name: str, batch: int) -> None:
    """Prints the steady step of one model and batch as JSON; runs in a process of its own."""
    import torch

    from suiren.hw.names import find_card
    from suiren.mapper.memory import memory_use
    from suiren.torch import transfer
    from suiren.torch.how import UNLIMITED_BYTES
    from suiren.torch.session import Session
    from suiren.trace.program import Kind

    kind, dtype, size = STEPS[name]
    session = Session(find_card("a100"))
    session.begin(numerics=False, tf32="on", memory_bytes=UNLIMITED_BYTES)
    transfer.install()
    torch.manual_seed(0)
    model, inputs = model_of(kind, size)
    layout = torch.channels_last if dtype == "f16" and size == 224 else torch.contiguous_format
    model = model.to("cuda", memory_format=layout).train()
    images = size == 224
    weights = model.parameters()
    optimizer = (torch.optim.SGD(weights, 0.1, momentum=0.9, weight_decay=1e-4)
                 if images else torch.optim.AdamW(weights, 1e-4, fused=True))  # fmt: skip
    scaler = torch.amp.GradScaler("cuda", enabled=dtype == "f16")
    for _ in range(4):
        given = [x.to("cuda", memory_format=layout) if x.dim() == 4 else x.to("cuda")
                 for x in inputs(batch)]  # fmt: skip
        with torch.autocast("cuda", dtype=torch.float16, enabled=dtype == "f16"):
            loss = model(*given)
        scaler.scale(loss).backward()
        scaler.step(optimizer)
        scaler.update()
        optimizer.zero_grad()
    program = session.program()
    step = program.distinct[next(k for k in reversed(program.order) if program.distinct[k].num_ops)]
    events = step.events
    counts = collections.Counter(events["what"][events["kind"] == Kind.OP].tolist())
    print(json.dumps({
        "calls": [[n, str(program.calls[c])] for c, n in counts.items()],
        "ops": step.num_ops, "params": sum(p.numel() for p in model.parameters()),
        "peak_bytes": memory_use(program, step).peak_bytes,
    }))  # fmt: skip


def affine(values: tuple[int, ...]) -> str | None:
    """A number at the three batches as text: `7`, `{3}` for 3 × batch, `{3+5}`; None if neither."""
    if len(set(values)) == 1:
        return str(values[0])
    slope, odd = divmod(values[1] - values[0], BATCHES[1] - BATCHES[0])
    rest = values[0] - slope * BATCHES[0]
    if odd or values[2] != slope * BATCHES[2] + rest:
        return None
    return f"{{{slope}{rest:+d}}}" if rest else f"{{{slope}}}"


def joined(lines: tuple[str, ...]) -> str | None:
    """Three texts that differ in numbers alone as one; None if they differ in more."""
    shapes = {_INT.sub("#", line) for line in lines}
    if len(shapes) > 1:
        return None
    numbers = zip(*([int(n) for n in _INT.findall(line)] for line in lines), strict=True)
    parts = [affine(values) for values in numbers]
    if None in parts:
        return None
    it = iter(parts)
    return _INT.sub(lambda _: str(next(it)), lines[0])


def write(name: str) -> str:
    """Traces a model at all batches and writes its file; says what became of it."""
    found = []
    for batch in BATCHES:
        done = subprocess.run([sys.executable, __file__, "--trace", name, str(batch)],
                              capture_output=True, text=True, check=False)  # fmt: skip
        if done.returncode:
            return f"failed: {done.stderr.strip().splitlines()[-1]}"
        found.append(json.loads(done.stdout.splitlines()[-1]))
    calls = [one["calls"] for one in found]
    if len({len(c) for c in calls}) > 1:
        return f"the batches differ in their number of distinct calls: {[len(c) for c in calls]}"
    lines = []
    for same in zip(*calls, strict=True):
        text = joined(tuple(line for _, line in same))
        if text is None or len({n for n, _ in same}) > 1:
            return f"not linear in the batch: {same}"
        lines.append(f"{same[0][0]}\t{text}")
    peaks = [one["peak_bytes"] for one in found]
    slope = (peaks[2] - peaks[0]) / (BATCHES[2] - BATCHES[0])
    head = {"name": name, "params": found[0]["params"], "ops": found[0]["ops"],
            "peak_fixed_bytes": round(peaks[0] - slope * BATCHES[0]),
            "peak_sample_bytes": round(slope)}  # fmt: skip
    text = "\n".join([json.dumps(head), *lines]) + "\n"
    with gzip.GzipFile(FOLDER / f"{name}.txt.gz", "wb", mtime=0) as file:
        file.write(text.encode())
    return f"{len(lines)} distinct calls, {head['ops']} ops"


if __name__ == "__main__":
    if sys.argv[1:2] == ["--trace"]:
        trace(sys.argv[2], int(sys.argv[3]))
    else:
        for one in sys.argv[1:] or STEPS:
            print(f"{one}: {write(one)}", flush=True)
