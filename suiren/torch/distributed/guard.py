"""What a rank does around every collective: says where it is, and looks whether it fits.

A rank that comes to a meeting with another op, format, size or root than one that came before
does not move anything: the launcher tells every rank what each of them wanted.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

import torch

import suiren
from suiren.torch.distributed import backend, groups, names, reduction
from suiren.torch.distributed.asked import Asked
from suiren.torch.distributed.board import Board, Channel
from suiren.torch.distributed.link import Link

#: Seconds that a rank waits for the launcher's sentence.
VERDICT_S = 3.0
_NOT_THE_SCRIPT = (
    str(Path(torch.__file__).parent), str(Path(suiren.__file__).parent),
    str(Path(os.__file__).parent), "<frozen",
)  # fmt: skip
_SHORT = {
    "float32": "f32", "float64": "f64", "float16": "f16", "bfloat16": "bf16", "int64": "i64",
    "int32": "i32", "int16": "i16", "int8": "i8", "uint8": "u8", "bool": "bool",
}  # fmt: skip


class RunStopped(BaseException):
    """The run cannot go on: the sentence says why. No `except Exception` keeps it."""


class Guard:
    """Watches the collectives of this process."""

    def __init__(self, folder: Path, rank: int, num_ranks: int, link: Link) -> None:
        self.folder, self.rank, self.link = folder, rank, link
        self.board = Board(folder, num_ranks)
        self._channels: dict[tuple[str, tuple[int, ...]], Channel] = {}
        self._from_anyone: tuple[str, tuple[int, ...], str] | None = None
        """What a `recv` from anyone takes; whom from is known when it is there."""
        self._main = threading.main_thread().ident
        self._is_stopping = False

    def install(self) -> None:
        """Stands between the card's collectives and what moves their values."""
        move_plainly = backend.mover[-1]

        def moved(op: Any, arguments: tuple[Any, ...], asked: Asked) -> backend.Moved:
            move, finish = move_plainly(op, arguments, asked)
            return self._moving(move, asked), self._waiting(finish)

        backend.mover.append(moved)
        backend.on_collective.append(self.comes)
        names.on_new_group.append(self.meets)
        self.link.on_stop = self._stop
        self.link.on_question = self._where
        signal.signal(signal.SIGUSR2, self._raise)

    # ---- meetings

    def comes(self, group: Any, asked: Asked) -> None:
        """Posts a collective before it is issued; raises RunStopped if it does not fit."""
        ranks = groups.groups[groups.number_of(group)].ranks
        name = str(group.group_name)
        what, brought = in_words(asked)
        if asked.name in ("send", "recv"):
            self._from_anyone = None
            if asked.peer < 0:
                self._say(what, "", -1, [r for r in ranks if r != self.rank], any_of_them=True)
                self._from_anyone = (name, ranks, brought)
                return
            ends = (self.rank, asked.peer) if asked.name == "send" else (asked.peer, self.rank)
            name, ranks = f"{name}:{ends[0]}>{ends[1]}", ends
        self._post(name, ranks, brought, what)
        self._posts_pieces(name, ranks, asked, what)

    def _posts_pieces(self, name: str, ranks: Sequence[int], asked: Asked, what: str) -> None:
        """Every pair of an all_to_all: what one sends is what the other makes room for."""
        for peer, sent, got in zip(ranks, *asked.pieces, strict=False):
            if peer != self.rank:
                self._post(f"{name}:to {self.rank}>{peer}", (self.rank, peer), str(sent), what)
                self._post(f"{name}:to {peer}>{self.rank}", (peer, self.rank), str(got), what)
            elif sent != got:
                self._say(what, f"{name}:itself", 0, ranks, waits=True)
                self.link.say(mismatch=[self.rank])
                self._give_up(f"{what} keeps {sent} rows where it makes room for {got}")

    @contextlib.contextmanager
    def meets(self, what: str, name: str, ranks: Sequence[int]) -> Iterator[None]:
        """Around something that all the ranks have to do, such as making a group."""
        self._post(f"new {name}", tuple(ranks), what, what)
        with self._waits():
            yield

    def _channel(self, name: str, ranks: tuple[int, ...]) -> Channel:
        channel = self._channels.get((name, ranks))
        if channel is None:  # groups of other ranks may have the same name
            channel = Channel(self.folder, f"{name} {_digest(ranks)}", len(ranks))
            self._channels[name, ranks] = channel
        return channel

    def _post(self, name: str, ranks: tuple[int, ...], brought: str, what: str) -> None:
        channel = self._channel(name, ranks)
        self._say(what, channel.name, channel.turn, ranks)
        others = channel.post(ranks.index(self.rank), brought)
        if others:
            self.board.waits(self.rank)
            self.link.say(mismatch=[ranks[i] for i in others])
            self._give_up(f"{what} does not fit what rank {ranks[others[0]]} does")

    def _say(
        self, what: str, channel: str, turn: int, members: Sequence[int],
        any_of_them: bool = False, waits: bool = False,
    ) -> None:  # fmt: skip
        self._place = {
            "what": what, "at": script_line(sys._getframe(1)), "channel": channel, "turn": turn,
            "members": list(members), "any": any_of_them,
        }  # fmt: skip
        self.board.write(self.rank, waits, self._place)

    @contextlib.contextmanager
    def _waits(self, place: dict[str, Any] | None = None) -> Iterator[None]:
        if place is None:
            self.board.waits(self.rank)
        else:
            self.board.write(self.rank, True, place)
        try:
            yield
        except RuntimeError as problem:
            self._broken(problem)
        finally:
            self.board.goes_on(self.rank)

    def _moving(self, move: Callable[..., None], asked: Asked) -> Callable[..., None]:
        if asked.name in ("send", "recv"):
            return move

        def moving(outputs: Any, inputs: Any) -> None:
            with self._waits():
                move(outputs, inputs)

        return moving

    def _waiting(self, finish: Callable[[], int | None] | None) -> Callable[[], int | None] | None:
        if finish is None:
            return None
        place, from_anyone = self._place, self._from_anyone

        def waiting() -> int | None:
            with self._waits({**place, "at": script_line(sys._getframe(1))}):
                source = finish()
            if from_anyone is not None and source is not None:
                name, ranks, brought = from_anyone
                ends = (ranks[source], self.rank)
                self._channel(f"{name}:{ends[0]}>{ends[1]}", ends).post(1, brought)
            return source

        return waiting

    # ---- ends

    def _give_up(self, reason: str) -> None:
        """Waits for the launcher's sentence and ends the script with it."""
        until = time.monotonic() + VERDICT_S
        while self.link.stop_reason is None and time.monotonic() < until:
            time.sleep(0.01)
        self._is_stopping = True
        raise RunStopped(self.link.stop_reason or reason) from None

    def _broken(self, problem: RuntimeError) -> None:
        """A connection that breaks because the run is stopped says so; any other error stays."""
        text = str(problem)
        if self.link.stop_reason is None and "Connection" in text:
            self._give_up(text)
        if self.link.stop_reason is not None:
            self._is_stopping = True
            raise RunStopped(self.link.stop_reason) from None
        raise problem

    def _stop(self, _: str) -> None:
        """Wakes the script's thread, wherever it waits; called by the listening thread."""
        for entry in Path("/proc/self/fd").iterdir():
            with contextlib.suppress(OSError, ValueError):
                _shut(int(entry.name))
        if self._main is not None:
            with contextlib.suppress(ProcessLookupError):
                signal.pthread_kill(self._main, signal.SIGUSR2)

    def ends(self) -> None:
        """The script has ended: nothing is to be woken any more."""
        self._is_stopping = True

    def _raise(self, *_: Any) -> None:
        if not self._is_stopping:
            self._is_stopping = True
            raise RunStopped(self.link.stop_reason or "the run was stopped")

    def _where(self) -> str:
        """The script's line that is running now."""
        return script_line(sys._current_frames().get(self._main or 0))


