"""The ways of several scripts in one process: `every_way.py ANSWERS SCRIPT … [-- WAY …]`."""

import importlib
import sys
import warnings
from pathlib import Path

import ways

sys.path.insert(0, str(Path(__file__).parent))
warnings.simplefilter("ignore")
answers, *scripts = sys.argv[1:]
wanted = []
if "--" in scripts:
    at = scripts.index("--")
    scripts, wanted = scripts[:at], scripts[at + 1 :]
sys.argv = [sys.argv[0], answers, *wanted]
found = {}
for script in scripts:
    found.update(vars(importlib.import_module(script)))
ways.run(found)
