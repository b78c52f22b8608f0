"""A model and the transformers configuration whose modules stand for its layers."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from suiren.fleet.model import BadModel, Model, model_of_config, read_config
from suiren.fleet.models import find_model

#: Names of bundled models to the kind of transformers' modules; others go by their sizes.
_KINDS = (("qwen", "qwen2"), ("mistral", "mistral"), ("chatglm3", "glm"), ("chatglm", "gpt_neox"))


@dataclass(frozen=True, slots=True)
class Known:
    """A model to plan for."""

    model: Model
    config: dict[str, Any] | None
    """Of its modules; None where its layers are listed by formula only."""
    source: str
    """Where its sizes and its modules come from, in words."""


def find_known(name: str, seq: int = 0) -> Known:
    """A bundled model by name, or the one of a `config.json`; raises BadModel for neither."""
    if name.endswith(".json") or Path(name).is_file():
        config = filled(read_config(name), name)
        model = model_of_config(config, name, seq)
        if model.experts or model.kv_rank or model.decoder_layers:
            return Known(model, None, f"{name}; its layers are listed by formula")
        kind = config.get("model_type", "")
        return Known(model, config, f"{name}, modules of transformers: {kind}")
    model = find_model(name, seq)
    sizes = config_of(model)
    if sizes is None:
        return Known(model, None, "bundled sizes; its layers are listed by formula")
    return Known(model, sizes, f"bundled sizes, modules of transformers: {sizes['model_type']}")


def filled(config: dict[str, Any], path: str) -> dict[str, Any]:
    """The configuration with what its file leaves out, where transformers knows its kind.

    Raises BadModel where transformers refuses it.
    """
    try:
        from transformers import AutoConfig

        kind = config["model_type"]
        rest = {k: v for k, v in config.items() if k != "model_type"}
        whole: dict[str, Any] = AutoConfig.for_model(kind, **rest).to_dict()
    except ImportError:
        return config
    except KeyError:
        return config
    except Exception as problem:  # its checks raise kinds of their own
        if "model type" in str(problem).lower() or "model identifier" in str(problem):
            return config
        lines = [line.strip() for line in str(problem).splitlines() if line.strip()]
        raise BadModel(f"{path} is refused by transformers: {lines[-1][:160]}") from None
    return whole


def config_of(model: Model) -> dict[str, Any] | None:
    """The configuration of a bundled model; None for mixtures, latent attention and T5."""
    if model.experts or model.kv_rank or model.decoder_layers:
        return None
    kind = next((kind for start, kind in _KINDS if model.name.startswith(start)), "")
    if not kind:
        kind = "bert" if not model.causal else "llama" if model.gated else "opt"
    sizes: dict[str, Any] = {
        "model_type": kind, "hidden_size": model.d_model, "num_hidden_layers": model.layers,
        "num_attention_heads": model.heads, "vocab_size": model.vocab,
        "max_position_embeddings": model.seq, "tie_word_embeddings": model.tied,
        "intermediate_size": model.d_ff,
    }  # fmt: skip
    if kind in ("llama", "qwen2", "mistral", "glm"):
        sizes["num_key_value_heads"] = model.groups
    if kind == "glm":
        sizes |= {"head_dim": model.head, "attention_bias": True, "pad_token_id": None}
    if kind == "opt":
        sizes |= {"ffn_dim": model.d_ff, "word_embed_proj_dim": model.d_model, "dropout": 0.1,
                  "activation_function": "gelu", "do_layer_norm_before": True}  # fmt: skip
    if kind == "gpt_neox":
        sizes["use_parallel_residual"] = False
    return sizes


def with_layer_params(known: Known, counted: int) -> Model:
    """The model with as many weights a layer as its modules have.

    Raises BadModel where the modules are another model than the sizes say.
    """
    from dataclasses import replace

    said = known.model.layer_params()
    if not 0.7 < counted / said < 1.4:
        raise BadModel(
            f"{known.model.name}: a layer of its modules has {counted:,} weights, its sizes say "
            f"{said:,}; plan with --formula, or mend the configuration"
        )
    return replace(known.model, counted_params=counted)
