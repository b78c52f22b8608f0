"""Visual inspection: which material lies on the belt? Brick, grass or gravel, from photographs.

Data: three photographs of 512 × 512 pixels inside scikit-image. The left part of each is for
training, the right part, which training never sees, for the test.
"""

import argparse
from importlib.util import find_spec
from pathlib import Path

import torch
import torch.nn.functional as F  # noqa: N812
from PIL import Image
from torch import nn

MATERIALS = ("brick", "grass", "gravel")
SIDE, SPLIT = 32, 320


def photographs():
    """Grey values around 0, [3, 512, 512]."""
    folder = Path(find_spec("skimage").submodule_search_locations[0]) / "data"
    pictures = [Image.open(folder / f"{name}.png").convert("L") for name in MATERIALS]
    rows = [torch.frombuffer(bytearray(p.tobytes()), dtype=torch.uint8) for p in pictures]
    return torch.stack(rows).view(len(rows), 512, 512).float() / 128 - 1


def drawn(pictures, count, draw):
    """Pieces of the left part, a third mirrored, and what they show."""
    shown = torch.randint(0, len(MATERIALS), (count,), generator=draw)
    tops = torch.randint(0, 512 - SIDE, (count,), generator=draw)
    lefts = torch.randint(0, SPLIT - SIDE, (count,), generator=draw)
    corners = zip(shown.tolist(), tops.tolist(), lefts.tolist(), strict=True)
    pieces = [pictures[m, y : y + SIDE, x : x + SIDE] for m, y, x in corners]
    pieces[::3] = [piece.flip(1) for piece in pieces[::3]]
    return torch.stack(pieces)[:, None], shown


def block(c_in, c_out):
    conv = nn.Conv2d(c_in, c_out, 3, padding=1, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(c_out), nn.ReLU(), nn.MaxPool2d(2))


def accuracy(model, pictures, device):
    """The share of pieces of the right part that are told right."""
    tiles = pictures[:, :, SPLIT:].unfold(1, SIDE, SIDE).unfold(2, SIDE, SIDE)
    tiles = tiles.reshape(len(MATERIALS), -1, 1, SIDE, SIDE)
    model.eval()
    with torch.no_grad():
        told = [model(of_one.to(device)).argmax(1).cpu() for of_one in tiles]
    model.train()
    return torch.stack([(t == i).float().mean() for i, t in enumerate(told)]).mean().item()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=80)
    parser.add_argument("--batch-size", type=int, default=32)
    args = parser.parse_args()
    torch.manual_seed(0)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    draw = torch.Generator().manual_seed(1)
    pictures = photographs()
    model = nn.Sequential(
        block(1, 16), block(16, 32), block(32, 64), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
        nn.Linear(64, len(MATERIALS)),
    ).to(device)  # fmt: skip
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9, nesterov=True)
    losses = []
    for step in range(args.steps):
        pieces, shown = drawn(pictures, args.batch_size, draw)
        loss = F.cross_entropy(model(pieces.to(device)), shown.to(device))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
        print(f"step {step} loss {losses[-1]:.6f}", flush=True)
    print(f"first loss {losses[0]:.4f}, last loss {losses[-1]:.4f}")
    print(f"accuracy on unseen parts of the photographs: {accuracy(model, pictures, device):.3f}")


if __name__ == "__main__":
    main()
