"""Runs scripts of checks one after the other in the same processes: FOLDER SCRIPT…

Each script makes its process group and destroys it, as a notebook does that trains twice.
"""

import runpy
import sys
from pathlib import Path

folder, *scripts = sys.argv[1:]
here = Path(__file__).parent
sys.path.insert(0, str(here))
for script in scripts:
    sys.argv = [script, str(Path(folder) / f"{script}.json")]
    runpy.run_path(str(here / script), run_name="__main__")
