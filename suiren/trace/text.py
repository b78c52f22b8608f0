"""A program as text: one line a thing, printed and parsed, saved compressed.

    suiren-trace 1
    facts {"script": "train.py"}
    context 3 forward GPT.transformer.h.0.attn
    call 12 aten::mm(self=f32[8,16],mat2=f32[16,4])->(f32[8,4])
    label 17 weights GPT.wte.weight
    step 0
    alloc 17 3145728 3 0
    op 12 3 0 4 5 17
    free 17 3145728 3 0
    live 4 512 1
    order 0 1 1 1
    rest
    end

The columns of an event are what, value (bytes), context, stream; those of an op are
call, context, stream and then its storages; those of `live` number, bytes, context.
"""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from suiren.trace.call import CallSyntaxError, parse_call
from suiren.trace.program import EVENT, LIVE, PHASES, Context, Kind, Label, Program, Step

HEADER = "suiren-trace 1"
_WORDS = {kind: kind.name.lower() for kind in Kind}
_KINDS = {word: kind for kind, word in _WORDS.items()}


class TraceError(ValueError):
    """A trace that cannot be read: the sentence names the file and the line."""


def print_program(program: Program) -> Iterator[str]:
    """The lines of a program's text form."""
    yield HEADER
    yield f"facts {json.dumps(program.facts, sort_keys=True)}"
    for i, context in enumerate(program.contexts):
        yield f"context {i} {context.phase} {context.path}"
    for i, call in enumerate(program.calls):
        yield f"call {i} {call}"
    for number, label in sorted(program.labels.items()):
        yield f"label {number} {label.kind.replace(' ', '_')} {label.name}"
    for i, step in enumerate(program.distinct):
        yield f"step {i}"
        yield from _print_step(step)
    yield f"order {' '.join(map(str, program.order))}"
    if program.rest is not None:
        yield "rest"
        yield from _print_step(program.rest)
    yield "end"


def _print_step(step: Step) -> Iterator[str]:
    rows = step.events.tolist()
    storages = step.storages.tolist()
    starts = [row[4] for row in rows if row[0] == Kind.OP]
    ends = iter([*starts[1:], len(storages)])
    for kind, what, context, stream, value in rows:
        if kind == Kind.OP:
            tail = storages[value : next(ends)]
            yield " ".join(map(str, ("op", what, context, stream, *tail)))
        else:
            yield f"{_WORDS[Kind(kind)]} {what} {value} {context} {stream}"
    for number, context, size in step.live.tolist():
        yield f"live {number} {size} {context}"


def pack_program(program: Program) -> bytes:
    """The text form, gzip-compressed; equal programs give equal bytes."""
    text = "\n".join(print_program(program)) + "\n"
    return gzip.compress(text.encode(), 6, mtime=0)


def save_program(program: Program, path: Path) -> None:
    """Writes what `pack_program` gives."""
    path.write_bytes(pack_program(program))


def load_program(path: Path) -> Program:
    """Reads a trace, compressed or plain; raises TraceError in one sentence."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise TraceError(f"there is no trace at {path}") from None
    except OSError as error:
        raise TraceError(f"{path} is not a readable trace: {error}") from None
    return unpack_program(data, str(path))


def unpack_program(data: bytes, name: str) -> Program:
    """Reads a trace's bytes, compressed or plain; `name` is what a TraceError calls them."""
    try:
        text = (gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data).decode()
    except EOFError:
        raise TraceError(f"{name} ends in the middle: it was cut off") from None
    except UnicodeDecodeError:
        raise TraceError(f"{name} is not a Suiren trace: it holds no text") from None
    except (OSError, zlib.error) as error:
        reason = str(error).split(":")[0]
        raise TraceError(f"{name} is damaged: it cannot be decompressed ({reason})") from None
    return parse_program(text, name)


