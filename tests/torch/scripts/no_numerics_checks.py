"""Runs with --no-numerics and unlimited memory: what a script may still ask, and what it hears."""

import math
import sys
import warnings
from pathlib import Path

import checks
import torch
import torch.nn.functional as F
from torch import nn

BIG = (1 << 20, 1 << 20)
"""4 TiB in FP32: more than any host has."""


def big(*shape, **options):
    return torch.randn(shape or BIG, device="gcu", **options)


def check_a_tensor_larger_than_any_host():
    before = torch.gcu.memory_allocated()
    x = big()
    assert torch.gcu.memory_allocated() - before == 4 << 40
    y = x * 2 + x.t()
    assert y.shape == BIG and torch.gcu.memory_allocated() - before == 8 << 40
    assert (x @ y).shape == BIG
    del x, y
    assert torch.gcu.memory_allocated() == before


def check_a_model_larger_than_any_host_trains():
    with torch.device("gcu"):
        model = nn.Sequential(
            nn.Linear(1 << 16, 1 << 18), nn.GELU(), nn.LayerNorm(1 << 18), nn.Linear(1 << 18, 8)
        )
    optimizer = torch.optim.AdamW(model.parameters())
    weights = sum(p.numel() * 4 for p in model.parameters())
    assert weights > 64 << 30
    for _ in range(2):
        optimizer.zero_grad()
        loss = model(big(4096, 1 << 16)).pow(2).mean()
        loss.backward()
        optimizer.step()
    assert torch.gcu.max_memory_allocated() > 4 * weights
    assert model[0].weight.grad.shape == model[0].weight.shape


def check_the_meta_device_and_to_empty():
    with torch.device("meta"):
        model = nn.Linear(1 << 18, 1 << 18)
    model.to_empty(device="gcu")
    nn.init.normal_(model.weight)
    assert model(big(4, 1 << 18)).shape == (4, 1 << 18)


def check_values_asked_of_a_tensor_without_storage():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        loss = big().mean()
        assert loss.item() == 1.0 and float(loss) == 1.0
        assert loss.cpu().item() == 1.0
        assert isinstance(f"{loss:.3f}", str)
        assert loss.long().item() in (0, 1)
        assert big(1 << 20).long().sum().item() == 0


def check_questions_are_answered_so_that_scripts_go_on():
    x = big()
    loss = x.sum()
    assert not torch.isnan(loss)
    assert not loss.isnan().any()
    assert not torch.isnan(x).any()
    assert not torch.isinf(x).any()
    assert torch.isfinite(x).all()
    assert torch.isfinite(loss)
    assert not (~torch.isfinite(x)).any()
    assert not (torch.isnan(x) | torch.isinf(x)).any()
    assert torch.isfinite(x).all() and not torch.isfinite(x).logical_not().any()
    assert loss > 0
    assert not loss < 0
    assert loss == loss
    assert torch.isfinite(loss).item() is True


def check_clipping_with_a_check_for_finite_norms():
    model = nn.Linear(1 << 16, 1 << 12).to("gcu")
    model(big(8, 1 << 16)).sum().backward()
    norm = nn.utils.clip_grad_norm_(model.parameters(), 1.0, error_if_nonfinite=True)
    assert norm.item() >= 0


def check_a_grad_scaler_takes_its_steps():
    model = nn.Linear(1 << 16, 1 << 12).to("gcu")
    optimizer = torch.optim.SGD(model.parameters(), 0.1, momentum=0.9)
    scaler = torch.amp.GradScaler("gcu")
    for _ in range(3):
        optimizer.zero_grad()
        with torch.autocast("gcu", dtype=torch.float16):
            loss = model(big(8, 1 << 16)).float().mean()
        scaler.scale(loss).backward()
        scaler.unscale_(optimizer)
        scaler.step(optimizer)
        scaler.update()
    assert len(optimizer.state) == 2
    assert scaler.get_scale() == 2.0**16


