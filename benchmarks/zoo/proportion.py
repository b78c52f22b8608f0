"""What must fit together in a configuration after its numbers were made small."""

from __future__ import annotations

import re
from typing import Any

#: Models whose code holds sections of the rotary embedding that a whole head alone fits.
_SECTIONS = re.compile(r"_vl(_|$)|glm4v|glm46v|glmga|glm_ocr|glm_image|omni")
_WITHOUT_ATTENTION = {"linear_attention", "mamba", "recurrent"}


def with_whole_heads(fields: dict[str, Any]) -> dict[str, Any]:
    """What heads a default leaves open, and heads of a state space that fill its width."""
    heads, width = fields.get("num_attention_heads"), fields.get("hidden_size")
    if isinstance(heads, int) and isinstance(width, int) and heads:
        for key, value in (("head_dim", width // heads), ("num_key_value_heads", heads)):
            if key in fields and fields[key] is None:
                fields[key] = value
    if isinstance(width, int) and isinstance(fields.get("mamba_expand"), int):
        inner = fields["mamba_expand"] * width
        for count, size in (("mamba_n_heads", "mamba_d_head"), ("n_mamba_heads", "mamba_headdim")):
            if isinstance(fields.get(count), int) and isinstance(fields.get(size), int):
                fields[size] = min(fields[size], inner)
                fields[count] = inner // fields[size]
    return fields


def attends(fields: dict[str, Any]) -> bool:
    """Whether a layer that is left attends, where a configuration says which ones do."""
    depth = fields.get("num_hidden_layers", 0)
    for key in ("layer_types", "layers_block_type", "block_types"):
        if isinstance(fields.get(key), list):
            return not set(fields[key][:depth]) <= _WITHOUT_ATTENTION
    if "attn_layer_offset" in fields:
        return bool(fields["attn_layer_offset"] < depth)
    return bool(fields.get("attn_layer_indices", True))


def head_width(fields: dict[str, Any]) -> int:
    """Width of an attention head, or 0 where the fields do not tell."""
    width, heads = fields.get("hidden_size"), fields.get("num_attention_heads")
    if isinstance(fields.get("head_dim"), int):
        return int(fields["head_dim"])
    return width // heads if isinstance(width, int) and isinstance(heads, int) and heads else 0


def with_fewer_turns(fields: dict[str, Any], before: int, after: int) -> dict[str, Any]:
    """The rotary embedding's sections shrink with the head they lie in."""
    ropes = [
        fields[k] for k in ("rope_parameters", "rope_scaling") if isinstance(fields.get(k), dict)
    ]
    if before == after or not before:
        return fields
    if _SECTIONS.search(str(fields.get("model_type"))):
        for rope in ropes:
            half = int(after * rope.get("partial_rotary_factor", 1)) // 2
            first, second = half // 4, 3 * half // 8
            rope["mrope_section"] = [first, second, half - first - second]
        return fields
    for rope in ropes:
        old = rope.get("mrope_section")
        if old:
            parts = [v * after // before for v in old[:-1]]
            rope["mrope_section"] = [*parts, sum(old) * after // before - sum(parts)]
    return fields
