"""Devices of running processes: published, read, cleaned, shown and served."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
import urllib.request
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from click.testing import CliRunner
from prometheus_client import generate_latest, start_http_server
from prometheus_client.parser import text_string_to_metric_families

from suiren.cli import suiren as commands
from suiren.live.folder import Publisher, devices
from suiren.live.metrics import LABELS, registry
from suiren.live.state import Device, as_json, from_json
from suiren.live.table import WIDTH, details, dmon_head, dmon_lines, table

GiB, MiB = 2**30, 2**20
RUNNING = Device(
    pid=os.getpid(), index=0, rank=3, world_size=8, card="t21", title="Enflame CloudBlazer T21",
    script="train.py", started_s=1e9, updated_s=1e9, total_bytes=32 * GiB, used_bytes=8 * GiB,
    reserved_bytes=9 * GiB, peak_bytes=10 * GiB, steps=42, step_s=0.0125, simulated_s=0.5,
    tokens_per_s=1000.0, samples_per_s=10.0, mfu=0.275, busy_share=0.9,
    parts_share={"matrix": 0.5, "vector": 0.25, "memory": 0.15, "idle": 0.1}, power_w=174.0,
    limit_w=400.0, energy_j=87.0, clock_hz=1.5e9, full_clock_hz=1.6e9, num_clusters=4,
    received_bytes=7.0, sent_bytes=5.0, received_bytes_per_s=64 * MiB, sent_bytes_per_s=MiB,
    collective_bytes=11.0,
)  # fmt: skip
STARTING = replace(
    RUNNING, index=1, rank=0, world_size=1, steps=0, step_s=None, busy_share=None, power_w=None,
    parts_share={}, mfu=None, clock_hz=None, tokens_per_s=None, samples_per_s=None,
    received_bytes_per_s=None, sent_bytes_per_s=None, used_bytes=0, num_clusters=0,
)  # fmt: skip


# ---- publishing


def test_what_is_published_is_read_until_it_is_taken_away(tmp_path: Path) -> None:
    publisher = Publisher(tmp_path / "live")
    publisher.write([RUNNING, STARTING])
    assert devices(tmp_path / "live") == [STARTING, RUNNING]  # by rank
    publisher.write([RUNNING])
    assert devices(tmp_path / "live") == [RUNNING]
    assert [p.name for p in (tmp_path / "live").iterdir()] == [f"{os.getpid()}.json"]
    publisher.remove()
    assert devices(tmp_path / "live") == [] == list((tmp_path / "live").iterdir())


def test_what_a_dead_process_left_is_ignored_and_cleaned(tmp_path: Path) -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    mine = Publisher(tmp_path)
    mine.write([RUNNING])
    left = tmp_path / f"{ended.pid}.json"
    left.write_text(mine.path.read_text())
    assert devices(tmp_path) == [RUNNING]
    assert not left.exists()


def test_a_pid_given_again_is_told_by_its_start(tmp_path: Path) -> None:
    publisher = Publisher(tmp_path)
    publisher.write([RUNNING])
    told = json.loads(publisher.path.read_text())
    publisher.path.write_text(json.dumps({**told, "started": told["started"] - 1}))
    assert devices(tmp_path) == []


def test_half_a_file_another_version_and_no_folder_harm_nobody(tmp_path: Path) -> None:
    (tmp_path / "1.json").write_text('{"devices": [')
    (tmp_path / "2.json").write_text("[]")
    assert devices(tmp_path) == [] == devices(tmp_path / "none")
    assert from_json({**as_json(RUNNING), "of_tomorrow": 1}) == RUNNING
    (tmp_path / "file").write_text("")
    nowhere = Publisher(tmp_path / "file")
    nowhere.write([RUNNING])
    nowhere.remove()
    assert not nowhere.works


def test_a_fork_neither_writes_nor_removes(tmp_path: Path) -> None:
    publisher = Publisher(tmp_path)
    publisher.write([RUNNING])
    publisher.pid += 1
    publisher.write([])
    publisher.remove()
    assert devices(tmp_path) == [RUNNING]


# ---- tables


def test_the_table_is_aligned_and_says_that_it_is_simulated() -> None:
    text = table([RUNNING, STARTING], datetime(2026, 3, 6, 10, 12, 3, tzinfo=UTC))
    lines = text.splitlines()
    assert "every value is simulated" in lines[1]
    assert lines[3].startswith("+2026-03-06, 10:12:03 UTC---")
    assert {len(line) for line in lines[3:] if line.startswith(("|", "+"))} == {WIDTH}
    words = " ".join(text.split())
    for told in ("0 Enflame CloudBlazer", "Active 174W / 400W", "32768MiB", "90.0 %", "Sleep N/A",
                 "3/8 42 12.5 ms 8192MiB train.py", "0 N/A 0MiB train.py"):  # fmt: skip
        assert told in words, told
    assert "temp" not in words.replace("TEMP", "").lower()


def test_details_have_the_familys_keys() -> None:
    rows = {}
    for line in details([RUNNING]).splitlines():
        key, _, value = line.partition(":")
        rows[key.strip()] = value.strip()
    expected = {
        "Dev Name": "Enflame CloudBlazer T21", "Power Capa": "400 W", "Cur Power": "174 W",
        "Total Size": "32768 MiB", "Used Size": "8192 MiB", "Free Size": "24576 MiB",
        "GCU Usage": "90.0 %", "GCU Temp": "N/A", "Tx Throughput": "1 MiB/s",
        "Rx Throughput": "64 MiB/s", "GCU CLK": "1500 MHz", "MFU": "27.5 %", "Steps": "42",
        "Step Time": "12.5 ms", "Rank": "3 of 8",
    }  # fmt: skip
    assert {key: rows[key] for key in expected} == expected


def test_dmon_columns_stand_under_their_heads() -> None:
    head, units = dmon_head().splitlines()
    first, second = dmon_lines([RUNNING, STARTING]).splitlines()
    assert head.split() == ["*Dev", "Pwr", "DTemp", "Sip", "DUsed", "Dpm", "MUsed", "Mem", "Mclk",
                            "TxPci", "RxPci"]  # fmt: skip
    assert first.split() == ["0", "174", "-", "75.0", "90.0", "Active", "25.0", "32768", "-", "1",
                             "64"]  # fmt: skip
    assert second.split() == ["1", "-", "-", "-", "-", "Sleep", "0.0", "32768", "-", "-", "-"]
    for line in (units, first):
        assert line[head.index("RxPci")] != " " == line[head.index("RxPci") - 1]


# ---- metrics


def _samples(text: str) -> dict[tuple[str, str], tuple[float, dict[str, str]]]:
    """(name, minor number) -> value and labels; of clusters the last."""
    return {
        (s.name, s.labels.get("minor_number", "")): (s.value, s.labels)
        for family in text_string_to_metric_families(text)
        for s in family.samples
    }


def test_metrics_have_the_names_labels_and_units_of_the_familys_exporter() -> None:
    samples = _samples(generate_latest(registry(lambda: [RUNNING, STARTING])).decode())
    values = {name: value for (name, minor), (value, _) in samples.items() if minor in ("0", "")}
    assert {n: v for n, v in values.items() if n.startswith("enflame_gcu_")} == {
        "enflame_gcu_exporter_up": 1, "enflame_gcu_count": 2, "enflame_gcu_usage": 90,
        "enflame_gcu_sip_usage": 75, "enflame_gcu_cluster_usage": 90,
        "enflame_gcu_memory_total_bytes": 32 * GiB, "enflame_gcu_memory_used_bytes": 8 * GiB,
        "enflame_gcu_memory_usage": 0.25, "enflame_gcu_temperatures": -1,
        "enflame_gcu_power_usage": 43.5, "enflame_gcu_power_consumption": 174,
        "enflame_gcu_power_capability": 400, "enflame_gcu_clock": 1500, "enflame_gcu_health": 2,
        "enflame_gcu_ecc_single_bit_error_total_count": 0,
        "enflame_gcu_ecc_double_bit_error_total_count": 0,
        "enflame_gcu_pcie_link_width": -1, "enflame_gcu_pcie_max_link_width": -1,
        "enflame_gcu_virt_mode": -1, "enflame_gcu_info": 1,
    }  # fmt: skip
    assert values["suiren_steps_total"] == 42 and values["suiren_step_seconds"] == 0.0125
    assert samples["enflame_gcu_usage", "1"][0] == -1  # not known yet
    assert ("suiren_step_seconds", "1") not in samples
    labels = samples["enflame_gcu_usage", "0"][1]
    assert set(labels) == set(LABELS) and labels["host"] == socket.gethostname()
    assert labels["name"] == "Enflame CloudBlazer T21" and labels["uuid"].startswith("GCU-")
    assert samples["enflame_gcu_clock", "0"][1]["power_mode"] == "Active"
    assert samples["enflame_gcu_cluster_usage", "0"][1]["cluster"] == "3"


def test_the_exporter_serves_what_is_there_at_each_scrape() -> None:
    now: list[Device] = []
    server, thread = start_http_server(0, "127.0.0.1", registry(lambda: now))
    url = f"http://127.0.0.1:{server.server_port}/metrics"
    try:
        before = urllib.request.urlopen(url, timeout=5).read().decode()
        now.append(RUNNING)
        after = urllib.request.urlopen(url, timeout=5).read().decode()
    finally:
        server.shutdown()
        thread.join(5)
    assert _samples(before)["enflame_gcu_count", ""][0] == 0
    assert _samples(after)["enflame_gcu_memory_used_bytes", "0"][0] == 8 * GiB


# ---- commands


@pytest.fixture
def published(tmp_path: Path) -> CliRunner:
    Publisher(tmp_path).write([RUNNING])
    return CliRunner(env={"SUIREN_LIVE": str(tmp_path)})


def test_smi_in_its_forms(published: CliRunner, tmp_path: Path) -> None:
    assert "Enflame CloudBl" in published.invoke(commands, ["smi"]).stdout
    assert "GCU Usage" in published.invoke(commands, ["smi", "-q"]).stdout
    (told,) = json.loads(published.invoke(commands, ["smi", "--json"]).stdout)
    assert from_json(told) == RUNNING and told["uuid"] == RUNNING.uuid
    lines = published.invoke(commands, ["smi", "dmon", "-d", "0.01", "-c", "3"]).stdout.splitlines()
    assert len(lines) == 2 + 3
    assert sum(line.startswith("*Dev") for line in lines) == 1
    none = CliRunner(env={"SUIREN_LIVE": str(tmp_path / "none")})
    silent = none.invoke(commands, ["smi", "dmon", "-d", "0.01", "-c", "2"]).stdout.splitlines()
    assert silent == ["no running process has a virtual device; start one with `suiren run`"] * 2
    nothing = CliRunner(env={"SUIREN_LIVE": ""}).invoke(commands, ["smi"])
    assert nothing.exit_code == 0 and "no running process has a virtual device" in nothing.stdout


def test_watching_ends_with_ctrl_c(published: CliRunner, monkeypatch: pytest.MonkeyPatch) -> None:
    looks = []

    def wait(seconds: float) -> None:
        looks.append(seconds)
        if len(looks) == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr("suiren.commands.smi.time.sleep", wait)
    done = published.invoke(commands, ["smi", "--watch", "0.5"])
    assert done.exit_code == 0 and looks == [0.5] * 3
    assert done.stdout.count("Enflame CloudBl") == 3


def test_exporter_once_and_a_port_in_use(published: CliRunner) -> None:
    done = published.invoke(commands, ["exporter", "--once"])
    assert _samples(done.stdout)["enflame_gcu_count", ""][0] == 1
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        done = published.invoke(commands, ["exporter", "--port", port])
    said = " ".join(done.stderr.split())
    assert done.exit_code == 2 and said.count(port) == 1
    assert f"another exporter, serves port {port} of 127.0.0.1" in said and "--port" in said
    assert threading.active_count() < 20


def test_an_address_of_another_machine_is_named(published: CliRunner) -> None:
    done = published.invoke(commands, ["exporter", "--address", "192.0.2.1", "--port", "19400"])
    said = " ".join(done.stderr.split())
    assert done.exit_code == 2 and "192.0.2.1 is no address of this machine" in said
