"""The model that a row of a training table describes."""

from __future__ import annotations

import re
from dataclasses import replace

from suiren.fleet.model import BadModel, Model
from suiren.fleet.models import MODELS
from suiren.truth.rows import Row
from suiren.truth.steps_bridge import predicts_more
from suiren.truth.unknown import NotPredicted

#: Heads of models whose table leaves them out: the published script (examples/sc21 of Megatron-LM).
_SC21_HEADS = {2304: 24, 3072: 32, 4096: 32, 6144: 48, 8192: 64, 10240: 80, 12288: 96, 16384: 128,
               20480: 128, 25600: 160}  # fmt: skip
_GATED = ("llama", "qwen", "mixtral", "mistral", "deepseek", "kimi", "baichuan", "internlm",
          "aquila", "chatglm", "codellama", "yi", "gemma", "minicpm", "glm", "grok",
          "intern", "gpt_oss", "gpt-oss", "gpt oss", "olmo", "granite", "moonlight", "ernie",
          "hunyuan", "minimax")  # fmt: skip
#: Rotary positions and no biases around two plain products.
_PLAIN_ROTARY = ("nemotron",)
#: Layers that carry a state from token to token beside those that attend.
_RECURRENT = ("mamba", "nemotron-h", "nemotronh", "nemotron_3", "nemotron 3", "nemotron3", "jamba")
#: Norms over heads (Qwen3 and Qwen3-MoE, transformers' modeling_qwen3*.py).
_HEAD_NORMS = ("qwen3",)
#: Sliding windows of published configurations.
_WINDOWS = {"mistral-7b": 4096}
_LATER = (r"(?i)bridge|nemo 2[4-9]|mcore|megatron-core|202[4-9]|unnamed gpu|colossal|maxtext|pax|"
          r"jax|primus|rocm|neuron|megatron-llama|automodel|paddlenlp")
_EARLY = r"\b20(1\d|2[0-2])\b|alpa"
_ENCODERS = ("bert", "roberta")
#: Vocabularies of families whose table leaves it out, from their published configurations.
_VOCAB = {"gptoss": 201088, "gpt_oss": 201088, "gpt oss": 201088, "nemotron": 256000,
          "kimi": 163840, "qwen3": 151936, "llama4": 202048, "llama3": 128256, "llama": 32000,
          "aquila": 100008, "baichuan2": 125696, "baichuan": 64000, "internlm": 103168,
          "qwen1.5": 151936, "qwen2": 151936, "qwen": 151936, "gemma": 256000,
          "mixtral": 32000, "mistral": 32000, "yi": 64000,
          "codellama": 32016, "bloom": 250880, "chatglm3": 65024, "minicpm": 122753, "glm": 150528,
          "deepseek": 102400, "gpt": 50304, "grok": 131072}  # fmt: skip


def number(row: Row, name: str, otherwise: int | None = None) -> int:
    """A whole number of the row; raises NotPredicted where it is missing and has no default."""
    text = row.shape.get(name, "")
    match = re.match(r"\s*(\d[\d,]*)(?:\.\d*)?\b", text)
    if match:
        return int(match[1].replace(",", ""))
    if otherwise is None:
        raise NotPredicted(f"the row gives no {name}")
    return otherwise


