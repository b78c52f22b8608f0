"""What a release of Megatron-Bridge and NeMo does in the runs of its performance tables.

A row's notes quote the preset it was matched with (`cuda_graph=…, moe_dispatch=…`). Where they do
not, what most presets of that release do is taken.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Literal

from suiren.fleet.framework import MEGATRON_CORE, Framework
from suiren.fleet.layout import Layout
from suiren.fleet.model import Model
from suiren.fleet.sharded_framework import MEGATRON_FSDP, Sharded
from suiren.truth.rows import Row

#: Scopes of CUDA graphs by the names that presets give them; `moe_preprocess` goes with the router.
_SCOPES = {"attn": "attn", "moe_router": "router", "mlp": "mlp", "full_iteration": "all"}

#: Runs in MXFP8 that the presets of 26.06 capture as a whole, with exchanges of experts overlapped:
#: scripts/performance/configs/{deepseek,qwen}/*_workload_base_configs.py.
_WHOLE = (("deepseekv3", "gb300"), ("qwen330ba3b", "gb300"), ("qwen330ba3b", "gb200"),
          ("qwen330ba3b", "b300"))  # fmt: skip


def is_bridge(row: Row) -> bool:
    """Whether the row was measured with Megatron-Bridge."""
    return "megatron-bridge" in row.shape.get("framework", "").lower()


def release(row: Row) -> float:
    """Year and month of a release as its number: 25.11; 0 where the row names none."""
    match = re.search(r"nemo (\d\d\.\d\d)", row.shape.get("framework", "").lower())
    return float(match[1]) if match else 0.0


def graphs_of(row: Row) -> tuple[str, ...]:
    """What the host launches as one CUDA graph."""
    match = re.search(r"cuda_graph=(\w*)/?(\[[^\]]*\]|\w*)", row.notes)
    if not match:
        return _usual(row)
    if match[1].lower() == "none":
        return ()
    found = {_SCOPES[name] for name in re.findall(r"\w+", match[0]) if name in _SCOPES}
    return tuple(sorted(found))


def _usual(row: Row) -> tuple[str, ...]:
    """The graphs of most presets of a release for mixtures on Blackwell, where it stands alone.

    From 26.06 on whole steps for the runs in `_WHOLE`; attention and router from 25.11 on.
    """
    if not row.notes.lower().startswith("moe") or "h100" in row.hardware.lower():
        return ()
    if _whole(row):
        return ("all",)
    return ("attn", "router") if release(row) >= 25.11 else ()


def _whole(row: Row) -> bool:
    names = (row.text.lower(), row.hardware.lower().removeprefix("dgx-"))
    names = (names[0].replace("_", ""), names[1])
    return release(row) >= 26.06 and names in _WHOLE and "mx" in row.dtype.lower()


def scaling_of(row: Row) -> Literal["current", "block"]:
    """Where FP8's scales come from: `MX` by block; `FP8-CS`, and plain `FP8`, from the tensor."""
    return "block" if "mx" in row.dtype.lower() else "current"


def framework_of(row: Row) -> Framework:
    """Megatron-Core as this release's presets set it up.

    Presets whose mixtures run as one graph overlap their exchanges too; DeepSeek-V3's have
    `fp8_dot_product_attention=True`. Experts are cast to MXFP8 and multiplied by one kernel for
    all from 26.06 on (TransformerEngine's `group_quantize`, which takes MXFP8 and NVFP4 alone).
    """
    graphs, about = graphs_of(row), row.notes.lower()
    return replace(
        MEGATRON_CORE, name=f"{MEGATRON_CORE.name}-bridge", graphs=graphs, scaling=scaling_of(row),
        expert_kernels=release(row) < 26.06 or scaling_of(row) != "block",
        recomputes_latent="mla_up_proj" in row.shape.get("recompute", ""),
        attends_narrow="deepseek" in row.text.lower() and _whole(row),
        overlaps_experts="a2a_overlap=True" in row.notes or ("all" in graphs and "moe" in about)
        or ("a2a_overlap" not in row.notes and _hides_from_start(row)),
    )  # fmt: skip


def sends_once(row: Row) -> bool:
    """Whether a token goes to each rank of its experts once: DeepEP and HybridEP do so.

    Presets from 26.02 on name one of the two for every mixture.
    """
    named = re.search(r"moe_dispatch=(\w+)", row.notes)
    if named:
        return named[1].lower() != "none"
    if "deepep" in f"{row.shape.get('attention_impl', '')} {row.text}".lower():
        return True
    return is_bridge(row) and (release(row) >= 26.02 or _hides_from_start(row))


def _hides_from_start(row: Row) -> bool:
    """DeepSeek-V3 on H100: DeepEP, overlapped, in the presets of 25.09 already.

    scripts/performance/configs/deepseek/deepseek_llm_pretrain.py: `enable_deepep=True` and
    `set_moe_a2a_overlap_overrides` for H100 only.
    """
    return "deepseek" in row.text.lower() and "h100" in row.hardware.lower()


def shared_framework_of(row: Row) -> Sharded:
    """Megatron-FSDP as this release's presets set it up."""
    return replace(MEGATRON_FSDP, scaling=scaling_of(row))


def predicts_more(row: Row) -> int:
    """Further tokens that the recipe predicts.

    recipes/deepseek/deepseek_v3.py: `use_mtp: bool = True, mtp_num_layers = 1`.
    """
    return int(is_bridge(row) and "deepseek" in row.text.lower())


def with_ends(layout: Layout, model: Model) -> Layout:
    """The layout with few layers in the last chunk, which also predicts further tokens.

    The same recipe lays out DeepSeek-V3's 61 layers as `Et*4|(t*4|)*14tmL`: chunks of equal size
    but the last, which holds what is left.
    """
    slots = layout.pp * layout.vpp
    if not model.more_predicted or layout.pp == 1:
        return layout
    each = -(-model.layers // slots)
    return replace(layout, last_stage_layers=max(1, model.layers - each * (slots - 1)))
