"""Without values a convolution lays its results out as with values."""

from __future__ import annotations

import subprocess
import sys

SCRIPT = """
import sys, torch
from suiren.hw.load import resolve_card
from suiren.torch import transfer
from suiren.torch.session import Session
Session(resolve_card("a100")).begin(numerics=sys.argv[1] == "values")
transfer.install()
for last_input, last_weight in ((0, 0), (1, 0), (0, 1), (1, 1)):
    layout = lambda last: torch.channels_last if last else torch.contiguous_format
    x = torch.ones(2, 8, 16, 16).to("cuda", memory_format=layout(last_input)).requires_grad_()
    conv = torch.nn.Conv2d(8, 12, 3, 2, 1).to("cuda", memory_format=layout(last_weight))
    with torch.autocast("cuda", dtype=torch.float16):
        y = conv(x)
    y.sum().backward()
    print(y.stride(), x.grad.stride(), conv.weight.grad.stride())
"""


def strides(mode: str) -> str:
    done = subprocess.run([sys.executable, "-c", SCRIPT, mode], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_convolution_keeps_channels_last_without_values() -> None:
    assert strides("no values") == strides("values")
