"""Of a program without ops there is nothing to tell, and why is said."""

from __future__ import annotations

import pytest

from suiren.report.answer import NothingRan, reported_step
from suiren.trace.text import parse_program


@pytest.mark.parametrize(("outcome", "said"), [
    ("finished", "does it move its model and data there"),
    ("out of memory", "memory ran out before the first op"),
])  # fmt: skip
def test_why_nothing_ran_is_told(outcome: str, said: str) -> None:
    program = parse_program(f'suiren-trace 1\nfacts {{"outcome": "{outcome}"}}\nend\n')
    with pytest.raises(NothingRan, match=said):
        reported_step(program)
