"""The lines that a rewritten file gets once: the constant that names the device, and its event."""

from __future__ import annotations

import ast

from suiren.port.parsed import lines_of
from suiren.port.templates import Writer

_DEVICE = (
    "{device} = {torch}.accelerator.current_accelerator().type "
    'if {torch}.accelerator.is_available() else "cpu"\n'
)
_EVENT = '''

class {event}:
    """`torch.Event` where an accelerator is; on a CPU a reading of the host's clock."""

    def __new__(cls, *arguments, **keywords):
        if {torch}.accelerator.is_available():
            return {torch}.Event(*arguments, **keywords)
        return super().__new__(cls)

    def __init__(self, *arguments, **keywords):
        self.time_ns = 0

    def record(self, stream=None):
        self.time_ns = time.perf_counter_ns()

    def elapsed_time(self, end):
        return (end.time_ns - self.time_ns) / 1e6

    def synchronize(self):
        """Nothing to wait for."""

    wait = record

    def query(self):
        return True
'''


def with_head(text: str, writer: Writer, before: int) -> str:
    """The text with what its rewritten places need, put behind the imports at its head.

    `before`: the first line that may need it.
    """
    tree = ast.parse(text)
    has_device = f"{writer.device} = {writer.torch}.accelerator." in text
    device = "" if has_device or not _uses(tree, writer.device) else _DEVICE
    event = _EVENT if writer.needs_event and f"class {writer.event}:" not in text else ""
    line, has_torch, has_time = _head(tree, before, writer.torch)
    needs_torch = _uses(tree, writer.torch) and not _binds(tree, writer.torch)
    needs_torch = needs_torch or (bool(device or event) and not has_torch)
    imports = ""
    if event and not has_time:
        imports += "import time\n"
    if needs_torch:
        imports += "import torch\n"
    if "torch.distributed.get_default" in text:
        imports += _distributed(tree, writer.torch)
    added = imports + ("\n" if device and line else "") + device + event
    if not added.strip():
        return text
    names = {"device": writer.device, "torch": writer.torch, "event": writer.event}
    lines = lines_of(text)
    return "".join(lines[:line]) + added.format(**names) + "".join(lines[line:])


def _uses(tree: ast.Module, name: str) -> bool:
    return any(isinstance(n, ast.Name) and n.id == name for n in ast.walk(tree))


def _binds(tree: ast.Module, name: str) -> bool:
    """Whether an import anywhere in the file binds the name."""
    return any(
        name in (a.asname or a.name).split(".")[:1]
        for node in ast.walk(tree)
        if isinstance(node, (ast.Import, ast.ImportFrom))
        for a in node.names
    )


def _distributed(tree: ast.Module, torch: str) -> str:
    """`torch.distributed` is there once anything imported it; say it where nothing does."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import) and any("torch.distributed" in a.name for a in node.names):
            return ""
        if isinstance(node, ast.ImportFrom) and "torch" in (node.module or ""):
            if (node.module or "").startswith("torch.distributed"):
                return ""
            if any(a.name == "distributed" for a in node.names):
                return ""
    return "import torch.distributed\n" if torch == "torch" else ""


def _head(tree: ast.Module, before: int, torch: str) -> tuple[int, bool, bool]:
    """(line behind which lines may be put, whether torch is bound there, whether time is)."""
    line, found, seen = 0, set(), set()
    for number, node in enumerate(tree.body):
        is_docstring = number == 0 and isinstance(node, ast.Expr)
        end = node.end_lineno or node.lineno
        imports = isinstance(node, (ast.Import, ast.ImportFrom))
        if isinstance(node, (ast.If, ast.Try)):
            imports = any(isinstance(n, (ast.Import, ast.ImportFrom)) for n in node.body)
        stops = isinstance(node, (ast.FunctionDef, ast.ClassDef, ast.AsyncFunctionDef))
        if stops or (end >= before and not is_docstring and not imports):
            break
        if isinstance(node, ast.Import):
            seen |= {a.asname or a.name.partition(".")[0] for a in node.names}
        if imports or is_docstring:
            line, found = end, set(seen)
    return line, torch in found, "time" in found
