"""Image classification in the manner of PyTorch's own example for ImageNet; digits as images."""

import argparse
import random
import shutil
import tempfile
import time
import warnings

import torch
import torch.nn as nn
import torch.nn.functional as F
import torch.nn.parallel
import torch.optim
import torch.utils.data
from sklearn.datasets import load_digits
from torch.optim.lr_scheduler import StepLR

parser = argparse.ArgumentParser()
parser.add_argument("-j", "--workers", default=2, type=int)
parser.add_argument("--epochs", default=2, type=int)
parser.add_argument("-b", "--batch-size", default=64, type=int)
parser.add_argument("--lr", default=0.05, type=float)
parser.add_argument("-p", "--print-freq", default=4, type=int)
parser.add_argument("--gpu", default=None, type=int)
parser.add_argument("--seed", default=None, type=int)
parser.add_argument("--samples", default=512, type=int)
parser.add_argument("--dummy", action="store_true")
best_acc1 = 0


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(3, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16), nn.ReLU(inplace=True),
            nn.Conv2d(16, 32, 3, stride=2, padding=1), nn.ReLU(inplace=True),
        )  # fmt: skip
        self.fc = nn.Linear(32, 10)

    def forward(self, x):
        return self.fc(F.adaptive_avg_pool2d(self.features(x), 1).flatten(1))


class AverageMeter:
    def __init__(self, name, fmt=":f"):
        self.name, self.fmt = name, fmt
        self.val = self.avg = self.sum = self.count = 0

    def update(self, val, n=1):
        self.val = val
        self.sum += val * n
        self.count += n
        self.avg = self.sum / self.count

    def __str__(self):
        return ("{name} {val" + self.fmt + "} ({avg" + self.fmt + "})").format(**self.__dict__)


def accuracy(output, target, topk=(1,)):
    with torch.no_grad():
        maxk = max(topk)
        _, pred = output.topk(maxk, 1, True, True)
        pred = pred.t()
        correct = pred.eq(target.view(1, -1).expand_as(pred))
        return [
            correct[:k].reshape(-1).float().sum(0, keepdim=True).mul_(100.0 / target.size(0))
            for k in topk
        ]


def run_epoch(loader, model, criterion, optimizer, device, args, epoch):
    losses, top1, top5 = (AverageMeter(n, ":6.2f") for n in ("Loss", "Acc@1", "Acc@5"))
    batch_time, end = AverageMeter("Time", ":6.3f"), time.time()
    model.train(optimizer is not None)
    with torch.set_grad_enabled(optimizer is not None):
        for i, (images, target) in enumerate(loader):
            images = images.to(device, non_blocking=True)
            target = target.to(device, non_blocking=True)
            output = model(images)
            loss = criterion(output, target)
            acc1, acc5 = accuracy(output, target, topk=(1, 5))
            losses.update(loss.item(), images.size(0))
            top1.update(acc1[0], images.size(0))
            top5.update(acc5[0], images.size(0))
            if optimizer is not None:
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
            batch_time.update(time.time() - end)
            end = time.time()
            if i % args.print_freq == 0:
                print(
                    f"Epoch [{epoch}][{i}/{len(loader)}]", batch_time, losses, top1, top5, sep="\t"
                )
    return losses.avg, top1.avg


def main():
    global best_acc1
    args = parser.parse_args()
    if args.seed is not None:
        random.seed(args.seed)
        torch.manual_seed(args.seed)
        torch.backends.cudnn.deterministic = True
        torch.backends.cudnn.benchmark = False
        warnings.warn("seeded training is slower", stacklevel=1)
    if torch.accelerator.is_available():
        device = torch.device("cuda" if args.gpu is None else f"cuda:{args.gpu}")
    else:
        device = torch.device("cpu")
    model = Net()
    if args.gpu is not None:
        torch.cuda.set_device(args.gpu)
        model = model.cuda(args.gpu)
    elif torch.cuda.is_available():
        model.features = torch.nn.DataParallel(model.features)
        model.cuda()
    criterion = nn.CrossEntropyLoss().to(device)
    optimizer = torch.optim.SGD(model.parameters(), args.lr, momentum=0.9, weight_decay=1e-4)
    scheduler = StepLR(optimizer, step_size=1, gamma=0.5)
    torch.backends.cudnn.benchmark = True
    digits = load_digits()
    x = torch.tensor(digits.images, dtype=torch.float32)[: args.samples, None].expand(-1, 3, 8, 8)
    data = torch.utils.data.TensorDataset(x / 16, torch.tensor(digits.target)[: args.samples])
    options = {"num_workers": args.workers, "pin_memory": torch.cuda.is_available()}
    loader = torch.utils.data.DataLoader(data, args.batch_size, shuffle=True, **options)
    val_loader = torch.utils.data.DataLoader(data, args.batch_size, shuffle=False, **options)
    folder = tempfile.mkdtemp()
    for epoch in range(args.epochs):
        run_epoch(loader, model, criterion, optimizer, device, args, epoch)
        loss, acc1 = run_epoch(val_loader, model, criterion, None, device, args, epoch)
        scheduler.step()
        is_best, best_acc1 = acc1 > best_acc1, max(acc1, best_acc1)
        name = f"{folder}/checkpoint.pth.tar"
        state = {
            "epoch": epoch + 1,
            "state_dict": model.state_dict(),
            "best_acc1": best_acc1,
            "optimizer": optimizer.state_dict(),
            "scheduler": scheduler.state_dict(),
        }
        torch.save(state, name)
        if is_best:
            shutil.copyfile(name, f"{folder}/model_best.pth.tar")
        print(f"epoch {epoch} loss {loss:.4f} acc {float(acc1):.3f}")
    where = None if args.gpu is None else f"cuda:{args.gpu}"
    checkpoint = torch.load(name, map_location=where, weights_only=True)
    model.load_state_dict(checkpoint["state_dict"])
    optimizer.load_state_dict(checkpoint["optimizer"])


if __name__ == "__main__":
    main()
