"""Walks a folder, reads what may hold ties, and finds them."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import re
import tokenize
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from suiren.port.finding import Finding, Unread
from suiren.port.libraries import LIBRARIES
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
MANY_FILES = 400
"""From so many files on, several processes are quicker than one."""
#: A Python file that has none of these words, imports no library of kernels and has none of the
#: words below beside "torch" holds no tie.
_WORDS = b"""cuda nccl nvidia nvcc cublas nvte_ flash_attention bitsandbytes cudnn nvprof nsys
load_in_ device_map
gpus= accelerator= cdll find_library loadlibrary import_module gpuresources""".split()
_IMPORTED = re.compile(rb"^[ \t]*(?:import|from)[ \t]+(\w+)", re.MULTILINE)
_HEADS = frozenset(name.partition(".")[0].encode() for name in LIBRARIES)
_TORCH_WORDS = re.compile(
    rb"\.double\(|float64|torch\.double|DoubleTensor|int64|\.long\(|torch\.long|LongTensor|"
    rb"from_numpy|torch\.tensor|as_tensor|\.to\(\S*(\d|rank|gpu|id|index|idx)\b|"
    rb"device\s*=\s*\S*(\d|rank|gpu|id)\b|torch\.device\(\s*\S*(\d|rank|gpu|id)\b|"
    rb"pin_memory|DataParallel|device_ids|load_library|optim\s*=|accelerator|"
    rb"max-autotune|reduce-overhead|_inductor|record_stream|emit_nvtx|import_module|use_flash"
)


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
            known = path.suffix in (".py", ".pyi", ".ipynb", *SOURCES)
            if known or look_for(path.relative_to(root)):
                yield path


def scan(
    root: Path, on_file: Callable[[int, int], None] = lambda _, __: None, workers: int = 1
) -> Scan:
    """Finds every tie under a folder or in a file.

    `on_file` is called with (files done, files in all). Large trees are read by so many processes
    as `workers` says.
    """
    paths = files_under(root)
    folder = root if root.is_dir() else root.parent
    pairs = [(path, path.relative_to(folder)) for path in paths]
    found = Scan(root, len(paths))
    with contextlib.ExitStack() as stack:
        results: Iterator[tuple[list[Finding], list[Unread]]] = map(look_at_file, pairs)
        if workers > 1 and len(paths) >= MANY_FILES:
            spawn = multiprocessing.get_context("spawn")
            pool = stack.enter_context(ProcessPoolExecutor(workers, spawn))
            results = pool.map(look_at_file, pairs, chunksize=16)
        for number, (findings, unread) in enumerate(results, 1):
            found.findings += findings
            found.unread += unread
            on_file(number, len(paths))
    return found


def look_at_file(pair: tuple[Path, Path]) -> tuple[list[Finding], list[Unread]]:
    """The findings of one file (where it lies, its path from the root), or why it is not read."""
    path, shown = pair
    try:
        raw = path.read_bytes()
        return ([] if len(raw) > MOST_BYTES else _in_file(path, shown, raw)), []
    except SyntaxError as problem:
        reason = "it is no Python 3" if problem.lineno else "its encoding is unknown"
        return [], [Unread(shown, f"{reason} ({problem.msg})", problem.lineno)]
    except UnicodeDecodeError as problem:
        line = raw[: problem.start].count(b"\n") + 1
        return [], [Unread(shown, f"it is no {problem.encoding} text", line)]
    except (OSError, ValueError, RecursionError, MemoryError) as problem:
        reason = getattr(problem, "strerror", None) or str(problem) or type(problem).__name__
        return [], [Unread(shown, reason, getattr(problem, "lineno", None))]


def _in_file(path: Path, shown: Path, raw: bytes) -> list[Finding]:
    suffix = path.suffix.lower()
    if suffix in SOURCES:
        return find_in_source(shown, raw.split(b"\n", 1)[0].decode("utf-8", "replace")[:120])
    if suffix in (".py", ".pyi"):
        if not _may_hold_ties(raw):
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


def _may_hold_ties(raw: bytes) -> bool:
    """A cheap question that spares most files of a large tree the parsing."""
    low = raw.lower()
    if any(word in low for word in _WORDS):
        return True
    if (b"torch" in low or b"transformers" in low) and _TORCH_WORDS.search(raw):
        return True
    return not _HEADS.isdisjoint(_IMPORTED.findall(raw))


def python_text(path: Path, raw: bytes) -> str:
    """A Python file's text in the encoding that it declares, all lines ended alike."""
    lines = iter(raw.splitlines(keepends=True))
    encoding, _ = tokenize.detect_encoding(lambda: next(lines, b""))
    text = raw.decode(encoding)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return text.replace("\r\n", "\n").replace("\r", "\n")
