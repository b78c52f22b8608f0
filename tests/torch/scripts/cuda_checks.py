"""A script written for CUDA; it never hears of another device. `suiren run` makes it work."""

import copy
import io
import pickle

import checks
import torch
import torch.nn.functional as F
from torch import nn

CUDA0 = torch.device("cuda:0")


def raises(kind, work, text=""):
    try:
        work()
    except kind as error:
        assert text in str(error), error
    else:
        raise AssertionError(f"no {kind.__name__}")


# ---- names of torch.cuda


def check_cuda_is_there():
    assert torch.cuda.is_available() and torch.cuda.is_initialized()
    assert torch.cuda.device_count() == 1
    assert torch.cuda.current_device() == 0
    torch.cuda.init()
    torch.cuda.set_device(0)
    torch.cuda.set_device("cuda:0")
    torch.cuda.set_device(CUDA0)


def check_the_card_describes_itself():
    assert "Toy card" in torch.cuda.get_device_name()
    assert torch.cuda.get_device_name(0) == torch.cuda.get_device_name("cuda")
    assert torch.cuda.get_device_properties(CUDA0).total_memory == 2**34
    assert torch.cuda.get_device_properties("cuda:0").multi_processor_count == 16
    assert len(torch.cuda.get_device_capability()) == 2
    assert torch.cuda.is_bf16_supported()
    assert torch.cuda.get_arch_list()
    assert torch.version.cuda is None or isinstance(torch.version.cuda, str)


def check_memory_functions_take_cuda_devices():
    before = torch.cuda.memory_allocated()
    x = torch.zeros(1 << 20, device="cuda")
    for where in (None, 0, "cuda", "cuda:0", CUDA0):
        assert torch.cuda.memory_allocated(where) - before == 4 << 20
        assert torch.cuda.max_memory_allocated(where) >= 4 << 20
        assert torch.cuda.memory_reserved(where) >= 4 << 20
        torch.cuda.reset_peak_memory_stats(where)
        torch.cuda.synchronize(where)
        assert torch.cuda.mem_get_info(where)[1] == 2**34
    assert torch.cuda.memory_allocated(device=CUDA0) - before == 4 << 20
    assert torch.cuda.memory_stats()["allocated_bytes.all.current"] >= 4 << 20
    assert torch.cuda.memory.memory_allocated() == torch.cuda.memory_allocated()
    torch.cuda.empty_cache()
    torch.cuda.memory_summary()
    torch.cuda.reset_max_memory_allocated()
    torch.cuda.ipc_collect()
    del x


def check_out_of_memory_is_cuda_s_error():
    raises(
        torch.cuda.OutOfMemoryError, lambda: torch.empty(1 << 40, device="cuda"), "out of memory"
    )


def check_streams_and_events():
    start = torch.cuda.Event(enable_timing=True)
    end = torch.cuda.Event(enable_timing=True)
    x = torch.ones(256, 256, device="cuda")
    start.record()
    x @ x
    end.record()
    torch.cuda.synchronize()
    assert 0 < start.elapsed_time(end) < 10
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        assert torch.cuda.current_stream() == side
        y = x + 1
    torch.cuda.current_stream().wait_stream(side)
    y.record_stream(torch.cuda.current_stream())
    assert torch.cuda.current_stream() == torch.cuda.default_stream()
    assert isinstance(side, torch.cuda.Stream) and isinstance(start, torch.cuda.Event)
    torch.cuda.Stream(device="cuda:0", priority=-1).synchronize()
    torch.cuda.Stream(device=CUDA0).synchronize()


def check_random_numbers():
    torch.cuda.manual_seed(3)
    a = torch.randn(4, device="cuda")
    torch.cuda.manual_seed_all(3)
    assert torch.equal(torch.randn(4, device="cuda"), a)
    state = torch.cuda.get_rng_state()
    b = torch.randn(4, device="cuda")
    torch.cuda.set_rng_state(state)
    assert torch.equal(torch.randn(4, device="cuda"), b)
    torch.cuda.set_rng_state_all(torch.cuda.get_rng_state_all())
    torch.cuda.random.manual_seed(3)
    assert torch.cuda.initial_seed() == 3
    torch.manual_seed(3)
    assert torch.equal(torch.randn(4, device="cuda"), a)


