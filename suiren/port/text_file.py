"""Ties in files that are no Python: wheels, images, shell, configurations, native sources."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from suiren.port.finding import Finding, Span
from suiren.port.kinds import TIES
from suiren.port.libraries import NVIDIA_WHEELS, WHEELS
from suiren.port.outside import CUDA_VARIABLE, NCCL_VARIABLE, NVIDIA_TOOL


class Seen(NamedTuple):
    """A tie in a line of text, with the columns it takes."""

    tie: str
    start: int
    end: int


Look = Callable[[str], Iterator[Seen]]

_PIN = re.compile(r"(?<![\w-])(torch\w*|jax\w*|dgl)\s*===?\s*[\w.]+\+cu\d+", re.IGNORECASE)
_WHEEL_FILE = re.compile(r"[\w./:%-]*(\+|%2B)cu\d+[\w.%-]*\.whl", re.IGNORECASE)
_INDEX = re.compile(
    r"(--(extra-)?index-url[= ]|-i |--find-links[= ]|-f |url\s*=\s*[\"'])\s*\S*"
    r"(whl/cu\d+|/cu\d{2,3}(?=[/\"'\s]|$)|nvidia\.com|torch_stable)\S*"
)
_URL_CU = re.compile(r"https?://\S*(whl/cu\d+|\.nvidia\.com/)\S*")
_CONDA = re.compile(
    r"(?<![\w-])(pytorch-cuda|cudatoolkit(-dev)?|cuda-toolkit|cuda-nvcc|cuda-version|cudnn|nccl|"
    r"cuda-runtime|cuda-libraries\w*)(?![\w-])"
)
_CHANNEL = re.compile(r"^\s*-\s*(nvidia(/label/\S+)?)\s*$|-c\s+(nvidia(/label/\S+)?)")
_IMAGE = re.compile(
    r"\b(nvidia/cuda[:\w.-]*|nvcr\.\w+/\S+|\S*-cuda[\d.]+-cudnn\S*|\S*:\S*cuda\d\S*|"
    r"rapidsai/\S+)"
)
_GPU_FLAG = re.compile(
    r"--gpus[= ]\S+|--runtime[= ]nvidia|nvidia-docker\S*|nvidia\.com/gpu|driver:\s*nvidia|"
    r"runtime:\s*nvidia|--nv\b|nvidia-container-\w+"
)
_REQUIRED = re.compile(r"^\s*(?:-\s+)?[\"']?([A-Za-z][\w.-]*(\[[\w,-]+\])?)[\"']?")
_BUILD = re.compile(
    r"find_package\s*\(\s*(CUDA|CUDAToolkit|NCCL|CUDNN|TensorRT)\b|enable_language\s*\(\s*CUDA|"
    r"project\s*\([^)]*\bCUDA\b|cuda_add_(library|executable)|CMAKE_CUDA_\w+|check_language"
    r"\s*\(\s*CUDA|(?<![\w-])nvcc\b|-lcudart\b|-lcublas\b|-lnccl\b|-gencode\b", re.IGNORECASE,
)  # fmt: skip
_NATIVE = re.compile(
    r"#\s*include\s*[<\"](cuda\w*(\.h|/)|cublas\w*|cudnn\w*|cufft\w*|curand\w*|nccl\.h|nvToolsExt|"
    r"cub/|cutlass/|thrust/|ATen/cuda/|c10/cuda/|mma\.h|cooperative_groups)|__global__|<<<"
)
_CONFIG_DEVICE = re.compile(
    r"[\"']?\b((\w*_)?(device|map_location|accelerator|device_type|devices)(_\w*)?)[\"']?\s*[:=]\s*"
    r"(\[\s*)?[\"']?(cuda(:\d+)?|gpu)\b(?!_)[\"']?", re.IGNORECASE,
)  # fmt: skip
_CONFIG_OPTION = re.compile(
    r"[\"']?\b\w*(backend|attn_implementation|optim|optimizer)\w*[\"']?\s*[:=]\s*[\"']?"
    r"(nccl|flash_attention_\d|\w*8bit\b|\w*bnb\w*|apex\w*|fused_?adam\b)|"
    r"[\"']?load_in_[48]bit[\"']?\s*[:=]\s*true", re.IGNORECASE,
)  # fmt: skip
_ASSIGNED = re.compile(
    r"(?<![\w$-])([A-Z][A-Z0-9_]+)[\"']?\s*[=:](?!=)|\bENV\s+([A-Z][A-Z0-9_]+)\s"
)
_DEVICE_OPTION = re.compile(r"--[\w-]*device[= ][\"']?cuda(:\d+)?\b|[\w.]*device=cuda(:\d+)?\b")


def _each(tie: str, pattern: re.Pattern[str], text: str) -> Iterator[Seen]:
    for match in pattern.finditer(text):
        yield Seen(tie, match.start(), match.end())


def _wheels(text: str) -> Iterator[Seen]:
    yield from _each("wheel-pin", _PIN, text)
    yield from _each("wheel-pin", _WHEEL_FILE, text)
    yield from _first(("wheel-index", _INDEX), ("wheel-index", _URL_CU), text=text)


def _first(*rows: tuple[str, re.Pattern[str]], text: str) -> Iterator[Seen]:
    for tie, pattern in rows:
        found = list(_each(tie, pattern, text))
        if found:
            yield from found
            return


def _requirement(text: str) -> Iterator[Seen]:
    """A line that names one distribution, as requirement files and lists have it."""
    yield from _wheels(text)
    match = _REQUIRED.match(text)
    if match:
        yield from _distribution(match[1], match.start(1))


def _distribution(name: str, start: int) -> Iterator[Seen]:
    plain = name.partition("[")[0]
    if NVIDIA_WHEELS.match(name):
        yield Seen("nvidia-wheel", start, start + len(name))
    elif WHEELS.match(plain):
        yield Seen("kernel-wheel", start, start + len(name))


def _quoted_requirements(text: str) -> Iterator[Seen]:
    """Requirements as strings: `pyproject.toml`, `setup.cfg`, Pipfile."""
    yield from _wheels(text)
    for match in re.finditer(r"[\"']([A-Za-z][\w.-]*(\[[\w,-]+\])?)[^\"']*[\"']", text):
        yield from _distribution(match[1], match.start(1))
    key = re.match(r"\s*([A-Za-z][\w.-]*)\s*=\s*[\"'{]", text)
    if key:
        yield from _distribution(key[1], key.start(1))


def _installed(text: str) -> Iterator[Seen]:
    """What `pip install` or `conda install` names in shell and Dockerfiles."""
    yield from _wheels(text)
    if re.search(r"\b(conda|mamba|micromamba)\b.*\b(install|create)\b", text):
        yield from _each("conda-cuda", _CONDA, text)
        yield from _each("conda-cuda", _CHANNEL, text)
    match = re.search(r"\b(pip3?|uv|poetry)\b.*\b(install|add)\b(.*)", text)
    if match:
        for word in re.finditer(r"(?<=[\s\"'])[A-Za-z][\w.-]*(\[[\w,-]+\])?", match[3]):
            yield from _distribution(word[0], match.start(3) + word.start())


def _conda(text: str) -> Iterator[Seen]:
    yield from _each("conda-cuda", _CONDA, text)
    yield from _each("conda-cuda", _CHANNEL, text)
    yield from _requirement(text)


def _variables(text: str) -> Iterator[Seen]:
    for match in _ASSIGNED.finditer(text):
        name = match[1] or match[2]
        group = 1 if match[1] else 2
        if NCCL_VARIABLE.match(name):
            yield Seen("nccl-env", *match.span(group))
        elif CUDA_VARIABLE.match(name):
            yield Seen("cuda-env", *match.span(group))


def _shell(text: str) -> Iterator[Seen]:
    yield from _variables(text)
    yield from _each("nvidia-tool", NVIDIA_TOOL, text)
    yield from _each("gpu-flag", _GPU_FLAG, text)
    yield from _each("config-device", _DEVICE_OPTION, text)
    yield from _each("cuda-image", _IMAGE, text)
    yield from _installed(text)


def _docker(text: str) -> Iterator[Seen]:
    if re.match(r"\s*(FROM|ARG)\b", text, re.IGNORECASE):
        yield from _each("cuda-image", _IMAGE, text)
    yield from _variables(text)
    yield from _each("nvidia-tool", NVIDIA_TOOL, text)
    yield from _installed(text)


def _config(text: str) -> Iterator[Seen]:
    yield from _each("config-device", _CONFIG_DEVICE, text)
    yield from _each("config-option", _CONFIG_OPTION, text)
    yield from _variables(text)
    yield from _each("gpu-flag", _GPU_FLAG, text)
    yield from _each("cuda-image", _IMAGE, text)
    yield from _wheels(text)


def _toml(text: str) -> Iterator[Seen]:
    yield from _quoted_requirements(text)
    yield from _each("config-device", _CONFIG_DEVICE, text)


def _make(text: str) -> Iterator[Seen]:
    yield from _each("cuda-build", _BUILD, text)
    yield from (s for s in _shell(text) if s.tie != "nvidia-tool")


def _native(text: str) -> Iterator[Seen]:
    yield from _each("cuda-source", _NATIVE, text)


def _cmake(text: str) -> Iterator[Seen]:
    yield from _each("cuda-build", _BUILD, text)


def look_for(path: Path) -> Look | None:
    """What to look for in a file, by its name; None for a file that holds no ties."""
    name, suffix = path.name.lower(), path.suffix.lower()
    if name.startswith("dockerfile") or suffix == ".dockerfile" or name == "containerfile":
        return _docker
    if suffix in (".txt", ".in") and re.search(r"require|constraint|deps", str(path).lower()):
        return _requirement
    if name in ("environment.yml", "environment.yaml", "conda.yaml", "conda.yml", "meta.yaml") or (
        suffix in (".yml", ".yaml") and re.search(r"(^|[_-])(env|conda)", name)
    ):
        return _conda
    if name == "cmakelists.txt" or suffix == ".cmake":
        return _cmake
    if name in ("makefile", "gnumakefile") or suffix == ".mk":
        return _make
    if suffix in (".toml",) or name in ("setup.cfg", "pipfile"):
        return _toml
    if suffix in (".yaml", ".yml", ".json", ".cfg", ".ini", ".conf", ".env") or name == ".env":
        return _config
    if suffix in (".sh", ".bash", ".zsh", ".slurm", ".sbatch", ".bat", ".ps1", ".pbs"):
        return _shell
    if suffix in (".cpp", ".cc", ".cxx", ".c", ".h", ".hpp", ".hh"):
        return _native
    return None


#: Files that are CUDA by their name.
SOURCES = (".cu", ".cuh", ".ptx", ".cubin", ".fatbin")
_COMMENTS = ("#", "//", ";", "REM ", "rem ")


def find_in_text(source: str, path: Path, look: Look) -> list[Finding]:
    """Ties line by line; comments are left out."""
    found = []
    native = look is _native
    for number, line in enumerate(source.splitlines(), 1):
        text = line.split("//")[0] if native else _without_comment(line)
        spans: list[Seen] = []
        for seen in look(text):
            if not any(s.tie == seen.tie and s.start <= seen.start < s.end for s in spans):
                spans.append(seen)
                span = Span(number, seen.start, number, seen.end)
                found.append(Finding(TIES[seen.tie], path, span, line.strip()))
        if native and spans:
            return found
    return sorted(found, key=lambda f: (f.span.line, f.span.column))


def _without_comment(line: str) -> str:
    if line.lstrip().startswith(_COMMENTS) and not line.lstrip().startswith("#SBATCH"):
        return ""
    return re.split(r"\s#\s", line, maxsplit=1)[0]


def find_in_source(path: Path, first_line: str) -> list[Finding]:
    """A file that is CUDA by its name is one tie."""
    return [Finding(TIES["cuda-source"], path, Span(1, 0, 1, 0), first_line.strip())]


def find_in_shell_lines(lines: list[tuple[int, str]], path: Path) -> Iterator[tuple[int, Seen]]:
    """Ties in single shell lines, as notebooks have them behind `!`."""
    for number, text in lines:
        for seen in _shell(text):
            yield number, seen
