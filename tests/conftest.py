"""Every test run remembers tuned plans in a folder of its own."""

from __future__ import annotations

import os
import tempfile

os.environ["XDG_CACHE_HOME"] = os.environ.get("SUIREN_TEST_CACHE") or tempfile.mkdtemp("suiren")
