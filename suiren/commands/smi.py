"""`suiren smi` and `suiren exporter`: the virtual devices of running processes."""

from __future__ import annotations

import errno
import json
import socket
import time
from collections.abc import Callable
from datetime import datetime

import click

POSITIVE = click.FloatRange(min=0, min_open=True)


@click.group(invoke_without_command=True)
@click.option("-q", "--query", is_flag=True, help="Everything known of each device.")
@click.option("--json", "as_json", is_flag=True, help="Print the devices as JSON.")
@click.option("--watch", "every_s", type=POSITIVE, metavar="SECONDS",
              help="Show them again and again, until Ctrl-C.")  # fmt: skip
@click.pass_context
def smi(context: click.Context, query: bool, as_json: bool, every_s: float | None) -> None:
    """The virtual devices of running processes, in the manner of efsmi and nvidia-smi.

    Every value is simulated. A process is seen while `suiren run` runs its script.

    \b
    suiren smi
    suiren smi --watch 1
    suiren smi dmon -d 1 -c 10
    """  # noqa: D301 - click reads the control character
    if context.invoked_subcommand is not None:
        return
    from suiren.live.folder import devices
    from suiren.live.state import as_json as plain
    from suiren.live.table import details, table

    def shown() -> str:
        found = devices()
        if as_json:
            return json.dumps([plain(one) for one in found], indent=1)
        return details(found) if query else table(found, datetime.now().astimezone())

    if every_s is None:
        click.echo(shown())
        return
    _again(lambda: click.echo(f"\x1b[H\x1b[2J{shown()}"), every_s, None)


@smi.command()
@click.option("-d", "--delay", "every_s", type=POSITIVE, default=1.0, show_default=True,
              metavar="SECONDS", help="Time between two looks.")  # fmt: skip
@click.option("-c", "--count", type=click.IntRange(min=1), help="So many looks; until Ctrl-C.")
def dmon(every_s: float, count: int | None) -> None:
    """One line a device, again and again: power, usage, memory, host link."""
    from suiren.live.folder import devices
    from suiren.live.table import dmon_head, dmon_lines

    has_head = False

    def look() -> None:
        nonlocal has_head
        found = devices()
        if not found:
            click.echo("no running process has a virtual device; start one with `suiren run`")
            return
        if not has_head:
            click.echo(dmon_head())
            has_head = True
        click.echo(dmon_lines(found))

    _again(look, every_s, count)


def _again(look: Callable[[], None], every_s: float, count: int | None) -> None:
    done = 0
    try:
        while True:
            look()
            done += 1
            if count is not None and done >= count:
                return
            time.sleep(every_s)
    except KeyboardInterrupt:
        return


@click.command()
@click.option("--port", type=click.IntRange(1, 65535), default=9400, show_default=True)
@click.option("--address", default="127.0.0.1", show_default=True,
              help="0.0.0.0: reachable from other machines.")  # fmt: skip
@click.option("--once", is_flag=True, help="Print the metrics once instead.")
def exporter(port: int, address: str, once: bool) -> None:
    """Serve the virtual devices to Prometheus, under the metric names of gcu-exporter.

    \b
    suiren exporter                      http://127.0.0.1:9400/metrics
    suiren exporter --once
    """  # noqa: D301 - click reads the control character
    from prometheus_client import generate_latest, start_http_server

    from suiren.live.folder import devices
    from suiren.live.metrics import registry

    found = registry(devices)
    if once:
        click.echo(generate_latest(found).decode(), nl=False)
        return
    try:
        server, thread = start_http_server(port, address, found)
    except OSError as problem:
        raise click.UsageError(_unserved(port, address, problem)) from None
    click.echo(f"http://{address}:{port}/metrics, until Ctrl-C", err=True)
    try:
        thread.join()
    except KeyboardInterrupt:
        server.shutdown()


def _unserved(port: int, address: str, problem: OSError) -> str:
    """Why a port cannot be served, and what would work."""
    if problem.errno == errno.EADDRINUSE:
        return (f"another process, perhaps another exporter, serves port {port} of {address}: "
                "end it, or give a free port with --port")  # fmt: skip
    if problem.errno == errno.EACCES:
        return (f"port {port} is kept for the administrator: give one above 1023 with --port, "
                "such as --port 9400")  # fmt: skip
    if problem.errno == errno.EADDRNOTAVAIL or isinstance(problem, socket.gaierror):
        return (f"{address} is no address of this machine: give --address 127.0.0.1 (this machine "
                "alone) or --address 0.0.0.0 (from others too)")  # fmt: skip
    return f"port {port} of {address} cannot be served ({problem.strerror}): give another --port"
