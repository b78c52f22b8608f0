"""Runs a script on a virtual card and keeps which lines of a code base ran, and in which formats.

`python -m suiren.port.watched PLAN`: the plan is a JSON file with `files` (paths whose lines are
kept), `script`, `arguments`, `card`, `max_steps` and `out` (the file for what was seen).
"""

from __future__ import annotations

import contextlib
import json
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any

#: Integer ops that compute with the values; others index, compare or move.
_ARITHMETIC = frozenset(
    """add sub rsub mul div floor_divide remainder fmod pow cumsum cumprod sum prod mm bmm matmul
dot addcmul bitwise_and bitwise_or bitwise_xor bitwise_left_shift bitwise_right_shift""".split()
)
#: Ops that compute nothing.
_MOVES = frozenset(
    """view _unsafe_view reshape t transpose permute expand slice select unsqueeze squeeze detach
alias as_strided clone _to_copy copy empty empty_like empty_strided split chunk unbind to""".split()
)


class Watch:
    """What was seen of the files: lines, the error that ended the run, 64-bit ops by line."""

    def __init__(self, files: list[str]) -> None:
        self.files = frozenset(files)
        self.lines: dict[str, set[int]] = {name: set() for name in files}
        self.error: tuple[str, int, str] | None = None
        self._raised: BaseException | None = None
        self.ops: Counter[tuple[str, int, str, str]] = Counter()

    # ---- lines

    def enter(self, frame: FrameType, event: str, argument: Any) -> Callable[..., Any] | None:
        """The trace function: follows calls into the files alone."""
        lines = self.lines.get(frame.f_code.co_filename)
        if lines is None:
            return None
        lines.add(frame.f_lineno)
        return self._follow

    def _follow(self, frame: FrameType, event: str, argument: Any) -> Callable[..., Any]:
        name = frame.f_code.co_filename
        if event == "line":
            self.lines[name].add(frame.f_lineno)
        elif event == "exception":
            kind, problem, _ = argument
            if problem is not self._raised:
                self._raised = problem
                self.error = (name, frame.f_lineno, f"{kind.__name__}: {problem}")
        return self._follow

    # ---- formats

    def saw(self, tie: str, op: str) -> None:
        """Counts an op for the innermost line of the files."""
        frame: FrameType | None = sys._getframe(2)
        while frame is not None and frame.f_code.co_filename not in self.files:
            frame = frame.f_back
        if frame is not None:
            self.ops[(frame.f_code.co_filename, frame.f_lineno, tie, op)] += 1

    def document(self, code: int) -> dict[str, Any]:
        """What was seen, as JSON."""
        return {
            "exit_code": code,
            "lines": {name: sorted(seen) for name, seen in self.lines.items()},
            "error": self.error if code else None,
            "ops": [[*key, count] for key, count in sorted(self.ops.items())],
        }


@contextlib.contextmanager
def _formats_seen(watch: Watch) -> Iterator[None]:
    """Inside, ops on 64-bit tensors of the card are counted."""
    import torch
    from torch.utils._python_dispatch import TorchDispatchMode

    wide = {torch.float64: "float64", torch.int64: "int64-arithmetic"}

    class Mode(TorchDispatchMode):
        def __torch_dispatch__(
            self, func: Any, types: Any, args: Any = (), kwargs: Any = None
        ) -> Any:
            found = func(*args, **(kwargs or {}))
            for tensor in found if isinstance(found, (tuple, list)) else (found,):
                if isinstance(tensor, torch.Tensor) and tensor.dtype in wide:
                    if tensor.is_cpu or tensor.numel() < 2:
                        continue
                    op = func.overloadpacket.__name__.rstrip("_")
                    tie = wide[tensor.dtype]
                    if op in _ARITHMETIC or (tie == "float64" and op not in _MOVES):
                        watch.saw(tie, op)
            return found

    with Mode():
        yield


def main(plan_path: str) -> None:
    """Runs the plan and leaves what was seen in its file; the exit code is the script's."""
    plan = json.loads(Path(plan_path).read_text())
    watch = Watch(plan["files"])
    from suiren.hw.load import resolve_card
    from suiren.torch.runner import How, run_script
    from suiren.torch.session import Session

    session = Session(resolve_card(plan["card"]))
    threading.settrace(watch.enter)
    with _formats_seen(watch):
        sys.settrace(watch.enter)
        how = How(max_steps=plan["max_steps"])
        outcome = run_script(Path(plan["script"]), plan["arguments"], session, how)
        sys.settrace(None)
    Path(plan["out"]).write_text(json.dumps(watch.document(outcome.exit_code)))
    if outcome.error:
        print(outcome.error, file=sys.stderr)  # noqa: T201 - the script's own traceback
    sys.exit(outcome.exit_code)


if __name__ == "__main__":
    main(sys.argv[1])
