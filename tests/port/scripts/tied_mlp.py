"""A small training with many ties; writes its losses as JSON to the file it is given."""

import argparse
import json
from pathlib import Path

import torch
from torch import cuda, nn
from torch.cuda.amp import GradScaler, autocast

DEV = "cuda"


class Net(nn.Module):
    def __init__(self, width, device="cuda:0"):
        super().__init__()
        self.a = nn.Linear(width, 32)
        self.b = nn.Linear(32, 1)
        self.to(device)

    def forward(self, x):
        assert x.device.type == "cuda" or x.device.type == torch.empty(0, device=DEV).device.type
        return self.b(torch.relu(self.a(x)))


def batches(count, rank):
    made = torch.Generator().manual_seed(3)
    for _ in range(count):
        x = torch.randn(16, 8, generator=made)
        y = x.sum(1, keepdim=True).pin_memory()
        yield x.cuda(non_blocking=True), y.cuda(rank)  # both to the card


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("out")
    parser.add_argument("--device", default="cuda", help="where")
    parser.add_argument("--rank", type=int, default=0)
    args = parser.parse_args()
    torch.manual_seed(0)
    torch.cuda.manual_seed_all(0)
    torch.cuda.set_device(args.rank)
    torch.cuda.reset_peak_memory_stats()
    print(f"{torch.cuda.get_device_name(0)}: {torch.cuda.device_count()} cards")
    model = Net(8).to(args.device)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
    scaler = GradScaler()
    side = cuda.Stream()
    start, end = cuda.Event(enable_timing=True), cuda.Event(enable_timing=True)
    total = torch.cuda.FloatTensor(1).fill_(0)
    losses = []
    start.record()
    for x, y in batches(5, args.rank):
        optimizer.zero_grad()
        side.wait_stream(cuda.current_stream())
        with cuda.stream(side):
            x = x * 1.0
        cuda.current_stream().wait_stream(side)
        with autocast(enabled=False):
            loss = (model(x) - y).square().mean()
        with torch.autocast("cuda", dtype=torch.bfloat16):
            assert model(x).dtype == torch.bfloat16
        scaler.scale(loss).backward()
        scaler.step(optimizer)
        scaler.update()
        total += loss.detach().type(torch.float32).to(0)
        losses.append(loss.item())
        if loss.is_cuda:
            torch.cuda.synchronize()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
    end.record()
    torch.cuda.synchronize()
    assert start.elapsed_time(end) >= 0
    state = {k: v.to(f"cuda:{args.rank}") for k, v in model.state_dict().items()}
    torch.save(state, Path(args.out).with_suffix(".pt"))
    torch.load(Path(args.out).with_suffix(".pt"), map_location="cuda")
    print(f"peak {torch.cuda.max_memory_allocated() / 2**20:.1f} MiB, {total.item() / 5:.3f}")
    Path(args.out).write_text(json.dumps(losses))


if __name__ == "__main__":
    main()
