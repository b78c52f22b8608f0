"""A running script says how its virtual devices are, for `suiren smi` and dashboards.

Time and power are worked out between two steps (`walking`); a thread reads the memory and
replaces the file a few times a second. Nothing is said where `$SUIREN_LIVE` is empty.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from math import inf
from pathlib import Path

from suiren.hw.spec import Card
from suiren.live.folder import Publisher, live_folder
from suiren.live.state import Device
from suiren.torch import _shim
from suiren.torch.session import Session
from suiren.torch.walking import SHARE, Walk, Walked

#: Seconds between two files, and between two looks at the time of steps.
EVERY_S = 0.5
#: Seconds to read one number of the list of steps.
STEP_READ_S = 20e-9


class Living:
    """What one process publishes while its script runs."""

    def __init__(self, session: Session, script: Path, folder: Path) -> None:
        rank, world = _place(session)
        self.session = session
        self.publisher = Publisher(folder)
        self.first = _new(session.card, script, rank, world, session.facts["numerics"])
        # the launcher of many ranks prices their programs, not the ranks
        self.walk = Walk(session.card, prices_later=world == 1)
        self.walked = Walked()
        self.steps = 0
        self._begun = time.monotonic()
        self._next_look = self._begun + EVERY_S
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run, name="suiren live", daemon=True)

    def start(self) -> None:
        """Says that the device is there, and goes on saying how it is."""
        self._publish()
        self._thread.start()

    def stop(self) -> None:
        """Takes the device away."""
        self._end.set()
        self._thread.join(2.0)
        self.publisher.remove()

    def stepped(self, count: int) -> None:
        """A step ended; in the script's own thread, which alone may read the record."""
        self.steps = count
        now = time.monotonic()
        if now < self._next_look:
            return
        order = _shim.steps()
        try:
            self.walked = self.walk.go_on(order, self.session.alone, now - self._begun)
        except Exception:
            # what looks on must not end a script; the answer at the end tells such a problem
            self._next_look = inf
            return
        # a list of a million steps is read less often
        self._next_look = now + max(EVERY_S, len(order) * STEP_READ_S / SHARE)

    def _run(self) -> None:
        while not self._end.wait(EVERY_S):
            self._publish()

    def _publish(self) -> None:
        self.publisher.write(self.devices())

    def devices(self) -> list[Device]:
        """Every device that holds or held anything, or the first; times go to the fullest one.

        The current device is the script's thread's own, which another thread cannot ask.
        """
        peaks = {i: _shim.peak(i) for i in range(_num_devices())}
        used = [i for i, peak in peaks.items() if peak] or [0]
        main = max(used, key=lambda i: peaks[i])
        return [self._device(index, is_main=index == main) for index in used]

    def _device(self, index: int, is_main: bool) -> Device:
        memory = replace(
            self.first, index=index, updated_s=time.time(), steps=self.steps,
            total_bytes=int(_shim.capacity()), used_bytes=int(_shim.allocated(index)),
            reserved_bytes=int(_shim.reserved(index)), peak_bytes=int(_shim.peak(index)),
        )  # fmt: skip
        return _with_time(memory, self.walked) if is_main else memory


def _with_time(one: Device, walked: Walked) -> Device:
    facts = walked.facts
    if facts is None:
        return one
    seconds = facts.seconds
    return replace(
        one, step_s=walked.last_step_s, simulated_s=walked.simulated_s, energy_j=walked.energy_j,
        tokens_per_s=facts.tokens / seconds if facts.tokens and seconds else None,
        samples_per_s=facts.samples / seconds if seconds else None, mfu=facts.mfu,
        busy_share=facts.busy_share, parts_share=facts.parts_share,
        power_w=facts.energy_j / seconds if seconds else None,
        clock_hz=facts.clock * one.full_clock_hz, received_bytes=walked.received_bytes,
        sent_bytes=walked.sent_bytes, collective_bytes=walked.collective_bytes,
        received_bytes_per_s=facts.received_bytes / seconds if seconds else None,
        sent_bytes_per_s=facts.sent_bytes / seconds if seconds else None,
    )  # fmt: skip


def _new(card: Card, script: Path, rank: int, world: int, numerics: bool) -> Device:
    groups = card.chip.core_groups
    now = time.time()
    return Device(
        pid=os.getpid(), index=0, rank=rank, world_size=world, card=card.name, title=card.title,
        script=script.name, started_s=now, updated_s=now, numerics=numerics,
        limit_w=float(card.tdp_w), full_clock_hz=float(card.clock_hz),
        num_clusters=0 if groups is None else int(groups),
    )  # fmt: skip


def _num_devices() -> int:
    from suiren.torch.device import NUM_DEVICES

    return NUM_DEVICES


def _place(session: Session) -> tuple[int, int]:
    """(rank, ranks in all) of this process; (0, 1) where it is no rank."""
    given = [os.environ.get(name, "") for name in ("RANK", "WORLD_SIZE")]
    if "world_size" not in session.facts and not all(text.isdigit() for text in given):
        return 0, 1
    rank = session.facts.get("rank", given[0])
    return int(rank), int(session.facts.get("world_size", given[1]))


@contextlib.contextmanager
def living(session: Session, script: Path) -> Iterator[None]:
    """Publishes a session's devices while the script runs."""
    folder = live_folder()
    if folder is None:
        yield
        return
    one = Living(session, script, folder)
    on_step = session.on_step

    def stepped(count: int) -> None:
        one.stepped(count)
        on_step(count)

    session.on_step = stepped
    one.start()
    try:
        yield
    finally:
        one.stop()
        session.on_step = on_step
