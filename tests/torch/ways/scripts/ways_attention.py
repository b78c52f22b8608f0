"""Attention as scripts for CUDA ask for it: chosen kernels, masks, groups, flex attention."""

import math

import torch
import torch.nn.functional as F
import ways
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.attention.flex_attention import (
    and_masks,
    create_block_mask,
    flex_attention,
    or_masks,
)

torch._dynamo.config.recompile_limit = 32


def qkv(device, heads=4, keys=None, length=16, dim=8, grad=True):
    keys = keys or heads
    q = torch.randn(2, heads, length, dim)
    k, v = (torch.randn(2, keys, length, dim) for _ in range(2))
    return [t.to(device).requires_grad_(grad) for t in (q, k, v)]


def with_gradients(y, *tensors):
    y.float().pow(2).sum().backward()
    return y, [t.grad for t in tensors]


def way_every_kernel_that_can_be_chosen(device):
    q, k, v = qkv(device)
    plain = F.scaled_dot_product_attention(q, k, v, is_causal=True)
    kernels = ["FLASH_ATTENTION", "EFFICIENT_ATTENTION", "CUDNN_ATTENTION", "MATH"]
    for name in kernels if device == "cuda" else ["MATH"]:
        with sdpa_kernel(getattr(SDPBackend, name)):
            y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        torch.testing.assert_close(y, plain)
    order = [SDPBackend.FLASH_ATTENTION, SDPBackend.MATH]
    with sdpa_kernel(order, set_priority=True):
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
    return with_gradients(y, q, k, v)


def way_old_switches_of_kernels(device):
    q, k, v = qkv(device)
    torch.backends.cuda.enable_flash_sdp(False)
    torch.backends.cuda.enable_mem_efficient_sdp(False)
    try:
        y = F.scaled_dot_product_attention(q, k, v)
        assert not torch.backends.cuda.flash_sdp_enabled()
    finally:
        torch.backends.cuda.enable_flash_sdp(True)
        torch.backends.cuda.enable_mem_efficient_sdp(True)
    return with_gradients(y, q, k, v)


def way_masks(device):
    out = []
    for mask in (
        torch.ones(16, 16).tril().bool(),
        torch.randn(16, 16),
        torch.randn(2, 1, 16, 16),
        torch.rand(2, 4, 16, 16) > 0.3,
    ):
        q, k, v = qkv(device)
        y = F.scaled_dot_product_attention(q, k, v, attn_mask=mask.to(device), scale=0.3)
        out.append(with_gradients(y, q, k, v))
    return out


def way_grouped_queries(device):
    q, k, v = qkv(device, heads=4, keys=2)
    y = F.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=True)
    return with_gradients(y, q, k, v)


def way_dropout_of_attention(device):
    q, k, v = qkv(device)
    torch.manual_seed(3)
    a = F.scaled_dot_product_attention(q, k, v, dropout_p=0.3)
    torch.manual_seed(3)
    b = F.scaled_dot_product_attention(q, k, v, dropout_p=0.3)
    assert torch.equal(a, b)
    assert not torch.equal(a, F.scaled_dot_product_attention(q, k, v))
    a.sum().backward()
    assert torch.isfinite(q.grad).all()
    return []


def way_attention_in_bf16(device):
    q, k, v = qkv(device)
    with torch.autocast(device, dtype=torch.bfloat16):
        y = F.scaled_dot_product_attention(q.bfloat16(), k.bfloat16(), v.bfloat16(), is_causal=True)
    assert y.dtype == torch.bfloat16
    return with_gradients(y, q, k, v)


def way_biases_of_causal_attention(device):
    from torch.nn.attention.bias import causal_lower_right, causal_upper_left

    q, k, v = qkv(device)
    upper = F.scaled_dot_product_attention(q[:, :, :8], k, v, attn_mask=causal_upper_left(8, 16))
    lower = F.scaled_dot_product_attention(q[:, :, :8], k, v, attn_mask=causal_lower_right(8, 16))
    return upper, lower


