"""Pipeline schedules of PyTorch, beside the same layers in one process on the host."""

import copy

import torch
import torch.distributed as dist
from torch import nn
from torch.distributed.pipelining import (
    PipelineStage,
    Schedule1F1B,
    ScheduleGPipe,
    ScheduleInterleaved1F1B,
    ScheduleInterleavedZeroBubble,
    ScheduleLoopedBFS,
    ScheduleZBVZeroBubble,
)
from trying import run, same, start

start()
RANK, SIZE = dist.get_rank(), dist.get_world_size()
CARD = torch.device("cuda", torch.cuda.current_device())
MICROBATCHES = 2 * SIZE


def layers(count: int) -> list[nn.Module]:
    return [nn.Sequential(nn.Linear(8, 8), nn.Tanh()) for _ in range(count)]


def trained(schedule_kind, stages_of_rank, num_stages: int) -> None:
    """Losses and gradients of a schedule are those of all layers in a row."""
    host = layers(num_stages)
    own = {s: copy.deepcopy(host[s]).to(CARD) for s in stages_of_rank}
    stages = [PipelineStage(module, s, num_stages, CARD) for s, module in own.items()]
    looped = len(stages) > 1
    schedule = schedule_kind(
        stages if looped else stages[0], MICROBATCHES, loss_fn=nn.functional.mse_loss
    )
    draw = torch.Generator().manual_seed(5)
    x, y = (torch.randn(2 * MICROBATCHES, 8, generator=draw) for _ in range(2))
    losses: list[torch.Tensor] = []
    given = {"target": y.to(CARD), "losses": losses} if num_stages - 1 in own else {}
    schedule.step(*([x.to(CARD)] if 0 in own else []), **given)
    out = x
    for layer in host:
        out = layer(out)
    expected = nn.functional.mse_loss(out, y)
    expected.backward()
    if losses:
        same(torch.stack(losses).mean(), expected)
    for s, module in own.items():
        for one, other in zip(module.parameters(), host[s].parameters(), strict=True):
            same(one.grad, other.grad, 1e-4, 1e-6)


def check_gpipe():
    trained(ScheduleGPipe, [RANK], SIZE)


def check_one_forward_one_backward():
    trained(Schedule1F1B, [RANK], SIZE)


def check_interleaved():
    trained(ScheduleInterleaved1F1B, [RANK, RANK + SIZE], 2 * SIZE)


def check_breadth_first():
    trained(ScheduleLoopedBFS, [RANK, RANK + SIZE], 2 * SIZE)


def check_zero_bubble():
    trained(ScheduleInterleavedZeroBubble, [RANK, RANK + SIZE], 2 * SIZE)


def check_zero_bubble_as_a_v():
    trained(ScheduleZBVZeroBubble, [RANK, 2 * SIZE - 1 - RANK], 2 * SIZE)


def check_split_by_tracing():
    from torch.distributed.pipelining import SplitPoint, pipeline

    model = nn.Sequential(*layers(SIZE))
    x = torch.randn(MICROBATCHES, 8, generator=torch.Generator().manual_seed(2))
    cuts = {str(i): SplitPoint.BEGINNING for i in range(1, SIZE)}
    pipe = pipeline(copy.deepcopy(model), (x[:1],), split_spec=cuts)
    stage = pipe.build_stage(RANK, CARD)
    schedule = ScheduleGPipe(stage, MICROBATCHES)
    out = schedule.step(*([x.to(CARD)] if RANK == 0 else []))
    if RANK == SIZE - 1:
        same(out, model(x))


run(globals())
