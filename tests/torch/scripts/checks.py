"""Runs every function of a script whose name starts with `check_` and writes what failed."""

from __future__ import annotations

import json
import sys
import traceback
from pathlib import Path
from typing import Any

PREFIX = "check_"


def run(functions: dict[str, Any]) -> None:
    """Answers go to the file that the script's first argument names."""
    found = {}
    for name, function in list(functions.items()):
        if name.startswith(PREFIX):
            try:
                function()
            except Exception:
                found[name.removeprefix(PREFIX)] = traceback.format_exc()
            else:
                found[name.removeprefix(PREFIX)] = ""
    Path(sys.argv[1]).write_text(json.dumps(found))
