"""Data on its way to the card, checkpoints on their way to disk, as scripts for CUDA write them."""

import io
import tempfile
from pathlib import Path

import torch
import torch.nn.functional as F
import ways
from torch import nn
from torch.utils.data import DataLoader, IterableDataset, TensorDataset, random_split


def dataset():
    return TensorDataset(torch.arange(48.0).view(12, 4) / 10, torch.arange(12) % 3)


class Seeded(IterableDataset):
    def __iter__(self):
        info = torch.utils.data.get_worker_info()
        start = info.id if info else 0
        step = info.num_workers if info else 1
        yield from (torch.full((2,), float(n)) for n in range(start, 8, step))


def way_loaders_with_workers(device):
    cuda = device == "cuda"
    loader = DataLoader(
        dataset(), 4, shuffle=True, num_workers=2, pin_memory=cuda, persistent_workers=True,
        prefetch_factor=2, drop_last=True, generator=torch.Generator().manual_seed(3),
    )  # fmt: skip
    seen = []
    for _ in range(2):
        for x, y in loader:
            assert x.is_pinned() == cuda
            x = x.to(device, non_blocking=True)
            y = y.to(device, non_blocking=True)
            seen.append(x.sum() + y.sum())
    stream = DataLoader(Seeded(), 2, num_workers=2)
    return seen, sum(x.to(device).sum() for x in stream)


def way_loaders_and_samplers(device):
    from torch.utils.data import WeightedRandomSampler, default_collate

    train, test = random_split(dataset(), [9, 3], torch.Generator().manual_seed(1))
    sampler = WeightedRandomSampler([1.0] * 9, 6, generator=torch.Generator().manual_seed(2))

    def collate(rows):
        x, y = default_collate(rows)
        return {"x": x.to(device), "y": y.to(device)}

    out = [b["x"] for b in DataLoader(train, 3, sampler=sampler, collate_fn=collate)]
    return out, [b["y"] for b in DataLoader(test, 3, collate_fn=collate)]


class Prefetcher:
    """Copies the next batch on a side stream while the model works on this one."""

    def __init__(self, loader):
        self.loader = iter(loader)
        self.stream = torch.cuda.Stream()
        self.preload()

    def preload(self):
        try:
            x, y = next(self.loader)
        except StopIteration:
            self.batch = None
            return
        with torch.cuda.stream(self.stream):
            x, y = x.cuda(non_blocking=True), y.cuda(non_blocking=True)
            self.batch = x.float().sub_(1).div_(2), y

    def __iter__(self):
        while self.batch is not None:
            torch.cuda.current_stream().wait_stream(self.stream)
            x, y = self.batch
            x.record_stream(torch.cuda.current_stream())
            y.record_stream(torch.cuda.current_stream())
            self.preload()
            yield x, y


def way_a_prefetcher_on_a_side_stream(device):
    loader = DataLoader(dataset(), 4, pin_memory=device == "cuda")
    if device == "cuda":
        batches = Prefetcher(loader)
    else:
        batches = ((x.float().sub_(1).div_(2), y) for x, y in loader)
    model = nn.Linear(4, 3).to(device)
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    losses = []
    for x, y in batches:
        loss = F.cross_entropy(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.detach())
    return torch.stack(losses)


def way_events_and_streams_of_a_pipeline(device):
    x = torch.randn(8, 8).to(device)
    if device == "cpu":
        return x @ x + 1
    ready = torch.cuda.Event()
    side = torch.cuda.Stream(priority=-1)
    y = x @ x
    ready.record()
    with torch.cuda.stream(side):
        side.wait_event(ready)
        z = y + 1
        done = side.record_event()
    torch.cuda.current_stream().wait_event(done)
    done.synchronize()
    assert done.query() and side.query()
    side.synchronize()
    return z


def way_pinned_buffers_both_ways(device):
    host = torch.randn(1000)
    host = host.pin_memory() if device == "cuda" else host
    x = host.to(device, non_blocking=True) * 2
    back = torch.empty(1000, pin_memory=device == "cuda")
    back.copy_(x, non_blocking=True)
    if device == "cuda":
        torch.cuda.synchronize()
    return back


# ---- checkpoints


def trained(device):
    model = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Linear(8, 3)).to(device)
    optimizer = torch.optim.AdamW(model.parameters(), 1e-2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.1, total_steps=10)
    return model, optimizer, schedule