def way_multihead_attention_with_masks(device):
    layer = nn.MultiheadAttention(16, 4, batch_first=True).to(device)
    x = torch.randn(2, 6, 16).to(device)
    pad = torch.zeros(2, 6, dtype=torch.bool)
    pad[0, 4:] = True
    mask = nn.Transformer.generate_square_subsequent_mask(6).isinf().to(device)
    y, w = layer(x, x, x, key_padding_mask=pad.to(device), attn_mask=mask)
    y.sum().backward()
    z, _ = layer.eval()(x, x, x, need_weights=False)
    return y, w, layer.in_proj_weight.grad, z


# ---- flex attention


def relative(score, b, h, q, k):
    return score + 0.1 * (q - k)


def causal(b, h, q, k):
    return q >= k


def window(b, h, q, k):
    return (q - k).abs() <= 4


def flex(q, k, v, score_mod=None, block_mask=None, enable_gqa=False):
    """Flex attention; on the host, which has no backward for it, the same written out."""
    if q.device.type == "cuda":
        return flex_attention(q, k, v, score_mod, block_mask, enable_gqa=enable_gqa)
    if enable_gqa:
        k, v = (t.repeat_interleave(q.shape[1] // k.shape[1], 1) for t in (k, v))
    scores = q @ k.mT / math.sqrt(q.shape[-1])
    b, h, i, j = torch.meshgrid(*(torch.arange(n) for n in scores.shape), indexing="ij")
    scores = score_mod(scores, b, h, i, j) if score_mod else scores
    if block_mask is not None:
        scores = scores.masked_fill(~block_mask.mask_mod(b, h, i, j), -torch.inf)
    return scores.softmax(-1) @ v


def way_flex_attention(device):
    q, k, v = qkv(device)
    y = flex(q, k, v, score_mod=relative)
    return with_gradients(y, q, k, v)


def way_flex_attention_with_a_block_mask(device):
    q, k, v = qkv(device)
    mask = create_block_mask(and_masks(causal, window), None, None, 16, 16, device=device)
    y = flex(q, k, v, block_mask=mask)
    dense = (torch.arange(16)[:, None] - torch.arange(16)).to(device)
    plain = F.scaled_dot_product_attention(q, k, v, attn_mask=(dense >= 0) & (dense <= 4))
    torch.testing.assert_close(y, plain)
    return with_gradients(y, q, k, v)


def way_flex_attention_over_documents(device):
    documents = torch.tensor([0] * 6 + [1] * 10).to(device)

    def same(b, h, q, k):
        return documents[q] == documents[k]

    q, k, v = qkv(device, heads=4, keys=2)
    mask = create_block_mask(or_masks(and_masks(same, causal), window), 2, None, 16, 16, device)
    if device == "cuda":
        _, logs = flex_attention(q, k, v, block_mask=mask, enable_gqa=True, return_lse=True)
        assert logs.shape == (2, 4, 16)
    y = flex(q, k, v, block_mask=mask, enable_gqa=True)
    slopes = torch.tensor([2.0**-n for n in range(4)]).to(device)

    def alibi(score, b, h, q, k):
        return score + slopes[h] * (k - q)

    return with_gradients(flex(q, k, v, alibi, enable_gqa=True), q, k, v), y


def way_flex_attention_compiled(device):
    compiled = torch.compile(flex_attention) if device == "cuda" else flex
    q, k, v = qkv(device)
    mask = create_block_mask(causal, None, None, 16, 16, device=device)
    y = compiled(q, k, v, score_mod=relative, block_mask=mask)
    torch.testing.assert_close(y, flex(q, k, v, score_mod=relative, block_mask=mask))
    return with_gradients(y, q, k, v)


def way_flex_attention_with_a_trained_bias(device):
    bias = torch.randn(4).to(device).requires_grad_()
    q, k, v = qkv(device)
    y = flex(q, k, v, score_mod=lambda s, b, h, i, j: s + bias[h])
    return with_gradients(y, q, k, v, bias)


def way_a_block_mask_compiled(device):
    compiled = torch.compile(create_block_mask, backend="inductor" if device == "cuda" else "eager")
    mask = compiled(causal, None, None, 256, 256, device=device)
    assert mask.kv_num_blocks.flatten().tolist() == [1, 1]
    assert math.isclose(mask.sparsity(), 25.0)
    return mask.to_dense()


if __name__ == "__main__":
    ways.run(globals())
