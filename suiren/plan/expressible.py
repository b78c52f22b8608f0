"""What of a layout a generated script can do, and what it does otherwise, in sentences."""

from __future__ import annotations

from typing import Any

from suiren.fleet.layout import Layout
from suiren.fleet.model import Model

#: Architectures of transformers whose layers are built and called like Llama's, and whose linear
#: parts may be split by columns and rows under the names of `launching/tensors.jinja`.
ALIKE = ("llama", "mistral", "qwen2", "qwen3")


def uses_transformers(model: Model, layout: Layout, config: dict[str, Any]) -> bool:
    """Whether the script takes its layers from transformers; else it writes them out."""
    return config.get("model_type") in ALIKE and not model.experts


def notes_of(
    model: Model, layout: Layout, config: dict[str, Any] | None, from_transformers: bool,
    lora_rank: int,
) -> tuple[str, ...]:  # fmt: skip
    """What the script does not do as the layout was planned; empty where it does all of it."""
    kind = (config or {}).get("model_type", "")
    said = (
        (config is not None and not from_transformers,
         f"train.py takes layers of {', '.join(ALIKE)} from transformers; for {kind!r} it has "
         "plain layers of the same sizes"),
        (layout.precision == "fp8",
         "train.py multiplies in BF16: FP8 products need torchao or Transformer Engine, which "
         "torchtitan.toml and megatron.sh ask for"),
        (layout.overlap_tensor and layout.tp > 1,
         "train.py waits for the collectives of tensor parallel groups: PyTorch hides them only "
         "in compiled models"),
        (layout.overlap_gradients and layout.zero < 2,
         "train.py reduces gradients beside the last backward passes; the gather of new weights "
         "is not hidden"),
        (model.attention == "unfused",
         "train.py uses fused attention, which keeps no scores in memory"),
        (not from_transformers and model.dropout,
         "train.py drops after attention and feed-forward, not inside attention"),
        (layout.tp > model.groups,
         f"{model.groups} heads of keys cannot be split over tp {layout.tp}: train.py has "
         f"{layout.tp} of them, each trained by itself"),
        (model.vocab % layout.tp != 0,
         f"the vocabulary of {model.vocab} is filled up to a multiple of tp {layout.tp}"),
        (bool(model.decoder_layers),
         "train.py has no cross attention: an encoder-decoder is run as one stack of "
         f"{model.layers} layers"),
        (bool(model.kv_rank),
         "train.py has plain attention in the place of latent attention, which has other weights"),
        (bool(model.experts),
         "train.py sends every expert an even share of the tokens and drops what is above it"),
        (layout.distinct_tokens,
         "train.py sends a token once for each expert, also where experts share a rank"),
        (model.positions == "relative", "train.py has no relative positions"),
        (layout.schedule == "zero-bubble" and layout.pp > 1,
         "train.py takes PyTorch's zero-bubble schedule, whose order is that of ZB1P"),
        (layout.offload == "optimizer",
         "the optimizer really runs on the host, and its time is not simulated; with values it "
         "takes 16 bytes of the host's memory for each weight of a rank's part"),
        (bool(lora_rank) and layout.zero >= 2,
         "train.py shards the frozen weights too"),
    )  # fmt: skip
    return tuple(sentence for holds, sentence in said if holds)