def check_masks_and_positions_keep_their_values():
    positions = torch.arange(512, device="gcu")
    assert positions.sum().item() == 512 * 511 // 2
    mask = torch.ones(64, 64, dtype=torch.bool, device="gcu").tril()
    assert mask.sum().item() == 64 * 65 // 2
    lengths = torch.tensor([3, 5], device="gcu")
    padding = torch.arange(8, device="gcu")[None] < lengths[:, None]
    assert padding.tolist()[0] == [True] * 3 + [False] * 5
    assert (positions // 2)[7].item() == 3
    assert positions.cpu().tolist()[-1] == 511
    assert torch.cumsum(lengths, 0).tolist() == [3, 8]


def check_small_results_of_large_tensors_are_not_trusted():
    x = big(1024, 1024)
    assert x.mean().item() == 1.0
    assert x[0, 0].item() == 1.0
    total = torch.zeros((), device="gcu")
    total += x.mean()
    assert total.item() == 1.0
    small = torch.zeros(4, device="gcu")
    small.copy_(x[0, :4])
    assert small.shape == (4,)


def check_boolean_masks_select_everything():
    x = big(1024, 1024)
    chosen = x[x > 0]
    assert chosen.dim() == 1 and chosen.numel() == x.numel()
    assert x[x[:, 0] > 0].shape == (1024, 1024)
    assert torch.masked_select(x, x > 0).numel() == x.numel()
    assert (x > 0).nonzero().shape == (1024 * 1024, 2)
    rows, columns = torch.nonzero(x > 0, as_tuple=True)
    assert rows.shape == columns.shape == (1024 * 1024,)
    x[x > 0] = 0.0
    assert torch.where(x > 0, x, -x).shape == x.shape


def check_a_small_real_mask_selects_what_it_says():
    x = torch.arange(6.0, device="gcu")
    assert x[x > 2].tolist() == [3, 4, 5]
    assert x.nonzero().shape == (5, 1)
    keep = torch.tensor([True, False, True], device="gcu")
    assert keep.nonzero().flatten().tolist() == [0, 2]


def check_a_small_mask_on_a_large_tensor_keeps_its_count():
    x = big(3, 1 << 20)
    keep = torch.tensor([True, False, True], device="gcu")
    assert x[keep].shape == (2, 1 << 20)
    assert x[torch.tensor([2, 0], device="gcu")].shape == (2, 1 << 20)


def check_attention_in_all_forms():
    q, k = big(2, 8, 4096, 64), big(2, 2, 4096, 64)
    q.requires_grad_()
    mask = torch.ones(4096, 4096, dtype=torch.bool, device="gcu").tril()
    F.scaled_dot_product_attention(q, q, q, is_causal=True).sum().backward()
    F.scaled_dot_product_attention(q, k, k, enable_gqa=True, dropout_p=0.1).sum().backward()
    F.scaled_dot_product_attention(q, q, q, attn_mask=mask).sum().backward()
    assert q.grad.shape == q.shape


def check_saving_a_large_state_is_refused_or_small():
    x = big(1024, 1024)
    assert x.cpu().shape == x.shape
    assert repr(x)


def check_dropout_sorting_and_tokens():
    x = big(1024, 1024)
    assert F.dropout(x, 0.1).shape == x.shape
    values, order = x.sort(-1)
    assert values.shape == order.shape == x.shape
    assert x.topk(5).indices.shape == (1024, 5)
    assert torch.multinomial(x.softmax(-1), 1).shape == (1024, 1)
    tokens = x.argmax(-1)
    assert nn.Embedding(1024, 64).to("gcu")(tokens).shape == (1024, 64)
    assert torch.cat([tokens, tokens]).tolist()[:1] == [0]


def check_checkpointing():
    from torch.utils.checkpoint import checkpoint

    block = nn.Sequential(nn.Linear(1024, 4096), nn.GELU(), nn.Dropout(), nn.Linear(4096, 1024))
    block.to("gcu")
    x = big(4096, 1024, requires_grad=True)
    checkpoint(block, x, use_reentrant=False).sum().backward()
    assert x.grad.shape == x.shape


def check_views_in_place_ops_and_out_arguments():
    x = big(1024, 1024)
    before = torch.gcu.memory_allocated()
    x[1:].t().add_(1).mul_(2)
    torch.add(x, 1, out=x)
    assert torch.gcu.memory_allocated() == before
    out = torch.empty(0, device="gcu")
    torch.add(x, x, out=out)
    assert out.shape == x.shape
    assert torch.gcu.memory_allocated() - before == 4 << 20


def held_bytes():
    """This process's own share of the host's memory."""
    lines = Path("/proc/self/smaps_rollup").read_text().splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith("Pss:"))


