"""Profiles, memory histories and questions that scripts for CUDA ask while they train."""

import json
import tempfile
import time
from pathlib import Path

import torch
import torch.nn.functional as F
import ways
from torch import nn
from torch.profiler import ProfilerActivity, profile, record_function, schedule


def work(device, n=2):
    model = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 8)).to(device)
    optimizer = torch.optim.AdamW(model.parameters())
    for _ in range(n):
        with record_function("one step"):
            loss = model(torch.randn(32, 64).to(device)).pow(2).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        yield loss


def activities(device):
    return [ProfilerActivity.CPU] + ([ProfilerActivity.CUDA] if device == "cuda" else [])


def way_a_profile_with_a_table_and_a_trace(device):
    with profile(
        activities=activities(device), record_shapes=True, profile_memory=True, with_stack=False,
        with_flops=True,
    ) as found:  # fmt: skip
        for _ in work(device):
            pass
    averages = found.key_averages()
    for key in ("self_cpu_time_total", "cuda_time_total", "self_cuda_time_total",
                "device_time_total", "self_device_time_total", "cpu_time_total"):  # fmt: skip
        text = averages.table(sort_by=key, row_limit=5)
        assert "aten::" in text or "one step" in text
    assert found.key_averages(group_by_input_shape=True).table(sort_by="cpu_time_total")
    if device == "cuda":
        rows = {e.key: e for e in averages}
        assert rows["aten::addmm"].self_device_time_total > 0
        assert rows["one step"].device_time_total > rows["aten::addmm"].self_device_time_total
    path = Path(tempfile.mkdtemp()) / "trace.json"
    found.export_chrome_trace(str(path))
    assert "traceEvents" in json.loads(path.read_text())
    return []


def way_a_profile_on_a_schedule(device):
    ready = []
    with profile(
        activities=activities(device),
        schedule=schedule(wait=1, warmup=1, active=2, repeat=1),
        on_trace_ready=lambda p: ready.append(p.key_averages().table(sort_by="cpu_time_total")),
    ) as found:
        for _ in work(device, 5):
            found.step()
    assert len(ready) == 1 and "ProfilerStep" in ready[0]
    return []


def way_the_old_profiler(device):
    with torch.autograd.profiler.profile(use_device="cuda" if device == "cuda" else None) as found:
        for _ in work(device):
            pass
    assert found.key_averages().table(sort_by="self_cpu_time_total")
    if device == "cuda":
        with torch.autograd.profiler.emit_nvtx(), torch.cuda.nvtx.range("all"):
            list(work(device))
    return []


def way_a_history_of_memory(device):
    if device == "cpu":
        return []
    torch.cuda.memory._record_memory_history(max_entries=1000)
    kept = list(work(device))
    snapshot = torch.cuda.memory._snapshot()
    assert snapshot["segments"] and "device_traces" in snapshot
    path = Path(tempfile.mkdtemp()) / "memory.pickle"
    torch.cuda.memory._dump_snapshot(str(path))
    assert path.stat().st_size > 0
    torch.cuda.memory._record_memory_history(enabled=None)
    assert kept and torch.cuda.memory_snapshot()
    assert "allocated" in torch.cuda.memory_summary(abbreviated=True).lower()
    torch.cuda.memory.set_per_process_memory_fraction(0.9)
    assert torch.cuda.memory.memory_reserved() >= torch.cuda.memory.memory_allocated()
    assert isinstance(torch.cuda.memory.list_gpu_processes(), str)
    assert torch.cuda.memory.get_allocator_backend() == "native"
    return []


def way_what_the_card_says_of_itself(device):
    if device == "cpu":
        return []
    properties = torch.cuda.get_device_properties(0)
    for name in ("name", "total_memory", "multi_processor_count", "major", "minor", "warp_size"):
        assert getattr(properties, name) is not None
    assert torch.cuda.get_device_capability() > (0, 0)
    assert torch.cuda.utilization() >= 0
    assert torch.cuda.temperature() >= 0 and torch.cuda.power_draw() >= 0
    assert torch.cuda.clock_rate() > 0 and torch.cuda.memory_usage() >= 0
    assert torch.cuda.device_memory_used() >= 0
    assert torch.cuda.is_tf32_supported() and not torch.cuda.is_current_stream_capturing()
    assert torch.cuda.get_sync_debug_mode() == 0
    torch.cuda.set_sync_debug_mode("default")
    assert torch.cuda.get_gencode_flags() is not None
    assert torch.cuda.nccl.is_available([torch.ones(1).cuda()]) in (True, False)
    assert torch.version.cuda is None or torch.version.cuda[0].isdigit()
    assert torch.backends.cudnn.version() and torch.backends.cudnn.enabled
    torch.cuda.cudart()
    return []


def way_timing_by_hand(device):
    if device == "cpu":
        return []
    x = torch.randn(512, 512).cuda()
    begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    torch.cuda.synchronize()
    wall = time.perf_counter()
    begin.record()
    for _ in range(3):
        x = F.normalize(x @ x)
    end.record()
    torch.cuda.synchronize()
    assert time.perf_counter() > wall and 0 < begin.elapsed_time(end) < 100
    from torch.utils.benchmark import Timer

    assert Timer("x + 1", globals={"x": x}).timeit(3).mean > 0
    return []


def way_flop_counts(device):
    from torch.utils.flop_counter import FlopCounterMode

    layer = nn.Linear(16, 8).to(device)
    with FlopCounterMode(display=False) as counter:
        layer(torch.ones(4, 16).to(device)).sum().backward()
    return [counter.get_total_flops()]


if __name__ == "__main__":
    ways.run(globals())
