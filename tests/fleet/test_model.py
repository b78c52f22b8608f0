"""Models: published parameter counts, configurations of transformers, mistakes in one sentence."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from suiren.fleet.model import BadModel, Model, model_from_config
from suiren.fleet.models import MODELS, find_model

PUBLISHED = {
    "llama2-7b": 6738415616, "llama2-13b": 13015864320, "llama2-70b": 68976648192,
    "llama3-8b": 8030261248, "llama3-70b": 70553706496, "llama3-405b": 405853388800,
    "mixtral-8x7b": 46702792704,
    # the paper's formula leaves the last norm out
    "gpt3-175b": 174615822336 + 2 * 12288, "gpt-1t": 1008038707200 + 2 * 25600,
}  # fmt: skip


@pytest.mark.parametrize(("name", "params"), PUBLISHED.items())
def test_parameters_are_the_published_ones(name: str, params: int) -> None:
    assert MODELS[name].params == params


def test_deepseek_has_671_billion() -> None:
    assert MODELS["deepseek-v3"].params == pytest.approx(671e9, rel=0.001)


def test_flop_are_six_a_weight_and_token_where_scores_are_few() -> None:
    model = find_model("gpt3-175b", seq=16)
    weights = model.params - model.seq * model.d_model
    assert model.flop_per_sample() / model.seq == pytest.approx(6 * weights, rel=0.002)


def test_a_config_of_transformers_is_read(tmp_path: Path) -> None:
    config = {
        "model_type": "llama", "hidden_size": 4096, "num_hidden_layers": 32, "rope_theta": 5e5,
        "num_attention_heads": 32, "num_key_value_heads": 8, "intermediate_size": 14336,
        "vocab_size": 128256, "max_position_embeddings": 8192, "hidden_act": "silu",
        "rms_norm_eps": 1e-5, "tie_word_embeddings": False,
    }  # fmt: skip
    file = tmp_path / "config.json"
    file.write_text(json.dumps(config))
    model = model_from_config(file)
    assert model.params == MODELS["llama3-8b"].params
    assert (model.gated, model.attention, model.seq) == (True, "flash", 8192)
    assert find_model(str(file), seq=4096).seq == 4096


@pytest.mark.parametrize(("name", "told"), [
    ("llama4-9b", "no bundled model is called 'llama4-9b'; near it: llama"),
    ("missing.json", "missing.json cannot be read as a config.json"),
])  # fmt: skip
def test_a_wrong_name_is_one_sentence(name: str, told: str) -> None:
    with pytest.raises(BadModel, match=told):
        find_model(name)


@pytest.mark.parametrize(("sizes", "told"), [
    ({"heads": 3}, "width 64 is no multiple of 3"),
    ({"kv_heads": 3}, "4 heads cannot share 3 heads of keys"),
    ({"experts": 4, "top_k": 5}, "top_k 5 of 4 experts"),
])  # fmt: skip
def test_sizes_that_do_not_fit_are_refused(sizes: dict[str, int], told: str) -> None:
    plain = {"layers": 1, "d_model": 64, "heads": 4, "d_ff": 256, "vocab": 10, "seq": 8}
    with pytest.raises(BadModel, match=told):
        Model(name="m", **{**plain, **sizes})  # type: ignore[arg-type]
