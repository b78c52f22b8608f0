"""Walks a folder, reads what may hold ties, and finds them."""

from __future__ import annotations

import os
import re
import tokenize
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from suiren.port.finding import Finding, Unread
from suiren.port.notebook import find_in_notebook
from suiren.port.python_file import find_in_python
from suiren.port.text_file import SOURCES, find_in_source, find_in_text, look_for

#: Folders that hold what others wrote or what was built.
SKIPPED = frozenset(
    """.git .hg .svn .tox .nox .venv venv env .env virtualenv node_modules build dist __pycache__
.mypy_cache .ruff_cache .pytest_cache .ipynb_checkpoints .eggs site-packages .idea .vscode wandb
mlruns""".split()
)
MOST_BYTES = 4_000_000
"""Larger files are data."""
#: A Python file without any of these words holds no tie; it is not parsed.
_WORDS = re.compile(
    rb"cuda|nccl|nvidia|nvcc|CUDA|NCCL|CUBLAS|NVTE_|triton|flash_att|flash_attn|apex|amp_C|xformers|"
    rb"bitsandbytes|BitsAndBytes|deepspeed|cudnn|\.double\(|float64|torch\.double|DoubleTensor|"
    rb"int64|\.long\(|torch\.long|LongTensor|from_numpy|torch\.tensor|as_tensor|\.to\(\w*\d|"
    rb"\.to\(\S*(rank|gpu|id|index|idx)\b|device\s*=|torch\.device|pin_memory|DataParallel|"
    rb"device_ids|load_library|CDLL|LoadLibrary|find_library|load_in_|optim\s*=|gpus\s*=|"
    rb"accelerator|max-autotune|reduce-overhead|backend\s*=|_inductor|record_stream|emit_nvtx|"
    rb"pynvml|GPUtil|gpustat|nvitop|nvprof|nsys|Gpu|gpu|import_module|torch\._C|mode\s*=|"
    rb"use_flash|" + rb"|".join(
        name.encode() for name in """cupy pycuda numba cudf cuml cugraph cucim rmm vllm tensorrt
sglang lmdeploy transformer_engine mamba_ssm causal_conv1d flashinfer sageattention liger_kernel
unsloth fbgemm_gpu spconv MinkowskiEngine torchsparse nvdiffrast tinycudann gsplat
diff_gaussian simple_knn kaolin dropout_layer_norm fused_dense_lib rotary_emb awq gptq exllama
grouped_gemm megablocks natten cutlass deep_gemm deep_ep cuequivariance tilelang lightseq warp
nvmath cuvs cusp fla thunderkittens faster_whisper skcuda pylibraft raft_dask stk""".split()
    )
)  # fmt: skip


@dataclass
class Scan:
    """What was found under a path."""

    root: Path
    num_files: int = 0
    findings: list[Finding] = field(default_factory=list)
    """Guarded ones included; paths are relative to the root."""
    unread: list[Unread] = field(default_factory=list)

    @property
    def ties(self) -> list[Finding]:
        """Findings that no question guards."""
        return [f for f in self.findings if not f.guard]


def files_under(root: Path) -> list[Path]:
    """Files that may hold ties, in order of name; a file stands for itself."""
    if root.is_file():
        return [root]
    return sorted(_walk(root))


def _walk(root: Path) -> Iterator[Path]:
    for folder, folders, names in os.walk(root):
        here = Path(folder)
        folders[:] = [
            f for f in folders
            if f not in SKIPPED and not f.endswith(".egg-info")
            and not (here / f / "pyvenv.cfg").exists()
        ]  # fmt: skip
        for name in names:
            path = here / name
            if path.suffix in (".py", ".pyi", ".ipynb", *SOURCES) or look_for(path.relative_to(root)):
                yield path


def scan(root: Path, on_file: Callable[[int, int], None] = lambda _, __: None) -> Scan:
    """Finds every tie under a folder or in a file.

    `on_file` is called with (files done, files in all).
    """
    paths = files_under(root)
    base_path = root if root.is_dir() else root.parent
    found = Scan(root, len(paths))
    for number, path in enumerate(paths, 1):
        look_at_file(path, path.relative_to(base_path), found)
        on_file(number, len(paths))
    return found


def look_at_file(path: Path, shown: Path, found: Scan) -> None:
    """Adds the findings of one file, or why it could not be read."""
    try:
        raw = path.read_bytes()
        if len(raw) > MOST_BYTES:
            return
        found.findings.extend(_in_file(path, shown, raw))
    except SyntaxError as problem:
        reason = "it is no Python 3" if problem.lineno else "its encoding is unknown"
        found.unread.append(Unread(shown, f"{reason} ({problem.msg})", problem.lineno))
    except UnicodeDecodeError as problem:
        line = raw[: problem.start].count(b"\n") + 1
        found.unread.append(Unread(shown, f"it is no {problem.encoding} text", line))
    except (OSError, ValueError, RecursionError) as problem:
        reason = getattr(problem, "strerror", None) or str(problem) or type(problem).__name__
        found.unread.append(Unread(shown, reason, getattr(problem, "lineno", None)))


def _in_file(path: Path, shown: Path, raw: bytes) -> list[Finding]:
    suffix = path.suffix.lower()
    if suffix in SOURCES:
        return find_in_source(shown, raw.split(b"\n", 1)[0].decode("utf-8", "replace")[:120])
    if suffix in (".py", ".pyi"):
        if not _WORDS.search(raw) and b"print " not in raw:
            return []
        return find_in_python(python_text(path, raw), shown)
    if suffix == ".ipynb":
        return find_in_notebook(raw.decode("utf-8"), shown)
    look = look_for(shown)
    if look is None:
        return []
    if suffix == ".json" and len(raw) > 200_000:
        return []
    return find_in_text(raw.decode("utf-8", "replace"), shown, look)


def python_text(path: Path, raw: bytes) -> str:
    """A Python file's text in the encoding that it declares, ends of lines as `\\n`."""
    lines = iter(raw.splitlines(keepends=True))
    encoding, _ = tokenize.detect_encoding(lambda: next(lines, b""))
    text = raw.decode(encoding)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return text.replace("\r\n", "\n").replace("\r", "\n")
