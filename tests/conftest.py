"""Every test process remembers tuned plans in a folder of its own and computes on one core."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")  # tests run on all cores, one process each
os.environ["XDG_CACHE_HOME"] = os.environ.get("SUIREN_TEST_CACHE") or tempfile.mkdtemp("suiren")
# no test writes to the history of who runs it
os.environ["SUIREN_HISTORY"] = str(Path(tempfile.mkdtemp("suiren")) / "history.sqlite")
os.environ["SUIREN_LIVE"] = tempfile.mkdtemp("suiren")
