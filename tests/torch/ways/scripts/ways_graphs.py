"""CUDA graphs: captured once, replayed on static memory; on a host the same work runs eagerly."""

import torch
import torch.nn.functional as F
import ways
from torch import nn


def net(device, dropout=0.0):
    return nn.Sequential(
        nn.Linear(8, 16), nn.GELU(), nn.Dropout(dropout), nn.LayerNorm(16), nn.Linear(16, 4)
    ).to(device)


def batches(n=4):
    return [(torch.randn(6, 8), torch.randn(6, 4)) for _ in range(n)]


def warmed_up(work, n=2):
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(n):
            work()
    torch.cuda.current_stream().wait_stream(side)


def way_inference(device):
    model = net(device).eval()
    data = [x for x, _ in batches()]
    if device == "cpu":
        return [model(x) for x in data]
    static = torch.zeros(6, 8, device=device)
    with torch.no_grad():
        warmed_up(lambda: model(static))
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            out = model(static)
    seen = []
    for x in data:
        static.copy_(x)
        graph.replay()
        seen.append(out.clone())
    return seen


def _train(device, make_optimizer, autocast=False):
    """The whole step as one graph, as PyTorch's notes on CUDA graphs show it."""
    model = net(device)
    optimizer = make_optimizer(model.parameters())
    context = torch.autocast(device, dtype=torch.bfloat16, enabled=autocast, cache_enabled=False)
    data = batches()
    x, y = (t.to(device) for t in data[0])

    def forward_and_backward():
        optimizer.zero_grad(set_to_none=True)
        with context:
            loss = F.mse_loss(model(x).float(), y)
        loss.backward()
        return loss

    def step():
        loss = forward_and_backward()
        optimizer.step()
        return loss

    if device == "cpu":
        for _ in range(2):
            step()
    else:
        warmed_up(step)
        before = [p.detach().clone() for p in model.parameters()]
        graph = torch.cuda.CUDAGraph()
        optimizer.zero_grad(set_to_none=True)
        with torch.cuda.graph(graph):
            loss = step()
        assert all(map(torch.equal, before, model.parameters())), "capturing changed a weight"
    losses = []
    for a, b in data:
        x.copy_(a)
        y.copy_(b)
        if device == "cpu":
            loss = step()
        else:
            graph.replay()
        losses.append(loss.item())
    return losses, list(model.parameters())


def way_a_whole_step_with_sgd(device):
    return _train(device, lambda p: torch.optim.SGD(p, 0.1, momentum=0.9))


def way_a_whole_step_with_a_capturable_optimizer(device):
    capturable = device == "cuda"
    return _train(device, lambda p: torch.optim.AdamW(p, 1e-2, capturable=capturable))


def way_a_whole_step_with_a_fused_optimizer(device):
    return (
        _train(device, lambda p: torch.optim.AdamW(p, 1e-2, fused=True, capturable=False))
        if device == "cpu"
        else _train(device, lambda p: torch.optim.AdamW(p, 1e-2, fused=True, capturable=True))
    )


def way_a_whole_step_under_autocast(device):
    return _train(device, lambda p: torch.optim.SGD(p, 0.1), True)


def way_graphed_callables(device):
    model = net(device)
    head = nn.Linear(4, 2).to(device)
    optimizer = torch.optim.SGD([*model.parameters(), *head.parameters()], 0.1)
    if device == "cuda":
        sample = torch.randn(6, 8, device=device)
        state = torch.random.get_rng_state()
        model = torch.cuda.make_graphed_callables(model, (sample,))
        torch.random.set_rng_state(state)
    else:
        torch.randn(6, 8)
    torch.manual_seed(1)
    losses = []
    for x, _ in batches(3):
        optimizer.zero_grad(set_to_none=True)
        loss = head(model(x.to(device)).relu()).pow(2).mean()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses, list(model.parameters())


