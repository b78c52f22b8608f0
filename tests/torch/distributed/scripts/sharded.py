"""FSDP, tensor parallel, both, context parallel, experts and checkpoints, beside one process."""

import copy
import shutil
import sys

import torch
import torch.distributed as dist
import torch.distributed.checkpoint as dcp
import torch.nn.functional as F
from torch import nn
from torch.distributed.checkpoint.state_dict import (
    StateDictOptions,
    get_model_state_dict,
    get_state_dict,
    set_state_dict,
)
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import (
    CPUOffloadPolicy,
    FullyShardedDataParallel,
    MixedPrecision,
    MixedPrecisionPolicy,
    ShardingStrategy,
    fully_shard,
)
from torch.distributed.tensor import (
    DTensor,
    Partial,
    Replicate,
    Shard,
    distribute_module,
    distribute_tensor,
)
from torch.distributed.tensor.parallel import (
    ColwiseParallel,
    PrepareModuleInput,
    RowwiseParallel,
    SequenceParallel,
    loss_parallel,
    parallelize_module,
)
from trying import run, same, start

start()
RANK, SIZE = dist.get_rank(), dist.get_world_size()
STEPS = 2
WORLD = init_device_mesh("cuda", (SIZE,), mesh_dim_names=("world",))
GRID = init_device_mesh("cuda", (SIZE // 2, 2), mesh_dim_names=("dp", "tp"))


class Block(nn.Module):
    def __init__(self, width: int = 8) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.up, self.down = nn.Linear(width, 2 * width), nn.Linear(2 * width, width)

    def forward(self, x):
        return x + self.down(F.gelu(self.up(self.norm(x))))


def net() -> nn.Module:
    return nn.Sequential(Block(), Block(), nn.Linear(8, 4))


def batch(step: int, parts: int = SIZE) -> tuple[torch.Tensor, torch.Tensor]:
    draw = torch.Generator().manual_seed(step)
    return torch.randn(2 * parts, 8, generator=draw), torch.randn(2 * parts, 4, generator=draw)


def train(model, host, parts: int = SIZE, part: int = RANK, clip: float | None = None) -> None:
    one = torch.optim.AdamW(model.parameters(), 1e-2)
    other = torch.optim.AdamW(host.parameters(), 1e-2)
    for step in range(STEPS):
        x, y = batch(step, parts)
        for net, optimizer, a, b in (
            (model, one, x.chunk(parts)[part].cuda(), y.chunk(parts)[part].cuda()),
            (host, other, x, y),
        ):
            F.mse_loss(net(a), b).backward()
            if clip is not None:
                nn.utils.clip_grad_norm_(net.parameters(), clip)
            optimizer.step()
            optimizer.zero_grad()


def alike(model, host, rtol=1e-4, atol=1e-5) -> None:
    for one, other in zip(model.parameters(), host.parameters(), strict=True):
        same(one, other, rtol, atol)


def sharded(host, **options):
    model = copy.deepcopy(host).cuda()
    for block in model:
        fully_shard(block, **options)
    return fully_shard(model, **options)


def check_random_shards_differ_and_copies_agree():
    """Random numbers of sharded tensors: the seed decides, wherever a shard lies."""

    def drawn():
        torch.manual_seed(5)
        shards = distribute_tensor(torch.zeros(2 * SIZE, 4, device="cuda"), WORLD, [Shard(0)])
        copies = distribute_tensor(torch.zeros(4, device="cuda"), WORLD, [Replicate()])
        made = [shards.normal_(), copies.uniform_(), F.dropout(shards, 0.5)]
        return [t.to_local().flatten().tolist() for t in made] + [torch.rand(2).tolist()]

    first, again = drawn(), drawn()
    assert first == again
    every = [None] * SIZE
    dist.all_gather_object(every, first)
    one, other = every[0], every[1]
    assert one[0] != other[0] and one[2] != other[2]
    assert one[1] == other[1] and one[3] == other[3]


def check_fsdp2():
    for options in ({}, {"reshard_after_forward": False}, {"mesh": WORLD}):
        host = net()
        model = sharded(host, **options)
        assert isinstance(model[0].up.weight, DTensor)
        assert model[0].up.weight.to_local().numel() == 8 * 16 // SIZE
        train(model, host, clip=0.1)
        alike(model, host)


def check_fsdp2_in_mixed_precision():
    host = net()
    policy = MixedPrecisionPolicy(param_dtype=torch.bfloat16, reduce_dtype=torch.float32)
    model = sharded(host, mp_policy=policy)
    train(model, host)
    alike(model, host, 1e-1, 3e-2)


def check_fsdp2_accumulates():
    host = net()
    model = sharded(host)
    for step in range(2):
        x, _ = batch(step)
        model.set_requires_gradient_sync(step == 1)
        model(x.chunk(SIZE)[RANK].cuda()).sum().backward()
        host(x).sum().div(SIZE).backward()
    for one, other in zip(model.parameters(), host.parameters(), strict=True):
        same(one.grad, other.grad, 1e-4, 1e-4)


def check_fsdp2_divides_as_told():
    host = net()
    model = sharded(host)
    for part in (model, *model):
        part.set_gradient_divide_factor(2.0)
    x, _ = batch(0)
    model(x.chunk(SIZE)[RANK].cuda()).sum().backward()
    host(x).sum().div(2).backward()
    same(model[2].weight.grad, host[2].weight.grad, 1e-4, 1e-4)


def check_hybrid_sharding():
    host = net()
    model = sharded(host, mesh=GRID)
    assert model[0].up.weight.to_local().numel() == 8 * 16 // 2
    train(model, host)
    alike(model, host)


def check_fsdp2_offloads_to_the_host():
    host = net()
    model = sharded(host, offload_policy=CPUOffloadPolicy())
    assert model[0].up.weight.device.type == "cpu"
    x, y = batch(0)
    F.mse_loss(model(x.chunk(SIZE)[RANK].cuda()), y.chunk(SIZE)[RANK].cuda()).backward()
    F.mse_loss(host(x), y).backward()
    same(model[0].up.weight.grad.to_local(), host[0].up.weight.grad.chunk(SIZE)[RANK], 1e-4, 1e-5)


def check_fsdp2_without_memory_at_first():
    host = net()
    with torch.device("meta"):
        model = net()
    for block in model:
        fully_shard(block)
    fully_shard(model)
    model.to_empty(device="cuda")
    for one, other in zip(model.parameters(), host.parameters(), strict=True):
        one.data.copy_(distribute_tensor(other.detach().cuda(), one.device_mesh, one.placements))
    train(model, host)
    alike(model, host)


def check_fsdp1():
    for options in (
        {},
        {"use_orig_params": True},
        {"sharding_strategy": ShardingStrategy.SHARD_GRAD_OP},
        {"sharding_strategy": ShardingStrategy.NO_SHARD},
    ):
        host = net()
        model = FullyShardedDataParallel(
            copy.deepcopy(host).cuda(), device_id=torch.cuda.current_device(), **options
        )
        train(model, host)
        with FullyShardedDataParallel.summon_full_params(model):
            alike(model, host)


def check_fsdp1_in_mixed_precision():
    host = net()
    policy = MixedPrecision(torch.bfloat16, torch.bfloat16, torch.bfloat16)
    model = FullyShardedDataParallel(
        copy.deepcopy(host).cuda(), mixed_precision=policy, use_orig_params=True,
        device_id=torch.cuda.current_device(),
    )  # fmt: skip
    train(model, host)
    model.clip_grad_norm_(1.0)
    with FullyShardedDataParallel.summon_full_params(model):
        alike(model, host, 1e-1, 3e-2)


PLAN = {"up": ColwiseParallel(), "down": RowwiseParallel()}


def check_tensor_parallel():
    for asynchronous in (True, False):
        host = Block()
        model = copy.deepcopy(host).cuda()
        plan = {"up": ColwiseParallel(use_local_output=asynchronous), "down": RowwiseParallel()}
        plan = PLAN if asynchronous else plan
        parallelize_module(model, WORLD, plan)
        x = torch.randn(4, 8, generator=torch.Generator().manual_seed(1))
        out, expected = model(x.cuda()), host(x)
        same(out, expected)
        out.square().sum().backward()
        expected.square().sum().backward()
        same(model.up.weight.grad, host.up.weight.grad, 1e-4, 1e-5)
        same(model.norm.weight.grad, host.norm.weight.grad, 1e-4, 1e-5)
        if asynchronous is False:
            break


def check_sequence_parallel():
    host = Block()
    model = copy.deepcopy(host).cuda()
    parallelize_module(model, WORLD, {
        "norm": SequenceParallel(),
        "up": ColwiseParallel(input_layouts=Shard(1)),
        "down": RowwiseParallel(output_layouts=Shard(1)),
    })  # fmt: skip
    x = torch.randn(2, 4 * SIZE, 8, generator=torch.Generator().manual_seed(1))
    local = distribute_tensor(x.cuda(), WORLD, [Shard(1)])
    y = model.down(F.gelu(model.up(model.norm(local))))
    y = y if isinstance(y, DTensor) else DTensor.from_local(y, WORLD, [Shard(1)])
    same(y, host.down(F.gelu(host.up(host.norm(x)))))


def check_loss_parallel():
    host = nn.Linear(8, 4 * SIZE)
    model = copy.deepcopy(host).cuda()
    parallelize_module(
        model, WORLD, ColwiseParallel(output_layouts=Shard(-1), use_local_output=False)
    )
    x = torch.randn(6, 8, generator=torch.Generator().manual_seed(1))
    y = torch.arange(6) % (4 * SIZE)
    with loss_parallel():
        loss = F.cross_entropy(model(x.cuda()), y.cuda())
        loss.backward()
    expected = F.cross_entropy(host(x), y)
    expected.backward()
    same(loss, expected)
    same(model.weight.grad, host.weight.grad)


def check_tensors_distributed():
    x = torch.arange(float(4 * SIZE)).view(2 * SIZE, 2)
    rows = distribute_tensor(x.cuda(), WORLD, [Shard(0)])
    same(rows.redistribute(WORLD, [Replicate()]).to_local(), x)
    same(rows.redistribute(WORLD, [Shard(1)]) if SIZE <= 2 else rows, x)
    same((rows * 2).sum().full_tensor(), (x * 2).sum())
    part = DTensor.from_local(torch.ones(2, device="cuda"), WORLD, [Partial()])
    assert part.full_tensor().tolist() == [SIZE, SIZE]
    layer = distribute_module(nn.Linear(4, 4).cuda(), WORLD)
    assert isinstance(layer.weight, DTensor)


def check_two_dimensions():
    host = net()
    model = copy.deepcopy(host).cuda()
    for block in model[:2]:
        parallelize_module(block, GRID["tp"], PLAN)
        fully_shard(block, mesh=GRID["dp"])
    fully_shard(model, mesh=GRID["dp"])
    train(model, host, SIZE // 2, GRID["dp"].get_local_rank())
    alike(model, host)


def check_prepared_inputs():
    host = Block()
    model = copy.deepcopy(host).cuda()
    parallelize_module(model, WORLD, {
        "norm": PrepareModuleInput(
            input_layouts=(Shard(0),), desired_input_layouts=(Replicate(),), use_local_output=True
        ),
    })  # fmt: skip
    x = torch.randn(2 * SIZE, 8, generator=torch.Generator().manual_seed(1))
    same(model.norm(x.chunk(SIZE)[RANK].cuda()), host.norm(x))


def check_context_parallel():
    from torch.distributed.tensor.experimental import context_parallel

    draw = torch.Generator().manual_seed(3)
    q, k, v = (torch.randn(1, 2, 8 * SIZE, 8, generator=draw) for _ in range(3))
    expected = F.scaled_dot_product_attention(q, k, v, is_causal=True)
    cards = [t.cuda() for t in (q, k, v)]
    with context_parallel(WORLD, buffers=cards, buffer_seq_dims=[2, 2, 2]):
        out = F.scaled_dot_product_attention(*cards, is_causal=True)
    from torch.distributed.tensor.experimental._attention import context_parallel_unshard

    (whole,) = context_parallel_unshard(WORLD, [out], [2])
    same(whole, expected, 1e-4, 1e-5)


def check_experts_exchange_tokens():
    """Every rank holds one expert; tokens go there and come back, with gradients."""
    from torch.distributed._functional_collectives import all_to_all_single_autograd

    draw = torch.Generator().manual_seed(RANK)
    tokens = torch.randn(2 * SIZE, 4, generator=draw).cuda().requires_grad_()
    world = dist.group.WORLD
    sent = [2] * SIZE
    arrived = all_to_all_single_autograd(tokens, sent, sent, world)
    back = all_to_all_single_autograd(arrived * (RANK + 1.0), sent, sent, world)
    scale = torch.arange(1.0, SIZE + 1).repeat_interleave(2)[:, None]
    same(back + 0, tokens.detach().cpu() * scale)
    back.sum().backward()
    same(tokens.grad, scale.expand(2 * SIZE, 4))


def check_checkpoints_are_saved_and_resharded():
    folder = sys.argv[1] + ".checkpoint"
    host = net()
    model = sharded(host)
    optimizer = torch.optim.AdamW(model.parameters(), 1e-2)
    model(batch(0)[0].chunk(SIZE)[RANK].cuda()).sum().backward()
    optimizer.step()
    trained = [p.full_tensor().cpu() for p in model.parameters()]
    states = dict(zip(("model", "optimizer"), get_state_dict(model, optimizer), strict=True))
    dcp.save(states, checkpoint_id=folder)
    dcp.async_save(states, checkpoint_id=folder + "2", process_group=dist.new_group(backend="gloo")
                   ).result()  # fmt: skip
    for place in (folder, folder + "2"):
        again = sharded(net(), mesh=GRID)
        other = torch.optim.AdamW(again.parameters(), 1e-2)
        states = dict(zip(("model", "optimizer"), get_state_dict(again, other), strict=True))
        dcp.load(states, checkpoint_id=place)
        set_state_dict(again, other, model_state_dict=states["model"],
                       optim_state_dict=states["optimizer"])  # fmt: skip
        for one, expected in zip(again.parameters(), trained, strict=True):
            same(one, expected)
    full = get_model_state_dict(model, options=StateDictOptions(full_state_dict=True))
    if RANK == 0:
        same(full["0.up.weight"], trained[2])
    dist.barrier()
    if RANK == 0:
        shutil.rmtree(folder)
        shutil.rmtree(folder + "2")


run(globals())
