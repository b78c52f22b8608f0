"""`torch.cuda` and its neighbours: which name is which tie, and how it is rewritten."""

from __future__ import annotations

import ast
import re

from suiren.port.names import last_word, text_of
from suiren.port.sight import Hit, Hits, Sight, is_true, keyword
from suiren.port.texts import is_ordinal

#: Rows of: tie, action, names below `torch.cuda`.
_ROWS = (
    ("cuda-synchronize", "module", "synchronize"),
    ("cuda-stream", "module", "Stream stream current_stream"),
    ("cuda-default-stream", "", "default_stream set_stream ExternalStream StreamContext"),
    ("cuda-event", "event", "Event"),
    ("cuda-memory", "memory", """memory_allocated max_memory_allocated memory_reserved
max_memory_reserved reset_peak_memory_stats empty_cache memory_stats mem_get_info memory_cached
max_memory_cached reset_max_memory_allocated reset_max_memory_cached
reset_accumulated_memory_stats"""),
    ("cuda-memory-report", "", """memory_summary memory_snapshot ipc_collect
set_per_process_memory_fraction"""),
    ("cuda-set-device", "set_device", "set_device"),
    ("cuda-set-device", "module", "current_device"),
    ("cuda-set-device", "count", "device_count"),
    ("cuda-device-context", "", "device device_of"),
    ("cuda-question", "question", "get_device_name is_bf16_supported"),
    ("cuda-device-facts", "", """get_device_properties get_device_capability get_arch_list
can_device_access_peer utilization is_tf32_supported is_current_stream_capturing"""),
    ("cuda-seed", "seed", "manual_seed manual_seed_all"),
    ("cuda-rng-state", "", """get_rng_state get_rng_state_all set_rng_state set_rng_state_all seed
seed_all initial_seed default_generators"""),
    ("cuda-amp", "amp", "amp.autocast amp.GradScaler amp.custom_fwd amp.custom_bwd"),
    ("cuda-nvtx", "", "nvtx.range_push nvtx.range_pop nvtx.mark nvtx.range nvtx.range_start "
     "nvtx.range_end"),
)  # fmt: skip
_CUDA_NAMES = {
    name: (tie, action) for tie, action, names in _ROWS for name in names.split()
}  # fmt: skip
_GROUPS = {
    "CUDAGraph": "cuda-graph", "graph": "cuda-graph", "graphs": "cuda-graph",
    "make_graphed_callables": "cuda-graph", "graph_pool_handle": "cuda-graph",
    "comm": "cuda-comm", "nccl": "cuda-comm", "profiler": "cuda-profiler",
    "cudart": "cuda-profiler", "check_error": "cuda-profiler",
}  # fmt: skip
#: Harmless anywhere, or a question.
_FREE = frozenset(
    "is_available is_initialized init _lazy_init OutOfMemoryError _is_in_bad_fork amp nvtx memory "
    "random streams AcceleratorError has_half __name__ __file__ _initialized".split()
)
_TENSOR_TYPE = re.compile(r"torch\.cuda\.(\w+Tensor)$")
_LIBRARY_SETTINGS = ("cufft_plan_cache", "preferred_", "cudnn.rnn", "cusparselt", "cutlass")
#: Characters of an expression that a patch may write twice.
MOST_REPEATED = 50
_COMPILERS = ("cudagraphs", "tensorrt", "torch_tensorrt", "nvfuser", "nvprims_nvfuser", "tvm")


def look_at_names(node: ast.AST, sight: Sight) -> Hits:
    """Names below `torch.cuda`, `torch.backends`, `torch.version` and their relatives."""
    if not isinstance(node, (ast.Name, ast.Attribute)) or isinstance(sight.parent, ast.Attribute):
        return
    full = sight.names.full(node)
    if not full.startswith("torch"):
        return
    if full == "torch.cuda":
        if not isinstance(sight.parent, ast.Assign):
            yield Hit("cuda-internal", node)
    elif full.startswith("torch.cuda.") and isinstance(node.ctx, ast.Store):
        yield Hit("cuda-internal", node)
    elif full.startswith("torch.cuda."):
        yield from _below_cuda(node, full.removeprefix("torch.cuda."), sight)
    elif full.startswith(("torch.backends.cudnn.", "torch.backends.cuda.")):
        yield from _flag(node, full, sight)
    elif full.startswith("torch.version.cuda."):
        yield Hit("cuda-version", node)
    elif full == "torch.version.cuda":
        if isinstance(sight.parent, (ast.Subscript, ast.Call)) and not _is_shown(node, sight):
            yield Hit("cuda-version", node)
    elif full.endswith("ProfilerActivity.CUDA"):
        yield Hit("profiler-activity", node)
    elif re.match(r"torch\._C\._.*(cuda|cublas|nccl|nvfuser|cudnn)", full, re.IGNORECASE):
        yield Hit("cuda-internal", node)
    elif full.startswith("torch._inductor.config.") and isinstance(sight.parent, ast.Assign):
        yield Hit("compile-mode", node)
    elif full.endswith((".emit_nvtx", "profiler.emit_nvtx")):
        yield Hit("cuda-profiler", node)


