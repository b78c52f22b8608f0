"""Translation: `torch.nn.Transformer` learns to write numbers out in English."""

import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn

ONES = """zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen
fifteen sixteen seventeen eighteen nineteen""".split()
TENS = "twenty thirty forty fifty sixty seventy eighty ninety".split()
WORDS = ["<pad>", "<start>", "<end>", *ONES, *TENS, "hundred", "thousand", "and"]
NUMBER = {word: i for i, word in enumerate(WORDS)}
DIGITS, LONGEST, BATCH, STEPS, WIDTH = 6, 16, 32, 12, 32


def words(n):
    if n < 20:
        return [ONES[n]]
    if n < 100:
        return [TENS[n // 10 - 2], *([ONES[n % 10]] if n % 10 else [])]
    name, size = ("hundred", 100) if n < 1000 else ("thousand", 1000)
    rest = n % size
    return [
        *words(n // size),
        name,
        *(["and"] if 0 < rest < 100 else []),
        *(words(rest) if rest else []),
    ]


def padded(ids, length):
    return ids + [0] * (length - len(ids))


class Translator(nn.Module):
    def __init__(self):
        super().__init__()
        self.digits, self.words = nn.Embedding(11, WIDTH), nn.Embedding(len(WORDS), WIDTH)
        self.place = nn.Embedding(32, WIDTH)
        self.body = nn.Transformer(WIDTH, 4, 2, 2, 64, dropout=0.0, batch_first=True)
        self.head = nn.Linear(WIDTH, len(WORDS))

    def forward(self, source, target):
        place = self.place(torch.arange(32, device=source.device))
        mask = nn.Transformer.generate_square_subsequent_mask(target.shape[1], source.device)
        hidden = self.body(
            self.digits(source) + place[: source.shape[1]],
            self.words(target) + place[: target.shape[1]],
            tgt_mask=mask, tgt_is_causal=True,
            src_key_padding_mask=torch.zeros_like(mask[0, 0]).expand(source.shape).clone()
            .masked_fill(source == 0, -torch.inf),
            tgt_key_padding_mask=torch.zeros(target.shape, device=source.device)
            .masked_fill(target == 0, -torch.inf),
        )  # fmt: skip
        return self.head(hidden)


def main():
    torch.manual_seed(0)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    draw = torch.Generator().manual_seed(1)
    model = Translator().to(device)
    optimizer = torch.optim.Adamax(model.parameters(), lr=5e-3)
    losses = []
    for step in range(STEPS):
        size = 10 ** torch.randint(1, DIGITS, (BATCH,), generator=draw)
        numbers = (torch.rand(BATCH, generator=draw) * size).long().tolist()
        source = [padded([int(d) + 1 for d in str(n)], DIGITS) for n in numbers]
        target = [padded([1, *(NUMBER[w] for w in words(n)), 2], LONGEST) for n in numbers]
        source, target = torch.tensor(source).to(device), torch.tensor(target).to(device)
        scores = model(source, target[:, :-1])
        loss = F.cross_entropy(scores.transpose(1, 2), target[:, 1:], ignore_index=0)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
        print(f"step {step} loss {losses[-1]:.6f}", flush=True)
    print(f"first loss {losses[0]:.4f}, last loss {losses[-1]:.4f}")


if __name__ == "__main__":
    main()
