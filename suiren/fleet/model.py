"""A transformer as a training job sees it: sizes, not values."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

Attention = Literal["unfused", "flash"]


class BadModel(ValueError):  # noqa: N818 - reads as what it is
    """A model whose sizes do not fit together; the message says which."""


@dataclass(frozen=True, kw_only=True)
class Model:
    """A stack of equal layers between an embedding and a head."""

    name: str
    layers: int
    d_model: int
    heads: int
    d_ff: int
    vocab: int
    seq: int
    kv_heads: int = 0
    """Heads of keys and values; 0 for as many as queries have."""
    head_dim: int = 0
    """0 for d_model / heads."""
    gated: bool = False
    """Three products in the feed-forward part instead of two."""
    experts: int = 0
    """0 for a dense model."""
    top_k: int = 0
    expert_d_ff: int = 0
    """0 for d_ff."""
    shared_d_ff: int = 0
    """Width of the experts that every token passes."""
    dense_layers: int = 0
    """First layers of a mixture that have no experts."""
    tied: bool = True
    """The head's weight is the embedding's."""
    norm: Literal["layer", "rms"] = "layer"
    positions: Literal["learned", "rotary", "relative", "none"] = "learned"
    bias: bool = True
    dropout: bool = True
    causal: bool = True
    attention: Attention = "unfused"
    activation: Literal["gelu", "tanh"] = "gelu"
    """`tanh`: GPT-2's approximation, eight kernels where a framework does not fuse them."""
    decoder_layers: int = 0
    """Layers of an encoder-decoder that also attend to the encoder; `layers` counts both."""
    decoder_seq: int = 0
    q_rank: int = 0
    """Width of the low-rank queries of latent attention; 0 without."""
    kv_rank: int = 0
    rotary_dim: int = 0
    """Part of a latent query that carries positions."""
    value_dim: int = 0
    """Width of a value head; 0 for head_dim."""
    head_norms: bool = False
    """Every head of queries and keys passes a norm."""
    window: int = 0
    """Keys before its own that a token attends to; 0 for all."""
    more_predicted: int = 0
    """Tokens after the next one that are predicted too, each by a layer and a head more."""
    counted_params: int = 0
    """Weights of a layer as its modules hold them; 0 where the sizes above say it."""

    def __post_init__(self) -> None:
        if self.head_dim == 0 and self.d_model % self.heads:
            raise BadModel(f"{self.name}: width {self.d_model} is no multiple of {self.heads}")
        if self.heads % (self.kv_heads or self.heads):
            raise BadModel(
                f"{self.name}: {self.heads} heads cannot share {self.kv_heads} heads of keys"
            )
        if self.experts and not 0 < self.top_k <= self.experts:
            raise BadModel(f"{self.name}: top_k {self.top_k} of {self.experts} experts")

    @property
    def head(self) -> int:
        """Width of a query head."""
        return self.head_dim or self.d_model // self.heads

    @property
    def seen_keys(self) -> float:
        """Keys that a token attends to, averaged over a sequence."""
        if not self.causal:
            return float(self.seq)
        window = min(self.window or self.seq, self.seq)
        return window * (1 - window / (2 * self.seq))

    @property
    def value_head(self) -> int:
        """Width of a value head."""
        return self.value_dim or self.head

    @property
    def groups(self) -> int:
        """Heads of keys and values."""
        return self.kv_heads or self.heads

    def has_experts(self, layer: int) -> bool:
        """Whether a layer, counted from 0, is a mixture."""
        return bool(self.experts) and layer >= self.dense_layers

    def attention_params(self) -> int:
        """Weights of one attention part."""
        d, h = self.d_model, self.heads
        if self.kv_rank:
            latent = self.kv_rank + self.rotary_dim
            kv = d * latent + self.kv_rank * h * (self.head - self.rotary_dim + self.value_head)
            q = d * self.q_rank + self.q_rank * h * self.head if self.q_rank else d * h * self.head
            return q + kv + h * self.value_head * d
        width = (h + self.groups) * self.head + self.groups * self.value_head
        return d * width + h * self.value_head * d + (self.bias and width + d)

    def mlp_params(self, width: int) -> int:
        """Weights of one feed-forward part of that width."""
        products = 3 if self.gated else 2
        return products * self.d_model * width + (self.bias and width + self.d_model)

    @property
    def norm_params(self) -> int:
        """Weights of one norm."""
        return self.d_model * (2 if self.norm == "layer" else 1)

    def layer_params(self, layer: int = 10**9) -> int:
        """Weights of a layer, all experts counted."""
        if self.counted_params:
            return self.counted_params
        fixed = self.attention_params() + 2 * self.norm_params
        if not self.has_experts(layer):
            return fixed + self.mlp_params(self.d_ff)
        shared = self.mlp_params(self.shared_d_ff) if self.shared_d_ff else 0
        return fixed + self.expert_params() + shared + self.d_model * self.experts

    def expert_params(self) -> int:
        """Weights of all experts of a layer."""
        return self.experts * self.mlp_params(self.expert_d_ff or self.d_ff)

    @property
    def embedding_params(self) -> int:
        """Weights of the token embedding."""
        return self.vocab * self.d_model

    @property
    def params(self) -> int:
        """All weights."""
        stack = sum(self.layer_params(n) for n in range(min(self.layers, self.dense_layers)))
        stack += max(0, self.layers - self.dense_layers) * self.layer_params()
        cross = self.decoder_layers * (self.attention_params() + self.norm_params)
        cross += self.more_predicted * (self.layer_params() + 2 * self.d_model**2)
        learned = self.seq * self.d_model if self.positions == "learned" else 0
        return stack + cross + learned + self.norm_params + self.embedding_params * (2 - self.tied)

    def flop_per_sample(self) -> float:
        """Forward and backward FLOP of one sequence; scores above the diagonal do not count."""
        d, s = self.d_model, self.seq
        width = self.heads * (self.head + self.value_head)
        scores = 2 * s * self.seen_keys * width
        total = last = 0.0
        for n in range(self.layers):
            weights: float = self.attention_params() + self.mlp_params(self.d_ff)
            if self.has_experts(n):
                one = self.mlp_params(self.expert_d_ff or self.d_ff)
                weights = self.attention_params() + one * self.top_k + d * self.experts
                weights += self.mlp_params(self.shared_d_ff) if self.shared_d_ff else 0
            last = 2 * s * weights + scores
            total += last
        total += self.decoder_layers * (2 * s * self.attention_params() + scores)
        # a further token costs what the last layer does, a product that joins, and a head
        more = self.more_predicted * (last + 4 * s * d * d + 2 * s * d * self.vocab)
        return 3 * (total + 2 * s * d * self.vocab + more)