def way_partial_capture_of_two_modules(device):
    one, two = nn.Linear(8, 8).to(device), nn.Linear(8, 8).to(device)
    x = torch.randn(4, 8).to(device).requires_grad_()
    if device == "cuda":
        samples = (
            (torch.randn(4, 8, device=device, requires_grad=True),),
            (torch.randn(4, 8, device=device, requires_grad=True),),
        )
        one, two = torch.cuda.make_graphed_callables((one, two), samples)
    y = two(one(x).relu() if x.sum() > -1e9 else one(x))
    y.pow(2).sum().backward()
    return y, x.grad, one.weight.grad, two.weight.grad


def way_random_numbers_go_on(device):
    if device == "cpu":
        return []
    x = torch.ones(64, device=device)
    graph = torch.cuda.CUDAGraph()
    before = torch.cuda.get_rng_state()
    with torch.cuda.graph(graph):
        y = F.dropout(x, 0.5)
    assert torch.equal(before, torch.cuda.get_rng_state())
    graph.replay()
    first = y.clone()
    graph.replay()
    assert not torch.equal(first, y)
    torch.cuda.set_rng_state(before)
    assert torch.equal(F.dropout(x, 0.5), first)
    return []


def way_addresses_stay_and_memory_is_kept(device):
    if device == "cpu":
        return []
    x = torch.ones(1 << 20, device=device)
    graph = torch.cuda.CUDAGraph()
    before = torch.cuda.memory_allocated()
    with torch.cuda.graph(graph, pool=torch.cuda.graph_pool_handle()):
        y = (x * 2 + 1).relu()
    kept = torch.cuda.memory_allocated() - before
    assert kept == 4 << 20, kept
    address = y.data_ptr()
    torch.cuda.reset_peak_memory_stats()
    graph.replay()
    assert y.data_ptr() == address and y[0].item() == 3
    assert torch.cuda.memory_allocated() - before == kept
    del y
    assert torch.cuda.memory_allocated() - before == kept, "the graph keeps its memory"
    graph.reset()
    assert torch.cuda.memory_allocated() == before
    return []


def _refused(work, kind, text):
    graph = torch.cuda.CUDAGraph()
    try:
        with torch.cuda.graph(graph):
            assert torch.cuda.is_current_stream_capturing()
            work()
    except kind as error:
        assert text in str(error), error
        assert not torch.cuda.is_current_stream_capturing()
        return
    raise AssertionError("it was permitted")


def way_what_may_not_be_captured(device):
    if device == "cpu":
        return []
    x = torch.ones(4, device=device)
    for work in (
        lambda: x.sum().item(), lambda: x.nonzero(), lambda: x[x > 0], torch.cuda.synchronize,
    ):  # fmt: skip
        _refused(work, RuntimeError, "operation not permitted when stream is capturing")
    for work in (lambda: x.cpu(), lambda: torch.ones(4).to(device), lambda: x.tolist()):
        _refused(work, RuntimeError, "CUDA graph capture")
    layer = nn.Linear(4, 4).to(device)
    layer(x).sum().backward()
    adam = torch.optim.Adam(layer.parameters())
    _refused(adam.step, RuntimeError, "capturable")
    try:
        torch.cuda.CUDAGraph().replay()
    except RuntimeError as error:
        assert "without a preceding successful capture" in str(error)
    return []


def way_native_names(device):
    if device == "cpu":
        return []
    x = torch.ones(4, device="gcu")
    graph = torch.gcu.GCUGraph()
    with torch.gcu.graph(graph):
        y = x.cumsum(0)
        y.mul_(2)
        z = y.view(2, 2).t().contiguous()
        w = torch.view_as_complex(z).abs()
    x.fill_(2)
    graph.replay()
    assert y.tolist() == [4, 8, 12, 16] and z.tolist() == [[4, 12], [8, 16]]
    torch.testing.assert_close(w, torch.complex(z[:, 0], z[:, 1]).abs())
    return []


if __name__ == "__main__":
    ways.run(globals())
