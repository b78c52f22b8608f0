"""Ties are found where they stand, and nowhere else."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest

from suiren.port.kinds import ALL_TIES, TIES
from suiren.port.scan import Scan, scan
from suiren.port.tie import REWRITTEN

HERE = Path(__file__).parent
_EXPECTED = re.compile(r"(#|//) tie: ([\w -]+)$")


def expected(root: Path) -> Counter[tuple[str, int, str]]:
    """(file, line, kind) of every tie that a file says it has."""
    found: Counter[tuple[str, int, str]] = Counter()
    for path in sorted(root.rglob("*")):
        if path.is_file():
            for number, line in enumerate(path.read_text().splitlines(), 1):
                match = _EXPECTED.search(line)
                for kind in match[2].split() if match else ():
                    found[(str(path.relative_to(root)), number, kind)] += 1
    return found


def ties(found: Scan) -> Counter[tuple[str, int, str]]:
    return Counter((str(f.path), f.span.line, f.tie.name) for f in found.ties if f.cell is None)


def test_every_tie_of_the_tied_code_base_is_found_and_nothing_else() -> None:
    wanted, found = expected(HERE / "tied"), ties(scan(HERE / "tied"))
    assert (wanted - found, found - wanted) == (Counter(), Counter())
    assert len(wanted) >= 70 and len({kind for _, _, kind in wanted}) >= 50


def test_device_agnostic_code_has_none() -> None:
    found = scan(HERE / "agnostic")
    assert [(f.place, f.tie.name) for f in found.ties] == []
    assert len(found.findings) > 10, "guarded uses are seen, and known to be harmless"
    assert all(f.guard for f in found.findings)


@pytest.mark.parametrize("tie", ALL_TIES, ids=lambda tie: tie.name)
def test_every_kind_s_example_holds_that_kind_alone(tie, tmp_path) -> None:
    (tmp_path / tie.file).write_text(tie.example)
    assert {f.tie.name for f in scan(tmp_path).ties} == {tie.name}


def test_kinds_have_names_of_their_own() -> None:
    assert len(TIES) == len(ALL_TIES)
    assert all(t.advice and not t.advice.endswith(".") for t in ALL_TIES)


def kinds(source: str, tmp_path: Path, name: str = "x.py") -> list[str]:
    (tmp_path / name).write_text(source)
    return [f.tie.name for f in scan(tmp_path).ties]


TIED = {
    "a choice without a cpu": ("d = 'mps' if torch.backends.mps.is_available() else 'cuda'\n"
                               "x.to(d)", "device-text"),
    "a name that is handed on": ("gpu = 'cuda:1'\nx = torch.ones(2).to(gpu)", "device-text"),
    "a default behind or": ("def f(device=None):\n    device = device or 'cuda'", "device-text"),
    "a number formatted in": ("x.to('cuda:%d' % n)\n", "device-text"),
    "a number added": ("x.to('cuda:' + str(n))", "device-text"),
    "a format": ("x.to('cuda:{}'.format(n))", "device-text"),
    "an environment default": ("d = os.environ.get('DEVICE', 'cuda')", "device-text"),
    "a field of a dataclass": ("class C:\n    device: str = 'cuda'", "device-text"),
    "a key of a dict": ("c = {'device': 'cuda', 'lr': 1}", "device-text"),
    "an item of a configuration": ("cfg['device'] = 'cuda'", "device-text"),
    "an attribute": ("class A:\n    def f(self):\n        self.device = 'cuda'", "device-text"),
    "a device mesh": ("from torch.distributed.device_mesh import init_device_mesh\n"
                      "m = init_device_mesh('cuda', (2,))", "device-text"),
    "autocast": ("with torch.autocast(device_type='cuda'): pass", "device-text"),
    "a rank as a device": ("x.to(local_rank)", "device-ordinal"),
    "a refusal": ("if device.type != 'cuda':\n    raise ValueError('cuda only')", "requires-cuda"),
    "an alias of a module": ("c = torch.cuda\nc.synchronize()", "cuda-synchronize"),
    "an alias of a function": ("from torch.cuda import synchronize as s\ns()", "cuda-synchronize"),
    "a handler that raises": ("try:\n    import apex\nexcept ImportError:\n"
                              "    raise ImportError('install apex')", "apex"),
    "a large try": ("try:\n    a = 1\n    b = 2\n    c = 3\n    x.cuda()\nexcept Exception:\n"
                    "    pass", "cuda-call"),
    "a type by name": ("x.type('torch.cuda.FloatTensor')", "cuda-type-cast"),
    "a shell command": ("os.system('nvidia-smi -q')", "nvidia-tool"),
    "an environment for a child": ("env = {'CUDA_VISIBLE_DEVICES': '0'}", "cuda-env"),
    "an array through a name": ("a = np.random.randn(3)\nt = torch.from_numpy(a)", "numpy-float64"),
    "a default format": ("torch.set_default_dtype(torch.float64)", "float64"),
    "an internal": ("torch._C._cuda_clearCublasWorkspaces()", "cuda-internal"),
    "a backend through an alias": ("from torch.distributed import init_process_group as ipg\n"
                                   "ipg('cpu:gloo,cuda:nccl')", "nccl-backend"),
    "a question that raises on a CPU": ("if torch.cuda.get_device_capability()[0] > 7:\n    pass",
                                        "cuda-device-facts"),
    "a map of devices": ("m = load(device_map={'': 0})", "device-ordinal"),
    "a raw handle": ("h = stream.cuda_stream", "cuda-internal"),
    "a variable in a command": ("os.system('CUDA_VISIBLE_DEVICES=1 python x.py')", "cuda-env"),
    "one path for a device": ("if torch.cuda.is_available():\n    device = 'cuda'\nx.to(device)",
                              "cuda-branch"),
    "one path": ("def f(x):\n    if x.is_cuda:\n        return kernel(x)", "cuda-branch"),
}  # fmt: skip

HEAD = "import os\nimport numpy as np\nimport torch\n"


@pytest.mark.parametrize("case", TIED, ids=str)
def test_a_tie_in_another_form(case, tmp_path) -> None:
    source, kind = TIED[case]
    assert set(kinds(HEAD + source + "\n", tmp_path)) == {kind}


FREE = {
    "an availability kept": "ok = torch.cuda.is_available()\nif ok:\n    x.cuda()",
    "both asked": "if flag and torch.cuda.is_available():\n    torch.cuda.synchronize()",
    "a short circuit": "a = torch.cuda.is_available() and torch.cuda.get_device_capability()[0]",
    "a device of a tensor": "y = torch.zeros(3, device=x.device)",
    "a device from outside": "def f(x, device):\n    return x.to(device)",
    "a format": "x.to(torch.float32)",
    "a word": "print('cuda')\nlog.info('cuda')\nraise ValueError('cuda')",
    "a comparison": "if device == 'cuda':\n    torch.cuda.empty_cache()",
    "a prefix": "if str(device).startswith('cuda'):\n    torch.cuda.synchronize()",
    "an early return": "def f():\n    if not torch.cuda.is_available():\n        return 0\n"
                       "    return torch.cuda.memory_allocated()",
    "an out-of-memory error": "try:\n    f()\nexcept torch.cuda.OutOfMemoryError:\n    pass",
    "an annotation": "def f(s: torch.cuda.Stream) -> 'torch.cuda.Event': ...",
    "types for checking": "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import triton",
    "a spec": "import importlib.util\nif importlib.util.find_spec('flash_attn'):\n"
              "    import flash_attn",
    "float64 on the host": "t = torch.linspace(0, 1, 3, dtype=torch.float64, device='cpu')",
    "a format asked": "if x.dtype == torch.float64:\n    y = 1",
    "indices": "for i in range(3):\n    y = table[ids.long()]",
    "a method of its own": "self.double(x)",
    "a choice of words": "parser.add_argument('--d', choices=['cpu', 'cuda'])",
    "numbers that are narrowed": "t = torch.from_numpy(np.zeros(3)).float()",
    "a path that another question guards": (
        "if torch.cuda.is_available():\n    n = torch.cuda.device_count()\n"
        "if torch.cuda.is_available():\n    print(n)"
    ),
    "a default before": "device = 'cpu'\nif torch.cuda.is_available():\n    device = 'cuda'\n"
                        "x.to(device)",
    "a device compared": "if x.device == torch.device('cuda'):\n    torch.cuda.synchronize()",
    "a bare index": "x = y.to(dtype)\nz = items[0]",
}  # fmt: skip


@pytest.mark.parametrize("case", FREE, ids=str)
def test_no_false_alarm(case, tmp_path) -> None:
    assert kinds(HEAD + FREE[case] + "\n", tmp_path) == []


TEXTS = {
    "pyproject.toml": ('dependencies = ["torch==2.1.0+cu118", "flash-attn>=2"]\n',
                       ["wheel-pin", "kernel-wheel"]),
    "setup.cfg": ('install_requires = "nvidia-nccl-cu12"\n', ["nvidia-wheel"]),
    "compose.yaml": ("        - driver: nvidia\n", ["gpu-flag"]),
    "pod.yml": ("limits:\n  nvidia.com/gpu: 1\n", ["gpu-flag"]),
    "config.json": ('{"device": "cuda:0", "fp16": true}\n', ["config-device"]),
    "ds.toml": ('device = "cuda"\n', ["config-device"]),
    "Makefile": ("all:\n\tnvcc -o a a.c -lcudart\n", ["cuda-build", "cuda-build"]),
    "op.cpp": ("#include <ATen/cuda/CUDAContext.h>\n", ["cuda-source"]),
    "plain.cpp": ("// #include <cuda.h>\n#include <vector>\n", []),
    "requirements-dev.txt": ("torch==2.4.0\ntritonclient\nnumpy\n", []),
    "notes.txt": ("torch==2.1.0+cu118\n", []),
}  # fmt: skip


@pytest.mark.parametrize("name", TEXTS)
def test_files_that_are_no_python(name, tmp_path) -> None:
    text, wanted = TEXTS[name]
    assert kinds(text, tmp_path, name) == wanted


def test_notebooks_are_read_by_cell() -> None:
    found = [f for f in scan(HERE / "tied").ties if f.cell is not None]
    assert [(f.tie.name, f.cell, f.span.line) for f in found] == [
        ("nvidia-tool", 1, 1), ("cuda-call", 2, 1),
    ]  # fmt: skip
    assert found[1].place == "notes.ipynb:cell 2:1:5"


def test_a_file_that_cannot_be_read_is_one_row(tmp_path) -> None:
    (tmp_path / "latin.py").write_bytes(b"import torch\n# caf\xe9 cuda\n")
    (tmp_path / "bad.ipynb").write_text("{")
    (tmp_path / "coded.py").write_bytes(b"# coding: nothing\ntorch.cuda\n")
    (tmp_path / "old.py").write_text("import torch\nprint 'cuda'\n")
    said = [u.sentence for u in scan(tmp_path).unread]
    assert len(said) == 4
    assert "old.py could not be read: it is no Python 3" in said[3] and said[3].endswith("line 2")
    assert all("could not be read" in s for s in said)


def test_columns_count_characters(tmp_path) -> None:
    (tmp_path / "x.py").write_text("import torch\nx = ('é', torch.ones(2).cuda())\n")
    assert scan(tmp_path).ties[0].place == "x.py:2:11"


def test_a_form_feed_ends_no_line(tmp_path) -> None:
    (tmp_path / "x.py").write_text("import torch\n\x0c\nx = torch.ones(2).cuda()\n")
    (found,) = scan(tmp_path).ties
    assert (found.place, found.source) == ("x.py:3:5", "x = torch.ones(2).cuda()")


@pytest.mark.parametrize("text", [
    "x = " + "(" * 300 + ")" * 300 + "  # cuda\n",
    "cuda = '\x00'\n",
    "\ufeffimport torch\ntorch.cuda\n", "cuda = " + "-" * 5000 + "1\n",
    "if cuda:\n\tx\n        y\n",
    "",
], ids=["deep", "null", "mark", "long", "tabs", "empty"])  # fmt: skip
def test_strange_files_do_no_harm(text, tmp_path) -> None:
    (tmp_path / "x.py").write_text(text, encoding="utf-8")
    found = scan(tmp_path)
    assert len(found.unread) <= 1 and found.num_files == 1


def test_folders_of_others_are_left_out(tmp_path) -> None:
    for folder in (".venv", "build", "node_modules", "mine"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "x.py").write_text("import torch\ntorch.ones(1).cuda()\n")
    (tmp_path / "env3").mkdir()
    (tmp_path / "env3" / "pyvenv.cfg").touch()
    (tmp_path / "env3" / "x.py").write_text("import torch\ntorch.ones(1).cuda()\n")
    assert [str(f.path) for f in scan(tmp_path).ties] == ["mine/x.py"]


def test_a_single_file_will_do(tmp_path) -> None:
    path = tmp_path / "x.py"
    path.write_text("import torch\nx = torch.ones(1, device='cuda')\n")
    found = scan(path)
    assert [(f.place, f.verdict) for f in found.ties] == [("x.py:2:26", REWRITTEN)]


def test_many_files_are_read_by_several_processes(tmp_path, monkeypatch) -> None:
    for number in range(20):
        (tmp_path / f"x{number}.py").write_text("import torch\ntorch.ones(1).cuda()\n")
    alone = scan(tmp_path)
    monkeypatch.setattr("suiren.port.scan.MANY_FILES", 10)
    counts: list[int] = []
    together = scan(tmp_path, lambda done, _: counts.append(done), workers=2)
    assert together.findings == alone.findings and len(alone.findings) == 20
    assert counts == list(range(1, 21))
