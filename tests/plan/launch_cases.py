"""Small models and layouts of every kind, for the tests of what a plan is launched with."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

from suiren.fleet.layout import Layout
from suiren.fleet.model import Model
from suiren.hw.find_cluster import cluster_of
from suiren.plan.launch import Launch, launch_of

GPT = Model(name="gpt-tiny", layers=2, d_model=64, heads=4, d_ff=256, vocab=512, seq=32,
            dropout=False)  # fmt: skip
LLAMA = Model(
    name="llama-tiny", layers=2, d_model=64, heads=4, kv_heads=2, d_ff=128, vocab=512, seq=32,
    gated=True, tied=False, norm="rms", positions="rotary", bias=False, dropout=False,
    attention="flash",
)  # fmt: skip
MIXTURE = replace(LLAMA, name="mixture-tiny", experts=4, top_k=2, expert_d_ff=64)
FOUR = {"gpt": replace(GPT, layers=4), "llama": replace(LLAMA, layers=4)}


def config_of(model: Model, kind: str = "llama") -> dict[str, Any]:
    """The transformers configuration of a small model."""
    return {
        "model_type": kind, "hidden_size": model.d_model, "num_hidden_layers": model.layers,
        "num_attention_heads": model.heads, "num_key_value_heads": model.groups,
        "intermediate_size": model.d_ff, "vocab_size": model.vocab,
        "tie_word_embeddings": model.tied,
        "max_position_embeddings": 64, "rms_norm_eps": 1e-5, "head_dim": model.head,
    }  # fmt: skip


@dataclass(frozen=True)
class Case:
    """A model, a layout of it, and whether its layers come from transformers."""

    model: Model
    layout: Layout
    config: dict[str, Any] | None = field(default=None, hash=False)
    lora: int = 0

    def launch(self) -> Launch:
        cluster = cluster_of("t20x8", max(8, self.layout.ranks))
        return launch_of(self.model, self.layout, cluster, self.config, self.lora)

    def in_fp32(self) -> Case:
        return replace(self, layout=replace(self.layout, precision="fp32"))

    def alone(self) -> Case:
        """The same job on one card."""
        batch = self.layout.global_batch
        return replace(self, layout=Layout(global_batch=batch, precision="fp32"))


def case(model: Model, kind: str = "", lora: int = 0, **layout: Any) -> Case:
    split = Layout(**{"global_batch": 4, "zero": 1, **layout})
    return Case(model, split, config_of(model, kind) if kind else None, lora)


@cache
def cases() -> dict[str, Case]:
    four, gpt4 = FOUR["llama"], FOUR["gpt"]
    sp = {"tp": 2, "sequence_parallel": True}
    return {
        "dp": case(GPT, dp=2),
        "dp whole": case(GPT, dp=2, zero=0, overlap_gradients=True),
        "zero 2": case(GPT, dp=2, zero=2),
        "zero 3": case(LLAMA, "llama", dp=2, zero=3, recompute="full"),
        "zero 3 cp": case(LLAMA, dp=2, cp=2, zero=3),
        "zero 3 tp": case(LLAMA, "llama", dp=2, zero=3, recompute="selective", **sp),
        "tp": case(LLAMA, tp=2, recompute="full"),
        "tp sp tied": case(GPT, recompute="selective", **sp),
        "tp sp dp": case(LLAMA, "llama", dp=2, overlap_gradients=True, **sp),
        "qwen3 tp": case(LLAMA, "qwen3", **sp),
        "qwen2 dp": case(LLAMA, "qwen2", dp=2),
        "pp tied": case(GPT, pp=2),
        "pp dp": case(LLAMA, "llama", pp=2, dp=2),
        "interleaved": case(four, "llama", pp=2, vpp=2, schedule="interleaved", recompute="full"),
        "zero bubble": case(LLAMA, "llama", pp=2, schedule="zero-bubble"),
        "gpipe": case(LLAMA, pp=2, schedule="gpipe"),
        "pp tp sp tied": case(gpt4, pp=2, **sp),
        "zero bubble tp": case(LLAMA, "llama", pp=2, schedule="zero-bubble", **sp),
        "cp": case(LLAMA, "llama", cp=2),
        "cp tp sp": case(GPT, cp=2, **sp),
        "all": case(four, "llama", pp=2, dp=2, cp=2, **sp),
        "lora": case(LLAMA, "llama", lora=4, dp=2, recompute="full"),
        "lora tp": case(LLAMA, "llama", lora=4, **sp),
        "lora zero 3": case(LLAMA, "llama", lora=4, dp=2, tp=2, zero=3),
        "lora pp": case(LLAMA, "llama", lora=4, pp=2, zero=0),
        "offload": case(GPT, dp=2, offload="optimizer"),
        "offload zero 3": case(GPT, dp=2, zero=3, offload="optimizer"),
    }


@cache
def mixtures() -> dict[str, Case]:
    """Mixtures drop tokens by rank, so that values differ from layout to layout."""
    sp = {"tp": 2, "sequence_parallel": True}
    return {
        "ep": case(MIXTURE, dp=4, ep=4),
        "ep zero 3": case(MIXTURE, dp=4, ep=2, zero=3),
        "ep tp sp": case(MIXTURE, dp=2, ep=2, **sp),
        "experts split": case(MIXTURE, dp=2, **sp),
        "ep pp": case(MIXTURE, dp=2, pp=2, ep=2),
    }


def write(folder: Path, launch: Launch) -> Path:
    """The files in a folder; the script's path."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in launch.files.items():
        (folder / name).write_text(text)
    return folder / "train.py"
