"""Devices as text: the table of `suiren smi`, its details, and one line a device for `dmon`.

Columns and keys are those of Enflame's `efsmi`, so that what reads its output reads this.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime

from suiren import __version__
from suiren.live.state import Device
from suiren.units import MiB, show_bytes, show_time

WIDTH = 79
NOT_KNOWN = "N/A"
_RULE = f"+{'-' * 29}+{'-' * 19}+{'-' * 27}+"


def table(devices: Sequence[Device], now: datetime) -> str:
    """The devices, and the processes that hold them."""
    return "\n".join(_table(devices, now))


def _table(devices: Sequence[Device], now: datetime) -> Iterator[str]:
    yield f"{' Suiren: virtual devices of running processes '.center(WIDTH, '-')}"
    yield f"{' every value is simulated, no device is real '.center(WIDTH, '-')}"
    yield ""
    yield f"+{now:%Y-%m-%d, %H:%M:%S %Z}".ljust(WIDTH - 1, "-") + "+"
    yield _wide(f"SUIREN-SMI: {__version__}")
    yield _RULE
    yield _row("DEV    NAME", "FW VER", "BUS-ID        ECC")
    yield _row("TEMP   Dpm   Pwr(Usage/Cap)", "Mem      GCU Virt", "DUsed         SN")
    yield f"|{'=' * (WIDTH - 2)}|"
    for number, one in enumerate(devices):
        yield from _device(number, one)
        yield _RULE
    if not devices:
        yield _wide("no running process has a virtual device; start one with `suiren run`")
        yield f"+{'-' * (WIDTH - 2)}+"
        return
    yield ""
    yield from _processes(devices)


def _device(number: int, one: Device) -> Iterator[str]:
    yield _row(f"{number:<6} {_cut(one.title, 21)}", "virtual", f"{one.bus_id:<13} {NOT_KNOWN}")
    power = "N/A" if one.power_w is None else f"{one.power_w:.0f}W"
    used = "N/A" if one.busy_share is None else f"{100 * one.busy_share:.1f} %"
    yield _row(
        f"{NOT_KNOWN:<6} {dpm(one):<6} {power:>5} / {one.limit_w:.0f}W",
        f"{one.total_bytes / MiB:.0f}MiB Virtual",
        f"{used:<13} virtual",
    )


def _processes(devices: Sequence[Device]) -> Iterator[str]:
    yield f"+{'-' * (WIDTH - 2)}+"
    yield _wide("Processes:")
    yield _wide(f"{'DEV':<4} {'PID':>8} {'RANK':>11} {'STEPS':>7} {'STEP TIME':>10} "
                f"{'MEM USED':>11}  SCRIPT")  # fmt: skip
    yield f"|{'=' * (WIDTH - 2)}|"
    for number, one in enumerate(devices):
        rank = f"{one.rank}/{one.world_size}" if one.world_size > 1 else "-"
        step = NOT_KNOWN if one.step_s is None else show_time(one.step_s)
        yield _wide(f"{number:<4} {one.pid:>8} {rank:>11} {one.steps:>7} {step:>10} "
                    f"{one.used_bytes / MiB:>8.0f}MiB  {_cut(one.script, 17)}")  # fmt: skip
    yield f"+{'-' * (WIDTH - 2)}+"
    if any(one.world_size > 1 for one in devices):
        yield ("A rank's step is told without its collectives while it runs; they are timed at "
               "the end.")  # fmt: skip


def _row(first: str, second: str, third: str) -> str:
    return f"| {_cut(first, 27):<27} | {_cut(second, 17):<17} | {_cut(third, 25):<25} |"


def _wide(text: str) -> str:
    return f"| {_cut(text, WIDTH - 4):<{WIDTH - 4}} |"


def _cut(text: str, size: int) -> str:
    return text if len(text) <= size else f"{text[: size - 1]}…"


def dpm(one: Device) -> str:
    """The power mode as the family names it."""
    return "Active" if one.is_active else "Sleep"


# ---- details


def details(devices: Sequence[Device]) -> str:
    """Everything known of each device: sections and keys of `efsmi -q`, then Suiren's own."""
    lines = ["Suiren: virtual devices; every value is simulated", ""]
    for number, one in enumerate(devices):
        lines.append(f"DEV ID {number}")
        for section, rows in _sections(one):
            lines.append(f"    {section}")
            lines += [f"        {name:<24}: {text}" for name, text in rows]
    if not devices:
        lines.append("no running process has a virtual device; start one with `suiren run`")
    return "\n".join(lines)


