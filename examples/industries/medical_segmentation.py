"""Medical imaging in small: a UNet marks, pixel by pixel, what lies where in a noisy picture."""

import torch
import torch.nn.functional as F  # noqa: N812
from sklearn.datasets import load_digits
from torch import nn

STEPS, BATCH, CLASSES = 8, 8, 11


def double(c_in, c_out):
    return nn.Sequential(
        nn.Conv2d(c_in, c_out, 3, padding=1, bias=False), nn.BatchNorm2d(c_out), nn.ReLU(),
        nn.Conv2d(c_out, c_out, 3, padding=1, bias=False), nn.BatchNorm2d(c_out), nn.ReLU(),
    )  # fmt: skip


class UNet(nn.Module):
    def __init__(self, width=8):
        super().__init__()
        self.down = nn.ModuleList([double(1, width), double(width, 2 * width)])
        self.bottom = double(2 * width, 4 * width)
        self.grow = nn.ModuleList([nn.ConvTranspose2d(4 * width, 2 * width, 2, stride=2),
                                   nn.ConvTranspose2d(2 * width, width, 2, stride=2)])  # fmt: skip
        self.up = nn.ModuleList([double(4 * width, 2 * width), double(2 * width, width)])
        self.last = nn.Conv2d(width, CLASSES, 1)

    def forward(self, x):
        kept = []
        for block in self.down:
            kept.append(block(x))
            x = F.max_pool2d(kept[-1], 2)
        x = self.bottom(x)
        for grow, block in zip(self.grow, self.up, strict=True):
            x = block(torch.cat([grow(x), kept.pop()], 1))
        return self.last(x)


def dice_loss(scores, target):
    """One minus the mean overlap of what was told with what is there."""
    told = scores.softmax(1)
    there = F.one_hot(target, CLASSES).permute(0, 3, 1, 2).float()
    overlap = 2 * (told * there).sum((0, 2, 3)) + 1
    return 1 - (overlap / (told.sum((0, 2, 3)) + there.sum((0, 2, 3)) + 1)).mean()


def scene(images, labels, draw):
    """Four digits in a picture of 32 × 32, and what each pixel belongs to."""
    picture = torch.zeros(1, 32, 32)
    classes = torch.zeros(32, 32, dtype=torch.long)
    for corner in range(4):
        i = int(torch.randint(0, len(images), (1,), generator=draw))
        y, x = (int(v) for v in torch.randint(0, 9, (2,), generator=draw))
        y, x = y + 16 * (corner // 2), x + 16 * (corner % 2)
        picture[0, y : y + 8, x : x + 8] = images[i]
        classes[y : y + 8, x : x + 8] = (images[i] > 0.3) * (labels[i] + 1)
    return picture + 0.2 * torch.randn(picture.shape, generator=draw), classes


def main():
    torch.manual_seed(0)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    draw = torch.Generator().manual_seed(1)
    digits = load_digits()
    images, labels = torch.tensor(digits.images).float() / 16, torch.tensor(digits.target)
    model = UNet().to(device, memory_format=torch.channels_last)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9, nesterov=True)
    losses = []
    for step in range(STEPS):
        pictures, classes = zip(*[scene(images, labels, draw) for _ in range(BATCH)], strict=True)
        pictures, classes = torch.stack(pictures).to(device), torch.stack(classes).to(device)
        scores = model(pictures.contiguous(memory_format=torch.channels_last))
        loss = F.cross_entropy(scores, classes) + dice_loss(scores, classes)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
        print(f"step {step} loss {losses[-1]:.6f}", flush=True)
    print(f"first loss {losses[0]:.4f}, last loss {losses[-1]:.4f}")


if __name__ == "__main__":
    main()
