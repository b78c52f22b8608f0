"""Data-parallel training of BERT-large (SQuAD) or Transformer-base (WMT14), as torchrun runs it.

Synthetic batches of the published sizes; every rank reads its own.

    torchrun --nproc-per-node 8 scaling.py --model bert
"""

import argparse
import os

import torch
import torch.distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel


class TranslationModel(nn.Module):
    """The base Transformer of "Attention is all you need" with a shared vocabulary."""

    def __init__(self, vocab: int, width: int = 512, layers: int = 6, ff: int = 2048) -> None:
        super().__init__()
        self.embed = nn.Embedding(vocab, width)
        self.transformer = nn.Transformer(
            width, 8, layers, layers, ff, dropout=0.1, batch_first=True
        )
        self.head = nn.Linear(width, vocab, bias=False)
        self.head.weight = self.embed.weight

    def forward(self, source: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        mask = nn.Transformer.generate_square_subsequent_mask(target.shape[1], device=target.device)
        hidden = self.transformer(
            self.embed(source), self.embed(target), tgt_mask=mask, tgt_is_causal=True
        )
        return self.head(hidden)


def bert(args: argparse.Namespace, device: torch.device):
    from transformers import BertConfig, BertForQuestionAnswering

    sizes = {
        "large": {"hidden_size": 1024, "num_hidden_layers": 24, "num_attention_heads": 16,
                      "intermediate_size": 4096},
        "tiny": {"hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4,
                     "intermediate_size": 128, "vocab_size": 512},
    }  # fmt: skip
    config = BertConfig(**sizes[args.size])
    model = BertForQuestionAnswering(config).to(device)

    def batch():
        shape = (args.batch_size, args.seq_len)
        ids = torch.randint(config.vocab_size, shape, device=device)
        spots = torch.randint(args.seq_len, (2, args.batch_size), device=device)
        return {"input_ids": ids, "start_positions": spots[0], "end_positions": spots[1]}

    return model, batch, lambda net, inputs: net(**inputs).loss


def transformer(args: argparse.Namespace, device: torch.device):
    vocab = 32768 if args.size == "large" else 512
    model = TranslationModel(vocab) if args.size == "large" else TranslationModel(vocab, 64, 2, 128)
    model.to(device)

    def batch():
        shape = (args.batch_size, args.seq_len)
        return tuple(torch.randint(vocab, shape, device=device) for _ in range(3))

    def loss_of(net, inputs):
        source, target, wanted = inputs
        logits = net(source, target)
        return nn.functional.cross_entropy(logits.flatten(0, 1), wanted.flatten())

    return model, batch, loss_of


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", choices=["bert", "transformer"], default="bert")
    parser.add_argument("--size", choices=["large", "tiny"], default="large")
    parser.add_argument("--batch-size", type=int, default=8)
    parser.add_argument("--seq-len", type=int, default=384)
    parser.add_argument("--steps", type=int, default=4)
    args = parser.parse_args()

    dist.init_process_group("nccl")
    local = int(os.environ["LOCAL_RANK"])
    torch.cuda.set_device(local)
    device = torch.device("cuda", local)
    torch.manual_seed(0)
    model, batch, loss_of = (bert if args.model == "bert" else transformer)(args, device)
    net = DistributedDataParallel(model, device_ids=[local])
    optimizer = torch.optim.AdamW(net.parameters(), 1e-4)
    torch.manual_seed(dist.get_rank())
    for step in range(args.steps):
        loss = loss_of(net, batch())
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        if dist.get_rank() == 0 and step == args.steps - 1:
            print(f"step {step}: loss {loss.item():.4f}")
    dist.destroy_process_group()


if __name__ == "__main__":
    main()
