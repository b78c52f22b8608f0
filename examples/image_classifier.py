"""Train a ResNet on scikit-learn's handwritten digits (or ResNet-50/VGG-16 on synthetic images)."""

import argparse
import itertools

import torch
import torch.nn.functional as F  # noqa: N812
from sklearn.datasets import load_digits
from torch.utils.data import DataLoader, Dataset
from vision_models import VGG16, ResNet50, SmallResNet


class Digits(Dataset):
    """The 1797 real 8x8 digits, upscaled to RGB images of the wanted size."""

    def __init__(self, train, image_size):
        images, labels = load_digits(return_X_y=True)
        part = slice(0, 1500) if train else slice(1500, None)
        self.images = torch.tensor(images[part], dtype=torch.float32).view(-1, 1, 8, 8) / 8 - 1
        self.labels = torch.tensor(labels[part])
        self.size = (image_size, image_size)

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, i):
        image = F.interpolate(self.images[i : i + 1], self.size, mode="bilinear")
        return image[0].expand(3, -1, -1), self.labels[i]


def forever(loader):
    while True:
        yield from loader


def accuracy(model, loader, device):
    model.eval()
    correct = torch.zeros((), dtype=torch.long, device=device)
    with torch.no_grad():
        for images, labels in loader:
            logits = model(images.to(device, non_blocking=True))
            correct += (logits.argmax(1) == labels.to(device, non_blocking=True)).sum()
    return correct.item() / len(loader.dataset)


def main():
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("--arch", choices=["small", "resnet50", "vgg16"], default="small")
    p.add_argument("--depth", type=int, choices=[8, 20], default=8, help="of --arch small")
    p.add_argument("--steps", type=int, default=60)
    p.add_argument("--batch-size", type=int, default=64)
    p.add_argument("--image-size", type=int, default=32)
    p.add_argument("--synthetic", action="store_true", help="one random batch, 1000 classes")
    p.add_argument("--channels-last", action="store_true")
    p.add_argument("--dtype", choices=["float32", "bfloat16", "float16"], default="float32")
    p.add_argument("--lr", type=float, help="default 0.1 (small) or 0.01")
    p.add_argument("--seed", type=int, default=0)
    args = p.parse_args()

    torch.manual_seed(args.seed)
    device = torch.device("cuda")
    if args.synthetic:
        classes = 1000
        shape = (args.batch_size, 3, args.image_size, args.image_size)
        batches = itertools.repeat((torch.randn(shape), torch.randint(classes, shape[:1])))
    else:
        classes = 10
        train, test = (Digits(part, args.image_size) for part in (True, False))
        options = {"batch_size": args.batch_size, "pin_memory": True}
        batches = forever(DataLoader(train, shuffle=True, drop_last=True, **options))
        test_loader = DataLoader(test, **options)

    models = {"resnet50": ResNet50, "vgg16": VGG16}
    model = models[args.arch](classes) if args.arch in models else SmallResNet(args.depth, classes)
    layout = torch.channels_last if args.channels_last else torch.contiguous_format
    model = model.to(device, memory_format=layout)
    print(f"{args.arch}: {sum(p.numel() for p in model.parameters()):,} parameters")

    lr = args.lr or (0.1 if args.arch == "small" else 0.01)
    optimizer = torch.optim.SGD(model.parameters(), lr, momentum=0.9, weight_decay=1e-4)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, args.steps)
    scaler = torch.amp.GradScaler("cuda", enabled=args.dtype == "float16")
    dtype = getattr(torch, args.dtype)

    losses = {}
    for step, (images, labels) in zip(range(args.steps), batches, strict=False):
        images = images.to(device, non_blocking=True, memory_format=layout)
        labels = labels.to(device, non_blocking=True)
        with torch.autocast("cuda", dtype=dtype, enabled=dtype != torch.float32):
            loss = F.cross_entropy(model(images), labels)
        optimizer.zero_grad()
        scaler.scale(loss).backward()
        scaler.step(optimizer)
        scaler.update()
        schedule.step()
        if step % 10 == 0 or step == args.steps - 1:
            losses[step] = loss.item()
            print(f"step {step} loss {losses[step]:.4f}", flush=True)

    if not args.synthetic:
        print(f"test accuracy {accuracy(model, test_loader, device):.3f}")
    print(f"first loss {losses[0]:.4f}, last loss {losses[args.steps - 1]:.4f}")


if __name__ == "__main__":
    main()
