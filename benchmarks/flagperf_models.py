"""Training scripts of FlagOpen/FlagPerf whose first steps stand in data/steps.

Every script names the files of training/ in that repository which say what a step is: sizes of
the model, of an input, the format and the optimizer. They run on PyTorch before 2.0: optimizers go
through the weights one by one and `zero_grad` keeps the gradients.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from unittest import mock

import torch
import transformers as t
from flagperf_cpm import CPM, MastersKept
from flagperf_gpt2 import MegatronGPT2
from flagperf_vision import BiT, EfficientNetV2S, VisionTransformer, soft_loss
from torch import nn
from torch.nn import functional

Inputs = Callable[[int], tuple[torch.Tensor, ...]]
Optimizer = Callable[[nn.Module], torch.optim.Optimizer]


@dataclass(frozen=True)
class Script:
    """What a script trains, on what, and how."""

    model: Callable[[], nn.Module]
    """A module whose answer is a loss, or has one first."""
    inputs: Inputs
    optimizer: Optimizer
    amp: bool = False
    """Products in 16 bits by autocast, the loss scaled."""
    dtype: torch.dtype = torch.float32
    """Format of the weights."""
    clip: float | None = None
    keeps: bool = False
    """What the model answered outlives the step: a name of the loop holds it."""
    waits: bool = False
    """The loss is read before the backward pass."""
    evaluates: int = 0
    """Evaluation follows, in FP32, on batches so many times as large."""


class Outputs(nn.Module):
    """A model of transformers that is called with its inputs by name."""

    def __init__(self, body: nn.Module, *names: str) -> None:
        super().__init__()
        self.body, self.names = body, names

    def forward(self, *given):
        """The model's outputs, the loss first."""
        return self.body(**dict(zip(self.names, given, strict=True)))


class NothingGlobal(Outputs):
    """A Longformer of which no token attends to all: it asks the card for that."""

    def forward(self, *given):
        """The model's outputs, the loss first."""
        with mock.patch.object(torch.Tensor, "any", lambda _: torch.zeros((), dtype=torch.bool)):
            return super().forward(*given)


class Labelled(nn.Module):
    """Images and classes, or shares of classes, to a loss."""

    def __init__(self, body: nn.Module, loss=functional.cross_entropy) -> None:
        super().__init__()
        self.body, self.loss = body, loss

    def forward(self, x, y):
        """Loss and logits of images [batch, 3, rows, columns]."""
        out = self.body(x)
        out = getattr(out, "logits", out)
        return self.loss(out, y), out


def below(most: int, *shape: int) -> torch.Tensor:
    """Random whole numbers below `most`."""
    return torch.randint(most, shape)


def open_mask(batch: int, tokens: int) -> torch.Tensor:
    """A mask of four dimensions that hides nothing."""
    return torch.zeros(batch, 1, 1, tokens)


def images(pixels: int, classes: bool = True) -> Inputs:
    """Batches of images with classes, or with shares of a thousand classes."""
    return lambda b: (torch.randn(b, 3, pixels, pixels),
                      below(1000, b) if classes else torch.rand(b, 1000))  # fmt: skip


def adam(model: nn.Module) -> torch.optim.Optimizer:
    """Adam, a weight at a time."""
    return torch.optim.Adam(model.parameters(), 1e-4, foreach=False)


def adamw(model: nn.Module) -> torch.optim.Optimizer:
    """AdamW, a weight at a time."""
    return torch.optim.AdamW(model.parameters(), 1e-4, foreach=False)


def fused_adamw(model: nn.Module) -> torch.optim.Optimizer:
    """AdamW, all weights at once."""
    return torch.optim.AdamW(model.parameters(), 1e-4, fused=True)


def sgd(model: nn.Module) -> torch.optim.Optimizer:
    """Stochastic gradient descent with momentum, a weight at a time."""
    return torch.optim.SGD(model.parameters(), 0.1, 0.9, weight_decay=1e-4, foreach=False)


def bert_large() -> nn.Module:
    """bert-large-uncased with the head for masked words over every token."""
    config = t.BertConfig(hidden_size=1024, num_hidden_layers=24, num_attention_heads=16,
                          intermediate_size=4096, attn_implementation="eager")  # fmt: skip
    return Outputs(t.BertForMaskedLM(config), "input_ids", "attention_mask", "labels")


