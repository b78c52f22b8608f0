"""Rows of convolutions: forward, and both gradients where a table adds them up."""

from __future__ import annotations

from suiren.hw.spec import Card
from suiren.mapper.convolve import PASSES, Convolution, convolve
from suiren.mapper.power import held_s
from suiren.truth.products import format_of
from suiren.truth.protocol import Protocol, protocol_of
from suiren.truth.rows import Row
from suiren.truth.unknown import NotPredicted

#: How a DeepBench row names the passes it adds up.
_TOLD = {
    "forward": "Forward (msec)",
    "input": "wrt Inputs (msec)",
    "weight": "wrt Parameters (msec)",
}


def covers(row: Row) -> bool:
    """True for rows of this family."""
    return row.op in ("conv", "conv2d")


def seconds(row: Row, card: Card) -> float:
    """Launches and kernels, as the row's table measures them."""
    protocol = protocol_of(row)
    if row.op == "conv":
        return pass_s(_neusight(row), "forward", card, protocol)
    return sum(pass_s(_deepbench(row), p, card, protocol) for p in _run(row))


def pass_s(what: Convolution, direction: str, card: Card, protocol: Protocol) -> float:
    """Seconds of one pass under a protocol."""
    way = convolve(what, direction, card)
    alone = sum(kernel.seconds for kernel in way.kernels)
    throttled = protocol.throttled(alone, card)
    held = sum(held_s(kernel, card, what.dtype, throttled) for kernel in way.kernels)
    return held + len(way.kernels) * card.launch_s + protocol.added_s


def _neusight(row: Row) -> Convolution:
    side, taps = row.size("Input_Size"), row.size("Kernel_Szie")
    stride, padding = row.size("Stride"), row.size("Padding")
    return Convolution(
        row.size("B"), row.size("Input_Channel"), row.size("Output_Channel"), (side, side),
        (taps, taps), (stride, stride), (padding, padding), format_of(row),
    )  # fmt: skip


def _deepbench(row: Row) -> Convolution:
    window = (row.size("R", "R (Filter height)", "R (Fitler height)"),
              row.size("S", "S (Filter width)", "S (Fitler width)"))  # fmt: skip
    stride = (row.size("Vertical stride", "Vertical Stride"),
              row.size("Horizontal stride", "Horizontal Stride"))  # fmt: skip
    return Convolution(
        row.size("N"), row.size("C"), row.size("K"), (row.size("H"), row.size("W")), window,
        stride, (row.size("pad_h"), row.size("pad_w")), format_of(row),
    )  # fmt: skip


def _run(row: Row) -> list[str]:
    """The passes a row adds up: those that its table gives a time for."""
    found = [p for p in PASSES if _is_number(row.shape.get(_TOLD[p], ""))]
    if not found:
        raise NotPredicted("the row tells no pass")
    return found


def _is_number(text: str) -> bool:
    try:
        return float(text) > 0
    except ValueError:
        return False
