"""Runs generated scripts as real ranks on the host's processors, with gloo in the place of NCCL.

    python on_the_host.py PORT JOB...     where a JOB is RANKS:SCRIPT:TO LOAD:TO SAVE

PyTorch is loaded once; every rank is a fork. Prints one line of losses for each job.
"""

from __future__ import annotations

import contextlib
import os
import re
import sys
import tempfile
import traceback
from pathlib import Path

import torch.distributed.checkpoint
import torch.distributed.fsdp
import torch.distributed.pipelining
import torch.distributed.tensor.parallel  # noqa: F401 - loaded once for all ranks

#: What of a script names the card.
ON_THE_HOST = (
    ('dist.init_process_group("nccl")', 'dist.init_process_group("gloo")'),
    ('torch.device("cuda", int(os.environ["LOCAL_RANK"]))', 'torch.device("cpu")'),
    ("torch.cuda.set_device(device)\n", ""),
    ('"cuda", (', '"cpu", ('),
    ("dist.all_reduce(loss, dist.ReduceOp.AVG, group=data)",
     "dist.all_reduce(loss, group=data); loss = loss / data.size()"),
)  # fmt: skip


def on_the_host(text: str) -> str:
    for card, host in ON_THE_HOST:
        text = text.replace(card, host)
    assert "cuda.set_device" not in text
    return text


def rank_of(rank: int, ranks: int, text: str, arguments: list[str], port: str, out: str) -> None:
    """One rank's whole life; what it prints goes to a file."""
    place = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": ranks, "MASTER_PORT": port}
    os.environ |= {name: str(value) for name, value in place.items()}
    os.environ["MASTER_ADDR"] = "127.0.0.1"
    with Path(out).open("a") as said:
        os.dup2(said.fileno(), 1)
        os.dup2(said.fileno(), 2)
        sys.argv = ["train.py", *arguments]
        status = 0
        try:
            exec(compile(text, "train.py", "exec"), {"__name__": "__main__"})
        except BaseException:
            traceback.print_exc()
            status = 1
        sys.stdout.flush()
        os._exit(status)


def run(job: str, port: int) -> str:
    ranks, script, load, save = job.split(":")
    arguments = ["--lr", "1e-2", "--steps", "0" if save else "3"]
    arguments += ["--load", load] if load else []
    arguments += ["--save", save] if save else []
    text = on_the_host(Path(script).read_text())
    with tempfile.NamedTemporaryFile(suffix=".out") as out:
        children = []
        for rank in range(int(ranks)):
            child = os.fork()
            if not child:
                rank_of(rank, int(ranks), text, arguments, str(port), out.name)
            children.append(child)
        codes = []
        for _ in children:
            child, status = os.wait()
            codes.append(status)
            if status:  # the others would wait for it
                for other in set(children) - {child}:
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(other, 9)
        said = Path(out.name).read_text()
    losses = re.findall(r"loss (\S+)", said)
    return " ".join(losses) if not any(codes) else "failed\n" + said


if __name__ == "__main__":
    free = int(sys.argv[1])
    if any("from transformers" in Path(job.split(":")[1]).read_text() for job in sys.argv[2:]):
        import transformers  # noqa: F401 - likewise
    for number, job in enumerate(sys.argv[2:]):
        print(job.split(":")[1], "=", run(job, free + number), flush=True)
