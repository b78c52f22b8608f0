"""What is taken out of PyTorch's Python does not change what it answers."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap

BESIDE = textwrap.dedent(
    """
    import itertools
    import torch, torch.distributed as dist
    from torch.testing._internal.distributed.fake_pg import FakeStore
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.tensor import _dtensor_spec, _op_schema, DTensor
    from torch.distributed.tensor.placement_types import Partial, Replicate, Shard

    dist.init_process_group("fake", store=FakeStore(), rank=1, world_size=8)
    mesh = init_device_mesh("cpu", (8,))
    square = init_device_mesh("cpu", (4, 2))
    meta = _dtensor_spec.TensorMeta(torch.Size((8, 16)), (16, 1), torch.float32)
    kinds = [Shard(0), Shard(1), Replicate(), Partial(), Partial("max")]
    pairs = [(mesh, (k,)) for k in kinds]
    pairs += [(square, p) for p in itertools.product(kinds[:4], repeat=2)]

    def specs():
        return [_dtensor_spec.DTensorSpec(m, p, tensor_meta=meta) for m, p in pairs]

    def facts(found):
        return [(s.placements, s.shard_order, s.tensor_meta, hash(s), str(s),
                 s.use_strided_shard_as_shard_order, [s == t for t in found]) for s in found]

    def lists():
        rows = [DTensor.from_local(torch.ones(1 + i % 3, 4), mesh, [Shard(0)]) for i in range(24)]
        more = [DTensor.from_local(torch.ones(1 + i % 3, 4), mesh, [Shard(0)]) for i in range(24)]
        norms = torch._foreach_norm(rows, 2)
        sums = torch._foreach_add(rows, more)
        torch._foreach_mul_(rows, 2.0)
        return [(t.placements, t.shape, t.stride(), t.to_local().tolist()) for t in
                (*norms, *sums, *rows)]

    def moves():
        x = torch.ones(4, 16, requires_grad=True)
        whole = DTensor.from_local(x, mesh, [Replicate()])
        weight = DTensor.from_local(torch.ones(2, 16), mesh, [Shard(0)])
        y = torch.nn.functional.linear(whole.view(2, 2, 16), weight)
        y.redistribute(placements=[Replicate()]).to_local().sum().backward()
        part = DTensor.from_local(torch.ones(3), mesh, [Partial()])
        return y.shape, y.placements, x.grad.tolist(), part.full_tensor().tolist()

    def fails(*arguments):
        try:
            _dtensor_spec.DTensorSpec(*arguments)
        except Exception as problem:
            return type(problem), str(problem)

    def wrong():
        return fails(mesh, (Shard(-1),)), fails(mesh, (Shard(0),), 3)

    before = facts(specs()), lists(), moves(), wrong()
    propagator = DTensor._op_dispatcher.sharding_propagator
    propagator.propagate_op_sharding.cache.cache_clear()
    torch._C._clear_DTensor_sharding_propagator_cache()
    from suiren.torch.distributed import quickening
    quickening.install()
    after = facts(specs()), lists(), moves(), wrong()
    for was, now in zip(before, after, strict=True):
        assert was == now, (was, now)
    print("alike")
    """
)


def test_specs_lists_and_moves_are_pytorchs_own() -> None:
    found = subprocess.run(
        [sys.executable, "-c", BESIDE], capture_output=True, text=True, timeout=200,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert found.stdout.strip().endswith("alike"), found.stderr[-2000:]
