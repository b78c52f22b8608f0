"""Train a BERT classifier to tell which standard-library package a paragraph comes from."""

import argparse
import os
import random
import re
import zlib
from pathlib import Path

import torch
from torch.utils.data import DataLoader, TensorDataset
from transformers import BertConfig, BertForSequenceClassification, get_linear_schedule_with_warmup

PACKAGES = ["asyncio", "email", "multiprocessing", "unittest"]
PER_CLASS = 500
PAD, CLS, SEP, SPECIAL = 0, 1, 2, 3
SIZES = {  # layers, hidden, heads
    "tiny": (2, 128, 2),
    "base": (12, 768, 12),
    "large": (24, 1024, 16),
}


def paragraphs(package, rng):
    """PER_CLASS source paragraphs of one package, each as a list of words and signs."""
    folder = Path(os.__file__).parent / package
    files = [f for f in sorted(folder.rglob("*.py")) if "test" not in f.relative_to(folder).parts]
    text = "\n\n".join(f.read_text(encoding="utf-8") for f in files)
    split = (re.findall(r"[a-z]+|[^a-z\s]", s.lower()) for s in re.split(r"\n\s*\n", text))
    found = [words for words in split if len(words) >= 15]
    return rng.sample(found, PER_CLASS)


def encode(words, vocab_size, seq_len):
    """Hash words into the vocabulary, add [CLS] and [SEP], pad to seq_len."""
    hashed = [SPECIAL + zlib.crc32(w.encode()) % (vocab_size - SPECIAL) for w in words]
    ids = [CLS, *hashed[: seq_len - 2], SEP]
    return ids + [PAD] * (seq_len - len(ids))


def load_data(vocab_size, seq_len, seed):
    rng = random.Random(seed)
    rows = [(words, label) for label, p in enumerate(PACKAGES) for words in paragraphs(p, rng)]
    rng.shuffle(rows)
    ids = torch.tensor([encode(words, vocab_size, seq_len) for words, _ in rows])
    data = ids, (ids != PAD).long(), torch.tensor([label for _, label in rows])
    cut = len(rows) * 4 // 5
    return TensorDataset(*(t[:cut] for t in data)), TensorDataset(*(t[cut:] for t in data))


def forever(loader):
    while True:
        yield from loader


def accuracy(model, loader, device):
    model.eval()
    correct = 0
    with torch.no_grad():
        for batch in loader:
            ids, mask, labels = (t.to(device, non_blocking=True) for t in batch)
            logits = model(input_ids=ids, attention_mask=mask).logits
            correct += (logits.argmax(-1) == labels).sum().item()
    return correct / len(loader.dataset)


def main():
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("--size", choices=SIZES, default="tiny")
    p.add_argument("--steps", type=int, default=100)
    p.add_argument("--batch-size", type=int, default=32)
    p.add_argument("--seq-len", type=int, default=64)
    p.add_argument("--dtype", choices=["float32", "bfloat16", "float16"], default="float32")
    p.add_argument("--lr", type=float, help="default 1e-3 (tiny) or 5e-5")
    p.add_argument("--no-eval", action="store_true", help="skip the test accuracy")
    p.add_argument("--seed", type=int, default=0)
    args = p.parse_args()

    torch.manual_seed(args.seed)
    device = torch.device("cuda")
    layers, hidden, heads = SIZES[args.size]
    config = BertConfig(
        hidden_size=hidden,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        intermediate_size=4 * hidden,
        num_labels=len(PACKAGES),
        attn_implementation="sdpa",
    )
    train, test = load_data(config.vocab_size, args.seq_len, args.seed)
    options = {"batch_size": args.batch_size, "pin_memory": True}
    train_loader = DataLoader(train, shuffle=True, drop_last=True, **options)
    model = BertForSequenceClassification(config).to(device)
    print(f"bert-{args.size}: {model.num_parameters():,} parameters, {len(train)} paragraphs")

    lr = args.lr or (1e-3 if args.size == "tiny" else 5e-5)
    optimizer = torch.optim.AdamW(model.parameters(), lr=lr, weight_decay=0.01, fused=True)
    schedule = get_linear_schedule_with_warmup(optimizer, args.steps // 10, args.steps)
    scaler = torch.amp.GradScaler("cuda", enabled=args.dtype == "float16")
    dtype = getattr(torch, args.dtype)

    model.train()
    losses = {}
    for step, batch in zip(range(args.steps), forever(train_loader), strict=False):
        ids, mask, labels = (t.to(device, non_blocking=True) for t in batch)
        with torch.autocast("cuda", dtype=dtype, enabled=dtype != torch.float32):
            loss = model(input_ids=ids, attention_mask=mask, labels=labels).loss
        scaler.scale(loss).backward()
        scaler.unscale_(optimizer)
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        scaler.step(optimizer)
        scaler.update()
        schedule.step()
        optimizer.zero_grad()
        if step % 10 == 0 or step == args.steps - 1:
            losses[step] = loss.item()
            print(f"step {step} loss {losses[step]:.4f}", flush=True)

    if not args.no_eval:
        test_loader = DataLoader(test, **options)
        print(f"test accuracy {accuracy(model, test_loader, device):.3f}")
    print(f"first loss {losses[0]:.4f}, last loss {losses[args.steps - 1]:.4f}")


if __name__ == "__main__":
    main()
