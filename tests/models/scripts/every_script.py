"""Runs the scripts of a folder one after the other: name -> losses, or what went wrong.

FOLDER OUT NAME…; those that take `--steps` make few.
"""

import contextlib
import io
import json
import re
import runpy
import sys
import traceback
from pathlib import Path

STEPS = "4"
folder, out, *names = sys.argv[1:]
found = {}
for path in sorted(Path(folder).glob("*.py")):
    if names and path.stem not in names:
        continue
    takes_steps = '"--steps"' in path.read_text()
    sys.argv = [str(path), *(("--steps", STEPS) if takes_steps else ())]
    heard = io.StringIO()
    try:
        with contextlib.redirect_stdout(heard):
            runpy.run_path(str(path), run_name="__main__")
        found[path.stem] = [float(x) for x in re.findall(r"step \d+ loss (\S+)", heard.getvalue())]
    except Exception:
        found[path.stem] = traceback.format_exc().strip().splitlines()[-1]
Path(out).write_text(json.dumps(found))
