"""Models by name: sizes as their papers and published configurations give them."""

from __future__ import annotations

from dataclasses import replace
from difflib import get_close_matches
from pathlib import Path

from suiren.fleet.model import BadModel, Model, model_from_config


def gpt(
    name: str, layers: int, d_model: int, heads: int, seq: int = 2048, vocab: int = 51200
) -> Model:
    """A model of the GPT-2 and GPT-3 kind (Brown et al. 2020, Narayanan et al. 2021)."""
    return Model(name=name, layers=layers, d_model=d_model, heads=heads, d_ff=4 * d_model,
                 vocab=vocab, seq=seq)  # fmt: skip


def llama(
    name: str, layers: int, d_model: int, heads: int, kv_heads: int, d_ff: int, vocab: int,
    seq: int, tied: bool = False,
) -> Model:  # fmt: skip
    """A model of the Llama kind (Touvron et al. 2023, Llama Team 2024)."""
    return Model(
        name=name, layers=layers, d_model=d_model, heads=heads, kv_heads=kv_heads, d_ff=d_ff,
        vocab=vocab, seq=seq, gated=True, tied=tied, norm="rms", positions="rotary", bias=False,
        dropout=False, attention="flash",
    )  # fmt: skip


_MIXTRAL = llama("mixtral-8x7b", 32, 4096, 32, 8, 14336, 32000, 4096)
_DEEPSEEK = llama("deepseek-v3", 61, 7168, 128, 0, 18432, 129280, 4096)
_BERT = gpt("bert-large", 24, 1024, 16, 512, 30522)

MODELS: dict[str, Model] = {
    model.name: model
    for model in (
        gpt("gpt3-125m", 12, 768, 12), gpt("gpt3-350m", 24, 1024, 16),
        gpt("gpt3-760m", 24, 1536, 16), gpt("gpt3-1.3b", 24, 2048, 16),
        gpt("gpt3-2.7b", 32, 2560, 32), gpt("gpt3-6.7b", 32, 4096, 32),
        gpt("gpt3-13b", 40, 5120, 40), gpt("gpt3-175b", 96, 12288, 96),
        gpt("gpt-22b", 48, 6144, 64), gpt("gpt-39b", 48, 8192, 64),
        gpt("gpt-530b", 105, 20480, 128), gpt("gpt-1t", 128, 25600, 160),
        llama("llama-7b", 32, 4096, 32, 0, 11008, 32000, 2048),
        llama("llama-13b", 40, 5120, 40, 0, 13824, 32000, 2048),
        llama("llama-30b", 60, 6656, 52, 0, 17920, 32000, 2048),
        llama("llama-65b", 80, 8192, 64, 0, 22016, 32000, 2048),
        llama("llama2-34b", 48, 8192, 64, 8, 22016, 32000, 4096),
        llama("llama3.2-1b", 16, 2048, 32, 8, 8192, 128256, 8192, tied=True),
        llama("llama3.2-3b", 28, 3072, 24, 8, 8192, 128256, 8192, tied=True),
        llama("llama2-7b", 32, 4096, 32, 0, 11008, 32000, 4096),
        llama("llama2-13b", 40, 5120, 40, 0, 13824, 32000, 4096),
        llama("llama2-70b", 80, 8192, 64, 8, 28672, 32000, 4096),
        llama("llama3-8b", 32, 4096, 32, 8, 14336, 128256, 8192),
        llama("llama3-70b", 80, 8192, 64, 8, 28672, 128256, 8192),
        llama("llama3-405b", 126, 16384, 128, 8, 53248, 128256, 8192),
        llama("mistral-7b", 32, 4096, 32, 8, 14336, 32000, 8192),
        llama("qwen-7b", 32, 4096, 32, 0, 11008, 151936, 2048),
        llama("qwen-14b", 40, 5120, 40, 0, 13696, 152064, 2048),
        llama("qwen2.5-7b", 28, 3584, 28, 4, 18944, 152064, 4096),
        llama("qwen2.5-14b", 48, 5120, 40, 8, 13824, 152064, 4096),
        llama("qwen2.5-32b", 64, 5120, 40, 8, 27648, 152064, 4096),
        llama("qwen2.5-72b", 80, 8192, 64, 8, 29568, 152064, 4096),
        llama("qwen2.5-1.5b", 28, 1536, 12, 2, 8960, 151936, 4096, tied=True),
        llama("qwen2.5-3b", 36, 2048, 16, 2, 11008, 151936, 4096, tied=True),
        replace(llama("qwen3-8b", 36, 4096, 32, 8, 12288, 151936, 4096), head_norms=True),
        replace(llama("qwen3-14b", 40, 5120, 40, 8, 17408, 151936, 4096), head_norms=True),
        replace(llama("qwen3-32b", 64, 5120, 64, 8, 25600, 151936, 4096), head_norms=True,
                head_dim=128),
        llama("chatglm3-6b", 28, 4096, 32, 2, 13696, 65024, 8192),
        replace(gpt("chatglm-6b", 28, 4096, 32, 2048, 130528), tied=False, positions="rotary",
                dropout=False),
        replace(_MIXTRAL, experts=8, top_k=2),
        replace(_MIXTRAL, name="mixtral-8x22b", layers=56, d_model=6144, heads=48, d_ff=16384,
                vocab=32768, experts=8, top_k=2),
        replace(_DEEPSEEK, experts=256, top_k=8, expert_d_ff=2048, shared_d_ff=2048, dense_layers=3,
                head_dim=192, value_dim=128, q_rank=1536, kv_rank=512, rotary_dim=64),
        replace(_BERT, causal=False),
        replace(_BERT, name="bert-base", layers=12, d_model=768, heads=12, d_ff=3072, causal=False),
        Model(name="t5-11b", layers=48, decoder_layers=24, decoder_seq=128, d_model=1024, heads=128,
              head_dim=128, d_ff=65536, vocab=32128, seq=512, causal=False, norm="rms",
              positions="relative", bias=False),
    )
}  # fmt: skip


def find_model(name: str, seq: int = 0) -> Model:
    """A bundled model, or the one a `config.json` describes; raises BadModel for neither."""
    if name.endswith(".json") or Path(name).is_file():
        return model_from_config(name, seq)
    found = MODELS.get(name.lower())
    if found is None:
        near = get_close_matches(name.lower(), MODELS, 3, 0.3)
        known = f"near it: {', '.join(near)}" if near else f"there are: {', '.join(MODELS)}"
        raise BadModel(f"no bundled model is called {name!r}; {known}")
    return replace(found, seq=seq) if seq else found
