"""What people train with runs on several cards, with the values of one process."""

from __future__ import annotations

import pytest
from launched import answers, checks_of

#: Script -> devices of the default run, and those of the slow one.
SCRIPTS = {
    "collectives.py": (2, 4),
    "data_parallel.py": (2, 4),
    "sharded.py": (2, 4),
    "pipelines.py": (2, 4),
}
DEFAULT = [(s, few, c) for s, (few, _) in SCRIPTS.items() for c in checks_of(s)]
SLOW = [(s, many, c) for s, (_, many) in SCRIPTS.items() for c in checks_of(s)]


def named(rows):
    return [pytest.param(*row, id=f"{row[0][:-3]}-{row[2]}") for row in rows]


@pytest.mark.parametrize(("script", "devices", "check"), named(DEFAULT))
def test_it_runs_with_the_values_of_one_process(script, devices, check):
    assert answers(script, devices).get(check) is None


@pytest.mark.slow
@pytest.mark.parametrize(("script", "devices", "check"), named(SLOW))
def test_it_runs_on_more_cards(script, devices, check):
    assert answers(script, devices).get(check) is None