def _is_shown(node: ast.AST, sight: Sight) -> bool:
    call = sight.call_around(node)
    return call is not None and bool(
        re.search(r"print|info|log|debug|str|format|append|write|warn", last_word(call.func))
    )


def _below_cuda(node: ast.Name | ast.Attribute, name: str, sight: Sight) -> Hits:
    if _TENSOR_TYPE.match(f"torch.cuda.{name}"):
        yield from _tensor_type(node, name, sight)
        return
    head = name.partition(".")[0]
    if name == "current_stream" and (whole_call := _waits(sight)) is not None:
        yield Hit("cuda-synchronize", whole_call, "drain")
        return
    row = _CUDA_NAMES.get(name) or _CUDA_NAMES.get(head)
    if row is not None:
        tie, action = row
        if name in ("device_count", "is_bf16_supported") and sight.in_test:
            return
        is_decorator = action == "amp" and name.startswith("amp.custom")
        if action in ("memory", "question", "set_device", "seed", "amp", "event") and not (
            sight.is_called(node) or is_decorator
        ):
            action = ""
        if name == "Stream" and sight.is_called(node) and _names_a_device(sight.parent):
            action = ""
        whole = action in ("memory", "question", "set_device", "amp", "event")
        place = sight.parent if whole and sight.is_called(node) else node
        yield Hit(tie, place, f"{action}:{name.rpartition('.')[2]}" if action else "")
    elif head in _GROUPS:
        yield Hit(_GROUPS[head], node)
    elif name not in _FREE and not name.startswith("amp."):
        yield Hit("cuda-internal", node)


def _names_a_device(call: ast.AST) -> bool:
    """`Stream(device=…)`: a CPU's stream takes none."""
    return isinstance(call, ast.Call) and bool(call.args or keyword(call, "device"))


def _waits(sight: Sight) -> ast.Call | None:
    """The call of `torch.cuda.current_stream().synchronize()`: a CPU's stream cannot wait."""
    outer, attribute = [None, None, *sight.parents][-3:-1]
    waits = isinstance(attribute, ast.Attribute) and attribute.attr == "synchronize"
    return outer if waits and isinstance(outer, ast.Call) else None


def _tensor_type(node: ast.AST, name: str, sight: Sight) -> Hits:
    """`torch.cuda.FloatTensor`, called, cast to, made the default, or used as an object."""
    parent, kind = sight.parent, name.rpartition(".")[2]
    if sight.is_called(node):
        yield Hit("cuda-tensor-type", parent, f"legacy:{kind}")
    elif isinstance(parent, ast.Call) and node in parent.args:
        last = last_word(parent.func)
        if last == "type":
            yield Hit("cuda-type-cast", parent, f"type_cast:{kind}" if kind in DTYPES else "")
        elif last == "set_default_tensor_type":
            single = kind == "FloatTensor"
            yield Hit("default-tensor-type", parent, "default_type" if single else "")
        else:
            yield Hit("cuda-type-object", node)
    else:
        yield Hit("cuda-type-object", node)


DTYPES = {
    "FloatTensor": "float32",
    "DoubleTensor": "float64",
    "HalfTensor": "float16",
    "BFloat16Tensor": "bfloat16",
    "LongTensor": "int64",
    "IntTensor": "int32",
    "ShortTensor": "int16",
    "CharTensor": "int8",
    "ByteTensor": "uint8",
    "BoolTensor": "bool",
}


def look_at_type_texts(node: ast.AST, sight: Sight) -> Hits:
    """`"torch.cuda.FloatTensor"` as a string."""
    if isinstance(node, ast.Constant) and (match := _TENSOR_TYPE.match(text_of(node))):
        if isinstance(sight.parent, ast.Compare):
            return
        yield from _tensor_type(node, match[1], sight)


def _flag(node: ast.AST, full: str, sight: Sight) -> Hits:
    name = full.removeprefix("torch.backends.")
    if any(part in name for part in _LIBRARY_SETTINGS):
        yield Hit("cuda-library-setting", node)
    elif name.endswith((".is_available", ".is_built", ".version")) or sight.in_test:
        return
    else:
        yield Hit("cudnn-flag", node)