def parse_program(text: str, name: str = "trace") -> Program:
    """Reads what `print_program` prints; raises TraceError naming the line."""
    lines = text.splitlines()
    if not lines or lines[0] != HEADER:
        raise TraceError(f"{name} is not a Suiren trace: its first line is not {HEADER!r}")
    reader = _Reader()
    for number, line in enumerate(lines[1:], 2):
        try:
            reader.read(line)
        except (ValueError, KeyError, IndexError, OverflowError, CallSyntaxError) as error:
            raise TraceError(
                f"{name}, line {number}: {line[:60]!r} cannot be read ({error})"
            ) from None
    if not reader.ended:
        raise TraceError(f"{name} ends in the middle, after line {len(lines)}: it was cut off")
    return reader.finish()


def _within(index: int, things: Sequence[object], name: str) -> None:
    if not 0 <= index < len(things):
        raise ValueError(f"there is no {name} {index}")


def _fits(*numbers: int) -> None:
    if any(not 0 <= n < 1 << 31 for n in numbers):
        raise ValueError("a number is out of range")


class _Reader:
    """Collects lines into a program."""

    def __init__(self) -> None:
        self.program = Program()
        self.rows: list[tuple[int, int, int, int, int]] = []
        self.storages: list[int] = []
        self.live: list[tuple[int, int, int]] = []
        self.place: str | None = None
        self.ended = False

    def read(self, line: str) -> None:
        word, _, rest = line.partition(" ")
        if word == "op":
            what, context, stream, *storages = (int(n) for n in rest.split())
            _within(what, self.program.calls, "call")
            _within(context, self.program.contexts, "context")
            _fits(stream, *storages)
            self.must_be_in_step()
            call = self.program.calls[what]
            tensors = sum(1 for _ in (*call.inputs(), *call.results()))
            if len(storages) != tensors:
                raise ValueError(f"{call.op} has {tensors} tensors, not {len(storages)}")
            self.rows.append((Kind.OP, what, context, stream, len(self.storages)))
            self.storages.extend(storages)
        elif word == "live":
            number, size, context = (int(n) for n in rest.split())
            _fits(number, context)
            self.live.append((number, context, size))
        elif word in _KINDS:
            what, value, context, stream = (int(n) for n in rest.split())
            _fits(what, stream)
            _within(context, self.program.contexts, "context")
            self.must_be_in_step()
            if word == "enter":
                _within(what, self.program.calls, "call")
            self.rows.append((_KINDS[word], what, context, stream, value))
        else:
            self.read_head(word, rest)

    def read_head(self, word: str, rest: str) -> None:
        if word == "facts":
            self.program.facts = json.loads(rest)
            if not isinstance(self.program.facts, dict):
                raise ValueError("facts are an object")
        elif word == "context":
            _, phase, path = rest.split(" ", 2)
            if phase not in PHASES:
                raise ValueError(f"no phase {phase!r}")
            self.program.contexts.append(Context(phase, path))
        elif word == "call":
            self.program.calls.append(parse_call(rest.split(" ", 1)[1]))
        elif word == "label":
            number, kind, name = rest.split(" ", 2)
            self.program.labels[int(number)] = Label(kind.replace("_", " "), name)
        elif word in ("step", "rest"):
            self.close()
            self.place = word
        elif word == "order":
            self.close()
            self.program.order = [int(n) for n in rest.split()]
            for k in self.program.order:
                _within(k, self.program.distinct, "step")
        elif word == "end":
            self.close()
            self.ended = True
        else:
            raise ValueError(f"no such line: {word}")

    def must_be_in_step(self) -> None:
        if self.place is None:
            raise ValueError("it stands before the first step")

    def close(self) -> None:
        if self.place is None:
            return
        step = Step(
            np.array(self.rows, dtype=EVENT),
            np.array(self.storages, dtype=np.int32),
            np.array(self.live, dtype=LIVE),
        )
        if self.place == "step":
            self.program.distinct.append(step)
        else:
            self.program.rest = step
        self.rows, self.storages, self.live, self.place = [], [], [], None

    def finish(self) -> Program:
        self.close()
        return self.program
