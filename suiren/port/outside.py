"""What reaches past PyTorch: environment variables, NVIDIA's tools, communication backends."""

from __future__ import annotations

import ast
import re

from suiren.port.names import last_word, targets_of, text_of
from suiren.port.sight import Hit, Hits, Sight

CUDA_VARIABLE = re.compile(
    r"(CUDA_VISIBLE_DEVICES|CUDA_DEVICE_ORDER|CUDA_LAUNCH_BLOCKING|CUDA_DEVICE_MAX_CONNECTIONS|"
    r"CUDA_HOME|CUDA_PATH|CUDA_MODULE_LOADING|CUDNN_\w+|CUBLAS_\w+|PYTORCH_CUDA_\w+|"
    r"PYTORCH_NO_CUDA_\w+|PYTORCH_NVML_\w+|TORCH_CUDA_ARCH_LIST|TORCH_CUDNN_\w+|"
    r"NVIDIA_VISIBLE_DEVICES|NVIDIA_TF32_OVERRIDE|NVIDIA_DRIVER_CAPABILITIES|NVTE_\w+)$"
)
NCCL_VARIABLE = re.compile(r"(NCCL_\w+|TORCH_NCCL_\w+)$")
NVIDIA_TOOL = re.compile(
    r"(?<![\w/.-])(nvidia-smi|nvcc|nvprof|nsys|ncu|cuda-gdb|compute-sanitizer)\b"
)
_RUNS = re.compile(r"^(run|Popen|call|check_call|check_output|getoutput|getstatusoutput|system|"
                   r"popen|create_subprocess_exec|create_subprocess_shell)$")  # fmt: skip
_GETS = ("get", "getenv", "setdefault", "pop", "setenv", "putenv", "delenv")
_GROUPS = ("init_process_group", "new_group", "init_distributed", "initialize", "Backend")


def look_at_environment(node: ast.AST, sight: Sight) -> Hits:
    """Variables that CUDA or NCCL read, where the code sets or reads them."""
    text = text_of(node)
    if not text:
        return
    tie = "cuda-env" if CUDA_VARIABLE.match(text) else ""
    tie = "nccl-env" if NCCL_VARIABLE.match(text) else tie
    if not tie:
        return
    parent = sight.parent
    if isinstance(parent, ast.Subscript) or (
        isinstance(parent, ast.Dict) and any(node is k for k in parent.keys)
    ) or (
        isinstance(parent, ast.Call)
        and last_word(parent.func) in _GETS
        and parent.args[:1] == [node]
    ):
        yield Hit(tie, node)


def look_at_tools(node: ast.AST, sight: Sight) -> Hits:
    """Calls of NVIDIA's command-line tools."""
    if not (isinstance(node, ast.Call) and _RUNS.match(last_word(node.func))):
        return
    for inner in ast.walk(node):
        if re.match(r"CUDA_VISIBLE_DEVICES=", text_of(inner)):
            yield Hit("cuda-env", inner)
        if NVIDIA_TOOL.search(text_of(inner)):
            yield Hit("nvidia-tool", inner)
            return


def look_at_backends(node: ast.AST, sight: Sight) -> Hits:
    """`nccl` where a communication backend is chosen."""
    text = text_of(node)
    if not re.match(r"(cpu:gloo,)?(cuda:)?nccl$", text):
        return
    guard, child = "", node
    for parent in reversed(sight.parents):
        if isinstance(parent, ast.IfExp):
            if child is parent.test:
                return
            guard = "the other choice is not NCCL"
        elif isinstance(parent, ast.keyword):
            if parent.arg in ("backend", "default", "process_group_backend", "dist_backend"):
                yield Hit("nccl-backend", node, "nccl", guard)
            return
        elif isinstance(parent, ast.Call):
            if _takes_backend(parent, child, sight.names.full(parent.func)):
                yield Hit("nccl-backend", node, "nccl", guard)
            return
        elif isinstance(parent, (ast.Assign, ast.AnnAssign)):
            names = [last_word(t) or text_of(getattr(t, "slice", t)) for t in targets_of(parent)]
            if any("backend" in name.lower() for name in names):
                yield Hit("nccl-backend", node, "nccl", guard)
            return
        elif isinstance(parent, ast.arguments):
            yield Hit("nccl-backend", node, "nccl", guard)
            return
        elif isinstance(parent, ast.Dict):
            keys = [k for k, v in zip(parent.keys, parent.values, strict=True) if v is child]
            if keys and "backend" in text_of(keys[0] or node).lower():
                yield Hit("nccl-backend", node, "nccl", guard)
            return
        elif not isinstance(parent, ast.BoolOp):
            return
        child = parent


def _takes_backend(call: ast.Call, child: ast.AST, full: str) -> bool:
    last = full.rpartition(".")[2] or last_word(call.func)
    if last in ("get", "getattr", "getenv", "setdefault", "pop"):
        return any("backend" in text_of(a).lower() for a in call.args if a is not child)
    return last in _GROUPS or "process_group" in last or "dist" in last.lower()


