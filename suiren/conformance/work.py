"""One process that judges subjects: names come in, one JSON line a judgement goes out.

Run as `python -m suiren.conformance.work CARD DTYPES`; the parent is `sweep.py`. A subject
that takes the process down costs itself alone: the parent starts another one.
"""

from __future__ import annotations

import json
import sys
import warnings
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any, TextIO

import torch

from suiren.conformance import modules, operators, optimizers
from suiren.conformance.judgement import FAILED, Judgement, one_line
from suiren.conformance.timing import Watch
from suiren.hw.load import resolve_card
from suiren.torch.how import UNLIMITED_BYTES
from suiren.torch.session import Session

DATABASES = (operators, modules, optimizers)


def subjects() -> list[str]:
    """Every name of the three databases, in order."""
    return [name for database in DATABASES for name in sorted(database.database())]


def judgements(name: str, dtypes: tuple[torch.dtype, ...]) -> Iterator[Judgement]:
    """Every sample of a subject, whichever database it is from."""
    for database in DATABASES:
        if name in database.database():
            yield from database.judgements(name, dtypes)
            return


def serve(card: str, dtypes: tuple[torch.dtype, ...], names: TextIO, out: TextIO) -> None:
    """Judges the subjects named on `names`, a line each, until it ends."""
    torch.set_num_threads(1)
    session = Session(resolve_card(card))
    session.begin(tf32="off", memory_bytes=UNLIMITED_BYTES)
    watch = Watch(session.card)

    def say(**row: Any) -> None:
        out.write(json.dumps(row) + "\n")
        out.flush()

    say(kind="ready", subjects=subjects())
    for line in names:
        name = line.strip()
        try:
            for judgement in judgements(name, dtypes):
                say(kind="judgement", **judgement.row())
        except Exception as problem:  # the database itself cannot make this subject's samples
            broken = Judgement(name, "", -1, FAILED, "forward", one_line(problem))
            say(kind="judgement", **broken.row())
        say(kind="times", op=name, **asdict(watch.times()))


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    serve(
        sys.argv[1],
        tuple(getattr(torch, name) for name in sys.argv[2].split(",")),
        sys.stdin,
        sys.stdout,
    )
