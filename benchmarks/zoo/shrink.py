"""Makes an architecture's default configuration tiny: widths, depths, vocabularies, images.

Rules go by a field's name and apply to every level of a configuration. Three sets of them stand
in order from the smallest model to the safest; a model takes the first that it can be built from.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

from zoo.proportion import attends, head_width, with_fewer_turns, with_whole_heads

VOCABULARY = 160
#: Token ids that mark images, sounds and ends are moved here, below the vocabulary's end.
FIRST_MARK = 100
NUM_EXPERTS = 4
IMAGE_SIDE = 64

_LAYERS = re.compile(
    r"^(n_layers?|layers|depth|encoder_depth|decoder_depth|enc_layers|dec_layers|num_blocks"
    r"|num_hidden_layers|(num_)?(\w+_)?layers)$"
)
_NOT_LAYERS = re.compile(
    r"adapter|feat_extract|lstm|postnet|residual|last|upsampling|kv_shared|nextn|mtp|window"
    r"|feature_layers|look_|no_rope|mlp_only|moe_layers|source|target|rope|conv_pos|extract"
    r"|subsample|cross_attention|per_|in_layers|deepstack|taper"
)
_HEADS = re.compile(r"^(n_heads?|num_heads|(\w+_)?attention_heads|index_n_heads|\w+_num_heads)$")
_KV_HEADS = re.compile(r"key_value_heads|num_kv_heads|n_kv_heads|multi_query_group_num")
_HEAD_WIDTH = re.compile(r"^(\w+_)?(head_dim|dim_head|d_kv|attention_head_size)$")
_LATENT_HEADS = {"qk_nope_head_dim": 16, "qk_rope_head_dim": 8, "v_head_dim": 16, "qk_head_dim": 24}
_WIDTH = re.compile(
    r"^(hidden_size|d_model|n_embd|embed_dim|dim|emb_dim|hidden_dim|embedding_size|embedding_dim"
    r"|word_embed_proj_dim|out_hidden_size|encoder_hidden_size|decoder_hidden_size|projection_dim"
    r"|projection_size|text_hidden_size|query_dim|backbone_hidden_size|encoder_hidden_dim"
    r"|output_hidden_size|cross_attention_hidden_size|cross_hidden_size|mm_hidden_size"
    r"|lru_width|attention_hidden_size|codebook_dim|d_embed|vision_hidden_size|embed_dim_\w+"
    r"|hidden_size_per_layer_input|prompt_hidden_size|projector_hidden_size|fusion_hidden_size"
    r"|neck_hidden_size|speaker_embedding_dim|mask_feature_size|feature_size_out)$"
)
_INNER = re.compile(
    r"(ffn|mlp|feed_?forward|inner|intermediate|expert_\w+|moe_\w+)_?(dim|size|hidden_size)$"
    r"|^(d_ff|d_inner|ffn_dim|dim_feedforward|n_inner|linear_units|ffn_hidden_size)$"
)
_RANK = re.compile(r"lora_rank|_rank$")
_EXPERTS = re.compile(r"^(n_routed_experts|num_(local_)?experts|moe_num_experts|num_experts_\w+)$")
_CHOSEN = re.compile(r"num_experts_per_tok|moe_topk|moe_k|top_?k_experts|moe_top_k|experts_top_k")
_MARK = re.compile(r"(token_id|token_index|_token_ids?|_bos_id|_eos_id)$")
_POSITIONS = re.compile(r"^(max_position_embeddings|n_positions|max_seq_len|max_sequence_length)$")


def _layers(key: str, value: int) -> int | None:
    if _LAYERS.match(key) and not _NOT_LAYERS.search(key) and value > 2:
        return 2
    return None


def _vocabulary(key: str, value: int) -> int | None:
    if re.fullmatch(r"(\w+_)?vocab_size(_\w+)?|\w+_vocab_size|vocab_offset", key) and value > 400:
        return VOCABULARY
    return None


def _experts(key: str, value: int) -> int | None:
    if _EXPERTS.match(key) and value > NUM_EXPERTS:
        return NUM_EXPERTS
    if _CHOSEN.search(key) and value > 2:
        return 2
    if key in ("n_group", "topk_group"):
        return 1
    return None


def _image(key: str, value: int) -> int | None:
    if key in ("image_size", "pretrain_image_size", "input_size") and value > 150:
        return IMAGE_SIDE
    return None


def _heads(key: str, value: int) -> int | None:
    if _KV_HEADS.search(key):
        return 4 if value >= 8 else min(value, 2)
    if _HEADS.match(key) and value > 4:
        return 4
    if _HEAD_WIDTH.match(key) and value > 16:
        return 16
    return _LATENT_HEADS.get(key)


def _width(key: str, value: int) -> int | None:
    if _INNER.search(key) and value > 64:
        return 96
    if _WIDTH.match(key) and value > 64:
        return 64
    if _RANK.search(key) and value > 16:
        return 16
    return None


def _wide(key: str, value: int) -> int | None:
    """Two heads as wide as before: rotary sections written in a model's code fit them alone."""
    if _KV_HEADS.search(key):
        return min(value, 2)
    if _HEADS.match(key) and value > 2:
        return 2
    if _WIDTH.match(key) and value > 256:
        return 256
    if _INNER.search(key) and value > 64:
        return 96
    return None


