"""Test processes remember tuned plans in one folder of the run and compute on one core each."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")  # tests run on all cores, one process each
if "PYTEST_XDIST_WORKER" not in os.environ:  # the workers take over what the first process chose
    os.environ["XDG_CACHE_HOME"] = os.environ.get("SUIREN_TEST_CACHE") or tempfile.mkdtemp("suiren")
# hundreds of processes are started: each would compile Suiren's modules anew
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False
# no test writes to the history of who runs it
os.environ["SUIREN_HISTORY"] = str(Path(tempfile.mkdtemp("suiren")) / "history.sqlite")
os.environ["SUIREN_LIVE"] = tempfile.mkdtemp("suiren")