def check_generators():
    generator = torch.Generator(device="cuda").manual_seed(5)
    assert generator.device.type in ("cuda", "gcu")
    a = torch.randn(4, device="cuda", generator=generator)
    generator = torch.Generator("cuda:0").manual_seed(5)
    assert torch.equal(torch.randn(4, device="cuda", generator=generator), a)
    assert isinstance(generator, torch.Generator)
    assert isinstance(torch.Generator(), torch.Generator)
    assert isinstance(torch.default_generator, torch.Generator)
    torch.randperm(8, device="cuda", generator=generator)


def check_profiling_marks():
    torch.cuda.nvtx.range_push("part")
    torch.cuda.nvtx.mark("here")
    torch.cuda.nvtx.range_pop()
    with torch.cuda.nvtx.range("part"):
        pass


def check_device_contexts():
    with torch.cuda.device(0):
        assert torch.ones(1, device="cuda").is_cuda
    with torch.cuda.device("cuda:0"), torch.cuda.device_of(torch.ones(1, device="cuda")):
        assert torch.cuda.current_device() == 0


def check_flags_of_backends():
    torch.backends.cuda.matmul.allow_tf32 = True
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = True
    torch.backends.cudnn.benchmark = True
    torch.backends.cudnn.deterministic = True
    torch.backends.cudnn.enabled = True
    torch.backends.cuda.enable_flash_sdp(True)
    torch.backends.cuda.enable_math_sdp(True)
    torch.backends.cuda.enable_mem_efficient_sdp(True)
    torch.backends.cuda.matmul.allow_fp16_reduced_precision_reduction = True
    assert torch.backends.cuda.is_built()
    assert torch.backends.cudnn.is_available()
    assert torch.backends.cudnn.version() > 0
    torch.use_deterministic_algorithms(False)


def check_attention_kernels_can_be_chosen():
    from torch.nn.attention import SDPBackend, sdpa_kernel

    q = torch.randn(1, 2, 8, 16, device="cuda")
    plain = F.scaled_dot_product_attention(q, q, q)
    for kernel in (SDPBackend.FLASH_ATTENTION, SDPBackend.EFFICIENT_ATTENTION, SDPBackend.MATH):
        with sdpa_kernel([kernel]):
            torch.testing.assert_close(F.scaled_dot_product_attention(q, q, q), plain)


# ---- devices


def check_every_way_to_create_on_cuda():
    made = [
        torch.ones(2, device="cuda"),
        torch.ones(2, device="cuda:0"),
        torch.ones(2, device=CUDA0),
        torch.ones(2, device=torch.device("cuda")),
        torch.ones(2, device=torch.device("cuda", 0)),
        torch.ones(2, device=0),
        torch.tensor([1.0, 1.0], device="cuda"),
        torch.as_tensor([1.0, 1.0], device="cuda"),
        torch.from_numpy(torch.ones(2).numpy()).to("cuda"),
        torch.ones(2).cuda(),
        torch.ones(2).cuda(0),
        torch.ones(2).cuda("cuda:0"),
        torch.ones(2).cuda(CUDA0, non_blocking=True),
        torch.ones(2).cuda(device=CUDA0),
        torch.ones(2).to("cuda"),
        torch.ones(2).to(0),
        torch.ones(2).to(CUDA0, torch.float32, non_blocking=True),
        torch.ones(2).to(device="cuda", dtype=torch.float32),
        torch.ones(2).to(torch.ones(1, device="cuda")),
        torch.zeros(2, device="cuda").new_ones(2),
        torch.ones_like(torch.zeros(2), device="cuda"),
        torch.full((2,), 1.0, device="cuda"),
        torch.empty(2, device="cuda").fill_(1),
        torch.arange(1, 3, device="cuda").clamp(max=1).float(),
        torch.ones(2, pin_memory=True).to("cuda", non_blocking=True),
    ]
    for x in made:
        assert x.is_cuda and x.tolist() == [1, 1]
        assert x.device == CUDA0 and x.device.type == "cuda" and x.device.index == 0
        assert x.get_device() == 0
        assert "device='cuda:0'" in repr(x)


