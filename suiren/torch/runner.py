"""Runs a user's script as `python script.py` would, and keeps what was learnt if it ends early."""

from __future__ import annotations

import runpy
import sys
import traceback
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path

from suiren.torch.how import UNLIMITED_BYTES, How
from suiren.torch.session import Session
from suiren.trace.program import Program


@dataclass(frozen=True)
class Outcome:
    """How a script ended and what it asked of the device."""

    program: Program
    exit_code: int
    ended: str
    """`finished`, `raised`, `exited`, `out of memory` or `interrupted`."""
    error: str = ""
    """The script's own traceback, its last line naming the error."""


class EnoughSteps(BaseException):
    """Raised inside a script that has run as far as was asked for."""


Around = Callable[[], AbstractContextManager[None]]


def run_script(
    script: Path,
    arguments: Sequence[str],
    session: Session,
    how: How,
    around: Around = nullcontext,
) -> Outcome:
    """Runs the script in this process on the session's card, inside what `around` makes."""
    from suiren.torch import transfer
    from suiren.torch.living import living

    session.facts["script"] = script.name
    on_step = session.on_step

    def stepped(count: int) -> None:
        on_step(count)
        if how.max_steps is not None and count >= how.max_steps:
            raise EnoughSteps

    session.on_step = stepped
    session.begin(numerics=how.numerics, tf32=how.tf32, memory_bytes=how.memory_bytes)
    transfer.install()
    if how.seed is not None:
        _seed(how.seed)
    with living(session, script):
        return _run(script, arguments, session, around)


def _seed(seed: int) -> None:
    import random

    import numpy as np
    import torch

    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)


def _run(
    script: Path, arguments: Sequence[str], session: Session, around: Around
) -> Outcome:
    import torch

    argv, path = sys.argv, list(sys.path)
    sys.argv = [str(script), *arguments]
    sys.path.insert(0, str(script.resolve().parent))
    code, ended, error = 0, "finished", ""
    try:
        with around():
            runpy.run_path(str(script), run_name="__main__")
    except EnoughSteps:
        pass
    except SystemExit as stop:
        code = stop.code if isinstance(stop.code, int) else 0 if stop.code is None else 1
        if isinstance(stop.code, str):
            error = stop.code
        ended = "finished" if code == 0 else "exited"
    except KeyboardInterrupt:
        code, ended = 130, "interrupted"
    except torch.OutOfMemoryError as problem:
        code, ended, error = 1, "out of memory", _traceback(problem, script)
    except BaseException as problem:
        code, ended, error = 1, "raised", _traceback(problem, script)
    finally:
        sys.argv, sys.path = argv, path
    session.facts["outcome"] = ended
    return Outcome(session.program(), code, ended, error)


def _traceback(problem: BaseException, script: Path) -> str:
    """The traceback as the script's author would see it: frames above the script are ours."""
    frames = problem.__traceback__
    name = str(script)
    while frames is not None and frames.tb_frame.f_code.co_filename != name:
        frames = frames.tb_next
    if frames is None and not isinstance(problem, SyntaxError):
        frames = problem.__traceback__
    return "".join(traceback.format_exception(type(problem), problem, frames)).rstrip()


__all__ = ["UNLIMITED_BYTES", "EnoughSteps", "How", "Outcome", "run_script"]