def _shut(descriptor: int) -> None:
    """Ends a TCP connection, so that whoever waits for it wakes; other descriptors stay."""
    with socket.socket(fileno=os.dup(descriptor)) as end:
        if end.family in (socket.AF_INET, socket.AF_INET6) and end.type == socket.SOCK_STREAM:
            end.getpeername()  # raises for one that listens: gloo does not bear to lose it
            end.shutdown(socket.SHUT_RDWR)


# ---- words

_script_of: dict[CodeType, str] = {}
"""The file's name of code that is the script's, an empty one for any other code."""


def script_line(frame: FrameType | None) -> str:
    """`file:line` of the innermost frame that is not PyTorch's, Python's or ours."""
    while frame is not None:
        code = frame.f_code
        file = _script_of.get(code)
        if file is None:
            name = code.co_filename
            own = not name.startswith(_NOT_THE_SCRIPT) and "site-packages" not in name
            file = _script_of[code] = Path(name).name if own else ""
        if file:
            return f"{file}:{frame.f_lineno}"
        frame = frame.f_back
    return "?"


_known: dict[tuple[Any, ...], tuple[str, str]] = {}


def in_words(asked: Asked) -> tuple[str, str]:
    """A collective for people, and what must be alike among those who meet."""
    said = reduction.said() if "reduce" in asked.name else ""
    tensors = asked.inputs or asked.outputs
    shown = tuple((t.dtype, t.shape) for t in tensors[:4])
    key = (asked.name, asked.peer, asked.size_bytes, said, shown, asked.pieces)
    if key not in _known:
        _known[key] = describe(asked), brings(asked)
    return _known[key]


def _digest(ranks: tuple[int, ...]) -> str:
    return hashlib.blake2b(repr(ranks).encode(), digest_size=8).hexdigest()


def describe(asked: Asked) -> str:
    """`all_reduce f32[4]`, `send f32[2, 3] to 1`."""
    tensors = asked.inputs or asked.outputs
    shown = ", ".join(map(_tensor, tensors[:3])) + (", …" if len(tensors) > 3 else "")
    said = reduction.said() if "reduce" in asked.name else ""
    words = [asked.name, said.lower() if said != "SUM" else "", shown if asked.size_bytes else ""]
    text = " ".join(word for word in words if word)
    if any(len(set(piece)) > 1 for piece in asked.pieces):
        sent, got = map(list, asked.pieces)
        text += f" sent as {sent}, taken as {got}"
    if asked.peer >= 0:
        joined = {"send": "to", "recv": "from"}.get(asked.name, "root")
        return f"{text} {joined} {asked.peer}"
    return text


def _tensor(tensor: torch.Tensor) -> str:
    name = str(tensor.dtype).removeprefix("torch.")
    return f"{_SHORT.get(name, name)}{list(tensor.shape)}"


def brings(asked: Asked) -> str:
    """What must be alike among those who meet."""
    first = next(asked.tensors(), None)
    dtype = first.dtype if first is not None else None
    if asked.name in ("send", "recv"):
        return f"message {dtype} {asked.size_bytes}"
    said = (reduction.said() or "SUM") if "reduce" in asked.name else ""
    size = 0 if asked.name == "all_to_all" else asked.size_bytes
    return f"{asked.name} {said} {dtype} {size} {asked.peer}"
