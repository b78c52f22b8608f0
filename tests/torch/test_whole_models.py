"""Compiled models, tied and moved weights, and small transformers train as on the host."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from device_helpers import same, twins
from torch import nn
from training_steps import FP32, TiedLanguageModel, mean_square


@pytest.mark.parametrize("backend", ["eager", "aot_eager"])
def test_a_compiled_model_trains_as_an_eager_one(backend):
    torch._dynamo.reset()
    model = nn.Sequential(nn.Linear(4, 8), nn.GELU(), nn.Linear(8, 2))
    card, host = twins(model)
    compiled = torch.compile(card, backend=backend)
    x = torch.randn(3, 4)
    mean_square(compiled(x.to("gcu"))).backward()
    mean_square(host(x)).backward()
    same([p.grad for p in card.parameters()], [p.grad for p in host.parameters()], **FP32)


def test_a_compiled_graph_may_autocast_and_attend():
    torch._dynamo.reset()
    layer = nn.Linear(8, 8).to("gcu")

    @torch.compile(backend="aot_eager")
    def work(x):
        with torch.autocast("gcu", dtype=torch.bfloat16):
            q = layer(x).view(2, 4, 2, 4).transpose(1, 2)
            return F.scaled_dot_product_attention(q, q, q, is_causal=True).float().sum()

    work(torch.randn(2, 4, 8, device="gcu")).backward()
    assert layer.weight.grad.isfinite().all()


def test_tied_weights_stay_one_on_the_card():
    model = TiedLanguageModel().to("gcu")
    assert model.head.weight is model.embed.weight


def test_an_optimizer_made_before_the_move_updates_the_moved_weights():
    model = nn.Linear(2, 1)
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    model.to("gcu")
    before = model.weight.detach().clone()
    model(torch.ones(1, 2, device="gcu")).sum().backward()
    optimizer.step()
    assert not torch.equal(model.weight, before)


@pytest.mark.parametrize("kind", ["llama", "gpt2", "bert"])
def test_a_small_transformers_model_trains_as_on_the_host(kind):
    transformers = pytest.importorskip("transformers")
    sizes = {"vocab_size": 64}
    if kind == "llama":
        config = transformers.LlamaConfig(
            hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4,
            num_key_value_heads=2, max_position_embeddings=32, **sizes,
        )  # fmt: skip
        model = transformers.LlamaForCausalLM(config)
    elif kind == "gpt2":
        config = transformers.GPT2Config(
            n_layer=2, n_embd=32, n_head=4, n_positions=32, resid_pdrop=0.0, embd_pdrop=0.0,
            attn_pdrop=0.0, bos_token_id=1, eos_token_id=1, **sizes,
        )  # fmt: skip
        model = transformers.GPT2LMHeadModel(config)
    else:
        config = transformers.BertConfig(
            hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=64,
            hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0, **sizes,
        )  # fmt: skip
        model = transformers.BertForMaskedLM(config)
    ids = torch.randint(0, 64, (2, 16))
    card, host = twins(model)

    def trained(model):
        device = next(model.parameters()).device
        optimizer = torch.optim.AdamW(model.parameters(), 1e-3)
        found = []
        for _ in range(2):
            loss = model(input_ids=ids.to(device), labels=ids.to(device)).loss
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            optimizer.zero_grad()
            found.append(loss.item())
        return found

    assert trained(card) == pytest.approx(trained(host), rel=1e-4)