def check_comparing_devices():
    x = torch.ones(2, device="cuda")
    assert x.device == torch.device("cuda:0") == torch.device("cuda", 0)
    assert x.device != torch.device("cpu")
    assert x.device == nn.Linear(1, 1).cuda().weight.device
    assert str(x.device) == "cuda:0"
    assert torch.ones(2, device=x.device).is_cuda
    assert x.to(x.device) is x
    assert {x.device: 1}[torch.device("cuda:0")] == 1
    assert not x.cpu().is_cuda and x.cpu().device.type == "cpu"
    assert x.data.is_cuda and nn.Parameter(x).is_cuda and nn.Parameter(x).device.type == "cuda"


def check_branches_on_the_device_type():
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    x = torch.ones(2).to(device)
    assert device.type == "cuda" and x.device.type == device.type
    assert x.type() in ("torch.cuda.FloatTensor", "torch.gcu.FloatTensor")


def check_device_contexts_and_the_default_device():
    with torch.device("cuda"):
        assert torch.ones(2).is_cuda
        assert nn.Linear(2, 2).weight.is_cuda
    torch.set_default_device("cuda")
    try:
        assert torch.ones(2).is_cuda and torch.randn(2).device.type == "cuda"
        assert torch.get_default_device().type in ("cuda", "gcu")
    finally:
        torch.set_default_device(None)
    assert not torch.ones(2).is_cuda


def check_storages_are_on_cuda():
    x = torch.ones(2, device="cuda")
    assert x.untyped_storage().is_cuda
    assert x.untyped_storage().device.type == "cuda"


def check_mixing_with_the_host_is_an_error():
    raises(RuntimeError, lambda: torch.ones(3, device="cuda") + torch.ones(3), "same device")
    raises(TypeError, lambda: torch.ones(3, device="cuda").numpy())


# ---- modules


def check_modules_move_and_stay():
    model = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2)).to("cuda")
    addresses = [t.data_ptr() for t in model.state_dict().values()]
    model.to("cuda").to(CUDA0).cuda().cuda(0).to(0)
    assert [t.data_ptr() for t in model.state_dict().values()] == addresses
    assert next(model.parameters()).is_cuda and next(model.buffers()).is_cuda
    assert not next(model.cpu().parameters()).is_cuda
    assert nn.Linear(2, 2, device="cuda").weight.is_cuda
    assert nn.Linear(2, 2).to(device="cuda", dtype=torch.bfloat16).weight.dtype == torch.bfloat16


def check_moving_twice_takes_no_memory():
    model = nn.Linear(256, 256).to("cuda")
    before = torch.cuda.memory_allocated()
    model = model.to("cuda").cuda()
    x = torch.ones(2, 256, device="cuda")
    x = x.cuda().to("cuda")
    assert torch.cuda.memory_allocated() - before == 2048


def check_an_optimizer_made_before_the_move():
    model = nn.Linear(2, 1)
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    model.cuda()
    before = model.weight.detach().clone()
    model(torch.ones(1, 2, device="cuda")).sum().backward()
    optimizer.step()
    assert not torch.equal(model.weight, before)


def check_optimizers_fused_foreach_and_capturable():
    for keywords in ({"fused": True}, {"foreach": True}, {"capturable": True}, {}):
        model = nn.Linear(4, 4).cuda()
        optimizer = torch.optim.AdamW(model.parameters(), 0.1, **keywords)
        before = model.weight.detach().clone()
        model(torch.ones(1, 4, device="cuda")).sum().backward()
        optimizer.step()
        assert not torch.equal(model.weight, before)


def check_copies_and_pickles():
    model = nn.Linear(2, 2).cuda()
    assert copy.deepcopy(model).weight.is_cuda
    assert pickle.loads(pickle.dumps(torch.ones(2, device="cuda"))).is_cuda


def check_data_loaders():
    from torch.utils.data import DataLoader, TensorDataset

    data = TensorDataset(torch.arange(8.0))
    for workers in (0, 2):
        loader = DataLoader(data, 4, pin_memory=True, num_workers=workers)
        total = 0.0
        for (x,) in loader:
            assert x.is_pinned()
            total += x.cuda(non_blocking=True).sum().item()
        assert total == 28
    DataLoader(data, pin_memory=True, pin_memory_device="cuda")


# ---- mixed precision


