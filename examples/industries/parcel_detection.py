"""Logistics: a single-shot detector finds and reads the digits on a parcel; boxes, NMS, crops."""

import torch
import torch.nn.functional as F  # noqa: N812
from sklearn.datasets import load_digits
from torch import nn

STEPS, BATCH, SIDE, CELL = 8, 8, 32, 4


def parcel(images, labels, draw):
    """A picture, the boxes of its two digits (left, top, right, bottom) and what they are."""
    picture = 0.1 * torch.rand(1, SIDE, SIDE, generator=draw)
    boxes, classes = [], []
    for half in range(2):
        i = int(torch.randint(0, len(images), (1,), generator=draw))
        x, y = (int(v) for v in torch.randint(0, 8, (2,), generator=draw))
        x, y = x + 16 * half, y + 8
        picture[0, y : y + 8, x : x + 8] += images[i]
        boxes.append([x, y, x + 8, y + 8])
        classes.append(int(labels[i]))
    return picture, torch.tensor(boxes).float(), torch.tensor(classes)


class Detector(nn.Module):
    """At each cell: is it a digit's middle, how far are its edges, which digit is it?"""

    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(1, 16, 3, 2, 1), nn.GroupNorm(4, 16), nn.Mish(),
            nn.Conv2d(16, 32, 3, 2, 1), nn.GroupNorm(4, 32), nn.Mish(),
            nn.Conv2d(32, 32, 3, 1, 1), nn.Mish(),
        )  # fmt: skip
        self.there, self.edges = nn.Conv2d(32, 1, 1), nn.Conv2d(32, 4, 1)
        self.read = nn.Linear(32 * 4, 10)

    def forward(self, x):
        code = self.body(x)
        return code, self.there(code).flatten(1), F.softplus(self.edges(code)).flatten(2)


def middles(device):
    cell = (torch.arange(SIDE // CELL, device=device) + 0.5) * CELL
    y, x = torch.meshgrid(cell, cell, indexing="ij")
    return torch.stack([x.flatten(), y.flatten()], -1)


def crops(code, boxes):
    """A patch of 2 × 2 of each picture's code inside each box, bilinear."""
    centre = (boxes[..., :2] + boxes[..., 2:]) / SIDE - 1
    offset = torch.tensor([[-1, -1], [1, -1], [-1, 1], [1, 1]], device=boxes.device)
    points = centre[:, :, None] + offset * CELL / SIDE
    return F.grid_sample(code, points, align_corners=False).transpose(1, 2)


def overlap(a, b):
    """Intersection over union of every box of a with every box of b."""
    low, high = torch.maximum(a[:, None, :2], b[:, :2]), torch.minimum(a[:, None, 2:], b[:, 2:])
    shared = (high - low).clamp(min=0).prod(-1)
    return shared / (
        (a[:, 2:] - a[:, :2]).prod(-1)[:, None] + (b[:, 2:] - b[:, :2]).prod(-1) - shared
    )


def kept(boxes, scores, limit=0.5):
    """Non-maximum suppression: the best box of every heap."""
    order, out = scores.argsort(descending=True), []
    while len(order):
        out.append(order[0])
        order = order[1:][overlap(boxes[order[:1]], boxes[order[1:]])[0] <= limit]
    return torch.stack(out)


def main():
    torch.manual_seed(0)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    draw = torch.Generator().manual_seed(1)
    digits = load_digits()
    images, labels = torch.tensor(digits.images).float() / 16, torch.tensor(digits.target)
    model = Detector().to(device)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    place = middles(device)
    losses = []
    for step in range(STEPS):
        parcels = [parcel(images, labels, draw) for _ in range(BATCH)]
        batch = [torch.stack(part).to(device) for part in zip(*parcels, strict=True)]
        pictures, boxes, classes = batch
        code, there, edges = model(pictures)
        far = (place[None, :, None] - (boxes[:, None, :, :2] + boxes[:, None, :, 2:]) / 2).abs()
        near, which = far.amax(-1).min(-1)
        inside = near < CELL
        told = torch.cat([place - edges[:, :2].mT, place + edges[:, 2:].mT], -1)
        wanted = boxes.gather(1, which[..., None].expand(-1, -1, 4))
        loss = F.binary_cross_entropy_with_logits(there, inside.float())
        loss = loss + 0.1 * F.smooth_l1_loss(told[inside], wanted[inside])
        scores = model.read(crops(code, boxes).flatten(2))
        loss = loss + F.cross_entropy(scores.flatten(0, 1), classes.flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
        print(f"step {step} loss {losses[-1]:.6f}", flush=True)
    best = kept(told[0].detach(), there[0].detach())
    print(f"{len(best)} of {len(place)} boxes kept")
    print(f"first loss {losses[0]:.4f}, last loss {losses[-1]:.4f}")


if __name__ == "__main__":
    main()