def _sections(one: Device) -> Iterator[tuple[str, list[tuple[str, str]]]]:
    _, bus, rest = one.bus_id.split(":")
    yield "Driver Info", [("Ver", f"suiren {__version__}")]
    yield "Device Info", [
        ("Dev Name", one.title), ("Dev UUID", one.uuid), ("Dev SN", "virtual"), ("Health", "True"),
    ]  # fmt: skip
    yield "PCIe Info", [
        ("Domain", "ffff"), ("Bus", bus), ("Dev", rest[:2]), ("Func", "0"),
        ("Tx Throughput", _rate(one.sent_bytes_per_s)),
        ("Rx Throughput", _rate(one.received_bytes_per_s)),
    ]  # fmt: skip
    clock = one.full_clock_hz if one.clock_hz is None else one.clock_hz
    yield "Clock Info", [("GCU CLK", f"{clock / 1e6:.0f} MHz"), ("Mem CLK", NOT_KNOWN)]
    yield "Power Info", [
        ("Power Capa", f"{one.limit_w:.0f} W"), ("Cur Power", _told(one.power_w, "W")),
        ("Dpm Level", dpm(one)), ("Energy", f"{one.energy_j:.1f} J"),
    ]  # fmt: skip
    yield "Device Mem Info", [
        (name, f"{size / MiB:.0f} MiB") for name, size in (
            ("Total Size", one.total_bytes), ("Reserved Size", one.reserved_bytes),
            ("Used Size", one.used_bytes), ("Free Size", one.total_bytes - one.used_bytes),
            ("Peak Size", one.peak_bytes),
        )
    ]  # fmt: skip
    yield "Temperature Info", [("GCU Temp", NOT_KNOWN)]
    yield "Device Usage Info", [
        ("GCU Usage", _percent(one.busy_share)), ("MFU", _percent(one.mfu)),
        *((f"bound by {part}", _percent(share)) for part, share in one.parts_share.items()),
    ]  # fmt: skip
    yield "Simulation Info", [
        ("PID", str(one.pid)), ("Script", one.script), ("Rank", f"{one.rank} of {one.world_size}"),
        ("Values", "computed" if one.numerics else "left out"), ("Steps", f"{one.steps:,}"),
        ("Step Time", NOT_KNOWN if one.step_s is None else show_time(one.step_s)),
        ("Simulated Time", show_time(one.simulated_s)),
        ("Tokens", _told(one.tokens_per_s, "/s")), ("Samples", _told(one.samples_per_s, "/s")),
        ("Received From Host", show_bytes(one.received_bytes)),
        ("Sent To Host", show_bytes(one.sent_bytes)),
        ("Asked Of Collectives", show_bytes(one.collective_bytes)),
    ]  # fmt: skip


def _told(value: float | None, unit: str) -> str:
    return NOT_KNOWN if value is None else f"{value:,.0f} {unit}"


def _percent(share: float | None) -> str:
    return NOT_KNOWN if share is None else f"{100 * share:.1f} %"


def _rate(bytes_per_s: float | None) -> str:
    return NOT_KNOWN if bytes_per_s is None else f"{bytes_per_s / MiB:.0f} MiB/s"


# ---- one line a device

_DMON = ("Dev", "Pwr", "DTemp", "Sip", "DUsed", "Dpm", "MUsed", "Mem", "Mclk", "TxPci", "RxPci")
_UNITS = ("Idx", "W", "C", "%", "%", "L", "%", "MiB", "MHz", "MiB/s", "MiB/s")
_WIDTHS = (5, 7, 7, 7, 7, 8, 7, 8, 7, 8, 8)


def dmon_head() -> str:
    """The two lines above the columns."""
    return "\n".join((_line(("*" + _DMON[0], *_DMON[1:])), _line(("*" + _UNITS[0], *_UNITS[1:]))))


def dmon_lines(devices: Sequence[Device]) -> str:
    """A line a device; `-` where a value is not known. Sip: matrix and vector engines."""
    lines = []
    for number, one in enumerate(devices):
        parts = one.parts_share
        engines = parts.get("matrix", 0.0) + parts.get("vector", 0.0) if parts else None
        lines.append(_line((
            str(number), _number(one.power_w), "-", _number(engines, 100, 1),
            _number(one.busy_share, 100, 1), dpm(one),
            _number(one.used_bytes / one.total_bytes if one.total_bytes else None, 100, 1),
            f"{one.total_bytes / MiB:.0f}", "-", _number(one.sent_bytes_per_s, 1 / MiB),
            _number(one.received_bytes_per_s, 1 / MiB),
        )))  # fmt: skip
    return "\n".join(lines)


def _line(cells: Sequence[str]) -> str:
    return "".join(f"{c:<{w}}" for c, w in zip(cells, _WIDTHS, strict=True)).rstrip()


def _number(value: float | None, scale: float = 1.0, digits: int = 0) -> str:
    return "-" if value is None else f"{scale * value:.{digits}f}"