def check_autocast():
    model, x = nn.Linear(4, 4).cuda(), torch.randn(2, 4, device="cuda")
    contexts = [
        (torch.autocast("cuda", dtype=torch.bfloat16), torch.bfloat16),
        (torch.autocast("cuda"), torch.float16),
        (torch.autocast(device_type="cuda", dtype=torch.float16), torch.float16),
        (torch.amp.autocast("cuda", dtype=torch.bfloat16), torch.bfloat16),
        (torch.cuda.amp.autocast(), torch.float16),
        (torch.cuda.amp.autocast(dtype=torch.bfloat16), torch.bfloat16),
        (torch.cuda.amp.autocast(enabled=False), torch.float32),
        (torch.autocast(device_type=x.device.type, dtype=torch.bfloat16), torch.bfloat16),
    ]
    for context, dtype in contexts:
        with context:
            assert model(x).dtype == dtype
            assert torch.is_autocast_enabled("cuda") == (dtype != torch.float32)
            assert torch.is_autocast_enabled() == (dtype != torch.float32)
        assert model(x).dtype == torch.float32
    with torch.autocast("cuda", dtype=torch.bfloat16):
        assert torch.get_autocast_dtype("cuda") == torch.bfloat16
        assert torch.get_autocast_gpu_dtype() == torch.bfloat16
    assert torch.amp.is_autocast_available("cuda")


def check_custom_functions_with_amp_decorators():
    class Double(torch.autograd.Function):
        @staticmethod
        @torch.amp.custom_fwd(device_type="cuda", cast_inputs=torch.float32)
        def forward(ctx, x):
            assert x.dtype == torch.float32
            return x * 2

        @staticmethod
        @torch.amp.custom_bwd(device_type="cuda")
        def backward(ctx, grad):
            return grad * 2

    x = torch.ones(2, device="cuda", dtype=torch.bfloat16, requires_grad=True)
    with torch.autocast("cuda", dtype=torch.bfloat16):
        Double.apply(x).sum().backward()
    assert x.grad.tolist() == [2, 2]


def _scaled_steps(scaler):
    model = nn.Linear(4, 4).cuda()
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    before = model.weight.detach().clone()
    for _ in range(2):
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast("cuda", dtype=torch.float16):
            loss = model(torch.ones(2, 4, device="cuda")).float().pow(2).mean() * 1e-2
        scaler.scale(loss).backward()
        scaler.unscale_(optimizer)
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        scaler.step(optimizer)
        scaler.update()
    assert not torch.equal(model.weight, before)
    assert scaler.get_scale() == 2.0**16


def check_grad_scalers():
    for scaler in (
        torch.amp.GradScaler("cuda"),
        torch.amp.GradScaler(),
        torch.amp.GradScaler(device="cuda"),
        torch.cuda.amp.GradScaler(),
        torch.GradScaler("cuda"),
    ):
        assert scaler.is_enabled()
        _scaled_steps(scaler)
    assert not torch.amp.GradScaler("cuda", enabled=False).is_enabled()


# ---- saving


def _saved(thing):
    buffer = io.BytesIO()
    torch.save(thing, buffer)
    buffer.seek(0)
    return buffer


def check_saving_and_loading():
    x = torch.arange(3.0, device="cuda")
    for where in (None, "cuda", "cuda:0", CUDA0, {"cuda:0": "cuda:0"}, {"cpu": "cuda"}):
        y = torch.load(_saved(x), map_location=where)
        assert y.is_cuda and y.tolist() == [0, 1, 2], where
    for where in ("cpu", torch.device("cpu"), lambda storage, _: storage):
        assert not torch.load(_saved(x), map_location=where).is_cuda, where
    assert torch.load(_saved(torch.ones(2)), map_location="cuda").is_cuda
    assert torch.load(_saved(torch.ones(2)), weights_only=True, map_location=CUDA0).is_cuda


def check_a_checkpoint_written_on_real_cuda_lands_on_the_card():
    written = _saved(torch.arange(3.0, device="cuda")).getvalue()
    written = _with_location(written)
    assert torch.load(io.BytesIO(written)).is_cuda
    assert not torch.load(io.BytesIO(written), map_location="cpu").is_cuda