def t5_small() -> nn.Module:
    """t5-small: keys and values of the decoder are kept with the outputs (use_cache)."""
    config = t.T5Config(d_model=512, d_kv=64, d_ff=2048, num_layers=6, num_heads=8,
                        decoder_start_token_id=0, attn_implementation="eager")  # fmt: skip
    names = ("input_ids", "attention_mask", "decoder_attention_mask", "labels")
    return Outputs(t.T5ForConditionalGeneration(config), *names)


def distilbert() -> nn.Module:
    """distilbert-base-uncased with a head for two classes."""
    config = t.DistilBertConfig(attn_implementation="eager")
    body = t.DistilBertForSequenceClassification(config)
    return Outputs(body, "input_ids", "attention_mask", "labels")


def longformer() -> nn.Module:
    """allenai/longformer-base-4096: windows of 512 tokens, 50,265 words."""
    config = t.LongformerConfig(attention_window=[512] * 12, vocab_size=50265, type_vocab_size=1,
                                max_position_embeddings=4098, pad_token_id=1)  # fmt: skip
    return NothingGlobal(t.LongformerForMaskedLM(config), "input_ids", "attention_mask", "labels")


class LowRank(nn.Module):
    """A product whose weights stay, beside two narrow ones that learn."""

    def __init__(self, body: nn.Linear, rank: int, scale: float, drop: float) -> None:
        super().__init__()
        self.body, self.scale = body, scale
        self.dropout = nn.Dropout(drop)
        self.down = nn.Linear(body.in_features, rank, bias=False)
        self.up = nn.Linear(rank, body.out_features, bias=False)

    def forward(self, x):
        """Tokens [batch, tokens, width]."""
        return self.body(x) + self.up(self.down(self.dropout(x))) * self.scale


def llama2_lora() -> nn.Module:
    """Llama-2-7B; what queries and values are made of learns in eight dimensions (LoRA)."""
    config = t.LlamaConfig(hidden_size=4096, intermediate_size=11008, num_hidden_layers=32,
                           num_attention_heads=32, use_cache=False,
                           attn_implementation="eager")  # fmt: skip
    with torch.device("cuda"):
        body = t.LlamaForCausalLM(config).requires_grad_(False)
        for layer in body.model.layers:
            for name in ("q_proj", "v_proj"):
                wrapped = LowRank(getattr(layer.self_attn, name), 8, 4.0, 0.05)
                setattr(layer.self_attn, name, wrapped)
    return Outputs(body, "input_ids", "attention_mask", "labels")


def swin_tiny() -> nn.Module:
    """swin_tiny_patch4_window7_224 with a fifth of its paths dropped."""
    config = t.SwinConfig(num_labels=1000, drop_path_rate=0.2, attn_implementation="eager")
    return Labelled(t.SwinForImageClassification(config), soft_loss)


#: benchmarks/bert_hf/pytorch: model, optimizers, dataloaders/dataloader.py (512 tokens, no mask),
#: train/trainer_adapter.py (fp16 means weights in bfloat16).
_BERT = Script(bert_large, lambda b: (below(30000, b, 512), open_mask(b, 512),
                                      below(30000, b, 512)), adamw)  # fmt: skip
_BF16 = Script(_BERT.model, lambda b: (below(30000, b, 512), open_mask(b, 512).bfloat16(),
                                       below(30000, b, 512)), adamw,
               dtype=torch.bfloat16)  # fmt: skip
#: benchmarks/llama2_7b_finetune/pytorch: config/_base.py (512 tokens), model/model.py,
#: optimizers (fused in FP16); use_fp16 halves the weights and casts beside
_LORA = Script(llama2_lora, lambda b: (below(32000, b, 512),
                                       torch.ones(b, 512, dtype=torch.int64),
                                       below(32000, b, 512)), adamw)  # fmt: skip
