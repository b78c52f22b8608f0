"""What people train with runs on several cards, with the values of one process."""

from __future__ import annotations

import pytest
from launched import answers, checks_of

#: Scripts of one launch. Each has its own: a group made anew can meet what is left of the last.
LAUNCHES = (("collectives.py",), ("data_parallel.py",), ("pipelines.py",), ("sharded.py",))
LAUNCH = {script: launch for launch in LAUNCHES for script in launch}
CHECKS = [pytest.param(s, c, id=f"{s[:-3]}-{c}") for s in LAUNCH for c in checks_of(s)]


@pytest.mark.parametrize(("script", "check"), CHECKS)
def test_it_runs_with_the_values_of_one_process(script, check):
    assert answers(LAUNCH[script], 2)[script].get(check) is None


@pytest.mark.slow
@pytest.mark.parametrize(("script", "check"), CHECKS)
def test_it_runs_on_more_cards(script, check):
    assert answers((script,), 4)[script].get(check) is None