#: Kinds of transformers' models whose feed-forward part is gated by another activation.
_GATED = {"gemma", "gemma2", "gemma3", "gemma3_text", "glm", "glm4", "phi3", "chatglm"}


def model_from_config(path: str | Path, seq: int = 0) -> Model:
    """A model from a transformers `config.json`; raises BadModel where sizes are missing."""
    return model_of_config(read_config(path), str(path), seq)


def read_config(path: str | Path) -> dict[str, Any]:
    """The fields of a `config.json`; raises BadModel where it cannot be read."""
    try:
        found: dict[str, Any] = json.loads(Path(path).read_text())
    except (OSError, ValueError) as problem:
        raise BadModel(f"{path} cannot be read as a config.json: {problem}") from None
    if not isinstance(found, dict):
        raise BadModel(f"{path} is no config.json: it holds no object")
    return found


def model_of_config(found: dict[str, Any], path: str, seq: int = 0) -> Model:
    """A model from the fields of a transformers configuration; `path` names it in sentences."""

    def first(*names: str, default: Any = None) -> Any:
        for name in names:
            if found.get(name) is not None:
                return found[name]
        if default is None:
            raise BadModel(f"{path} says no {names[0]}")
        return default

    d = int(first("hidden_size", "n_embd", "d_model"))
    kind = str(found.get("model_type", ""))
    act = str(first("hidden_act", "activation_function", default="gelu"))
    gated = act.startswith(("silu", "sw")) or kind in _GATED
    rotary = any(name.startswith(("rope_", "rotary_")) for name in found)
    experts = int(first("num_local_experts", "n_routed_experts", "num_experts", default=0))
    one = int(first("moe_intermediate_size", default=0))
    encoder = kind in ("bert", "roberta", "t5")
    return Model(
        name=kind or Path(path).parent.name, d_model=d,
        layers=int(first("num_hidden_layers", "n_layer", "num_layers")),
        heads=int(first("num_attention_heads", "n_head", "num_heads")),
        d_ff=int(first("intermediate_size", "n_inner", "d_ff", default=4 * d)),
        vocab=int(first("vocab_size")),
        seq=seq or int(first("max_position_embeddings", "n_positions", default=2048)),
        kv_heads=int(first("num_key_value_heads", default=0)),
        head_dim=int(found.get("head_dim") or 0), gated=gated, experts=experts,
        top_k=int(first("num_experts_per_tok", default=0)) if experts else 0,
        expert_d_ff=one, shared_d_ff=one * int(first("n_shared_experts", default=0)),
        dense_layers=int(first("first_k_dense_replace", default=0)),
        tied=bool(found.get("tie_word_embeddings", not rotary)),
        norm="rms" if "rms_norm_eps" in found else "layer",
        positions="rotary" if rotary else "learned", bias=not rotary, dropout=not rotary,
        causal=not encoder, attention="flash" if rotary else "unfused",
        q_rank=int(found.get("q_lora_rank") or 0), kv_rank=int(found.get("kv_lora_rank") or 0),
        rotary_dim=int(found.get("qk_rope_head_dim") or 0) if found.get("kv_lora_rank") else 0,
        value_dim=int(found.get("v_head_dim") or 0) if found.get("kv_lora_rank") else 0,
    )  # fmt: skip
