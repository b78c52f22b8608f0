"""Devices as Prometheus metrics, under the names and labels of Enflame's gcu-exporter.

Names, labels and units are those of the exporter's published guide (a usage in percent, memory
usage as a share, clock in MHz), so that a dashboard made for it works. -1 stands for what is not
supported, as there. What only a simulation knows has names that begin with `suiren_`.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator, Sequence

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric

from suiren import __version__
from suiren.live.state import Device
from suiren.live.table import dpm

PREFIX = "enflame_gcu_"
PORT = 9400
NOT_SUPPORTED = -1.0
#: Labels of every metric of a device.
LABELS = (
    "host", "minor_number", "uuid", "busid", "slot", "name", "pod_name", "pod_namespace",
    "container_name",
)  # fmt: skip


def _or_not(value: float | None, scale: float = 1.0) -> float:
    return NOT_SUPPORTED if value is None else scale * value


def _share(part: float | None, whole: float) -> float | None:
    return part / whole if part is not None and whole else None


#: Gauges of a device without labels of their own: name, meaning, value.
GAUGES: tuple[tuple[str, str, Callable[[Device], float]], ...] = (
    ("usage", "Share of the simulated step with a kernel running, percent",
     lambda d: _or_not(d.busy_share, 100)),
    ("sip_usage", "Share of the simulated step bound by matrix or vector engines, percent",
     lambda d: _or_not(d.parts_share.get("matrix", 0.0) + d.parts_share.get("vector", 0.0)
                       if d.parts_share else None, 100)),
    ("memory_total_bytes", "Simulated memory of the card, bytes", lambda d: d.total_bytes),
    ("memory_used_bytes", "Simulated memory in use, bytes", lambda d: d.used_bytes),
    ("memory_usage", "Simulated memory in use, share of the card's",
     lambda d: _or_not(_share(d.used_bytes, d.total_bytes))),
    ("temperatures", "Not simulated: always -1", lambda d: NOT_SUPPORTED),
    ("power_usage", "Simulated power, percent of the card's limit",
     lambda d: _or_not(_share(d.power_w, d.limit_w), 100)),
    ("power_consumption", "Simulated power averaged over a step, watts",
     lambda d: _or_not(d.power_w)),
    ("power_capability", "Power limit of the card, watts", lambda d: d.limit_w),
)  # fmt: skip
#: Gauges with the label `metrics`, which says the name again, and their value.
MARKED = (
    ("ecc_single_bit_error_total_count", "A virtual device has none", 0.0),
    ("ecc_double_bit_error_total_count", "A virtual device has none", 0.0),
    ("pcie_link_width", "Not simulated: always -1", NOT_SUPPORTED),
    ("pcie_max_link_width", "Not simulated: always -1", NOT_SUPPORTED),
    ("virt_mode", "Not simulated: always -1", NOT_SUPPORTED),
)
#: What only a simulation knows: name, meaning, value (None: left out), a counter or not.
OWN: tuple[tuple[str, str, Callable[[Device], float | None], bool], ...] = (
    ("steps", "Training steps so far", lambda d: d.steps, True),
    ("simulated_seconds", "Simulated time of the steps looked at so far",
     lambda d: d.simulated_s, True),
    ("energy_joules", "Simulated energy so far", lambda d: d.energy_j, True),
    ("host_received_bytes", "From the host over its link", lambda d: d.received_bytes, True),
    ("host_sent_bytes", "To the host over its link", lambda d: d.sent_bytes, True),
    ("collective_bytes", "What collectives were asked to move", lambda d: d.collective_bytes, True),
    ("step_seconds", "Simulated time of a step", lambda d: d.step_s, False),
    ("mfu_ratio", "Model FLOP over what the card could do", lambda d: d.mfu, False),
    ("tokens_per_second", "Simulated throughput", lambda d: d.tokens_per_s, False),
    ("samples_per_second", "Simulated throughput", lambda d: d.samples_per_s, False),
    ("memory_peak_bytes", "Highest memory in use so far", lambda d: d.peak_bytes, False),
)  # fmt: skip


class DeviceCollector:
    """Asks for the devices at every scrape."""

    def __init__(self, ask: Callable[[], Sequence[Device]]) -> None:
        self.ask = ask
        self.host = socket.gethostname()

    def collect(self) -> Iterator[Metric]:
        """All metrics of all devices."""
        devices = [(self._labels(n, one), one) for n, one in enumerate(self.ask())]
        yield _one("exporter_up", "1 while the exporter runs", self.host, 1.0)
        yield _one("count", "Virtual devices of running processes", self.host, len(devices))
        for name, meaning, value in GAUGES:
            yield _gauge(name, meaning, LABELS, [(ls, value(one)) for ls, one in devices])
        for name, meaning, fixed in MARKED:
            rows = [([*ls, f"gcu_{name}"], fixed) for ls, _ in devices]
            yield _gauge(name, meaning, (*LABELS, "metrics"), rows)
        yield from _with_labels(devices)
        for name, meaning, told, counts in OWN:
            kind = CounterMetricFamily if counts else GaugeMetricFamily
            family = kind(f"suiren_{name}", meaning, labels=LABELS)
            for labels, one in devices:
                amount = told(one)
                if amount is not None:
                    family.add_metric(labels, float(amount))
            yield family

    def _labels(self, number: int, one: Device) -> list[str]:
        no_pod = ("", "", "")
        return [self.host, str(number), one.uuid, one.bus_id, "virtual", one.title, *no_pod]


Rows = list[tuple[list[str], Device]]


def _with_labels(devices: Rows) -> Iterator[Metric]:
    """Metrics that carry labels of their own."""
    clocks = [
        ([*ls, dpm(one)], (one.full_clock_hz if one.clock_hz is None else one.clock_hz) / 1e6)
        for ls, one in devices
    ]
    yield _gauge("clock", "Simulated clock of the engines, MHz", (*LABELS, "power_mode"), clocks)
    health = [([*ls, "Healthy"], 2.0) for ls, _ in devices]
    yield _gauge("health", "2 healthy, 1 unhealthy, 0 unknown", (*LABELS, "healthmsg"), health)
    clusters = [
        ([*ls, str(cluster), "cluster_usage"], _or_not(one.busy_share, 100))
        for ls, one in devices for cluster in range(one.num_clusters)
    ]  # fmt: skip
    yield _gauge("cluster_usage", "As usage: kernels are spread over all clusters, percent",
                 (*LABELS, "cluster", "metrics"), clusters)  # fmt: skip
    info = [([*ls[:3], ls[4], "virtual", __version__], 1.0) for ls, _ in devices]
    labels = ("host", "minor_number", "uuid", "slot", "dev_sn", "fw_version")
    yield _gauge("info", "Suiren's version stands as fw_version", labels, info)


def _one(name: str, meaning: str, host: str, value: float) -> GaugeMetricFamily:
    return _gauge(name, meaning, ("host",), [([host], value)])


def _gauge(
    name: str, meaning: str, labels: Sequence[str], rows: Sequence[tuple[Sequence[str], float]]
) -> GaugeMetricFamily:
    family = GaugeMetricFamily(PREFIX + name, meaning, labels=labels)
    for values, value in rows:
        family.add_metric(values, value)
    return family


def registry(ask: Callable[[], Sequence[Device]]) -> CollectorRegistry:
    """A registry of these metrics alone."""
    found = CollectorRegistry()
    found.register(DeviceCollector(ask))
    return found