def check_locations_of_a_saved_file_are_called_cuda():
    x = torch.ones(2, device="cuda")
    assert not torch.load(_saved(x), map_location={"cuda:0": "cpu"}).is_cuda
    seen = []
    torch.load(_saved(x), map_location=lambda storage, location: seen.append(location) or storage)
    assert seen == ["cuda:0"]


def check_a_storage_can_be_sent_to_cuda():
    assert torch.load(_saved(torch.ones(2)), map_location=lambda s, _: s.cuda()).is_cuda


def _with_location(data):
    """The same file, its storages tagged `cuda:0`, as a real card's are."""
    import zipfile

    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(out, "w") as new:
        for entry in old.infolist():
            body = old.read(entry)
            if entry.filename.endswith("data.pkl"):
                for tag in (b"gcu:0", b"cuda:0"):
                    size = len(tag).to_bytes(4, "little")
                    body = body.replace(b"X" + size + tag, b"X\x06\x00\x00\x00cuda:0")
                assert b"cuda:0" in body
            new.writestr(entry.filename, body)
    return out.getvalue()


def check_state_dicts_go_on():
    model = nn.Linear(3, 3).cuda()
    optimizer = torch.optim.Adam(model.parameters())
    model(torch.ones(1, 3, device="cuda")).sum().backward()
    optimizer.step()
    state = torch.load(_saved(optimizer.state_dict()), map_location="cuda")
    optimizer.load_state_dict(state)
    assert next(iter(optimizer.state.values()))["exp_avg"].is_cuda
    model.load_state_dict(torch.load(_saved(model.state_dict()), map_location="cpu"))
    assert model.weight.is_cuda


# ---- checkpointing and compiling


def check_checkpointing_keeps_random_numbers():
    from torch.utils.checkpoint import checkpoint

    masks = []

    def work(x):
        y = F.dropout(x, 0.5)
        masks.append(y.detach() != 0)
        return y * y

    x = torch.ones(64, device="cuda", requires_grad=True)
    for reentrant in (False, True):
        masks.clear()
        checkpoint(work, x, use_reentrant=reentrant).sum().backward()
        assert len(masks) == 2 and torch.equal(*masks)


def check_a_compiled_model_trains():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 8), nn.GELU(), nn.Linear(8, 2)).cuda()
    compiled = torch.compile(model)
    x = torch.randn(3, 4, device="cuda")
    torch.testing.assert_close(compiled(x), model(x))
    compiled(x).pow(2).sum().backward()
    found = [p.grad.clone() for p in model.parameters()]
    model.zero_grad()
    model(x).pow(2).sum().backward()
    torch.testing.assert_close(found, [p.grad for p in model.parameters()])


def check_a_compiled_function_with_modes_and_autocast():
    @torch.compile(mode="reduce-overhead", fullgraph=True)
    def work(x):
        return (x * 2).relu().sum()

    x = torch.randn(4, device="cuda")
    torch.testing.assert_close(work(x), (x * 2).relu().sum())
    layer = nn.Linear(4, 4).cuda()
    layer.compile()
    with torch.autocast("cuda", dtype=torch.bfloat16):
        layer(x[None]).float().sum().backward()
    assert layer.weight.grad.is_cuda


def check_a_compiled_function_creates_on_the_device():
    @torch.compile
    def work(x):
        return x + torch.arange(x.shape[0], device=x.device)

    assert work(torch.zeros(3, device="cuda")).tolist() == [0, 1, 2]


def check_data_parallel_of_one_card():
    model = nn.DataParallel(nn.Linear(2, 2).cuda())
    assert model(torch.ones(3, 2, device="cuda")).shape == (3, 2)


def check_torch_accelerator():
    assert torch.accelerator.is_available()
    kind = torch.accelerator.current_accelerator().type
    assert torch.ones(2, device=kind).is_cuda


def check_a_transformers_model():
    try:
        from transformers import GPT2Config, GPT2LMHeadModel
    except ImportError:
        return
    config = GPT2Config(n_layer=1, n_embd=16, n_head=2, n_positions=16, vocab_size=32)
    model = GPT2LMHeadModel(config).to("cuda")
    assert model.device.type == "cuda"
    ids = torch.randint(0, 32, (2, 8), device=model.device)
    model(input_ids=ids, labels=ids).loss.backward()
    assert model.transformer.wte.weight.grad.is_cuda


checks.run(globals())