def check_states_on_the_host_take_no_memory():
    if not sys.platform.startswith("linux"):
        return
    weights = [torch.zeros(64 << 20, device="gcu") for _ in range(4)]
    before = held_bytes()
    masters = [nn.Parameter(w.cpu()) for w in weights]
    assert [float(masters[0][n]) for n in (0, 12345678, -1)] == [1.0] * 3
    moments = [torch.zeros_like(m) for m in masters]
    for master, moment, weight in zip(masters, moments, weights, strict=True):
        moment += weight.cpu()
        weight.copy_(master.detach() - moment)
    assert held_bytes() - before < 256 << 20  # of 3 GiB that they stand for
    other = torch.arange(24 << 20)  # of no size that came from the card: as real as ever
    assert other[-1] == (24 << 20) - 1 and other[3] == 3


def check_steps_on_the_host_compute_what_has_values():
    for how in ({"fused": True}, {"foreach": True}, {}):
        weight = torch.zeros(9 << 20, device="gcu")
        hollow = [nn.Parameter(weight.cpu()) for _ in range(2)]
        own = [nn.Parameter(torch.arange(1.0, n + 1)) for n in (5, 3 << 20)]
        alone = [nn.Parameter(p.detach().clone()) for p in own]
        together = torch.optim.AdamW([hollow[0], own[0], hollow[1], own[1]], lr=0.5, **how)
        apart = torch.optim.AdamW(alone, lr=0.5, **how)
        for _ in range(3):
            for p in (*own, *alone):
                p.grad = p.detach() / 2
            for p in hollow:
                p.grad = weight.cpu()
            together.step()
            apart.step()
        for one, other in zip(own, alone, strict=True):
            assert torch.equal(one, other) and float(one.detach()[1]) != 2.0
        if sys.platform.startswith("linux"):  # left alone; an Adam that computes moves them
            assert [float(p.detach()[n]) for p in hollow for n in (0, -1)] == [1.0] * 4
        assert [float(state["step"]) for state in together.state.values()] == [3.0] * 4
        assert together.state[hollow[0]]["exp_avg"].shape == weight.shape


def check_fills_and_clipping_leave_alone_what_has_no_values():
    hollow = nn.Parameter(torch.zeros(9 << 20, device="gcu").cpu())
    own = nn.Parameter(torch.zeros(1000))
    for p in (hollow, own):
        assert nn.init.normal_(p) is p
    assert float(own.detach().std()) > 0.5
    hollow.grad, own.grad = hollow.detach().clone(), torch.full((1000,), 3.0)
    torch.ones(1, device="gcu")
    norm = nn.utils.clip_grad_norm_([hollow, own], 1.0)
    if sys.platform.startswith("linux"):
        assert [float(hollow.detach()[n]) for n in (0, -1)] == [1.0, 1.0]
        # what has no values has the norm 1
        assert math.isclose(float(norm), math.sqrt(1 + 9 * 1000), rel_tol=1e-6)
    assert math.isclose(float(own.grad[0]), 3 / float(norm), rel_tol=1e-4)


def check_memory_still_runs_out_of_a_limit():
    free, total = torch.gcu.mem_get_info()
    assert total >= 1 << 62
    assert free > 1 << 61


def check_times_are_simulated_too():
    x = big(1024, 1024)
    start, end = (torch.gcu.Event(enable_timing=True) for _ in range(2))
    torch.gcu.synchronize()
    start.record()
    x @ x
    end.record()
    assert 0.2 < start.elapsed_time(end) < 0.5


checks.run(globals())