def _divided(key: str, value: int) -> int | None:
    """Every width an eighth of what it was, heads as they are: keeps all proportions."""
    if re.search(r"vocab|position|image|token|sampl|length|mel|num_|codebook_size|window", key):
        return None
    if re.search(r"(size|dim|channels|filters|units|d_model|d_ff|d_kv|n_embd|rank)$", key):
        return value // 8 if value >= 64 and value % 8 == 0 else None
    return None


Rule = Callable[[str, int], int | None]
_ALWAYS: tuple[Rule, ...] = (_vocabulary, _layers, _experts)
#: From the smallest to the safest.
RULES: dict[str, tuple[Rule, ...]] = {
    "tiny": (*_ALWAYS, _image, _heads, _width),
    "small image": (*_ALWAYS, _image),
    "wide heads": (*_ALWAYS, _image, _wide),
    "eighth": (*_ALWAYS, _image, _divided),
    "eighth, whole image": (*_ALWAYS, _divided),
    "few layers": _ALWAYS,
}
#: Fields whose default is None or nothing that a model could run with.
MISSING: dict[str, Any] = {
    "vocabulary_map": {"<image>": FIRST_MARK},
    "num_experts_per_tok": 2,
    "n_group": 1,
    "topk_group": 1,
    "vocab_size": VOCABULARY,
    "pad_token_id": 0,
    "prediction_length": 8,
    "default_language": "en_XX",
}
#: Stands where a default asks for a network of another library (timm).
RESNET = {"model_type": "resnet", "embedding_size": 16, "layer_type": "basic", "depths": [1] * 4,
          "hidden_sizes": [16, 32, 64, 64]}  # fmt: skip
#: Lists that are as long as the model is deep, or that name its layers: worked out anew.
_FOLLOWS = ("stage_names",)
_DEPTHS = ("num_hidden_layers", "n_layer", "n_layers", "num_layers", "depth")


def shrunk(fields: dict[str, Any], rules: tuple[Rule, ...]) -> dict[str, Any]:
    """The fields of a configuration, made small; equal fields stay equal."""
    marks = iter(range(FIRST_MARK, VOCABULARY))
    return _level(fields, rules, {}, marks)


