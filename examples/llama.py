"""Train a Llama-style language model on the bytes of Python's standard library."""

import argparse
import os
from pathlib import Path

import torch
from transformers import LlamaConfig, LlamaForCausalLM

MODULES = """_pydecimal argparse ast calendar codecs configparser csv dataclasses difflib doctest
enum fractions functools inspect ipaddress locale mailbox optparse pickle random socket"""
LLAMA3 = {
    "vocab_size": 128256,
    "num_key_value_heads": 8,
    "max_position_embeddings": 8192,
    "rms_norm_eps": 1e-5,
    "rope_parameters": {"rope_type": "default", "rope_theta": 500000.0},
}
SIZES = {
    "tiny": {
        "vocab_size": 256,
        "hidden_size": 128,
        "intermediate_size": 384,
        "num_hidden_layers": 4,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
    },
    "1b": {
        **LLAMA3,
        "hidden_size": 2048,
        "intermediate_size": 8192,
        "num_hidden_layers": 16,
        "num_attention_heads": 32,
        "tie_word_embeddings": True,
    },
    "8b": {
        **LLAMA3,
        "hidden_size": 4096,
        "intermediate_size": 14336,
        "num_hidden_layers": 32,
        "num_attention_heads": 32,
    },
    "70b": {
        **LLAMA3,
        "hidden_size": 8192,
        "intermediate_size": 28672,
        "num_hidden_layers": 80,
        "num_attention_heads": 64,
    },
}


def load_bytes(limit=1_000_000):
    """The first `limit` bytes of a fixed list of standard-library modules."""
    stdlib = Path(os.__file__).parent
    text = b"\n".join((stdlib / f"{name}.py").read_bytes() for name in MODULES.split())
    return torch.frombuffer(bytearray(text[:limit]), dtype=torch.uint8).long()


def build_model(size, dtype, device):
    """Create the model directly on the device, in its final dtype."""
    config = LlamaConfig(**SIZES[size], attn_implementation="sdpa", use_cache=False)
    torch.set_default_dtype(dtype)
    with torch.device(device):
        model = LlamaForCausalLM(config)
    torch.set_default_dtype(torch.float32)
    return model


def get_batch(data, batch, seq_len, device):
    starts = torch.randint(len(data) - seq_len, (batch,)).tolist()
    ids = torch.stack([data[i : i + seq_len] for i in starts])
    return ids.pin_memory().to(device, non_blocking=True)


def main():
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("--size", choices=SIZES, default="tiny")
    p.add_argument("--steps", type=int, default=60)
    p.add_argument("--batch-size", type=int, default=8)
    p.add_argument("--seq-len", type=int, default=128)
    p.add_argument("--dtype", choices=["float32", "bfloat16"], help="default by --size")
    p.add_argument("--lr", type=float, help="default 1e-3 (tiny) or 1e-4")
    p.add_argument("--gradient-checkpointing", action="store_true")
    p.add_argument("--seed", type=int, default=0)
    args = p.parse_args()

    torch.manual_seed(args.seed)
    device = torch.device("cuda")
    tiny = args.size == "tiny"
    dtype = getattr(torch, args.dtype or ("float32" if tiny else "bfloat16"))
    data = load_bytes()
    model = build_model(args.size, dtype, device)
    if args.gradient_checkpointing:
        model.gradient_checkpointing_enable()
    model.train()
    params = f"{model.num_parameters():,} parameters"
    print(f"{torch.cuda.get_device_name()}: llama-{args.size}, {params}")

    lr = args.lr or (1e-3 if tiny else 1e-4)
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=lr, betas=(0.9, 0.95), weight_decay=0.1, fused=True
    )
    losses = {}
    for step in range(args.steps):
        ids = get_batch(data, args.batch_size, args.seq_len, device)
        loss = model(input_ids=ids, labels=ids).loss  # the model shifts the labels itself
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        if step % 10 == 0 or step == args.steps - 1:
            losses[step] = loss.item()
            print(f"step {step} loss {losses[step]:.4f}", flush=True)

    print(f"peak memory {torch.cuda.max_memory_allocated() / 2**20:.1f} MiB")
    print(f"first loss {losses[0]:.4f}, last loss {losses[args.steps - 1]:.4f}")


if __name__ == "__main__":
    main()
