"""DDP and what belongs to it, beside the same training in one process on the host."""

import copy
import sys
from pathlib import Path

import torch
import torch.distributed as dist
from torch import nn
from torch.distributed.algorithms.ddp_comm_hooks import default_hooks
from torch.distributed.algorithms.join import Join
from torch.distributed.optim import ZeroRedundancyOptimizer
from torch.nn.parallel import DistributedDataParallel as DDP
from torch.utils.data import DataLoader, DistributedSampler, TensorDataset
from trying import run, same, start

start()
RANK, SIZE = dist.get_rank(), dist.get_world_size()
CARD = torch.cuda.current_device()
STEPS = 3


def net() -> nn.Module:
    return nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 4))


def batch(step: int, samples: int = 4) -> tuple[torch.Tensor, torch.Tensor]:
    """The whole batch of a step; rank r takes its r-th part."""
    draw = torch.Generator().manual_seed(step)
    return (torch.randn(samples * SIZE, 8, generator=draw),
            torch.randn(samples * SIZE, 4, generator=draw))  # fmt: skip


def mine(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.chunk(SIZE)[RANK].cuda()


def train(model, host, optimizer=torch.optim.AdamW, scale=lambda loss: loss) -> None:
    """Steps of both; every rank sees its part of the batch, the host all of it."""
    one, other = optimizer(model.parameters(), 1e-2), torch.optim.AdamW(host.parameters(), 1e-2)
    for step in range(STEPS):
        x, y = batch(step)
        one.zero_grad()
        scale(nn.functional.mse_loss(model(mine(x)), mine(y))).backward()
        one.step()
        other.zero_grad()
        nn.functional.mse_loss(host(x), y).backward()
        other.step()


def alike(model, host, rtol=1e-4, atol=1e-5) -> None:
    module = getattr(model, "module", model)
    for one, other in zip(module.parameters(), host.parameters(), strict=True):
        same(one, other, rtol, atol)


def wrapped(**options):
    host = net()
    return DDP(copy.deepcopy(host).cuda(), device_ids=[CARD], **options), host


def check_losses_are_those_of_one_process():
    for options in ({}, {"static_graph": True}, {"gradient_as_bucket_view": True},
                    {"bucket_cap_mb": 0.0005}, {"broadcast_buffers": False},
                    {"find_unused_parameters": True}, {"init_sync": True}):  # fmt: skip
        model, host = wrapped(**options)
        train(model, host)
        alike(model, host)


def check_parameters_start_as_those_of_rank_0():
    torch.manual_seed(RANK)
    model = DDP(net().cuda(), device_ids=[CARD], output_device=CARD)
    torch.manual_seed(0)
    alike(model, net())


def check_no_sync_accumulates():
    model, host = wrapped()
    first, second = batch(0), batch(1)
    with model.no_sync():
        model(mine(first[0])).sum().backward()
    model(mine(second[0])).sum().backward()
    host(torch.cat([first[0], second[0]])).sum().div(SIZE).backward()
    for one, other in zip(model.parameters(), host.parameters(), strict=True):
        same(one.grad, other.grad, 1e-4, 1e-4)


def check_hooks_that_compress():
    for hook in (default_hooks.bf16_compress_hook, default_hooks.fp16_compress_hook,
                 default_hooks.allreduce_hook):  # fmt: skip
        model, host = wrapped()
        model.register_comm_hook(dist.group.WORLD, hook)
        train(model, host)
        alike(model, host, 1e-1, 2e-2)


def check_a_hook_of_the_script():
    model, host = wrapped()

    def hook(state, bucket):
        total = dist.all_reduce(bucket.buffer().div_(SIZE), async_op=True).get_future()
        return total.then(lambda future: future.value()[0])

    model.register_comm_hook(None, hook)
    train(model, host)
    alike(model, host)


def check_uneven_inputs_join():
    model, _ = wrapped()
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    seen = 0
    with model.join():
        for _ in range(2 + RANK):
            model(torch.ones(2, 8, device="cuda")).sum().backward()
            optimizer.step()
            seen += 1
    assert seen == 2 + RANK
    with Join([model]):
        for _ in range(2 - RANK % 2):
            model(torch.ones(2, 8, device="cuda")).sum().backward()


def check_unused_parameters():
    class Half(nn.Module):
        def __init__(self):
            super().__init__()
            self.used, self.unused = nn.Linear(8, 4), nn.Linear(8, 4)

        def forward(self, x):
            return self.used(x)

    model = DDP(Half().cuda(), device_ids=[CARD], find_unused_parameters=True)
    for _ in range(2):
        model(torch.ones(2, 8, device="cuda")).sum().backward()
    assert model.module.unused.weight.grad is None or not model.module.unused.weight.grad.any()


def check_batch_norm_over_all_ranks():
    host = nn.Sequential(nn.Linear(8, 6, bias=False), nn.BatchNorm1d(6), nn.Linear(6, 4))
    synced = nn.SyncBatchNorm.convert_sync_batchnorm(copy.deepcopy(host))
    model = DDP(synced.cuda(), device_ids=[CARD])
    train(model, host)
    alike(model, host)
    same(model.module[1].running_mean, host[1].running_mean)
    same(model.module[1].running_var, host[1].running_var)


def check_buffers_follow_rank_0():
    model = DDP(nn.Sequential(nn.BatchNorm1d(8)).cuda(), device_ids=[CARD])
    model(torch.full((4, 8), float(RANK), device="cuda"))
    model(torch.zeros(4, 8, device="cuda"))
    mean = model.module[0].running_mean.clone()
    dist.broadcast(mean, 0)
    model(torch.zeros(4, 8, device="cuda"))
    assert mean.abs().sum().item() == 0


def check_autocast_and_scaler():
    model, host = wrapped()
    scaler = torch.amp.GradScaler("cuda")
    one = torch.optim.SGD(model.parameters(), 1e-2)
    other = torch.optim.SGD(host.parameters(), 1e-2)
    for step in range(STEPS):
        x, y = batch(step)
        with torch.autocast("cuda", torch.float16):
            loss = nn.functional.mse_loss(model(mine(x)), mine(y))
        scaler.scale(loss).backward()
        scaler.unscale_(one)
        nn.utils.clip_grad_norm_(model.parameters(), 10.0)
        scaler.step(one)
        scaler.update()
        one.zero_grad()
        nn.functional.mse_loss(host(x), y).backward()
        other.step()
        other.zero_grad()
    alike(model, host, 1e-1, 1e-2)


def check_zero_redundancy_optimizer():
    model, host = wrapped()
    train(model, host, lambda p, lr: ZeroRedundancyOptimizer(p, torch.optim.AdamW, lr=lr))
    alike(model, host)


def check_zero_state_on_one_rank():
    model, _ = wrapped()
    optimizer = ZeroRedundancyOptimizer(model.parameters(), torch.optim.Adam, lr=1e-2)
    model(torch.ones(2, 8, device="cuda")).sum().backward()
    optimizer.step()
    optimizer.consolidate_state_dict(to=0)
    if RANK == 0:
        assert len(optimizer.state_dict()["state"]) == 4


def check_sampler_and_loader():
    data = TensorDataset(torch.arange(10.0))
    sampler = DistributedSampler(data, shuffle=False)
    loader = DataLoader(data, batch_size=2, sampler=sampler, pin_memory=True)
    seen = torch.cat([x.cuda(non_blocking=True) for (x,) in loader])
    parts = [torch.empty_like(seen) for _ in range(SIZE)]
    dist.all_gather(parts, seen)
    assert sorted(set(torch.cat(parts).tolist())) == list(map(float, range(10)))


def check_saved_and_loaded():
    path = Path(sys.argv[1] + ".pt")
    model, host = wrapped()
    if RANK == 0:
        torch.save(model.state_dict(), path)
    dist.barrier()
    again, _ = wrapped()
    again.load_state_dict(torch.load(path, map_location=f"cuda:{CARD}"))
    alike(again, host)
    dist.barrier()
    if RANK == 0:
        path.unlink()


def check_memory_and_streams_of_the_own_card():
    assert torch.cuda.current_device() == RANK % 8
    x = torch.ones(1024, 1024, device="cuda")
    assert x.device == torch.device("cuda", CARD)
    assert torch.cuda.memory_allocated() >= 4 << 20
    side = torch.cuda.Stream()
    with torch.cuda.stream(side):
        dist.all_reduce(x)
    torch.cuda.current_stream().wait_stream(side)
    torch.cuda.synchronize()
    assert x[0, 0].item() == SIZE


run(globals())
