"""Test processes remember tuned plans in one folder of the run and compute on one core each."""

from __future__ import annotations

import os
import tempfile

os.environ.setdefault("OMP_NUM_THREADS", "1")  # tests run on all cores, one process each
if "PYTEST_XDIST_WORKER" not in os.environ:  # the workers take over what the first process chose
    os.environ["XDG_CACHE_HOME"] = os.environ.get("SUIREN_TEST_CACHE") or tempfile.mkdtemp("suiren")
