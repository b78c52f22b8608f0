"""The patch: what it writes runs on a CPU and on the card, and is the same when done twice."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from suiren.port.fix import fixes, rewrite_text, write
from suiren.port.kinds import ALL_TIES
from suiren.port.python_file import find_in_python
from suiren.port.scan import scan
from suiren.port.tie import REWRITTEN

HERE = Path(__file__).parent
SCRIPT = HERE / "scripts" / "tied_mlp.py"
X = Path("x.py")
REWRITABLE = [t for t in ALL_TIES if t.verdict == REWRITTEN]


def patched(source: str) -> str:
    return rewrite_text(source, X)


def body(source: str) -> str:
    """The patched text without the lines that every patch puts at the head."""
    lines = patched(f"import torch\n{source}\n").splitlines()
    return "\n".join(
        line for line in lines[1:] if line and "current_accelerator().type" not in line
    )


REWRITES = {
    "x = y.cuda()": "x = y.to(DEVICE)",
    "x = y.cuda(non_blocking=True)  # moved": "x = y.to(DEVICE, non_blocking=True)  # moved",
    "x = y.cuda(1)": 'x = y.to(f"{DEVICE}:1")',
    "x = y.cuda(args.local_rank)": "x = y.to(torch.device(DEVICE, args.local_rank))",
    "x = y.cuda(device=where)": "x = y.to(where)",
    "x = y.cuda(device=0, non_blocking=True)": 'x = y.to(f"{DEVICE}:0", non_blocking=True)',
    "x = y.cuda(None)": "x = y.to(DEVICE)",
    "x = f(a).cuda().half().cuda()": "x = f(a).to(DEVICE).half().to(DEVICE)",
    "x = y.to('cuda:1')": "x = y.to(f'{DEVICE}:1')",
    "x = y.to(f'cuda:{n}')": "x = y.to(f'{DEVICE}:{n}')",
    "x = y.to('cuda:%d' % n)": "x = y.to(f'{DEVICE}:%d' % n)",
    "x = y.to('cuda:{}'.format(n))": "x = y.to(f'{DEVICE}:{{}}'.format(n))",
    "x = y.to('cuda:' + str(n))": "x = y.to(f'{DEVICE}:' + str(n))",
    "x = y.to(0)": 'x = y.to(f"{DEVICE}:0")',
    "x = y.to(rank)": "x = y.to(torch.device(DEVICE, rank))",
    "x = y.to(\n    'cuda',  # here\n    z,\n)": "x = y.to(\n    DEVICE,  # here\n    z,\n)",
    "dist.barrier(device_ids=[rank])":
        "dist.barrier(device_ids=[rank] if torch.accelerator.is_available() else None)",
    "x = y.is_cuda and z": 'x = (y.device.type != "cpu") and z',
    "x = y.type(torch.cuda.HalfTensor)": "x = y.to(DEVICE, torch.float16)",
    "x = y.type('torch.cuda.LongTensor')": "x = y.to(DEVICE, torch.int64)",
    "x = torch.cuda.FloatTensor([1, 2])": "x = torch.FloatTensor([1, 2]).to(DEVICE)",
    "with torch.cuda.amp.autocast(False): pass":
        "with torch.amp.autocast(DEVICE, enabled=False): pass",
    "s = torch.cuda.amp.GradScaler(init_scale=2.0)":
        "s = torch.amp.GradScaler(DEVICE, init_scale=2.0)",
    "@torch.cuda.amp.custom_fwd\ndef f(c, x): pass":
        "@torch.amp.custom_fwd(device_type=DEVICE)\ndef f(c, x): pass",
    "torch.cuda.synchronize(d)": "torch.get_device_module(DEVICE).synchronize(d)",
    "torch.cuda.current_stream(d).synchronize()": "torch.get_device_module(DEVICE).synchronize(d)",
    "torch.cuda.empty_cache()  # free":
        "if torch.accelerator.is_available():\n    torch.accelerator.empty_cache()  # free",
    "n = torch.cuda.memory_allocated(0) / 2**20":
        "n = (torch.accelerator.memory_allocated(0) "
        "if torch.accelerator.is_available() else 0) / 2**20",
    "print(f\"{torch.cuda.get_device_name()}\")":
        "print(f\"{(torch.get_device_module(DEVICE).get_device_name() "
        "if torch.accelerator.is_available() else 'cpu')}\")",
    "free, all = torch.cuda.mem_get_info()":
        "free, all = torch.accelerator.get_memory_info() "
        "if torch.accelerator.is_available() else (0, 0)",
    "a(); torch.cuda.empty_cache()":
        "a(); (torch.accelerator.empty_cache() if torch.accelerator.is_available() else None)",
    "torch.cuda.manual_seed_all(3)": "torch.manual_seed(3)",
    "n = torch.cuda.device_count()": "n = torch.accelerator.device_count()",
    "assert torch.cuda.is_available(), 'no'": "assert torch.accelerator.is_available(), 'no'",
    "if d.type != 'cuda':\n    raise E": "if d.type != DEVICE:\n    raise E",
    "Trainer(accelerator='gpu')": "Trainer(accelerator='auto')",
    "def f(device='cuda', n=1): pass": "def f(device=DEVICE, n=1): pass",
}  # fmt: skip


@pytest.mark.parametrize("source", REWRITES)
def test_what_becomes_of_a_place(source) -> None:
    assert body(source) == REWRITES[source]


UNTOUCHED = [
    "s = torch.cuda.Stream(device=d)",
    "torch.cuda.device_count = lambda: 1",
    "d = 'cuda' if torch.cuda.is_available() else 'cpu'",
    "if torch.cuda.is_available():\n    x.cuda()\n    torch.cuda.synchronize()",
    "print('cuda')",
    "class Batch:\n    def cuda(self): return self\nb = Batch().cuda()",
    "s = torch.load(p, map_location=lambda storage, loc: storage.cuda(0))",
    "g = torch.cuda.CUDAGraph()",
]


@pytest.mark.parametrize("source", UNTOUCHED)
def test_what_is_left_alone(source) -> None:
    text = f"import torch\n{source}\n"
    assert patched(text) == text


@pytest.mark.parametrize("tie", REWRITABLE, ids=lambda tie: tie.name)
def test_what_a_patch_leaves_has_nothing_more_to_rewrite(tie) -> None:
    once = patched(tie.example)
    assert once != tie.example
    assert [f.tie.name for f in find_in_python(once, X) if f.verdict == REWRITTEN] == []
    assert patched(once) == once


PIECES = [*REWRITES, *UNTOUCHED]


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.sampled_from(PIECES), min_size=1, max_size=6),
    st.booleans(),
    st.sampled_from(["import torch\n", "import torch as th, os\nimport torch\n",
                     '"""Head."""\n\nimport os\n\nimport torch\n\nDEVICE = 3\n',
                     "#!/usr/bin/env python\nimport sys\nx = 1\nimport torch\n"]),
)  # fmt: skip
def test_any_mixture_is_rewritten_once(pieces, inside, head) -> None:
    text = "\n".join(pieces)
    if inside:
        text = "def run():\n" + "\n".join(f"    {line}" for line in text.splitlines())
    source = f"{head}{text}\n"
    once = patched(source)
    ast.parse(once)
    assert patched(once) == once
    assert [f.tie.name for f in find_in_python(once, X) if f.verdict == REWRITTEN] == []
    kept = [line for line in source.splitlines() if "cuda" not in line and line in head]
    assert all(line in once.splitlines() for line in kept)


def test_imports_that_nothing_uses_any_more_go() -> None:
    source = (
        "import torch\nfrom torch.cuda.amp import GradScaler, autocast\n\n"
        "if torch.cuda.is_available():\n    s = GradScaler()\nwith autocast():\n    pass\n"
    )
    new = patched(source)
    assert "from torch.cuda.amp import GradScaler\n" in new
    assert "with torch.amp.autocast(DEVICE):" in new


def test_other_names_for_the_same_thing_are_followed() -> None:
    source = (
        "from torch import cuda as c\nfrom torch.cuda import synchronize as wait\n"
        "from torch.cuda.amp.grad_scaler import GradScaler as GS\n\n"
        "s = GS(enabled=False)\nwait()\nn = c.memory_allocated()\n"
    )
    new = patched(source)
    assert "s = torch.amp.GradScaler(DEVICE, enabled=False)\n" in new
    assert "torch.get_device_module(DEVICE).synchronize()\n" in new
    assert "n = torch.accelerator.memory_allocated() if " in new
    assert "torch.cuda" not in new


def test_torch_is_imported_where_it_was_not() -> None:
    new = patched("from torch import nn\n\nm = nn.Linear(2, 2).cuda()\n")
    assert new.startswith("from torch import nn\nimport torch\n\nDEVICE = torch.accel")


def test_an_event_s_arguments_get_their_names() -> None:
    new = patched("import torch\ne = torch.cuda.Event(True, blocking=True)\n")
    assert new.endswith("e = DeviceEvent(enable_timing=True, blocking=True)\n")


def test_torch_is_not_imported_twice() -> None:
    source = "def f():\n    import torch\n\n    torch.cuda.empty_cache()\n"
    assert patched(source).count("import torch") == 1


def test_a_name_in_use_is_left_to_its_owner() -> None:
    new = patched("import torch\n\nDEVICE = 3\nx = torch.ones(DEVICE).cuda()\n")
    assert "DEVICE = 3\n" in new and "torch.ones(DEVICE).to(DEVICE_TYPE)" in new


def test_notebooks_keep_their_cells_and_magics(tmp_path) -> None:
    source = (HERE / "tied" / "notes.ipynb").read_text()
    new = rewrite_text(source, Path("notes.ipynb"))
    cells = ["".join(c["source"]) for c in json.loads(new)["cells"]]
    assert cells[1].startswith("!nvidia-smi\nimport torch\n") and "%timeit 1" in cells[1]
    assert "DEVICE = torch.accelerator" in cells[1]
    assert cells[2] == "x = torch.ones(2).to(DEVICE)\nx"
    assert rewrite_text(new, Path("notes.ipynb")) == new


def test_files_keep_their_ends_of_lines_and_encoding(tmp_path) -> None:
    path = tmp_path / "x.py"
    path.write_bytes("# coding: latin-1\r\nimport torch\r\nx = 'é'.cuda()\r\n".encode("latin-1"))
    for fixed in fixes(scan(tmp_path)):
        write(fixed)
    raw = path.read_bytes()
    assert b"\xe9'.to(DEVICE)\r\n" in raw and b"\n" not in raw.replace(b"\r\n", b"")


@pytest.mark.parametrize("old", [
    "import torch\nx = torch.ones(2).cuda()", "import torch\n\x0c\nx = torch.ones(2).cuda()\n",
])  # fmt: skip
def test_the_diff_applies(old, tmp_path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "x.py").write_text(old)
    (fixed,) = fixes(scan(tmp_path))
    command = ["git", "apply", "--unsafe-paths", "-"]
    ran = subprocess.run(command, input=fixed.diff(), cwd=tmp_path, text=True, capture_output=True)
    assert ran.returncode == 0, ran.stderr
    assert (tmp_path / "sub" / "x.py").read_text() == fixed.after != old


def run(*command: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *map(str, command)], capture_output=True, text=True, timeout=120
    )


def test_every_rewritten_example_runs_on_a_cpu(tmp_path) -> None:
    """In one process without Suiren; what needs other packages or processes is left out."""
    left_out = ("requires-cuda", "nccl-backend", "ddp-device-ids")
    texts = {t.name: patched(t.example) for t in REWRITABLE if t.name not in left_out}
    (tmp_path / "texts.json").write_text(json.dumps(texts))
    code = (
        "import json, sys\nwrong = {}\n"
        "for name, text in json.load(open(sys.argv[1])).items():\n"
        "    try:\n        exec(text, {'__name__': 'example'})\n"
        "    except BaseException as problem:\n        wrong[name] = repr(problem)\n"
        "print(json.dumps(wrong))\n"
    )
    ran = run("-c", code, tmp_path / "texts.json")
    assert json.loads(ran.stdout) == {}, ran.stderr


def test_a_training_gives_the_same_losses_before_and_after_on_card_and_cpu(tmp_path) -> None:
    new = tmp_path / "patched.py"
    new.write_text(patched(SCRIPT.read_text()))
    assert [f.tie.name for f in scan(new).ties] == []
    suiren = ("-m", "suiren.cli", "run", SCRIPT, "--on", "toy", "--quiet", "--tf32", "off", "--")
    native = (
        "import runpy, sys, torch_gcu; sys.argv[:1] = []; "
        "runpy.run_path(sys.argv[0], run_name='__main__')"
    )
    losses = []
    for name, command in {
        "before": (*suiren, tmp_path / "before.json"),
        "card": ("-c", native, new, tmp_path / "card.json"),
        "cpu": (new, tmp_path / "cpu.json"),
    }.items():
        ran = run(*command)
        assert ran.returncode == 0, f"{name}: {ran.stderr}"
        losses.append(json.loads((tmp_path / f"{name}.json").read_text()))
    assert losses[0] == pytest.approx(losses[1], rel=1e-6)
    assert losses[0] == pytest.approx(losses[2], rel=1e-4)
    assert losses[0][-1] < losses[0][0]