SCRIPTS: dict[str, Script] = {
    "bert_hf-f32": _BERT,
    "bert_hf-f16": Script(_BERT.model, _BERT.inputs, adamw, amp=True),
    "bert_hf-bf16": _BF16,
    "llama2_7b_finetune-f32": _LORA,
    "llama2_7b_finetune-f16": Script(_LORA.model, _LORA.inputs, fused_adamw, amp=True,
                                     dtype=torch.float16),
    # benchmarks/distilbert/pytorch: data_preprocessing pads to 512 tokens
    "distilbert-f32": Script(
        distilbert, lambda b: (below(30000, b, 512), open_mask(b, 512), below(2, b)), adamw,
        waits=True),
    # benchmarks/t5_small/pytorch: data_preprocessing pads to 1024 and 128 tokens
    "t5_small-f32": Script(
        t5_small, lambda b: (below(32000, b, 1024), open_mask(b, 1024),
                             torch.zeros(b, 1, 128, 128), below(32000, b, 128)), adamw,
        keeps=True),
    # benchmarks/longformer/pytorch: data_preprocessing groups texts in 1024 tokens
    "longformer-f32": Script(
        longformer, lambda b: (below(50000, b, 1024), torch.ones(b, 1024, dtype=torch.int64),
                               below(50000, b, 1024)), adam, waits=True),
    # benchmarks/efficientnet/pytorch: efficientnet_v2_s of torchvision;
    # nvidia/efficientnet-pytorch/config/config_common.py: crops of 300
    "efficientnet-f32": Script(lambda: Labelled(EfficientNetV2S()), images(300), sgd),
    # benchmarks/bigtransfer/pytorch: three times eight times 36 times three blocks, twice as wide,
    # crops of 480, mixed in pairs
    "bigtransfer-f32": Script(BiT, images(480), sgd, keeps=True),
    # benchmarks/swin_transformer/pytorch: config/model_params.py, AMP, gradients clipped
    "swin_transformer-f16": Script(swin_tiny, images(224, classes=False), adamw, amp=True,
                                   clip=5.0, keeps=True),
    # benchmarks/vit/pytorch: vit_b_16 of torchvision; nvidia/vit-pytorch/config/config_common.py:
    # amp = True, clip_grad_norm = 1, mixed labels; train/trainer.py evaluates without autocast
    **{f"vit{also}-f16": Script(lambda: Labelled(VisionTransformer(), soft_loss),
                                images(224, classes=False), adamw, amp=True, clip=1.0,
                                evaluates=times)
       for also, times in (("", 1), ("_eval2", 2))},
    # benchmarks/gpt2/pytorch: config/_base.py, model/layers/transformer.py
    "gpt2-f32": Script(partial(MegatronGPT2, 24, 1024, 16, 50304),
                       lambda b: (below(50000, b, 1024), below(50000, b, 1024)), adamw,
                       clip=1.0),
    # benchmarks/cpm/pytorch: config/_base.py (200 tokens, 30,000 words, layers run again),
    # model/fp16/fp16.py; train/trainer.py holds the logits until the step ends
    "cpm-f16": Script(
        CPM, lambda b: (below(30000, b, 200), below(200, b, 200),
                        torch.ones(b, 1, 200, 200, dtype=torch.float16), below(30000, b, 200),
                        torch.ones(b, 200)), MastersKept, dtype=torch.float16),
}  # fmt: skip


def train(script: Script, batch: int, steps: int) -> nn.Module:
    """Runs some training steps of a script on the card in use."""
    torch.manual_seed(0)
    model = script.model().to("cuda", script.dtype).train()
    optimizer = script.optimizer(model)
    scaler = torch.amp.GradScaler("cuda", enabled=script.amp)
    held = None
    for _ in range(steps):
        given = [x.to("cuda") for x in script.inputs(batch)]
        with torch.autocast("cuda", dtype=torch.float16, enabled=script.amp):
            found = model(*given)
        held = None
        loss = found if isinstance(found, torch.Tensor) else found[0]
        held = found
        if script.waits:
            loss.item()
        scaler.scale(loss).backward()
        if script.clip:
            scaler.unscale_(optimizer)
            nn.utils.clip_grad_norm_(model.parameters(), script.clip, foreach=False)
        scaler.step(optimizer)
        scaler.update()
        optimizer.zero_grad(set_to_none=False)
        del found
        if not script.keeps:
            held = None
    del held
    if script.evaluates:
        with torch.no_grad():
            model.eval()(*(x.to("cuda") for x in script.inputs(script.evaluates * batch)))
    return model