def _level(
    fields: dict[str, Any], rules: tuple[Rule, ...], moved: dict[int, int], marks: Iterator[int]
) -> dict[str, Any]:
    out: dict[str, Any] = {}
    fields = _own_backbone(fields)
    depth = _old_depth(fields, rules)
    fields = _with_taps(fields, depth)
    for name, value in fields.items():
        key = str(name)
        if value is None and key in MISSING:
            out[key] = MISSING[key]
        elif key == "per_layer_config" and isinstance(value, dict) and depth is not None:
            out[key] = {k: v for k, v in value.items() if int(k) < depth[1]}
        elif isinstance(value, dict) and key not in ("id2label", "label2id", "rope_parameters"):
            out[key] = _level(value, rules, moved, marks)
        elif isinstance(value, bool) or value is None:
            out[key] = value
        elif "drop" in key and isinstance(value, float):
            out[key] = 0.0
        elif isinstance(value, int):
            out[key] = _number(key, value, rules, moved, marks)
        elif isinstance(value, list) and depth is not None and len(value) == depth[0] > depth[1]:
            out[key] = _some(value, depth[1])
        elif isinstance(value, list) and _MARK.search(key) and value and type(value[0]) is int:
            out[key] = [_number(key, v, rules, moved, marks) for v in value]
        else:
            out[key] = value
    if depth is not None:
        out |= {key: depth[1] for key in _DEPTHS if fields.get(key) == depth[0]}
    out = with_whole_heads(out)
    if "use_cache" in out and not attends(out):
        out["use_cache"] = False  # a cache asks an attention layer for its length
    return with_fewer_turns(out, head_width(fields), head_width(out))


def _number(
    key: str, value: int, rules: tuple[Rule, ...], moved: dict[int, int], marks: Iterator[int]
) -> int:
    if _MARK.search(key):
        if value < FIRST_MARK:
            return value
        if value not in moved:
            moved[value] = next(marks)
        return moved[value]
    if key == "num_kv_shared_layers":
        return 0
    if _POSITIONS.match(key):
        return min(value, 512)
    for rule in rules:
        found = rule(key, value)
        if found is not None:
            return found
    return value


def _old_depth(fields: dict[str, Any], rules: tuple[Rule, ...]) -> tuple[int, int] | None:
    """(layers before, layers after) where the rules cut the number of layers."""
    if _layers not in rules:
        return None
    for key in _DEPTHS:
        before = fields.get(key)
        if isinstance(before, int) and before > 2:
            return before, min(before, max(2, _num_taps(fields, before)))
    return None


def _num_taps(fields: dict[str, Any], depth: int) -> int:
    """Layers of a backbone whose outputs are taken; a tap each wants a layer of its own."""
    names = fields.get("stage_names")
    if not isinstance(names, list) or len(names) != depth + 1:
        return 0
    return len(fields.get("out_indices") or [])


def _own_backbone(fields: dict[str, Any]) -> dict[str, Any]:
    """The fields with a small ResNet where the default takes its backbone from timm."""
    inner = fields.get("backbone_config")
    kind = inner.get("model_type", "") if isinstance(inner, dict) else ""
    if not (kind.startswith("timm") or fields.get("use_timm_backbone")):
        return fields
    taps = len((inner or {}).get("out_indices") or [1])
    resnet = {**RESNET, "out_features": [f"stage{i}" for i in range(5 - taps, 5)]}
    return {**fields, "backbone_config": resnet, "use_timm_backbone": False, "backbone": None}


def _with_taps(fields: dict[str, Any], depth: tuple[int, int] | None) -> dict[str, Any]:
    """Layers whose outputs are taken, within the layers that are left."""
    names = fields.get("stage_names")
    fields = {k: v for k, v in fields.items() if k not in _FOLLOWS}
    if depth is None or not isinstance(names, list) or len(names) != depth[0] + 1:
        return fields
    wanted = len(fields.get("out_indices") or [1])
    taps = [max(1, round((i + 1) * depth[1] / wanted)) for i in range(wanted)]
    fields["out_indices"] = taps
    fields["out_features"] = None if wanted > depth[1] else [f"stage{i}" for i in taps]
    return fields


def _some(values: list[Any], count: int) -> list[Any]:
    """So many of a list with one entry a layer, as unlike as they come, in their order."""
    first = {repr(v): i for i, v in reversed(list(enumerate(values)))}
    chosen = sorted(first.values())[:count]
    for i in range(len(values)):
        if len(chosen) >= count:
            break
        if i not in chosen:
            chosen.append(i)
    return [values[i] for i in sorted(chosen)]
