"""Every function of `torch.distributed`, with every reduction and format, on the card."""

from functools import reduce

import torch
import torch.distributed as dist
import torch.distributed._functional_collectives as funcol
from torch.distributed import ReduceOp
from trying import refused, run, same, start

start()
RANK, SIZE = dist.get_rank(), dist.get_world_size()
FORMATS = (torch.float32, torch.bfloat16, torch.float16, torch.float64, torch.int64, torch.int32,
           torch.uint8)  # fmt: skip


def of(rank: int, *shape: int, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    """What a rank brings: every rank can tell what the others do."""
    draw = torch.Generator().manual_seed(100 + rank)
    return torch.randint(1, 5, shape, generator=draw).to(dtype)


def own(*shape: int, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    return of(RANK, *shape, dtype=dtype).cuda()


def every(*shape: int, dtype: torch.dtype = torch.float32) -> list[torch.Tensor]:
    return [of(rank, *shape, dtype=dtype) for rank in range(SIZE)]


REDUCTIONS = {
    ReduceOp.SUM: torch.add,
    ReduceOp.PRODUCT: torch.mul,
    ReduceOp.MIN: torch.minimum,
    ReduceOp.MAX: torch.maximum,
}
BITWISE = {
    ReduceOp.BAND: torch.bitwise_and,
    ReduceOp.BOR: torch.bitwise_or,
    ReduceOp.BXOR: torch.bitwise_xor,
}


def reduced(op, tensors: list[torch.Tensor]) -> torch.Tensor:
    if op == ReduceOp.AVG:
        total = reduce(torch.add, tensors)
        return total / SIZE if total.is_floating_point() else total // SIZE
    return reduce({**REDUCTIONS, **BITWISE}[op], tensors)


def ops_for(dtype: torch.dtype) -> list:
    return [*REDUCTIONS, ReduceOp.AVG, *(() if dtype.is_floating_point else BITWISE)]


def check_all_reduce():
    for dtype in FORMATS:
        for op in ops_for(dtype):
            x = own(5, dtype=dtype)
            dist.all_reduce(x, op)
            same(x, reduced(op, every(5, dtype=dtype)), 1e-2 if dtype.itemsize == 2 else 1e-5)


def check_premultiplied_sum():
    x = own(4)
    dist.all_reduce(x, dist._make_nccl_premul_sum(0.5))
    same(x, sum(every(4)) * 0.5)
    out = torch.empty(2, device="cuda")
    dist.reduce_scatter_tensor(out, own(2 * SIZE), dist._make_nccl_premul_sum(0.25))
    same(out, (sum(every(2 * SIZE)) * 0.25)[2 * RANK : 2 * RANK + 2])


def check_bool_and_complex():
    x = torch.tensor([RANK == 0, True, False], device="cuda")
    dist.all_reduce(x, ReduceOp.MAX)
    assert x.tolist() == [True, True, False]
    z = torch.full((2,), complex(RANK, 1), device="cuda")
    dist.all_reduce(z)
    assert z.tolist() == [complex(SIZE * (SIZE - 1) / 2, SIZE)] * 2


def check_bytes_of_eight_bit_floats():
    for dtype in (torch.float8_e4m3fn, torch.float8_e5m2):
        mine = own(4).to(dtype)
        parts = [torch.empty(4, dtype=dtype, device="cuda") for _ in range(SIZE)]
        dist.all_gather(parts, mine)
        for part, theirs in zip(parts, every(4), strict=True):
            same(part.float(), theirs)
        whole = torch.empty(4 * SIZE, dtype=dtype, device="cuda")
        dist.all_gather_into_tensor(whole, mine)
        same(whole.float(), torch.cat(every(4)))
        dist.broadcast(mine, 0)
        same(mine.float(), of(0, 4))
        got = torch.empty(2 * SIZE, dtype=dtype, device="cuda")
        dist.all_to_all_single(got, own(2 * SIZE).to(dtype))
        same(got.float(), torch.cat([t[2 * RANK : 2 * RANK + 2] for t in every(2 * SIZE)]))


def check_reduce():
    for op in (*REDUCTIONS, ReduceOp.AVG):
        x = own(3)
        dist.reduce(x, SIZE - 1, op)
        if RANK == SIZE - 1:
            same(x, reduced(op, every(3)))


def check_broadcast():
    x = own(3)
    dist.broadcast(x, 1)
    same(x, of(1, 3))


def check_all_gather():
    parts = [torch.empty(2, 3, device="cuda") for _ in range(SIZE)]
    dist.all_gather(parts, own(2, 3))
    for part, theirs in zip(parts, every(2, 3), strict=True):
        same(part, theirs)


def check_all_gather_into_tensor():
    for dtype in FORMATS:
        whole = torch.empty(2 * SIZE, 3, dtype=dtype, device="cuda")
        dist.all_gather_into_tensor(whole, own(2, 3, dtype=dtype))
        same(whole, torch.cat(every(2, 3, dtype=dtype)))


def check_all_gather_of_other_shapes():
    parts = [torch.empty(r + 1, device="cuda") for r in range(SIZE)]
    dist.all_gather(parts, own(RANK + 1))
    for rank, part in enumerate(parts):
        same(part, of(rank, rank + 1))


def check_all_gather_coalesced():
    mine = [own(2), own(3)]
    lists = [[torch.empty_like(t) for t in mine] for _ in range(SIZE)]
    dist.all_gather_coalesced(lists, mine)
    for rank, got in enumerate(lists):
        same(got[0], of(rank, 2))
        same(got[1], of(rank, 3))


def check_coalescing():
    first, second = own(2), own(3)
    with dist._coalescing_manager():
        dist.all_reduce(first)
        dist.all_reduce(second)
    same(first, sum(every(2)))
    same(second, sum(every(3)))
    mine = [own(2), own(4)]
    wholes = [torch.empty(2 * SIZE, device="cuda"), torch.empty(4 * SIZE, device="cuda")]
    with dist._coalescing_manager(async_ops=True) as manager:
        for whole, part in zip(wholes, mine, strict=True):
            dist.all_gather_into_tensor(whole, part)
    manager.wait()
    same(wholes[0], torch.cat(every(2)))
    same(wholes[1], torch.cat(every(4)))


def check_reduce_scatter():
    for op in (*REDUCTIONS, ReduceOp.AVG):
        out = torch.empty(3, device="cuda")
        parts = list(own(SIZE, 3).unbind())
        dist.reduce_scatter(out, parts, op)
        same(out, reduced(op, [t[RANK] for t in every(SIZE, 3)]))


def check_reduce_scatter_tensor():
    for dtype in (torch.float32, torch.bfloat16, torch.int32):
        for op in (*REDUCTIONS, ReduceOp.AVG):
            out = torch.empty(2, dtype=dtype, device="cuda")
            dist.reduce_scatter_tensor(out, own(2 * SIZE, dtype=dtype), op)
            whole = reduced(op, every(2 * SIZE, dtype=dtype))
            same(out, whole[2 * RANK : 2 * RANK + 2], 1e-2)


def check_all_to_all():
    out = [torch.empty(3, device="cuda") for _ in range(SIZE)]
    dist.all_to_all(out, list(own(SIZE, 3).unbind()))
    for rank, got in enumerate(out):
        same(got, of(rank, SIZE, 3)[RANK])


def check_all_to_all_uneven():
    out = [torch.empty(RANK + 1, 2, device="cuda") for _ in range(SIZE)]
    dist.all_to_all(out, [own(to + 1, 2) for to in range(SIZE)])
    for rank, got in enumerate(out):
        same(got, of(rank, RANK + 1, 2))


def check_all_to_all_single_uneven():
    sent = [rank + 1 for rank in range(SIZE)]
    out = torch.empty(SIZE * (RANK + 1), device="cuda")
    dist.all_to_all_single(out, own(sum(sent)), [RANK + 1] * SIZE, sent)
    start_at = sum(sent[:RANK])
    same(out, torch.cat([t[start_at : start_at + RANK + 1] for t in every(sum(sent))]))


def check_gather_and_scatter():
    got = [torch.empty(2, device="cuda") for _ in range(SIZE)] if RANK == 1 else None
    dist.gather(own(2), got, dst=1)
    if RANK == 1:
        for part, theirs in zip(got, every(2), strict=True):
            same(part, theirs)
    out = torch.empty(2, device="cuda")
    dist.scatter(out, list(own(SIZE, 2).unbind()) if RANK == 1 else None, src=1)
    same(out, of(1, SIZE, 2)[RANK])


def check_send_and_recv():
    if RANK == 0:
        dist.send(own(3), 1)
        back = torch.empty(3, device="cuda")
        assert dist.recv(back) == 1
        same(back, of(0, 3) + 1)
    elif RANK == 1:
        got = torch.empty(3, device="cuda")
        assert dist.recv(got, 0) == 0
        dist.send(got + 1, 0)


def check_isend_first_on_both_sides():
    if RANK > 1:
        return
    got = torch.empty(3, device="cuda")
    sent = dist.isend(own(3), 1 - RANK, tag=7)
    received = dist.irecv(got, 1 - RANK, tag=7)
    sent.wait()
    received.wait()
    same(got, of(1 - RANK, 3))


def check_a_ring_in_one_batch():
    right, left = (RANK + 1) % SIZE, (RANK - 1) % SIZE
    got, mine = torch.empty(4, device="cuda"), own(4)
    ops = [dist.P2POp(dist.isend, mine, right), dist.P2POp(dist.irecv, got, left)]
    for work in dist.batch_isend_irecv(ops):
        work.wait()
    same(got, of(left, 4))


def check_async_works_and_futures():
    x = own(4)
    work = dist.all_reduce(x, async_op=True)
    work.wait()
    assert work.is_completed() and work.is_success()
    same(x, sum(every(4)))
    y = own(4)
    doubled = dist.all_reduce(y, async_op=True).get_future().then(lambda f: f.value()[0] * 2)
    same(doubled.wait(), sum(every(4)) * 2)


def check_objects():
    everyone = [None] * SIZE
    dist.all_gather_object(everyone, {"rank": RANK, "text": "x" * RANK})
    assert everyone == [{"rank": r, "text": "x" * r} for r in range(SIZE)]
    told = [("from", 1), None] if RANK == 1 else [None, None]
    dist.broadcast_object_list(told, src=1, device=torch.device("cuda"))
    assert told == [("from", 1), None]
    got = [None]
    dist.scatter_object_list(got, [f"for {r}" for r in range(SIZE)] if RANK == 0 else None, src=0)
    assert got == [f"for {RANK}"]
    gathered = [None] * SIZE if RANK == 0 else None
    dist.gather_object(RANK, gathered, dst=0)
    assert gathered is None or gathered == list(range(SIZE))
    if RANK == 0:
        dist.send_object_list([{"a": 1}], 1)
    elif RANK == 1:
        box = [None]
        dist.recv_object_list(box, 0)
        assert box == [{"a": 1}]


def check_barriers():
    dist.barrier()
    dist.barrier(device_ids=[torch.cuda.current_device()])
    dist.barrier(async_op=True).wait()
    dist.monitored_barrier(dist.new_group(backend="gloo"))


def check_groups_of_some_ranks():
    first = dist.new_group([0])
    both = dist.new_group([0, 1])
    if RANK == 0:
        assert dist.get_world_size(first) == 1
        alone = own(2)
        dist.all_reduce(alone, group=first)
        same(alone, of(0, 2))
    if RANK < 2:  # who is not in a group holds no group
        assert dist.get_backend(both) == "nccl"
        x = own(2)
        dist.all_reduce(x, group=both)
        same(x, of(0, 2) + of(1, 2))
        assert dist.get_process_group_ranks(both) == [0, 1]
        assert dist.get_global_rank(both, 1) == 1
    mine, groups = dist.new_subgroups(group_size=1)
    assert dist.get_rank(mine) == 0 and len(groups) == SIZE
    mine, _ = dist.new_subgroups_by_enumeration([[r] for r in range(SIZE)])
    assert dist.get_world_size(mine) == 1


def check_host_tensors_need_a_group_of_the_host():
    refused(RuntimeError, "device type cpu", dist.all_reduce, torch.ones(2))
    x = of(RANK, 2)
    dist.all_reduce(x, group=dist.new_group(backend="gloo"))
    same(x, sum(every(2)))
    both = dist.new_group(backend="cpu:gloo,cuda:nccl")
    y, z = of(RANK, 2), own(2)
    dist.all_reduce(y, group=both)
    dist.all_reduce(z, group=both)
    same(y, sum(every(2)))
    same(z, sum(every(2)))


def check_functional_collectives():
    world, x = dist.group.WORLD, own(4)
    same(funcol.all_reduce(x, "sum", world) + 0, sum(every(4)))
    same(funcol.all_reduce(x, "avg", world) + 0, sum(every(4)) / SIZE)
    same(funcol.all_gather_tensor(x, 0, world) + 0, torch.cat(every(4)))
    whole = own(2 * SIZE)
    mine = slice(2 * RANK, 2 * RANK + 2)
    same(funcol.reduce_scatter_tensor(whole, "sum", 0, world) + 0, sum(every(2 * SIZE))[mine])
    got = funcol.all_to_all_single(whole, None, None, world)
    same(got + 0, torch.cat([t[mine] for t in every(2 * SIZE)]))
    same(funcol.broadcast(x, 0, world) + 0, of(0, 4))
    first, second = funcol.all_reduce_coalesced([own(2), own(3)], "sum", world)
    same(first + 0, sum(every(2)))
    same(second + 0, sum(every(3)))


def check_differentiable_collectives():
    import torch.distributed.nn.functional as dnn

    x = own(3).requires_grad_()
    (dnn.all_reduce(x) * (RANK + 1)).sum().backward()
    same(x.grad, torch.full((3,), SIZE * (SIZE + 1) / 2))
    y = own(2).requires_grad_()
    torch.cat(dnn.all_gather(y)).mul(RANK + 1).sum().backward()
    same(y.grad, torch.full((2,), SIZE * (SIZE + 1) / 2))


def check_names():
    assert dist.is_nccl_available() and dist.is_available()
    assert dist.get_backend() == "nccl" == dist.get_backend(dist.group.WORLD)
    assert dist.get_backend() == dist.Backend.NCCL
    assert torch.cuda.nccl.version() > (2, 0)
    assert dist.get_node_local_rank() == RANK % 8
    assert dist.is_torchelastic_launched()
    from torch.distributed.distributed_c10d import ProcessGroupNCCL

    options = ProcessGroupNCCL.Options(is_high_priority_stream=True)
    fast = dist.new_group(pg_options=options, device_id=torch.device("cuda", RANK % 8))
    x = own(2)
    dist.all_reduce(x, group=fast)
    same(x, sum(every(2)))
    assert "nccl" in dist.distributed_c10d.get_backend_config()


def check_a_group_without_a_backend_is_the_card_s():
    """As meshes make it that come before `init_process_group`."""
    group = dist.new_group(backend="undefined")
    x = own(2)
    dist.all_reduce(x, group=group)
    same(x, sum(every(2)))
    assert dist.distributed_c10d.get_backend_config(group) == "cuda:nccl"


def check_split_group():
    """As meshes split the world whose `init_process_group` was told a device."""
    part = dist.split_group(split_ranks=[[r] for r in range(SIZE)])
    x = own(2)
    dist.all_reduce(x, group=part)
    same(x, of(RANK, 2))
    assert dist.get_process_group_ranks(part) == [RANK] and dist.get_backend(part) == "nccl"
    none = dist.split_group(split_ranks=[[0]])
    assert (none is None) == (RANK > 0)


def check_own_names_of_the_card():
    group = dist.new_group(backend="eccl")
    assert dist.get_backend(group) == "eccl"
    x = of(RANK, 2).to("gcu")
    dist.all_reduce(x, group=group)
    same(x, sum(every(2)))


def check_meshes():
    from torch.distributed.device_mesh import init_device_mesh

    mesh = init_device_mesh("cuda", (SIZE,), mesh_dim_names=("dp",))
    assert mesh.device_type == "cuda" and mesh["dp"].size() == SIZE
    assert mesh.get_local_rank() == RANK and dist.get_backend(mesh.get_group()) == "nccl"
    x = own(2)
    dist.all_reduce(x, group=mesh.get_group("dp"))
    same(x, sum(every(2)))
    grid = init_device_mesh("cuda", (1, SIZE), mesh_dim_names=("a", "b"))
    assert grid["b"].size() == SIZE and grid["a", "b"].ndim == 2
    words = f"a mesh of 3 × 3 needs 9 ranks, and the run has {SIZE}"
    refused(RuntimeError, words, init_device_mesh, "cuda", (3, 3))


run(globals())