def look_at_methods(node: ast.AST, sight: Sight) -> Hits:
    """Methods of tensors and modules: `.cuda()`, `.is_cuda`, `.pin_memory()`, `.record_stream`."""
    if isinstance(node, ast.Attribute) and node.attr == "is_cuda" and not sight.in_test:
        if isinstance(node.ctx, ast.Load) and not isinstance(sight.parent, ast.Attribute):
            yield Hit("is-cuda", node, "is_cuda")
    elif isinstance(node, ast.Attribute) and node.attr in ("cuda_stream", "cuda_event"):
        yield Hit("cuda-internal", node)
    elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        owner = node.func.value
        if node.func.attr == "cuda" and not sight.names.full(node.func):
            if _is_tensor_like(node) and not _is_super(owner):
                yield Hit("cuda-call", node, _to_action(node, sight))
        elif node.func.attr == "pin_memory" and not node.args and not sight.names.full(node.func):
            short = owner.end_lineno == owner.lineno and len(ast.unparse(owner)) < MOST_REPEATED
            yield Hit("pinned-memory", node, "pin" if short else "")
        elif node.func.attr == "record_stream":
            yield Hit("cuda-default-stream", node)


def _is_tensor_like(call: ast.Call) -> bool:
    """Whether the arguments are those of a tensor's or a module's `cuda`."""
    known = ("device", "non_blocking", "memory_format")
    return len(call.args) <= 2 and all(k.arg in known for k in call.keywords)


def _is_super(owner: ast.expr) -> bool:
    return isinstance(owner, ast.Call) and last_word(owner.func) == "super"


def _to_action(call: ast.Call, sight: Sight) -> str:
    """How `.cuda(…)` is rewritten: `to`, `to_ordinal`, `to_given`, or not at all."""
    if sight.own_cuda or any(isinstance(p, ast.Lambda) for p in sight.parents[-3:]):
        return ""
    if len(call.args) > 1 or any(k.arg not in ("device", "non_blocking") for k in call.keywords):
        return ""
    where = call.args[0] if call.args else keyword(call, "device")
    if where is None or (isinstance(where, ast.Constant) and where.value is None):
        return "to"
    if isinstance(where, ast.Constant) and isinstance(where.value, bool):
        return "to"
    return "to_ordinal" if is_ordinal(where, sight) else "to_given"


def look_at_compile(node: ast.AST, sight: Sight) -> Hits:
    """`torch.compile` with a mode, options or a compiler made for CUDA."""
    if not (isinstance(node, ast.Call) and last_word(node.func) == "compile"):
        return
    if sight.names.full(node.func) not in ("torch.compile", ""):
        return
    mode, backend = keyword(node, "mode"), keyword(node, "backend")
    if text_of(backend or node) in _COMPILERS:
        yield Hit("compile-backend", backend or node)
    elif text_of(mode or node).startswith(("max-autotune", "reduce-overhead")):
        yield Hit("compile-mode", mode or node)
    elif isinstance(options := keyword(node, "options"), ast.Dict):
        keys = " ".join(text_of(k) for k in options.keys if k is not None)
        if re.search("cuda|triton|max_autotune", keys):
            yield Hit("compile-mode", options)


def look_at_parallel(node: ast.AST, sight: Sight) -> Hits:
    """Data parallelism with device numbers, profilers told of CUDA."""
    if not isinstance(node, ast.Call):
        return
    last, full = last_word(node.func), sight.names.full(node.func)
    if last == "DataParallel":
        ids = keyword(node, "device_ids") or (node.args[1] if len(node.args) > 1 else None)
        one = ids is None or (isinstance(ids, ast.List) and len(ids.elts) == 1)
        one = one or (isinstance(ids, ast.Constant) and ids.value is None)
        yield Hit("data-parallel" if one else "data-parallel-devices", node)
    elif last in ("DistributedDataParallel", "DDP", "barrier"):
        for name in ("device_ids", "output_device"):
            ids = keyword(node, name)
            given = ids is not None and not isinstance(ids, ast.IfExp)
            if name == "device_ids" and isinstance(ids, ast.Name):
                continue
            if given and not (isinstance(ids, ast.Constant) and ids.value is None):
                yield Hit("ddp-device-ids", ids or node, "ddp")
    elif full.startswith("torch.autograd.profiler") and is_true(keyword(node, "use_cuda")):
        yield Hit("profiler-activity", node)