def steps(model, optimizer, schedule, device, n=2):
    losses = []
    for _ in range(n):
        x, y = torch.randn(6, 4).to(device), torch.arange(6).to(device) % 3
        loss = F.cross_entropy(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        losses.append(loss.item())
    return losses


def way_training_goes_on_from_a_checkpoint(device):
    folder = Path(tempfile.mkdtemp())
    parts = trained(device)
    scaler = torch.amp.GradScaler(device)
    steps(*parts, device)
    torch.save(
        {
            "model": parts[0].state_dict(), "optimizer": parts[1].state_dict(),
            "schedule": parts[2].state_dict(), "scaler": scaler.state_dict(), "epoch": 3,
            "rng": torch.get_rng_state(),
            "cuda_rng": torch.cuda.get_rng_state() if device == "cuda" else None,
        },
        folder / "last.pt",
    )  # fmt: skip
    on = steps(*parts, device)
    for where in (device, "cpu", None):
        found = torch.load(folder / "last.pt", map_location=where, weights_only=True)
        again = trained(device)
        for part, name in zip(again, ("model", "optimizer", "schedule"), strict=True):
            part.load_state_dict(found[name])
        scaler.load_state_dict(found["scaler"])
        torch.set_rng_state(found["rng"].cpu())
        if device == "cuda":
            torch.cuda.set_rng_state(found["cuda_rng"].cpu())
        assert steps(*again, device) == on
        assert found["epoch"] == 3
    return on


def way_maps_of_locations(device):
    def saved(thing, **options):
        file = io.BytesIO()
        torch.save(thing, file, **options)
        file.seek(0)
        return file

    x = torch.arange(4.0).to(device)
    other = "cpu"
    maps = [None, device, torch.device(device), other, lambda storage, where: storage]
    out = [
        torch.load(saved(x), map_location=m, weights_only=w) for m in maps for w in (True, False)
    ]
    if device == "cuda":
        maps = [
            {"cuda:0": "cpu"},
            {"cuda:0": "cuda:0"},
            "cuda:0",
            lambda s, where: s.cuda(0),
            "gcu",
        ]
        out += [torch.load(saved(x), map_location=m, weights_only=False) for m in maps]
        assert not out[-5].is_cuda and out[-4].is_cuda and out[-2].is_cuda and out[-1].is_cuda
        out = out[:10]
    old = torch.load(saved(x, _use_new_zipfile_serialization=False))
    shared = {"a": x, "b": x[1:], "p": nn.Parameter(x * 2), "n": 3}
    found = torch.load(saved(shared), weights_only=True)
    found["a"][1] = 9
    assert found["b"][0] == 9, "views share their memory"
    return out, old, found["p"]


def way_memory_mapped_checkpoints(device):
    path = Path(tempfile.mkdtemp()) / "x.pt"
    torch.save({"w": torch.arange(6.0)}, path)
    found = torch.load(path, mmap=True, map_location="cpu", weights_only=True)
    with torch.device("meta"):
        model = nn.Linear(2, 3, bias=False)
    model.load_state_dict({"weight": found["w"].view(3, 2)}, assign=True)
    return model.to(device).weight


def way_safetensors(device):
    from safetensors import safe_open
    from safetensors.torch import load_file, load_model, save_file, save_model

    folder = Path(tempfile.mkdtemp())
    model = nn.Linear(3, 2).to(device)
    save_file({"w": model.weight, "h": model.weight.bfloat16()}, folder / "a.safetensors")
    save_model(model, str(folder / "b.safetensors"))
    found = load_file(folder / "a.safetensors", device=device)
    assert found["w"].device.type == device
    fresh = nn.Linear(3, 2).to(device)
    load_model(fresh, str(folder / "b.safetensors"))
    with safe_open(str(folder / "a.safetensors"), "pt", device=device) as file:
        lazily = [file.get_tensor(name) for name in file.keys()]  # noqa: SIM118
        part = file.get_slice("w")[:1]
    assert lazily[0].device.type == device
    return found, fresh.weight, lazily, part


def way_optimizer_states_move(device):
    model, optimizer, _ = trained(device)
    F.cross_entropy(model(torch.randn(6, 4).to(device)), torch.arange(6).to(device) % 3).backward()
    optimizer.step()
    for state in optimizer.state.values():
        for name, value in state.items():
            state[name] = value.cpu()
    for state in optimizer.state.values():
        for name, value in state.items():
            state[name] = value.to(device) if name != "step" else value
    optimizer.step()
    return model[0].weight


def way_offloading_by_hand(device):
    blocks = [nn.Linear(4, 4) for _ in range(3)]
    x = torch.randn(2, 4).to(device)
    for block in blocks:
        block.to(device)
        kept = block(x).relu()
        x = kept.detach()
        block.to("cpu")  # while a graph still knows its weights
        assert block.weight.device.type == "cpu"
    host = nn.Linear(4, 2)
    y = host(x.cpu())
    y.sum().backward()
    return y, host.weight.grad


def way_numpy_lists_and_dlpack(device):
    x = torch.arange(6.0).view(2, 3).to(device)
    try:
        x.numpy()
    except TypeError as error:
        assert device == "cuda" and "cpu" in str(error)
    host = x.detach().cpu().numpy()
    back = torch.as_tensor(host, device=device)
    assert x.tolist() == host.tolist()
    return back, torch.utils.dlpack.from_dlpack(x.cpu()), [float(v) for v in x.flatten()]


if __name__ == "__main__":
    ways.run(globals())
