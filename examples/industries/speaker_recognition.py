"""Speech: which of nine speakers says this vowel?

Data: 640 recordings of two Japanese vowels, as 12 coefficients of linear prediction a frame, 7 to
29 frames long (Kudo, Toyama and Shimbo, 1999; inside the package sktime). 270 are for training,
370 for the test, as published.
"""

import argparse
from importlib.util import find_spec
from pathlib import Path

import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn

SPEAKERS, COEFFICIENTS, LONGEST, WIDTH = 9, 12, 29, 48


def recordings(part):
    """(frames × 12, speaker) of each recording of the part, TRAIN or TEST."""
    package = Path(find_spec("sktime").submodule_search_locations[0])
    path = package / "datasets" / "data" / "JapaneseVowels" / f"JapaneseVowels_{part}.ts"
    for line in path.read_text(encoding="utf-8").splitlines():
        if line and line[0] not in "#@":
            *series, speaker = line.split(":")
            frames = [[float(x) for x in one.split(",") if x not in ("?", "NaN")] for one in series]
            yield torch.tensor(frames).t(), int(speaker) - 1


def padded(rows):
    """Frames [rows, 29, 12], which of them are there [rows, 29, 1], speakers [rows]."""
    frames = torch.zeros(len(rows), LONGEST, COEFFICIENTS)
    there = torch.zeros(len(rows), LONGEST, 1)
    for i, (row, _) in enumerate(rows):
        frames[i, : len(row)], there[i, : len(row)] = row, 1.0
    return frames, there, torch.tensor([speaker for _, speaker in rows])


class Recogniser(nn.Module):
    def __init__(self):
        super().__init__()
        self.inside = nn.Linear(COEFFICIENTS, WIDTH)
        self.gru = nn.GRU(WIDTH, WIDTH, batch_first=True, bidirectional=True)
        self.head = nn.Linear(2 * WIDTH, SPEAKERS)

    def forward(self, frames, there):
        hidden, _ = self.gru(F.gelu(self.inside(frames)))
        return self.head((hidden * there).sum(1) / there.sum(1))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=150)
    parser.add_argument("--batch-size", type=int, default=32)
    args = parser.parse_args()
    torch.manual_seed(0)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    draw = torch.Generator().manual_seed(1)
    known = list(recordings("TRAIN"))
    model = Recogniser().to(device)
    optimizer = torch.optim.AdamW(model.parameters(), lr=5e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 1e-2, total_steps=args.steps)
    losses = []
    for step in range(args.steps):
        chosen = torch.randint(0, len(known), (args.batch_size,), generator=draw).tolist()
        frames, there, speakers = padded([known[i] for i in chosen])
        scores = model(frames.to(device), there.to(device))
        loss = F.cross_entropy(scores, speakers.to(device))
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        losses.append(loss.item())
        print(f"step {step} loss {losses[-1]:.6f}", flush=True)
    frames, there, speakers = padded(list(recordings("TEST")))
    with torch.no_grad():
        told = model(frames.to(device), there.to(device)).argmax(1).cpu()
    print(f"first loss {losses[0]:.4f}, last loss {losses[-1]:.4f}")
    right = (told == speakers).float().mean().item()
    print(f"accuracy on {len(speakers)} unseen recordings: {right:.3f}")


if __name__ == "__main__":
    main()