def model_of(row: Row) -> Model:
    """The model; raises NotPredicted for what the row leaves open."""
    name = row.shape.get("model", "").lower()
    family = row.shape.get("model_family", "").lower()
    if "n_layers" not in row.shape:
        return _published(row)
    if any(word in f"{name} {family}" for word in _RECURRENT):
        raise NotPredicted(f"layers that carry a state, as {row.text}'s do, are not predicted")
    layers = number(row, "n_layers")
    d_model = number(row, "d_model")
    heads = number(row, "n_heads", _SC21_HEADS.get(d_model) if "sc21" in _about(row) else None)
    seq = number(row, "seq_len")
    gated = any(word in family or word in name for word in _GATED)
    rotary = gated or any(word in f"{name} {family}" for word in _PLAIN_ROTARY)
    if "switch" in family:
        raise NotPredicted("the row does not say how encoder and decoder share its n_layers")
    encoder = any(word in family for word in _ENCODERS)
    notes = row.notes.lower()
    experts = _count(r"moe (\d+) experts", notes) or _count(r"experts=(\d+)", notes)
    experts = experts or _count(r"(\d+)x\d+b", name) or _count(r"switch (\d+) experts", notes)
    latent = row.shape.get("n_kv_heads", "") == "MLA"
    widths = [int(n) for n in re.findall(r"\d+", row.shape.get("d_ff", ""))]
    d_ff = widths[0] if widths else number(row, "d_ff")
    split = "dense" in row.shape.get("d_ff", "")
    dense = _count(r"first (\d+) layers dense", notes)
    dense = dense or _count(r"first (\d+)\)", row.shape.get("d_ff", ""))
    expert_d_ff = widths[-1] if split else (d_ff if experts else 0)
    attention = row.shape.get("attention_impl", "").lower().replace("no flash", "")
    flash = any(word in attention for word in ("flash", "te ", "te+", "cudnn"))
    # nobody kept scores in memory any more where a framework of these years says nothing
    flash = flash or (not attention and _is_later(row, gated))
    try:
        return _of_framework(row, Model(
            name=row.shape.get("model", "model"), layers=layers, d_model=d_model, heads=heads,
            d_ff=d_ff, vocab=_vocab(row, name, family), seq=seq,
            kv_heads=0 if latent else number(row, "n_kv_heads", 0),
            head_dim=192 if latent else _count(r"head_dim[ =](\d+)", notes),
            gated=gated, experts=experts,
            top_k=(_count(r"top-(\d+)", notes) or (1 if "switch" in name else 2)) if experts else 0,
            expert_d_ff=expert_d_ff,
            shared_d_ff=expert_d_ff if "1 shared" in notes else 0,
            dense_layers=dense if experts else 0, more_predicted=predicts_more(row),
            tied=not rotary, norm="rms" if gated else "layer",
            positions="rotary" if rotary else "learned", bias=not rotary, dropout=not rotary,
            head_norms=any(word in f"{name} {family}" for word in _HEAD_NORMS),
            window=next((n for word, n in _WINDOWS.items() if word in name), 0),
            causal=not encoder, activation="tanh" if family.startswith("gpt") else "gelu",
            attention="flash" if flash else "unfused",
            q_rank=1536 if latent else 0, kv_rank=512 if latent else 0,
            rotary_dim=64 if latent else 0, value_dim=128 if latent else 0,
        ))  # fmt: skip
    except BadModel as problem:
        raise NotPredicted(str(problem)) from None


def _of_framework(row: Row, model: Model) -> Model:
    """What a framework's or a family's own configurations add to sizes.

    GPT-NeoX: `pos_emb: rotary`, `no_weight_tying: true`, no dropout (configs/*.yml). BLOOM: ALiBi,
    which adds nothing to the fused softmax, and one table for both ends.
    """
    if "neox" in f"{row.shape.get('framework', '')} {row.text}".lower():
        return replace(model, positions="rotary", tied=False, dropout=False)
    if "bloom" in row.text.lower():
        return replace(model, positions="none")
    return model


def _is_later(row: Row, gated: bool) -> bool:
    """Whether a framework, or the Llama kind of model, is younger than FlashAttention."""
    framework = row.shape.get("framework", "")
    if re.search(_EARLY, framework.lower()):
        return False
    return gated or bool(re.search(_LATER, framework))


#: Other names of bundled models: (what a name holds, the name's place of the size).
_SPELT = (
    (r"llama[ -]?3\.2\D{0,8}?([13])b", "llama3.2-{}b"),
    (r"llama[ -]?(?:v|version )?3(?:\.[013])?(?![\d.]?b)\D{0,8}?(\d+)b", "llama3-{}b"),
    (r"llama[ -]?(?:v|version )?2(?![\d.]?b)\D{0,8}?(\d+)b", "llama2-{}b"),
    (r"llama(?:[ -]?v?1)?[ -](7|13|30|65)b", "llama-{}b"),
    (r"codellama\D{0,3}(34)b", "llama2-{}b"),
    (r"qwen[ -]?2\.5\D{0,3}([\d.]+)b", "qwen2.5-{}b"), (r"qwen[ -]?3\D{0,3}(\d+)b", "qwen3-{}b"),
)  # fmt: skip


def _published(row: Row) -> Model:
    """The bundled model of that name, where a row leaves its sizes out."""
    name = re.sub(r"[^a-z0-9.]+", "-", row.text.lower())
    for known, model in MODELS.items():
        if name == known or name.startswith(f"{known}-"):
            return replace(model, seq=number(row, "seq_len", model.seq))
    # the family may stand in its own column
    for text in (row.text, f"{row.shape.get('model_family', '')} {row.text}"):
        spelt = re.sub(r"[-_ ]+", "-", text.lower())
        for pattern, form in _SPELT:
            match = re.search(pattern, spelt)
            found = MODELS.get(form.format(match[1])) if match else None
            if found is not None:
                return replace(found, seq=number(row, "seq_len", found.seq))
    raise NotPredicted("the row gives no n_layers")


def _about(row: Row) -> str:
    return f"{row.source} {row.shape.get('framework', '')} {row.notes}".lower().replace(
        "megatron-lm 2021", "sc21"
    )


def _count(pattern: str, text: str) -> int:
    match = re.search(pattern, text)
    return int(match[1]) if match else 0


def _vocab(row: Row, name: str, family: str) -> int:
    plain = f"{name} {family}".replace("-", "")
    known = next((size for word, size in _VOCAB.items() if word in plain), None)
    return number(row, "vocab", known)
